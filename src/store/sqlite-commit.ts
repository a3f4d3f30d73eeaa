/**
 * One commit of one run in SQL, inside a transaction that is the caller's. What a commit does not have costs no
 * statement.
 */
import type { SQLInputValue } from "node:sqlite";
import { keptFrom } from "./past-span.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { keepPast } from "./sqlite-past.ts";
import { LAST_CHANGE, writeNotice } from "./sqlite-notices.ts";
import { LeftRowsError, hasLeftRows } from "./sqlite-prune.ts";
import { type Commit, NOBODY, type Outcome, WAITS_FOR_EVENT } from "./store.ts";

/** Nothing is created for an epoch that is closed, nor over what a discarded run left. */
const CREATE = `INSERT INTO run (id, workflow, definition, status, body, checksum, wake_at, finished, created_at, updated_at, commit_no, epoch,
    past_from, past_every, subject, tags, origin, rank)
  SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 1, ?10, ?11, ?12, ?13, ?14, ?15, ?16
  WHERE (?10 = ${NOBODY} OR EXISTS (SELECT 1 FROM epoch WHERE id = ?10)) AND NOT EXISTS (SELECT 1 FROM trash WHERE run_id = ?1) ON CONFLICT (id) DO NOTHING`;
const WRITE_TAG = "INSERT INTO tag (tag, at, run_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";

/** The fence: matches no row unless this epoch owns the run and nothing was committed in between. */
const FENCE = "id = ?10 AND commit_no = ?11 AND epoch = ?12 AND finished = 0";
/** No index holds these, but those of ended runs. What was kept at another interval cannot be read any more. */
const UNINDEXED = `body = ?4, checksum = ?5, updated_at = ?6, commit_no = ?11 + 1,
  past_from = max(iif(past_every = ?13, past_from, commit_no), ?9, 1), past_every = ?13`;
/**
 * SQLite writes each index again that has a column which is set, even to what it was: so a commit sets only what is new,
 * and the statements differ in what they take to be as before.
 */
const GO_ON = `UPDATE run SET ${UNINDEXED} WHERE ${FENCE} AND workflow = ?1 AND definition = ?2 AND status = ?3 AND wake_at IS ?7`;
const SLEEP = `UPDATE run SET ${UNINDEXED}, wake_at = ?7 WHERE ${FENCE} AND workflow = ?1 AND definition = ?2 AND status = ?3`;
const FINISH = `UPDATE run SET ${UNINDEXED}, wake_at = ?7, status = ?3, finished = ?8 WHERE ${FENCE} AND workflow = ?1 AND definition = ?2`;
const CHANGE = `UPDATE run SET ${UNINDEXED}, wake_at = ?7, status = ?3, finished = ?8, workflow = ?1, definition = ?2 WHERE ${FENCE}`;
const REOPEN = `UPDATE run SET ${UNINDEXED}, wake_at = ?7, status = ?3, finished = ?8, workflow = ?1, definition = ?2, epoch = ?12, suspicion = 0,
  reason = NULL WHERE id = ?10 AND commit_no = ?11 AND finished = 1`;

const WRITE_ACTOR = `INSERT INTO actor (run_id, key, commit_no, status, body, output, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, key) DO UPDATE SET commit_no = excluded.commit_no, status = excluded.status, body = excluded.body,
  output = excluded.output, checksum = excluded.checksum`;
const DELETE_ACTOR = "DELETE FROM actor WHERE run_id = ? AND key = ?";
const WRITE_HISTORY = `INSERT INTO history (run_id, commit_no, at, body, sequence) VALUES (?, ?, ?, ?, (${LAST_CHANGE}) + 1)`;
export const POST = "INSERT INTO inbox (run_id, body) SELECT id, ?2 FROM run WHERE id = ?1 AND finished = 0";
const CONSUME = "DELETE FROM inbox WHERE number = ? AND run_id = ?";
const EMPTY_INBOX = "DELETE FROM inbox WHERE run_id = ?";
const WRITE_EVENT = "INSERT INTO event (run_id, id, commit_no) VALUES (?, ?, ?) ON CONFLICT (run_id, id) DO NOTHING";
const ANSWER = "INSERT INTO answer (number, at, body) VALUES (?, ?, ?) ON CONFLICT (number) DO NOTHING";

export function applyCommit(connection: SqliteConnection, commit: Commit): Outcome {
  const isDone = commit.from === 0 ? create(connection, commit) : update(connection, commit);
  return isDone ? writeRows(connection, commit) : "fenced";
}

export function applyReopen(connection: SqliteConnection, commit: Commit): Outcome {
  const open = { ...commit, epoch: NOBODY, run: { ...commit.run, finished: false } };
  return connection.changed(REOPEN, ...updateValues(open)) ? writeRows(connection, open) : "fenced";
}

function writeRows(connection: SqliteConnection, commit: Commit): Outcome {
  const { runId, from, at } = commit;
  const commitNo = from + 1;
  if (commit.keepPast !== undefined) keepPast(connection, commit, commit.keepPast);
  for (const { key, status, body, output, checksum } of commit.actors) connection.run(WRITE_ACTOR, runId, key, commitNo, status, body, output, checksum);
  for (const key of commit.gone ?? []) connection.run(DELETE_ACTOR, runId, key);
  for (const number of commit.consumed ?? []) connection.run(CONSUME, number, runId);
  for (const post of commit.posts ?? []) connection.run(POST, post.runId, post.body);
  for (const id of commit.eventIds ?? []) connection.run(WRITE_EVENT, runId, id, commitNo);
  for (const { number, body } of commit.answers ?? []) connection.run(ANSWER, number, at, body);
  if (commit.run.finished && from > 0) connection.run(EMPTY_INBOX, runId);
  for (const notice of commit.notices ?? []) writeNotice(connection, notice);
  connection.run(WRITE_HISTORY, runId, commitNo, at, commit.history);
  return "committed";
}

function create(connection: SqliteConnection, { runId, epoch, at, run, facts, rank, keepPast: kept }: Commit): boolean {
  const { workflow, definition, status, body, checksum, wakeAt, finished } = run;
  const tags = [...new Set(facts?.tags)];
  const lookedUp = [facts?.subject ?? null, JSON.stringify(tags), facts?.origin ?? null, rank ?? at];
  const owned = [epoch, kept === undefined ? null : 1, kept?.every ?? null];
  if (!connection.changed(CREATE, runId, workflow, definition, status, body, checksum, wakeAt, Number(finished), at, ...owned, ...lookedUp)) {
    if (hasLeftRows(connection, runId)) throw new LeftRowsError(runId);
    return false;
  }
  for (const tag of tags) connection.run(WRITE_TAG, tag, at, runId);
  return true;
}

function update(connection: SqliteConnection, commit: Commit): boolean {
  const values = updateValues(commit);
  return likely(commit.run).some((statement) => connection.changed(statement, ...values));
}

function updateValues({ runId, from, epoch, at, run, keepPast: kept }: Commit): SQLInputValue[] {
  const { workflow, definition, status, body, checksum, wakeAt, finished } = run;
  const past = kept === undefined ? { from: null, every: null } : { from: keptFrom(kept, from), every: kept.every };
  return [workflow, definition, status, body, checksum, at, wakeAt, Number(finished), past.from, runId, from, epoch, past.every];
}

const GOES_ON = [GO_ON, SLEEP, CHANGE];
const SLEEPS = [SLEEP, CHANGE];
const FINISHES = [FINISH, CHANGE];

/** Most runs that have work to do had some before, and most that wait for an event did so before. An instant is mostly new. */
function likely({ finished, wakeAt }: Commit["run"]): readonly string[] {
  if (finished) return FINISHES;
  return wakeAt === null || wakeAt === WAITS_FOR_EVENT ? GOES_ON : SLEEPS;
}
