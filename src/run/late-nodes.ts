/**
 * Nodes that have waited before the gate for longer than their agent's `queueTimeout`: they leave their flow, to be refused.
 */
import type { Flow, GatedRun, Parked } from "./flow.ts";
import type { HostedRun } from "./hosted-run.ts";
import { Queue } from "./queue.ts";

interface LateNode {
  readonly run: GatedRun;
  readonly parked: Parked;
  readonly flow: Flow;
}

interface LateSeams {
  readonly now: () => number;
  readonly after: (ms: number, call: () => void) => () => void;
  /** Somebody is late. */
  readonly wantsTick: () => void;
}

export class LateNodes {
  readonly #seams: LateSeams;
  readonly #left: (flow: Flow) => void;
  readonly #timers = new Map<Flow, () => void>();
  readonly #late = new Map<GatedRun, Queue<LateNode>>();
  #length = 0;

  /** `left` is told of each node that leaves its flow. */
  constructor(seams: LateSeams, left: (flow: Flow) => void) {
    this.#seams = seams;
    this.#left = left;
  }

  get length(): number {
    return this.#length;
  }

  /** A node waits in this flow. */
  watch(flow: Flow): void {
    const { queueTimeoutMs } = flow;
    if (queueTimeoutMs === undefined || this.#timers.has(flow)) return;
    let oldest = Number.POSITIVE_INFINITY;
    for (const { nodes } of flow.lines.values()) oldest = Math.min(oldest, nodes.peek()?.since ?? oldest);
    if (oldest === Number.POSITIVE_INFINITY) return;
    const cancel = this.#seams.after(Math.max(1, oldest + queueTimeoutMs - this.#seams.now()), () => {
      this.#timers.delete(flow);
      this.#find(flow, this.#seams.now() - queueTimeoutMs);
      this.watch(flow);
    });
    this.#timers.set(flow, cancel);
  }

  #find(flow: Flow, before: number): void {
    for (const { run, nodes } of flow.lines.values()) {
      for (let first = nodes.peek(); first !== undefined && first.since <= before; first = nodes.peek()) {
        nodes.shift();
        this.#left(flow);
        const late = this.#late.get(run) ?? new Queue<LateNode>();
        late.push({ run, parked: first, flow });
        this.#late.set(run, late);
        this.#length++;
      }
      if (nodes.length === 0) flow.lines.delete(run);
    }
    if (this.#length > 0) this.#seams.wantsTick();
  }

  /** One whose run is gone, or can be looked at now. */
  next(isHosted: (run: HostedRun) => boolean): LateNode | undefined {
    for (const [run, late] of this.#late) {
      if (isHosted(run) && run.inFlight) continue;
      const first = late.shift();
      if (late.length === 0) this.#late.delete(run);
      if (first === undefined) continue;
      this.#length--;
      return first;
    }
    return undefined;
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
  }
}
