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
  /** Kinds and codes of failures that are not tried again: here it is asked of a timeout, other failures say it themselves. */
  readonly nonRetryable?: readonly string[] | undefined;
  /** People are warned, and recovery actions run beside the attempt, when it takes longer; less than the timeout. */
  readonly warnAfterMs?: number | undefined;
  /** Names of those recovery actions, one after the other. */
  readonly onWarn?: readonly string[] | undefined;
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
  /** The recovery action that is to run before it is decided how to go on. */
  readonly recover?: string | undefined;
}

/** What a recovery action says of how a node goes on: as if it had not run; with a new round of attempts; or with none. */
export type Verdict = "continue" | "restart" | "fail";

/** Recovery actions that one node may run in all. */
export const RECOVERIES_MAX = 10;

export interface NodeContext {
  /** Of the agent that is called now. */
  readonly policy: NodePolicy;
  /** How many alternatives have taken over. */
  readonly alternative: number;
  /** Attempts granted so far. */
  readonly attempt: number;
  /** Those of the agents before this one, and of its rounds before a recovery action had it begin anew. */
  readonly attemptsBefore: number;
  /** Recovery actions that have begun. */
  readonly recoveries: number;
  /** Those of them that have begun beside this attempt. */
  readonly warned: number;
  /** The last failure, kept when a later attempt succeeds. */
  readonly failure: Failure | undefined;
  /** The wait before the next attempt, drawn when the last one failed. */
  readonly backoffMs: number;
}

export type NodeEvent =
  | { type: "node.granted" }
  | { type: "attempt.succeeded" }
  | { type: "attempt.failed"; failure: Failure; jitter: number }
  /** The attempt is given up, and a new round begins: its stage, or run, was told to. */
  | { type: "attempt.restarted"; failure: Failure }
  /** `failure` is that of an attempt under way which it ends. */
  | { type: "recovery.ended"; verdict: Verdict; failure?: Failure }
  | { type: "node.cancelled" }
  | { type: "run.unwinds" }
  /** Somebody says how it ends. */
  | { type: "node.overridden"; outcome: "completed" }
  /** Somebody says how the group ends that it is a member of. */
  | { type: "node.overridden"; outcome: "notTaken" }
  | { type: "node.overridden"; outcome: "skipped" | "failed"; failure: Failure };

const TIMED_OUT = { kind: "timeout", code: "PAWL_AGENT_TIMEOUT", message: "the attempt took longer than its timeout" } as const;

/** An event in `running` is a failure that says so itself, or the attempt's timer. */
function failureOf(event: NodeEvent, { nonRetryable = [] }: NodePolicy): Failure {
  if ("failure" in event && event.failure !== undefined) return event.failure;
  return { ...TIMED_OUT, retryable: ![TIMED_OUT.kind, TIMED_OUT.code].some((word) => nonRetryable.includes(word)) };
}

const attemptsLeft = ({ attempt, attemptsBefore, policy }: NodeContext): boolean => attempt - attemptsBefore < policy.maxAttempts;
const hasNext = ({ warned, recoveries, policy }: NodeContext): boolean => warned < (policy.onWarn?.length ?? 0) && recoveries < RECOVERIES_MAX;
const says = (event: NodeEvent, verdict: Verdict): boolean => event.type === "recovery.ended" && event.verdict === verdict;

/** The wait after this attempt. */
export function backoffMs(policy: NodePolicy, attempt: number, event: NodeEvent): number {
  const grown = policy.initialIntervalMs * policy.backoffCoefficient ** (attempt - 1);
  const capped = Math.min(grown, policy.maxIntervalMs);
  const drawn = policy.jitter === "full" && "jitter" in event ? capped * event.jitter : capped;
  return Math.max(Math.ceil(drawn), failureOf(event, policy).retryAfterMs ?? 0);
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
    countAttempt: assign({ attempt: ({ context }) => context.attempt + 1, warned: 0 }),
    /** Run the recovery action that the failure names, or the next of the warning; answer with recovery.ended. */
    startAction: () => {},
    /** The recovery action under way, if there is one, is no longer wanted. */
    stopAction: () => {},
    countAction: assign({ recoveries: ({ context }) => context.recoveries + 1 }),
    countWarned: assign({ recoveries: ({ context }) => context.recoveries + 1, warned: ({ context }) => context.warned + 1 }),
    beginAnew: assign({ attemptsBefore: ({ context }) => context.attempt, backoffMs: 0 }),
    /** The running call is asked to stop: abort its signal; its answer is still waited for. */
    stopAgent: () => {},
    keepFailure: assign(({ context, event }) => ({
      failure: failureOf(event, context.policy),
      backoffMs: backoffMs(context.policy, context.attempt - context.attemptsBefore, event),
    })),
    keepReason: assign({ failure: ({ context, event }) => failureOf(event, context.policy), backoffMs: 0 }),
    turnToAlternative: assign(({ context }) => ({
      policy: context.policy.alternative!,
      alternative: context.alternative + 1,
      attemptsBefore: context.attempt,
      backoffMs: 0,
    })),
  },
  guards: {
    mayRetry: ({ context, event }) => failureOf(event, context.policy).retryable && attemptsLeft(context),
    mayRecover: ({ context, event }) => failureOf(event, context.policy).recover !== undefined && context.recoveries < RECOVERIES_MAX,
    warnsAndActs: ({ context }) => context.policy.warnAfterMs !== undefined && hasNext(context),
    warns: ({ context }) => context.policy.warnAfterMs !== undefined,
    saysRestart: ({ event }) => says(event, "restart"),
    saysFail: ({ event }) => says(event, "fail"),
    saysFailAndHasAlternative: ({ context, event }) => says(event, "fail") && context.policy.alternative !== undefined,
    saysFailAndMaySkip: ({ context, event }) => says(event, "fail") && context.policy.onFail === "skip",
    actsAgain: ({ context, event }) => says(event, "continue") && hasNext(context),
    mayGoOn: ({ context, event }) => says(event, "continue") && context.failure!.retryable && attemptsLeft(context),
    hasAlternative: ({ context }) => context.policy.alternative !== undefined,
    maySkip: ({ context }) => context.policy.onFail === "skip",
    isGiven: ({ event }) => event.type === "node.overridden" && event.outcome === "completed",
    isPassedOver: ({ event }) => event.type === "node.overridden" && event.outcome === "skipped",
    isLeftOut: ({ event }) => event.type === "node.overridden" && event.outcome === "notTaken",
  },
  delays: {
    /** Until the warning, if there is to be one. */
    attemptLimit: ({ context }) => context.policy.warnAfterMs ?? context.policy.timeoutMs,
    /** After the warning. */
    restOfTimeout: ({ context }) => context.policy.timeoutMs - context.policy.warnAfterMs!,
    attemptTimeout: ({ context }) => context.policy.timeoutMs,
    backoff: ({ context }) => context.backoffMs,
  },
}).createMachine({
  id: "node",
  description: "One call of an agent within a run, with its attempts.",
  initial: "queued",
  context: ({ input }) => ({ policy: input, alternative: 0, attempt: 0, attemptsBefore: 0, recoveries: 0, warned: 0, failure: undefined, backoffMs: 0 }),
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
        attemptLimit: [
          { guard: "warnsAndActs", target: "warned", actions: ["countWarned", "startAction"] },
          { guard: "warns", target: "warned" },
          { guard: "mayRetry", target: "backingOff", actions: ["abortAgent", "keepFailure"] },
          { guard: "hasAlternative", target: "backingOff", actions: ["abortAgent", "keepFailure", "turnToAlternative"] },
          { guard: "maySkip", target: "skipped", actions: ["abortAgent", "keepFailure"] },
          { target: "failed", actions: ["abortAgent", "keepFailure"] },
        ],
      },
      on: {
        "attempt.succeeded": "completed",
        "attempt.failed": [
          { guard: "mayRecover", target: "recovering", actions: ["keepFailure", "countAction"] },
          { guard: "mayRetry", target: "backingOff", actions: "keepFailure" },
          { guard: "hasAlternative", target: "backingOff", actions: ["keepFailure", "turnToAlternative"] },
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
        "attempt.restarted": { target: "backingOff", actions: ["abortAgent", "keepReason", "beginAnew"] },
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
    warned: {
      description: "The attempt runs for longer than its warning says; recovery actions run beside it, one after the other.",
      exit: "stopAction",
      after: {
        restOfTimeout: [
          { guard: "mayRetry", target: "backingOff", actions: ["abortAgent", "keepFailure"] },
          { guard: "hasAlternative", target: "backingOff", actions: ["abortAgent", "keepFailure", "turnToAlternative"] },
          { guard: "maySkip", target: "skipped", actions: ["abortAgent", "keepFailure"] },
          { target: "failed", actions: ["abortAgent", "keepFailure"] },
        ],
      },
      on: {
        "attempt.succeeded": "completed",
        "attempt.failed": [
          { guard: "mayRecover", target: "recovering", actions: ["keepFailure", "countAction"] },
          { guard: "mayRetry", target: "backingOff", actions: "keepFailure" },
          { guard: "hasAlternative", target: "backingOff", actions: ["keepFailure", "turnToAlternative"] },
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
        "attempt.restarted": { target: "backingOff", actions: ["abortAgent", "keepReason", "beginAnew"] },
        "node.cancelled": { target: "cancelled", actions: "abortAgent" },
        "run.unwinds": { target: "stopping", actions: "stopAgent" },
        "node.overridden": [
          { guard: "isGiven", target: "completed", actions: "abortAgent" },
          { guard: "isLeftOut", target: "notTaken", actions: "abortAgent" },
          { guard: "isPassedOver", target: "skipped", actions: ["abortAgent", "keepReason"] },
          { target: "failed", actions: ["abortAgent", "keepReason"] },
        ],
        "recovery.ended": [
          { guard: "actsAgain", actions: ["countWarned", "startAction"] },
          { guard: "saysRestart", target: "backingOff", actions: ["abortAgent", "keepReason", "beginAnew"] },
          { guard: "saysFailAndHasAlternative", target: "backingOff", actions: ["abortAgent", "keepReason", "turnToAlternative"] },
          { guard: "saysFailAndMaySkip", target: "skipped", actions: ["abortAgent", "keepReason"] },
          { guard: "saysFail", target: "failed", actions: ["abortAgent", "keepReason"] },
        ],
      },
    },
    recovering: {
      description: "The last attempt failed; a recovery action runs, and says how it goes on.",
      entry: "startAction",
      exit: "stopAction",
      on: {
        "recovery.ended": [
          { guard: "saysRestart", target: "backingOff", actions: "beginAnew" },
          { guard: "mayGoOn", target: "backingOff" },
          { guard: "hasAlternative", target: "backingOff", actions: "turnToAlternative" },
          { guard: "maySkip", target: "skipped" },
          { target: "failed" },
        ],
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
      description: "The last attempt failed; the next one, perhaps an alternative's or of a new round, is queued when the backoff has passed.",
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
