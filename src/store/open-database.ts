/**
 * Opening a store's file: its rights, its checks, its tables.
 */
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PawlError } from "../errors.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CANTOPEN = 14;
const SQLITE_PROTOCOL = 15;
export const SQLITE_NOTADB = 26;
/** How often, and how long, who opens a file waits for another that makes it. */
const OPEN_WAIT_MS = 5;
const OPEN_WAITS = 400;
/** Before this version WAL files could be corrupted when two connections raced a checkpoint. */
const SQLITE_MIN = [3, 51, 3] as const;
/** Only while a file is opened. */
const OPENING_BUSY_MS = 2000;

export interface FileOptions {
  /** A file that is not there is not made, and one that this process may not write is only read. */
  readonly mustExist: boolean;
}

/** A file that is open. */
export interface OpenFile {
  readonly database: DatabaseSync;
  readonly isReadOnly: boolean;
}

/** SQLite's primary result code of an error, or undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/**
 * Does another connection hold what this one needs? So it does, too, when a process was stopped amid its commit: what it had
 * begun to write is in the way of everybody, and SQLite gives up after ten seconds.
 */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_BUSY || code === SQLITE_PROTOCOL;
}

/** Opens a file and checks that it is a store of this pawl; makes it one unless it must be one. */
export function openDatabase(path: string, { mustExist }: FileOptions): OpenFile {
  try {
    if (!mustExist) createPrivately(path);
    else if (!existsSync(path)) throw new PawlError("PAWL_STORE_UNREADABLE", { message: "there is no such file" });
    return mustExist ? openExisting(path) : { database: connect(path, prepareTables), isReadOnly: false };
  } catch (error) {
    if (error instanceof PawlError) throw error;
    if (sqliteCode(error) === SQLITE_NOTADB) throw new PawlError("PAWL_STORE_FOREIGN", { cause: error });
    throw new PawlError("PAWL_STORE_UNREADABLE", { cause: error });
  }
}

/** Who has no right to write reads as well as that goes. */
function openExisting(path: string): OpenFile {
  if (isWritable(path)) {
    try {
      return { database: connect(path, updateTables), isReadOnly: false };
    } catch (error) {
      if (![SQLITE_READONLY, SQLITE_CANTOPEN].includes(sqliteCode(error) ?? 0)) throw error;
    }
  }
  return { database: connect(path, checkTables, true), isReadOnly: true };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function connect(path: string, prepare: (database: DatabaseSync) => void, readOnly = false): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly });
  try {
    database.exec(`PRAGMA busy_timeout = ${OPENING_BUSY_MS}`);
    checkVersion(database);
    checkOwner(database);
    prepare(database);
    database.exec("PRAGMA busy_timeout = 0");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function schemaVersion(database: DatabaseSync): number {
  return (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** The file is its owner's alone; SQLite gives its side files the same mode. */
function createPrivately(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
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
  // asked first: another process may be making the file, and marks it when it has its tables
  const { tables } = database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as { tables: number };
  const { application_id: owner } = database.prepare("PRAGMA application_id").get() as { application_id: number };
  const version = schemaVersion(database);
  if (tables > 0 && owner !== APPLICATION_ID) throw new PawlError("PAWL_STORE_FOREIGN");
  if (version > MIGRATIONS.length) throw new PawlError("PAWL_STORE_NEWER", { message: `the file has schema ${version}; this pawl knows ${MIGRATIONS.length}` });
}

function prepareTables(database: DatabaseSync): void {
  becomeWal(database);
  database.exec("PRAGMA synchronous = FULL");
  if (schemaVersion(database) === MIGRATIONS.length) return;
  database.exec("BEGIN IMMEDIATE");
  // Asked again: another process may have brought the file up to date while this one waited.
  for (const step of MIGRATIONS.slice(schemaVersion(database))) database.exec(step);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
}

/** Of two that make the same file at once the later one finds it busy, whatever its busy timeout. */
function becomeWal(database: DatabaseSync): void {
  for (let waits = 0; ; waits++) {
    try {
      return database.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      if (!isBusy(error) || waits === OPEN_WAITS) throw error;
      pause();
    }
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_WAIT_MS);
}

/** An empty file is not taken for a store that is to be made. */
function updateTables(database: DatabaseSync): void {
  checkFilled(database);
  prepareTables(database);
}

/** Who only reads cannot bring a file up to date. */
function checkTables(database: DatabaseSync): void {
  checkFilled(database);
  const version = schemaVersion(database);
  if (version < MIGRATIONS.length)
    throw new PawlError("PAWL_STORE_UNREADABLE", {
      message: `the file has schema ${version}; the next process that may write it brings it to ${MIGRATIONS.length}`,
    });
}

/** Another process may just have begun to make it. */
function checkFilled(database: DatabaseSync): void {
  for (let waits = 0; schemaVersion(database) === 0; waits++) {
    if (waits === OPEN_WAITS) throw new PawlError("PAWL_STORE_UNREADABLE", { message: "the file holds no store yet" });
    pause();
  }
}
