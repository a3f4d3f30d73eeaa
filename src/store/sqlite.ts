/**
 * The store on one SQLite file. Commits run on the caller's thread: a thread of its own was no faster, and with an
 * fsync of 5 ms the loop still stalls far below 100 ms (test/bench/disk.ts measures both).
 */
import { PawlError } from "../errors.ts";
import type { FileOptions } from "./open-database.ts";
import { SqliteFile } from "./sqlite-file.ts";
import type { Store } from "./store.ts";

const METHODS = [
  "openEpoch",
  "commit",
  "claim",
  "absolve",
  "quarantine",
  "readRun",
  "readActors",
  "readHistory",
  "listRuns",
  "dueRuns",
  "readyRuns",
  "writeDefinition",
  "readDefinition",
] as const;

/** Opens a file as a store; creates it unless it is only looked at. Throws PAWL_STORE_FOREIGN, _NEWER, _UNREADABLE. */
export function openSqliteStore(path: string, options: FileOptions): Store {
  const file = new SqliteFile(path, options);
  const store: Record<string, unknown> = { close: async () => file.close() };
  for (const method of METHODS) {
    store[method] = async (...values: unknown[]) => {
      if (options.readOnly && !method.startsWith("read") && method !== "listRuns") throw new PawlError("PAWL_READ_ONLY");
      return (file[method] as (...values: unknown[]) => unknown).apply(file, values);
    };
  }
  return store as unknown as Store;
}
