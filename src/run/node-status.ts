/**
 * How a node of a DAG run stands.
 */
import type { Failure } from "../../machines/node.ts";

const OPEN_STATUSES = ["waiting", "queued", "running", "backingOff", "recovering"] as const;
export const NODE_STATUSES = [...OPEN_STATUSES, "completed", "skipped", "failed", "blocked", "cancelled", "notTaken"] as const;
export type NodeStatus = (typeof NODE_STATUSES)[number];
/** It has not ended, and nothing that it depends on has failed. */
export const OPEN: ReadonlySet<NodeStatus> = new Set(OPEN_STATUSES);
/** How a node can end of itself. */
export type Settled = "completed" | "skipped" | "failed" | "cancelled" | "notTaken";

/** A node as its row tells it; of a group also what it was opened with: the branch that was taken, or how many items. */
export interface KnownNode {
  readonly index: number;
  readonly status: NodeStatus;
  readonly opened?: number | undefined;
}

/** How a node, group or event has settled. */
export interface Settling {
  readonly attempt?: number;
  readonly alternative?: number;
  readonly output: string | undefined;
  readonly failure: Failure | undefined;
  readonly isDegraded?: boolean | undefined;
}
