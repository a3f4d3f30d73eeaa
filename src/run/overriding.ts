/**
 * Sets how a node of a run that is under way ends, whatever it does now: it waits, is queued, runs, backs off, is awaited or open;
 * has failed, or is blocked.
 * 1. An attempt that runs is given up; its answer is no longer wanted. 2. With a group ends all that it is made of: what has not
 * ended is not waited for any more, or is given up with it. 3. What may run then is found anew, as after a restart.
 */
import type { NodeEvent } from "../../machines/node.ts";
import { isGroup } from "../define/node-definition.ts";
import { PawlError, isPawlError } from "../errors.ts";
import { childRunId } from "./attempt.ts";
import { nodeChart } from "./charts.ts";
import type { EventNodes } from "./event-nodes.ts";
import type { Failures } from "./failures.ts";
import type { Graph, RunNode } from "./graph.ts";
import type { Groups } from "./groups.ts";
import type { LiveNodes } from "./live-nodes.ts";
import { type Abandoned, type NodeActor, agentOf, countCutOff, isCalling, newNode, policyAt } from "./node-actor.ts";
import type { NodeTurns } from "./node-turns.ts";
import { type Override, notChosen, noteOf, overridable, overrideFailure, settledError } from "./override.ts";
import type { Phases } from "./phases.ts";
import { type NodeStatus, OPEN } from "./node-status.ts";
import type { Progress } from "./progress.ts";
import type { Reply } from "./requests.ts";
import type { OverrideNote } from "./row.ts";

/** What it takes to end a call. */
export interface EndingParts {
  readonly id: string;
  readonly progress: Progress;
  readonly nodes: LiveNodes;
  readonly turns: NodeTurns;
  readonly failures: Failures;
  readonly abandoned: Abandoned;
  now(): number;
}

type Overridden = Extract<NodeEvent, { type: "node.overridden" }>;

interface Parts extends EndingParts {
  readonly graph: Graph;
  readonly events: EventNodes;
  readonly groups: Groups;
  readonly phases: Phases;
}

/** These have done something, or do. */
const BEGUN: ReadonlySet<NodeStatus> = new Set(["queued", "running", "backingOff", "recovering"]);
const LEFT_OUT: Overridden = { type: "node.overridden", outcome: "notTaken" };

/** Answers why it was refused, if it was. */
export function override(asked: Override, parts: Parts): Reply | undefined {
  try {
    const { graph, progress, phases } = parts;
    const node = overridable(graph, parts.id, asked.node);
    refuseSettled(node, asked, parts);
    const { outcome, result } = asked;
    const event: Overridden =
      outcome === "completed" ? { type: "node.overridden", outcome } : { type: "node.overridden", outcome, failure: overrideFailure(asked) };
    const set = (): void => tell(node, event, parts, noteOf(asked), result);
    if (!isGroup(node.kind) && OPEN.has(progress.status(node.index))) set();
    else phases.setting(() => (endParts(node, event, parts), set()));
    return undefined;
  } catch (error) {
    if (!isPawlError(error)) throw error;
    return { refused: { code: error.code, message: error.message } };
  }
}

function refuseSettled({ index, id, within, kind }: RunNode, { outcome }: Override, { id: runId, graph, progress, phases }: Parts): void {
  const status = progress.status(index);
  const canBeSetAnew = phases.isRunning && (status === "blocked" || (status === "failed" && outcome !== "failed"));
  const isOpen = OPEN.has(status) && (phases.isRunning || !isGroup(kind));
  if (!isOpen && !canBeSetAnew) throw settledError(runId, id, status);
  const choice = within?.choice;
  if (choice !== undefined && progress.openedWith(choice) === undefined) throw notChosen(runId, id, graph.node(choice).id);
}

/** What a group is made of ends with it. */
function endParts({ index }: RunNode, event: Overridden, parts: Parts): void {
  const { graph, progress, nodes, abandoned } = parts;
  const members = [...graph.partsOf(index)];
  const of: Overridden = event.outcome === "failed" ? event : LEFT_OUT;
  abandoned.addChildren(nodes.leftChildren(parts.id, graph, progress, members));
  for (const member of members) {
    const [node, status] = [graph.node(member), progress.status(member)];
    const isOpened = isGroup(node.kind) && status === "blocked" && progress.openedWith(member) !== undefined;
    const isFailed = status === "failed" || isOpened;
    if (status === "queued" && nodes.at(member) === undefined) {
      progress.withdraw(member);
      progress.unsettle(member);
    } else if (BEGUN.has(status) || (isFailed && of === LEFT_OUT)) tell(node, of, parts);
  }
}

function tell(node: RunNode, event: Overridden, parts: Parts, note?: OverrideNote, result?: string): void {
  if (node.kind === "event") parts.events.end(node.index, event, note, result);
  else if (isGroup(node.kind)) parts.groups.override(node.index, event, note, result);
  else endCall(node, event, note, parts, result);
}

/** The call ends as the event says, whatever it does now. `note`: somebody said so. */
export function endCall(node: RunNode, event: NodeEvent, note: OverrideNote | undefined, parts: EndingParts, result?: string): void {
  const { id: runId, progress, nodes, turns, abandoned } = parts;
  const { index, id } = node;
  const known = nodes.at(index);
  const actor = known ?? actorOf(node, parts);
  if (known === undefined) actor.since = parts.now();
  if (!isCalling(actor)) {
    // an attempt of another process may have begun as a run of its own, of which nothing is known here
    if (OPEN.has(progress.status(index)) && agentOf(actor).work.kind === "run")
      abandoned.addChildren([childRunId(runId, id, actor.snapshot.context.attempt + 1)]);
    progress.withdraw(index);
  }
  countCutOff(actor);
  if (note !== undefined) actor.overridden = note;
  turns.tell(actor, event, result);
  if (actor.snapshot.status !== "done") throw new PawlError("PAWL_BUG", { message: `node "${id}" did not take its outcome` });
}

/** One that is not in memory: it has not begun, or has failed after so many attempts. */
function actorOf(node: RunNode, { failures }: EndingParts): NodeActor {
  const { failure, attempt = 0, alternative = 0 } = failures.of(node.index) ?? {};
  if (attempt === 0) return newNode(node, nodeChart.initial(node.policy).snapshot);
  const policy = policyAt(node.policy, alternative);
  return newNode(node, nodeChart.restore("queued", { policy, alternative, attempt, attemptsBefore: attempt, recoveries: 0, warned: 0, failure, backoffMs: 0 }));
}
