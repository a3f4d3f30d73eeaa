/**
 * Whose turn it is to start an attempt: one after the other among the active runs, so that none starves, and new runs
 * become active as others end or rest, in order, so that what was begun is finished first.
 */
import type { Gate } from "./gate.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { Permits } from "./permits.ts";
import { Queue } from "./queue.ts";

/** Does the work in which attempts of the run begin, with what belongs around it. */
export type Grant = (run: HostedRun, work: () => void) => void;

/** Runs among which attempts are dealt out; more only when more attempts may run. */
const ACTIVE_RUNS_MAX = 100;

export class Turns {
  readonly #permits: Permits;
  readonly #gate: Gate;
  readonly #active = new Set<HostedRun>();
  readonly #hungry = new Queue<HostedRun>();
  readonly #newcomers = new Queue<HostedRun>();
  readonly #waiting = new Set<HostedRun>();

  constructor(permits: Permits, gate: Gate) {
    this.#permits = permits;
    this.#gate = gate;
  }

  get #activeMax(): number {
    return Math.max(ACTIVE_RUNS_MAX, this.#permits.max);
  }

  /** Is somebody waiting whose turn can come? */
  get isWaitedFor(): boolean {
    return this.#gate.isWaitedFor || this.#hungry.length > 0 || (this.#newcomers.length > 0 && this.#active.size < this.#activeMax);
  }

  /** How many runs wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes at most so many newcomers out, the first in line first; the others keep their order. */
  takeNewcomers(limit: number, isTaken: (run: HostedRun) => boolean): HostedRun[] {
    const taken: HostedRun[] = [];
    for (let left = this.#newcomers.length; left > 0; left--) {
      const run = this.#newcomers.shift()!;
      if (taken.length < limit && isTaken(run) && this.#waiting.delete(run)) taken.push(run);
      else this.#newcomers.push(run);
    }
    return taken;
  }

  /** The run has queued nodes, and is waiting until its turn comes. */
  wants(run: HostedRun): void {
    if (run.queued === 0 || this.#waiting.has(run)) return;
    this.#waiting.add(run);
    (this.#active.has(run) ? this.#hungry : this.#newcomers).push(run);
  }

  /**
   * Deals out what permits are free, one to each run in turn, and in turns with the gate, at most so many; answers how many
   * more it might have dealt. A run whose commit is in flight asks again when that is durable.
   */
  deal(budget: number, isHosted: (run: HostedRun) => boolean, grant: Grant): number {
    const granting: Grant = (run, work) => {
      const { held } = run;
      grant(run, work);
      this.#permits.take(run.held - held);
    };
    let left = budget;
    this.#gate.lookAgain();
    while (this.#permits.isFree && left > 0) {
      const isGated = this.#gate.grantOne(isHosted, granting);
      if (isGated) left--;
      if (!this.#permits.isFree || left === 0) return left;
      const run = this.#next();
      if (run === undefined && !isGated) return left;
      if (run === undefined) continue;
      if (!isHosted(run)) this.rests(run);
      else if (!run.inFlight && run.queued === 0) this.settles(run);
      else if (!run.inFlight) {
        granting(run, () => run.grant());
        left--;
        this.wants(run);
      }
    }
    return left;
  }

  /** The next run, which then no longer waits. */
  #next(): HostedRun | undefined {
    const newcomer = this.#active.size < this.#activeMax ? this.#newcomers.shift() : undefined;
    if (newcomer !== undefined) {
      this.#active.add(newcomer);
      this.#hungry.push(newcomer);
    }
    const run = this.#hungry.shift();
    if (run !== undefined) this.#waiting.delete(run);
    return run;
  }

  /** Its place is free if it waits for no permit and holds none: whatever else it waits for may itself need a place. */
  settles(run: HostedRun): void {
    if (run.queued + run.held === 0) this.rests(run);
  }

  /** The run has ended, left memory, or only waits: its place is free. */
  rests(run: HostedRun): void {
    this.#active.delete(run);
  }
}
