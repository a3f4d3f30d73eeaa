/**
 * Whose turn it is to start an attempt: one after the other among the active runs, so that none starves, and new runs
 * become active as others end or rest, in order, so that what was begun is finished first.
 */
import type { HostedRun } from "./hosted-run.ts";
import { Queue } from "./queue.ts";

/** Runs among which attempts are dealt out; more only when more attempts may run. */
const ACTIVE_RUNS_MAX = 100;

export class Turns {
  readonly #permits: { readonly max: number };
  readonly #active = new Set<HostedRun>();
  readonly #hungry = new Queue<HostedRun>();
  readonly #newcomers = new Queue<HostedRun>();
  readonly #waiting = new Set<HostedRun>();

  constructor(permits: { readonly max: number }) {
    this.#permits = permits;
  }

  get #activeMax(): number {
    return Math.max(ACTIVE_RUNS_MAX, this.#permits.max);
  }

  /** Is somebody waiting whose turn can come? */
  get isWaitedFor(): boolean {
    return this.#hungry.length > 0 || (this.#newcomers.length > 0 && this.#active.size < this.#activeMax);
  }

  /** How many runs wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many of those that wait have not begun to work here. */
  get newcomers(): number {
    return this.#newcomers.length;
  }

  /** Takes at most so many newcomers out, the first in line first. */
  takeNewcomers(limit: number): HostedRun[] {
    const taken: HostedRun[] = [];
    for (let run = limit > 0 ? this.#newcomers.shift() : undefined; run !== undefined; run = taken.length < limit ? this.#newcomers.shift() : undefined) {
      this.#waiting.delete(run);
      taken.push(run);
    }
    return taken;
  }

  /** The run has queued nodes, and is waiting until its turn comes. */
  wants(run: HostedRun): void {
    if (run.queued === 0 || this.#waiting.has(run)) return;
    this.#waiting.add(run);
    (this.#active.has(run) ? this.#hungry : this.#newcomers).push(run);
  }

  /** The next run, which then no longer waits. */
  next(): HostedRun | undefined {
    const newcomer = this.#active.size < this.#activeMax ? this.#newcomers.shift() : undefined;
    if (newcomer !== undefined) {
      this.#active.add(newcomer);
      this.#hungry.push(newcomer);
    }
    const run = this.#hungry.shift();
    if (run !== undefined) this.#waiting.delete(run);
    return run;
  }

  /** The run has ended, left memory, or only waits: its place is free. */
  rests(run: HostedRun): void {
    this.#active.delete(run);
  }
}
