/**
 * A node: one call of an agent within a run, with its attempts.
 * Reads no clock and no randomness: `jitter` comes with the failing event. What it needs done it says by three
 * actions: `callAgent`, `abortAgent`, and its final state, which its supervisor is told.
 */
import { assign, setup } from "xstate";

/** How a node is tried, and what its failure means for those that depend on it. Durations in ms. */
export interface NodePolicy {
  readonly maxAttempts: number;
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maxIntervalMs: number;
  readonly jitter: "full" | "none";
  readonly timeoutMs: number;
  /** Who takes over when the attempts are used up. */
  readonly alternative?: NodePolicy | undefined;
  /** When nobody takes over: those that depend on it are blocked, or go on without its result, or the run is unwound. */
  readonly onFail: "block" | "skip" | "compensate";
}

/** Why an attempt failed, as it is stored and shown. */
export interface Failure {
  readonly kind: "transient" | "resource" | "configuration" | "critical" | "timeout" | "circuitOpen" | "cancelled" | "invalidOutput";
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
}

export interface NodeContext {
  /** Of the agent that is called now. */
  readonly policy: NodePolicy;
  /** How many alternatives have taken over. */
  readonly alternative: number;
  /** Attempts granted so far. */
  readonly attempt: number;
  /** Those of the agents before this one. */
  readonly attemptsBefore: number;
  /** The last failure, kept when a later attempt succeeds. */
  readonly failure: Failure | undefined;
  /** The wait before the next attempt, drawn when the last one failed. */
  readonly backoffMs: number;
}

export type NodeEvent =
  | { type: "node.granted" }
  | { type: "attempt.succeeded" }
  | { type: "attempt.failed"; failure: Failure; jitter: number }
  | { type: "node.cancelled" }
  | { type: "run.unwinds" }
  /** Somebody says how it ends. */
  | { type: "node.overridden"; outcome: "completed" }
  /** Somebody says how the group ends that it is a member of. */
  | { type: "node.overridden"; outcome: "notTaken" }
  | { type: "node.overridden"; outcome: "skipped" | "failed"; failure: Failure };

const timedOut: Failure = { kind: "timeout", code: "PAWL_AGENT_TIMEOUT", message: "the attempt took longer than its timeout", retryable: true };

/** An event in `running` is a failure that says so itself, or the attempt's timer. */
const failureOf = (event: NodeEvent): Failure => ("failure" in event ? event.failure : timedOut);

/** The wait after this attempt. */
export function backoffMs(policy: NodePolicy, attempt: number, event: NodeEvent): number {
  const grown = policy.initialIntervalMs * policy.backoffCoefficient ** (attempt - 1);
  const capped = Math.min(grown, policy.maxIntervalMs);
  const drawn = policy.jitter === "full" && "jitter" in event ? capped * event.jitter : capped;
  return Math.max(Math.ceil(drawn), failureOf(event).retryAfterMs ?? 0);
}

export const nodeMachine = setup({
  types: {
    context: {} as NodeContext,
    events: {} as NodeEvent,
    input: {} as NodePolicy,
  },
  actions: {
    /** Call the agent with this node's input; answer with attempt.succeeded or attempt.failed. */
    callAgent: () => {},
    /** The running call is no longer wanted: abort its signal and ignore its answer. */
    abortAgent: () => {},
    countAttempt: assign({ attempt: ({ context }) => context.attempt + 1 }),
    /** The running call is asked to stop: abort its signal; its answer is still waited for. */
    stopAgent: () => {},
    keepFailure: assign(({ context, event }) => ({
      failure: failureOf(event),
      backoffMs: backoffMs(context.policy, context.attempt - context.attemptsBefore, event),
    })),
    keepReason: assign({ failure: ({ event }) => failureOf(event), backoffMs: 0 }),
    turnToAlternative: assign(({ context }) => ({
      policy: context.policy.alternative!,
      alternative: context.alternative + 1,
      attemptsBefore: context.attempt,
      backoffMs: 0,
    })),
  },
  guards: {
    mayRetry: ({ context, event }) => failureOf(event).retryable && context.attempt - context.attemptsBefore < context.policy.maxAttempts,
    hasAlternative: ({ context }) => context.policy.alternative !== undefined,
    maySkip: ({ context }) => context.policy.onFail === "skip",
    isGiven: ({ event }) => event.type === "node.overridden" && event.outcome === "completed",
    isPassedOver: ({ event }) => event.type === "node.overridden" && event.outcome === "skipped",
    isLeftOut: ({ event }) => event.type === "node.overridden" && event.outcome === "notTaken",
  },
  delays: {
    attemptTimeout: ({ context }) => context.policy.timeoutMs,
    backoff: ({ context }) => context.backoffMs,
  },
}).createMachine({
  id: "node",
  description: "One call of an agent within a run, with its attempts.",
  initial: "queued",
  context: ({ input }) => ({ policy: input, alternative: 0, attempt: 0, attemptsBefore: 0, failure: undefined, backoffMs: 0 }),
  states: {
    queued: {
      description: "All dependencies are complete; waits until an attempt is granted.",
      on: {
        "node.granted": { target: "running", actions: "countAttempt" },
        "node.cancelled": "cancelled",
        "run.unwinds": "cancelled",
        "node.overridden": [
          { guard: "isGiven", target: "completed" },
          { guard: "isLeftOut", target: "notTaken" },
          { guard: "isPassedOver", target: "skipped", actions: "keepReason" },
          { target: "failed", actions: "keepReason" },
        ],
      },
    },
    running: {
      description: "An attempt runs: the agent was called and has not answered.",
      entry: "callAgent",
      after: {
        attemptTimeout: [
          { guard: "mayRetry", target: "backingOff", actions: ["abortAgent", "keepFailure"] },
          { guard: "hasAlternative", target: "backingOff", actions: ["abortAgent", "keepFailure", "turnToAlternative"] },
          { guard: "maySkip", target: "skipped", actions: ["abortAgent", "keepFailure"] },
          { target: "failed", actions: ["abortAgent", "keepFailure"] },
        ],
      },
      on: {
        "attempt.succeeded": "completed",
        "attempt.failed": [
          { guard: "mayRetry", target: "backingOff", actions: "keepFailure" },
          { guard: "hasAlternative", target: "backingOff", actions: ["keepFailure", "turnToAlternative"] },
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
        "node.cancelled": { target: "cancelled", actions: "abortAgent" },
        "run.unwinds": { target: "stopping", actions: "stopAgent" },
        "node.overridden": [
          { guard: "isGiven", target: "completed", actions: "abortAgent" },
          { guard: "isLeftOut", target: "notTaken", actions: "abortAgent" },
          { guard: "isPassedOver", target: "skipped", actions: ["abortAgent", "keepReason"] },
          { target: "failed", actions: ["abortAgent", "keepReason"] },
        ],
      },
    },
    stopping: {
      description: "The run is unwound: the call was asked to stop, and its end is waited for, no longer than its timeout.",
      after: { attemptTimeout: { target: "cancelled", actions: "abortAgent" } },
      on: {
        "attempt.succeeded": "completed",
        "attempt.failed": "cancelled",
        "node.cancelled": { target: "cancelled", actions: "abortAgent" },
        "node.overridden": [
          { guard: "isGiven", target: "completed", actions: "abortAgent" },
          { guard: "isLeftOut", target: "notTaken", actions: "abortAgent" },
          { guard: "isPassedOver", target: "skipped", actions: ["abortAgent", "keepReason"] },
          { target: "failed", actions: ["abortAgent", "keepReason"] },
        ],
      },
    },
    backingOff: {
      description: "The last attempt failed; the next one, perhaps an alternative's, is queued when the backoff has passed.",
      after: { backoff: "queued" },
      on: {
        "node.cancelled": "cancelled",
        "run.unwinds": "cancelled",
        "node.overridden": [
          { guard: "isGiven", target: "completed" },
          { guard: "isLeftOut", target: "notTaken" },
          { guard: "isPassedOver", target: "skipped", actions: "keepReason" },
          { target: "failed", actions: "keepReason" },
        ],
      },
    },
    completed: { type: "final", description: "The agent answered, or somebody set its result, and that is stored." },
    skipped: { type: "final", description: "All attempts failed, or somebody passed over it; dependents go on without a result." },
    failed: { type: "final", description: "All attempts failed, or somebody gave it up; dependents are blocked, or the run is unwound." },
    cancelled: { type: "final", description: "The run was cancelled, unwound or timed out before the node ended." },
    notTaken: { type: "final", description: "Somebody set how its group ends: nobody waits for it any more." },
  },
});
