/**
 * The stages of a run as a table: how far each is, since when, and whether it takes long.
 */
import type { StageView } from "../index.ts";
import { type Cell, alignColumns, count, dateAndTime, durationText, oneLine, statusCell, timeOfDay } from "./text.ts";

/** Nothing when no node is of a stage; an empty line follows. */
export function stageLines(stages: readonly StageView[], stream: NodeJS.WriteStream): string[] {
  if (stages.length === 0) return [];
  const rows = stages.map((stage) => [stage.name, statusOf(stage), begun(stage), lengthOf(stage), `${stage.ended}/${stage.nodes}`, noteOf(stage)]);
  return [...alignColumns([["STAGE", "STATUS", "BEGUN", "TIME", "ENDED", "WHY"], ...rows], stream), ""];
}

function statusOf({ status }: StageView): Cell {
  return status === "warned" ? { text: status, style: "yellow" } : statusCell(status);
}

function begun({ startedAt }: StageView): string {
  return startedAt === undefined ? "" : dateAndTime(startedAt);
}

/** How long it took, or has taken. */
function lengthOf({ status, startedAt, endedAt }: StageView): string {
  const isOpen = status === "running" || status === "warned";
  const until = endedAt ?? (isOpen ? new Date().getTime() : undefined);
  return startedAt === undefined || until === undefined ? "" : durationText(until - startedAt);
}

function noteOf({ failed, warnedAt, recoveries, action }: StageView): string {
  const notes = [
    failed === 0 ? "" : `${count(failed, "node")} failed`,
    warnedAt === undefined ? "" : `warned of at ${timeOfDay(warnedAt)}`,
    recoveries === 0 ? "" : `${count(recoveries, "recovery action")} called`,
    action === undefined ? "" : `${oneLine(action)} runs`,
  ];
  return notes.filter((note) => note !== "").join("; ");
}
