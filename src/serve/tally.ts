/**
 * How many nodes there are of each status, and which of them are worth a look: kept up to date node by node, so that asking
 * costs the same however many there are.
 */
import type { NodeStatus } from "../index.ts";

/** Nodes of these statuses are worth a look, in this order. */
const NOTABLE: readonly NodeStatus[] = ["failed", "backingOff", "running"];

export function isNotable(status: NodeStatus): boolean {
  return NOTABLE.includes(status);
}

export class Tally<N> {
  readonly #counts = new Map<NodeStatus, number>();
  readonly #notable = new Map<NodeStatus, Set<N>>(NOTABLE.map((status) => [status, new Set()]));

  /** All of them. */
  size = 0;

  /** Of each status that there is. */
  get counts(): ReadonlyMap<NodeStatus, number> {
    return this.#counts;
  }

  count(status: NodeStatus): number {
    return this.#counts.get(status) ?? 0;
  }

  add(node: N, status: NodeStatus): void {
    this.size++;
    this.#note(node, status, 1);
  }

  moved(node: N, from: NodeStatus, to: NodeStatus): void {
    this.#note(node, from, -1);
    this.#note(node, to, 1);
  }

  #note(node: N, status: NodeStatus, change: 1 | -1): void {
    const count = this.count(status) + change;
    if (count === 0) this.#counts.delete(status);
    else this.#counts.set(status, count);
    if (change === 1) this.#notable.get(status)?.add(node);
    else this.#notable.get(status)?.delete(node);
  }

  /** The first of those that are worth a look, and how many more there are. */
  notable(max: number): { readonly shown: readonly N[]; readonly more: number } {
    const shown: N[] = [];
    for (const status of NOTABLE)
      for (const node of this.#notable.get(status)!)
        if (shown.length < max) shown.push(node);
        else break;
    const all = NOTABLE.reduce((sum, status) => sum + this.count(status), 0);
    return { shown, more: all - shown.length };
  }

  /** Those of a status that is worth a look. */
  those(status: "failed" | "backingOff" | "running"): ReadonlySet<N> {
    return this.#notable.get(status)!;
  }
}
