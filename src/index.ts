/**
 * pawl: durable workflows of AI agents as statecharts. Everything public is named here.
 */
export { type Agent, type AgentContext, type AgentSpec, type HttpService, type Log, type ServiceUrl, type UpstreamFailure, agent } from "./define/agent.ts";
export type { Duration } from "./define/duration.ts";
export type { DocumentOptions } from "./define/document.ts";
export { parseWorkflow } from "./define/parse.ts";
export type { AttemptOptions, OnFail, RetryOptions } from "./define/policy.ts";
export type { ArgsOf, Ref, RefOf, Unref } from "./define/reference.ts";
export type { Schema } from "./define/schema.ts";
export { type NodeHandle, type NodeOptions, type Workflow, type WorkflowBuilder, type WorkflowOptions, workflow } from "./define/workflow.ts";
export { AgentError, ERRORS, type ErrorCode, type FailureKind, PawlError, isPawlError } from "./errors.ts";
export { type OpenOptions, open } from "./open.ts";
export type { Run } from "./run/handle.ts";
export type { HistoryEntry, HistoryEvent, HistoryType } from "./run/history.ts";
export { type MachineHandle, type WaitOptions } from "./run/machine-handle.ts";
export type { SendOptions } from "./run/machine-door.ts";
export type { ComparedRun } from "./run/compare.ts";
export { checkDefinition } from "./run/definition.ts";
export type { CloseOptions, ListOptions, Pawl, RunChange } from "./run/pawl.ts";
export type { SendResult } from "./run/sends.ts";
export type { InputOfStartable, RunOf, StartOptions, Startable } from "./run/startable.ts";
export type { TimerPolicy } from "./run/xstate/actor.ts";
export { type DefinitionOfRun, type DurableMachine, type DurableOptions, type MigratedState, durable } from "./run/xstate/durable.ts";
export { otherRun } from "./run/xstate/effects.ts";
export { actionKey, step } from "./run/xstate/step.ts";
export type { NodeStatus } from "./run/progress.ts";
export type { ActorView, TimerView, WaitingFor } from "./run/machine-view.ts";
export type { NodeView, RunDefinition, RunStatus, RunSummary, RunView } from "./run/view.ts";
export type { MachineStructure } from "./run/xstate/structure.ts";
export { type DrawingFormat, drawMachine } from "./run/xstate/drawing.ts";
