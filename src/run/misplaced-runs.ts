/**
 * Sleeping runs whose instants a clock has left behind: it was set back since they were written, or they were written by a
 * worker whose time is later. What such a run waits for is a length, perhaps, of which the instant in its row knows nothing:
 * it is loaded to find out. Some are looked at each time, all in turn.
 */
import type { Store } from "../store/store.ts";
import { CLOCK_TOLERANCE_MS, type Worker } from "./worker.ts";

/** Runs looked at each time. */
const SWEEP = 1_000;

export class MisplacedRuns {
  readonly #worker: Worker;
  readonly #store: Store;
  readonly #load: (runId: string) => Promise<unknown>;
  #walkedTo = "";

  constructor(worker: Worker, store: Store, load: (runId: string) => Promise<unknown>) {
    this.#worker = worker;
    this.#store = store;
    this.#load = load;
  }

  async wake(): Promise<void> {
    const worker = this.#worker;
    const walk = (): ReturnType<Store["walkSleepers"]> => worker.attempt(() => this.#store.walkSleepers(this.#walkedTo, SWEEP));
    let { sleepers, last } = await walk();
    if (last === undefined && this.#walkedTo !== "") {
      this.#walkedTo = "";
      ({ sleepers, last } = await walk());
    }
    this.#walkedTo = last ?? "";
    const now = worker.latestNow();
    for (const { id, updatedAt, epoch } of sleepers) if (updatedAt > now + CLOCK_TOLERANCE_MS || worker.lagOf(epoch) < 0) await this.#load(id);
  }
}
