/**
 * Where one play takes place: a clock, a store, and processes of which the first dies at one given point.
 * 1. A play has one crash at most; the next process begins at the same instant.
 * 2. After each commit of the run its committed state is looked at, also when the process dies with it.
 */
import type { Pawl, Startable } from "../index.ts";
import { openOn } from "../open.ts";
import { readHistoryEntry } from "../run/history.ts";
import { MemoryStore } from "../store/memory.ts";
import type { Commit } from "../store/store.ts";
import { seededRandom } from "./seeded-random.ts";
import { type Fault, SimProcess } from "./simulated-process.ts";
import { StepClock } from "./step-clock.ts";

/** Where the process dies: before or after its n-th commit, or with its n-th action, counted from 1. */
export interface CrashPoint {
  readonly when: "before" | "after" | "action";
  readonly number: number;
}

export const RUN_ID = "run";

export class Stage {
  readonly clock = new StepClock();
  readonly store = new MemoryStore();
  /** Commits that were to be written, in all processes. */
  commits = 0;
  /** Names of the actions that were done. */
  readonly acts: string[] = [];
  /** Where the process was killed, in words. */
  killed: string | undefined;
  process!: SimProcess;
  /** Looks at the store, whatever process lives. */
  reader!: Pawl;
  readonly #crash: CrashPoint | undefined;
  readonly #committed: () => Promise<void>;

  /** `committed` is called after each commit of the run. */
  constructor(crash: CrashPoint | undefined, committed: () => Promise<void>) {
    this.#crash = crash;
    this.#committed = committed;
  }

  /** A new process that knows this; resolves when it is open, or dead. */
  async boot(build: (process: SimProcess) => Startable): Promise<Startable> {
    this.reader ??= await this.#openReader();
    const workflows: Startable[] = [];
    const process = (this.process = new SimProcess({
      clock: this.clock,
      store: this.store,
      seed: 1,
      workflows,
      fault: (_group, commits) => this.#fault(commits),
      onApplied: (group) => (group.some(({ runId }) => runId === RUN_ID) ? this.#committed() : undefined),
    }));
    const startable = build(process);
    workflows.push(startable);
    await this.#settledOrDead(process.boot());
    return startable;
  }

  #openReader(): Promise<Pawl> {
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const attempts = { log: silent, environment: () => undefined };
    const { store, clock } = this;
    return openOn(store, { store, clock, random: seededRandom(1), attempts, onFatal: () => {} }, { execute: false });
  }

  /** Resolves when the promise has, or the process is dead. No time passes. */
  async #settledOrDead(promise: Promise<unknown>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    promise.catch((error: unknown) => (failure = { error }));
    await this.clock.settle();
    if (failure !== undefined && this.process.isAlive) throw failure.error;
  }

  #fault(commits: readonly Commit[]): Fault | undefined {
    const number = ++this.commits;
    if (this.killed !== undefined || this.#crash?.number !== number || this.#crash.when === "action") return undefined;
    const what = contentsOf(commits);
    this.killed = `${this.#crash.when} commit ${number}${what === undefined ? "" : ` (${what})`}`;
    return this.#crash.when === "before" ? "crashBefore" : "crashAfter";
  }

  /** An action was done. */
  acted(name: string): void {
    this.acts.push(name);
    if (this.killed !== undefined || this.#crash?.when !== "action" || this.#crash.number !== this.acts.length) return;
    this.killed = `right after the action "${name}"`;
    this.process.kill();
  }
}

/** What a commit of the run says, in a few words. */
function contentsOf(commits: readonly Commit[]): string | undefined {
  const commit = commits.find(({ runId }) => runId === RUN_ID);
  if (commit === undefined) return undefined;
  const { events } = readHistoryEntry({ commitNo: commit.from + 1, at: commit.at, body: commit.history });
  const turn = events.find(({ type, event }) => type === "machine.turned" && event !== "xstate.init");
  const other = events.find(({ type }) => type === "action.performed" || type.startsWith("node."));
  if (turn !== undefined) return turn.event;
  if (other !== undefined) return other.type === "action.performed" ? `"${other.name}" was done` : `${other.type} ${other.node}`;
  return commit.from === 0 ? "the start" : undefined;
}
