/**
 * Ends a run at once that nobody works on: also when no process has its definition any more. Whoever claims it in the
 * same moment wins; then it is asked. Runs of its own are told by their inboxes that they are no longer wanted.
 */
import { isPawlError } from "../errors.ts";
import type { Commit, RunRecord, Store } from "../store/store.ts";
import type { Asks } from "./asks.ts";
import { cancelBody } from "./hosted-run.ts";
import { childrenOf } from "./orphans.ts";
import { liveWorkers } from "./peers.ts";
import type { CancelManner } from "./requests.ts";
import { openRunRow, runBodyText, runChecksum } from "./row.ts";
import { isOver, requireRun } from "./view.ts";

/** Says whether it ended the run. */
async function terminateUnowned(store: Store, runId: string, at: number): Promise<boolean> {
  const record = await requireRun(store, runId);
  if (isOver(record.status) || (await liveWorkers(store)).some(({ epoch }) => epoch === record.epoch)) return false;
  // nobody works on it, so none is added: the commit goes by the owner and number that were read before
  const children = await childrenOf(store, record);
  const [outcome] = await store.commit([cancelledCommit(record, at, { isTerminated: true, children })]);
  return outcome === "committed";
}

/** Asks whoever works on it to cancel it, and says whether that has taken it. `ended` is called when it was ended here. */
export async function askToCancel(
  store: Store,
  asks: Pick<Asks, "ask">,
  runId: string,
  manner: CancelManner,
  { timeoutMs, at, ended }: { readonly timeoutMs: number; readonly at: number; readonly ended: () => void },
): Promise<boolean> {
  try {
    if (manner.now && (await terminateUnowned(store, runId, at))) ended();
    else await asks.ask(runId, { kind: "cancel", ...manner }, timeoutMs);
    return true;
  } catch (error) {
    if (isPawlError(error, "PAWL_RUN_ENDED")) return false;
    throw error;
  }
}

/** The commit that ends a run which nobody works on, and tells these runs of its own. */
export function cancelledCommit(
  record: RunRecord,
  at: number,
  { isTerminated, children = [] }: { readonly isTerminated: boolean; readonly children?: readonly string[] },
): Commit {
  const { id: runId, workflow, definition, commitNo, epoch } = record;
  const status = "cancelled";
  const body = runBodyText({ ...openRunRow(record), state: status, ...(isTerminated && { terminated: true }) });
  const checksum = runChecksum(runId, definition, status, commitNo + 1, body);
  return {
    runId,
    from: commitNo,
    epoch,
    at,
    run: { workflow, definition, status, body, checksum, wakeAt: null, finished: true },
    actors: [],
    history: JSON.stringify([["run.cancelled"]]),
    ...(children.length > 0 && { posts: children.map((child) => ({ runId: child, body: cancelBody(isTerminated ? { now: true } : {}) })) }),
  };
}
