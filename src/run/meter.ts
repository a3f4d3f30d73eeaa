/**
 * Measures the time in which a run could work, for its timeout and those of its stages: not while it only waits, not while no worker has it.
 */
import type { Clock } from "../clock.ts";

export class WorkMeter {
  readonly #clock: Clock;
  #workedMs: number;
  #since: number | undefined;
  #cancelTimer: (() => void) | undefined;
  #armedMs: number | undefined;

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

  /** Calls back when so much time was worked, unless it stands still before, or is armed for another. */
  arm(alarmMs: number, callback: (workedMs: number) => void): void {
    if (this.#since === undefined || alarmMs === this.#armedMs) return;
    this.disarm();
    this.#armedMs = alarmMs;
    this.#cancelTimer = this.#clock.after(Math.max(0, alarmMs - this.workedMs), () => callback(alarmMs));
  }

  disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#armedMs = undefined;
  }
}
