/**
 * How a run stands, node by node, kept up to date from its history: a step per event, never a scan of all nodes.
 * 1. Fed every entry from the first, it shows what `run.nodes()` would, but for the instants of next attempts.
 * 2. A node is queued when all it waits for has settled well; what depends on a failed node is blocked.
 * 3. A run that had ended and goes on again has its cut-off nodes open again, and the failed ones that its history names.
 */
import type { HistoryEntry, HistoryEvent, HistoryType, NodeStatus } from "../index.ts";

/** A node as the graph has it. */
export interface GraphNode {
  readonly id: string;
  readonly agent: string;
  readonly dependencies: readonly string[];
  /** Of a fork: what the node had from the first. */
  readonly kept?: NodeStatus;
}

export interface BoardNode extends GraphNode {
  status: NodeStatus;
  attempt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  failure: { readonly code: string; readonly message: string } | undefined;
  /** When it backs off: the instant of its next attempt, once it is known. */
  retryAt: number | undefined;
  /** Dependencies that have not settled well. */
  left: number;
}

const SETTLED_WELL: ReadonlySet<NodeStatus> = new Set(["completed", "skipped"]);
const OPEN: ReadonlySet<NodeStatus> = new Set(["waiting", "queued", "running", "backingOff"]);
const ACTIVE: ReadonlySet<NodeStatus> = new Set(["running", "backingOff"]);
const CUT_OFF: ReadonlySet<HistoryType> = new Set(["run.failed", "run.timedOut", "run.cancelled"]);
const GOES_ON: ReadonlySet<HistoryType> = new Set(["run.retried", "run.continued"]);

export class Board {
  readonly nodes: readonly BoardNode[];
  readonly counts = new Map<NodeStatus, number>();
  /** Those that run or back off, in the order in which they began. */
  readonly active = new Set<BoardNode>();
  readonly failed = new Set<BoardNode>();
  /** The instant of the first entry. */
  startedAt: number | undefined;
  isPaused = false;
  readonly #byId: ReadonlyMap<string, BoardNode>;
  readonly #dependents = new Map<string, BoardNode[]>();

  constructor(graph: readonly GraphNode[]) {
    this.nodes = graph.map((node): BoardNode => ({
      id: node.id,
      agent: node.agent,
      dependencies: node.dependencies,
      status: "waiting",
      attempt: 0,
      startedAt: undefined,
      endedAt: undefined,
      failure: undefined,
      retryAt: undefined,
      left: node.dependencies.length,
    }));
    this.#byId = new Map(this.nodes.map((node) => [node.id, node]));
    this.counts.set("waiting", this.nodes.length);
    for (const node of this.nodes) {
      for (const id of node.dependencies) this.#addDependent(id, node);
      if (node.left === 0) this.#set(node, "queued");
    }
    for (const { id, kept } of graph) {
      if (kept === undefined) continue;
      this.#set(this.node(id)!, kept);
      this.#release(this.node(id)!);
    }
  }

  #addDependent(id: string, dependent: BoardNode): void {
    const known = this.#dependents.get(id);
    if (known === undefined) this.#dependents.set(id, [dependent]);
    else known.push(dependent);
  }

  node(id: string): BoardNode | undefined {
    return this.#byId.get(id);
  }

  /** How many have settled well. */
  get done(): number {
    return (this.counts.get("completed") ?? 0) + (this.counts.get("skipped") ?? 0);
  }

  /** What a node still waits for. */
  awaited(node: BoardNode): string[] {
    return node.dependencies.filter((id) => !SETTLED_WELL.has(this.#byId.get(id)?.status ?? "completed"));
  }

  apply(entry: HistoryEntry): void {
    this.startedAt ??= entry.at;
    for (const event of entry.events) {
      if (event.type.startsWith("run.")) this.#applyRun(event);
      else if (event.node !== undefined) this.#applyNode(event, entry.at);
    }
    if (entry.events.some(({ type }) => GOES_ON.has(type))) this.#blockAgain();
  }

  /** An attempt that a crash cut off waits for its turn again; what is open when a run ends never starts. */
  #applyRun({ type, node: id }: HistoryEvent): void {
    this.isPaused = type === "run.paused" || (this.isPaused && type === "run.recovered");
    if (type === "run.recovered") for (const node of [...this.active]) if (node.status === "running") this.#set(node, "queued");
    if (CUT_OFF.has(type)) for (const node of this.nodes) if (OPEN.has(node.status)) this.#set(node, "cancelled");
    if (!GOES_ON.has(type)) return;
    for (const node of id === undefined ? this.nodes.filter(({ status }) => status === "cancelled") : [this.#byId.get(id)]) this.#reopen(node);
  }

  #reopen(node: BoardNode | undefined): void {
    if (node === undefined) return;
    [node.attempt, node.failure, node.startedAt, node.endedAt, node.retryAt] = [0, undefined, undefined, undefined, undefined];
    this.#set(node, node.left === 0 ? "queued" : "waiting");
  }

  /** Of nodes that failed some may be open again: what is blocked now is what the others block. */
  #blockAgain(): void {
    for (const node of this.nodes) if (node.status === "blocked") this.#set(node, "waiting");
    for (const node of this.failed) this.#block(node);
  }

  #applyNode({ type, node: id, attempt, code, message }: HistoryEvent, at: number): void {
    const node = this.#byId.get(id!);
    if (node === undefined) return;
    const status = (type === "node.started" ? "running" : type.slice("node.".length)) as NodeStatus;
    node.attempt = attempt ?? node.attempt;
    node.retryAt = undefined;
    if (code !== undefined) node.failure = { code, message: message ?? "" };
    if (status === "completed") node.failure = undefined;
    if (status === "running") [node.startedAt, node.endedAt] = [at, undefined];
    else node.endedAt = at;
    this.#set(node, status);
    if (SETTLED_WELL.has(status)) this.#release(node);
    else if (status === "failed") this.#block(node);
  }

  #release(settled: BoardNode): void {
    for (const node of this.#dependents.get(settled.id) ?? []) if (--node.left === 0 && node.status === "waiting") this.#set(node, "queued");
  }

  #block(failed: BoardNode): void {
    const open = [failed];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const node of this.#dependents.get(next.id) ?? []) {
        if (node.status !== "waiting") continue;
        this.#set(node, "blocked");
        open.push(node);
      }
    }
  }

  #set(node: BoardNode, status: NodeStatus): void {
    this.counts.set(node.status, this.counts.get(node.status)! - 1);
    this.counts.set(status, (this.counts.get(status) ?? 0) + 1);
    node.status = status;
    if (ACTIVE.has(status)) this.active.add(node);
    else this.active.delete(node);
    if (status === "failed") this.failed.add(node);
    else this.failed.delete(node);
  }
}
