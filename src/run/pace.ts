/**
 * How fast something goes, by when it happened last.
 */

/** So many instants are kept. */
const KEPT = 20;

export class Pace {
  /** The newest last. */
  readonly #instants: number[] = [];

  happened(at: number): void {
    this.#instants.push(at);
    if (this.#instants.length > KEPT) this.#instants.shift();
  }

  /** How long it takes from one time to the next, as it was of late, in whole ms; undefined when too little is known. */
  everyMs(now: number): number | undefined {
    const [first, count] = [this.#instants[0], this.#instants.length];
    return first === undefined || count < 2 ? undefined : Math.round((now - first) / count);
  }
}
