/**
 * pawl's machines as charts, and the facts they are told: events without a payload, frozen so that their turns are shared.
 */
import type { SnapshotFrom } from "xstate";
import { type NodeEvent, nodeMachine } from "../../machines/node.ts";
import { type SupervisorEvent, supervisorMachine } from "../../machines/supervisor.ts";
import { type WorkflowEvent, workflowMachine } from "../../machines/workflow.ts";
import { Chart, afterEvent } from "./xstate.ts";

export const workflowChart = new Chart(workflowMachine);
export const supervisorChart = new Chart(supervisorMachine);
export const nodeChart = new Chart(nodeMachine);

export type WorkflowSnapshot = SnapshotFrom<typeof workflowMachine>;
export type SupervisorSnapshot = SnapshotFrom<typeof supervisorMachine>;
export type NodeSnapshot = SnapshotFrom<typeof nodeMachine>;

const fact = <E extends { readonly type: string }>(event: E): E => Object.freeze(event);
export const STARTED = fact<WorkflowEvent>({ type: "run.started" });
export const CANCEL = fact<WorkflowEvent>({ type: "run.cancel" });
export const SETTLED_WELL = fact<WorkflowEvent>({ type: "supervisor.settled", degraded: false });
export const COLLECTED = fact<WorkflowEvent>({ type: "output.collected" });
export const NODE_SETTLED = fact<SupervisorEvent>({ type: "node.settled" });
export const EXHAUSTED = fact<SupervisorEvent>({ type: "nodes.exhausted" });
export const STOP = fact<SupervisorEvent>({ type: "supervisor.stop" });
export const GRANTED = fact<NodeEvent>({ type: "node.granted" });
export const SUCCEEDED = fact<NodeEvent>({ type: "attempt.succeeded" });
export const NODE_CANCELLED = fact<NodeEvent>({ type: "node.cancelled" });
export const SUPERVISOR_INPUT = {};
export const RUN_TIMED_OUT = afterEvent("runTimeout", "workflow.running") as unknown as WorkflowEvent;
export const BACKED_OFF = afterEvent("backoff", "node.backingOff") as unknown as NodeEvent;
