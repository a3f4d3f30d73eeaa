/**
 * A connection to one SQLite file: statements made once, transactions, and the fail stop. A full disk and a busy file
 * leave it usable; after any other failure nothing is read or written through it.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { PawlError } from "../errors.ts";
import { type FileOptions, isBusy, openDatabase, sqliteCode } from "./open-database.ts";
import { SideLocks } from "./side-locks.ts";

const SQLITE_FULL = 13;

/** Was there no space? Then nothing of the transaction was done. */
export function isFull(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_FULL;
}

export class SqliteConnection {
  /** Of the epochs of this process; they end with a failure. */
  readonly locks: SideLocks;
  readonly #database: DatabaseSync;
  readonly #isReadOnly: boolean;
  readonly #statements = new Map<string, StatementSync>();
  #failure: PawlError | undefined;

  constructor(path: string, options: FileOptions) {
    const { database, isReadOnly } = openDatabase(path, options);
    this.#database = database;
    this.#isReadOnly = isReadOnly;
    this.locks = new SideLocks(path);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
    this.locks.freeAll();
  }

  /** Another number than last time when another connection has written meanwhile. */
  dataVersion(): number {
    return (this.get("PRAGMA data_version") as { data_version: number }).data_version;
  }

  /** A function of one text that statements may use. */
  define(name: string, call: (text: string | null) => SQLInputValue): void {
    this.#database.function(name, { deterministic: true }, (text) => call(text as string | null));
  }

  run(sql: string, ...values: SQLInputValue[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#prepare(sql).run(...values);
  }

  changed(sql: string, ...values: SQLInputValue[]): boolean {
    return this.run(sql, ...values).changes === 1;
  }

  /** The first row, if there is one. */
  get(sql: string, ...values: SQLInputValue[]): unknown {
    return this.#prepare(sql).get(...values);
  }

  /** All rows, in the shape that the statement gives them. */
  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** All of the work or nothing of it. */
  transaction<T>(work: () => T): T {
    if (this.#isReadOnly) throw new PawlError("PAWL_READ_ONLY");
    return this.#enclosed("BEGIN IMMEDIATE", work);
  }

  #enclosed<T>(begin: string, work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    this.run(begin);
    try {
      const result = work();
      this.run("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.run("ROLLBACK");
      throw error;
    }
  }

  /** A write that is no commit of a run: a full disk is an error here, and another try is welcome. */
  write<T>(work: () => T): T {
    try {
      return this.transaction(work);
    } catch (error) {
      if (isFull(error)) throw new PawlError("PAWL_STORE_FULL", { cause: error });
      throw this.failUnlessBusy(error);
    }
  }

  read<T>(work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return work();
    } catch (error) {
      throw this.failUnlessBusy(error);
    }
  }

  /** Several reads that see the same state of the file. */
  snapshot<T>(work: () => T): T {
    return this.read(() => this.#enclosed("BEGIN", work));
  }

  /** Another connection holds the file for a moment, or it is not written at all: nothing was done, and nothing is lost. */
  failUnlessBusy(error: unknown): unknown {
    return isBusy(error) || error instanceof PawlError ? error : this.fail(error);
  }

  /** Fail stop: what the disk holds is no longer known, so nothing is read or acknowledged from here on. */
  fail(error: unknown): PawlError {
    if (this.#failure === undefined) {
      this.#failure = new PawlError("PAWL_STORE_FAILED", { cause: error });
      this.locks.freeAll();
    }
    return this.#failure;
  }
}
