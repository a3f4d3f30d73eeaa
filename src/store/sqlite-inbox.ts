/**
 * Inboxes of runs, and the answers to what was in them.
 */
import { PawlError } from "../errors.ts";
import { POST } from "./sqlite-commit.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { Calls } from "./sqlite-rows.ts";
import type { InboxRecord, Post } from "./store.ts";

const READ_INBOX = "SELECT number, body FROM inbox WHERE run_id = ? AND number > ? ORDER BY number LIMIT ?";
/** One step into the index for each run, however full its inbox is. */
const INBOX_RUNS = `WITH RECURSIVE addressed (id) AS (SELECT min(run_id) FROM inbox WHERE run_id > ?
    UNION ALL SELECT (SELECT min(run_id) FROM inbox WHERE run_id > addressed.id) FROM addressed WHERE id IS NOT NULL)
  SELECT run.id FROM addressed CROSS JOIN run ON run.id = addressed.id WHERE run.finished = 0 LIMIT ?`;
const INBOX_SINCE = "SELECT number, run_id AS runId FROM inbox WHERE number > ? ORDER BY number LIMIT ?";
/** Rows are counted only when the first and the last are as far apart as so many are. */
const IS_FULL = `SELECT iif((SELECT max(number) FROM inbox WHERE run_id = ?1) - (SELECT min(number) FROM inbox WHERE run_id = ?1) >= ?2 - 1,
  (SELECT 1 FROM inbox WHERE run_id = ?1 LIMIT 1 OFFSET ?2 - 1), NULL) AS isFull`;
const READ_REPLIES = `SELECT wanted.value AS number, answer.body, EXISTS (SELECT 1 FROM inbox WHERE number = wanted.value) AS isPosted
  FROM json_each(?) AS wanted LEFT JOIN answer ON answer.number = wanted.value`;
const TAKE_ANSWER = "DELETE FROM answer WHERE number = ?";
const OLD_ANSWERS = "SELECT number FROM answer WHERE at < ? ORDER BY at LIMIT ?";
const READ_EVENT = "SELECT commit_no AS commitNo FROM event WHERE run_id = ? AND id = ?";

type Method = "readInbox" | "inboxRuns" | "inboxSince" | "readReplies" | "takeAnswers" | "forgetAnswers" | "readEvent";

interface ReplyRow {
  readonly number: number;
  readonly body: string | null;
  readonly isPosted: number;
}

/** A post, and how many rows the inbox may hold before it. */
export interface LimitedPost extends Post {
  readonly limit?: number | undefined;
}

export interface PostAll {
  /** In one transaction: of each its number, or why it was not posted. */
  readonly postAll: (posts: readonly LimitedPost[]) => (number | undefined | PawlError)[];
}

export function sqliteInbox(connection: SqliteConnection): Calls<Method> & PostAll {
  const take = (numbers: readonly number[]): void => {
    if (numbers.length > 0) connection.write(() => numbers.forEach((number) => connection.run(TAKE_ANSWER, number)));
  };
  return {
    postAll: (posts) => connection.write(() => posts.map((post) => postOne(connection, post))),
    readInbox: (runId, after, limit) => connection.read(() => connection.all<InboxRecord>(READ_INBOX, runId, after, limit)),
    inboxRuns: (after, limit) => connection.read(() => connection.all<{ id: string }>(INBOX_RUNS, after, limit).map(({ id }) => id)),
    inboxSince: (number, limit) => {
      const rows = connection.read(() => connection.all<{ number: number; runId: string }>(INBOX_SINCE, number, limit));
      return { runIds: [...new Set(rows.map(({ runId }) => runId))], number: rows.at(-1)?.number ?? number };
    },
    readReplies: (numbers) => {
      const rows = connection.read(() => connection.all<ReplyRow>(READ_REPLIES, JSON.stringify(numbers)));
      return rows.map(({ number, body, isPosted }) => ({ number, body: body ?? undefined, isPosted: isPosted === 1 }));
    },
    takeAnswers: take,
    forgetAnswers: (before, limit) => take(connection.read(() => connection.all<{ number: number }>(OLD_ANSWERS, before, limit)).map(({ number }) => number)),
    readEvent: (runId, eventId) => (connection.read(() => connection.get(READ_EVENT, runId, eventId)) as { commitNo: number } | undefined)?.commitNo,
  };
}

function postOne(connection: SqliteConnection, { runId, body, limit }: LimitedPost): number | undefined | PawlError {
  if (limit !== undefined && isFull(connection, runId, limit)) return new PawlError("PAWL_MAILBOX_FULL", { message: `too much waits for run "${runId}"` });
  const { changes, lastInsertRowid } = connection.run(POST, runId, body);
  return changes === 1 ? Number(lastInsertRowid) : undefined;
}

function isFull(connection: SqliteConnection, runId: string, limit: number): boolean {
  return connection.read(() => connection.get(IS_FULL, runId, limit) as { isFull: 1 | null }).isFull !== null;
}
