/**
 * A binary heap: the least comes out first, in time that grows with the logarithm of the length; of equals, the one that
 * came first.
 */

interface Held<T> {
  readonly item: T;
  readonly rank: number;
  readonly order: number;
}

/** Fewer are not looked through for those that have left. */
const TIDIED_MIN = 50;

export class Heap<T> {
  readonly #hasLeft: ((item: T) => boolean) | undefined;
  #held: Held<T>[] = [];
  #order = 0;
  /** When there are so many, those that have left are taken out. */
  #tidiedAt = TIDIED_MIN;

  /** `hasLeft`: of items that nobody asks for any more, and that may stand behind others for ever; at most half are such. */
  constructor(hasLeft?: (item: T) => boolean) {
    this.#hasLeft = hasLeft;
  }

  get length(): number {
    return this.#held.length;
  }

  peek(): T | undefined {
    return this.#held[0]?.item;
  }

  push(item: T, rank: number): void {
    if (this.#held.length >= this.#tidiedAt) this.#tidy();
    const held = this.#held;
    held.push({ item, rank, order: this.#order++ });
    for (let at = held.length - 1; at > 0;) {
      const above = (at - 1) >> 1;
      if (!this.#isLess(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #tidy(): void {
    const { length } = this.#held;
    if (this.#hasLeft !== undefined) this.#held = this.#held.filter(({ item }) => !this.#hasLeft!(item));
    // what is sorted is a heap
    if (this.#held.length < length) this.#held.sort((a, b) => a.rank - b.rank || a.order - b.order);
    this.#tidiedAt = Math.max(TIDIED_MIN, 2 * this.#held.length);
  }

  pop(): T | undefined {
    const held = this.#held;
    const least = held[0];
    const last = held.pop();
    if (least === undefined || held.length === 0) return least?.item;
    held[0] = last!;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let next = left;
      if (right < held.length && this.#isLess(right, left)) next = right;
      if (next >= held.length || !this.#isLess(next, at)) return least.item;
      this.#swap(at, next);
      at = next;
    }
  }

  /** All of them, in no order. */
  *items(): Generator<T> {
    for (const { item } of this.#held) yield item;
  }

  clear(): void {
    this.#held.length = 0;
  }

  #isLess(a: number, b: number): boolean {
    const [x, y] = [this.#held[a]!, this.#held[b]!];
    return x.rank < y.rank || (x.rank === y.rank && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    [this.#held[a], this.#held[b]] = [this.#held[b]!, this.#held[a]!];
  }
}
