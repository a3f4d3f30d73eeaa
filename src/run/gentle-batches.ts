/**
 * Writes that nobody waits for, in small transactions with rests between them, so that workers on the same store hardly
 * notice. How much goes into a batch is the store's to decide: it alone knows for how long it is held, without the time
 * that it waits for others.
 */
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { liveWorkers } from "./peers.ts";

/**
 * A batch holds the store for some 5 ms, and a worker that finds it held asks again a moment later. The rest is so many
 * times what the batch took with its waits, so that the worker keeps more than nine tenths of its rate, also on a machine
 * that has too much to do.
 */
const RESTS_PER_BATCH = 12;
const REST_MIN_MS = 60;
const REST_MAX_MS = 300;
const ROWS_MAX = 1_000;
/** How often it is asked whether there are workers that could be disturbed. */
const LOOK_EVERY_MS = 1_000;

export class GentleBatches {
  readonly #store: Store;
  readonly #clock: Clock;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isAlone = false;
  #endRest: (() => void) | undefined;
  #isStopped = false;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Nothing more is done after the batch that is under way. */
  stop(): void {
    this.#isStopped = true;
    this.#endRest?.();
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** One batch, and the rest after it. Answers how many rows there were. */
  async take(batch: (limit: number) => Promise<number>): Promise<number> {
    const startedAt = this.#clock.mono();
    const rows = await batch(ROWS_MAX);
    if (rows > 0) await this.#rest(this.#clock.mono() - startedAt);
    return rows;
  }

  async #rest(tookMs: number): Promise<void> {
    if (await this.#hasWorkers()) await this.#pause(Math.min(REST_MAX_MS, Math.max(REST_MIN_MS, tookMs * RESTS_PER_BATCH)));
    else await new Promise<void>((resolve) => this.#clock.soon(resolve));
  }

  async #hasWorkers(): Promise<boolean> {
    if (this.#clock.mono() - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#isAlone = (await liveWorkers(this.#store)).length === 0;
      this.#lookedAt = this.#clock.mono();
    }
    return !this.#isAlone;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#endRest = () => (cancel(), resolve());
      if (this.#isStopped) this.#endRest();
    });
  }
}
