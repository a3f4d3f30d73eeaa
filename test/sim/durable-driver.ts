/**
 * Drives a machine through pawl in simulated processes that crash: before or after each commit, or among the acts that
 * follow it.
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { CASCADE_KEY } from "../../src/run/row.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { SimClock } from "./clock.ts";
import { type Fault, SimProcess, replacing } from "./process.ts";
import type { DurableDriver, Program } from "./statechart-trace.ts";

/** Where processes die: at each such place once, so that the run gets on. And how many turns a commit may have. */
export const POLICIES = {
  none: { isBefore: false, isAfter: false, isAmongActs: false, turnsMax: 1_000 },
  before: { isBefore: true, isAfter: false, isAmongActs: false, turnsMax: 1_000 },
  after: { isBefore: false, isAfter: true, isAmongActs: false, turnsMax: 1_000 },
  both: { isBefore: true, isAfter: true, isAmongActs: false, turnsMax: 1_000 },
  acts: { isBefore: false, isAfter: false, isAmongActs: true, turnsMax: 1_000 },
  /** Each turn is a commit of its own. */
  turn: { isBefore: true, isAfter: true, isAmongActs: true, turnsMax: 1 },
  turns: { isBefore: true, isAfter: true, isAmongActs: true, turnsMax: 3 },
};
export type CrashPolicy = keyof typeof POLICIES;
export const CRASH_POLICIES = Object.keys(POLICIES) as CrashPolicy[];

export type CrashPlace = "before a commit" | "after a commit" | "among acts" | "amid a cascade";

const RUN_ID = "run";
const LIVES_MAX = 2_000;
/** Crashes of one run; what comes after them is not worth the time. */
const CRASHES_MAX = 100;

/** Nobody is set aside for crashing its worker: here it is the worker's own doing. */
function unsuspicious(store: Store): Store {
  return replacing(store, {
    claim: async (...given) => (await store.claim(...given)).map((record) => ({ ...record, suspicion: 0 })),
    claimRun: async (...given) => {
      const record = await store.claimRun(...given);
      return record && { ...record, suspicion: 0 };
    },
  });
}

export class PawlDriver implements DurableDriver {
  readonly #policy: (typeof POLICIES)[CrashPolicy];
  readonly #wrap: ((store: Store) => Store) | undefined;
  readonly #clock = new SimClock();
  readonly #store = new MemoryStore();
  readonly #crashedAt = new Set<string>();
  #boot!: () => Program;
  #input: unknown;
  #process!: SimProcess;
  #handle: MachineHandle<AnyStateMachine> | undefined;
  #snapshot: AnyMachineSnapshot | undefined;
  #events = 0;
  #commits = 0;
  #acts = 0;
  #next: Program | undefined;
  crashes = 0;
  /** How often it crashed where. */
  readonly places = new Map<CrashPlace, number>();

  constructor(policy: CrashPolicy, wrap?: (store: Store) => Store) {
    this.#policy = POLICIES[policy];
    this.#wrap = wrap;
  }

  /** An act was done: the first, second, fourth, eighth ... of a commit may be the last of its process. */
  acted(): void {
    const isPowerOfTwo = (++this.#acts & (this.#acts - 1)) === 0;
    if (!this.#policy.isAmongActs || !this.#process.isAlive || !isPowerOfTwo || !this.#isNew(`act ${this.#commits}.${this.#acts}`)) return;
    this.#count("among acts");
    this.#process.kill();
    this.#next = this.#boot();
  }

  async start(boot: () => Program, input: unknown): Promise<void> {
    this.#boot = boot;
    this.#input = input;
    await this.#live();
  }

  /** Boots processes until one of them rests alive. */
  async #live(): Promise<void> {
    for (let lives = 0; ; lives++) {
      if (lives > LIVES_MAX) throw new Error("it never gets on");
      const program = this.#next ?? this.#boot();
      this.#next = undefined;
      this.#acts = 0;
      const process = (this.#process = new SimProcess({
        clock: this.#clock,
        store: this.#store,
        seed: lives,
        workflows: [program.machine],
        logged: (message) => program.log(message),
        fault: (_group, commits) => this.#fault(commits),
        onApplied: (group, outcomes) => {
          const isOne = group.some(({ runId }, i) => runId === RUN_ID && outcomes[i] === "committed");
          if (!isOne) return;
          this.#commits++;
          this.#acts = 0;
        },
        wrap: (store) => this.#wrap?.(unsuspicious(store)) ?? unsuspicious(store),
      }));
      this.#handle = undefined;
      const opened = process.boot().then(async () => {
        process.pawl.on("*", (event, { commitNo }) => (commitNo === undefined ? program.emitted(event) : undefined));
        this.#handle = await process.pawl.start(program.machine, { id: RUN_ID, input: this.#input });
      });
      let failure: unknown;
      opened.catch((error: unknown) => (failure = error));
      await this.#clock.settle();
      if (process.isAlive && failure !== undefined) throw failure;
      if (process.isAlive && this.#handle !== undefined) return;
      if (process.isAlive) throw new Error("a start hangs");
    }
  }

  #fault(commits: readonly Commit[]): Fault | undefined {
    const place = commits.map(({ runId, from }) => `${runId} ${from}`).join();
    const isAmid = commits.some(({ actors }) => actors.some(({ key }) => key === CASCADE_KEY));
    if (this.#policy.isBefore && this.#isNew(`before ${place}`)) return this.#struck("crashBefore", "before a commit", isAmid);
    if (this.#policy.isAfter && this.#isNew(`after ${place}`)) return this.#struck("crashAfter", "after a commit", isAmid);
    return undefined;
  }

  #struck(fault: Fault, place: CrashPlace, isAmid: boolean): Fault {
    this.#count(place);
    if (isAmid) this.places.set("amid a cascade", (this.places.get("amid a cascade") ?? 0) + 1);
    return fault;
  }

  #isNew(place: string): boolean {
    if (this.crashes === CRASHES_MAX || this.#crashedAt.has(place)) return false;
    this.#crashedAt.add(place);
    return true;
  }

  #count(place: CrashPlace): void {
    this.crashes++;
    this.places.set(place, (this.places.get(place) ?? 0) + 1);
  }

  async send(event: { type: string }): Promise<void> {
    const eventId = `event ${this.#events++}`;
    while (!(await this.#sent(event, eventId))) await this.#live();
  }

  /** Sends it to this process; says whether that lived to answer. */
  async #sent(event: { type: string }, eventId: string): Promise<boolean> {
    const process = this.#process;
    let answer: { readonly error?: { readonly code?: string } } | undefined;
    this.#handle!.send(event as never, { eventId }).then(
      () => (answer = {}),
      (error: { readonly code?: string }) => (answer = { error }),
    );
    await this.#clock.settle();
    const { error } = answer ?? {};
    const isTooLate = error?.code === "PAWL_RUN_ENDED" || error?.code === "PAWL_EVENT_REFUSED";
    if (process.isAlive && error !== undefined && !isTooLate) throw error as Error;
    if (process.isAlive && answer === undefined) throw new Error(`a send of "${event.type}" hangs`);
    if (!process.isAlive && (error === undefined ? answer === undefined : !isTooLate)) return false;
    if (!process.isAlive) await this.#live();
    return true;
  }

  /** Pauses the run, or lifts the pause, unless it has ended. */
  async ask(what: "pause" | "resume"): Promise<void> {
    while (!(await this.#asked(what))) await this.#live();
    while (!this.#process.isAlive) await this.#live();
  }

  /** Says whether it was done, or is no longer wanted. */
  async #asked(what: "pause" | "resume"): Promise<boolean> {
    let answer: { readonly error?: { readonly code?: string } } | undefined;
    this.#handle![what]().then(
      () => (answer = {}),
      (error: { readonly code?: string }) => (answer = { error }),
    );
    await this.#clock.settle();
    const code = answer?.error?.code;
    if (code !== undefined && code !== "PAWL_RUN_ENDED" && this.#process.isAlive) throw answer!.error as Error;
    return answer !== undefined && (code === undefined || code === "PAWL_RUN_ENDED");
  }

  /** The status of the run as it is stored. */
  async status(): Promise<string> {
    return (await this.#store.readRun(RUN_ID))!.status;
  }

  async advance(ms: number): Promise<void> {
    await this.#clock.advance(ms);
    await this.settled();
  }

  async settled(): Promise<void> {
    await this.#clock.settle();
    while (!this.#process.isAlive) await this.#live();
    this.#snapshot = (await this.#handle!.snapshot()) as AnyMachineSnapshot;
    await this.#clock.settle();
    if (!this.#process.isAlive) await this.settled();
  }

  snapshot(): AnyMachineSnapshot | undefined {
    return this.#snapshot;
  }

  async end(): Promise<void> {
    this.#process.kill();
  }
}
