/**
 * The store on one SQLite file. Commits run on the caller's thread: a thread of its own was no faster, and with an
 * fsync of 5 ms the loop still stalls far below 100 ms (test/bench/disk.ts measures both).
 */
import { systemClock } from "../clock.ts";
import { type FileOptions, isBusy } from "./open-database.ts";
import { SqliteConnection } from "./sqlite-connection.ts";
import { sqliteFile } from "./sqlite-file.ts";
import type { Store } from "./store.ts";
import { Watcher } from "./watcher.ts";

/**
 * Other processes write, too, for a moment each. The file is asked again from the event loop, at last this often: of two
 * that write as fast as they can, whoever waited up to 10 ms got as little as a third of the other's share.
 */
const BUSY_WAITS_MS = [1, 1, 1, 2, 2, 3] as const;
/** A process that is stopped amid a write holds the file for as long as it is: others wait. Who closes waits no longer than this. */
const CLOSE_WAIT_MS = 2_000;

/** Opens a file as a store; creates it unless it must exist. Throws PAWL_STORE_FOREIGN, _NEWER, _UNREADABLE. */
export function openSqliteStore(path: string, options: FileOptions): Store {
  const connection = new SqliteConnection(path, options);
  const calls = sqliteFile(connection);
  const watcher = new Watcher(() => connection.dataVersion());
  const store: Record<string, unknown> = {
    watch: (listener: () => void) => watcher.watch(listener),
    close: async () => {
      watcher.stop();
      for (const epoch of connection.locks.epochs) await patiently(() => calls.closeEpoch(epoch), CLOSE_WAIT_MS).catch(() => {});
      connection.close();
    },
  };
  for (const [name, call] of Object.entries(calls) as [string, (...given: unknown[]) => unknown][])
    store[name] = async (...given: unknown[]) => patiently(() => call(...given));
  return store as unknown as Store;
}

async function patiently(call: () => unknown, waitMaxMs = Infinity): Promise<unknown> {
  for (let waitedMs = 0, waits = 0; ; waits++) {
    try {
      return call();
    } catch (error) {
      if (!isBusy(error) || waitedMs >= waitMaxMs) throw error;
      const waitMs = BUSY_WAITS_MS[waits] ?? BUSY_WAITS_MS.at(-1)!;
      waitedMs += waitMs;
      await new Promise<void>((resolve) => systemClock.after(waitMs, resolve));
    }
  }
}
