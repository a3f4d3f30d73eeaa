/**
 * Ended runs that are old enough go, with all their rows: out of sight at once, and from the disk a few rows at a time.
 * It may end at any instant: the next one, or a worker's retention, goes on where it was.
 */
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError } from "../errors.ts";
import type { PruneFilter, Store } from "../store/store.ts";
import { GentleBatches } from "./gentle-batches.ts";
import { type RunStatus, isOver } from "./view.ts";

/** How a run can end. */
export type EndedStatus = Exclude<RunStatus, "pending" | "running" | "paused" | "compensating">;

export interface PruneOptions {
  /** Only runs that ended longer ago than this. */
  readonly olderThan: Duration;
  /** Only runs that ended so. Default `completed` and `cancelled`: the others are for people to look at first. */
  readonly statuses?: readonly EndedStatus[];
  /** Only runs of this workflow or machine. */
  readonly workflow?: string;
  /** `true` only counts. */
  readonly dryRun?: boolean;
  /** Told after each batch. */
  readonly onProgress?: (progress: PruneProgress) => void;
}

/** How far it is: runs that are out of sight, of about how many, and rows that are deleted. */
export interface PruneProgress extends Pruned {
  readonly of: number;
}

export interface Pruned {
  /** Runs that are gone; with `dryRun` those that would be. */
  readonly discarded: number;
  /** Rows that were deleted, also of runs that an earlier prune had left. */
  readonly rows: number;
}

const STATUSES_DEFAULT: readonly EndedStatus[] = ["completed", "cancelled"];

/** What `pawl.prune` does, on any store. Throws PAWL_INVALID_VALUE. */
export async function prune(store: Store, clock: Clock, options: PruneOptions): Promise<Pruned> {
  const filters = filtersOf(options, clock.now());
  let of = 0;
  for (const filter of filters) of += await store.countEnded(filter);
  if (options.dryRun === true) return { discarded: of, rows: 0 };
  const pruned = { discarded: 0, rows: 0 };
  const batches = new GentleBatches(store, clock);
  const tell = (): void => options.onProgress?.({ ...pruned, of: Math.max(of, pruned.discarded) });
  for (const filter of filters) {
    for (let taken = -1; taken !== 0; pruned.discarded += taken, tell()) taken = await discardSome(store, batches, filter);
  }
  for (let taken = -1; taken !== 0; pruned.rows += taken, tell()) taken = await sweepSome(store, batches);
  return pruned;
}

/** The next batch of runs out of sight; answers how many. */
export function discardSome(store: Store, batches: GentleBatches, filter: PruneFilter): Promise<number> {
  return batches.take((limit) => store.discard(filter, limit));
}

/** The next batch of rows of runs that are out of sight; answers how many. */
export function sweepSome(store: Store, batches: GentleBatches): Promise<number> {
  return batches.take((limit) => store.sweep(limit));
}

function filtersOf({ olderThan, statuses = STATUSES_DEFAULT, workflow }: PruneOptions, now: number): PruneFilter[] {
  const endedBefore = now - durationMs(olderThan, "olderThan");
  return [...new Set(statuses)].map((status) => ({ status: checkedStatus(status, "statuses"), endedBefore, workflow }));
}

/** Throws PAWL_INVALID_VALUE when no run ends so. */
export function checkedStatus(status: string, field: string): EndedStatus {
  if (isOver(status)) return status as EndedStatus;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `${field} names ${JSON.stringify(status)}, but no run ends so`,
    next: "use completed, failed, timedOut, cancelled or quarantined",
  });
}
