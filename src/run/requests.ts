/**
 * What is asked of the owner of a run by processes that are not: a row of the run's inbox, and the answer to it.
 * A row is one of: an event that another run sent (an object), the cancel of a parent that is gone, or a request.
 */
import { type ErrorCode, PawlError } from "../errors.ts";
import type { Override } from "./override.ts";
import type { SendResult } from "./sends.ts";

/** How a run is cancelled. */
export interface CancelManner {
  /** At once: nothing that would undo what was done is run. */
  readonly now?: true;
  /** Nothing is undone, though it could be. */
  readonly keeps?: true;
}

/** A request of a person or program. Each asks for an answer. */
export type Request =
  /** `event` is encoded; checked when it is received. */
  | { readonly kind: "send"; readonly event: string; readonly eventId?: string }
  | ({ readonly kind: "cancel" } & CancelManner)
  | { readonly kind: "pause" | "resume" }
  | ({ readonly kind: "override" } & Override);

/** What is said to it, with the commit that did it. */
export type Reply =
  | { readonly done: true; readonly commitNo: number }
  | { readonly sent: SendResult }
  | { readonly refused: { readonly code: ErrorCode; readonly message: string } };

const MARK = "ask:";

export function requestText(request: Request): string {
  return MARK + JSON.stringify(request);
}

/** Does this row ask for an answer? */
export function isRequest(body: string): boolean {
  return body.startsWith(MARK);
}

/** The request in a row of an inbox; undefined when it is none. */
export function readRequest(body: string): Request | undefined {
  return isRequest(body) ? (JSON.parse(body.slice(MARK.length)) as Request) : undefined;
}

export function replyText(reply: Reply): string {
  return JSON.stringify(reply);
}

/** Throws when the request was refused. */
export function readReply(body: string): Exclude<Reply, { refused: unknown }> {
  const reply = JSON.parse(body) as Reply;
  if ("refused" in reply) throw new PawlError(reply.refused.code, { message: reply.refused.message });
  return reply;
}

/** A row of an inbox as a run takes it. `isAsked`: the commit that consumes it also answers it. */
export type InboxItem = { readonly number: number; readonly isAsked: boolean } & (
  | { readonly kind: "event"; readonly event: string; readonly eventId?: string }
  | ({ readonly kind: "cancel" } & CancelManner)
  | { readonly kind: "pause" | "resume" }
  | { readonly kind: "override"; readonly override: Override }
  /** Not taken: only consumed, with this answer if one is asked for. */
  | { readonly kind: "dropped"; readonly reply?: Reply }
);
