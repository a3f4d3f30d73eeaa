/**
 * What is thrown on one side of a thread, for the other: its class is found again where pawl goes by it. Never fails,
 * whatever was thrown.
 */
import { AgentError, type ErrorCode, type FailureKind, PawlError, isPawlError } from "../errors.ts";
import { decode, encode } from "./codec.ts";

/** Something that was thrown, as text. */
export interface Thrown {
  readonly of: "agent" | "pawl" | "other";
  readonly text: string;
}

interface Facts {
  readonly message: string;
  readonly kind: FailureKind;
  readonly code: string;
  readonly retryAfterMs?: number;
  readonly next?: string;
  readonly data?: unknown;
  readonly cause?: unknown;
}

export function thrownText(error: unknown): Thrown {
  const of = error instanceof AgentError ? "agent" : isPawlError(error) ? "pawl" : "other";
  const { name, message, code, kind, retryAfterMs, next } = (error instanceof Error ? error : {}) as Error & Facts;
  // what cannot be carried over as it is goes with what is needed of it
  const bare = error instanceof Error ? Object.assign(new Error(message), { name, code, kind, retryAfterMs, next }) : describe(error);
  for (const value of [error, bare]) {
    try {
      return { of, text: encode(value) };
    } catch {
      continue;
    }
  }
  return { of: "other", text: encode(new Error("the agent threw something that cannot be described")) };
}

function describe(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "something that cannot be described";
  }
}

export function revived({ of, text }: Thrown): unknown {
  const error = decode(text);
  if (of === "other") return error;
  const { message, kind, code, retryAfterMs, next, data, cause } = error as Facts;
  if (of === "agent") return new AgentError(message, { kind, code, cause, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  return new PawlError(code as ErrorCode, { message, cause, data, ...(next !== undefined && { next }) });
}
