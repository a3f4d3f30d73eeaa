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
  readonly onFail: "block" | "skip";
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
  readonly policy: NodePolicy;
  /** Attempts granted so far. */
  readonly attempt: number;
  /** The last failure, kept when a later attempt succeeds. */
  readonly failure: Failure | undefined;
  /** The wait before the next attempt, drawn when the last one failed. */
  readonly backoffMs: number;
}

export type NodeEvent =
  | { type: "node.granted" }
  | { type: "attempt.succeeded" }
  | { type: "attempt.failed"; failure: Failure; jitter: number }
  | { type: "node.cancelled" };

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
    keepFailure: assign(({ context, event }) => ({
      failure: failureOf(event),
      backoffMs: backoffMs(context.policy, context.attempt, event),
    })),
  },
  guards: {
    mayRetry: ({ context, event }) => failureOf(event).retryable && context.attempt < context.policy.maxAttempts,
    maySkip: ({ context }) => context.policy.onFail === "skip",
  },
  delays: {
    attemptTimeout: ({ context }) => context.policy.timeoutMs,
    backoff: ({ context }) => context.backoffMs,
  },
}).createMachine({
  id: "node",
  description: "One call of an agent within a run, with its attempts.",
  initial: "queued",
  context: ({ input }) => ({ policy: input, attempt: 0, failure: undefined, backoffMs: 0 }),
  states: {
    queued: {
      description: "All dependencies are complete; waits until an attempt is granted.",
      on: {
        "node.granted": { target: "running", actions: "countAttempt" },
        "node.cancelled": "cancelled",
      },
    },
    running: {
      description: "An attempt runs: the agent was called and has not answered.",
      entry: "callAgent",
      after: {
        attemptTimeout: [
          { guard: "mayRetry", target: "backingOff", actions: ["abortAgent", "keepFailure"] },
          { guard: "maySkip", target: "skipped", actions: ["abortAgent", "keepFailure"] },
          { target: "failed", actions: ["abortAgent", "keepFailure"] },
        ],
      },
      on: {
        "attempt.succeeded": "completed",
        "attempt.failed": [
          { guard: "mayRetry", target: "backingOff", actions: "keepFailure" },
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
        "node.cancelled": { target: "cancelled", actions: "abortAgent" },
      },
    },
    backingOff: {
      description: "The last attempt failed; the next one is queued when the backoff has passed.",
      after: { backoff: "queued" },
      on: { "node.cancelled": "cancelled" },
    },
    completed: { type: "final", description: "The agent answered and its result is stored." },
    skipped: { type: "final", description: "All attempts failed; dependents go on without a result." },
    failed: { type: "final", description: "All attempts failed; dependents are blocked." },
    cancelled: { type: "final", description: "The run was cancelled or timed out before the node ended." },
  },
});
