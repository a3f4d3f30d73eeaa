/**
 * The steady time of other workers, as it would be here: a worker's clock may have been set since another one began, and
 * lengths in rows count from instants of whoever wrote them. What was heard of a worker is known when it is gone, too.
 */
import { CLOCK_TOLERANCE_MS } from "./steady-time.ts";

/** Workers whose time is another than here; those that were heard of first are forgotten. */
const KEPT_MAX = 1_000;

export class PeerTimes {
  readonly #now: () => number;
  /** By their epochs, what is added to an instant of theirs: at most so much, as far as was heard. */
  readonly #lags = new Map<number, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get now(): number {
    return this.#now();
  }

  /**
   * It says that it is this instant there. Unless it says so just now, it may have been a while ago: then it is only known
   * whether its time is later than here.
   */
  hears(epoch: number, at: number, isNew: boolean): void {
    const lagMs = Math.min(this.#now() - at, this.#lags.get(epoch) ?? Infinity);
    if (!isNew && lagMs >= 0) return;
    this.#lags.set(epoch, lagMs);
    for (const oldest of this.#lags.keys())
      if (this.#lags.size > KEPT_MAX) this.#lags.delete(oldest);
      else return;
  }

  /** What is added to an instant that this worker wrote, in ms; less than 0 when its time is later. 0 when it is little, or not known. */
  lagOf(epoch: number | undefined): number {
    const lagMs = (epoch === undefined ? undefined : this.#lags.get(epoch)) ?? 0;
    return Math.abs(lagMs) <= CLOCK_TOLERANCE_MS ? 0 : Math.round(lagMs);
  }
}
