/**
 * `pawl health`: how the store and its disk are, as this process finds them, and how the workers found themselves.
 */
import type { HealthReport, HealthStatus, WorkerView } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { openToLook } from "./stored.ts";
import { type Cell, alignColumns, dateAndTime, oneLine } from "./text.ts";

export interface HealthVerbOptions {
  readonly store?: string;
  readonly json?: true;
}

const STYLES: Readonly<Record<HealthStatus, "green" | "yellow" | "red">> = {
  HEALTHY: "green",
  WARNING: "yellow",
  DEGRADED: "yellow",
  CRITICAL: "red",
  FAILED: "red",
};
const DETAILS_MAX = 200;

export async function health({ store, json }: HealthVerbOptions): Promise<number> {
  await using pawl = await openToLook(store);
  const [report, workers] = await Promise.all([pawl.health(), pawl.workers()]);
  if (json) {
    const shown = workers.map(({ epoch, pid, openedAt, health: found }) => ({ epoch, pid, openedAt, health: found ?? null }));
    process.stdout.write(`${toJson({ ...report, workers: shown })}\n`);
  } else {
    const texts = [reportText(report), ...workers.map(workerText)];
    process.stdout.write(`${texts.join("\n\n")}\n`);
    if (workers.length === 0) process.stderr.write("no worker is there\n");
  }
  const reports = [report, ...workers.flatMap(({ health: found }) => found ?? [])];
  return reports.some(({ status }) => status === "CRITICAL" || status === "FAILED") ? EXIT.failed : EXIT.completed;
}

function workerText({ pid, health: found }: WorkerView): string {
  if (found === undefined) return `worker ${pid} has not checked itself yet: it does so at intervals while it has runs, and when something goes wrong`;
  return `worker ${pid} found itself ${found.status} at ${dateAndTime(found.at)}\n${reportText(found)}`;
}

function reportText({ checks, recommendations }: HealthReport): string {
  const rows = Object.entries(checks).map(([check, { status, details }]): (string | Cell)[] => [
    check,
    { text: status, style: STYLES[status] },
    oneLine(
      Object.entries(details)
        .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
        .join(", "),
      DETAILS_MAX,
    ),
  ]);
  const table = alignColumns([["CHECK", "STATUS", "DETAILS"], ...rows], process.stdout);
  return [...table, ...recommendations.map((recommendation) => `next: ${recommendation}`)].join("\n");
}
