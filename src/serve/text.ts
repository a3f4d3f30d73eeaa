/**
 * Text for terminals: aligned columns, lengths of time, shell words. Data that is printed cannot control the terminal.
 */
import { styleText } from "node:util";
import type { NodeStatus, RunStatus } from "../index.ts";

type Style = Parameters<typeof styleText>[0];

/** A piece of a table with a look of its own. */
export interface Cell {
  readonly text: string;
  readonly style: Style;
}

const STATUS_STYLE: Readonly<Record<NodeStatus | RunStatus, Style>> = {
  pending: "dim",
  waiting: "dim",
  queued: "cyan",
  running: "cyan",
  paused: "blue",
  backingOff: "yellow",
  recovering: "yellow",
  completed: "green",
  skipped: "yellow",
  failed: "red",
  timedOut: "red",
  blocked: "magenta",
  notTaken: "dim",
  compensating: "yellow",
  compensated: "yellow",
  compensationFailed: "red",
  cancelled: "yellow",
  quarantined: "red",
};

/** A status in its colour. */
export function statusCell(status: NodeStatus | RunStatus): Cell {
  return { text: status, style: STATUS_STYLE[status] };
}

/** Rows as lines with aligned columns, coloured if the stream shows colours. */
export function alignColumns(rows: readonly (readonly (string | Cell)[])[], stream: NodeJS.WriteStream): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, textOf(cell).length)));
  return rows.map((row) => {
    const cells = row.map((cell, i) => {
      const padding = i === row.length - 1 ? "" : " ".repeat(widths[i]! - textOf(cell).length);
      return typeof cell === "string" ? cell + padding : styleText(cell.style, cell.text, { stream }) + padding;
    });
    return cells.join("  ").trimEnd();
  });
}

function textOf(cell: string | Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

/** One line without control characters, cut at this length. */
export function oneLine(text: string, lengthMax = 200): string {
  const clean = text.replace(/\p{Cc}+/gu, " ");
  return clean.length <= lengthMax ? clean : `${clean.slice(0, lengthMax - 1)}…`;
}

/** Text of any length that keeps its lines and loses every other control character. */
export function manyLines(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "");
}

/** A length as people say it: `850ms`, `1.2s`, `3m04s`, `2h05m`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${twoDigits(seconds % 60)}s`;
  return `${Math.floor(minutes / 60)}h${twoDigits(minutes % 60)}m`;
}

/** `14:02:11`, in the time zone of this machine. */
export function timeOfDay(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
}

/** `2026-01-15 14:02:11`, in the time zone of this machine. */
export function dateAndTime(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())} ${timeOfDay(at)}`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, "0");
}

/** Words as one would type them at a shell. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(" ");
}

/** The first of these words. */
export function listText(words: readonly string[], shownMax = 20): string {
  return words.slice(0, shownMax).join(", ") + (words.length > shownMax ? ` and ${words.length - shownMax} more` : "");
}

/** `812 bytes`, `4.1 MiB`, `12 GiB`. */
export function bytesText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const amount = bytes / 1_024 ** power;
  return `${power === 0 || amount >= 10 ? Math.round(amount) : amount.toFixed(1)} ${units[power]}`;
}

/** `1 node`, `2 nodes`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
