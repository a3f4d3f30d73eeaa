/**
 * `pawl retry`: runs again, in the same run, what failed or was cut off in it.
 */
import { type ActOptions, act } from "./act.ts";
import { readValues } from "./input.ts";
import { listText } from "./text.ts";
import { takerText, workersOf } from "./workers.ts";

export interface RetryVerbOptions extends ActOptions {
  readonly node?: readonly string[];
  readonly input?: readonly string[];
}

export async function retry(id: string, options: RetryVerbOptions): Promise<number> {
  const { node: nodes } = options;
  return act(id, options, async (run, pawl) => {
    const input = await readValues(options.input, "--input", `write --input web='{"q": "ratchets"}'`);
    const { runsAgain, commitNo } = await run.retry({ ...(nodes !== undefined && { nodes }), ...(input !== undefined && { input }) });
    const workers = await workersOf(pawl, run);
    const what = runsAgain.length === 0 ? "" : `: ${listText(runsAgain)}`;
    return {
      line: `run ${run.id} is tried again${what}; commit ${commitNo}; ${takerText(workers)}`,
      facts: { runsAgain, commitNo, workers: workers.map(({ pid }) => pid) },
    };
  });
}
