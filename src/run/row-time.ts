/**
 * The instants of a row that several workers write, whose clocks may say different things: they never go back, and nobody's
 * are taken for older than they are.
 */
interface Written {
  /** When it was written, as its writer had it. */
  readonly at?: number;
  readonly isGone?: true;
}

interface Lag {
  readonly at: number;
  /** undefined: it was written before this worker looked. */
  readonly lagMs: number | undefined;
  /** The least that was seen of it, of what this worker did not write itself. */
  readonly leastMs: number | undefined;
}

export class RowTime {
  readonly #now: () => number;
  /** What this worker's steady time is behind the row's instants. */
  #behindMs = 0;
  /** Of other workers: when their shares were written, and by how much their instants are less than here, as far as was seen. */
  readonly #lags = new Map<string, Lag>();
  /** Of other workers: when this worker wrote their instants last, as they are here. */
  readonly #owned = new Map<string, number>();
  #hasSeen = false;

  constructor(now: () => number) {
    this.#now = now;
  }

  get behindMs(): number {
    return this.#behindMs;
  }

  /** This worker's instant, as the row has it. */
  get now(): number {
    return this.#now() + this.#behindMs;
  }

  /** The row's instant, as this worker has it. */
  here(at: number | undefined): number | undefined {
    return at === undefined ? undefined : at - this.#behindMs;
  }

  /** Somebody has written the row at this instant. Answers whether it is later here, too, from now on. */
  advance(at = 0): boolean {
    const behindMs = at - this.#now();
    const byMs = behindMs - this.#behindMs;
    if (byMs <= 0) return false;
    this.#behindMs = behindMs;
    const more = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms + byMs);
    for (const [id, { at: of, lagMs, leastMs }] of this.#lags) this.#lags.set(id, { at: of, lagMs: more(lagMs), leastMs: more(leastMs) });
    return true;
  }

  /** The row is this now. */
  sees({ at, shares }: { readonly at?: number; readonly shares: Readonly<Record<string, Written>> }): void {
    this.advance(at);
    this.seeShares(shares);
  }

  /** What was written while this worker looks was written just now, whatever instant it says. */
  seeShares(others: Readonly<Record<string, Written>>): void {
    for (const id of this.#lags.keys()) if (others[id] === undefined) this.#lags.delete(id);
    for (const id of this.#owned.keys()) if (others[id] === undefined) this.#owned.delete(id);
    for (const [id, { at, isGone }] of Object.entries(others)) {
      const known = this.#lags.get(id);
      if (at === undefined || known?.at === at) continue;
      const isOwn = this.#owned.get(id) === at;
      const seen = this.now - at;
      let leastMs = known?.leastMs;
      // nobody but those that are left writes of a worker that is gone: what this worker wrote of it is never too early
      if (isOwn) leastMs = isGone ? 0 : leastMs;
      else if (this.#hasSeen) leastMs = Math.min(seen, leastMs ?? seen);
      this.#lags.set(id, { at, leastMs, lagMs: isOwn ? 0 : leastMs });
    }
    this.#hasSeen = true;
  }

  /** The instants of this worker are written as they are here. */
  owns(id: string, at: number): void {
    this.#owned.set(id, at);
  }

  /** By how much the instants of this worker's share are less than they would be here, in ms. */
  lagOf(id: string): number {
    return this.#lags.get(id)?.lagMs ?? 0;
  }
}
