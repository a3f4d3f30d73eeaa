/**
 * Checkpoints: the commits of a run, and from which of them it can be forked. Of a workflow's run that is every one, since
 * rows of nodes are final, until what it had done began to be undone; of a machine's run those whose rows are kept: each so many'th, and the newest.
 */
import { PawlError } from "../errors.ts";
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import type { HistoryEntry } from "./history.ts";
import { isMachineRun } from "./machine-view.ts";
import { readHistory, requireRun } from "./view.ts";
import { openRunRow } from "./row.ts";
import { ROOT_KEY } from "./xstate/system.ts";

/** A commit of a run, with what happened in it. */
export interface Checkpoint extends HistoryEntry {
  /** `fork(run, { from: commitNo })` can be asked for. */
  readonly canFork: boolean;
}

/** The commits of a run, oldest first. */
export async function* listCheckpoints(store: Store, runId: string): AsyncGenerator<Checkpoint> {
  const record = await requireRun(store, runId);
  const canFork = await forkable(store, record);
  for await (const entry of readHistory(store, runId)) yield { ...entry, canFork: canFork(entry.commitNo) };
}

/** Tells of a commit whether the run can be forked from it. */
async function forkable(store: Store, record: RunRecord): Promise<(commitNo: number) => boolean> {
  if (record.status === "quarantined") return () => false;
  if (!isMachineRun(record)) return (commitNo) => commitNo < unwoundFrom(record);
  const [root] = await store.readActors(record.id, [ROOT_KEY]);
  const end = root !== undefined && hasEnded(root) ? root.commitNo : Infinity;
  const kept = new Set(await store.pastCommits(record.id));
  return (commitNo) => kept.has(commitNo) && commitNo < end;
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

/** The commit with which what the run had done began to be undone: from there on its results tell of what is not there any more. */
export function unwoundFrom(record: RunRecord): number {
  const { unwinds, unwindsFrom = 1 } = openRunRow(record);
  return unwinds === undefined ? Infinity : unwindsFrom;
}

/** Throws when what the run had done was being undone, or had been, at this commit. */
export function refuseUndone(record: RunRecord, commitNo: number): void {
  const last = unwoundFrom(record) - 1;
  if (commitNo <= last) return;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `what run "${record.id}" had done is undone from commit ${last + 1} on: its results tell of what is not there any more`,
    next: last > 0 ? `fork it from commit ${last}, or an earlier one; or start it again under another id` : "start it again under another id",
    data: { last },
  });
}

/** The rows of a machine's run as of a commit. Throws PAWL_CHECKPOINT_GONE when they are not kept. */
export async function rowsAt(store: Store, record: RunRecord, commitNo: number): Promise<StoredActor[]> {
  const rows = await store.readPast(record.id, commitNo);
  if (rows !== undefined) return rows;
  const { commitNo: newest } = await requireRun(store, record.id);
  throw notKept(record.id, commitNo, await store.pastCommits(record.id), newest);
}

/** `kept` are the commits that are. */
function notKept(runId: string, commitNo: number, kept: readonly number[], newest: number): PawlError {
  const [first = newest] = kept;
  const last = kept.at(-1) ?? newest;
  const data = { first, last };
  const before = kept.findLast((number) => number < commitNo);
  const after = kept.find((number) => number > commitNo);
  if (before !== undefined && after !== undefined)
    return new PawlError("PAWL_CHECKPOINT_GONE", {
      message: `commit ${commitNo} of run "${runId}" is no checkpoint; the nearest are ${before} and ${after}`,
      next: "fork from one of these; a smaller `checkpointEvery` makes more of them",
      data,
    });
  const some = kept.length === last - first + 1 ? `are ${first} to ${last}` : `are ${kept.length}, from ${first} to ${last}`;
  return new PawlError("PAWL_CHECKPOINT_GONE", {
    message: `commit ${commitNo} of run "${runId}" is not kept any more; there ${first < last ? some : `is only ${last}`}`,
    data,
  });
}
