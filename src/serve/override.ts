/**
 * `pawl override`: sets how a node ends: with a result, passed over, or failed; wherever its run is.
 */
import type { OverrideOutcome } from "../index.ts";
import { type AskOptions, act } from "./act.ts";
import { readInput } from "./input.ts";
import { showProblem, problemOf } from "./problem.ts";
import { oneLine } from "./text.ts";
import { workersOf, workersText } from "./workers.ts";

export interface OverrideVerbOptions extends AskOptions {
  readonly result?: string;
  readonly skip?: true;
  readonly fail?: true;
  readonly by?: string;
  readonly reason?: string;
}

const WHAT = { completed: "ends with this result", skipped: "is passed over", failed: "is given up" } as const;

export async function override(id: string, node: string, options: OverrideVerbOptions): Promise<number> {
  const { by, reason, timeout, json } = options;
  let outcome: OverrideOutcome;
  try {
    outcome = await readOutcome(options);
  } catch (error) {
    return showProblem(error, { isJson: json === true });
  }
  return act(id, options, async (run, pawl) => {
    const who = { ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) };
    const { commitNo } = await run.override(node, outcome, { ...who, ...(timeout !== undefined && { timeout }) });
    const workers = await workersOf(pawl, run).catch(() => []);
    const as = outcome === "skip" ? "skipped" : outcome === "fail" ? "failed" : "completed";
    const whose = workersText(workers);
    const line = `node ${oneLine(node)} of run ${run.id} ${WHAT[as]}; commit ${commitNo}${whose === undefined ? "" : ` (${whose})`}`;
    return { line, facts: { node, outcome: as, ...who, commitNo } };
  });
}

/** One of the three, and no more. */
async function readOutcome({ result, skip, fail }: OverrideVerbOptions): Promise<OverrideOutcome> {
  const given = [result !== undefined, skip === true, fail === true].filter(Boolean).length;
  if (given !== 1) throw problemOf("PAWL_USAGE", "it is not said how the node ends, or in several ways", "give one of --result JSON, --skip and --fail");
  if (skip) return "skip";
  return fail ? "fail" : { result: await readInput(result!, "--result") };
}
