/**
 * pawl: durable workflows of AI agents as statecharts. Everything public is named here.
 */
export {
  type Agent,
  type AgentContext,
  type AgentSpec,
  type ErrorHandler,
  type ErrorVerdict,
  type FailedAttempt,
  type HttpService,
  type Log,
  type ServiceUrl,
  type UpstreamFailure,
  agent,
} from "./define/agent.ts";
export type { BreakerFailure, BreakerOption, BreakerOptions, BreakerPolicy, RateOptions, RatePolicy } from "./define/breaker.ts";
export type { CheckResult, HealthCheck, HealthStatus, TimedHealthCheck } from "./define/health-check.ts";
export type { Duration } from "./define/duration.ts";
export type { DocumentOptions } from "./define/document.ts";
export { documentSchema, parseWorkflow } from "./define/parse.ts";
export type { LimitOptions, LimitsOptions, UseOptions } from "./define/limits.ts";
export type { Alternative, OnFail } from "./define/on-fail.ts";
export type { AttemptOptions, FinalWord, RetryOptions } from "./define/policy.ts";
export type { LadderOptions, Recovery, RecoveryActions, RecoveryVerdict, StageOptions, StageRecovery } from "./define/recovery.ts";
export type { ArgsOf, Ref, RefOf, Unref } from "./define/reference.ts";
export type { Schema } from "./define/schema.ts";
export { type NodeHandle, type NodeOptions, type Undo, type Workflow, type WorkflowBuilder, type WorkflowOptions, workflow } from "./define/workflow.ts";
export { AgentError, ERRORS, type ErrorCode, type FailureKind, type Finding, PawlError, isPawlError, statusOfError } from "./errors.ts";
export { backupStore, restoreStore } from "./backups.ts";
export { type ExamineOptions, examineStore } from "./doctor.ts";
export type {
  AgentMetrics,
  BreakerCounts,
  BreakerMetrics,
  BreakerNow,
  Distribution,
  LimitCounts,
  LimitMetrics,
  LimitNow,
  Metrics,
  NodeMetrics,
  ProcessFacts,
  ProcessMetrics,
  StoreMetrics,
  Total,
  WorkerMetrics,
  WorkflowMetrics,
} from "./run/metering.ts";
export type { CheckedHealth, HealthOptions, HealthReport } from "./run/health.ts";
export type { NoticeType, RunNotice } from "./run/notice.ts";
export { type NoticeReceiver, type VerifyOptions, type Webhook, verifyNotice, webhook } from "./run/webhook.ts";
export { type OpenOptions, open } from "./open.ts";
export type { LaneOptions } from "./run/lane.ts";
export type { BreakerView } from "./run/breaker-view.ts";
export type { BreakerReason, BreakerState, CountedFailure } from "./run/breaker-row.ts";
export type { LimitShare, LimitTarget, LimitView } from "./run/limit-view.ts";
export type { BulkFilter, BulkOptions, BulkOutcome, BulkVerb } from "./run/bulk.ts";
export type { CancelOptions, RequestOptions, RetryRunOptions, Run } from "./run/handle.ts";
export type { HistoryEntry, HistoryEvent, HistoryType, RunChange } from "./run/history.ts";
export { type MachineHandle, type WaitOptions } from "./run/machine-handle.ts";
export type { SendOptions } from "./run/machine-door.ts";
export type { ChangesOptions, StoredChange } from "./run/changes.ts";
export type { EventListener, EventOrigin, HistoryListener } from "./run/subscribers.ts";
export type { AgentCounts, Counts, CountsOptions } from "./run/counts.ts";
export type { ComparedRun } from "./run/compare.ts";
export type { StartTime } from "./run/delayed-start.ts";
export { checkDefinition } from "./run/definition.ts";
export type { CloseOptions, ListOptions, Pawl } from "./run/pawl.ts";
export type { ChangeOptions } from "./run/turns.ts";
export type { WorkerView } from "./run/peers.ts";
export type { Checkpoint } from "./run/checkpoints.ts";
export type { ForkRunOptions } from "./run/fork.ts";
export type { ForkOptions, ForkPlan, ForkedTimer, KeptNode, MachineForkPlan, StartedAgain, WorkflowForkPlan } from "./run/fork-plan.ts";
export type { ForkOrigin } from "./run/origin.ts";
export type { EndedStatus, PruneOptions, PruneProgress, Pruned } from "./run/prune.ts";
export type { OverriddenNode, OverrideOptions, OverrideOutcome } from "./run/override.ts";
export type { OverrideNote } from "./run/row.ts";
export type { Reopened } from "./run/reopen.ts";
export type { FailurePattern, FailurePatterns, FailuresOptions } from "./run/failure-patterns.ts";
export type { StageView } from "./run/stage-view.ts";
export type { TimeoutSuggestion, TimeoutSuggestions, TimeoutsOptions } from "./run/timeout-suggestions.ts";
export type { Cause, CauseKind } from "./run/why-cause.ts";
export type { Why } from "./run/why.ts";
export type { RetentionPolicy } from "./run/retention.ts";
export { type FallbackOptions, type Rollout, type RolloutOptions, type RolloutView, rollout } from "./run/rollout.ts";
export { type CatchUp, type Overlap, type Schedule, type ScheduleOptions, schedule } from "./run/schedule.ts";
export type { ScheduleView } from "./run/schedule-view.ts";
export type { SendResult } from "./run/sends.ts";
export type { RunStream, StreamOptions, Streamed } from "./run/streams.ts";
export type { EventOfStartable, StartOrSendOptions, StartedOrSent } from "./run/start-or-send.ts";
export type { InputOfStartable, RunOf, StartOptions, Startable } from "./run/startable.ts";
export type { TimerPolicy } from "./run/xstate/actor.ts";
export { type DefinitionOfRun, type DurableMachine, type DurableOptions, type MigratedState, durable } from "./run/xstate/durable.ts";
export { otherRun } from "./run/xstate/effects.ts";
export { actionKey, step } from "./run/xstate/step.ts";
export type { ActorView, TimerView, WaitingFor } from "./run/machine-view.ts";
export type { AwaitedEvent } from "./run/awaited.ts";
export type { MemberOf, NodeStatus, NodeView, RunDefinition, RunStatus, RunSummary, RunView, WorkflowStructure } from "./run/view.ts";
export type { MachineStructure } from "./run/xstate/structure.ts";
export { type DrawingFormat, drawMachine } from "./run/xstate/drawing.ts";
export type { Backup, BackupOptions } from "./store/backup.ts";
export type { Restored, RestoreOptions } from "./store/restore.ts";
