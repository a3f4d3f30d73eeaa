/**
 * The nodes of a DAG run as they were stored, brought back to memory: those that back off, are open, or are awaited.
 */
import type { EventNodes } from "./event-nodes.ts";
import type { Failures } from "./failures.ts";
import type { Graph } from "./graph.ts";
import type { Groups } from "./groups.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { restoredBackoffs } from "./node-actor.ts";
import type { NodeTimers } from "./node-timers.ts";
import type { Results } from "./results.ts";
import type { StoredNode } from "./stored-nodes.ts";

interface Parts {
  readonly graph: Graph;
  readonly failures: Failures;
  readonly results: Results;
  readonly groups: Groups;
  readonly events: EventNodes;
  readonly nodes: LiveNodes;
  readonly timers: NodeTimers;
}

/** These have not ended. */
const OPEN: ReadonlySet<string> = new Set(["waiting", "running", "backingOff"]);

/** `now` is in steady time. */
export function restoreNodes(stored: readonly StoredNode[], now: number, { graph, failures, results, groups, events, nodes, timers }: Parts): void {
  for (const { index, status, body, early } of stored.toSorted((a, b) => a.commitNo - b.commitNo)) {
    const node = graph.node(index);
    if (body.failure !== undefined) failures.note(node, status, body.failure);
    if (!OPEN.has(status)) results.readerSettled(index);
    if (early !== undefined) events.restoreEarly(index, early);
    else if (status === "running" && node.kind === "event") events.restore(index, body.startedAt, now);
    else if (status === "running") groups.restore(index, body.opened ?? -1, body.startedAt);
  }
  for (const node of restoredBackoffs(graph, stored, now)) {
    nodes.add(node);
    timers.restore(node);
  }
}
