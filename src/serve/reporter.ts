/**
 * What `run` and `watch` tell while a run goes on: as a table that lives, as lines, or as JSON lines.
 */
import type { HistoryEntry, Run } from "../index.ts";
import type { Board } from "./board.ts";

/** What is known when the telling begins. */
export interface Opening {
  readonly run: Run<unknown>;
  readonly workflow: string;
  readonly board: Board;
  /** It was there before. */
  readonly isContinued: boolean;
  /** The command that goes on with it, when it runs in this process. */
  readonly command?: string;
}

export interface Reporter {
  begins(opening: Opening): void;
  /** An entry that is already on the board. */
  happened(entry: HistoryEntry): void;
  /** A line about something else: of the log, or of this command. */
  says(line: string): void;
  /** Nothing more is told. */
  ends(): void;
}

/** Chooses how to tell: people get the table if they look at a terminal that can draw it. */
export async function makeReporter(options: { readonly isJson: boolean; readonly canDraw: boolean }): Promise<Reporter> {
  if (options.isJson) return new (await import("./json-reporter.ts")).JsonReporter();
  if (options.canDraw) return new (await import("./table-reporter.ts")).TableReporter(process.stderr);
  return new (await import("./line-reporter.ts")).LineReporter(process.stderr);
}

/** The first words about a run. */
export function openingLine({ run, workflow, board, isContinued, command }: Opening): string {
  if (isContinued) return `run ${run.id} of ${workflow}: ${board.done} of ${board.nodes.length} nodes were done before`;
  return `run ${run.id} of ${workflow} started${command === undefined ? "" : `; should it be interrupted, go on with\n  ${command}`}`;
}
