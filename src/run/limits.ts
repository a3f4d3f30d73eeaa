/**
 * The limits that this worker knows, by their resources, agents and tenants: what changed in one is written with the next
 * commits, and what others changed is seen.
 * 1. What the rows say of the use here is at most a second old.
 * 2. A limit that nobody uses here for a minute is given up, and a row that nobody has a share of is deleted; so tenants that
 *    come and go leave nothing behind. What workers had that are gone is swept by whoever is there.
 * 3. What a row of a window says is laid over the time here from when the row is first seen, whoever uses it.
 */
import type { LimitPolicy } from "../define/limits.ts";
import { Limit, TOLD_EVERY_MS } from "./limit.ts";
import { LIMIT_KEY, agentLimitKey, limitKey, readLimitKey } from "./limit-key.ts";
import { type LimitRow, sharesLeft, swept } from "./limit-row.ts";
import { RowTime } from "./row-time.ts";
import type { Change, SharedRows } from "./shared-rows.ts";

/** How long a limit is kept that nobody uses, and how often it is looked for such. */
const IDLE_MS = 60_000;
/** So often others go first before something is granted here. */
const ASIDE_MAX = 2;

interface LimitsSeams {
  readonly shared: SharedRows;
  readonly now: () => number;
  readonly epoch: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** Of this one there may be more. */
  readonly changed: (limit: Limit) => void;
  /** Nobody uses these any more. */
  readonly forgotten: (limits: ReadonlySet<Limit>) => void;
  /** Something is to be written. */
  readonly wantsTick: () => void;
  /** Of this limit so many shares of workers that are gone were taken back. */
  readonly swept: (limit: string, count: number) => void;
}

export class Limits {
  readonly #seams: LimitsSeams;
  readonly #policies: ReadonlyMap<string, LimitPolicy>;
  readonly #limits = new Map<string, Limit>();
  readonly #touched = new Set<Limit>();
  /** Those of which the rows say what is old. */
  readonly #old = new Set<Limit>();
  /** Nobody used them when they were last looked for. */
  #unused = new Set<Limit>();
  /** Rows that are of no limit here, in which there may be something of workers that are gone. */
  #strays = new Set<string>();
  /** Of rows of windows: by how much their instants are others than here. */
  readonly #times = new Map<string, RowTime>();
  #isThere = false;
  #isFreed = false;
  #areAside = false;
  #cancelTelling: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;

  /** Was it said at all what is limited? */
  readonly areGiven: boolean;

  constructor(policies: readonly LimitPolicy[] | undefined, seams: LimitsSeams) {
    this.#seams = seams;
    this.areGiven = policies !== undefined;
    this.#policies = new Map((policies ?? []).map((policy) => [policy.name, policy]));
    seams.shared.onChange((key) => {
      const limit = this.#limits.get(key);
      if (limit === undefined) return this.#seeTime(key);
      limit.see(seams.shared.get(key) as LimitRow | undefined);
      this.touch(limit);
      seams.changed(limit);
    });
  }

  /** What was there before is known: from now on what is new was written just now. */
  begin(): void {
    this.#isThere = true;
  }

  get policies(): readonly LimitPolicy[] {
    return [...this.#policies.values()];
  }

  get all(): ReadonlyMap<string, Limit> {
    return this.#limits;
  }

  /** undefined when this resource is not limited. */
  of(resource: string, tenant: string | undefined): Limit | undefined {
    const policy = this.#policies.get(resource);
    return policy === undefined ? undefined : this.#limit(limitKey(policy, tenant), policy);
  }

  ofAgent(name: string, max: number): Limit {
    return this.#limit(agentLimitKey(name), { name, max, perMs: undefined, isPerTenant: false });
  }

  #limit(key: string, policy: LimitPolicy): Limit {
    const known = this.#limits.get(key);
    if (known !== undefined) return known;
    const limit = new Limit(key, policy, this.#seams, this.#timeOf(key));
    limit.see(this.#seams.shared.get(key) as LimitRow | undefined);
    this.#limits.set(key, limit);
    this.#sweepLater();
    return limit;
  }

  #timeOf(key: string): RowTime {
    const known = this.#times.get(key);
    if (known !== undefined) return known;
    const time = new RowTime(this.#seams.now);
    if (this.#isThere) time.seeShares({});
    this.#times.set(key, time);
    return time;
  }

  /** Of a row that is of no limit here. */
  #seeTime(key: string): void {
    if (!key.startsWith(LIMIT_KEY)) return;
    const row = this.#seams.shared.get(key) as LimitRow | undefined;
    if (row === undefined) this.#times.delete(key);
    else if (row.says.perMs !== undefined) this.#timeOf(key).sees(row);
  }

  /** What is used or wanted of it has changed. */
  touch(limit: Limit): void {
    this.#touched.add(limit);
  }

  /** Nothing can be granted here: of what others want, too, nothing is wanted here until `comeBack`. */
  standAside(): void {
    this.#areAside = true;
    for (const limit of this.#limits.values()) if (limit.isContended) this.touch(limit);
  }

  comeBack(): void {
    if (!this.#areAside) return;
    this.#areAside = false;
    for (const limit of this.#limits.values()) {
      if (limit.isAside) this.touch(limit);
      limit.isAside = false;
    }
  }

  get areAside(): boolean {
    return this.#areAside;
  }

  /** Says what is to be written now. */
  review(): void {
    if (this.#isFreed) this.#sweepStrays();
    const touched = this.#isFreed ? this.#limits.values() : this.#touched;
    for (const limit of touched) {
      if (this.#areAside) stepAside(limit);
      if (limit.review(this.#isFreed)) this.#write(limit);
      else if (limit.isOld(0)) this.#tellLater(limit);
    }
    this.#touched.clear();
    this.#isFreed = false;
  }

  #write(limit: Limit): void {
    this.#change(limit.key, limit.change(), (isWritten) => this.#asked(limit, isWritten));
  }

  #asked(limit: Limit, isWritten: boolean): void {
    limit.asked(this.#seams.shared.get(limit.key) as LimitRow | undefined);
    // others took this worker for dead: it will hear of that, and asks for nothing until then
    if (!isWritten) return;
    this.touch(limit);
    this.#seams.changed(limit);
  }

  /** Changes the row, and counts what is taken back with it. */
  #change(key: string, change: Change<LimitRow>, done: (isWritten: boolean) => void): void {
    const { shared } = this.#seams;
    let taken = 0;
    // counted once, however often the rest is said
    shared.change<LimitRow>(key, (row, isOpen) => {
      taken = row === undefined ? 0 : sharesLeft(row, isOpen);
      return row;
    });
    shared.restate(key, change, (isWritten) => {
      if (isWritten && taken > 0) this.#seams.swept(readLimitKey(key).name, taken);
      done(isWritten);
    });
  }

  /** Settled when the rows say what is used of these now; undefined when they do. Never settled if they never will. */
  written(limits: readonly Limit[]): Promise<unknown> | undefined {
    const unwritten = limits.filter(({ isUnwritten }) => isUnwritten);
    const { shared } = this.#seams;
    // what is said of it goes with the next write, and so does this
    const told = ({ key }: Limit): Promise<void> =>
      new Promise((resolve) =>
        shared.change<LimitRow>(
          key,
          (row) => row,
          () => resolve(),
        ),
      );
    return unwritten.length === 0 ? undefined : Promise.all(unwritten.map(told));
  }

  /** Another worker is gone: what it held is free. */
  freed(): void {
    this.#isFreed = true;
    for (const key of this.#seams.shared.keys) if (key.startsWith(LIMIT_KEY)) this.#strays.add(key);
  }

  /** This worker has another epoch. */
  lost(): void {
    this.#touched.clear();
    for (const limit of this.#limits.values()) limit.lost();
  }

  stop(): void {
    this.#cancelTelling?.();
    this.#cancelSweep?.();
  }

  // ---- what the rows say of the use here

  #tellLater(limit: Limit): void {
    this.#old.add(limit);
    this.#cancelTelling ??= this.#seams.after(TOLD_EVERY_MS, () => {
      this.#cancelTelling = undefined;
      for (const old of this.#old) this.touch(old);
      this.#old.clear();
      this.#seams.wantsTick();
    });
  }

  // ---- what nobody uses any more

  #sweepLater(): void {
    if (this.#limits.size + this.#strays.size === 0) return;
    this.#cancelSweep ??= this.#seams.after(IDLE_MS, () => {
      this.#cancelSweep = undefined;
      this.#sweep();
      this.#sweepLater();
    });
  }

  #sweep(): void {
    const idle = [...this.#limits.values()].filter(({ isIdle }) => isIdle);
    const forgotten = new Set<Limit>();
    for (const limit of idle) {
      if (!this.#unused.has(limit)) continue;
      if (limit.isShared) this.#leave(limit);
      else forgotten.add(limit);
    }
    this.#unused = new Set(idle);
    for (const limit of forgotten) this.#forget(limit);
    if (forgotten.size > 0) this.#seams.forgotten(forgotten);
    this.#sweepStrays();
    this.#seams.wantsTick();
  }

  #leave(limit: Limit): void {
    if (limit.leave()) this.#write(limit);
  }

  #forget(limit: Limit): void {
    this.#limits.delete(limit.key);
    this.#touched.delete(limit);
    this.#old.delete(limit);
    this.#unused.delete(limit);
    if (this.#seams.shared.get(limit.key) !== undefined) this.#strays.add(limit.key);
    else this.#times.delete(limit.key);
  }

  #sweepStrays(): void {
    const { shared } = this.#seams;
    const strays = [...this.#strays];
    this.#strays = new Set();
    for (const key of strays) {
      const row = shared.get(key) as LimitRow | undefined;
      if (row === undefined || this.#limits.has(key)) continue;
      this.#change(
        key,
        (found, isOpen) => found && swept(found, isOpen, this.#timeOf(key)),
        () => this.#stray(key),
      );
    }
  }

  /** What a worker that is gone used of a window counts until that is over. */
  #stray(key: string): void {
    const row = this.#seams.shared.get(key) as LimitRow | undefined;
    if (row === undefined || !Object.values(row.shares).some(({ isGone }) => isGone)) return;
    this.#strays.add(key);
    this.#sweepLater();
  }
}

function stepAside(limit: Limit): void {
  if (limit.isAside || !limit.isContended || limit.want === 0 || limit.asides >= ASIDE_MAX) return;
  limit.isAside = true;
  limit.asides++;
}
