/**
 * The nodes of a DAG run that are in memory, and the permits that they hold. A node whose agent is a run of its own gives
 * its permit back and goes on running: then it only waits for that run.
 */
import type { Agent } from "../define/agent.ts";
import { agentsOf } from "../define/plan.ts";
import { childRunId } from "./attempt.ts";
import type { DropCode } from "./hosted-run.ts";
import type { Graph, RunNode } from "./graph.ts";
import { type NodeActor, agentOf, isCalling } from "./node-actor.ts";
import type { NodeStatus } from "./node-status.ts";
import type { Progress } from "./progress.ts";

const isRun = ({ work }: Agent): boolean => work.kind === "run";

/** Nodes whose next attempt may have begun without a row that says so. */
const BETWEEN_ATTEMPTS: ReadonlySet<NodeStatus> = new Set(["queued", "backingOff"]);

export class LiveNodes {
  readonly #nodes = new Map<number, NodeActor>();
  readonly #released: () => void;
  readonly #isRestored: boolean;
  #held = 0;

  /** `isRestored`: earlier attempts may be under way as runs of their own, of which memory knows nothing. */
  constructor(released: () => void, isRestored: boolean) {
    this.#released = released;
    this.#isRestored = isRestored;
  }

  /** Permits that they hold. */
  get held(): number {
    return this.#held;
  }

  /** An attempt of one that can be undone is under way, or was cut off. */
  get haveUndo(): boolean {
    for (const { node, snapshot, wasCutOff } of this.#nodes.values())
      if (node.compensate !== undefined && (snapshot.context.attempt > 0 || wasCutOff === true)) return true;
    return false;
  }

  at(index: number): NodeActor | undefined {
    return this.#nodes.get(index);
  }

  add(node: NodeActor): void {
    this.#nodes.set(node.index, node);
  }

  delete(node: NodeActor): void {
    this.#nodes.delete(node.index);
  }

  all(): NodeActor[] {
    return [...this.#nodes.values()];
  }

  /** The node was given a permit. */
  holds(node: NodeActor): void {
    node.hasPermit = true;
    this.#held++;
  }

  /** Gives its permit back, if it has one. */
  release(node: NodeActor): void {
    if (!node.hasPermit) return;
    node.hasPermit = false;
    this.#held--;
    this.#released();
  }

  /** Is this the run that a node waits for now? */
  wantsChild(childId: string, runId: string, graph: Graph): boolean {
    const [nodeId = ""] = childId.slice(runId.length + 1).split("~");
    const node = this.#nodes.get(graph.find(nodeId) ?? -1);
    return node !== undefined && isCalling(node) && childRunId(runId, nodeId, node.snapshot.context.attempt) === childId;
  }

  /** What the runs would be called that nodes had begun when the run was stored, of nodes that have not been granted again. */
  leftChildren(runId: string, graph: Graph, progress: Progress, among: Iterable<number> = graph.indices()): string[] {
    if (!this.#isRestored || !graph.plan.nodes.some((node) => agentsOf(node).some(isRun))) return [];
    const mayHave: RunNode[] = [];
    for (const index of among) {
      const node = graph.node(index);
      const isOpen = BETWEEN_ATTEMPTS.has(progress.status(index)) || (node.of !== undefined && progress.status(index) === "waiting");
      const live = this.at(index);
      if (node.kind === "call" && isOpen && isRun(live === undefined ? node.agent : agentOf(live))) mayHave.push(node);
    }
    return mayHave.map(({ index, id }) => childRunId(runId, id, (this.at(index)?.snapshot.context.attempt ?? 0) + 1));
  }

  /** Forgets them, and gives back their permits: whoever counted them as held does not see that. */
  drop(code: DropCode): NodeActor[] {
    const nodes = this.all();
    this.#nodes.clear();
    for (const node of nodes) {
      if (node.hasPermit) this.#released();
      node.hasPermit = false;
      node.pass?.end("neither");
      node.attempt?.abandon(code);
      node.attempt = undefined;
    }
    return nodes;
  }
}
