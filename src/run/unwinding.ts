/**
 * What is to be undone when a run is unwound: the nodes with a compensation that have done something, or may have, in the
 * order opposite to that in which they ended; the one that failed comes first.
 */
import type { Failure } from "../../machines/node.ts";
import type { Graph, RunNode } from "./graph.ts";
import type { NodeStatus } from "./node-status.ts";

/** Names of nodes that a run's row keeps. */
const NAMES_MAX = 100;

/** A node that has ended. */
interface Ended {
  readonly index: number;
  /** The place of its definition, and among the items or rounds of that. */
  readonly defined: number;
  readonly position: number;
  /** The commit that said so. */
  readonly commitNo: number;
  readonly isCause: boolean;
}

export class Unwinding {
  readonly #graph: Graph;
  readonly #ended: Ended[] = [];
  readonly #undone = new Set<number>();
  #order: number[] | undefined;
  readonly #failed: string[] = [];
  #from: number | undefined;

  /** `from`: the commit with which it began, if it has. */
  constructor(graph: Graph, from?: number) {
    this.#graph = graph;
    this.#from = from;
  }

  /** The commit with which it began: this one, if it is the first of which that is asked. */
  from(commitNo: number): number {
    return (this.#from ??= commitNo);
  }

  /** Something would be undone. */
  get hasAny(): boolean {
    return this.#ended.length > 0;
  }

  /** Nodes that could not be undone. */
  get failed(): readonly string[] {
    return this.#failed;
  }

  /** A node has ended after so many attempts, with this as its last failure. */
  ended({ index, of, compensate, policy }: RunNode, status: NodeStatus, attempt: number, failure: Failure | undefined, commitNo: number): void {
    if (compensate === undefined || attempt === 0) return;
    const isCause = status === "failed" && policy.onFail === "compensate";
    const isUnknown = status === "cancelled" || status === "notTaken" || failure?.kind === "timeout" || failure?.code === "PAWL_NODE_OVERRIDDEN";
    if (status === "completed" || isCause || isUnknown)
      this.#ended.push({ index, defined: of?.group ?? index, position: of?.position ?? 0, commitNo, isCause });
  }

  /** The compensation of a node has ended. */
  undone(of: number, isDone: boolean): void {
    this.#undone.add(of);
    if (!isDone && this.#failed.length < NAMES_MAX) this.#failed.push(this.#graph.node(of).id);
  }

  /** The node that is to be undone next; undefined when all are. */
  next(): number | undefined {
    this.#order ??= this.#ended.toSorted(later).map(({ index }) => index);
    for (let index = this.#order.shift(); index !== undefined; index = this.#order.shift()) if (!this.#undone.has(index)) return index;
    return undefined;
  }
}

function later(a: Ended, b: Ended): number {
  if (a.isCause !== b.isCause) return a.isCause ? -1 : 1;
  return b.commitNo - a.commitNo || b.defined - a.defined || b.position - a.position;
}
