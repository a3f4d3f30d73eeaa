/**
 * What others hear of the commits of all runs: their history in one order, and notices that wait until they were told.
 */
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { Calls } from "./sqlite-rows.ts";
import type { ChangeRecord, Notice, NoticeRecord } from "./store.ts";

const READ_CHANGES = "SELECT sequence, run_id AS runId, commit_no AS commitNo, at, body FROM history WHERE sequence > ? ORDER BY sequence LIMIT ?";
/** The newest there is, unless newer ones were deleted: only then is a number of them kept. */
export const LAST_CHANGE = "SELECT max(ifnull((SELECT max(sequence) FROM history), 0), (SELECT last FROM sequence))";
const KEEP_LAST = `UPDATE sequence SET last = (${LAST_CHANGE}) WHERE last < (SELECT max(sequence) FROM history)`;
const WRITE_NOTICE = "INSERT INTO notice (id, run_id, at, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";
const READ_NOTICES = "SELECT number, id, run_id AS runId, at, body FROM notice WHERE number > ? ORDER BY number LIMIT ?";
const FORGET_NOTICE = "DELETE FROM notice WHERE number = ?";

export function writeNotice(connection: SqliteConnection, { id, runId, at, body }: Notice): void {
  connection.run(WRITE_NOTICE, id, runId, at, body);
}

/** Before history is deleted: no number is given again. */
export function keepLastChange(connection: SqliteConnection): void {
  connection.run(KEEP_LAST);
}

type Method = "readChanges" | "readLastChange" | "addNotice" | "readNotices" | "forgetNotices";

export function sqliteNotices(connection: SqliteConnection): Calls<Method> {
  return {
    readChanges: (after, limit) => connection.read(() => connection.all<ChangeRecord>(READ_CHANGES, after, limit)),
    readLastChange: () => connection.read(() => connection.get(`${LAST_CHANGE} AS last`) as { last: number }).last,
    addNotice: (notice) => connection.write(() => writeNotice(connection, notice)),
    readNotices: (after, limit) => connection.read(() => connection.all<NoticeRecord>(READ_NOTICES, after, limit)),
    forgetNotices: (numbers) => {
      if (numbers.length > 0) connection.write(() => numbers.forEach((number) => connection.run(FORGET_NOTICE, number)));
    },
  };
}
