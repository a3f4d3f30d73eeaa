/**
 * `pawl counts`: what the rows of a store tell of its newest runs, and of the agents that they called.
 */
import type { AgentCounts, RunStatus } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { openToLook } from "./stored.ts";
import { alignColumns, count, statusCell } from "./text.ts";

export interface CountsVerbOptions {
  readonly limit?: number;
  readonly store?: string;
  readonly json?: true;
}

export async function counts({ limit, store, json }: CountsVerbOptions): Promise<number> {
  await using pawl = await openToLook(store);
  const counted = await pawl.counts(limit === undefined ? {} : { limit });
  if (json) {
    process.stdout.write(`${toJson(counted)}\n`);
    return EXIT.completed;
  }
  const { runs, nodesOf } = counted.lookedAt;
  const byStatus = Object.entries(counted.runs).flatMap(([workflow, statuses]) =>
    Object.entries(statuses).map(([status, n]) => [workflow, statusCell(status as RunStatus), String(n)]),
  );
  const byAgent = Object.entries(counted.agents).map(([agent, of]) => [agent, ...agentColumns(of)]);
  if (runs > 0) process.stdout.write(`${alignColumns([["WORKFLOW", "STATUS", "RUNS"], ...byStatus], process.stdout).join("\n")}\n`);
  if (byAgent.length > 0)
    process.stdout.write(`\n${alignColumns([["AGENT", "COMPLETED", "FAILED", "OTHERS", "ATTEMPTS", "MEAN"], ...byAgent], process.stdout).join("\n")}\n`);
  process.stderr.write(
    `rows of ${counted.hasMore ? "the newest " : ""}${count(runs, "run")}, nodes of ${nodesOf}: what a worker counts is in its own \`pawl.metrics()\`\n`,
  );
  return EXIT.completed;
}

function agentColumns({ completed, failed, others, attempts, seconds }: AgentCounts): string[] {
  return [...[completed, failed, others, attempts].map(String), completed === 0 ? "" : `${(seconds / completed).toFixed(3)}s`];
}
