/**
 * What the machines are told in path tests: inputs for every kind of policy, and events with payloads as they come.
 * Timers are not listed here; they are read from the machine. What xstate tells a machine of the actors it invoked is.
 */
import type { EventFrom, InputFrom } from "xstate";
import type { breakerMachine } from "../../machines/breaker.ts";
import type { eventMachine } from "../../machines/event.ts";
import type { groupMachine } from "../../machines/group.ts";
import type { limiterMachine } from "../../machines/limiter.ts";
import type { Failure, NodeContext, nodeMachine } from "../../machines/node.ts";
import type { stageMachine } from "../../machines/stage.ts";
import type { supervisorMachine } from "../../machines/supervisor.ts";
import type { workflowMachine } from "../../machines/workflow.ts";
import { type AnyEvent } from "./drivers.ts";

export interface Script {
  readonly inputs: Readonly<Record<string, object>>;
  readonly events: readonly AnyEvent[];
  /** Paths with this input are made of these events alone: with all of them there would be too many. */
  readonly only?: ReadonlyMap<object, readonly AnyEvent[]>;
  /** Which of the events it is told in paths with this input; default: all. Each more makes many more paths. */
  readonly tells?: (input: object, event: AnyEvent) => boolean;
  /** Of a machine that would go on for ever: paths go no further than the states for which it holds. */
  readonly stopWhen?: (snapshot: { readonly value: unknown; readonly context: any }) => boolean;
  /** Of a machine without an end whose states follow each other in any order: a simple path comes to each state once. */
  readonly isEndless?: true;
}

const overloaded: Failure = { kind: "transient", code: "PAWL_AGENT_FAILED", message: "model is overloaded", retryable: true };
const limited: Failure = { kind: "resource", code: "PAWL_AGENT_FAILED", message: "too many requests", retryable: true, retryAfterMs: 90_000 };
const unconfigured: Failure = { kind: "configuration", code: "PAWL_AGENT_UNCONFIGURED", message: "no key", retryable: false };

const recoverable: Failure = { kind: "resource", code: "ENOSPC", message: "disk full", retryable: true, recover: "cleanUp" };
const overdue: Failure = { kind: "timeout", code: "PAWL_AGENT_OVERDUE", message: "it was given up", retryable: true };

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
  { type: "node.overridden", outcome: "notTaken" },
];

const nodeInputs: Record<string, InputFrom<typeof nodeMachine>> = {
  "blocks its dependents": policy,
  "is skipped": { ...policy, jitter: "none", onFail: "skip" },
  "is tried once": { ...policy, maxAttempts: 1 },
  "is recovered": { ...policy, maxAttempts: 2, jitter: "none" },
  "is warned of": { ...policy, maxAttempts: 2, jitter: "none", warnAfterMs: 60_000 },
  "is recovered while it runs": { ...policy, maxAttempts: 1, warnAfterMs: 60_000, onWarn: ["cleanUp", "simplify"] },
  "is recovered while it runs, then skipped": { ...policy, maxAttempts: 1, warnAfterMs: 60_000, onWarn: ["cleanUp"], onFail: "skip" },
  "is recovered while it runs, then taken over": {
    ...policy,
    maxAttempts: 1,
    warnAfterMs: 60_000,
    onWarn: ["cleanUp"],
    onFail: "skip",
    alternative: { ...policy, maxAttempts: 1, onFail: "skip" },
  },
  "is taken over by another": { ...policy, maxAttempts: 1, onFail: "skip", alternative: { ...policy, maxAttempts: 2, jitter: "none", onFail: "skip" } },
};

const nodeEvents: EventFrom<typeof nodeMachine>[] = [
  { type: "node.granted" },
  { type: "attempt.succeeded" },
  { type: "attempt.failed", failure: overloaded, jitter: 0 },
  { type: "attempt.failed", failure: limited, jitter: 0.999 },
  { type: "attempt.failed", failure: unconfigured, jitter: 0.5 },
  { type: "attempt.failed", failure: recoverable, jitter: 0.5 },
  { type: "attempt.restarted", failure: overdue },
  { type: "recovery.ended", verdict: "continue" },
  { type: "recovery.ended", verdict: "restart", failure: overdue },
  { type: "recovery.ended", verdict: "fail", failure: overdue },
  { type: "node.cancelled" },
  { type: "run.unwinds" },
  ...overrides,
];

const isOneOf = (input: object, ...names: string[]): boolean => names.some((name) => input === nodeInputs[name]);
const isRecovered = (input: object): boolean => isOneOf(input, ...Object.keys(nodeInputs).filter((name) => name.startsWith("is recovered")));

const FROM_OUTSIDE: ReadonlySet<string> = new Set(["node.cancelled", "run.unwinds", "node.overridden"]);

/** Of recovery only those are told that are recovered, and these of few failures; of what ends a node from outside, some. */
function tellsNode(input: object, event: AnyEvent): boolean {
  const { failure, type } = event as { failure?: Failure; type: string };
  if (FROM_OUTSIDE.has(type)) return isOneOf(input, "blocks its dependents", "is recovered", "is recovered while it runs");
  if (type === "recovery.ended" || type === "attempt.restarted" || failure?.recover !== undefined) return isRecovered(input);
  if (type !== "attempt.failed") return true;
  const isShort = isRecovered(input) || isOneOf(input, "is warned of");
  return !isShort || event === nodeEvents.find((each) => each.type === "attempt.failed");
}

/** Rounds would follow each other without end. */
function hasBegunAnew({ context: { recoveries, attempt, attemptsBefore, alternative } }: { readonly context: NodeContext }): boolean {
  return (recoveries > 0 && attempt > 1) || (alternative === 0 && attemptsBefore > 0 && attempt > attemptsBefore) || attempt > 3;
}

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
  { type: "round.skipped", failure: noList },
  { type: "node.cancelled" },
  ...overrides,
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

const stageInputs: Record<string, InputFrom<typeof stageMachine>> = { "only warns": { onWarn: [] }, "has two actions": { onWarn: ["save", "simplify"] } };

const stageEvents: EventFrom<typeof stageMachine>[] = [
  { type: "stage.began" },
  { type: "stage.overdue" },
  { type: "stage.timedOut" },
  { type: "stage.ended" },
  { type: "recovery.ended", verdict: "continue" },
  { type: "recovery.ended", verdict: "restart" },
  { type: "recovery.ended", verdict: "fail" },
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
  { type: "run.overdue" },
];

/** What the invoked attempt answers: its result, a failure that is to be tried again soon or later, or one for good. */
const stepEvents: AnyEvent[] = [
  { type: "xstate.done.actor.0.step.running", output: { questions: 3 }, actorId: "0.step.running" } as AnyEvent,
  { type: "xstate.error.actor.0.step.running", error: { error: overloaded, waitMs: 1 }, actorId: "0.step.running" } as AnyEvent,
  { type: "xstate.error.actor.0.step.running", error: { error: limited, waitMs: 90_000 }, actorId: "0.step.running" } as AnyEvent,
  { type: "xstate.error.actor.0.step.running", error: unconfigured, actorId: "0.step.running" } as AnyEvent,
];

type BreakerEvent = EventFrom<typeof breakerMachine>;
const breakerPolicy = { failureThreshold: 1, openForMs: 10, halfOpenMax: 1, successThreshold: 1 };
const breakerInputs = {
  "counts failures": { at: 0, policy: { ...breakerPolicy, failureThreshold: 2 } },
  "goes by rates": { at: 0, policy: { ...breakerPolicy, failureThreshold: 9, rate: { minimumCalls: 2, failureRate: 0.5, slowCallRate: 1 } } },
  "is probed": { at: 0, policy: { ...breakerPolicy, successThreshold: 2 } },
  "loses probes": { at: 0, policy: { ...breakerPolicy, successThreshold: 3 } },
  "is forced": { at: 0, policy: breakerPolicy },
} satisfies Record<string, InputFrom<typeof breakerMachine>>;

const failed: BreakerEvent = { type: "call.failed", at: 5, durationMs: 5 };
const firstProbe: BreakerEvent = { type: "probe.asked", at: 15, lease: { id: "first", owner: 1, lapsesAt: 18 } };
const calls: BreakerEvent[] = [failed, { ...failed, durationMs: 6 }, { ...failed, type: "call.succeeded" }];
const talliedCalls: BreakerEvent[] = [
  { ...failed, tally: { calls: 4, failures: 2, slow: 0 } },
  { ...failed, type: "call.succeeded", tally: { calls: 4, failures: 0, slow: 4 } },
];
/** The first can be asked for at 15, exactly when it has been open for long enough, and lapses at 18. */
const probes: BreakerEvent[] = [
  { ...firstProbe, at: 14.9 },
  firstProbe,
  { type: "probe.asked", at: 18, lease: { id: "second", owner: 2, lapsesAt: 28 } },
  { type: "call.succeeded", at: 19, durationMs: 1, probe: "first" },
  { type: "call.failed", at: 19, durationMs: 1, probe: "second" },
];
const losses: BreakerEvent[] = [
  { type: "probe.dropped", at: 19, probe: "first" },
  { type: "owners.gone", at: 19, owners: [2, 3] },
];
const forces: BreakerEvent[] = [
  { type: "breaker.forcedOpen", at: 20 },
  { type: "breaker.forcedClosed", at: 20 },
  { type: "breaker.reset", at: 20 },
];

const breakerScript: Script = {
  inputs: breakerInputs,
  events: [...calls, ...talliedCalls, ...probes, ...losses, ...forces],
  only: new Map<object, readonly BreakerEvent[]>([
    [breakerInputs["counts failures"], calls],
    [breakerInputs["goes by rates"], [failed, ...talliedCalls]],
    [breakerInputs["is probed"], [failed, ...probes]],
    [breakerInputs["loses probes"], [failed, firstProbe, probes[2]!, ...losses]],
    [breakerInputs["is forced"], [failed, firstProbe, ...forces]],
  ]),
  stopWhen: ({ value, context }) => value === "closed" && context.since > 0,
};

/** By the id of the machine. */
export const SCRIPTS: Readonly<Record<string, Script>> = freeze({
  breaker: breakerScript,
  event: { inputs: eventInputs, events: eventEvents },
  group: { inputs: groupInputs, events: groupEvents },
  limiter: { inputs: { "is shared": {} }, events: limiterEvents, isEndless: true },
  node: { inputs: nodeInputs, events: nodeEvents, tells: tellsNode, stopWhen: hasBegunAnew },
  stage: { inputs: stageInputs, events: stageEvents },
  step: { inputs: { "calls an agent": { topic: "ratchets" } }, events: stepEvents, stopWhen: ({ context }) => context.attempt > 2 },
  supervisor: { inputs: { "runs a DAG": {} }, events: supervisorEvents },
  workflow: { inputs: runInputs, events: runEvents },
});

/** Frozen to its leaves: a machine that writes into what it is told fails. */
function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}
