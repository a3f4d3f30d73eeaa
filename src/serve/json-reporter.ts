/**
 * A run as JSON lines on standard output: first the run, then a line per event. The result comes from whoever follows it.
 */
import type { HistoryEntry, WaitingFor } from "../index.ts";
import { toJson } from "./json.ts";
import type { Opening, Reporter } from "./reporter.ts";

export class JsonReporter implements Reporter {
  #runId = "";

  begins({ run, workflow, standing, isContinued, command }: Opening): void {
    this.#runId = run.id;
    const facts =
      standing.kind === "machine" ? { kind: standing.kind, state: standing.board.root.state } : { nodes: Object.fromEntries(standing.board.tally.counts) };
    this.#line({ type: "run", runId: run.id, workflow, isContinued, ...facts, ...(command !== undefined && { command }) });
  }

  happened({ commitNo, at, events }: HistoryEntry): void {
    for (const { type, ...event } of events) this.#line({ type, runId: this.#runId, commitNo, at, ...event });
  }

  waits(waitingFor: WaitingFor): void {
    this.#line({ type: "waiting", runId: this.#runId, ...waitingFor });
  }

  says(line: string): void {
    process.stderr.write(`${line.trimEnd()}\n`);
  }

  ends(): void {}

  #line(value: object): void {
    process.stdout.write(`${toJson(value)}\n`);
  }
}
