/**
 * One commit of one run in SQL, inside a transaction that is the caller's. What a commit does not have costs no
 * statement.
 */
import type { SqliteConnection } from "./sqlite-connection.ts";
import { type Commit, type Outcome, WAITS_FOR_EVENT } from "./store.ts";

const CREATE = `INSERT INTO run (id, workflow, definition, status, body, checksum, wake_at, created_at, updated_at, commit_no, epoch, finished)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (id) DO NOTHING`;
/** The fence: matches no row unless this epoch owns the run and nothing was committed in between. */
const FENCE = "id = ? AND commit_no = ? AND epoch = ? AND finished = 0";
const UPDATE = `UPDATE run SET workflow = ?, status = ?, body = ?, checksum = ?, updated_at = ?, commit_no = ?,
  definition = ?, wake_at = ?, finished = ? WHERE ${FENCE}`;
/** SQLite writes each index again that has a column which is set, even to what it was: two pages more per commit. */
const UPDATE_UNINDEXED = `UPDATE run SET workflow = ?, status = ?, body = ?, checksum = ?, updated_at = ?, commit_no = ?
  WHERE ${FENCE} AND definition = ? AND wake_at IS ?`;
const WRITE_ACTOR = `INSERT INTO actor (run_id, key, commit_no, status, body, output, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, key) DO UPDATE SET commit_no = excluded.commit_no, status = excluded.status, body = excluded.body,
  output = excluded.output, checksum = excluded.checksum`;
const DELETE_ACTOR = "DELETE FROM actor WHERE run_id = ? AND key = ?";
const WRITE_HISTORY = "INSERT INTO history (run_id, commit_no, at, body) VALUES (?, ?, ?, ?)";
const POST = "INSERT INTO inbox (run_id, body) SELECT id, ?2 FROM run WHERE id = ?1 AND finished = 0";
const CONSUME = "DELETE FROM inbox WHERE number = ? AND run_id = ?";
const EMPTY_INBOX = "DELETE FROM inbox WHERE run_id = ?";
const WRITE_EVENT = "INSERT INTO event (run_id, id, commit_no) VALUES (?, ?, ?) ON CONFLICT (run_id, id) DO NOTHING";

export function applyCommit(connection: SqliteConnection, commit: Commit): Outcome {
  const { runId } = commit;
  const commitNo = commit.from + 1;
  if (!(commit.from === 0 ? create(connection, commit) : update(connection, commit, commitNo))) return "fenced";
  for (const { key, status, body, output, checksum } of commit.actors) connection.run(WRITE_ACTOR, runId, key, commitNo, status, body, output, checksum);
  for (const key of commit.gone ?? []) connection.run(DELETE_ACTOR, runId, key);
  for (const number of commit.consumed ?? []) connection.run(CONSUME, number, runId);
  for (const post of commit.posts ?? []) connection.run(POST, post.runId, post.body);
  for (const id of commit.eventIds ?? []) connection.run(WRITE_EVENT, runId, id, commitNo);
  if (commit.run.finished && commit.from > 0) connection.run(EMPTY_INBOX, runId);
  connection.run(WRITE_HISTORY, runId, commitNo, commit.at, commit.history);
  return "committed";
}

function create(connection: SqliteConnection, { runId, epoch, at, run }: Commit): boolean {
  const { workflow, definition, status, body, checksum, wakeAt, finished } = run;
  return connection.changed(CREATE, runId, workflow, definition, status, body, checksum, wakeAt, at, at, epoch, Number(finished));
}

function update(connection: SqliteConnection, { runId, from, epoch, at, run }: Commit, commitNo: number): boolean {
  const { workflow, definition, status, body, checksum, wakeAt, finished } = run;
  const unindexed = [workflow, status, body, checksum, at, commitNo];
  const fence = [runId, from, epoch];
  if (isLikelyAsBefore(run) && connection.changed(UPDATE_UNINDEXED, ...unindexed, ...fence, definition, wakeAt)) return true;
  return connection.changed(UPDATE, ...unindexed, definition, wakeAt, Number(finished), ...fence);
}

/** Most runs that have work to do had some before, and most that wait for an event did so before. An instant is mostly new. */
function isLikelyAsBefore({ finished, wakeAt }: Commit["run"]): boolean {
  return !finished && (wakeAt === null || wakeAt === WAITS_FOR_EVENT);
}
