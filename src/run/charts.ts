/**
 * pawl's machines as charts, and the facts they are told: events without a payload, frozen so that their turns are shared.
 */
import { breakerMachine } from "../../machines/breaker.ts";
import { type EventEvent, eventMachine } from "../../machines/event.ts";
import { type GroupEvent, groupMachine } from "../../machines/group.ts";
import { type LimiterEvent, limiterMachine } from "../../machines/limiter.ts";
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
export const breakerChart = new Chart(breakerMachine);

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

export const LIMITER_FACT: { readonly [Type in LimiterEvent["type"]]: LimiterEvent } = {
  "limit.enough": fact({ type: "limit.enough" }),
  "limit.short": fact({ type: "limit.short" }),
  "limit.over": fact({ type: "limit.over" }),
  "limit.spare": fact({ type: "limit.spare" }),
  "limit.wanting": fact({ type: "limit.wanting" }),
  "limit.unwanted": fact({ type: "limit.unwanted" }),
  "limit.used": fact({ type: "limit.used" }),
  "limit.idle": fact({ type: "limit.idle" }),
  "row.written": fact({ type: "row.written" }),
  "worker.lost": fact({ type: "worker.lost" }),
};

const limiterChart = new Chart(limiterMachine);
export type LimiterState = SnapshotOf<typeof limiterMachine>["value"];

/** One snapshot of each state: a limit goes round in them for ever, and its turns are to be computed once. */
const LIMITER = {
  enough: limiterChart.restore("enough", undefined as never),
  short: limiterChart.restore("short", undefined as never),
  over: limiterChart.restore("over", undefined as never),
  writing: limiterChart.restore("writing", undefined as never),
} as const;

/** `does` is the machine's action, if it asks for one. */
export function limiterTurn(from: LimiterState, event: LimiterEvent): { readonly state: LimiterState; readonly does: string | undefined } {
  const { snapshot, effects } = limiterChart.turn(LIMITER[from], event);
  const [does] = effects.flatMap((effect) => (effect.kind === "action" ? [effect.type] : []));
  return { state: snapshot.value, does };
}

/** The supervisor takes no input; one object, so that its first turn is shared. */
export const SUPERVISOR_INPUT = {};

/** Timers that rows and meters remember. */
export const TIMER = {
  runTimedOut: afterEvent("runTimeout", "workflow.running") as unknown as WorkflowEvent,
  backedOff: afterEvent("backoff", "node.backingOff") as unknown as NodeEvent,
  notStopped: afterEvent("attemptTimeout", "node.stopping") as unknown as NodeEvent,
} as const;
