/**
 * Rows that workers share: each is read and written in one transaction, so that no two change it from the same state.
 */
import { isEpochOpen } from "./sqlite-epochs.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { Calls } from "./sqlite-rows.ts";
import type { Amendment, SharedRecord } from "./store.ts";

const READ = "SELECT body FROM shared WHERE key = ?";
const READ_ALL = "SELECT key, body FROM shared ORDER BY key";
const WRITE = "INSERT INTO shared (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body";
const DELETE = "DELETE FROM shared WHERE key = ?";

/** Within a transaction. */
export function applyAmendments(connection: SqliteConnection, amendments: readonly Amendment[]): void {
  const known = new Map<number, boolean>();
  const isOpen = (epoch: number): boolean => {
    if (!known.has(epoch)) known.set(epoch, isEpochOpen(connection, epoch));
    return known.get(epoch)!;
  };
  for (const { key, amend } of amendments) {
    const before = (connection.get(READ, key) as { body: string } | undefined)?.body;
    const body = amend(before, isOpen);
    if (body === before) continue;
    if (body === undefined) connection.run(DELETE, key);
    else connection.run(WRITE, key, body);
  }
}

export function sqliteShared(connection: SqliteConnection): Calls<"amend" | "readShared"> {
  return {
    amend: (amendments) => connection.write(() => applyAmendments(connection, amendments)),
    readShared: () => connection.read(() => connection.all<SharedRecord>(READ_ALL)),
  };
}
