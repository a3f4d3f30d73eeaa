/**
 * Nodes that have waited before the gate for longer than their agent's `queueTimeout`: they leave their flow, to be refused.
 */
import type { Flow, GatedRun, Parked } from "./flow.ts";
import type { HostedRun } from "./hosted-run.ts";

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
  readonly #late: LateNode[] = [];

  /** `left` is told of each node that leaves its flow. */
  constructor(seams: LateSeams, left: (flow: Flow) => void) {
    this.#seams = seams;
    this.#left = left;
  }

  get length(): number {
    return this.#late.length;
  }

  /** A node waits in this flow. */
  watch(flow: Flow): void {
    const { queueTimeoutMs } = flow;
    if (queueTimeoutMs === undefined || this.#timers.has(flow)) return;
    const oldest = Math.min(...[...flow.lines.values()].map(({ nodes }) => nodes.peek()?.since ?? Number.POSITIVE_INFINITY));
    if (oldest === Number.POSITIVE_INFINITY) return;
    const cancel = this.#seams.after(Math.max(1, oldest + queueTimeoutMs - this.#seams.now()), () => {
      this.#timers.delete(flow);
      this.#find(flow, this.#seams.now() - queueTimeoutMs);
      this.watch(flow);
    });
    this.#timers.set(flow, cancel);
  }

  #find(flow: Flow, before: number): void {
    for (const { run, nodes } of flow.lines.values())
      for (let first = nodes.peek(); first !== undefined && first.since <= before; first = nodes.peek()) {
        nodes.shift();
        this.#left(flow);
        this.#late.push({ run, parked: first, flow });
      }
    if (this.#late.length > 0) this.#seams.wantsTick();
  }

  /** One whose run is gone, or can be looked at now. */
  next(isHosted: (run: HostedRun) => boolean): LateNode | undefined {
    const at = this.#late.findIndex(({ run }) => !isHosted(run) || !run.inFlight);
    return at === -1 ? undefined : this.#late.splice(at, 1)[0];
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
  }
}
