/**
 * Rows that workers share: each is read and written in one transaction, so that no two change it from the same state.
 */
import { type Amendment, SHARED_CHANGES_KEPT, type SharedChanges, type SharedRecord, isToldSince } from "./shared-record.ts";
import { isEpochOpen } from "./sqlite-epochs.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { Calls } from "./sqlite-rows.ts";

const READ = "SELECT body FROM shared WHERE key = ?";
const READ_ALL = "SELECT key, body FROM shared WHERE body IS NOT NULL ORDER BY key";
const READ_SINCE = "SELECT key, body FROM shared WHERE change_no > ? ORDER BY change_no";
/** The row of the last change is there: of those that are gone, too, the last ones are kept. */
const LAST = "SELECT ifnull(max(change_no), 0) AS last FROM shared";
const WRITE = `INSERT INTO shared (key, body, change_no) VALUES (?, ?, (${LAST}) + 1)
  ON CONFLICT (key) DO UPDATE SET body = excluded.body, change_no = excluded.change_no`;
const FORGET = `DELETE FROM shared WHERE body IS NULL AND change_no < (${LAST}) - ${SHARED_CHANGES_KEPT}`;

/** Within a transaction. */
export function applyAmendments(connection: SqliteConnection, amendments: readonly Amendment[]): void {
  const known = new Map<number, boolean>();
  const isOpen = (epoch: number): boolean => {
    if (!known.has(epoch)) known.set(epoch, isEpochOpen(connection, epoch));
    return known.get(epoch)!;
  };
  for (const { key, amend } of amendments) {
    const before = (connection.get(READ, key) as { body: string | null } | undefined)?.body ?? undefined;
    const body = amend(before, isOpen);
    if (body === before) continue;
    connection.run(WRITE, key, body ?? null);
    if (body === undefined) connection.run(FORGET);
  }
}

export function sqliteShared(connection: SqliteConnection): Calls<"amend" | "readShared" | "readSharedSince"> {
  return {
    amend: (amendments) => connection.write(() => applyAmendments(connection, amendments)),
    readShared: () => connection.read(() => connection.all<SharedRecord>(READ_ALL)),
    readSharedSince: (number) => connection.snapshot(() => since(connection, number)),
  };
}

function since(connection: SqliteConnection, number: number): SharedChanges {
  const { last } = connection.get(LAST) as { last: number };
  if (!isToldSince(number, last)) return { rows: connection.all<SharedRecord>(READ_ALL), number: last, isAll: true };
  return { rows: connection.all(READ_SINCE, number), number: last, isAll: false };
}
