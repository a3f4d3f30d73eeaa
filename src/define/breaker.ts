/**
 * Circuit breakers as people ask for them: options, checks, and which failures count.
 * A breaker is a name that agents share, and numbers; what state it is in is in the store.
 */
import { type FailureKind, PawlError } from "../errors.ts";
import { type Duration, durationMs } from "./duration.ts";
import { checkName } from "./name.ts";
import { oneOf, wholeNumber } from "./policy.ts";

/** What a failed attempt is judged by. */
export interface BreakerFailure {
  readonly kind: FailureKind;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
}

/** Opens a breaker by the share of the newest calls that failed or were slow, beside failures in a row. */
export interface RateOptions {
  /** The newest calls (at most 1,000), or those of the last so long. Default `{ calls: 100 }`. */
  readonly window?: { readonly calls: number } | { readonly time: Duration } | undefined;
  /** Share of failed calls at which it opens: above 0, at most 1. Default 0.5. */
  readonly failureRate?: number | undefined;
  /** Share of slow calls at which it opens: above 0, at most 1. Default 1 with a `slowCall`; else slow calls do not matter. */
  readonly slowCallRate?: number | undefined;
  /** A call that takes at least so long is slow. Default '60s'. */
  readonly slowCall?: Duration | undefined;
  /** With fewer calls in the window it does not judge. No more than the window has. Default 20. */
  readonly minimumCalls?: number | undefined;
}

/** What a breaker goes by. Agents that name the same breaker share it, and must agree on its numbers. */
export interface BreakerOptions {
  /** Default: the name of the agent. */
  readonly name?: string | undefined;
  /**
   * It opens after so many failures in a row. Default 5. More notices an outage later, and opens less often by chance: of
   * 100,000 calls, one a second, to a service that is up but fails at random, 5 wrongly refused none at one failure in twenty,
   * 0.2 % at one in ten and 3 % at one in five; 10 refused none of those.
   */
  readonly failureThreshold?: number | undefined;
  /** How long no call is let through, before one may try. Default '60s'. */
  readonly openFor?: Duration | undefined;
  /** How many may try at the same time. Default 1. */
  readonly halfOpenMax?: number | undefined;
  /** It closes when so many have tried and succeeded; one that fails opens it again. Default 2. */
  readonly successThreshold?: number | undefined;
  /**
   * What an open breaker means for an attempt: it fails with kind `circuitOpen`, and what is said by `onFail` follows
   * ('fail', default); or it waits in the queue until it may be made ('wait'). The wait is no attempt, but the call that tries
   * whether the service is back is one of its node's `maxAttempts`, like any other: a node that waits alone for a service that
   * stays down makes them all, one each `openFor`, and has then failed.
   */
  readonly onOpen?: "fail" | "wait" | undefined;
  /**
   * Also opens it by the share of failed or slow calls, for a service that is slow or fails every other call. Each call's end
   * is then written to the store. With `failureThreshold: 20` beside it, a service failing one call in five at random had none
   * of 100,000 calls refused.
   */
  readonly rate?: RateOptions | undefined;
  /** Failures that say nothing of the service. It decides at once; when it throws, the failure counts. */
  readonly ignore?: ((failure: BreakerFailure) => boolean) | undefined;
}

/**
 * `true`: one with the defaults, of the agent's name. A text: one of that name, with the defaults. Agents of the same
 * service share one by its name.
 */
export type BreakerOption = true | string | BreakerOptions;

/** The checked numbers of a breaker, lengths in ms: what is stored with it. */
export interface BreakerPolicy {
  readonly name: string;
  readonly failureThreshold: number;
  readonly openForMs: number;
  readonly halfOpenMax: number;
  readonly successThreshold: number;
  readonly rate?: RatePolicy | undefined;
}

export interface RatePolicy {
  readonly window: { readonly calls: number } | { readonly timeMs: number };
  readonly minimumCalls: number;
  readonly failureRate: number;
  readonly slowCallRate?: number | undefined;
  readonly slowCallMs?: number | undefined;
}

/** A breaker that was asked for; one without a name has that of the agent that it is for. */
export interface Breaker {
  readonly name: string | undefined;
  readonly policy: Omit<BreakerPolicy, "name">;
  readonly onOpen: "fail" | "wait";
  readonly ignore: ((failure: BreakerFailure) => boolean) | undefined;
}

/** The breaker of an agent. */
export interface AgentBreaker extends Breaker {
  readonly name: string;
}

const FAILURE_THRESHOLD = 5;
const OPEN_FOR: Duration = "60s";
const SUCCESS_THRESHOLD = 2;
const WINDOW_CALLS = 100;
/** A window is a part of the breaker's row. */
const WINDOW_CALLS_MAX = 1_000;
const MINIMUM_CALLS = 20;
const SLOW_CALL: Duration = "60s";

/** Throws PAWL_INVALID_VALUE, PAWL_INVALID_ID. */
export function breakerOf(option: BreakerOption, at: string): Breaker {
  const options: BreakerOptions = option === true ? {} : typeof option === "string" ? { name: option } : option;
  if (typeof options !== "object" || options === null) throw invalid(`breaker is ${JSON.stringify(option)}, but must be true, a name, or { … }`, at);
  const { name, failureThreshold = FAILURE_THRESHOLD, halfOpenMax = 1, successThreshold = SUCCESS_THRESHOLD, onOpen = "fail", ignore } = options;
  if (name !== undefined) checkName(name, "breaker name", at);
  for (const [field, value] of Object.entries({ failureThreshold, halfOpenMax, successThreshold })) wholeNumber(value, `breaker.${field}`, at);
  const openForMs = durationMs(options.openFor ?? OPEN_FOR, "breaker.openFor", at);
  const rate = options.rate === undefined ? undefined : ratePolicy(options.rate, at);
  return Object.freeze({
    name,
    policy: { failureThreshold, openForMs, halfOpenMax, successThreshold, ...(rate !== undefined && { rate }) },
    onOpen: oneOf(onOpen, ["fail", "wait"], "breaker.onOpen", at),
    ignore,
  });
}

function ratePolicy(
  { window = { calls: WINDOW_CALLS }, failureRate = 0.5, slowCallRate, slowCall, minimumCalls = MINIMUM_CALLS }: RateOptions,
  at: string,
): RatePolicy {
  const calls = "calls" in window ? window.calls : undefined;
  if (calls !== undefined) wholeNumber(calls, "breaker.rate.window.calls", at);
  if (calls !== undefined && calls > WINDOW_CALLS_MAX) throw invalid(`breaker.rate.window.calls is ${calls}, but may be ${WINDOW_CALLS_MAX} at most`, at);
  wholeNumber(minimumCalls, "breaker.rate.minimumCalls", at);
  const knowsSlow = slowCallRate !== undefined || slowCall !== undefined;
  return {
    window: "calls" in window ? { calls: window.calls } : { timeMs: durationMs(window.time, "breaker.rate.window.time", at) },
    minimumCalls: Math.min(minimumCalls, calls ?? minimumCalls),
    failureRate: part(failureRate, "breaker.rate.failureRate", at),
    ...(knowsSlow && {
      slowCallRate: part(slowCallRate ?? 1, "breaker.rate.slowCallRate", at),
      slowCallMs: durationMs(slowCall ?? SLOW_CALL, "breaker.rate.slowCall", at),
    }),
  };
}

function part(value: number, field: string, at: string): number {
  if (value > 0 && value <= 1) return value;
  throw invalid(`${field} is ${String(value)}, but must be a number above 0 up to 1`, at);
}

function invalid(message: string, at: string): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", { message, at });
}

/** An agent, as far as it matters here. */
interface CanBreak {
  readonly name: string;
  readonly work: { readonly kind: string };
  readonly breaker?: Breaker | undefined;
}

/**
 * The breaker of an agent: its own, else that of the workflow, else that of the worker, else none. Defaults are for agents
 * that call something outside; what runs a run of its own has one only if it says so itself.
 */
export function breakerFor({ name, work, breaker }: CanBreak, ...defaults: readonly (Breaker | undefined)[]): AgentBreaker | undefined {
  const callsOut = work.kind === "function" || work.kind === "http" || work.kind === "isolated";
  const chosen = breaker ?? (callsOut ? defaults.find((one) => one !== undefined) : undefined);
  return chosen && { ...chosen, name: chosen.name ?? name };
}

/** What workers say to each other of an agent whose attempts wait while its breaker is open. */
export interface BreakerWait {
  /** The hash of the definition in which it does so. */
  readonly definition: string;
  readonly agent: string;
  readonly breaker: string;
}

/** The numbers of an agent's breaker, by the name that it is shared by. */
export function breakerPolicyOf({ name, policy }: AgentBreaker): BreakerPolicy {
  return { name, ...policy };
}

/** Kinds that say that a service is down or overloaded. */
const COUNTED: ReadonlySet<FailureKind> = new Set(["transient", "resource", "timeout"]);

/** Does the failure count against the service? A 429 that says when to come back does not: the service is up, but busy. */
export function countsForBreaker({ ignore }: Pick<Breaker, "ignore">, failure: BreakerFailure): boolean {
  if (!COUNTED.has(failure.kind) || (failure.kind === "resource" && failure.retryAfterMs !== undefined)) return false;
  try {
    return ignore?.(failure) !== true;
  } catch {
    return true;
  }
}
