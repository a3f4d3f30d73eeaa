/**
 * Why a node waits for another: it reads its result (inferred), or says so with `after`.
 */
import type { Workflow } from "../index.ts";

export interface Dependency {
  readonly node: string;
  readonly from: readonly ("reference" | "after")[];
}

/** What the node with this index waits for, in the order of the plan. */
export function dependenciesOf({ plan }: Workflow, index: number): Dependency[] {
  const { dependencies, ...node } = plan.nodes[index]!;
  const [reads, after] = [new Set(node.reads), new Set(node.after)];
  return dependencies.map((dependency) => ({
    node: plan.nodes[dependency]!.id,
    from: [...(reads.has(dependency) ? (["reference"] as const) : []), ...(after.has(dependency) ? (["after"] as const) : [])],
  }));
}
