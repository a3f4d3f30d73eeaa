/**
 * Which node of a workflow comes after which, also across the workflows that it runs: `loop/x` is the node `x` of the
 * workflow that the node `loop` runs.
 */
import type { PlanNode } from "../../src/define/plan.ts";
import type { Workflow } from "../../src/index.ts";

export class FlowGraph {
  readonly #nodes = new Map<string, PlanNode>();
  /** Beginnings and ends of nodes, `x begins` and `x ends`, and what each comes before. */
  readonly #before = new Map<string, string[]>();

  constructor(workflow: Workflow) {
    this.#add(workflow, "");
  }

  get ids(): string[] {
    return [...this.#nodes.keys()];
  }

  node(id: string): PlanNode {
    return this.#nodes.get(id)!;
  }

  /** A choice has decided as soon as it begins: its members come after it. A loop decides when it ends. */
  comesAfter(later: string, earlier: string): boolean {
    if (later === earlier) return true;
    const kind = (id: string): string => this.node(id).kind;
    const isChoice = (id: string): boolean => kind(id) === "when" || kind(id) === "route";
    const to = kind(later) === "repeat" ? `${later} ends` : `${later} begins`;
    const seen = new Set([isChoice(earlier) ? `${earlier} begins` : `${earlier} ends`]);
    for (const point of seen) for (const next of this.#before.get(point) ?? []) seen.add(next);
    return seen.has(to);
  }

  #add({ plan }: Workflow, prefix: string): void {
    const path = ({ id }: PlanNode): string => prefix + id;
    for (const node of plan.nodes) {
      this.#nodes.set(path(node), node);
      this.#edge(`${path(node)} begins`, `${path(node)} ends`);
      for (const dependency of node.dependencies) this.#edge(`${path(plan.nodes[dependency]!)} ends`, `${path(node)} begins`);
      if (node.within !== undefined) this.#encloses(path(plan.nodes[node.within.choice]!), path(node));
      if (node.agent.work.kind !== "run") continue;
      const inner = node.agent.work.of as Workflow;
      this.#add(inner, `${path(node)}/`);
      for (const { id } of inner.plan.nodes) this.#encloses(path(node), `${path(node)}/${id}`);
    }
  }

  #encloses(outer: string, inner: string): void {
    this.#edge(`${outer} begins`, `${inner} begins`);
    this.#edge(`${inner} ends`, `${outer} ends`);
  }

  #edge(from: string, to: string): void {
    this.#before.set(from, [...(this.#before.get(from) ?? []), to]);
  }
}
