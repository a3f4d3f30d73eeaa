/**
 * How a run ended, told: its output on standard output, or its failure on standard error.
 */
import type { Run, RunView } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { showProblem } from "./problem.ts";
import type { Reporter } from "./reporter.ts";
import { runWords } from "./stored.ts";
import { commandLine } from "./text.ts";

/** The options of the command that matter to it. */
export interface OutcomeOptions {
  readonly json?: true;
  readonly store?: string;
}

/** Tells what became of the run, and answers the exit code. */
export async function tellOutcome(run: Run<unknown>, view: RunView, reporter: Reporter, options: OutcomeOptions): Promise<number> {
  const isJson = options.json === true;
  reporter.ends();
  const { status, degraded, output, failure, reason } = view;
  if (isJson) process.stdout.write(`${toJson({ type: "result", runId: run.id, status, degraded, output, failure, ...(reason !== null && { reason }) })}\n`);
  if (status !== "completed")
    return showProblem(await run.result().catch((error: unknown) => error), { isJson, names: { RUN: commandLine(runWords(run.id, options.store)) } });
  if (degraded && !isJson) reporter.says("completed, though nodes were skipped, or alternatives took over");
  if (!isJson) process.stdout.write(`${toJson(output, 2)}\n`);
  return EXIT.completed;
}
