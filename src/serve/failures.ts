/**
 * `pawl failures`: what runs fail of, the most frequent first.
 */
import { EXIT } from "./exit-code.ts";
import { readInstant } from "./instant.ts";
import { toJson } from "./json.ts";
import { openToLook } from "./stored.ts";
import { alignColumns, oneLine, statusCell } from "./text.ts";

export interface FailuresVerbOptions {
  readonly since?: string;
  readonly workflow?: string;
  readonly limit?: number;
  readonly store?: string;
  readonly json?: true;
}

const MESSAGE_LENGTH_MAX = 80;

export async function failures({ since, workflow, limit, store, json }: FailuresVerbOptions): Promise<number> {
  const filter = {
    ...(since !== undefined && { since: readInstant(since, "--since", new Date().getTime()) }),
    ...(workflow !== undefined && { workflow }),
    ...(limit !== undefined && { limit }),
  };
  await using pawl = await openToLook(store);
  const found = await pawl.failures(filter);
  if (json) process.stdout.write(`${toJson(found)}\n`);
  else if (found.runs === 0) process.stderr.write("no run failed\n");
  else {
    const rows = found.patterns.map(({ count, status, workflow: name, code, kind, node, agent, newest }) => [
      String(count),
      statusCell(status),
      name,
      node === undefined ? "" : oneLine(agent === undefined || agent === node ? node : `${node} (${agent})`),
      oneLine(kind === undefined ? code : `${code} ${kind}`),
      newest.id,
      oneLine(newest.message, MESSAGE_LENGTH_MAX),
    ]);
    process.stdout.write(`${alignColumns([["RUNS", "STATUS", "WORKFLOW", "NODE", "CODE", "NEWEST", "MESSAGE"], ...rows], process.stdout).join("\n")}\n`);
    if (found.hasMore) process.stderr.write("there are more such runs: --limit looks at more\n");
  }
  return EXIT.completed;
}
