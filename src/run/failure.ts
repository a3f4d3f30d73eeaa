/**
 * What an attempt failed of, as a small fixed record. Making one never fails, whatever was thrown.
 */
import type { Failure } from "../../machines/node.ts";
import type { ErrorHandler, FailedAttempt } from "../define/agent.ts";
import { durationMs } from "../define/duration.ts";
import { NAME } from "../define/name.ts";
import { AgentError, type FailureKind, isPawlError } from "../errors.ts";

const MESSAGE_LENGTH_MAX = 2_000;
/** What is wrong with a definition, or with what was given. */
const CONFIGURATION: ReadonlySet<string> = new Set([
  "PAWL_INPUT_INVALID",
  "PAWL_AGENT_UNCONFIGURED",
  "PAWL_AGENT_UNLOADABLE",
  "PAWL_HEALTH_CHECK_MISSING",
  "PAWL_UNKNOWN_AGENT",
  "PAWL_UNKNOWN_RECOVERY",
  "PAWL_NOT_A_LIST",
  "PAWL_STEP_REPEATED",
  "PAWL_STEP_UNSUPPORTED",
]);
/** Whatever a service asks for, the next attempt comes within a day. */
const RETRY_AFTER_MAX_MS = 86_400_000;
const CODE = /^[A-Za-z0-9_.-]{1,64}$/;

/** Kinds for which another attempt can help. */
const RETRYABLE: Record<FailureKind, boolean> = {
  transient: true,
  resource: true,
  timeout: true,
  invalidOutput: true,
  configuration: false,
  critical: false,
  circuitOpen: false,
  cancelled: false,
};

/** The record of an error of this kind. `nonRetryable` are names, codes or kinds that are not tried again. */
export function makeFailure(
  kind: FailureKind,
  code: string,
  message: string,
  options: { nonRetryable?: readonly string[]; name?: string; retryAfterMs?: number | undefined } = {},
): Failure {
  const banned = options.nonRetryable ?? [];
  const retryable = RETRYABLE[kind] && ![kind, code, options.name].some((word) => word !== undefined && banned.includes(word));
  const retryAfterMs = boundedWait(options.retryAfterMs);
  return { kind, code, message: message.slice(0, MESSAGE_LENGTH_MAX), retryable, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** A wait that can be waited for; nonsense asks for none. */
function boundedWait(ms: number | undefined): number | undefined {
  return ms === undefined || Number.isNaN(ms) || ms <= 0 ? undefined : Math.min(ms, RETRY_AFTER_MAX_MS);
}

/** The record of anything that an agent threw. */
export function failureOf(thrown: unknown, nonRetryable: readonly string[]): Failure {
  try {
    if (thrown instanceof AgentError)
      return makeFailure(thrown.kind, codeOf(thrown), thrown.message, { nonRetryable, name: thrown.name, retryAfterMs: thrown.retryAfterMs });
    if (isPawlError(thrown)) return makeFailure(kindOf(thrown.code), thrown.code, thrown.message, { nonRetryable });
    if (thrown instanceof Error) return makeFailure("transient", codeOf(thrown), thrown.message || thrown.name, { nonRetryable, name: thrown.name });
    return makeFailure("transient", "PAWL_AGENT_FAILED", `the agent threw ${thrown === undefined ? "undefined" : JSON.stringify(thrown)}`, { nonRetryable });
  } catch {
    return makeFailure("transient", "PAWL_AGENT_FAILED", "the agent threw something that cannot be described");
  }
}

/** The record of anything that an agent threw, as its `onError` sees it. */
export function judgedFailure(thrown: unknown, nonRetryable: readonly string[], onError: ErrorHandler, { runId, nodeId, attempt }: FailedAttempt): Failure {
  const failure = failureOf(thrown, nonRetryable);
  try {
    const verdict = onError(thrown, { runId, nodeId, attempt });
    if (verdict === undefined) return failure;
    const { kind = failure.kind, code = failure.code, message = failure.message, retryAfter, recover } = verdict;
    if (verdict instanceof Promise) throw new Error("it answered with a promise, but is to decide at once");
    if (!Object.hasOwn(RETRYABLE, kind)) throw new Error(`"${kind}" is no kind of failure`);
    if (typeof message !== "string") throw new Error("its message is no text");
    if (typeof code !== "string" || !CODE.test(code)) throw new Error("its code is none");
    if (recover !== undefined && !NAME.test(recover)) throw new Error("its recovery action has no name");
    const retryAfterMs = retryAfter === undefined ? failure.retryAfterMs : durationMs(retryAfter, "retryAfter", "onError()");
    const judged = makeFailure(kind, code, message, { nonRetryable, retryAfterMs, ...(thrown instanceof Error && { name: thrown.name }) });
    return { ...judged, ...(retryAfter !== undefined && { retryable: true }), ...(recover !== undefined && { recover }) };
  } catch (error) {
    const why = failureOf(error, []).message;
    return { ...failure, message: `${failure.message} (its onError failed: ${why})`.slice(0, MESSAGE_LENGTH_MAX) };
  }
}

function codeOf(error: Error): string {
  const code: unknown = (error as { code?: unknown }).code;
  return typeof code === "string" && CODE.test(code) ? code : "PAWL_AGENT_FAILED";
}

function kindOf(code: string): FailureKind {
  if (code === "PAWL_OUTPUT_INVALID") return "invalidOutput";
  if (CONFIGURATION.has(code)) return "configuration";
  if (code === "PAWL_VALUE_NOT_STORABLE" || code === "PAWL_VALUE_TOO_LARGE") return "critical";
  return "transient";
}
