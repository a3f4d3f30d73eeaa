/**
 * pawl's machines as charts, and the facts they are told: events without a payload, frozen so that their turns are shared.
 */
import { type EventEvent, eventMachine } from "../../machines/event.ts";
import { type GroupEvent, groupMachine } from "../../machines/group.ts";
import { type NodeEvent, nodeMachine } from "../../machines/node.ts";
import { stageMachine } from "../../machines/stage.ts";
import { type SupervisorEvent, supervisorMachine } from "../../machines/supervisor.ts";
import { type WorkflowEvent, workflowMachine } from "../../machines/workflow.ts";
import { Chart, type SnapshotOf, afterEvent } from "./xstate/chart.ts";

export const workflowChart = new Chart(workflowMachine);
export const supervisorChart = new Chart(supervisorMachine);
export const nodeChart = new Chart(nodeMachine);
export const stageChart = new Chart(stageMachine);
export const groupChart = new Chart(groupMachine);
export const eventChart = new Chart(eventMachine);

export type WorkflowSnapshot = SnapshotOf<typeof workflowMachine>;
export type SupervisorSnapshot = SnapshotOf<typeof supervisorMachine>;
export type NodeSnapshot = SnapshotOf<typeof nodeMachine>;
export type StageSnapshot = SnapshotOf<typeof stageMachine>;
export type GroupSnapshot = SnapshotOf<typeof groupMachine>;
export type EventSnapshot = SnapshotOf<typeof eventMachine>;

const fact = <E extends { readonly type: string }>(event: E): E => Object.freeze(event);

export const FACT = {
  started: fact<WorkflowEvent>({ type: "run.started" }),
  cancel: fact<WorkflowEvent>({ type: "run.cancel" }),
  cancelUndoing: fact<WorkflowEvent>({ type: "run.cancel", undoes: true }),
  terminate: fact<WorkflowEvent>({ type: "run.terminate" }),
  overdue: fact<WorkflowEvent>({ type: "run.overdue" }),
  unwound: fact<WorkflowEvent>({ type: "supervisor.unwound" }),
  pause: fact<WorkflowEvent>({ type: "run.pause" }),
  resume: fact<WorkflowEvent>({ type: "run.resume" }),
  settledWell: fact<WorkflowEvent>({ type: "supervisor.settled", degraded: false }),
  collected: fact<WorkflowEvent>({ type: "output.collected" }),
  nodeSettled: fact<SupervisorEvent>({ type: "node.settled" }),
  exhausted: fact<SupervisorEvent>({ type: "nodes.exhausted" }),
  stop: fact<SupervisorEvent>({ type: "supervisor.stop" }),
  unwind: fact<SupervisorEvent>({ type: "supervisor.unwind" }),
  granted: fact<NodeEvent>({ type: "node.granted" }),
  succeeded: fact<NodeEvent>({ type: "attempt.succeeded" }),
  nodeCancelled: fact<NodeEvent>({ type: "node.cancelled" }),
  unwinds: fact<NodeEvent>({ type: "run.unwinds" }),
} as const;

export const GROUP_FACT = {
  opened: fact<GroupEvent>({ type: "group.opened" }),
  membersSettled: fact<GroupEvent>({ type: "members.settled" }),
  roundWanted: fact<GroupEvent>({ type: "round.wanted" }),
  closed: fact<GroupEvent>({ type: "group.closed" }),
  cancelled: fact<GroupEvent>({ type: "node.cancelled" }),
} as const;

export const EVENT_FACT = {
  received: fact<EventEvent>({ type: "event.received" }),
  cancelled: fact<EventEvent>({ type: "node.cancelled" }),
  timedOut: fact(afterEvent("eventTimeout", "event.awaited")) as unknown as EventEvent,
} as const;

/** The supervisor takes no input; one object, so that its first turn is shared. */
export const SUPERVISOR_INPUT = {};

/** Timers that rows and meters remember. */
export const TIMER = {
  runTimedOut: afterEvent("runTimeout", "workflow.running") as unknown as WorkflowEvent,
  backedOff: afterEvent("backoff", "node.backingOff") as unknown as NodeEvent,
  notStopped: afterEvent("attemptTimeout", "node.stopping") as unknown as NodeEvent,
} as const;
