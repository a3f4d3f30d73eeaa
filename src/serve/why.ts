/**
 * `pawl why`: why a run stands where it does, as a short tree with the remedy of each cause.
 */
import { styleText } from "node:util";
import type { Cause, CauseKind } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { findRun, openToLook, withStore } from "./stored.ts";
import { alignColumns, count, oneLine, statusCell } from "./text.ts";

export interface WhyVerbOptions {
  readonly store?: string;
  readonly json?: true;
}

const SHOWN_MAX = 20;
const MESSAGE_LENGTH_MAX = 500;

export async function why(id: string, options: WhyVerbOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  const told = await (await findRun(pawl, id)).why();
  if (options.json) {
    process.stdout.write(`${toJson(told)}\n`);
    return EXIT.completed;
  }
  const { runId, status, causes, leftOut, recoverable } = told;
  const lines = causes.flatMap((cause, i) => treeOf(cause, i === causes.length - 1, ""));
  const more = leftOut + Math.max(0, lines.length - SHOWN_MAX);
  const next = `next: ${withStore(told.next, options.store)}`;
  const head = alignColumns(
    [["run", runId, statusCell(status), ...(status === "completed" ? [] : [recoverable ? "can go on" : "cannot go on as it is"])]],
    process.stdout,
  );
  const left = more > 0 ? [`… and ${count(more, "cause")} more${leftOut === 0 ? ": --json has all" : ""}`] : [];
  process.stdout.write(`${[...head, ...lines.slice(0, SHOWN_MAX), ...left, next].join("\n")}\n`);
  return EXIT.completed;
}

function treeOf({ kind, message, causes }: Cause, isLast: boolean, indent: string): string[] {
  const line = `${indent}${isLast ? "└" : "├"} ${styleText(STYLES[kind] ?? "yellow", kind, { stream: process.stdout })}  ${oneLine(message, MESSAGE_LENGTH_MAX)}`;
  const beneath = `${indent}${isLast ? "  " : "│ "}`;
  return [line, ...causes.flatMap((cause, i) => treeOf(cause, i === causes.length - 1, beneath))];
}

const STYLES: Partial<Record<CauseKind, "red" | "cyan" | "magenta" | "blue">> = {
  quarantined: "red",
  deadlock: "red",
  noWorker: "red",
  definitionMissing: "red",
  definitionChanged: "red",
  runMissing: "red",
  failed: "red",
  timedOut: "red",
  compensationFailed: "red",
  paused: "blue",
  running: "cyan",
  takesLong: "cyan",
  recovering: "cyan",
  queued: "cyan",
  blocked: "magenta",
};
