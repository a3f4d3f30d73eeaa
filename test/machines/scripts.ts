/**
 * What the machines are told in path tests: inputs for every kind of policy, and events with payloads as they come.
 * Timers are not listed here; they are read from the machine. What xstate tells a machine of the actors it invoked is.
 */
import type { EventFrom, InputFrom } from "xstate";
import type { eventMachine } from "../../machines/event.ts";
import type { groupMachine } from "../../machines/group.ts";
import type { limiterMachine } from "../../machines/limiter.ts";
import type { Failure, nodeMachine } from "../../machines/node.ts";
import type { supervisorMachine } from "../../machines/supervisor.ts";
import type { workflowMachine } from "../../machines/workflow.ts";
import { type AnyEvent } from "./drivers.ts";

export interface Script {
  readonly inputs: Readonly<Record<string, object>>;
  readonly events: readonly AnyEvent[];
  /** Of a machine that would go on for ever: paths go no further than the states for which it holds. */
  readonly stopWhen?: (snapshot: { readonly context: any }) => boolean;
  /** Of a machine without an end whose states follow each other in any order: a simple path comes to each state once. */
  readonly isEndless?: true;
}

const overloaded: Failure = { kind: "transient", code: "PAWL_AGENT_FAILED", message: "model is overloaded", retryable: true };
const limited: Failure = { kind: "resource", code: "PAWL_AGENT_FAILED", message: "too many requests", retryable: true, retryAfterMs: 90_000 };
const unconfigured: Failure = { kind: "configuration", code: "PAWL_AGENT_UNCONFIGURED", message: "no key", retryable: false };

const policy: InputFrom<typeof nodeMachine> = {
  maxAttempts: 3,
  initialIntervalMs: 1_000,
  backoffCoefficient: 10,
  maxIntervalMs: 60_000,
  jitter: "full",
  timeoutMs: 300_000,
  onFail: "block",
};

const passedOver: Failure = { kind: "cancelled", code: "PAWL_NODE_OVERRIDDEN", message: "it was passed over by ana", retryable: false };

/** What an operator may say of how a node ends. */
const overrides: Extract<EventFrom<typeof nodeMachine>, { type: "node.overridden" }>[] = [
  { type: "node.overridden", outcome: "completed" },
  { type: "node.overridden", outcome: "skipped", failure: passedOver },
  { type: "node.overridden", outcome: "failed", failure: passedOver },
];

const nodeInputs: Record<string, InputFrom<typeof nodeMachine>> = {
  "blocks its dependents": policy,
  "is skipped": { ...policy, jitter: "none", onFail: "skip" },
  "is tried once": { ...policy, maxAttempts: 1 },
  "is taken over by another": { ...policy, maxAttempts: 1, onFail: "skip", alternative: { ...policy, maxAttempts: 2, jitter: "none", onFail: "skip" } },
};

const nodeEvents: EventFrom<typeof nodeMachine>[] = [
  { type: "node.granted" },
  { type: "attempt.succeeded" },
  { type: "attempt.failed", failure: overloaded, jitter: 0 },
  { type: "attempt.failed", failure: overloaded, jitter: 0.3 },
  { type: "attempt.failed", failure: limited, jitter: 0.999 },
  { type: "attempt.failed", failure: unconfigured, jitter: 0.5 },
  { type: "node.cancelled" },
  { type: "run.unwinds" },
  ...overrides,
];

const groupInputs: Record<string, InputFrom<typeof groupMachine>> = {
  "blocks its dependents": { onFail: "block" },
  "is skipped": { onFail: "skip" },
};

const noList: Failure = { kind: "configuration", code: "PAWL_NOT_A_LIST", message: "not a list", retryable: false };

const groupEvents: EventFrom<typeof groupMachine>[] = [
  { type: "group.opened" },
  { type: "members.settled" },
  { type: "round.wanted" },
  { type: "group.closed" },
  { type: "group.refused", failure: noList },
  { type: "node.cancelled" },
];

const eventInputs: Record<string, InputFrom<typeof eventMachine>> = {
  "blocks its dependents": { timeoutMs: 172_800_000, onFail: "block" },
  "is skipped": { timeoutMs: 1, onFail: "skip" },
};

const eventEvents: EventFrom<typeof eventMachine>[] = [{ type: "event.received" }, { type: "node.cancelled" }, ...overrides];

const limiterEvents: EventFrom<typeof limiterMachine>[] = [
  { type: "limit.enough" },
  { type: "limit.short" },
  { type: "limit.over" },
  { type: "limit.spare" },
  { type: "limit.wanting" },
  { type: "limit.unwanted" },
  { type: "limit.used" },
  { type: "limit.idle" },
  { type: "row.written" },
  { type: "worker.lost" },
];

const supervisorEvents: EventFrom<typeof supervisorMachine>[] = [
  { type: "node.settled" },
  { type: "nodes.exhausted" },
  { type: "supervisor.unwind" },
  { type: "supervisor.stop" },
];

const runInputs: Record<string, InputFrom<typeof workflowMachine>> = {
  "keeps what it has at its timeout": { timeoutMs: 1_800_000, onTimeout: "partial" },
  "fails at its timeout": { timeoutMs: 1_800_000, onTimeout: "abort" },
};

const runEvents: EventFrom<typeof workflowMachine>[] = [
  { type: "run.started" },
  { type: "supervisor.settled", degraded: false },
  { type: "supervisor.settled", degraded: true, failure: undefined },
  { type: "supervisor.settled", degraded: false, failure: { ...unconfigured, node: "summarize" } },
  { type: "supervisor.settled", degraded: true, failure: { ...overloaded, node: "collect" } },
  { type: "output.collected" },
  { type: "output.refused", failure: { kind: "critical", code: "PAWL_VALUE_TOO_LARGE", message: "the output is too large", retryable: false } },
  { type: "run.pause" },
  { type: "run.resume" },
  { type: "run.cancel" },
  { type: "run.cancel", undoes: true },
  { type: "run.terminate" },
  { type: "run.unwind", failure: { ...overloaded, node: "collect" } },
  { type: "supervisor.unwound" },
];

/** What the invoked attempt answers: its result, a failure that is to be tried again soon or later, or one for good. */
const stepEvents: AnyEvent[] = [
  { type: "xstate.done.actor.0.step.running", output: { questions: 3 }, actorId: "0.step.running" } as AnyEvent,
  { type: "xstate.error.actor.0.step.running", error: { error: overloaded, waitMs: 1 }, actorId: "0.step.running" } as AnyEvent,
  { type: "xstate.error.actor.0.step.running", error: { error: limited, waitMs: 90_000 }, actorId: "0.step.running" } as AnyEvent,
  { type: "xstate.error.actor.0.step.running", error: unconfigured, actorId: "0.step.running" } as AnyEvent,
];

/** By the id of the machine. */
export const SCRIPTS: Readonly<Record<string, Script>> = freeze({
  event: { inputs: eventInputs, events: eventEvents },
  group: { inputs: groupInputs, events: groupEvents },
  limiter: { inputs: { "is shared": {} }, events: limiterEvents, isEndless: true },
  node: { inputs: nodeInputs, events: nodeEvents },
  step: { inputs: { "calls an agent": { topic: "ratchets" } }, events: stepEvents, stopWhen: ({ context }) => context.attempt > 2 },
  supervisor: { inputs: { "runs a DAG": {} }, events: supervisorEvents },
  workflow: { inputs: runInputs, events: runEvents },
});

/** Frozen to its leaves: a machine that writes into what it is told fails. */
function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}
