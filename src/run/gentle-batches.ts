/**
 * Writes that nobody waits for, in small transactions, so that workers on the same store hardly notice.
 * 1. A batch is as large as what takes a few ms, by what the batches before it took.
 * 2. Between two batches there is a rest of many times that, while there are workers to be disturbed.
 */
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { liveWorkers } from "./peers.ts";

/** How long a batch should hold the store; and what of it is believed to be the fsync, which does not grow with the rows. */
const AIM_MS = 5;
const FSYNC_SHARE = 0.8;
/** A worker that finds the store held asks again a moment later: what it loses is more than what a batch takes. */
const RESTS_PER_BATCH = 14;
/** A rest is at least so long: a short batch costs a worker its attempt, too. */
const REST_MIN_MS = 20;
const ROWS_FIRST = 10;
const ROWS_MAX = 2_000;
/** What was measured holds other processes' batches, too: a slow one is believed only so far. */
const SLOWER_MAX = 2;
/** How often it is asked whether there are workers. */
const LOOK_EVERY_MS = 1_000;

/** Takes at most so many rows; answers how many there were. */
export type Batch = (limit: number) => Promise<number>;

export class GentleBatches {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #msPerRow = new Map<string, number>();
  #shortestMs = AIM_MS;
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

  /** One batch of this kind, and the rest after it. Answers how many rows there were. */
  async take(kind: string, batch: Batch): Promise<number> {
    const known = this.#msPerRow.get(kind);
    const limit = known === undefined ? ROWS_FIRST : Math.min(ROWS_MAX, Math.max(1, Math.floor(AIM_MS / known)));
    const startedAt = this.#clock.mono();
    const rows = await batch(limit);
    const tookMs = this.#clock.mono() - startedAt;
    if (rows === 0) return 0;
    this.#shortestMs = Math.min(this.#shortestMs, tookMs);
    const msPerRow = Math.max(AIM_MS / ROWS_MAX, (tookMs - FSYNC_SHARE * this.#shortestMs) / rows);
    this.#msPerRow.set(kind, known === undefined ? msPerRow : Math.min(msPerRow, known * SLOWER_MAX));
    await this.#rest(Math.min(tookMs, SLOWER_MAX * AIM_MS));
    return rows;
  }

  async #rest(tookMs: number): Promise<void> {
    if (await this.#hasWorkers()) await this.#pause(Math.max(REST_MIN_MS, tookMs * RESTS_PER_BATCH));
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
