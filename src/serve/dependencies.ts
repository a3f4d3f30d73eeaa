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
  const { dependencies, reads } = plan.nodes[index]!;
  const read = new Set(reads);
  const after = new Set(plan.structure.nodes[index]!.after);
  return dependencies.map((dependency) => {
    const node = plan.nodes[dependency]!.id;
    return { node, from: [...(read.has(dependency) ? (["reference"] as const) : []), ...(after.has(node) ? (["after"] as const) : [])] };
  });
}
