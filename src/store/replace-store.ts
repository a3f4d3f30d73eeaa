/**
 * Puts another file into the place of a store that nobody uses, and keeps the old one. The process may die at any step:
 * 1. The old store's log is written into the old store, and goes: from here on the old one is one file.
 * 2. A copy of it is put under the name that it is kept by.
 * 3. What may lie beside goes: a log that stayed would be applied to the new store.
 * 4. The new file is renamed into the place. Before this step the place holds the old store, after it the new one.
 * Over all of it nobody else can open the old store, since this process holds its lock.
 */
import { chmodSync, copyFileSync, existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync, backup } from "node:sqlite";
import { PawlError } from "../errors.ts";
import { forceToDisk, putInPlace } from "./durable-file.ts";
import { APPLICATION_ID } from "./migrations.ts";
import { isBusy, sqliteCode } from "./open-database.ts";
import { SideLocks } from "./side-locks.ts";

const JOURNALS = ["-wal", "-shm", "-journal"] as const;

/**
 * Answers the name under which the old store is kept; undefined when there was none. `folder` is on the same file system.
 *
 * @throws PAWL_STORE_LOCKED, PAWL_STORE_FOREIGN
 */
export async function replaceStore(file: string, path: string, folder: string): Promise<string | undefined> {
  forceToDisk(file);
  const locks = lockWorkers(path);
  let old: DatabaseSync | undefined;
  try {
    old = existsSync(path) ? lockStore(path) : undefined;
    const kept = existsSync(path) ? await keep(path, old, folder) : undefined;
    for (const suffix of JOURNALS) rmSync(path + suffix, { force: true });
    forceToDisk(dirname(path));
    putInPlace(file, path);
    return kept;
  } finally {
    old?.close();
    locks?.freeAll();
  }
}

/** No worker must be there, whatever state the store is in. */
function lockWorkers(path: string): SideLocks | undefined {
  if (!existsSync(path)) return undefined;
  const prefix = `${basename(path)}-worker-`;
  const names = readdirSync(dirname(path)).filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)));
  const locks = new SideLocks(path);
  try {
    for (const name of names) locks.take(Number(name.slice(prefix.length)));
    return locks;
  } catch (error) {
    locks.freeAll();
    if (isBusy(error)) throw new PawlError("PAWL_STORE_LOCKED", { message: "a worker runs on the store", next: "stop it, then try again", cause: error });
    throw error;
  }
}

/** The old store with its log written into it, and closed to all others; undefined when it cannot be opened. */
function lockStore(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec("PRAGMA busy_timeout = 0");
    const { application_id: owner } = database.prepare("PRAGMA application_id").get() as { application_id: number };
    const { tables } = database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as { tables: number };
    if (tables > 0 && owner !== APPLICATION_ID) throw new PawlError("PAWL_STORE_FOREIGN");
    closeToOthers(database);
    return database;
  } catch (error) {
    database?.close();
    if (isBusy(error)) throw new PawlError("PAWL_STORE_LOCKED", { message: "another process uses the store", next: "stop it, then try again", cause: error });
    if (error instanceof PawlError || sqliteCode(error) === undefined) throw error;
    return undefined;
  }
}

/**
 * SQLite takes a store out of its log only when nobody else has it open. The lock stays after the transaction, since
 * none can be copied while it writes. It is taken apart from the change of the mode: no journal is then left to be
 * deleted when this connection closes, which is after another store has taken the name.
 */
function closeToOthers(database: DatabaseSync): void {
  database.exec("PRAGMA journal_mode = DELETE");
  database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
  const { journal_mode: mode } = database.prepare("PRAGMA journal_mode").get() as { journal_mode: string };
  if (mode !== "delete") throw new PawlError("PAWL_STORE_LOCKED", { message: "another process has just opened the store", next: "stop it, then try again" });
}

/** A store that cannot be opened is kept as its files are. */
async function keep(path: string, old: DatabaseSync | undefined, folder: string): Promise<string> {
  const kept = freeName(path);
  const copy = join(folder, "old");
  if (old === undefined) {
    if (existsSync(`${path}-wal`)) putCopyInPlace(`${path}-wal`, `${copy}-wal`, `${kept}-wal`);
    putCopyInPlace(path, copy, kept);
    return kept;
  }
  await backup(old, copy);
  chmodSync(copy, 0o600);
  putInPlace(copy, kept);
  return kept;
}

function putCopyInPlace(from: string, copy: string, place: string): void {
  copyFileSync(from, copy);
  chmodSync(copy, 0o600);
  putInPlace(copy, place);
}

function freeName(path: string): string {
  for (let number = 1; ; number++) {
    const name = `${path}.before-restore-${number}`;
    if (!existsSync(name) && !existsSync(`${name}-wal`)) return name;
  }
}
