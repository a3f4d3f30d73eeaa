/**
 * Drives a machine through pawl, and at one point goes on with a fork of the run: the old run is as if it had never been
 * anywhere else.
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import { fork } from "../../src/run/fork.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { CASCADE_KEY } from "../../src/run/row.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import { SimClock } from "./clock.ts";
import { SimProcess } from "./process.ts";
import type { DurableDriver, Program } from "./statechart-trace.ts";

/** How long nobody does anything before the fork is made. */
const REST_MS = 12_340;

export class ForkingDriver implements DurableDriver {
  readonly crashes = 0;
  readonly #clock = new SimClock();
  readonly #store = new MemoryStore();
  readonly #forkBefore: number;
  readonly #isAmidCascade: boolean;
  #moves = 0;
  #id = "run";
  #boot!: () => Program;
  #process!: SimProcess;
  #handle!: MachineHandle<AnyStateMachine>;
  #snapshot: AnyMachineSnapshot | undefined;
  /** The run was forked. */
  hasForked = false;

  /** The fork is made before this send or tick; from a commit amid a cascade, if there is one, or from the newest. */
  constructor(forkBefore: number, isAmidCascade = false) {
    this.#forkBefore = forkBefore;
    this.#isAmidCascade = isAmidCascade;
  }

  async start(boot: () => Program, input: unknown): Promise<void> {
    this.#boot = boot;
    await this.#live((process, machine) => process.pawl.start(machine, { id: this.#id, input }));
  }

  async #live(find: (process: SimProcess, machine: AnyStateMachine) => Promise<MachineHandle<AnyStateMachine>>): Promise<void> {
    const program = this.#boot();
    const options = { clock: this.#clock, store: this.#store, seed: 1, workflows: [program.machine], logged: (message: string) => program.log(message) };
    const process = (this.#process = new SimProcess(options));
    let handle: MachineHandle<AnyStateMachine> | undefined;
    let failure: unknown;
    const opened = process.boot().then(async () => {
      process.pawl.on("*", (event, { commitNo }) => (commitNo === undefined ? program.emitted(event) : undefined));
      handle = await find(process, program.machine);
    });
    opened.catch((error: unknown) => (failure = error));
    await this.#clock.settle();
    if (handle === undefined) throw failure ?? new Error("a start hangs");
    this.#handle = handle;
  }

  async #move(): Promise<void> {
    if (this.#moves++ !== this.#forkBefore) return;
    const from = await this.#chosenCommit();
    if (from === undefined) return;
    const [entry] = await this.#store.readHistory(this.#id, from - 1, 1);
    const waitedMs = this.#clock.now() - entry!.at;
    this.#process.kill();
    await this.#clock.advance(REST_MS);
    const { id } = await fork({ store: this.#store, clock: this.#clock, random: seededRandom(1) }, this.#id, { from });
    // nobody goes on with the old run
    this.#store.tamper(this.#id, ({ run }) => Object.assign(run, { finished: true }));
    this.#id = id;
    await this.#live((process, machine) => process.pawl.run(id, machine) as never);
    this.hasForked = true;
    await this.#clock.advance(waitedMs);
    await this.settled();
  }

  /** Undefined when there is none, or the machine had ended. */
  async #chosenCommit(): Promise<number | undefined> {
    const { commitNo, status } = (await this.#store.readRun(this.#id))!;
    if (status !== "running") return undefined;
    if (!this.#isAmidCascade) return commitNo;
    const [cascade] = ((await this.#store.readPast(this.#id, commitNo - 1)) ?? []).filter(({ key }) => key === CASCADE_KEY);
    return cascade === undefined ? undefined : commitNo - 1;
  }

  async send(event: { type: string }): Promise<void> {
    await this.#move();
    let failure: { code?: string } | undefined;
    this.#handle.send(event as never).catch((error: { code?: string }) => (failure = error));
    await this.#clock.settle();
    if (failure !== undefined && failure.code !== "PAWL_RUN_ENDED" && failure.code !== "PAWL_EVENT_REFUSED") throw failure as Error;
  }

  async advance(ms: number): Promise<void> {
    await this.#move();
    await this.#clock.advance(ms);
    await this.settled();
  }

  async settled(): Promise<void> {
    await this.#clock.settle();
    this.#snapshot = (await this.#handle.snapshot()) as AnyMachineSnapshot;
    await this.#clock.settle();
  }

  snapshot(): AnyMachineSnapshot | undefined {
    return this.#snapshot;
  }

  async end(): Promise<void> {
    this.#process.kill();
  }
}
