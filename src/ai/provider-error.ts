/**
 * What a model's provider refuses, as pawl's kinds of failure: they decide whether and when it is tried again.
 */
import { AgentError, type FailureKind } from "../index.ts";
import { APICallError, LoadAPIKeyError, LoadSettingError, NoSuchModelError, RetryError, UnsupportedFunctionalityError } from "./sdk.ts";

/** Answers that mean "not now". 529 is said by providers that are overloaded. */
const BUSY: ReadonlySet<number> = new Set([429, 503, 529]);
const PASSING: ReadonlySet<number> = new Set([408, 409, 425, 500, 502, 504]);
const MISUSE = [LoadAPIKeyError, LoadSettingError, NoSuchModelError, UnsupportedFunctionalityError];
const MESSAGE_LENGTH_MAX = 300;

/** The error to throw in its place; itself when it is none of a provider. */
export function agentErrorOf(thrown: unknown): unknown {
  const error = RetryError.isInstance(thrown) ? thrown.lastError : thrown;
  if (MISUSE.some((misuse) => misuse.isInstance(error))) return failure("configuration", error);
  const answer = answerOf(error);
  if (answer === undefined) return error;
  const { status } = answer;
  if (status === undefined) return failure("transient", error);
  if (!BUSY.has(status) && !PASSING.has(status) && status < 500) return failure("configuration", error, status);
  return failure(BUSY.has(status) ? "resource" : "transient", error, status, retryAfterOf(answer.headers));
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** An error of the gateway carries its status itself; its cause may carry the headers. */
function answerOf(error: unknown): Answer | undefined {
  const { cause, statusCode } = (error ?? {}) as { readonly cause?: unknown; readonly statusCode?: unknown };
  const call = [error, cause].find((each) => APICallError.isInstance(each));
  if (call === undefined && typeof statusCode !== "number") return undefined;
  return { status: typeof statusCode === "number" ? statusCode : call?.statusCode, headers: call?.responseHeaders ?? {} };
}

/** `retry-after` is a number of seconds, or an instant on the provider's own clock. */
function retryAfterOf(headers: Answer["headers"]): number | undefined {
  const named = (name: string): string | undefined => Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const ms = Number.parseFloat(named("retry-after-ms") ?? "");
  if (ms > 0) return ms;
  const value = named("retry-after") ?? "";
  const seconds = value === "" ? Number.NaN : Number(value);
  const waitMs = Number.isNaN(seconds) ? Date.parse(value) - Date.parse(named("date") ?? "") : seconds * 1_000;
  return waitMs > 0 ? waitMs : undefined;
}

function failure(kind: FailureKind, cause: unknown, status?: number, retryAfterMs?: number): AgentError {
  const said = (cause instanceof Error ? cause.message : String(cause)).slice(0, MESSAGE_LENGTH_MAX);
  const message = status === undefined ? `the model cannot be called: ${said}` : `the model's provider answered with status ${status}: ${said}`;
  return new AgentError(message, { kind, code: "PAWL_AGENT_HTTP", ...(retryAfterMs !== undefined && { retryAfterMs }), cause });
}
