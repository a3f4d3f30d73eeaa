/**
 * What happens to a machine run, and its text: a redo record remembers what its commit came of.
 */
import type { ActorTable } from "./actor-table.ts";
import type { InboxItem } from "./requests.ts";
import type { PendingSend } from "./sends.ts";
import type { Actor, ActorTimer, AnyEvent } from "./xstate/actor.ts";

export type MachineStimulus =
  | { readonly kind: "begin" | "cancel" | "continue" }
  /** A row of its inbox that is no event; what it does to the machine is a stimulus of its own. */
  | { readonly kind: "item"; readonly item: Exclude<InboxItem, { kind: "event" }> }
  | {
      readonly kind: "event";
      readonly to: Actor;
      readonly event: string;
      readonly pending?: PendingSend;
      readonly item?: Extract<InboxItem, { kind: "event" }>;
    }
  | { readonly kind: "timer"; readonly actor: Actor; readonly timer: ActorTimer }
  | { readonly kind: "failed"; readonly actor: Actor; readonly error: unknown };

type Text = [kind: MachineStimulus["kind"], actor?: string, detail?: string | number];

export function textOf(stimulus: MachineStimulus, table: ActorTable): string {
  const text: Text = [stimulus.kind];
  if (stimulus.kind === "event") text.push(stimulus.to.key, stimulus.event);
  if (stimulus.kind === "timer") text.push(stimulus.actor.key, stimulus.timer.number);
  if (stimulus.kind === "failed") text.push(stimulus.actor.key, errorText(stimulus.error, table));
  return JSON.stringify(text);
}

function errorText(error: unknown, table: ActorTable): string {
  try {
    return table.encode(error);
  } catch {
    return table.encode(new Error("an error that cannot be stored"));
  }
}

/** The stimulus of a text; undefined when what it is about is no more. */
export function stimulusOf(text: string, table: ActorTable): MachineStimulus | undefined {
  const [kind, key = "", detail] = JSON.parse(text) as Text;
  if (kind === "begin" || kind === "cancel" || kind === "continue") return { kind };
  if (kind === "item") return undefined;
  const actor = table.actorAt(key);
  if (kind === "event") return { kind, to: actor, event: detail as string };
  if (kind === "failed") return { kind, actor, error: table.decode(detail as string) };
  const timer = actor.timers.find(({ number }) => number === detail);
  return timer === undefined ? undefined : { kind, actor, timer };
}

/** An event that came from outside, or the failure to write it down. */
export function fromOutside(to: Actor, event: AnyEvent, table: ActorTable): MachineStimulus {
  try {
    return { kind: "event", to, event: outsideText(event, table) };
  } catch (error) {
    return { kind: "failed", actor: to, error };
  }
}

/** The text of an event from outside. An error that cannot be stored as it is becomes what can be said of it. */
export function outsideText(event: AnyEvent, table: ActorTable): string {
  try {
    return table.encode(event);
  } catch (error) {
    if (!FAILED.test(event.type)) throw error;
    return table.encode({ ...event, data: recordOf(event["data"]) });
  }
}

const FAILED = /^xstate\.(promise\.reject|observable\.error)$/;

/** An error as a small fixed record: making one never fails, and it can always be stored. */
export function recordOf(error: unknown): Error {
  const { name, message, code } = (error ?? {}) as { name?: unknown; message?: unknown; code?: unknown };
  const record = new Error(typeof message === "string" ? message : wordsOf(error));
  if (typeof name === "string") record.name = name;
  return typeof code === "string" || typeof code === "number" ? Object.assign(record, { code }) : record;
}

/** Anything in a few words. */
export function wordsOf(value: unknown): string {
  try {
    return typeof value === "object" && value !== null && !(value instanceof Error) ? JSON.stringify(value) : String(value);
  } catch {
    return "something that cannot be described";
  }
}
