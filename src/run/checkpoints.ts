/**
 * Checkpoints: the commits of a run, and from which of them it can be forked. Of a workflow's run that is every one, since
 * rows of nodes are final; of a machine's run those whose rows are kept.
 */
import { PawlError } from "../errors.ts";
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import type { HistoryEntry } from "./history.ts";
import { isMachineRun } from "./machine-view.ts";
import { readHistory, requireRun } from "./view.ts";
import { ROOT_KEY } from "./xstate/system.ts";

/** A commit of a run, with what happened in it. */
export interface Checkpoint extends HistoryEntry {
  /** `fork(run, { from: commitNo })` can be asked for. */
  readonly canFork: boolean;
}

/** The commits of a run, oldest first. */
export async function* listCheckpoints(store: Store, runId: string): AsyncGenerator<Checkpoint> {
  const record = await requireRun(store, runId);
  const { first, end } = await forkable(store, record);
  for await (const entry of readHistory(store, runId)) yield { ...entry, canFork: entry.commitNo >= first && entry.commitNo < end };
}

/** From the first of these commits, and before the other, a run can be forked. */
async function forkable(store: Store, record: RunRecord): Promise<{ readonly first: number; readonly end: number }> {
  if (record.status === "quarantined") return { first: Infinity, end: 0 };
  if (!isMachineRun(record)) return { first: 1, end: Infinity };
  const [root] = await store.readActors(record.id, [ROOT_KEY]);
  const first = (await store.firstPast(record.id)) ?? record.commitNo;
  return { first, end: root !== undefined && hasEnded(root) ? root.commitNo : Infinity };
}

/** The row of a machine that has ended: nothing more happens in it. */
export function hasEnded({ status }: StoredActor): boolean {
  return status !== "running" && status !== "new";
}

/** Throws unless it is the number of a commit of this run. */
export function checkCommitNo({ id, commitNo: newest }: RunRecord, commitNo: number): void {
  if (Number.isInteger(commitNo) && commitNo >= 1 && commitNo <= newest) return;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `run "${id}" has no commit ${commitNo}; its commits are 1 to ${newest}`,
    next: "see `pawl show RUN --checkpoints`",
  });
}

/** The rows of a machine's run as of a commit. Throws PAWL_CHECKPOINT_GONE when they are not kept. */
export async function rowsAt(store: Store, record: RunRecord, commitNo: number): Promise<StoredActor[]> {
  const rows = await store.readPast(record.id, commitNo);
  if (rows !== undefined) return rows;
  const first = (await store.firstPast(record.id)) ?? record.commitNo;
  const { commitNo: newest } = await requireRun(store, record.id);
  throw new PawlError("PAWL_CHECKPOINT_GONE", {
    message: `commit ${commitNo} of run "${record.id}" is not kept any more; there ${first < newest ? `are ${first} to ${newest}` : `is only ${newest}`}`,
    data: { first: Math.min(first, newest), last: newest },
  });
}
