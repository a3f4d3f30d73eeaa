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
}

export class RowTime {
  readonly #now: () => number;
  /** What this worker's steady time is behind the row's instants. */
  #behindMs = 0;
  /** Of other workers: when their shares were written, and by how much their instants are less than here, as far as was seen. */
  readonly #lags = new Map<string, Lag>();
  /** Of workers that are gone: when this worker wrote last that their instants are its own. */
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
    for (const [id, { at: of, lagMs }] of this.#lags) if (lagMs !== undefined) this.#lags.set(id, { at: of, lagMs: lagMs + byMs });
    return true;
  }

  /** What was written while this worker looks was written just now, whatever instant it says. */
  seeShares(others: Readonly<Record<string, Written>>): void {
    for (const id of this.#lags.keys()) if (others[id] === undefined) this.#lags.delete(id);
    for (const id of this.#owned.keys()) if (others[id] === undefined) this.#owned.delete(id);
    for (const [id, { at, isGone }] of Object.entries(others)) {
      const known = this.#lags.get(id);
      if (at === undefined || known?.at === at) continue;
      const isOwn = isGone && this.#owned.get(id) === at;
      const seen = isOwn ? 0 : this.now - at;
      this.#lags.set(id, { at, lagMs: this.#hasSeen || isOwn ? Math.min(seen, known?.lagMs ?? seen) : undefined });
    }
    this.#hasSeen = true;
  }

  /** The instants of a worker that is gone are written as they are here. */
  owns(id: string, at: number): void {
    this.#owned.set(id, at);
  }

  /** By how much the instants of this worker's share are less than they would be here, in ms. */
  lagOf(id: string): number {
    return this.#lags.get(id)?.lagMs ?? 0;
  }
}
