/**
 * `pawl resume`: lifts a pause, or goes on with a workflow's run that was cancelled or reached its timeout.
 */
import { type AskOptions, act, commitOf } from "./act.ts";
import { takerText, workersOf, workersText } from "./workers.ts";

export async function resume(id: string, options: AskOptions): Promise<number> {
  const { timeout } = options;
  return act(id, options, async (run, pawl) => {
    const before = await run.status();
    await run.resume(timeout === undefined ? {} : { timeout });
    const commitNo = await commitOf(run, before.commitNo, ["run.resumed", "run.continued"]);
    const { status } = await run.status();
    const facts = { status, commitNo: commitNo ?? before.commitNo };
    if (commitNo === undefined) return { line: `run ${run.id} was not paused: it is ${status}`, facts };
    const workers = await workersOf(pawl, run);
    if (before.status !== "paused") return { line: `run ${run.id} goes on where it was cut off; commit ${commitNo}; ${takerText(workers)}`, facts };
    const by = workersText(workers);
    return { line: `run ${run.id} goes on; commit ${commitNo}${by === undefined ? "" : ` (${by})`}`, facts };
  });
}
