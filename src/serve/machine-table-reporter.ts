/**
 * A machine's run on a terminal: what happens goes by as lines, and below them stands what is so now: the state, the
 * actors beneath the machine, and what it waits for.
 */
import { styleText } from "node:util";
import type { HistoryEntry, WaitingFor } from "../index.ts";
import { eventLine } from "./line-reporter.ts";
import type { MachineBoard } from "./machine-board.ts";
import { eventTypeText, stateText, waitsText } from "./machine-text.ts";
import { type Opening, type Reporter, openingLine } from "./reporter.ts";
import { Screen } from "./screen.ts";
import { count, durationText, oneLine } from "./text.ts";

const FRAME_MS = 250;

export class MachineTableReporter implements Reporter {
  readonly #stream: NodeJS.WriteStream;
  readonly #screen: Screen;
  #board: MachineBoard | undefined;
  #waitingFor: WaitingFor | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#screen = new Screen(stream);
  }

  begins(opening: Opening): void {
    if (opening.standing.kind !== "machine") throw new TypeError("this table is for machines");
    this.#board = opening.standing.board;
    this.#screen.above(openingLine(opening));
    this.#draw();
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
  }

  happened({ at, events }: HistoryEntry): void {
    this.#waitingFor = undefined;
    for (const event of events) this.#screen.above(eventLine(at, event, this.#stream));
  }

  waits(waitingFor: WaitingFor): void {
    this.#waitingFor = waitingFor;
    this.#draw();
  }

  says(line: string): void {
    this.#screen.above(line);
  }

  ends(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#waitingFor = undefined;
    this.#draw();
    this.#screen.leave();
  }

  #draw(): void {
    const now = new Date().getTime();
    this.#screen.draw(machineLines(this.#board!, this.#waitingFor, { now, rows: this.#screen.rows, stream: this.#stream }));
  }
}

interface Space {
  readonly now: number;
  readonly rows: number;
  readonly stream: NodeJS.WriteStream;
}

/** The state, the actors as a tree, and what is waited for; no more lines than there are rows. */
export function machineLines(board: MachineBoard, waitingFor: WaitingFor | undefined, { now, rows, stream }: Space): string[] {
  const head = `${styleText("dim", "state", { stream })} ${stateText(board.root.state)}${board.isPaused ? styleText("dim", " (paused)", { stream }) : ""}`;
  const waits = waitingFor === undefined ? [] : [styleText("dim", waitsText(waitingFor) + leftText(waitingFor, now), { stream })];
  const actors = [...board.actors.values()].filter((actor) => actor !== board.root);
  const room = rows - 1 - waits.length;
  const shown = actors.length > room ? actors.slice(0, Math.max(0, room - 1)) : actors;
  const lines = shown.map(({ key, src, state, event }) => {
    const facts = [src === "" ? "" : `(${src})`, stateText(state), event === undefined ? "" : styleText("dim", eventTypeText(event), { stream })];
    return `${"  ".repeat(key.split("/").length)}${oneLine(key.slice(key.lastIndexOf("/") + 1))} ${facts.filter((text) => text !== "").join(" ")}`;
  });
  if (shown.length < actors.length) lines.push(`  … and ${count(actors.length - shown.length, "more actor")}`);
  return [head, ...lines, ...waits];
}

function leftText({ timers: [timer] }: WaitingFor, now: number): string {
  return timer === undefined ? "" : ` (in ${durationText(Math.max(0, timer.dueAt - now))})`;
}
