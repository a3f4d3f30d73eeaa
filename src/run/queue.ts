/**
 * First in, first out, each operation in constant time whatever the length.
 */
export class Queue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** How many at its head are so. */
  countWhile(isSo: (item: T) => boolean): number {
    let count = 0;
    while (count < this.length && isSo(this.#items[this.#head + count]!)) count++;
    return count;
  }

  /** Takes it out, wherever it stands: in time that grows with the length. */
  remove(item: T): void {
    const at = this.#items.indexOf(item, this.#head);
    if (at !== -1) this.#items.splice(at, 1);
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }
}

/** A queue in which each item stands once. */
export class QueueOfOnes<T> extends Queue<T> {
  readonly #standing = new Set<T>();

  override push(item: T): void {
    if (this.#standing.has(item)) return;
    this.#standing.add(item);
    super.push(item);
  }

  override shift(): T | undefined {
    const item = super.shift();
    if (item !== undefined) this.#standing.delete(item);
    return item;
  }
}
