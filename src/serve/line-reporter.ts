/**
 * A run as plain lines, one per event: for files, pipes and terminals that cannot draw. The items of a long map have none of
 * their own.
 */
import { styleText } from "node:util";
import type { HistoryEntry, HistoryEvent, WaitingFor } from "../index.ts";
import type { Board } from "./board.ts";
import { type KnownNode, eventText } from "./event-text.ts";
import { waitsText } from "./machine-text.ts";
import { MapLines } from "./map-lines.ts";
import { awaitedText, sendCommand } from "./node-text.ts";
import { type Opening, type Reporter, openingLine } from "./reporter.ts";
import { timeOfDay } from "./text.ts";

export class LineReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream;
  #board: Board | undefined;
  #maps: MapLines | undefined;
  #words: readonly string[] = [];
  #waits = "";
  /** Events that were told to be awaited, with since when. */
  readonly #told = new Set<string>();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  begins(opening: Opening): void {
    this.#board = opening.standing.kind === "workflow" ? opening.standing.board : undefined;
    this.#maps = this.#board && new MapLines(this.#board);
    this.#words = opening.words;
    this.says(openingLine(opening));
  }

  happened({ at, events }: HistoryEntry): void {
    for (const event of events) if (this.#maps?.takes(event) !== true) this.says(eventLine(at, event, this.#stream, (id) => this.#board?.node(id)));
    for (const text of this.#maps?.news(at) ?? []) this.says(timed(at, text, this.#stream));
  }

  /** Of a workflow each event once. */
  waits(waitingFor: WaitingFor): void {
    const news = waitingFor.awaited?.filter(({ type, since }) => !this.#told.has(`${type} ${since}`));
    for (const { type, since } of news ?? []) this.#told.add(`${type} ${since}`);
    const lines = news?.flatMap((event) => [`waits for ${awaitedText(event)}`, `  ${sendCommand(event, this.#words)}`]) ?? [waitsText(waitingFor)];
    const text = lines.map((line) => `          ${line}`).join("\n");
    if (text !== "" && text !== this.#waits) this.says(text);
    this.#waits = text;
  }

  says(line: string): void {
    this.#stream.write(`${line.trimEnd()}\n`);
  }

  ends(): void {}
}

/** An event with the time of day. */
export function eventLine(at: number, event: HistoryEvent, stream: NodeJS.WriteStream, nodeOf?: (id: string) => KnownNode | undefined): string {
  return timed(at, eventText(event, nodeOf), stream);
}

function timed(at: number, text: string, stream: NodeJS.WriteStream): string {
  return `${styleText("dim", timeOfDay(at), { stream })}  ${text}`;
}
