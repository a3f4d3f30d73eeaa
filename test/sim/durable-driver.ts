/**
 * Drives a machine through pawl in simulated processes that crash: before or after each commit, or among the acts that
 * follow it. Each place once, so that the run gets on.
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { SimClock } from "./clock.ts";
import { type Fault, SimProcess, replacing } from "./process.ts";
import type { DurableDriver, Program, Subject } from "./statechart-trace.ts";

export type CrashPolicy = "none" | "before" | "after" | "both" | "acts";

const RUN_ID = "run";
const LIVES_MAX = 2_000;

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
  readonly #policy: CrashPolicy;
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
  #acts = 0;
  crashes = 0;

  constructor(policy: CrashPolicy, wrap?: (store: Store) => Store) {
    this.#policy = policy;
    this.#wrap = wrap;
  }

  /** The same subject, whose recorded acts may be the last of their process. */
  crashing(subject: Subject): Subject {
    if (this.#policy !== "acts") return subject;
    return {
      ...subject,
      build: (outside) =>
        subject.build({
          ...outside,
          record: (tag) => {
            outside.record(tag);
            this.#acted();
          },
        }),
    };
  }

  #acted(): void {
    const place = `act ${this.#process.commits}.${this.#acts++}`;
    if (!this.#process.isAlive || this.#crashedAt.has(place)) return;
    this.#crashedAt.add(place);
    this.#crash();
  }

  #crash(): void {
    this.#process.kill();
    this.crashes++;
    this.#boot();
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
      const program = this.#boot();
      const process = (this.#process = new SimProcess({
        clock: this.#clock,
        store: this.#store,
        seed: lives,
        workflows: [program.machine],
        logged: (message) => program.log(message),
        fault: (_group, commits) => this.#fault(commits),
        onApplied: () => void (this.#acts = 0),
        wrap: (store) => this.#wrap?.(unsuspicious(store)) ?? unsuspicious(store),
      }));
      this.#handle = undefined;
      const opened = process.boot().then(async () => {
        process.pawl.on("*", (event) => program.emitted(event));
        this.#handle = (await process.pawl.start(program.machine, { id: RUN_ID, input: this.#input })) as MachineHandle<AnyStateMachine>;
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
    const strikes = (when: string): boolean => !this.#crashedAt.has(`${when} ${place}`) && this.#crashedAt.add(`${when} ${place}`) !== undefined;
    if ((this.#policy === "before" || this.#policy === "both") && strikes("before")) return this.#struck("crashBefore");
    if ((this.#policy === "after" || this.#policy === "both") && strikes("after")) return this.#struck("crashAfter");
    return undefined;
  }

  #struck(fault: Fault): Fault {
    this.crashes++;
    return fault;
  }

  async send(event: { type: string }): Promise<void> {
    const eventId = `event ${this.#events++}`;
    for (let isDone = false; !isDone;) {
      const process = this.#process;
      let failure: unknown;
      this.#handle!.send(event as never, { eventId }).then(
        () => (isDone = true),
        (error: { code?: string }) => (error.code === "PAWL_RUN_ENDED" || error.code === "PAWL_EVENT_REFUSED" ? (isDone = true) : (failure = error)),
      );
      await this.#clock.settle();
      if (process.isAlive && failure !== undefined) throw failure;
      if (process.isAlive && !isDone) throw new Error(`a send of "${event.type}" hangs`);
      if (!process.isAlive) await this.#live();
    }
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
