/**
 * `pawl cancel`: cancels a run, wherever it is; with `--now` at once, also when no worker is there.
 */
import { type AskOptions, act, commitOf } from "./act.ts";
import { problemOf } from "./problem.ts";
import { workersOf, workersText } from "./workers.ts";

export interface CancelVerbOptions extends AskOptions {
  readonly now?: true;
  /** `false`, by `--no-compensate`. */
  readonly compensate?: boolean;
}

export async function cancel(id: string, options: CancelVerbOptions): Promise<number> {
  const { now, compensate, timeout } = options;
  return act(id, options, async (run, pawl) => {
    const before = await run.status();
    const workers = workersText(await workersOf(pawl, run));
    await run.cancel({ ...(now && { now }), ...(compensate === false && { compensate }), ...(timeout !== undefined && { timeout }) });
    const { status, terminated } = await run.status();
    if (status !== "cancelled") throw problemOf("PAWL_RUN_ENDED", `run "${run.id}" is ${status}: there was nothing to cancel`, "see `pawl show RUN`");
    const commitNo = (await commitOf(run, before.commitNo, ["run.cancelled"])) ?? before.commitNo;
    const facts = { status, terminated, commitNo };
    if (before.status === "cancelled") return { line: `run ${run.id} was cancelled before; commit ${commitNo}`, facts };
    const by = workers === undefined ? "" : ` (${workers})`;
    return { line: `run ${run.id} is cancelled${terminated ? " at once" : ""}; commit ${commitNo}${by}`, facts };
  });
}
