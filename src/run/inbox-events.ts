/**
 * The rows of a run's inbox as the run takes them: what it does not take is dropped, and no other run is harmed by it.
 * 1. What other runs sent is checked as if people had sent it. 2. Whoever asks is told why it was not taken.
 */
import { PawlError, isPawlError } from "../errors.ts";
import type { InboxRecord } from "../store/store.ts";
import { checkedEvent, checkedNodeEvent } from "./checked-event.ts";
import { decode, encode } from "./codec.ts";
import type { Definition } from "./definition.ts";
import { readCancelBody } from "./hosted-run.ts";
import { checkedOverride } from "./override.ts";
import { type InboxItem, type Reply, type Request, readRequest } from "./requests.ts";
import type { AnySnapshot } from "./xstate/actor.ts";

/** With `snapshot`, a refused event is told what the machine takes in that state. */
export async function checkedInbox(definition: Definition, rows: readonly InboxRecord[], snapshot?: () => Promise<AnySnapshot>): Promise<InboxItem[]> {
  const items: InboxItem[] = [];
  for (const row of rows) items.push(await checkedRow(definition, row, snapshot));
  return items;
}

/** One row; see `checkedInbox`. */
export async function checkedRow(definition: Definition, { number, body }: InboxRecord, snapshot?: () => Promise<AnySnapshot>): Promise<InboxItem> {
  const manner = readCancelBody(body);
  if (manner !== undefined) return { number, isAsked: false, kind: "cancel", ...manner };
  let request: Request | undefined;
  try {
    request = readRequest(body);
  } catch (error) {
    return { number, isAsked: true, kind: "dropped", reply: refused(new PawlError("PAWL_ROW_CORRUPT", { cause: error })) };
  }
  if (request !== undefined) return asked(definition, number, request, snapshot);
  try {
    return { number, isAsked: false, kind: "event", event: await checkedText(definition, body) };
  } catch {
    return { number, isAsked: false, kind: "dropped" };
  }
}

async function asked(definition: Definition, number: number, request: Request, snapshot?: () => Promise<AnySnapshot>): Promise<InboxItem> {
  const isAsked = true;
  switch (request.kind) {
    case "cancel":
      return { number, isAsked, kind: "cancel", ...(request.now && { now: true }), ...(request.keeps && { keeps: true }) };
    case "pause":
    case "resume":
      return { number, isAsked, kind: request.kind };
    case "override":
      try {
        if (definition.kind !== "dag") throw new PawlError("PAWL_NOT_A_WORKFLOW");
        const { kind, ...override } = request;
        return { number, isAsked, kind, override: await checkedOverride(definition.workflow.plan, override) };
      } catch (error) {
        return { number, isAsked, kind: "dropped", reply: refused(error) };
      }
    case "send":
      try {
        const event = await checkedText(definition, request.event, snapshot);
        return { number, isAsked, kind: "event", event, ...(request.eventId !== undefined && { eventId: request.eventId }) };
      } catch (error) {
        return { number, isAsked, kind: "dropped", reply: refused(error) };
      }
    default:
      return { number, isAsked, kind: "dropped", reply: refused(new PawlError("PAWL_ROW_CORRUPT")) };
  }
}

/** The text of the event as it is to be applied. */
async function checkedText(definition: Definition, text: string, snapshot?: () => Promise<AnySnapshot>): Promise<string> {
  const event = decode(text);
  const checked = definition.kind === "dag" ? await checkedNodeEvent(definition.workflow.plan, event) : await checkedEvent(definition, event, snapshot);
  return checked === event ? text : encode(checked);
}

function refused(error: unknown): Reply {
  const { code, message } = isPawlError(error) ? error : new PawlError("PAWL_EVENT_REFUSED", { cause: error });
  return { refused: { code, message } };
}
