/**
 * Runs that only wait stay a while in memory, where it costs less to go on; then they leave, the longest idle first.
 */
import type { Clock } from "../clock.ts";
import type { HostedRun } from "./hosted-run.ts";

/** A run that only waits leaves memory when it will wait longer than this. */
export const PASSIVE_AFTER_MS = 5_000;
/** How long a run that only waits stays in memory, and how many of them. */
const IDLE_MS = 1_000;
const IDLE_MAX = 5_000;

export class IdleRuns {
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #leaves: (run: HostedRun) => void;
  /** With the instant since when, the longest idle first. */
  readonly #since = new Map<HostedRun, number>();
  #cancel: (() => void) | undefined;

  readonly #kept = new WeakSet<HostedRun>();

  /** `now` is the latest instant by any clock; `leaves` is told of each whose time is over. */
  constructor(clock: Clock, now: () => number, leaves: (run: HostedRun) => void) {
    this.#clock = clock;
    this.#now = now;
    this.#leaves = leaves;
  }

  /** Answers whether the run only waits, and long enough. */
  add(run: HostedRun): boolean {
    if (!this.#mayLeave(run)) return false;
    this.#since.delete(run);
    this.#since.set(run, this.#clock.mono());
    if (this.#since.size > IDLE_MAX) this.#letFirstLeave();
    this.#cancel ??= this.#clock.after(IDLE_MS, () => this.#sweep());
    return true;
  }

  #mayLeave(run: HostedRun): boolean {
    if (this.#kept.has(run) || run.inFlight || run.isDirty || run.hasWork || run.wakeAt === null) return false;
    return run.wakeAt - this.#now() > PASSIVE_AFTER_MS;
  }

  /** It stays until `unkeep`. */
  keep(run: HostedRun): void {
    this.#kept.add(run);
  }

  unkeep(run: HostedRun): void {
    this.#kept.delete(run);
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
    if (this.#mayLeave(run!)) this.#leaves(run!);
  }
}
