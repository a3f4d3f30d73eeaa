/**
 * What was used within a window of time. It is counted in sixtieths of the window, each of which counts until all of it is
 * over: so within no time of the window's length more is used than is counted, and at most a sixtieth of it is given away.
 * A row may say that a little more is used than is: then that can be used without being written.
 */

const BUCKETS = 60;

/** Amounts by the numbers of their sixtieths. */
export type WindowUseRow = Readonly<Record<string, number>>;

const widthOf = (perMs: number): number => Math.max(1, Math.ceil(perMs / BUCKETS));
/** Does what was used then count no more? */
const isOver = (bucket: number, perMs: number, now: number): boolean => (bucket + 1) * widthOf(perMs) + perMs <= now;

/** When something of what a row says counts no more. */
export function nextExpiryOf(row: WindowUseRow | undefined, perMs: number, now: number): number | undefined {
  const buckets = Object.keys(usedStill(row, perMs, now)).map(Number);
  return buckets.length === 0 ? undefined : (Math.min(...buckets) + 1) * widthOf(perMs) + perMs;
}

/** What a row says that counts still. What was written by a clock that was ahead counts as if it were used now. */
export function usedStill(row: WindowUseRow | undefined, perMs: number, now: number, lagMs = 0): WindowUseRow {
  const later = Math.ceil(lagMs / widthOf(perMs));
  const newest = Math.floor(now / widthOf(perMs));
  const used: Record<string, number> = {};
  for (const [written, amount] of Object.entries(row ?? {})) {
    const bucket = Number(written) + later;
    if (isOver(bucket, perMs, now)) continue;
    const at = Math.min(bucket, newest);
    used[at] = (used[at] ?? 0) + amount;
  }
  return used;
}

/** What was taken, and when: the window is over so long after that. */
export interface WindowEntry {
  amount: number;
  at: number;
}

export class WindowUse {
  readonly #perMs: number;
  readonly #width: number;
  readonly #buckets = new Map<number, number>();
  /** What the row says of each. */
  readonly #written = new Map<number, number>();
  /** More is used than the row says; or something else. */
  isUnwritten = false;
  isOld = false;
  #sum = 0;
  /** Of attempts that have not begun: what they use is used when they do, which is later than it was taken. */
  readonly #ahead = new Set<WindowEntry>();
  /** No bucket is over before. */
  #expiresAt = Number.POSITIVE_INFINITY;

  constructor(perMs: number) {
    this.#perMs = perMs;
    this.#width = widthOf(perMs);
  }

  sum(now: number): number {
    this.#expire(now);
    return this.#sum;
  }

  #expire(now: number): void {
    if (now < this.#expiresAt) return;
    // what has not begun counts, however long that takes
    for (const entry of this.#ahead) if (isOver(Math.floor(entry.at / this.#width), this.#perMs, now)) this.#move(entry, now);
    for (const [bucket, amount] of this.#buckets) {
      // they stand in the order of their instants
      if (!isOver(bucket, this.#perMs, now)) break;
      this.#buckets.delete(bucket);
      this.#sum -= amount;
    }
    this.#noteExpiry();
  }

  #noteExpiry(): void {
    const first = this.#buckets.keys().next();
    this.#expiresAt = first.done ? Number.POSITIVE_INFINITY : (first.value + 1) * this.#width + this.#perMs;
  }

  add(amount: number, now: number): void {
    this.#expire(now);
    this.#put(amount, now);
  }

  #put(amount: number, now: number): void {
    const bucket = Math.floor(now / this.#width);
    this.#set(bucket, (this.#buckets.get(bucket) ?? 0) + amount);
    this.#sum += amount;
    this.#noteExpiry();
  }

  #set(bucket: number, amount: number): void {
    this.#buckets.set(bucket, amount);
    this.isUnwritten ||= amount > (this.#written.get(bucket) ?? 0);
    this.isOld = true;
  }

  /** It is used from when its attempt begins. */
  take(entry: WindowEntry): void {
    this.add(entry.amount, entry.at);
    this.#ahead.add(entry);
  }

  /** The attempt begins; answers whether that is later than was written. */
  begin(entry: WindowEntry, now: number): boolean {
    return this.#ahead.delete(entry) && (this.#move(entry, now) || this.isUnwritten);
  }

  /** The attempt has ended, or will never begin. */
  end(entry: WindowEntry): void {
    this.#ahead.delete(entry);
  }

  #move(entry: WindowEntry, now: number): boolean {
    if (Math.floor(entry.at / this.#width) === Math.floor(now / this.#width)) return false;
    this.correct(-entry.amount, entry.at);
    this.#put(entry.amount, now);
    entry.at = now;
    return true;
  }

  /** More or less was used then; what is over stays so. */
  correct(by: number, at: number): void {
    const bucket = Math.floor(at / this.#width);
    const known = this.#buckets.get(bucket);
    if (known === undefined) return;
    this.#set(bucket, known + by);
    this.#sum += by;
  }

  /** When something counts no more; undefined when nothing counts. */
  nextExpiry(now: number): number | undefined {
    this.#expire(now);
    return this.#expiresAt === Number.POSITIVE_INFINITY ? undefined : this.#expiresAt;
  }

  /** As it stands in a row whose instants are later by so much; so much more is said to be used now. */
  row(now: number, behindMs: number, ahead: number): WindowUseRow {
    for (const entry of this.#ahead) this.#move(entry, now);
    this.#expire(now);
    const width = this.#width;
    const newest = Math.floor(now / width);
    this.isUnwritten = this.isOld = false;
    this.#written.clear();
    for (const [bucket, amount] of this.#buckets) this.#written.set(bucket, amount + (bucket === newest ? ahead : 0));
    // what would lie in two of the row's counts in the later
    return Object.fromEntries([...this.#written].map(([bucket, amount]) => [Math.floor(((bucket + 1) * width - 1 + behindMs) / width), amount]));
  }

  /** What was written is of other instants than it says here. */
  forgetWritten(): void {
    this.#written.clear();
  }

  clear(): void {
    this.#buckets.clear();
    this.#written.clear();
    this.#ahead.clear();
    this.isUnwritten = this.isOld = false;
    this.#sum = 0;
    this.#expiresAt = Number.POSITIVE_INFINITY;
  }
}
