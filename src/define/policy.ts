/**
 * How a node is tried: what an agent says by default, and what a node says otherwise.
 */
import { PawlError } from "../errors.ts";
import { type Duration, durationMs } from "./duration.ts";

/** When and how often a failed attempt is repeated. */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** The wait before the second attempt. Default '1s'. */
  readonly initialInterval?: Duration | undefined;
  /** What each further wait is multiplied by. Default 2. */
  readonly backoffCoefficient?: number | undefined;
  /** The longest wait. Default '60s'. */
  readonly maxInterval?: Duration | undefined;
  /** 'full' draws each wait between 0 and its length, so that many do not come back at once. Default 'full'. */
  readonly jitter?: "full" | "none" | undefined;
  /** Names, codes or kinds of errors that are never tried again. */
  readonly nonRetryable?: readonly string[] | undefined;
}

/** What an agent or a node may say about its attempts. */
export interface AttemptOptions {
  /** The longest time of one attempt, from its grant. Default '5m'. */
  readonly timeout?: Duration | undefined;
  /** An attempt that reports no progress for so long has failed: see `ctx.heartbeat`. Default: it need not report any. */
  readonly heartbeat?: Duration | undefined;
  /** People are warned of an attempt that takes longer, by the history and a notice; less than the timeout. Default: they are not. */
  readonly warnAfter?: Duration | undefined;
  /**
   * Names of recovery actions that then run beside the attempt, one after the other, until it ends: 'continue' goes on to the
   * next, 'restart' and 'fail' give the attempt up.
   */
  readonly onWarn?: readonly string[] | undefined;
  readonly retry?: RetryOptions | undefined;
}

/** The checked options of one node, durations in ms. */
export interface Policy {
  readonly maxAttempts: number;
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maxIntervalMs: number;
  readonly jitter: "full" | "none";
  readonly timeoutMs: number;
  readonly heartbeatMs?: number | undefined;
  readonly warnAfterMs?: number | undefined;
  readonly onWarn?: readonly string[] | undefined;
  readonly nonRetryable: readonly string[];
  /** Of the agent that takes over when the attempts are used up. */
  readonly alternative?: Policy | undefined;
  /** What follows when nobody takes over. */
  readonly onFail: FinalWord;
}

/** What a failure means in the end: dependents are blocked, or go on without a result, or what was done is undone. */
export type FinalWord = "block" | "skip" | "compensate";

const DEFAULTS: Policy = {
  maxAttempts: 3,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maxIntervalMs: 60_000,
  jitter: "full",
  timeoutMs: 300_000,
  onFail: "block",
  nonRetryable: [],
};

/** The policy that these options ask for; what they leave out is taken from `base`. */
export function policyOf(options: AttemptOptions, at: string, base: Policy = DEFAULTS): Policy {
  const retry = options.retry ?? {};
  const ms = (value: Duration | undefined, field: string, otherwise: number): number => (value === undefined ? otherwise : durationMs(value, field, at));
  const timeoutMs = ms(options.timeout, "timeout", base.timeoutMs);
  return {
    maxAttempts: atLeastOne(retry.maxAttempts ?? base.maxAttempts, "retry.maxAttempts", at, true),
    initialIntervalMs: ms(retry.initialInterval, "retry.initialInterval", base.initialIntervalMs),
    backoffCoefficient: atLeastOne(retry.backoffCoefficient ?? base.backoffCoefficient, "retry.backoffCoefficient", at, false),
    maxIntervalMs: ms(retry.maxInterval, "retry.maxInterval", base.maxIntervalMs),
    jitter: oneOf(retry.jitter ?? base.jitter, ["full", "none"], "retry.jitter", at),
    timeoutMs,
    ...((options.heartbeat ?? base.heartbeatMs) !== undefined && { heartbeatMs: ms(options.heartbeat, "heartbeat", base.heartbeatMs ?? 0) }),
    ...warningOf(options, timeoutMs, at, base),
    nonRetryable: retry.nonRetryable ?? base.nonRetryable,
    onFail: base.onFail,
  };
}

/** When people are warned, and what runs then. An agent's warning that is no earlier than its node's timeout is left out. */
function warningOf(options: AttemptOptions, timeoutMs: number, at: string, base: Policy): Pick<Policy, "warnAfterMs" | "onWarn"> {
  const wrong = (message: string): PawlError => new PawlError("PAWL_INVALID_VALUE", { message, at });
  const warnAfterMs = options.warnAfter === undefined ? base.warnAfterMs : durationMs(options.warnAfter, "warnAfter", at);
  const onWarn = options.onWarn ?? base.onWarn;
  if (warnAfterMs === undefined && (onWarn?.length ?? 0) > 0) throw wrong("onWarn is given, but no warnAfter");
  if (warnAfterMs === undefined || (options.warnAfter === undefined && warnAfterMs >= timeoutMs)) return {};
  if (warnAfterMs >= timeoutMs) throw wrong(`warnAfter is ${warnAfterMs} ms, but must be less than the timeout of ${timeoutMs} ms`);
  return { warnAfterMs, ...(onWarn !== undefined && { onWarn }) };
}

/** Throws PAWL_INVALID_VALUE unless it is a whole number of at least 1. */
export function wholeNumber(value: number, field: string, at: string): void {
  atLeastOne(value, field, at, true);
}

function atLeastOne(value: number, field: string, at: string, whole: boolean): number {
  if (Number.isFinite(value) && value >= 1 && (!whole || Number.isInteger(value))) return value;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `${field} is ${typeof value === "string" ? JSON.stringify(value) : String(value)}, but must be ${whole ? "a whole number" : "a number"} of at least 1`,
    at,
  });
}

/** Throws PAWL_INVALID_VALUE unless the value is one of these words. */
export function oneOf<T extends string>(value: T, allowed: readonly T[], field: string, at: string): T {
  if (allowed.includes(value)) return value;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `${field} is ${JSON.stringify(value)}, but must be one of ${allowed.map((word) => `'${word}'`).join(", ")}`,
    at,
  });
}
