/**
 * The nodes of a DAG run as they were stored, brought back to memory: those that back off, are open, or are awaited.
 */
import { type DagRows, dueOf } from "./dag-rows.ts";
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
  readonly rows: DagRows;
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
export function restoreNodes(stored: readonly StoredNode[], now: number, { rows, graph, failures, results, groups, events, nodes, timers }: Parts): void {
  const waiting = stored.map((node) => begunBy(node, now, rows, graph));
  for (const { index, status, body, early } of waiting.toSorted((a, b) => a.commitNo - b.commitNo)) {
    const node = graph.node(index);
    if (body.failure !== undefined) failures.note(node, status, body.failure, body.alternative);
    if (!OPEN.has(status)) results.readerSettled(index);
    if (early !== undefined) events.restoreEarly(index, early);
    else if (status === "running" && node.kind === "event") events.restore(index, body.startedAt, now);
    else if (status === "running") groups.restore(index, body.opened ?? -1, body.startedAt);
  }
  for (const node of restoredBackoffs(graph, waiting, now)) {
    nodes.add(node);
    timers.restore(node);
  }
}

/**
 * When the clock was set back since a wait began, it begins anew now, with a row that says so: else it would begin anew
 * each time that its run comes back.
 */
function begunBy(stored: StoredNode, now: number, rows: DagRows, graph: Graph): StoredNode {
  const { index, status, body } = stored;
  const node = graph.node(index);
  const begunAt = status === "backingOff" ? body.endedAt : status === "running" && node.kind === "event" ? body.startedAt : undefined;
  if (begunAt === undefined || begunAt <= now) return stored;
  const anew = { ...body, startedAt: Math.min(body.startedAt, now), ...(status === "backingOff" ? { endedAt: now } : dueOf(node, now)) };
  rows.written(node, status, anew);
  return { ...stored, body: anew };
}
