/**
 * The failures of a run that matter to others: the first that fails it, and those of skipped nodes, for their dependents.
 */
import type { Failure } from "../../machines/node.ts";
import type { WorkflowContext, WorkflowEvent } from "../../machines/workflow.ts";
import type { UpstreamFailure } from "../define/agent.ts";
import { FACT } from "./charts.ts";
import { makeFailure } from "./failure.ts";
import type { RunNode } from "./graph.ts";
import type { NodeStatus } from "./node-status.ts";

/** Of the skipped items of one map, dependents are told so many failures. */
const TOLD_MAX = 100;

/** A node that has failed. */
interface Failed {
  readonly id: string;
  readonly failure: Failure;
  readonly alternative: number;
  readonly attempt: number;
  /** The run is unwound for it. */
  readonly isCause: boolean;
}

export class Failures {
  /** By the node that they are of, or the group that it is an item of. */
  readonly #ofSkipped = new Map<number, UpstreamFailure[]>();
  readonly #ofFailed = new Map<number, Failed>();
  #isDegraded = false;

  /** That of a node for which the run is unwound. */
  get cause(): WorkflowContext["failure"] {
    for (const { isCause, id, failure } of this.#ofFailed.values()) if (isCause) return { ...failure, node: id };
    return undefined;
  }

  /** A node has settled, with this as its last failure, after so many alternatives had taken over. */
  note(node: RunNode, status: NodeStatus, failure: Failure, { alternative = 0, attempt = 0 }: { alternative?: number; attempt?: number }): void {
    this.#isDegraded ||= status === "skipped" || (status === "completed" && alternative > 0);
    if (status === "failed") this.#ofFailed.set(node.index, { id: node.id, failure, alternative, attempt, isCause: node.policy.onFail === "compensate" });
    if (status !== "skipped") return;
    const of = node.of?.group ?? node.index;
    const known = this.#ofSkipped.get(of) ?? [];
    if (known.length < TOLD_MAX) this.#ofSkipped.set(of, [...known, { nodeId: node.id, code: failure.code, message: failure.message }]);
  }

  /** A node has completed as a run that is degraded. */
  degrade(): void {
    this.#isDegraded = true;
  }

  /** How this node failed, if it has. */
  of(index: number): Failed | undefined {
    return this.#ofFailed.get(index);
  }

  /** The node has not failed, after all. */
  forget(index: number): void {
    this.#ofFailed.delete(index);
  }

  /** Those of the skipped nodes among these. */
  among(indices: readonly number[]): UpstreamFailure[] {
    return this.#ofSkipped.size === 0 ? [] : indices.flatMap((index) => this.#ofSkipped.get(index) ?? []);
  }

  /** The failure of a round that was skipped. */
  ofSkipped(group: number): Failure {
    const { code, message } = this.#ofSkipped.get(group)!.at(-1)!;
    return makeFailure("critical", code, message);
  }

  /** What the workflow is told when all nodes have settled. */
  outcome(): WorkflowEvent {
    const [first] = this.#ofFailed.values();
    if (first === undefined && !this.#isDegraded) return FACT.settledWell;
    return { type: "supervisor.settled", degraded: this.#isDegraded, failure: first && { ...first.failure, node: first.id } };
  }
}
