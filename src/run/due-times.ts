/**
 * The earliest of many instants that come and go: a binary heap; what was removed is passed over when it comes up.
 */
/** Fewer are kept as they are. */
const KEPT_LENGTH = 64;

export class DueTimes<T extends object> {
  #heap: { readonly dueAt: number; readonly of: T }[] = [];
  readonly #removed = new WeakSet<T>();
  #removedCount = 0;

  /** Each object once. */
  add(dueAt: number, of: T): void {
    this.#heap.push({ dueAt, of });
    for (let child = this.#heap.length - 1; child > 0;) {
      const parent = (child - 1) >> 1;
      if (this.#heap[parent]!.dueAt <= this.#heap[child]!.dueAt) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  remove(of: T): void {
    this.#removed.add(of);
    if (++this.#removedCount * 2 > this.#heap.length && this.#heap.length > KEPT_LENGTH) this.#sweep();
  }

  /** Lets go of what was removed and would come up late. */
  #sweep(): void {
    this.#heap = this.#heap.filter(({ of }) => !this.#removed.has(of)).sort((a, b) => a.dueAt - b.dueAt);
    this.#removedCount = 0;
  }

  /** The earliest that was not removed; undefined when there is none. */
  get earliest(): number | undefined {
    while (this.#heap.length > 0 && this.#removed.has(this.#heap[0]!.of)) this.#pop();
    return this.#heap[0]?.dueAt;
  }

  /** Takes out the earliest, if it is due. */
  takeDue(now: number): T | undefined {
    const { earliest } = this;
    if (earliest === undefined || earliest > now) return undefined;
    const { of } = this.#heap[0]!;
    this.#pop();
    return of;
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let parent = 0; ;) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2];
      let least = parent;
      if (left < this.#heap.length && this.#heap[left]!.dueAt < this.#heap[least]!.dueAt) least = left;
      if (right < this.#heap.length && this.#heap[right]!.dueAt < this.#heap[least]!.dueAt) least = right;
      if (least === parent) return;
      this.#swap(parent, least);
      parent = least;
    }
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }
}
