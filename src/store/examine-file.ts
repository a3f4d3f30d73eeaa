/**
 * The health of a store's file: its rights, the disk, SQLite's own check, its tables. Only reads, also of a file that is
 * damaged, in use, or not there: that is then what was found. Nothing here knows what a row means.
 */
import { accessSync, constants, existsSync, statSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../clock.ts";
import type { Finding } from "../errors.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";
import { SQLITE_NOTADB, sqliteCode } from "./open-database.ts";

export interface FileReport {
  readonly findings: readonly Finding[];
  /** Can it be opened as a store of this pawl? */
  readonly isUsable: boolean;
}

const MIB = 1_048_576;
/** Less than this is soon full. */
const SPACE_MIN_BYTES = 256 * MIB;
/** SQLite writes a log of 4 MiB back; one that is much larger waits for a reader that does not end. */
const LOG_MAX_BYTES = 256 * MIB;
/** Nobody counts further than this: it is a sign in any case. */
const ORPHANS_MAX = 10_000;
/** A worker deletes them after an hour. */
const ANSWERS_KEPT_MS = 2 * 3_600_000;
/** Tables of rows that belong to a run. */
const TABLES = ["actor", "history", "event", "past", "inbox", "tag"] as const;

/** Looks at each page of the file when it `isFull`; else not into the indexes. */
export function examineFile(path: string, { isFull }: { readonly isFull: boolean }): FileReport {
  const findings: Finding[] = [examineRuntime()];
  const end = (isUsable: boolean, ...more: Finding[]): FileReport => ({ findings: [...findings, ...more], isUsable });
  if (!existsSync(path)) return end(false, problem("file", "there is no such file", "start a run, or name another store"));
  if (!statSync(path).isFile()) return end(false, problem("file", "it is not a file", ANOTHER));
  const rights = examineRights(path);
  if (!isReadable(path)) return end(false, rights);
  const asStore = [rights, examineSpace(path), examineLog(path)];
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    database.exec("PRAGMA busy_timeout = 2000");
    const foreign = examineOwner(database);
    if (foreign !== undefined) return end(false, foreign);
    findings.push(...asStore);
    const schema = examineSchema(database);
    if (schema.severity === "problem") return end(false, schema);
    const integrity = examineIntegrity(database, isFull);
    if (integrity.severity === "problem" || schema.severity === "warning") return end(false, schema, integrity);
    return end(true, schema, integrity, ...examineTables(database));
  } catch (error) {
    if (sqliteCode(error) === SQLITE_NOTADB) return end(false, problem("integrity", "the file is no database", MAYBE_DAMAGED));
    return end(false, ...asStore, problem("integrity", `SQLite cannot read the file: ${(error as Error).message}`, RESTORE));
  } finally {
    database?.close();
  }
}

const RESTORE = "keep a copy of the file, then `pawl restore` the last backup over it";
const ANOTHER = "name another file: `--store FILE`, PAWL_STORE";
/** Its beginning says what a file is. */
const MAYBE_DAMAGED = `${ANOTHER}; if this one was a store, ${RESTORE}`;

const fine = (code: string, message: string): Finding => ({ severity: "ok", code, message, next: null });
const warning = (code: string, message: string, next: string): Finding => ({ severity: "warning", code, message, next });
const problem = (code: string, message: string, next: string): Finding => ({ severity: "problem", code, message, next });

function examineRuntime(): Finding {
  return fine("runtime", `Node.js ${process.versions.node}, SQLite ${process.versions.sqlite}`);
}

function examineRights(path: string): Finding {
  const mode = statSync(path).mode & 0o777;
  const text = mode.toString(8).padStart(3, "0");
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch {
    return problem("rights", `this user may not read and write the file (its mode is ${text})`, "change its owner or its mode, or run as its owner");
  }
  if ((mode & 0o077) === 0) return fine("rights", "only its owner may read the file");
  return warning("rights", `others than its owner may use the file (its mode is ${text}); it holds inputs and results`, "chmod 600 it and its side files");
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function examineSpace(path: string): Finding {
  const { size } = statSync(path);
  const { bavail, bsize } = statfsSync(dirname(path));
  const free = bavail * bsize;
  const text = `the file has ${sizeText(size)}, the disk ${sizeText(free)} free`;
  if (free < SPACE_MIN_BYTES) return problem("space", text, "free some space; `pawl prune` lets new runs use that of old ones");
  return free < size ? warning("space", `${text}: no copy of it would fit`, "free some space, or put backups on another disk") : fine("space", text);
}

function examineLog(path: string): Finding {
  const log = `${path}-wal`;
  const bytes = existsSync(log) ? statSync(log).size : 0;
  if (bytes <= LOG_MAX_BYTES) return fine("log", `the write-ahead log has ${sizeText(bytes)}`);
  return warning(
    "log",
    `the write-ahead log has ${sizeText(bytes)}: some process reads and does not end`,
    "end processes that have looked at the store for long",
  );
}

function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const amount = bytes / 1_024 ** power;
  return `${amount >= 10 || power === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[power]}`;
}

/** What is wrong with a file that is no store at all: nothing else of it matters. */
function examineOwner(database: DatabaseSync): Finding | undefined {
  if (numberOf(database, "PRAGMA application_id") === APPLICATION_ID) return undefined;
  // one that a process is about to make a store of has no tables yet
  if (numberOf(database, "SELECT count(*) FROM sqlite_schema") === 0) return problem("schema", "the file is empty", MAYBE_DAMAGED);
  return problem("schema", "the file is not a pawl store, but another application's", ANOTHER);
}

/** A problem when it is a store of a later pawl, a warning when it is one of an earlier. */
function examineSchema(database: DatabaseSync): Finding {
  const schema = numberOf(database, "PRAGMA user_version");
  if (schema > MIGRATIONS.length) return problem("schema", `the file has schema ${schema}; this pawl knows ${MIGRATIONS.length}`, "upgrade pawl");
  if (schema < MIGRATIONS.length)
    return warning(
      "schema",
      `the file has schema ${schema}; this pawl's is ${MIGRATIONS.length}`,
      "take a backup; the next worker that opens it brings it up to date",
    );
  return fine("schema", `the file has schema ${schema}, as this pawl`);
}

function examineIntegrity(database: DatabaseSync, isFull: boolean): Finding {
  const check = String(Object.values(database.prepare(isFull ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)").get()!)[0]);
  if (check !== "ok") return problem("integrity", `the file is damaged: ${check}`, RESTORE);
  return fine("integrity", isFull ? "each page and index is whole" : "each page is whole (--full also looks into the indexes)");
}

/** Rows that nobody will find again, and those that wait to be swept. */
function examineTables(database: DatabaseSync): Finding[] {
  const trash = numberOf(database, "SELECT count(*) FROM trash");
  const answers = numberOf(database, `SELECT count(*) FROM answer WHERE at < ${systemClock.now() - ANSWERS_KEPT_MS}`);
  const orphans = TABLES.map((table) => [table, numberOf(database, orphansIn(table))] as const).filter(([, runs]) => runs > 0);
  const text = orphans.map(([table, runs]) => `${runs === ORPHANS_MAX ? "at least " : ""}${runs} in ${table}`).join(", ");
  return [
    trash === 0
      ? fine("trash", "no rows of pruned runs are left")
      : warning(
          "trash",
          `the rows of ${trash} pruned ${trash === 1 ? "run" : "runs"} are not deleted yet`,
          "`pawl prune` or `pawl doctor --fix` goes on with it",
        ),
    answers === 0
      ? fine("answers", "no answers are left that nobody took")
      : warning(
          "answers",
          `${answers === 1 ? "an answer is" : `${answers} answers are`} left that nobody took`,
          "`pawl doctor --fix` deletes them, as any worker does in time",
        ),
    orphans.length === 0
      ? fine("orphans", "every row belongs to a run")
      : problem("orphans", `rows of runs that are not there: ${text}`, "report it; they do no harm but use space"),
  ];
}

/** One step into the index for each run, however many rows it has. A run of several tables counts in each. */
function orphansIn(table: (typeof TABLES)[number]): string {
  const runIds =
    table === "tag"
      ? "SELECT DISTINCT run_id AS id FROM tag"
      : `WITH RECURSIVE owner (id) AS (SELECT min(run_id) FROM ${table}
          UNION ALL SELECT (SELECT min(run_id) FROM ${table} WHERE run_id > owner.id) FROM owner WHERE id IS NOT NULL)
        SELECT id FROM owner WHERE id IS NOT NULL`;
  return `SELECT count(*) FROM (SELECT 1 FROM (${runIds}) AS found
    WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.id = found.id) AND NOT EXISTS (SELECT 1 FROM trash WHERE trash.run_id = found.id) LIMIT ${ORPHANS_MAX})`;
}

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get()!)[0]);
}
