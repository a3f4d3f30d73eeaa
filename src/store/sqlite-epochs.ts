/**
 * Epochs: an open one is a row, and a lock on its side file that ends with its process. Nobody sees the row without the
 * lock: it is taken before the row is committed, and given back after the row is deleted.
 */
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { Calls } from "./sqlite-rows.ts";
import type { EpochRecord } from "./store.ts";

const OPEN = "INSERT INTO epoch (opened_at, facts) VALUES (?, ?)";
const BEAT = "UPDATE epoch SET beat = beat + 1, facts = ? WHERE id = ?";
const READ_EPOCHS = "SELECT id, opened_at AS openedAt, beat, facts FROM epoch ORDER BY id";
const IS_OPEN = "SELECT 1 FROM epoch WHERE id = ?";
const CLOSE = "DELETE FROM epoch WHERE id = ?1 AND beat = ifnull(?2, beat)";

type Method = "openEpoch" | "beat" | "readEpochs" | "isAbandoned" | "closeEpoch";

export function isEpochOpen(connection: SqliteConnection, epoch: number): boolean {
  return connection.get(IS_OPEN, epoch) !== undefined;
}

export function sqliteEpochs(connection: SqliteConnection): Calls<Method> {
  const isOpen = (epoch: number): boolean => connection.read(() => isEpochOpen(connection, epoch));
  return {
    openEpoch: (at, facts) => open(connection, at, facts),
    beat: (epoch, facts) => connection.write(() => connection.changed(BEAT, facts, epoch)),
    readEpochs: () => connection.read(() => connection.all<EpochRecord>(READ_EPOCHS)),
    // Looked at first: a side file of an epoch that is closed would be made again.
    isAbandoned: (epoch) => !isOpen(epoch) || connection.locks.isFree(epoch),
    closeEpoch: (epoch, beat) => {
      const isClosed = !isOpen(epoch) || connection.write(() => connection.changed(CLOSE, epoch, beat ?? null) || !isOpen(epoch));
      if (isClosed) {
        connection.locks.free(epoch);
        connection.locks.remove(epoch);
      }
      return isClosed;
    },
  };
}

/** When it is not committed its number goes to the next one, and so does the side file. */
function open(connection: SqliteConnection, at: number, facts: string): number {
  let epoch: number | undefined;
  try {
    return connection.write(() => {
      const id = Number(connection.run(OPEN, at, facts).lastInsertRowid);
      connection.locks.take(id);
      epoch = id;
      return id;
    });
  } catch (error) {
    if (epoch !== undefined) connection.locks.free(epoch);
    throw error;
  }
}
