/**
 * Which items of maps have lines of their own: all of a short map; of a long one those that failed or back off, at first. How
 * far a long map is, is told every few seconds.
 */
import type { HistoryEvent } from "../index.ts";
import type { Board } from "./board.ts";
import type { BoardNode } from "./board-node.ts";
import { groupText } from "./node-text.ts";

/** A map with more items is long. */
const SHORT_MAX = 20;
/** So many failures of items of one map have a line. */
const FAILURES_TOLD_MAX = 20;
const NEWS_EVERY_MS = 5_000;

interface Told {
  at: number | undefined;
  failures: number;
  /** Something happened to its items since then. */
  hasNews: boolean;
}

export class MapLines {
  readonly #board: Board;
  readonly #told = new Map<BoardNode, Told>();

  constructor(board: Board) {
    this.#board = board;
  }

  /** Is the event, which is on the board, one without a line of its own? */
  takes({ type, node }: HistoryEvent): boolean {
    const map = node === undefined ? undefined : this.#board.node(node)?.of;
    if (map?.kind !== "map" || type === "node.overridden" || map.parts === undefined || map.parts.tally.size <= SHORT_MAX) return false;
    const told = this.#told.get(map) ?? { at: undefined, failures: 0, hasNews: false };
    this.#told.set(map, told);
    told.hasNews = true;
    const isFailure = type === "node.failed" || type === "node.backingOff" || type === "node.skipped";
    return !isFailure || ++told.failures > FAILURES_TOLD_MAX;
  }

  /** How far the long maps are of which it is time to tell; one that has ended is told of by its end. */
  *news(at: number): Generator<string> {
    for (const [map, told] of this.#told) {
      if (!told.hasNews || map.status === "completed") continue;
      told.at ??= at;
      if (at - told.at < NEWS_EVERY_MS) continue;
      [told.at, told.hasNews] = [at, false];
      yield `${map.id}: ${groupText(map, map.parts?.tally)}`;
    }
  }
}
