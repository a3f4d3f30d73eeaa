/**
 * `pawl health`: how the store and its disk are, as this process finds them, and which workers are there.
 */
import type { HealthStatus } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { openToLook } from "./stored.ts";
import { type Cell, alignColumns, oneLine } from "./text.ts";
import { workersText } from "./workers.ts";

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
  if (json) process.stdout.write(`${toJson({ ...report, workers: workers.map(({ epoch, pid, openedAt }) => ({ epoch, pid, openedAt })) })}\n`);
  else {
    const rows = Object.entries(report.checks).map(([check, { status, details }]): (string | Cell)[] => [
      check,
      { text: status, style: STYLES[status] },
      oneLine(
        Object.entries(details)
          .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
          .join(", "),
        DETAILS_MAX,
      ),
    ]);
    process.stdout.write(`${alignColumns([["CHECK", "STATUS", "DETAILS"], ...rows], process.stdout).join("\n")}\n`);
    for (const recommendation of report.recommendations) process.stdout.write(`next: ${recommendation}\n`);
    process.stderr.write(`${workersText(workers) ?? "no worker"}: how a worker itself is, its own \`pawl.health()\` tells\n`);
  }
  return report.status === "CRITICAL" || report.status === "FAILED" ? EXIT.failed : EXIT.completed;
}
