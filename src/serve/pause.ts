/**
 * `pawl pause`: nothing of the run is started until it is resumed; what is under way goes on to its end.
 */
import { type AskOptions, act, commitOf } from "./act.ts";
import { commandLine } from "./text.ts";
import { runWords } from "./stored.ts";
import { workersOf, workersText } from "./workers.ts";

export async function pause(id: string, options: AskOptions): Promise<number> {
  const { store, timeout } = options;
  return act(id, options, async (run, pawl) => {
    const before = await run.status();
    await run.pause(timeout === undefined ? {} : { timeout });
    const commitNo = await commitOf(run, before.commitNo, ["run.paused"]);
    const facts = { status: "paused", commitNo: commitNo ?? before.commitNo };
    if (commitNo === undefined) return { line: `run ${run.id} was paused before`, facts };
    const by = workersText(await workersOf(pawl, run));
    const next = commandLine(["pawl", "resume", ...runWords(run.id, store)]);
    return { line: `run ${run.id} is paused until \`${next}\`; commit ${commitNo}${by === undefined ? "" : ` (${by})`}`, facts };
  });
}
