/**
 * The actors of a machine's run as a small tree, each with its state and its timers.
 */
import type { ActorView, TimerView } from "../index.ts";
import { ROOT, eventTypeText, stateText } from "./machine-text.ts";
import { type Cell, alignColumns, dateAndTime, oneLine } from "./text.ts";

/** More actors than these are for programs. */
const ACTORS_SHOWN_MAX = 100;

const STYLE: Readonly<Record<ActorView["status"], Cell["style"]>> = { new: "dim", running: "cyan", done: "green", error: "red", stopped: "yellow" };

export function actorLines(actors: readonly ActorView[], stream: NodeJS.WriteStream): string[] {
  const ordered = depthFirst(actors);
  const rows = ordered.slice(0, ACTORS_SHOWN_MAX).map(actorRow);
  const lines = alignColumns([["ACTOR", "STATUS", "STATE", "LOGIC", "TIMERS"], ...rows], stream);
  return ordered.length > ACTORS_SHOWN_MAX ? [...lines, `… and ${ordered.length - ACTORS_SHOWN_MAX} more actors (--json has all of them)`] : lines;
}

/** Each actor right after the one that made it and its other, older children. */
function depthFirst(actors: readonly ActorView[]): ActorView[] {
  const below = Map.groupBy(actors, ({ parent }) => parent);
  const ordered: ActorView[] = [];
  const open = (below.get(undefined) ?? []).toReversed();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    ordered.push(next);
    open.push(...(below.get(next.key) ?? []).toReversed());
  }
  return ordered;
}

function actorRow({ key, status, state, src, timers }: ActorView): (string | Cell)[] {
  const depth = key === ROOT ? 0 : key.split("/").length;
  const name = `${"  ".repeat(depth)}${oneLine(key.slice(key.lastIndexOf("/") + 1))}`;
  return [name, { text: status, style: STYLE[status] }, stateText(state), oneLine(src), timers.map(timerText).join(", ")];
}

function timerText({ event, dueAt }: TimerView): string {
  return `${eventTypeText(event)} at ${dateAndTime(dueAt)}`;
}
