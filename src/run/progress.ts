/**
 * How far a DAG run is: which nodes wait, are queued, run or have settled. Counters beside the supervisor, derived from
 * node rows: one decrement per edge, never a scan per event.
 * 1. `left[n]` is the number of n's dependencies that have not settled well. 2. A node is queued once, when its count
 * reaches 0. 3. What depends on a failed node is blocked, directly or not.
 */
import type { Plan } from "../define/plan.ts";
import { Queue } from "./queue.ts";

export const NODE_STATUSES = ["waiting", "queued", "running", "backingOff", "completed", "skipped", "failed", "blocked", "cancelled"] as const;
export type NodeStatus = (typeof NODE_STATUSES)[number];
/** How a node can end of itself. */
export type Settled = "completed" | "skipped" | "failed" | "cancelled";

const CODE = Object.fromEntries(NODE_STATUSES.map((status, code) => [status, code])) as Record<NodeStatus, number>;

export class Progress {
  readonly #plan: Plan;
  readonly #status: Uint8Array;
  readonly #left: Int32Array;
  readonly #queue = new Queue<number>();
  #running = 0;
  #backingOff = 0;

  /** `stored` are the nodes with a row, as they were committed. */
  constructor(plan: Plan, stored: Iterable<readonly [number, NodeStatus]> = []) {
    this.#plan = plan;
    this.#status = new Uint8Array(plan.nodes.length);
    this.#left = Int32Array.from(plan.nodes, (node) => node.dependencies.length);
    for (const [index, status] of stored) this.#status[index] = CODE[status];
    for (let index = 0; index < plan.nodes.length; index++) {
      const status = this.status(index);
      if (status === "backingOff") this.#backingOff++;
      if (status === "completed" || status === "skipped") for (const dependent of plan.dependents[index]!) this.#left[dependent]!--;
      if (status === "failed") this.#blockDependents(index);
    }
  }

  status(index: number): NodeStatus {
    return NODE_STATUSES[this.#status[index]!]!;
  }

  /** Nodes that wait for a grant. */
  get queued(): number {
    return this.#queue.length;
  }

  get running(): number {
    return this.#running;
  }

  /** Nothing is queued, runs or backs off: nothing more will happen of itself. */
  get exhausted(): boolean {
    return this.queued === 0 && this.#running === 0 && this.#backingOff === 0;
  }

  /** Queues every node that waits for nothing any more. */
  queueReady(): void {
    for (let index = 0; index < this.#left.length; index++) if (this.#left[index] === 0 && this.#status[index] === CODE.waiting) this.#enqueue(index);
  }

  /** The next queued node, now running. */
  grant(): number | undefined {
    const index = this.#queue.shift();
    if (index === undefined) return undefined;
    this.#status[index] = CODE.running;
    this.#running++;
    return index;
  }

  backOff(index: number): void {
    this.#leave(index);
    this.#status[index] = CODE.backingOff;
    this.#backingOff++;
  }

  /** A node whose backoff passed is queued again. */
  requeue(index: number): void {
    this.#leave(index);
    this.#enqueue(index);
  }

  settle(index: number, status: Settled): void {
    this.#leave(index);
    this.#status[index] = CODE[status];
  }

  /** Queues or blocks those that waited for a node that has settled. */
  release(index: number): void {
    if (this.#status[index] === CODE.failed) return this.#blockDependents(index);
    for (const dependent of this.#plan.dependents[index]!)
      if (--this.#left[dependent]! === 0 && this.#status[dependent] === CODE.waiting) this.#enqueue(dependent);
  }

  /** The run stops: what has not settled never starts. */
  stop(): void {
    this.#queue.clear();
    this.#running = 0;
    this.#backingOff = 0;
    for (let index = 0; index < this.#status.length; index++) if (this.#status[index]! < CODE.completed) this.#status[index] = CODE.cancelled;
  }

  #enqueue(index: number): void {
    this.#status[index] = CODE.queued;
    this.#queue.push(index);
  }

  #leave(index: number): void {
    if (this.#status[index] === CODE.running) this.#running--;
    if (this.#status[index] === CODE.backingOff) this.#backingOff--;
  }

  #blockDependents(index: number): void {
    const open = [...this.#plan.dependents[index]!];
    for (let dependent = open.pop(); dependent !== undefined; dependent = open.pop()) {
      if (this.#status[dependent] !== CODE.waiting) continue;
      this.#status[dependent] = CODE.blocked;
      for (const further of this.#plan.dependents[dependent]!) open.push(further);
    }
  }
}

/** Invariant: counters agree with a recount from the statuses. */
export function countersAgree(progress: Progress, plan: Plan): boolean {
  const count = (status: NodeStatus): number => plan.nodes.filter((node) => progress.status(node.index) === status).length;
  return count("queued") === progress.queued && count("running") === progress.running;
}
