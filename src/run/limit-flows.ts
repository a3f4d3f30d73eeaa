/**
 * The flows that wait for a limit, as the workers tell each other of them in its row: so flows take turns as if all of them
 * waited at one worker, whatever waits where. A flow that waits at several workers counts for a part at each.
 */
import { crc32 } from "node:zlib";

/** So many flows of a worker are named. Of more the least numbers are: those are the same at every worker. */
const NAMED_MAX = 100;

/** What a flow is called in rows. */
export function flowNumber(name: string): number {
  return crc32(name);
}

/** Two have the same number when their agents are two of one name. */
export interface NumberedFlow {
  readonly number: number;
}

export function namedFlows(waiting: Iterable<NumberedFlow>): number[] {
  const numbers = new Set(Array.from(waiting, ({ number }) => number));
  return [...numbers].toSorted((a, b) => a - b).slice(0, NAMED_MAX);
}

interface Waiting {
  readonly want?: number;
  /** The flows that wait there. */
  readonly flows?: readonly number[] | undefined;
}

/** Who waits where, by the shares of a row. */
export class FlowPlaces {
  readonly #shares: Readonly<Record<string, Waiting>>;
  readonly #places = new Map<number, number>();
  readonly #weights = new Map<string, number>();

  constructor(shares: Readonly<Record<string, Waiting>>) {
    this.#shares = shares;
    for (const id in shares) for (const flow of shares[id]!.flows ?? []) this.#places.set(flow, this.of(flow) + 1);
  }

  /** At how many workers this flow waits. */
  of(flow: number): number {
    return this.#places.get(flow) ?? 0;
  }

  /** By how much this worker counts; by 1 if nothing is known of its flows. */
  weight(id: string): number {
    let weight = this.#weights.get(id);
    if (weight === undefined) {
      const { flows = [] } = this.#shares[id] ?? {};
      weight = flows.reduce((sum, flow) => sum + 1 / this.of(flow), 0) || 1;
      this.#weights.set(id, weight);
    }
    return weight;
  }

  /** Each with how much it counts. */
  weighed<Share>(shares: Readonly<Record<string, Share>>): Record<string, Share & { readonly weight: number }> {
    return Object.fromEntries(Object.entries(shares).map(([id, share]) => [id, { ...share, weight: this.weight(id) }]));
  }

  /** So many attempts begin at this worker until the turn is another's: as many as it counts for more than who counts for least. */
  turnLength(id: string): number {
    const own = this.weight(id);
    const wanting = Object.keys(this.#shares).filter((other) => (this.#shares[other]!.want ?? 0) > 0);
    return Math.max(1, Math.round(own / Math.min(own, ...wanting.map((other) => this.weight(other)))));
  }
}
