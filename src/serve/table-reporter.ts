/**
 * A run as a table that lives at the lower end of the terminal: a line per node with its status, attempt, time, and what
 * it waits for. With more nodes than lines: counts by status, and the nodes that run or failed.
 */
import { styleText } from "node:util";
import type { NodeView, Run } from "../index.ts";
import type { Board, BoardNode } from "./board.ts";
import { type Opening, type Reporter, openingLine } from "./reporter.ts";
import { Screen } from "./screen.ts";
import { type Cell, alignColumns, count, durationText, oneLine, statusCell, timeOfDay } from "./text.ts";

/** Ten frames a second at most. */
const FRAME_MS = 100;
/** Instants of next attempts are read from the store: this often at most, and only for runs of this size at most. */
const RETRY_TIMES_EVERY_MS = 1_000;
const RETRY_TIMES_NODES_MAX = 1_000;

export class TableReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream;
  readonly #screen: Screen;
  #board: Board | undefined;
  #run: Run<unknown> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryTimesAt = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#screen = new Screen(stream);
  }

  begins(opening: Opening): void {
    if (opening.standing.kind !== "workflow") throw new TypeError("this table is for nodes");
    this.#board = opening.standing.board;
    this.#run = opening.run;
    this.#screen.above(openingLine(opening));
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  /** The next frame shows it. */
  happened(): void {}

  waits(): void {}

  says(line: string): void {
    this.#screen.above(line);
  }

  ends(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
    this.#screen.leave();
  }

  #draw(): void {
    const now = new Date().getTime();
    this.#screen.draw(tableLines(this.#board!, { now, rows: this.#screen.rows, stream: this.#stream }));
    if (now >= this.#retryTimesAt + RETRY_TIMES_EVERY_MS) void this.#readRetryTimes(now);
  }

  /** History does not say when a next attempt is due; the rows do. What cannot be read is left out of the table. */
  async #readRetryTimes(now: number): Promise<void> {
    const lacking = [...this.#board!.active].some(({ status, retryAt }) => status === "backingOff" && retryAt === undefined);
    if (!lacking || this.#board!.nodes.length > RETRY_TIMES_NODES_MAX) return;
    this.#retryTimesAt = now;
    const views = await this.#run!.nodes().catch((): NodeView[] => []);
    for (const { id, retryAt } of views) {
      const node = this.#board!.node(id);
      if (node?.status === "backingOff") node.retryAt = retryAt;
    }
  }
}

interface TableSpace {
  readonly now: number;
  readonly rows: number;
  readonly stream: NodeJS.WriteStream;
}

/** The lines of the table, no more than there are rows. */
export function tableLines(board: Board, { now, rows, stream }: TableSpace): string[] {
  const paused = board.isPaused ? "; paused" : "";
  const head = styleText("dim", `${board.done} of ${count(board.nodes.length, "node")} done, ${durationText(now - (board.startedAt ?? now))}${paused}`, {
    stream,
  });
  const fits = board.nodes.length < rows;
  const shown = fits ? board.nodes : [...take(board.failed, rows - 2), ...take(board.active, rows - 2)].slice(0, rows - 2);
  const table = alignColumns(
    shown.map((node) => nodeCells(node, board, now)),
    stream,
  );
  return fits ? [head, ...table] : [head, countsText(board), ...table];
}

function* take<T>(items: Iterable<T>, amount: number): Iterable<T> {
  for (const item of items)
    if (amount-- > 0) yield item;
    else return;
}

function countsText(board: Board): string {
  return [...board.counts].flatMap(([status, amount]) => (amount > 0 ? `${amount} ${status}` : [])).join(", ");
}

function nodeCells(node: BoardNode, board: Board, now: number): (string | Cell)[] {
  const { id, status, attempt, startedAt, endedAt } = node;
  const time = startedAt === undefined || status === "queued" ? "" : durationText((endedAt ?? now) - startedAt);
  return ["", id, statusCell(status), attempt > 1 ? `attempt ${attempt}` : "", time, noteOf(node, board, now)];
}

function noteOf(node: BoardNode, board: Board, now: number): string {
  const reason = node.failure === undefined ? "" : oneLine(`${node.failure.code} ${node.failure.message}`, 120);
  if (node.status === "waiting") return `waits for ${listed(board.awaited(node))}`;
  if (node.status === "blocked") return `needs ${listed(board.awaited(node))}`;
  if (node.status !== "backingOff") return node.status === "running" ? "" : reason;
  const due = node.retryAt === undefined ? "" : `next attempt at ${timeOfDay(node.retryAt)} (in ${durationText(Math.max(0, node.retryAt - now))}) after `;
  return due + reason;
}

function listed(ids: readonly string[]): string {
  return ids.slice(0, 3).join(", ") + (ids.length > 3 ? ` and ${ids.length - 3} more` : "");
}
