/**
 * Runs that only wait stay a while in memory, where it costs less to go on; then they leave, the longest idle first.
 */
import type { Clock } from "../clock.ts";
import type { HostedRun } from "./hosted-run.ts";

/** How long a run that only waits stays in memory, and how many of them. */
const IDLE_MS = 1_000;
const IDLE_MAX = 5_000;

export class IdleRuns {
  readonly #clock: Clock;
  readonly #leaves: (run: HostedRun) => void;
  /** With the instant since when, the longest idle first. */
  readonly #since = new Map<HostedRun, number>();
  #cancel: (() => void) | undefined;

  /** `leaves` is told of each whose time is over; it may find that the run works again. */
  constructor(clock: Clock, leaves: (run: HostedRun) => void) {
    this.#clock = clock;
    this.#leaves = leaves;
  }

  add(run: HostedRun): void {
    this.#since.delete(run);
    this.#since.set(run, this.#clock.mono());
    if (this.#since.size > IDLE_MAX) this.#letFirstLeave();
    this.#cancel ??= this.#clock.after(IDLE_MS, () => this.#sweep());
  }

  delete(run: HostedRun): void {
    this.#since.delete(run);
  }

  clear(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#since.clear();
  }

  #sweep(): void {
    this.#cancel = undefined;
    const before = this.#clock.mono() - IDLE_MS;
    for (const [, since] of this.#since) {
      if (since > before) break;
      this.#letFirstLeave();
    }
    if (this.#since.size > 0) this.#cancel = this.#clock.after(IDLE_MS, () => this.#sweep());
  }

  #letFirstLeave(): void {
    const [run] = this.#since.keys();
    this.#since.delete(run!);
    this.#leaves(run!);
  }
}
