/**
 * What other runs sent to a machine, checked as if people had sent it: what the machine does not take is dropped, and no
 * other run is harmed by it.
 */
import { validate } from "../define/schema.ts";
import type { InboxRecord } from "../store/store.ts";
import { encode } from "./codec.ts";
import type { Definition } from "./definition.ts";
import { CANCEL_BODY, DROPPED_BODY } from "./hosted-run.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { isDeclared } from "./xstate/machine-events.ts";

/** The rows with what is not taken marked as dropped. */
export async function checkedInbox(definition: Definition, rows: readonly InboxRecord[]): Promise<InboxRecord[]> {
  if (definition.kind === "dag") return [...rows];
  const checked: InboxRecord[] = [];
  for (const { number, body } of rows) checked.push({ number, body: body === CANCEL_BODY ? body : await checkedBody(definition, body) });
  return checked;
}

async function checkedBody(definition: MachineDefinition, body: string): Promise<string> {
  try {
    const event = JSON.parse(body) as { readonly type?: unknown } | null;
    const type = event?.type;
    if (typeof type !== "string" || !isDeclared(definition.events, type)) return DROPPED_BODY;
    const schema = definition.options.events?.[type];
    if (schema === undefined) return body;
    const checked = await validate(schema, event);
    return checked.issues === undefined ? encode({ ...(checked.value as object), type }) : DROPPED_BODY;
  } catch {
    return DROPPED_BODY;
  }
}
