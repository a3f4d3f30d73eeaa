/**
 * Wall time as it was at the start, grown by monotonic time: it never jumps, whatever is done to the wall clock.
 */
import type { Clock } from "../clock.ts";

/** So much a clock may be set back without harm. */
export const CLOCK_TOLERANCE_MS = 1_000;

export class SteadyTime {
  readonly startedAt: number;
  readonly #clock: Clock;
  readonly #monoAtStart: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.startedAt = clock.now();
    this.#monoAtStart = clock.mono();
  }

  now(): number {
    return this.startedAt + this.#clock.mono() - this.#monoAtStart;
  }

  /** The latest instant by the wall clock or by steady time: nothing that waits for either is due later. */
  latest(): number {
    return Math.max(this.#clock.now(), this.now());
  }

  /** When the wall clock was set back, rows go on with steady time, so that whoever reads them later sees that it was. */
  dated<Dated extends { readonly at: number }>(row: Dated): Dated {
    const steady = Math.floor(this.now());
    return steady > row.at + CLOCK_TOLERANCE_MS ? { ...row, at: steady } : row;
  }
}
