/**
 * A run as plain lines, one per event: for files, pipes and terminals that cannot draw.
 */
import { styleText } from "node:util";
import type { HistoryEntry, HistoryEvent, HistoryType, WaitingFor } from "../index.ts";
import type { Board } from "./board.ts";
import { machineEventText, waitsText } from "./machine-text.ts";
import { type Opening, type Reporter, openingLine } from "./reporter.ts";
import { durationText, oneLine, timeOfDay } from "./text.ts";

export class LineReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream;
  #board: Board | undefined;
  #waits = "";

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  begins(opening: Opening): void {
    this.#board = opening.standing.kind === "workflow" ? opening.standing.board : undefined;
    this.says(openingLine(opening));
  }

  happened({ at, events }: HistoryEntry): void {
    for (const event of events) this.says(eventLine(at, event, this.#stream, this.#board));
  }

  waits(waitingFor: WaitingFor): void {
    const text = waitsText(waitingFor);
    if (text !== this.#waits) this.says(`          ${text}`);
    this.#waits = text;
  }

  says(line: string): void {
    this.#stream.write(`${line.trimEnd()}\n`);
  }

  ends(): void {}
}

/** An event with the time of day. */
export function eventLine(at: number, event: HistoryEvent, stream: NodeJS.WriteStream, board?: Board): string {
  return `${styleText("dim", timeOfDay(at), { stream })}  ${eventText(event, board)}`;
}

/** What happened, where the word for it is another one. */
const VERBS: Partial<Record<HistoryType, string>> = {
  "node.backingOff": "backs off",
  "run.timedOut": "timed out",
  "run.recovered": "was taken up by a worker",
  "run.forked": "began as a fork",
  "run.resumed": "goes on after its pause",
  "run.retried": "is tried again",
  "run.continued": "goes on where it was cut off",
};

/** `web completed in 1.2s`, `web failed, attempt 3: CODE message`. */
export function eventText(event: HistoryEvent, board?: Board): string {
  const { type, node, attempt, code, message } = event;
  const ofMachine = machineEventText(event);
  if (ofMachine !== undefined) return ofMachine;
  const verb = VERBS[type] ?? type.slice(type.indexOf(".") + 1);
  const reason = code === undefined ? "" : `: ${code} ${oneLine(message ?? "")}`;
  if (node === undefined) return `run ${verb}${reason}`;
  const nth = attempt !== undefined && (attempt > 1 || code !== undefined) ? `, attempt ${attempt}` : "";
  return `${node} ${verb}${nth}${type === "node.completed" ? tookText(node, board) : ""}${reason}`;
}

function tookText(id: string, board: Board | undefined): string {
  const { startedAt, endedAt } = board?.node(id) ?? {};
  return startedAt === undefined || endedAt === undefined ? "" : ` in ${durationText(endedAt - startedAt)}`;
}
