/**
 * What `run` and `watch` tell while a run goes on: as a table that lives, as lines, or as JSON lines.
 */
import type { HistoryEntry, Run, RunView, WaitingFor } from "../index.ts";
import type { Board } from "./board.ts";
import type { MachineBoard } from "./machine-board.ts";
import { stateText } from "./machine-text.ts";

/** How a run stands: of a workflow its nodes, of a machine its actors. */
export type Standing = { readonly kind: "workflow"; readonly board: Board } | { readonly kind: "machine"; readonly board: MachineBoard };

/** What is known when the telling begins. */
export interface Opening {
  readonly run: Run<unknown>;
  readonly workflow: string;
  readonly standing: Standing;
  /** It was there before. */
  readonly isContinued: boolean;
  /** What to type after a verb to mean the run. */
  readonly words: readonly string[];
  /** The command that goes on with it, when it runs in this process. */
  readonly command?: string;
}

export interface Reporter {
  begins(opening: Opening): void;
  /** An entry that is already on the board. */
  happened(entry: HistoryEntry): void;
  /** What the run waits for: of a machine's once for each rest, of a workflow's when the events are others than before. */
  waits(waitingFor: WaitingFor): void;
  /** A line about something else: of the log, or of this command. */
  says(line: string): void;
  /** Nothing more is told. */
  ends(): void;
}

export interface ReporterOptions {
  readonly isJson: boolean;
  readonly canDraw: boolean;
  readonly kind: RunView["kind"];
}

/** Chooses how to tell: people get the table if they look at a terminal that can draw it. */
export async function makeReporter({ isJson, canDraw, kind }: ReporterOptions): Promise<Reporter> {
  if (isJson) return new (await import("./json-reporter.ts")).JsonReporter();
  if (!canDraw) return new (await import("./line-reporter.ts")).LineReporter(process.stderr);
  if (kind === "machine") return new (await import("./machine-table-reporter.ts")).MachineTableReporter(process.stderr);
  return new (await import("./table-reporter.ts")).TableReporter(process.stderr);
}

/** The first words about a run. */
export function openingLine({ run, workflow, standing, isContinued, command }: Opening): string {
  if (!isContinued) return `run ${run.id} of ${workflow} started${command === undefined ? "" : `; should it be interrupted, go on with\n  ${command}`}`;
  const paused = standing.board.isPaused ? "; it is paused" : "";
  if (standing.kind === "machine" && standing.board.root.state === undefined) return `run ${run.id} of ${workflow}: it had not begun${paused}`;
  if (standing.kind === "machine") return `run ${run.id} of ${workflow}: it was in ${stateText(standing.board.root.state)}${paused}`;
  return `run ${run.id} of ${workflow}: ${standing.board.done} of ${standing.board.wanted} nodes were done before${paused}`;
}
