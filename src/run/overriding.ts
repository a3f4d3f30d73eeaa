/**
 * Sets how a node of a run that is under way ends, whatever it does now: it waits, is queued, runs, backs off or is awaited.
 * An attempt that runs is given up; its answer is no longer wanted.
 */
import type { NodeEvent } from "../../machines/node.ts";
import { PawlError, isPawlError } from "../errors.ts";
import { childRunId } from "./attempt.ts";
import { nodeChart } from "./charts.ts";
import type { EventNodes } from "./event-nodes.ts";
import type { Graph, RunNode } from "./graph.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { type Abandoned, agentOf, isCalling, newNode } from "./node-actor.ts";
import type { NodeTurns } from "./node-turns.ts";
import { type Override, notChosen, overridable, overrideFailure, settledError } from "./override.ts";
import type { NodeStatus, Progress } from "./progress.ts";
import type { OverrideNote } from "./row.ts";
import type { Reply } from "./requests.ts";

/** What it takes to end a call. */
export interface EndingParts {
  readonly id: string;
  readonly progress: Progress;
  readonly nodes: LiveNodes;
  readonly turns: NodeTurns;
  readonly abandoned: Abandoned;
  now(): number;
}

interface Parts extends EndingParts {
  readonly graph: Graph;
  readonly events: EventNodes;
}

/** These have not ended. */
const OPEN: ReadonlySet<NodeStatus> = new Set(["waiting", "queued", "running", "backingOff", "recovering"]);

/** Answers why it was refused, if it was. */
export function override(asked: Override, parts: Parts): Reply | undefined {
  try {
    const node = openNode(asked.node, parts);
    const { outcome } = asked;
    const event: NodeEvent =
      outcome === "completed" ? { type: "node.overridden", outcome } : { type: "node.overridden", outcome, failure: overrideFailure(asked) };
    if (node.kind === "event") parts.events.override(node.index, event, asked);
    else overrideCall(node, event, asked, parts);
    return undefined;
  } catch (error) {
    if (!isPawlError(error)) throw error;
    return { refused: { code: error.code, message: error.message } };
  }
}

function openNode(id: string, { id: runId, graph, progress }: Parts): RunNode {
  const node = overridable(graph, runId, id);
  const status = progress.status(node.index);
  if (!OPEN.has(status)) throw settledError(runId, id, status);
  if (node.within !== undefined && !progress.isOpen(node.within.choice)) throw notChosen(runId, id, graph.node(node.within.choice).id);
  return node;
}

function overrideCall(node: RunNode, event: NodeEvent, { outcome, by, reason, result }: Override, parts: Parts): void {
  endCall(node, event, { outcome, ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) }, parts, result);
}

/** The call ends as the event says, whatever it does now. `note`: somebody said so. */
export function endCall(node: RunNode, event: NodeEvent, note: OverrideNote | undefined, parts: EndingParts, result?: string): void {
  const { id: runId, progress, nodes, turns, abandoned } = parts;
  const { index, id } = node;
  const known = nodes.at(index);
  const actor = known ?? newNode(node, nodeChart.initial(node.policy).snapshot);
  if (known === undefined) actor.since = parts.now();
  if (!isCalling(actor)) {
    progress.withdraw(index);
    // an attempt of another process may have begun as a run of its own, of which nothing is known here
    if (agentOf(actor).work.kind === "run") abandoned.addChildren([childRunId(runId, id, actor.snapshot.context.attempt + 1)]);
  }
  if (actor.wasCutOff === true) {
    const { context } = actor.snapshot;
    actor.snapshot = nodeChart.restore("running", { ...context, attempt: context.attempt + 1 });
  }
  if (note !== undefined) actor.overridden = note;
  turns.tell(actor, event, result);
  if (actor.snapshot.status !== "done") throw new PawlError("PAWL_BUG", { message: `node "${id}" did not take its outcome` });
}
