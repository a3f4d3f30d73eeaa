/**
 * `pawl timeouts`: how long agents take, and the timeouts that would suit them.
 */
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { openToLook } from "./stored.ts";
import { alignColumns, durationText } from "./text.ts";

export interface TimeoutsVerbOptions {
  readonly workflow?: string;
  readonly limit?: number;
  readonly store?: string;
  readonly json?: true;
}

export async function timeouts({ workflow, limit, store, json }: TimeoutsVerbOptions): Promise<number> {
  await using pawl = await openToLook(store);
  const found = await pawl.suggestTimeouts({ ...(workflow !== undefined && { workflow }), ...(limit !== undefined && { limit }) });
  if (json) process.stdout.write(`${toJson(found)}\n`);
  else if (found.agents.length === 0) process.stderr.write("no attempt was measured\n");
  else {
    const lengths = (...ms: readonly number[]): string[] => ms.map((each) => durationText(each));
    const rows = found.agents.map(({ agent, count, p50Ms, p95Ms, p99Ms, longestMs, timedOut, suggested }) => [
      ...[agent, String(count), ...lengths(p50Ms, p95Ms, p99Ms, longestMs), String(timedOut), suggested],
    ]);
    process.stdout.write(
      `${alignColumns([["AGENT", "ATTEMPTS", "P50", "P95", "P99", "LONGEST", "TIMED OUT", "SUGGESTED"], ...rows], process.stdout).join("\n")}\n`,
    );
    if (found.hasMore) process.stderr.write("there are more runs: --limit looks at more\n");
  }
  return EXIT.completed;
}
