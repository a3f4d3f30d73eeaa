/**
 * A store as one checked file, taken while workers write to it.
 * 1. It is the store as of one instant: a read transaction stays open over the whole copy. Without one, SQLite's backup
 *    begins anew at each commit of another process, and beside a busy worker it does not end.
 * 2. The caller's thread is never held for long: pages are copied a few at a time, and the check has a thread of its own.
 * 3. No worker is in a copy: nobody holds the epochs that were open in the original.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync, backup } from "node:sqlite";
import { PawlError } from "../errors.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";
import { sqliteCode } from "./open-database.ts";
import { type CopyFacts, SQLITE_CORRUPT, settleCopy } from "./settle-copy.ts";
import { isFull } from "./sqlite-connection.ts";

const SQLITE_NOTADB = 26;
/** Pages copied between two turns of the event loop: 4 MiB. */
const PAGES = 1_000;

/** How far it is, in pages. */
export type CopyProgress = (done: number, total: number) => void;

/**
 * Copies a store into a new file, and checks it.
 *
 * @throws PAWL_STORE_UNREADABLE, PAWL_STORE_FOREIGN, PAWL_STORE_NEWER, PAWL_STORE_FULL, PAWL_BACKUP_DAMAGED
 */
export async function copyStore(from: string, to: string, onProgress?: CopyProgress): Promise<CopyFacts> {
  const source = openSource(from);
  try {
    source.exec("BEGIN");
    const { runs } = source.prepare("SELECT count(*) AS runs FROM run").get() as { runs: number };
    closeSync(openSync(to, "wx", 0o600));
    await backup(source, to, { rate: PAGES, progress: ({ totalPages, remainingPages }) => onProgress?.(totalPages - remainingPages, totalPages) });
    return await checkedCopy(to, runs);
  } catch (error) {
    throw asCopyError(error);
  } finally {
    source.close();
  }
}

async function checkedCopy(path: string, runs: number): Promise<CopyFacts> {
  const answer = await settleCopy(path);
  if ("problem" in answer) throw asCopyError(Object.assign(new Error(answer.problem), { errcode: answer.errcode }));
  if (answer.facts.runs !== runs)
    throw new PawlError("PAWL_BACKUP_DAMAGED", { message: `the copy has ${answer.facts.runs} runs, and not ${runs} as what was copied` });
  return answer.facts;
}

/** Any schema that this pawl knows will do: a store is copied before it is brought up to date. */
function openSource(path: string): DatabaseSync {
  if (!existsSync(path)) throw new PawlError("PAWL_STORE_UNREADABLE", { message: "there is no such file", at: path });
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec("PRAGMA query_only = ON; PRAGMA busy_timeout = 2000");
    requireStore(database);
    return database;
  } catch (error) {
    database?.close();
    throw asCopyError(error);
  }
}

function requireStore(database: DatabaseSync): void {
  const { application_id: owner } = database.prepare("PRAGMA application_id").get() as { application_id: number };
  const { user_version: schema } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (owner !== APPLICATION_ID) throw new PawlError("PAWL_STORE_FOREIGN");
  if (schema > MIGRATIONS.length) throw new PawlError("PAWL_STORE_NEWER", { message: `the file has schema ${schema}; this pawl knows ${MIGRATIONS.length}` });
}

/** Any failure while copying as an error with a code. */
export function asCopyError(error: unknown): PawlError {
  if (error instanceof PawlError) return error;
  const code = sqliteCode(error);
  if (code === SQLITE_NOTADB) return new PawlError("PAWL_STORE_FOREIGN", { cause: error });
  if (code === SQLITE_CORRUPT) return new PawlError("PAWL_BACKUP_DAMAGED", { message: "what was to be copied is damaged", cause: error });
  if (isFull(error) || (error as NodeJS.ErrnoException).code === "ENOSPC")
    return new PawlError("PAWL_STORE_FULL", { message: "there is no space for the copy; nothing was changed", cause: error });
  return new PawlError("PAWL_STORE_UNREADABLE", { cause: error });
}
