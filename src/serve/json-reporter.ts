/**
 * A run as JSON lines on standard output: first the run, then a line per event. The result comes from whoever follows it.
 */
import type { HistoryEntry } from "../index.ts";
import { toJson } from "./json.ts";
import type { Opening, Reporter } from "./reporter.ts";

export class JsonReporter implements Reporter {
  #runId = "";

  begins({ run, workflow, board, isContinued, command }: Opening): void {
    this.#runId = run.id;
    const nodes = Object.fromEntries([...board.counts].filter(([, amount]) => amount > 0));
    this.#line({ type: "run", runId: run.id, workflow, isContinued, nodes, ...(command !== undefined && { command }) });
  }

  happened({ commitNo, at, events }: HistoryEntry): void {
    for (const { type, ...event } of events) this.#line({ type, runId: this.#runId, commitNo, at, ...event });
  }

  says(line: string): void {
    process.stderr.write(`${line.trimEnd()}\n`);
  }

  ends(): void {}

  #line(value: object): void {
    process.stdout.write(`${toJson(value)}\n`);
  }
}
