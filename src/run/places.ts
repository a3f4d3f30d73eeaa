/**
 * Places: how many runs are worked on at the same time in this worker, and who is next.
 * 1. A run has a place while an attempt of it runs, or could; not while it only waits, for an event, a timer, a limit or
 * runs of its own. So nobody waits for a place that is kept by who waits for him. 2. Who waited before the gate of a limit
 * goes on when it is his turn there: those may be more than there are places, and nobody begins until there are fewer.
 * 3. In line the greater priority comes first; each minute since the run was created counts as one more, so that what was
 * begun is finished first. A run that another one waits for stands where that one would.
 */
import { PawlError } from "../errors.ts";
import { rankOf } from "./flow.ts";
import { Heap } from "./heap.ts";
import type { HostedRun } from "./hosted-run.ts";
import { NO_LANE } from "./lane.ts";
import type { Permits } from "./permits.ts";

/** Runs that are worked on at the same time in one worker; more when more attempts may run. */
const ACTIVE_RUNS_MAX = 100;

/** That a run waits. Of one that has left the line since it is not the run's last. */
interface Ticket {
  readonly run: HostedRun;
  readonly rank: number;
}

export class Places {
  readonly #permits: Permits;
  readonly #taken = new Set<HostedRun>();
  readonly #line = new Heap<Ticket>((ticket) => !this.#isLast(ticket));
  readonly #tickets = new Map<HostedRun, Ticket>();
  readonly #since = new WeakMap<HostedRun, number>();
  #given: number | undefined;

  /** Throws PAWL_INVALID_VALUE. */
  constructor(permits: Permits, max?: number) {
    this.#permits = permits;
    this.max = max;
  }

  get max(): number {
    return this.#given ?? Math.max(ACTIVE_RUNS_MAX, this.#permits.max);
  }

  /** undefined: as many as by default. Throws PAWL_INVALID_VALUE. */
  set max(max: number | undefined) {
    if (max !== undefined && !(Number.isInteger(max) && max >= 1))
      throw new PawlError("PAWL_INVALID_VALUE", { message: `maxActiveRuns is ${max}, but must be a whole number of at least 1` });
    this.#given = max;
  }

  get taken(): number {
    return this.#taken.size;
  }

  /** How many stand in line. */
  get waiting(): number {
    return this.#tickets.size;
  }

  get isWaitedFor(): boolean {
    return this.#tickets.size > 0 && this.#taken.size < this.max;
  }

  has(run: HostedRun): boolean {
    return this.#taken.has(run);
  }

  isInLine(run: HostedRun): boolean {
    return this.#tickets.has(run);
  }

  /** The run was created then, in ms since 1970; `parent` waits for it, if it is here. */
  came(run: HostedRun, createdAt: number, parent: HostedRun | undefined): void {
    this.#since.set(run, Math.min(createdAt, (parent && this.#since.get(parent)) ?? createdAt));
  }

  /** Where it stands, here and among runs that are nobody's: less is sooner. */
  rankOf(run: HostedRun): number {
    return rankOf({ lane: run.lane ?? NO_LANE }, { since: this.#since.get(run) ?? 0 });
  }

  standInLine(run: HostedRun): void {
    const ticket = { run, rank: this.rankOf(run) };
    this.#tickets.set(run, ticket);
    this.#line.push(ticket, ticket.rank);
  }

  /** The next in line has a place now; undefined when there is none, or nobody waits. */
  admit(): HostedRun | undefined {
    if (this.#taken.size >= this.max) return undefined;
    const run = this.#first();
    if (run !== undefined) this.take(run);
    return run;
  }

  #first(): HostedRun | undefined {
    for (let ticket = this.#line.pop(); ticket !== undefined; ticket = this.#line.pop()) if (this.#isLast(ticket)) return ticket.run;
    return undefined;
  }

  #isLast(ticket: Ticket): boolean {
    return this.#tickets.get(ticket.run) === ticket;
  }

  /** The run has a place, whether there is one or not. */
  take(run: HostedRun): void {
    this.#tickets.delete(run);
    this.#taken.add(run);
  }

  /** Its place is free, and it stands in line no longer. */
  leave(run: HostedRun): void {
    this.#tickets.delete(run);
    this.#taken.delete(run);
  }

  /** Takes at most so many out of the line, the first first; the others keep their order. */
  takeFromLine(limit: number, isTaken: (run: HostedRun) => boolean): HostedRun[] {
    const taken: HostedRun[] = [];
    const left: HostedRun[] = [];
    for (let run = limit > 0 ? this.#first() : undefined; run !== undefined; run = taken.length < limit ? this.#first() : undefined) {
      this.#tickets.delete(run);
      (isTaken(run) ? taken : left).push(run);
    }
    for (const run of left) this.standInLine(run);
    return taken;
  }
}
