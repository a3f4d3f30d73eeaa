/**
 * What was used within a window of time. It is counted in sixtieths of the window, each of which counts until all of it is
 * over: so within no time of the window's length more is used than is counted, and at most a sixtieth of it is given away.
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

export class WindowUse {
  readonly #perMs: number;
  readonly #width: number;
  readonly #buckets = new Map<number, number>();
  #sum = 0;
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
    const bucket = Math.floor(now / this.#width);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + amount);
    this.#sum += amount;
    this.#noteExpiry();
  }

  /** More or less was used then; what is over stays so. Answers whether it counts. */
  correct(by: number, at: number): boolean {
    const bucket = Math.floor(at / this.#width);
    const known = this.#buckets.get(bucket);
    if (known === undefined) return false;
    this.#buckets.set(bucket, known + by);
    this.#sum += by;
    return true;
  }

  /** When something counts no more; undefined when nothing counts. */
  nextExpiry(now: number): number | undefined {
    this.#expire(now);
    return this.#expiresAt === Number.POSITIVE_INFINITY ? undefined : this.#expiresAt;
  }

  /** As it stands in a row whose instants are later by so much. */
  row(now: number, behindMs: number): WindowUseRow {
    this.#expire(now);
    const width = this.#width;
    // what would lie in two of the row's counts in the later
    return Object.fromEntries([...this.#buckets].map(([bucket, amount]) => [Math.floor(((bucket + 1) * width - 1 + behindMs) / width), amount]));
  }

  clear(): void {
    this.#buckets.clear();
    this.#sum = 0;
    this.#expiresAt = Number.POSITIVE_INFINITY;
  }
}
