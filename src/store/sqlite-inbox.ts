/**
 * Inboxes of runs, and the answers to what was in them.
 */
import { PawlError } from "../errors.ts";
import { POST } from "./sqlite-commit.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { Calls } from "./sqlite-rows.ts";
import { INBOX_MAX, type InboxRecord } from "./store.ts";

const READ_INBOX = "SELECT number, body FROM inbox WHERE run_id = ? ORDER BY number";
/** One step into the index for each run, however full its inbox is. */
const INBOX_RUNS = `WITH RECURSIVE addressed (id) AS (SELECT min(run_id) FROM inbox WHERE run_id > ?
    UNION ALL SELECT (SELECT min(run_id) FROM inbox WHERE run_id > addressed.id) FROM addressed WHERE id IS NOT NULL)
  SELECT run.id FROM addressed CROSS JOIN run ON run.id = addressed.id WHERE run.finished = 0 LIMIT ?`;
const INBOX_SINCE = "SELECT number, run_id AS runId FROM inbox WHERE number > ? ORDER BY number LIMIT ?";
const IS_POSTED = "SELECT 1 FROM inbox WHERE number = ?";
const IS_FULL = `SELECT 1 FROM inbox WHERE run_id = ? LIMIT 1 OFFSET ${INBOX_MAX - 1}`;
const READ_ANSWER = "SELECT body FROM answer WHERE number = ?";
const TAKE_ANSWER = "DELETE FROM answer WHERE number = ?";
const OLD_ANSWERS = "SELECT number FROM answer WHERE at < ? ORDER BY at LIMIT ?";
const READ_EVENT = "SELECT commit_no AS commitNo FROM event WHERE run_id = ? AND id = ?";

type Method = "post" | "readInbox" | "inboxRuns" | "inboxSince" | "isPosted" | "readAnswer" | "takeAnswers" | "forgetAnswers" | "readEvent";

export function sqliteInbox(connection: SqliteConnection): Calls<Method> {
  const take = (numbers: readonly number[]): void => {
    if (numbers.length > 0) connection.write(() => numbers.forEach((number) => connection.run(TAKE_ANSWER, number)));
  };
  return {
    post: ({ runId, body }) => {
      const isFull = connection.read(() => connection.get(IS_FULL, runId)) !== undefined;
      if (isFull) throw new PawlError("PAWL_MAILBOX_FULL", { message: `too much waits for run "${runId}"` });
      return connection.write(() => {
        const { changes, lastInsertRowid } = connection.run(POST, runId, body);
        return changes === 1 ? Number(lastInsertRowid) : undefined;
      });
    },
    readInbox: (runId) => connection.read(() => connection.all<InboxRecord>(READ_INBOX, runId)),
    inboxRuns: (after, limit) => connection.read(() => connection.all<{ id: string }>(INBOX_RUNS, after, limit).map(({ id }) => id)),
    inboxSince: (number, limit) => {
      const rows = connection.read(() => connection.all<{ number: number; runId: string }>(INBOX_SINCE, number, limit));
      return { runIds: [...new Set(rows.map(({ runId }) => runId))], number: rows.at(-1)?.number ?? number };
    },
    isPosted: (number) => connection.read(() => connection.get(IS_POSTED, number)) !== undefined,
    readAnswer: (number) => (connection.read(() => connection.get(READ_ANSWER, number)) as { body: string } | undefined)?.body,
    takeAnswers: take,
    forgetAnswers: (before, limit) => take(connection.read(() => connection.all<{ number: number }>(OLD_ANSWERS, before, limit)).map(({ number }) => number)),
    readEvent: (runId, eventId) => (connection.read(() => connection.get(READ_EVENT, runId, eventId)) as { commitNo: number } | undefined)?.commitNo,
  };
}
