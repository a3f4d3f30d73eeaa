/**
 * One limit, as one worker has it: a share of what all workers together may use.
 * 1. The shares of all workers, which stand in one row, are together never more than the limit; a worker uses no more than
 *    its share. So no message is needed to start an attempt.
 * 2. A worker keeps all that is free while nobody else wants any; else each has its fair part, and whose turn it is gets at
 *    least what its next attempt needs.
 * 3. A share is lowered here before it is written, and raised after: nobody else counts on what is in use.
 * 4. Of a worker that is gone nothing is held any more, but what it used of a window counts until that is over.
 */
import type { LimitPolicy } from "../define/limits.ts";
import { WindowUse, type WindowUseRow, nextExpiryOf, usedStill } from "./window-use.ts";

export interface ShareRow {
  readonly share: number;
  /** What it uses now, and what waits for more. */
  readonly use: number;
  readonly want: number;
  /** What the first that waits needs. */
  readonly head: number;
  readonly used?: WindowUseRow;
  /** Its worker is gone: only what it used of a window counts. */
  readonly isGone?: true;
}

export interface LimitRow {
  /** Set by an operator, in the place of what the code says. */
  readonly max?: number;
  /** Whose turn it is to have what its next attempt needs. */
  readonly turn?: number;
  readonly shares: Readonly<Record<string, ShareRow>>;
}

interface LimitSeams {
  readonly now: () => number;
  readonly epoch: () => number;
}

export class Limit {
  readonly key: string;
  readonly #policy: LimitPolicy;
  readonly #seams: LimitSeams;
  readonly #window: WindowUse | undefined;
  #row: LimitRow = { shares: {} };
  /** It may use so much. */
  #cap = 0;
  #held = 0;
  /** What waits, and what the first of it needs. */
  #want = 0;
  head = 0;
  /** A change is on its way. */
  #isAsking = false;
  /** What was used of the window, or whose turn it is, has changed since it was written. */
  #isUnwritten = false;
  #passesTurn = false;

  constructor(key: string, policy: LimitPolicy, seams: LimitSeams) {
    this.key = key;
    this.#policy = policy;
    this.#seams = seams;
    this.#window = policy.perMs === undefined ? undefined : new WindowUse(policy.perMs);
  }

  get max(): number {
    return this.#row.max ?? this.#policy.max;
  }

  get resource(): string {
    return this.#policy.name;
  }

  get perMs(): number | undefined {
    return this.#policy.perMs;
  }

  get want(): number {
    return this.#want;
  }

  get share(): number {
    return this.#cap;
  }

  inUse(): number {
    return this.#window?.sum(this.#seams.now()) ?? this.#held;
  }

  /** Is there so much? What is more than its part is left to those that want it. */
  has(amount: number): boolean {
    const inUse = this.inUse();
    return inUse + amount <= this.#cap && (!this.#othersWant || inUse + amount <= this.#part);
  }

  /** Takes what `has` said is there; answers what corrects or returns it. */
  take(amount: number): Taken {
    this.#passesTurn ||= this.#row.turn === this.#id && this.#othersWant;
    if (this.#window === undefined) this.#held += amount;
    else {
      this.#window.add(amount, this.#seams.now());
      this.#isUnwritten = true;
    }
    return { limit: this, amount, at: this.#seams.now() };
  }

  /** The attempt has ended. */
  giveBack(taken: Taken): void {
    if (this.#window === undefined) this.#held -= taken.amount;
  }

  /** It used so much instead. Answers what is taken from now on. */
  settle(taken: Taken, amount: number): Taken {
    if (this.#window === undefined) this.#held += amount - taken.amount;
    else {
      this.#window.correct(amount - taken.amount, taken.at);
      this.#isUnwritten = true;
    }
    return { ...taken, amount };
  }

  waits(amount: number): void {
    this.#want += amount;
  }

  /** When more of its window is free, at the earliest. */
  nextFreeAt(): number | undefined {
    if (this.#window === undefined) return undefined;
    const gone = Object.values(this.#row.shares).filter(({ isGone }) => isGone);
    const instants = [this.#window.nextExpiry(this.#seams.now()), ...gone.map(({ used }) => nextExpiryOf(used, this.#policy.perMs!, this.#seams.now()))];
    return instants.reduce((first, at) => (first === undefined || (at !== undefined && at < first) ? at : first), undefined);
  }

  // ---- the row

  get #id(): number {
    return this.#seams.epoch();
  }

  get #others(): Readonly<Record<string, ShareRow>> {
    const { [this.#id]: _own, ...others }: Record<string, ShareRow> = this.#row.shares;
    const { perMs } = this.#policy;
    if (perMs !== undefined) for (const [id, row] of Object.entries(others)) if (row.isGone === true) others[id] = leftOf(row, perMs, this.#seams.now());
    return others;
  }

  get #othersWant(): boolean {
    return Object.values(this.#others).some(({ want }) => want > 0);
  }

  get #own(): Pick<ShareRow, "use" | "want" | "head"> {
    return { use: this.inUse(), want: this.#want, head: this.head };
  }

  /** The part of this worker, as far as is known here. */
  get #part(): number {
    return partOf(this.max, this.#others, { id: this.#id, ...this.#own }, this.#row.turn);
  }

  /** It has more than its part, and will be looked at again when less of it is in use. */
  get isOver(): boolean {
    return this.#cap > this.#part;
  }

  /** The row is this now. */
  see(row: LimitRow | undefined): void {
    this.#row = row ?? { shares: {} };
    const share = this.#row.shares[this.#id]?.share ?? 0;
    this.#cap = this.#isAsking ? Math.min(this.#cap, share) : share;
  }

  /** The change that was asked for is written. */
  asked(row: LimitRow | undefined): void {
    this.#isAsking = false;
    this.see(row);
  }

  /**
   * Is there something to be changed in the row? Then `change` is written, and `asked` called. `wasFreed`: what is known of
   * the others may be wrong, for one of them is gone.
   */
  review(wasFreed = false): boolean {
    if (this.#isAsking) return false;
    const own = this.#row.shares[this.#id];
    const part = this.#part;
    const isLowered = this.#cap > Math.max(this.inUse(), part);
    const isShort = this.#want > 0 && !this.has(this.head);
    const free = this.max - Object.values(this.#others).reduce((sum, { share }) => sum + share, 0);
    const mayGain = wasFreed || Math.min(free, part) > this.#cap;
    const isToBeTold = own === undefined || own.head !== this.head || this.#want >= 2 * own.want;
    const isDone = this.#want === 0 && own !== undefined && own.want > 0;
    const passes = this.#passesTurn && this.#othersWant;
    if (!isLowered && !isDone && !this.#isUnwritten && !passes && !(isShort && (mayGain || isToBeTold))) return false;
    if (isLowered) this.#cap = Math.max(this.inUse(), part);
    this.#isAsking = true;
    return true;
  }

  /** What becomes of the row. It is called within a transaction. */
  change(): (row: LimitRow | undefined, isOpen: (epoch: number) => boolean) => LimitRow | undefined {
    const [floor, id, passes] = [this.#cap, this.#id, this.#passesTurn];
    this.#isUnwritten = this.#passesTurn = false;
    return (row = { shares: {} }, isOpen) => {
      const now = this.#seams.now();
      const max = row.max ?? this.#policy.max;
      const own = { ...this.#own, ...(this.#window !== undefined && { used: this.#window.row(now) }) };
      const others = this.#left(row, isOpen, now);
      const turn = turnOf(others, { id, ...own }, passes ? undefined : row.turn, row.turn);
      const free = max - Object.values(others).reduce((sum, { share }) => sum + share, 0);
      const share = Math.max(floor, own.use, Math.min(free, partOf(max, others, { id, ...own }, turn)));
      return { ...(row.max !== undefined && { max: row.max }), turn, shares: { ...others, [id]: { ...own, share } } };
    };
  }

  /** Other workers that are there; of those that are gone what counts of their windows. */
  #left({ shares }: LimitRow, isOpen: (epoch: number) => boolean, now: number): Record<string, ShareRow> {
    const others: Record<string, ShareRow> = {};
    for (const [id, row] of Object.entries(shares)) {
      if (Number(id) === this.#id) continue;
      if (isOpen(Number(id))) others[id] = row;
      else if (this.perMs !== undefined) {
        const left = leftOf(row, this.perMs, now);
        if (left.use > 0) others[id] = left;
      }
    }
    return others;
  }

  /** This worker has another epoch: it has no share, and what runs no longer counts. */
  lost(): void {
    this.#row = { shares: {} };
    this.#cap = this.#held = this.#want = this.head = 0;
    this.#isAsking = this.#isUnwritten = this.#passesTurn = false;
    this.#window?.clear();
  }

  get isIdle(): boolean {
    return this.#want === 0 && this.inUse() === 0 && !this.#isAsking && !this.#isUnwritten;
  }
}

/** What counts still of what a worker used that is gone. */
function leftOf(row: ShareRow, perMs: number, now: number): ShareRow {
  const used = usedStill(row.used, perMs, now);
  const use = Object.values(used).reduce((sum, amount) => sum + amount, 0);
  return { share: use, use, want: 0, head: 0, used, isGone: true };
}

/** What an attempt has of a limit. */
export interface Taken {
  readonly limit: Limit;
  readonly amount: number;
  readonly at: number;
}

interface Demand {
  readonly use: number;
  readonly want: number;
  readonly head: number;
}

/** Whose turn it is: whoever had it keeps it while it wants something; then it is the next one's that does. */
function turnOf(others: Readonly<Record<string, Demand>>, own: Demand & { readonly id: number }, turn: number | undefined, last = 0): number {
  const wanting = Object.keys(others).flatMap((id) => (others[id]!.want > 0 ? [Number(id)] : []));
  if (own.want > 0) wanting.push(own.id);
  if (turn !== undefined && wanting.includes(turn)) return turn;
  wanting.sort((a, b) => a - b);
  return wanting.find((id) => id > (turn ?? last)) ?? wanting[0] ?? own.id;
}

/**
 * The part of one worker. All of it while no other wants more; else nobody gets more than it uses and wants, and what some
 * do not need is the others'. Whose turn it is gets at least what its next attempt needs, and what cannot be divided.
 */
export function partOf(max: number, others: Readonly<Record<string, Demand>>, own: Demand & { readonly id: number }, turn: number | undefined): number {
  if (!Object.values(others).some(({ want }) => want > 0)) return max;
  const first = turnOf(others, own, turn);
  const all = [...Object.entries(others).map(([id, demand]) => ({ ...demand, id: Number(id) })), own];
  const demands = all.map(({ id, use, want, head }) => ({ id, demand: use + want, head: want > 0 ? head : 0 }));
  demands.sort((a, b) => a.demand - b.demand || a.id - b.id);
  const parts = new Map<number, number>();
  const divide = (left: number, among: typeof demands): number => {
    for (const [at, { id, demand }] of among.entries()) {
      const part = Math.min(demand, Math.floor(left / (among.length - at)));
      parts.set(id, part);
      left -= part;
    }
    return left;
  };
  const rest = divide(max, demands);
  const whose = demands.find(({ id }) => id === first);
  if (whose === undefined) return parts.get(own.id)!;
  const needed = Math.min(whose.demand, Math.max(parts.get(first)! + rest, Math.min(max, whose.head)));
  divide(
    max - needed,
    demands.filter(({ id }) => id !== first),
  );
  parts.set(first, needed);
  return parts.get(own.id)!;
}
