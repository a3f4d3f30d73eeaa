/**
 * Opening a store's file: its rights, its checks, its tables, and the lock of the one process that executes on it.
 */
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PawlError } from "../errors.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";

const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;
/** Before this version WAL files could be corrupted when two connections raced a checkpoint. */
const SQLITE_MIN = [3, 51, 3] as const;

export interface FileOptions {
  /** Only looks: takes no lock, writes nothing. */
  readonly readOnly: boolean;
}

/** SQLite's primary result code of an error, or undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** Does another connection hold what this one needs? */
export function isBusy(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_BUSY;
}

/** Opens a file and checks that it is a store of this pawl; makes it one unless it is only looked at. */
export function openDatabase(path: string, { readOnly }: FileOptions): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (!readOnly) createPrivately(path);
    database = readOnly ? openToLook(path) : new DatabaseSync(path);
    database.exec("PRAGMA busy_timeout = 2000");
    checkVersion(database);
    checkOwner(database);
    if (!readOnly) prepareTables(database);
    else checkTables(database);
    database.exec("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof PawlError) throw error;
    if (sqliteCode(error) === SQLITE_NOTADB) throw new PawlError("PAWL_STORE_FOREIGN", { cause: error });
    throw new PawlError("PAWL_STORE_UNREADABLE", { cause: error });
  }
}

/**
 * After a kill SQLite must put the file in order before anyone can read it, which takes the right to write; it is
 * given up for good at once. Who has no such right reads as well as that goes.
 */
function openToLook(path: string): DatabaseSync {
  if (!existsSync(path)) throw new PawlError("PAWL_STORE_UNREADABLE", { message: "there is no such file" });
  try {
    const database = new DatabaseSync(path);
    database.exec("PRAGMA query_only = ON");
    return database;
  } catch {
    return new DatabaseSync(path, { readOnly: true });
  }
}

function schemaVersion(database: DatabaseSync): number {
  return (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** The file is its owner's alone; SQLite gives its side files the same mode. */
function createPrivately(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "a", 0o600));
}

function checkVersion(database: DatabaseSync): void {
  const { version } = database.prepare("SELECT sqlite_version() AS version").get() as { version: string };
  const parts = version.split(".").map(Number);
  const difference = SQLITE_MIN.map((wanted, i) => (parts[i] ?? 0) - wanted).find((d) => d !== 0) ?? 0;
  if (difference < 0)
    throw new PawlError("PAWL_SQLITE_TOO_OLD", {
      message: `this Node.js has SQLite ${version}; ${SQLITE_MIN.join(".")} is the first without a known loss of data`,
    });
}

function checkOwner(database: DatabaseSync): void {
  const { application_id: owner } = database.prepare("PRAGMA application_id").get() as { application_id: number };
  const version = schemaVersion(database);
  const { tables } = database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as { tables: number };
  if (tables > 0 && owner !== APPLICATION_ID) throw new PawlError("PAWL_STORE_FOREIGN");
  if (version > MIGRATIONS.length) throw new PawlError("PAWL_STORE_NEWER", { message: `the file has schema ${version}; this pawl knows ${MIGRATIONS.length}` });
}

function prepareTables(database: DatabaseSync): void {
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  if (schemaVersion(database) === MIGRATIONS.length) return;
  database.exec("BEGIN IMMEDIATE");
  // Asked again: another process may have brought the file up to date while this one waited.
  for (const step of MIGRATIONS.slice(schemaVersion(database))) database.exec(step);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
}

/** Who only looks cannot bring a file up to date. */
function checkTables(database: DatabaseSync): void {
  const version = schemaVersion(database);
  if (version === 0) throw new PawlError("PAWL_STORE_UNREADABLE", { message: "the file holds no store yet" });
  if (version < MIGRATIONS.length)
    throw new PawlError("PAWL_STORE_UNREADABLE", {
      message: `the file has schema ${version}; the next worker that opens it brings it to ${MIGRATIONS.length}`,
    });
}

/** An exclusive lock of the kernel on a side file, held by an open transaction: it ends with the process, however that dies. */
export function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(path);
  try {
    lock.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) throw new PawlError("PAWL_STORE_LOCKED", { cause: error });
    throw new PawlError("PAWL_STORE_UNREADABLE", { cause: error });
  }
}
