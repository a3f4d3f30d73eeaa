/**
 * Measures the time in which a run could work, for its timeout: not while it only waits, not while no worker has it.
 */
import type { Clock } from "../clock.ts";

export class WorkMeter {
  readonly #clock: Clock;
  #workedMs: number;
  #since: number | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock, workedMs: number) {
    this.#clock = clock;
    this.#workedMs = workedMs;
  }

  /** So far, in ms. */
  get workedMs(): number {
    return Math.round(this.#workedMs + (this.#since === undefined ? 0 : this.#clock.mono() - this.#since));
  }

  /** Goes or stands still from now on. */
  set working(working: boolean) {
    if (working === (this.#since !== undefined)) return;
    if (working) this.#since = this.#clock.mono();
    else {
      this.#workedMs = this.workedMs;
      this.#since = undefined;
      this.disarm();
    }
  }

  /** Calls back when so much time was worked, unless it stands still before. */
  arm(timeoutMs: number, callback: () => void): void {
    if (this.#since === undefined || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#clock.after(Math.max(0, timeoutMs - this.workedMs), callback);
  }

  disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
