/**
 * What is no longer needed: an ended run is first taken out of sight, which is quick, and its rows are deleted later, a
 * few at a time. Nothing is locked while there is nothing to do.
 */
import { systemClock } from "../clock.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { keepLastChange } from "./sqlite-notices.ts";
import type { Calls } from "./sqlite-rows.ts";
import type { PruneFilter } from "./store.ts";

/** The workflows of which some run ended so; one step into the index for each. */
const ENDED_WORKFLOWS = `WITH RECURSIVE ended (workflow) AS (SELECT min(workflow) FROM run WHERE finished = 1 AND status = ?1
    UNION ALL SELECT (SELECT min(workflow) FROM run WHERE finished = 1 AND status = ?1 AND workflow > ended.workflow) FROM ended WHERE workflow IS NOT NULL)
  SELECT workflow FROM ended WHERE workflow IS NOT NULL`;
const LONGEST_ENDED = `SELECT id, updated_at AS endedAt FROM run WHERE finished = 1 AND status = ? AND workflow = ? AND updated_at < ?
  ORDER BY updated_at, id LIMIT ?`;
const COUNT_ENDED = "SELECT count(*) AS runs FROM run WHERE finished = 1 AND status = ? AND workflow = ? AND updated_at < ?";
const DISCARD = "DELETE FROM run WHERE id = ? AND finished = 1 AND status = ? AND updated_at = ? RETURNING tags, created_at AS createdAt";
const DELETE_TAG = "DELETE FROM tag WHERE tag = ? AND at = ? AND run_id = ?";
const TRASH = "INSERT INTO trash (run_id) VALUES (?) ON CONFLICT DO NOTHING";
const IS_TRASHED = "SELECT run_id AS runId FROM trash ORDER BY run_id LIMIT 1";
const IS_LEFT = "SELECT 1 FROM trash WHERE run_id = ?";
const FORGET = "DELETE FROM trash WHERE run_id = ?";

/** Tables of rows that belong to one run, each with its key within that run. */
const TABLES = { actor: "key", history: "commit_no", event: "id", past: "until, key", inbox: "number" };
const DELETE_SOME = Object.entries(TABLES).map(
  ([table, key]) => `DELETE FROM ${table} WHERE run_id = ?1 AND (${key}) IN (SELECT ${key} FROM ${table} WHERE run_id = ?1 LIMIT ?2)`,
);

/** Rows can hold a MiB each, of which one takes 4 ms to delete: they are taken a few at a time, and not for long. */
const ROWS_AT_ONCE = 4;
const HOLD_MS = 5;

interface EndedRun {
  readonly id: string;
  readonly endedAt: number;
}

/** A run cannot be created yet: one of this id that was discarded has left rows. */
export class LeftRowsError extends Error {
  readonly runId: string;

  constructor(runId: string) {
    super("rows of a discarded run are in the way");
    this.runId = runId;
  }
}

/** Are there rows of a discarded run of this id? */
export function hasLeftRows(connection: SqliteConnection, runId: string): boolean {
  return connection.get(IS_LEFT, runId) !== undefined;
}

export interface SweepRun {
  /** Deletes some of the rows that a discarded run left; are all gone now? Throws PAWL_STORE_FULL. */
  readonly sweepRun: (runId: string) => boolean;
}

export function sqlitePrune(connection: SqliteConnection): Calls<"countEnded" | "discard" | "sweep"> & SweepRun {
  return {
    countEnded: (filter) => connection.read(() => countEnded(connection, filter)),
    discard: (filter, limit) => {
      const ended = connection.read(() => longestEnded(connection, filter, limit));
      if (ended.length === 0) return 0;
      return connection.write(() => discardRuns(connection, ended, filter.status));
    },
    sweep: (limit) => {
      if (connection.read(() => connection.get(IS_TRASHED)) === undefined) return 0;
      return connection.write(() => sweepRows(connection, limit, () => (connection.get(IS_TRASHED) as { runId: string } | undefined)?.runId));
    },
    sweepRun: (runId) => {
      const isLeft = (): boolean => hasLeftRows(connection, runId);
      return connection.write(() => {
        sweepRows(connection, Infinity, () => (isLeft() ? runId : undefined));
        return !isLeft();
      });
    },
  };
}

function workflowsOf(connection: SqliteConnection, { status, workflow }: PruneFilter): string[] {
  return workflow === undefined ? connection.all<{ workflow: string }>(ENDED_WORKFLOWS, status).map((row) => row.workflow) : [workflow];
}

function countEnded(connection: SqliteConnection, filter: PruneFilter): number {
  const count = (workflow: string): number => (connection.get(COUNT_ENDED, filter.status, workflow, filter.endedBefore) as { runs: number }).runs;
  return workflowsOf(connection, filter).reduce((sum, workflow) => sum + count(workflow), 0);
}

/** Asked workflow by workflow, so that the runs of no other are walked through. */
function longestEnded(connection: SqliteConnection, filter: PruneFilter, limit: number): EndedRun[] {
  const { status, endedBefore } = filter;
  const ended = workflowsOf(connection, filter).flatMap((name) => connection.all<EndedRun>(LONGEST_ENDED, status, name, endedBefore, limit));
  return ended.sort((a, b) => a.endedAt - b.endedAt || (a.id < b.id ? -1 : 1)).slice(0, limit);
}

function discardRuns(connection: SqliteConnection, ended: readonly EndedRun[], status: string): number {
  const endAt = systemClock.mono() + HOLD_MS;
  let discarded = 0;
  for (const run of ended) {
    if (discardRun(connection, run, status)) discarded++;
    if (systemClock.mono() >= endAt) break;
  }
  return discarded;
}

function discardRun(connection: SqliteConnection, { id, endedAt }: EndedRun, status: string): boolean {
  const run = connection.get(DISCARD, id, status, endedAt) as { tags: string; createdAt: number } | undefined;
  if (run === undefined) return false;
  for (const tag of JSON.parse(run.tags) as string[]) connection.run(DELETE_TAG, tag, run.createdAt, id);
  connection.run(TRASH, id);
  return true;
}

/** At least one row, or none is left; then for as long as the file may be held. */
function sweepRows(connection: SqliteConnection, limit: number, next: () => string | undefined): number {
  const endAt = systemClock.mono() + HOLD_MS;
  let taken = 0;
  keepLastChange(connection);
  const goesOn = (): boolean => taken < limit && (taken === 0 || systemClock.mono() < endAt);
  while (goesOn()) {
    const runId = next();
    if (runId === undefined) break;
    for (const statement of DELETE_SOME) {
      for (let isEmpty = false; !isEmpty && goesOn();) {
        const asked = Math.min(limit - taken, ROWS_AT_ONCE);
        const changes = Number(connection.run(statement, runId, asked).changes);
        isEmpty = changes < asked;
        taken += changes;
      }
    }
    if (goesOn()) taken += Number(connection.run(FORGET, runId).changes);
  }
  return taken;
}
