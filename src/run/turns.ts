/**
 * Whose turn it is to start an attempt: one after the other among the runs that have a place, so that none starves; and
 * which run begins, as others end or have only to wait.
 */
import type { Gate } from "./gate.ts";
import type { HostedRun } from "./hosted-run.ts";
import { type Permits, checkedAttempts } from "./permits.ts";
import { Places } from "./places.ts";
import { Queue } from "./queue.ts";
import type { StandAside } from "./stand-aside.ts";

/** Does the work in which attempts of the run begin, with what belongs around it. */
export type Grant = (run: HostedRun, work: () => void) => void;

/** What of a process can be changed while it runs. */
export interface ChangeOptions {
  /** Attempts that run at the same time. */
  readonly maxConcurrentAttempts?: number | undefined;
  /** Runs that are worked on at the same time. */
  readonly maxActiveRuns?: number | undefined;
}

/** Runs that wait in a worker for their turn: it claims more when some got theirs, and others may have room for those beyond. */
const WAITING_MAX = 100;

export class Turns {
  readonly places: Places;
  readonly #permits: Permits;
  readonly #gate: Gate;
  readonly #aside: StandAside;
  /** Runs with a place that wait for a permit; also some that have left. */
  readonly #hungry = new Queue<HostedRun>();
  /** Those of which it is the last time that they stand there. */
  readonly #isHungry = new Set<HostedRun>();
  /** Runs with a place that have not begun. */
  readonly #beginners = new Queue<HostedRun>();
  /** Who waits before the gate had the last turn. */
  #hadGate = false;

  /** Throws PAWL_INVALID_VALUE. */
  constructor(permits: Permits, { gate, aside }: { readonly gate: Gate; readonly aside: StandAside }, activeRunsMax?: number) {
    this.#permits = permits;
    this.#gate = gate;
    this.#aside = aside;
    this.places = new Places(permits, activeRunsMax);
  }

  /** What is not named stays as it is. Throws PAWL_INVALID_VALUE: then nothing has changed. */
  change({ maxConcurrentAttempts = this.#permits.max, maxActiveRuns }: ChangeOptions): void {
    const attemptsMax = checkedAttempts(maxConcurrentAttempts);
    if (maxActiveRuns !== undefined) this.places.max = maxActiveRuns;
    this.#permits.max = attemptsMax;
  }

  /** Is somebody waiting whose turn can come? */
  get isWaitedFor(): boolean {
    if (this.#beginners.length > 0 || this.places.isWaitedFor || this.#gate.hasLate) return true;
    return this.#permits.isFree && (this.#gate.isWaitedFor || this.#aside.isAside || this.#hungry.length > 0);
  }

  /** How many runs wait, for a place or for a permit. */
  get waiting(): number {
    return this.places.waiting + this.#isHungry.size;
  }

  /** As many as there are places, and not more than are worth while to keep here. */
  get waitingMax(): number {
    return Math.min(WAITING_MAX, this.places.max);
  }

  /** The run has not begun, or has queued nodes: it waits until its turn comes. */
  wants(run: HostedRun): void {
    if ((run.queued === 0 && run.isPending !== true) || this.#isHungry.has(run) || this.places.isInLine(run)) return;
    if (this.places.has(run)) this.#serve(run);
    else this.places.standInLine(run);
  }

  #serve(run: HostedRun): void {
    if (run.isPending === true) return this.#beginners.push(run);
    this.#isHungry.add(run);
    this.#hungry.push(run);
  }

  /**
   * Gives places to the next in line, and deals out what permits are free, one to each run in turn, and in turns with the gate; does at
   * most so much, and answers how much more it might have done. A run whose commit is in flight asks again when that is durable.
   */
  deal(budget: number, isHosted: (run: HostedRun) => boolean, grant: Grant): number {
    if (this.#permits.isFree) this.#aside.permitIsFree();
    const left = this.#deal(budget, isHosted, grant);
    if (!this.#permits.isFree && this.#gate.waiting > 0) this.#aside.waits();
    return left;
  }

  #deal(budget: number, isHosted: (run: HostedRun) => boolean, grant: Grant): number {
    const granting: Grant = (run, work) => {
      const { held } = run;
      grant(run, work);
      this.#permits.take(run.held - held);
    };
    const gated: Grant = (run, work) => {
      granting(run, work);
      if (isHosted(run)) this.#goesOn(run);
    };
    const passes = (): boolean => this.#gate.grantOne(isHosted, gated);
    const feeds = (): boolean => this.#feedOne(isHosted, granting);
    this.#gate.lookAgain();
    for (let left = budget; ;) {
      left = this.#admit(left, isHosted, grant);
      while (left > 0 && this.#gate.refuseLate(isHosted, gated)) left--;
      if (!this.#permits.isFree || left === 0) return left;
      const [first, second] = this.#hadGate ? [feeds, passes] : [passes, feeds];
      if (first()) this.#hadGate = !this.#hadGate;
      else if (!second()) return left;
      left--;
    }
  }

  /** The next run that waits for a permit has its turn; answers whether there was one. */
  #feedOne(isHosted: (run: HostedRun) => boolean, grant: Grant): boolean {
    const run = this.#nextHungry();
    if (run === undefined) return false;
    if (!isHosted(run)) this.rests(run);
    else if (!run.inFlight) {
      if (run.queued > 0) grant(run, () => run.grant());
      this.wants(run);
      this.settles(run);
    }
    return true;
  }

  /** Whoever has a place begins, or waits for a permit; that needs none. */
  #admit(budget: number, isHosted: (run: HostedRun) => boolean, grant: Grant): number {
    let left = budget;
    while (left > 0) {
      const run = this.#beginners.shift() ?? this.places.admit();
      if (run === undefined) return left;
      if (!isHosted(run)) this.rests(run);
      else if (run.isPending !== true || !run.inFlight) {
        if (run.isPending === true) {
          left--;
          grant(run, () => run.grant());
        }
        this.wants(run);
        this.settles(run);
      }
    }
    return left;
  }

  #nextHungry(): HostedRun | undefined {
    for (let run = this.#hungry.shift(); run !== undefined; run = this.#hungry.shift()) if (this.#isHungry.delete(run)) return run;
    return undefined;
  }

  /** It waited for a limit, and works again. */
  #goesOn(run: HostedRun): void {
    if (run.held === 0 || this.places.has(run)) return;
    this.places.take(run);
    this.wants(run);
  }

  /** Its place is free if it waits for no permit and holds none: whatever else it waits for may itself need a place. */
  settles(run: HostedRun): void {
    if (run.queued + run.held === 0 && run.isPending !== true) this.rests(run);
  }

  /** The run has ended, left memory, or only waits: its place is free. */
  rests(run: HostedRun): void {
    this.#isHungry.delete(run);
    this.places.leave(run);
  }
}
