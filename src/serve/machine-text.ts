/**
 * Machines in words: their states, the events of xstate's own, what happened in their runs, and what they wait for.
 */
import type { HistoryEvent, WaitingFor } from "../index.ts";
import { dateAndTime, durationText, oneLine } from "./text.ts";

/** The key of the machine itself among the actors of its run. */
export const ROOT = "machine~1";

const STATE_LENGTH_MAX = 200;
/** So many are named. */
const NAMED_MAX = 8;

/** A state value as people say it: `draft`, `open.asking`, `(door.open, light.on)`; empty for a machine without states. */
export function stateText(value: unknown): string {
  return oneLine(pathText(value), STATE_LENGTH_MAX);
}

function pathText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null) return "";
  const parts = Object.entries(value).map(([key, inner]) => [key, pathText(inner)].filter((text) => text !== "").join("."));
  return parts.length > 1 ? `(${parts.join(", ")})` : (parts[0] ?? "");
}

/** Events of xstate's own, by what their types begin with. */
const OWN: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [/^xstate\.init$/, () => "begins"],
  [/^xstate\.stop$/, () => "is stopped"],
  [/^xstate\.after\.(\d+)\./, (ms) => `after ${durationText(Number(ms))}`],
  [/^xstate\.after\.([^.]+)\./, (delay) => `after ${delay}`],
  [/^xstate\.done\.actor\.(.+)$/, (id) => `${id} is done`],
  [/^xstate\.error\.actor\.(.+)$/, (id) => `${id} failed`],
  [/^xstate\.done\.state\.(.+)$/, (id) => `state ${id} is done`],
  [/^xstate\.snapshot\.(.+)$/, (id) => `${id} changed`],
  [/^xstate\.promise\.resolve$/, () => "resolves"],
  [/^xstate\.promise\.reject$/, () => "rejects"],
];

/** An event's type; of xstate's own what it means. */
export function eventTypeText(type: string): string {
  for (const [pattern, textOf] of OWN) {
    const found = pattern.exec(type);
    if (found !== null) return oneLine(textOf(...found.slice(1)));
  }
  return oneLine(type);
}

const ENDS: Readonly<Record<string, string>> = { done: "done", error: "failed", stopped: "stopped" };

/** `APPROVE → approved`, `fetch~2 (fetchUser) started`, `action notify was performed`; undefined for what is no affair of a machine. */
export function machineEventText({ type, actor, event, value, name }: HistoryEvent): string | undefined {
  const key = oneLine(actor ?? "");
  const place = key === ROOT ? "" : `${key}: `;
  const called = oneLine(name ?? "");
  switch (type) {
    case "machine.turned":
      return `${place}${eventTypeText(event ?? "")}${stateText(value) === "" ? "" : ` → ${stateText(value)}`}`;
    case "actor.started":
      return `${key}${called === "" ? "" : ` (${called})`} started`;
    case "actor.ended":
      return `${key} ${ENDS[called] ?? called}`;
    case "action.performed":
      return `${place}action ${called} was performed`;
    default:
      return undefined;
  }
}

/** `waits for an event: APPROVE, REJECT`, `waits for an event: CANCEL, or after 5s at 2026-01-15 14:02:11`. */
export function waitsText({ events, timers }: WaitingFor): string {
  const [timer] = timers;
  const due = timer === undefined ? "" : `${eventTypeText(timer.event)} at ${dateAndTime(timer.dueAt)}`;
  if (events.length === 0) return due === "" ? "waits for an event, but takes none in this state" : `waits: ${due}`;
  const named = events.slice(0, NAMED_MAX).map((event) => oneLine(event));
  const more = events.length > NAMED_MAX ? ` and ${events.length - NAMED_MAX} more` : "";
  return `waits for an event: ${named.join(", ")}${more}${due === "" ? "" : `, or ${due}`}`;
}
