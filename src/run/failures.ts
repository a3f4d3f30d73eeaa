/**
 * The failures of a run that matter to others: the first that fails it, and those of skipped nodes, for their dependents.
 */
import type { Failure } from "../../machines/node.ts";
import type { WorkflowContext, WorkflowEvent } from "../../machines/workflow.ts";
import type { UpstreamFailure } from "../define/agent.ts";
import type { PlanNode } from "../define/plan.ts";
import { FACT } from "./charts.ts";
import type { NodeStatus } from "./progress.ts";

export class Failures {
  readonly #ofSkipped = new Map<number, UpstreamFailure>();
  #first: WorkflowContext["failure"];

  /** A node has settled, with this as its last failure. */
  note(node: PlanNode, status: NodeStatus, failure: Failure): void {
    if (status === "failed") this.#first ??= { ...failure, node: node.id };
    else if (status === "skipped") this.#ofSkipped.set(node.index, { nodeId: node.id, code: failure.code, message: failure.message });
  }

  /** Those of the skipped nodes among these. */
  among(indices: readonly number[]): UpstreamFailure[] {
    return this.#ofSkipped.size === 0 ? [] : indices.flatMap((index) => this.#ofSkipped.get(index) ?? []);
  }

  /** What the workflow is told when all nodes have settled. */
  outcome(): WorkflowEvent {
    if (this.#first === undefined && this.#ofSkipped.size === 0) return FACT.settledWell;
    return { type: "supervisor.settled", degraded: this.#ofSkipped.size > 0, failure: this.#first };
  }
}
