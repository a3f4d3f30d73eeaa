/**
 * A machine under simulated time, with one store in memory, on which processes live and die one after the other.
 */
import type { Pawl, Startable } from "../index.ts";
import { MemoryStore } from "../store/memory.ts";
import { type Fault, SimProcess } from "./simulated-process.ts";
import { StepClock } from "./step-clock.ts";

export interface SimulationOptions {
  /** Workflows and machines that each process knows. */
  readonly workflows?: readonly Startable[];
  /** Attempts that run at the same time. Default 100. */
  readonly maxConcurrentAttempts?: number;
  /** Where jitter and new ids come from. Default 1. */
  readonly seed?: number;
}

export interface BootOptions {
  /** What happens to the n-th commit of this process, counted from 1; those of one moment count as one. Default: nothing. */
  readonly fault?: (commit: number) => Fault | undefined;
  /** Workflows and machines of this process, when they are others: for a new version of a program. */
  readonly workflows?: readonly Startable[];
}

/**
 * Plays crashes. Time stands still but for `advance` and `settled`, and what a dead process still does is not heard.
 *
 * @example
 * ```ts
 * const simulation = new Simulation({ workflows: [research] });
 * const pawl = await simulation.boot({ fault: (commit) => (commit === 2 ? 'crashBefore' : undefined) });
 * await pawl.start(research, { id: 'r-1', input: { topic: 'ratchets' } });
 * await simulation.settle(); // the process is dead now
 * const run = await (await simulation.boot()).run('r-1', research);
 * console.log(await simulation.settled(run.result()));
 * ```
 */
export class Simulation {
  readonly clock = new StepClock();
  readonly #options: SimulationOptions;
  readonly #store = new MemoryStore();
  #process: SimProcess | undefined;
  #boots = 0;

  constructor(options: SimulationOptions = {}) {
    this.#options = options;
  }

  /** A new process, which takes up what the last one left; that one is killed if it still lives. */
  async boot({ fault, workflows = this.#options.workflows ?? [] }: BootOptions = {}): Promise<Pawl> {
    this.kill();
    const { maxConcurrentAttempts, seed = 1 } = this.#options;
    const process = (this.#process = new SimProcess({
      clock: this.clock,
      store: this.#store,
      seed: seed + this.#boots++,
      workflows,
      ...(maxConcurrentAttempts !== undefined && { maxConcurrentAttempts }),
      ...(fault !== undefined && { fault: (group) => fault(group) }),
    }));
    await this.settled(process.boot());
    return process.pawl;
  }

  /** The process is gone at once, as by `kill -9` or a power cut. */
  kill(): void {
    if (this.isAlive) this.#process?.kill();
  }

  get isAlive(): boolean {
    return this.#process?.isAlive ?? false;
  }

  /** Commits of the present process that reached the store; those of one moment count as one. */
  get commits(): number {
    return this.#process?.commits ?? 0;
  }

  /** Time passes until the promise settles; answers or throws as it does. Throws when it never will, or not within a day. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const watched = promise.finally(() => (isSettled = true));
    watched.catch(() => {});
    await this.clock.until(() => isSettled);
    return watched;
  }

  /** So many ms pass, and all that is due in them happens. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.clock.settle();
  }

  /** No time passes; all that needs none is done. */
  settle(): Promise<void> {
    return this.clock.settle();
  }
}
