/**
 * The nodes of a DAG run as they were stored, brought back to memory: those that back off, are open, or are awaited.
 */
import { nodeChart } from "./charts.ts";
import { type DagRows, dueOf } from "./dag-rows.ts";
import type { EditedInputs } from "./edited-inputs.ts";
import type { EventNodes } from "./event-nodes.ts";
import type { Failures } from "./failures.ts";
import type { Graph, RunNode } from "./graph.ts";
import type { Groups } from "./groups.ts";
import type { RunSeams } from "./hosted-run.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { contextOf, isOwnRun, newNode, restoredBackoffs } from "./node-actor.ts";
import type { NodeTimers } from "./node-timers.ts";
import { OPEN } from "./node-status.ts";
import type { Results } from "./results.ts";
import type { StoredNode } from "./stored-nodes.ts";
import type { Unwinding } from "./unwinding.ts";

interface Parts {
  readonly edited: EditedInputs;
  readonly rows: DagRows;
  readonly graph: Graph;
  readonly failures: Failures;
  readonly results: Results;
  readonly groups: Groups;
  readonly events: EventNodes;
  readonly nodes: LiveNodes;
  readonly timers: NodeTimers;
  readonly unwinding: Unwinding;
  /** What the run is in. */
  readonly state: string;
  /** Of the commit that comes next. */
  readonly nextCommitNo: number;
}

type TimeSeams = Pick<RunSeams, "steadyNow" | "epoch" | "lagOf">;

/** A call that is none of these waits for its end. */
const GOES_ON: ReadonlySet<string> = new Set(["backingOff", "recovering"]);

export function restoreNodes(stored: readonly StoredNode[], seams: TimeSeams, parts: Parts): void {
  const { graph, failures, results, groups, events, nodes, timers, edited } = parts;
  const now = seams.steadyNow();
  const waiting = stored.map((node) => begunHere(node, now, seams, parts));
  for (const of of waiting.toSorted((a, b) => a.commitNo - b.commitNo)) {
    const { index, status, body, early } = of;
    const node = graph.node(index);
    if (node.undoes !== undefined) {
      if (!OPEN.has(status)) parts.unwinding.undone(node.undoes, status === "completed");
      continue;
    }
    if (node.recovers !== undefined) continue;
    edited.restore(index, body);
    if (body.failure !== undefined) failures.note(node, status, body.failure, body.overridden === undefined ? body : { attempt: body.attempt });
    if (body.degraded) failures.degrade();
    if (status === "completed" && body.overridden !== undefined && node.kind !== "call") results.isSet(index);
    if (!OPEN.has(status)) results.readerSettled(index);
    if (early !== undefined) events.restoreEarly(index, early);
    else if (status === "running" && node.kind === "event") events.restore(index, body.startedAt, now);
    else if (node.kind === "call" && (status === "running" || (GOES_ON.has(status) && parts.state === "compensating"))) restoreCutOff(node, of, parts);
    else if (status === "recovering") nodes.add({ ...newNode(node, nodeChart.restore("recovering", contextOf(node, body))), since: body.startedAt });
    else if (status === "running") groups.restore(index, body.opened ?? -1, body.startedAt);
    else if (!OPEN.has(status)) parts.unwinding.ended(node, status, body.attempt, body.failure, of.commitNo);
  }
  // the action that a node waits for, and none of an attempt that is gone
  const isWanted = ({ index }: StoredNode): boolean => {
    const { recovers } = graph.node(index);
    if (recovers === undefined || typeof recovers.of === "string") return true;
    return nodes.at(recovers.of)?.snapshot.value === "recovering";
  };
  const isUndone = ({ index }: StoredNode): boolean => parts.state === "compensating" && graph.undoes(index) === undefined;
  for (const node of restoredBackoffs(
    graph,
    waiting.filter((node) => !isUndone(node) && isWanted(node)),
    now,
  )) {
    nodes.add(node);
    timers.restore(node);
  }
}

/**
 * An attempt was under way, or was waited for: it runs again, unless the run is unwound; then the end of one that goes on as
 * a run of its own is waited for.
 */
function restoreCutOff(node: RunNode, { status, body }: StoredNode, { rows, nodes, unwinding, state, nextCommitNo }: Parts): void {
  const { attempt, failure } = body;
  if (state === "compensating") {
    const stopping = { ...newNode(node, nodeChart.restore("stopping", contextOf(node, body))), since: body.startedAt };
    if (status === "running" && isOwnRun(stopping)) return nodes.add(stopping);
    rows.written(node, "cancelled", body);
    return unwinding.ended(node, "cancelled", attempt, failure, nextCommitNo);
  }
  const queued = nodeChart.restore("queued", { ...contextOf(node, body), attempt: attempt - 1, backoffMs: 0 });
  nodes.add({ ...newNode(node, queued), since: body.startedAt, wasCutOff: true });
}

/**
 * A wait that began by another worker's time goes on by the time here. When the clock was set back since it began, and nobody
 * knows by how much, it begins anew now. A row says so: else it would begin anew each time that its run comes back.
 */
function begunHere(stored: StoredNode, now: number, seams: TimeSeams, { rows, graph }: Parts): StoredNode {
  const { index, status, body } = stored;
  const node = graph.node(index);
  const begunAt = status === "backingOff" ? body.endedAt : status === "running" && node.kind === "event" ? body.startedAt : undefined;
  if (begunAt === undefined) return stored;
  const at = Math.min(begunAt + seams.lagOf(body.epoch), now);
  if (at === begunAt) return stored;
  const anew = status === "backingOff" ? { startedAt: Math.min(body.startedAt, now), endedAt: at } : { startedAt: at, ...dueOf(node, at) };
  const moved = { ...body, ...anew, epoch: seams.epoch };
  rows.written(node, status, moved);
  return { ...stored, body: moved };
}
