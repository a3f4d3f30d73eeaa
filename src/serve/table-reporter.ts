/**
 * A run as a table that lives at the lower end of the terminal: a line per node with its status, attempt, time, and what
 * it waits for, and below them the events that are awaited. With more nodes than lines: counts by status, and the nodes that run
 * or failed.
 */
import { styleText } from "node:util";
import type { AwaitedEvent, NodeView, WaitingFor } from "../index.ts";
import type { Board } from "./board.ts";
import type { BoardNode } from "./board-node.ts";
import { type NodeRow, headCells, noteCell, rowsOf } from "./node-rows.ts";
import { awaitedText, noteOf, sendCommand } from "./node-text.ts";
import { type Opening, type Reporter, openingLine } from "./reporter.ts";
import { Screen } from "./screen.ts";
import { isNotable } from "./tally.ts";
import { type Cell, alignColumns, count, durationText } from "./text.ts";

/** Ten frames a second at most. */
const FRAME_MS = 100;
/**
 * Instants of next attempts and what attempts report are read from the store: this often at most, for so small a part of the
 * time, and only for runs of this size at most.
 */
const ROWS_EVERY_MS = 1_000;
const ROWS_TIME_SHARE = 20;
const ROWS_NODES_MAX = 1_000;
/** So many awaited events have a line. */
const WAITS_SHOWN_MAX = 3;

export class TableReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream;
  readonly #screen: Screen;
  #opening: Opening | undefined;
  #board: Board | undefined;
  #awaited: readonly AwaitedEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #readRowsAt = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#screen = new Screen(stream);
  }

  begins(opening: Opening): void {
    if (opening.standing.kind !== "workflow") throw new TypeError("this table is for nodes");
    this.#board = opening.standing.board;
    this.#opening = opening;
    this.#screen.above(openingLine(opening));
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  /** The next frame shows it. */
  happened(): void {}

  waits({ awaited = [] }: WaitingFor): void {
    this.#awaited = awaited;
  }

  says(line: string): void {
    this.#screen.above(line);
  }

  ends(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#readRowsAt = Number.POSITIVE_INFINITY;
    this.#draw();
    this.#screen.leave();
  }

  #draw(): void {
    const now = new Date().getTime();
    const waits = this.#waits().map((line) => styleText("dim", line, { stream: this.#stream }));
    this.#screen.draw(tableLines(this.#board!, { now, rows: this.#screen.rows, stream: this.#stream, waits }));
    if (now >= this.#readRowsAt) void this.#readRows(now);
  }

  #waits(): string[] {
    const awaited = this.#awaited.filter(({ type }) => this.#board!.node(type)?.status === "running");
    const lines = awaited.slice(0, WAITS_SHOWN_MAX).flatMap((event) => [`waits for ${awaitedText(event)}`, `  ${sendCommand(event, this.#opening!.words)}`]);
    return awaited.length > WAITS_SHOWN_MAX ? [...lines, `and for ${count(awaited.length - WAITS_SHOWN_MAX, "more event")}`] : lines;
  }

  /** History does not say when a next attempt is due, nor how far one is; the rows do. What cannot be read is left out of the table. */
  async #readRows(now: number): Promise<void> {
    const board = this.#board!;
    if (board.tally.size > ROWS_NODES_MAX || !hasAttempts(board)) return;
    this.#readRowsAt = Number.POSITIVE_INFINITY;
    const views = await this.#opening!.run.nodes().catch((): NodeView[] => []);
    for (const { id, retryAt, progress } of views) {
      const node = board.node(id);
      if (node === undefined) continue;
      node.progress = progress;
      if (node.status === "backingOff") node.retryAt = retryAt;
    }
    const tookMs = new Date().getTime() - now;
    this.#readRowsAt = now + tookMs + Math.max(ROWS_EVERY_MS, tookMs * ROWS_TIME_SHARE);
  }
}

/** Does an attempt run, or is the instant of a next one not known? */
function hasAttempts({ tally }: Board): boolean {
  for (const { kind } of tally.those("running")) if (kind === "call") return true;
  for (const { retryAt } of tally.those("backingOff")) if (retryAt === undefined) return true;
  return false;
}

interface TableSpace {
  readonly now: number;
  readonly rows: number;
  readonly stream: NodeJS.WriteStream;
  /** What is said of events that are awaited; each line is one of the table's. */
  readonly waits?: readonly string[];
}

/** The lines of the table, no more than there are rows. */
export function tableLines(board: Board, { now, rows, stream, waits = [] }: TableSpace): string[] {
  const paused = board.isPaused ? "; paused" : "";
  const notTaken = board.tally.count("notTaken");
  const others = notTaken === 0 ? "" : `, ${notTaken} not taken`;
  const head = styleText("dim", `${board.done} of ${count(board.wanted, "node")} done${others}, ${durationText(now - (board.startedAt ?? now))}${paused}`, {
    stream,
  });
  const tail = waits.slice(0, Math.max(0, rows - 3));
  const room = rows - tail.length;
  // a run with more nodes than lines is not looked through for each frame
  const all = board.top.length < rows * NODES_PER_LINE ? rowsOf(board.top, ({ parts }) => parts?.tally) : undefined;
  const fits = all !== undefined && all.length < room;
  const shown = fits ? all : urgentRows(board, all, room - 2);
  const heads = headCells(shown);
  const table = alignColumns(
    shown.map((row, i) => ["", ...heads[i]!, ...(row.kind === "node" ? nodeCells(row.node, board, now) : ["", "", noteCell(row.text)])]),
    stream,
  );
  return [head, ...(fits ? [] : [countsText(board)]), ...table, ...tail];
}

/** Rows that are left out of the table are counted, but not forever. */
const NODES_PER_LINE = 20;

/** Of these rows those of what failed, backs off or runs, if there is room for them; else the first nodes of that kind. */
function urgentRows(board: Board, rows: readonly NodeRow<BoardNode>[] | undefined, max: number): readonly NodeRow<BoardNode>[] {
  const urgent = rows?.filter((row) => row.kind === "node" && isNotable(row.node.status));
  if (urgent !== undefined && urgent.length <= max) return urgent;
  return board.tally.notable(max).shown.map((node) => ({ kind: "node", node, depth: 0 }));
}

function countsText(board: Board): string {
  return [...board.tally.counts].map(([status, amount]) => `${amount} ${status}`).join(", ");
}

function nodeCells(node: BoardNode, board: Board, now: number): (string | Cell)[] {
  const { status, attempt, startedAt, endedAt } = node;
  const time = startedAt === undefined || status === "queued" ? "" : durationText((endedAt ?? now) - startedAt);
  return [attempt > 1 ? `attempt ${attempt}` : "", time, noteOf(node, node.parts?.tally, awaitedOf(node, board), now)];
}

function awaitedOf(node: BoardNode, board: Board): string[] {
  return node.status === "waiting" || (node.status === "blocked" && !node.isOpened) ? board.awaited(node) : [];
}
