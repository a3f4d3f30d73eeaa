/**
 * The store on one SQLite file. Commits run on the caller's thread: a thread of its own was no faster, and with an
 * fsync of 5 ms the loop still stalls far below 100 ms (test/bench/disk.ts measures both).
 */
import { PawlError } from "../errors.ts";
import { systemClock } from "../clock.ts";
import { type FileOptions, isBusy } from "./open-database.ts";
import { SqliteFile } from "./sqlite-file.ts";
import type { Store } from "./store.ts";

const METHODS: Readonly<Record<Exclude<keyof Store, "close">, "reads" | "writes">> = {
  openEpoch: "writes",
  commit: "writes",
  claim: "writes",
  claimRun: "writes",
  absolve: "writes",
  quarantine: "writes",
  readRun: "reads",
  readActors: "reads",
  readHistory: "reads",
  readInbox: "reads",
  inboxRuns: "reads",
  readEvent: "reads",
  listRuns: "reads",
  dueRuns: "reads",
  readyRuns: "reads",
  writeDefinition: "writes",
  readDefinition: "reads",
  definitionsOf: "reads",
};

/** Another connection can hold the file while it puts it in order after a kill. It is asked again from the event loop. */
const BUSY_WAIT_MS = 10;
const BUSY_MAX_MS = 30_000;

/** Opens a file as a store; creates it unless it is only looked at. Throws PAWL_STORE_FOREIGN, _NEWER, _UNREADABLE. */
export function openSqliteStore(path: string, options: FileOptions): Store {
  const file = new SqliteFile(path, options);
  const store: Record<string, unknown> = { close: async () => file.close() };
  for (const method of Object.keys(METHODS) as (keyof typeof METHODS)[]) {
    store[method] = async (...values: unknown[]) => {
      if (options.readOnly && METHODS[method] === "writes") throw new PawlError("PAWL_READ_ONLY");
      return patiently(file, () => (file[method] as (...values: unknown[]) => unknown).apply(file, values));
    };
  }
  return store as unknown as Store;
}

async function patiently(file: SqliteFile, call: () => unknown): Promise<unknown> {
  for (let waitedMs = 0; ; waitedMs += BUSY_WAIT_MS) {
    try {
      return call();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (waitedMs >= BUSY_MAX_MS) throw file.fail(error);
      await new Promise<void>((resolve) => systemClock.after(BUSY_WAIT_MS, resolve));
    }
  }
}
