/**
 * Ends nodes of a DAG run that have not ended, as failed: each as its `onFail` says, so that what depends on it is blocked, goes
 * on without, or the run is unwound.
 */
import type { Failure, NodeEvent } from "../../machines/node.ts";
import { isGroup } from "../define/node-definition.ts";
import { PawlError } from "../errors.ts";
import type { EventNodes } from "./event-nodes.ts";
import type { Graph } from "./graph.ts";
import type { Groups } from "./groups.ts";
import { type EndingParts, endCall } from "./overriding.ts";
import { OPEN } from "./node-status.ts";

/** What it takes to end nodes of any kind. */
export interface FailingParts extends EndingParts {
  readonly graph: Graph;
  readonly groups: Groups;
  readonly events: EventNodes;
}

/** Those of branches that are not taken yet are left: nobody knows whether they will be. */
export function failNodes(members: readonly number[], failure: Failure, parts: FailingParts): void {
  // one that ends makes others ready, which end, too
  for (let ended = 0, before = -1; ended > before;) {
    before = ended;
    for (const member of members)
      for (const index of [...parts.graph.itemsOf(member), member]) if (isOpen(index, parts) && failNode(index, failure, parts)) ended++;
    if (ended > parts.graph.size) throw new PawlError("PAWL_BUG", { message: `nodes that failed by ${failure.code} do not end` });
  }
}

function isOpen(index: number, { graph, progress }: FailingParts): boolean {
  const { within } = graph.node(index);
  return OPEN.has(progress.status(index)) && (within === undefined || progress.openedWith(within.choice) !== undefined);
}

/** Answers whether it has ended: a group that is open ends as its parts do. */
function failNode(index: number, failure: Failure, parts: FailingParts): boolean {
  const node = parts.graph.node(index);
  if (isGroup(node.kind)) return parts.groups.refuse(index, failure);
  const event: NodeEvent = { type: "node.overridden", outcome: node.policy.onFail === "skip" ? "skipped" : "failed", failure };
  if (node.kind === "event") parts.events.end(index, event);
  else endCall(node, event, undefined, parts);
  return true;
}
