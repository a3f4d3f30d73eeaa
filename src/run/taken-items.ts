/**
 * Which rows of its inbox a run has taken: each is taken once, however often and however late it is given.
 */
/** Rows that were consumed are remembered for whoever read the inbox just before: so many of the newest. */
const CONSUMED_MAX = 10_000;

export class TakenItems {
  readonly #waiting = new Set<number>();
  readonly #consumed = new Set<number>();

  /** Says whether the row was not taken before. */
  take(number: number): boolean {
    if (this.#waiting.has(number) || this.#consumed.has(number)) return false;
    this.#waiting.add(number);
    return true;
  }

  /** They are gone from the inbox. */
  consumed(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#waiting.delete(number);
      this.#consumed.add(number);
    }
    for (const number of this.#consumed) {
      if (this.#consumed.size <= CONSUMED_MAX) return;
      this.#consumed.delete(number);
    }
  }
}
