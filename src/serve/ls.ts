/**
 * `pawl ls`: the runs of a store, newest first, a page at a time.
 */
import type { RunStatus } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { findRun, openToLook } from "./stored.ts";
import { alignColumns, commandLine, dateAndTime, durationText, statusCell } from "./text.ts";

export interface LsOptions {
  readonly status?: RunStatus;
  readonly workflow?: string;
  readonly limit: number;
  readonly after?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function ls(options: LsOptions): Promise<number> {
  const { status, workflow, limit } = options;
  await using pawl = await openToLook(options.store);
  const after = options.after === undefined ? undefined : (await findRun(pawl, options.after)).id;
  const runs = await pawl.list({ limit, ...(status && { status }), ...(workflow !== undefined && { workflow }), ...(after !== undefined && { after }) });
  if (options.json) process.stdout.write(`${toJson(runs)}\n`);
  else if (runs.length === 0) process.stderr.write("no runs\n");
  else {
    const rows = runs.map((run) => [run.id, statusCell(run.status), run.workflow, dateAndTime(run.createdAt), durationText(run.updatedAt - run.createdAt)]);
    process.stdout.write(`${alignColumns([["RUN", "STATUS", "WORKFLOW", "STARTED", "TOOK"], ...rows], process.stdout).join("\n")}\n`);
    if (runs.length === limit) process.stderr.write(`more: ${nextPage(options, runs.at(-1)!.id)}\n`);
  }
  return EXIT.completed;
}

function nextPage({ status, workflow, limit, store }: LsOptions, after: string): string {
  const words = ["pawl", "ls", "--after", after, "--limit", String(limit)];
  for (const [option, value] of Object.entries({ status, workflow, store })) if (value !== undefined) words.push(`--${option}`, value);
  return commandLine(words);
}
