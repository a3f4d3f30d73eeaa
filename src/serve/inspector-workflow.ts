/**
 * The inspector's messages of a workflow's run: the workflow, its supervisor, and beneath that the nodes that began; items,
 * rounds and members of a choice beneath what they are a part of. What they were told is not in the history, so their events
 * are what the history says happened.
 */
import type { HistoryEntry, HistoryEvent, HistoryType, RunDefinition } from "../index.ts";
import type { InspectorSnapshot, Pen, Scribe } from "./inspector-messages.ts";

const SUPERVISOR = "supervisor~1";

/** How a state of the run, or of a node, looks to the inspector; those not named are active. */
const STATUS: Readonly<Record<string, InspectorSnapshot["status"]>> = {
  completed: "done",
  skipped: "done",
  failed: "error",
  timedOut: "error",
  cancelled: "stopped",
};

/** What is said of a run that goes on. */
const GOES_ON: ReadonlySet<string> = new Set<HistoryType>(["run.started", "run.forked", "run.recovered", "run.resumed", "run.retried", "run.continued"]);
/** Of warnings and recovery actions of stages and runs nothing is shown: no state of an actor comes of them. */
const ASIDE: ReadonlySet<string> = new Set<HistoryType>([
  ...(["run.warned", "run.actionEnded", "stage.started", "stage.warned", "stage.recovered", "stage.timedOut", "stage.completed"] as const),
]);
/** Of a run that had ended. */
const BEGINS_ANEW: ReadonlySet<string> = new Set<HistoryType>(["run.retried", "run.continued"]);

/** Of a map with more items only those that back off, fail or are skipped are shown. */
const ITEMS_MAX = 200;
const TROUBLES: ReadonlySet<string> = new Set<HistoryType>(["node.backingOff", "node.failed", "node.skipped"]);

type Definition = Extract<RunDefinition, { kind: "workflow" }>;

export function workflowScribe({ name, structure }: Definition): Scribe {
  const nodes = new Set<string>();
  const defined = new Map(structure.nodes.map((node) => [node.id, node]));
  const longMaps = new Set<string>();

  /** The map or loop of an item or round; the choice of a member; the node of a recovery action, if it is not that of a stage or the run. */
  const groupOf = (id: string): string | undefined => {
    if (defined.has(id)) return defined.get(id)!.within?.choice;
    return id.startsWith("[") ? undefined : id.slice(0, id.lastIndexOf("["));
  };

  const announceNode = (id: string, pen: Pen): void => {
    if (nodes.has(id)) return;
    nodes.add(id);
    const group = groupOf(id);
    if (group !== undefined) announceNode(group, pen);
    const parentId = group === undefined ? supervisorId(pen) : `${pen.runId}/${group}`;
    pen.actor(`${pen.runId}/${id}`, { name: id, parentId, definition: undefined, snapshot: stateOf("waiting") });
  };

  const ofNode = (event: HistoryEvent, pen: Pen): void => {
    const { type, node, attempt, code, items, branch, dueAt, childRun, outcome, by, reason, action, verdict } = event;
    if (items !== undefined && items > ITEMS_MAX) longMaps.add(node!);
    if (!nodes.has(node!) && !TROUBLES.has(type) && longMaps.has(groupOf(node!) ?? "")) return;
    announceNode(node!, pen);
    const facts = { attempt, code, items, branch, dueAt, childRun, outcome, by, reason, action, verdict };
    const told = { type, ...Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) };
    const started = defined.get(node!)?.kind === "event" ? "awaited" : "running";
    const sessionId = `${pen.runId}/${node!}`;
    pen.event(sessionId, told, supervisorId(pen));
    // the state that it leads to is told next
    if (type !== "node.overridden" && type !== "node.recovered")
      pen.snapshot(sessionId, told, stateOf(type === "node.started" ? started : type.slice("node.".length)));
  };

  const ofRun = ({ type, code }: HistoryEvent, pen: Pen): void => {
    const told = { type, ...(code !== undefined && { code }) };
    const state = stateOf(GOES_ON.has(type) ? "running" : type.slice("run.".length), { supervisor: SUPERVISOR });
    pen.event(pen.runId, told);
    pen.snapshot(pen.runId, told, state);
    if (type === "run.started" || type === "run.forked") announce(pen);
    else if (state.status !== "active" || BEGINS_ANEW.has(type)) pen.snapshot(supervisorId(pen), told, supervisorState(state.status));
  };

  const announce = (pen: Pen): void =>
    pen.actor(supervisorId(pen), { name: "supervisor", parentId: pen.runId, definition: undefined, snapshot: supervisorState("active") });

  return {
    happened: ({ commitNo, events }: HistoryEntry, pen) => {
      if (commitNo === 1) pen.actor(pen.runId, { name, parentId: undefined, definition: undefined, snapshot: stateOf("pending") });
      for (const event of events) if (!ASIDE.has(event.type)) (event.node === undefined ? ofRun : ofNode)(event, pen);
    },
    /** The history has said it, unless the run was set aside. */
    ended: ({ status }, pen) => {
      if (status === "quarantined") pen.snapshot(pen.runId, { type: "run.quarantined" }, { status: "error", value: status, children: {} });
    },
  };
}

function supervisorId({ runId }: Pen): string {
  return `${runId}/${SUPERVISOR}`;
}

function supervisorState(status: InspectorSnapshot["status"]): InspectorSnapshot {
  return {
    status: status === "active" ? "active" : "done",
    value: status === "active" ? "running" : status === "stopped" ? "stopped" : "settled",
    children: {},
  };
}

function stateOf(value: string, children: Readonly<Record<string, string>> = {}): InspectorSnapshot {
  const refs = Object.entries(children).map(([name, id]) => [name, { xstate$$type: 1 as const, id }]);
  return { status: STATUS[value] ?? "active", value, children: Object.fromEntries(refs) as InspectorSnapshot["children"] };
}
