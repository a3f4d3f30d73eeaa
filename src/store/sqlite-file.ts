/**
 * One SQLite file, spoken to synchronously: all SQL of pawl is here. WAL with synchronous=FULL, so that what is
 * answered is on the disk. A full disk is an outcome; any other failure makes the file *failed* for good.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { PawlError } from "../errors.ts";
import { type FileOptions, isBusy, openDatabase, sqliteCode, takeLock } from "./open-database.ts";
import {
  type Commit,
  type DueCursor,
  type HistoryRecord,
  type Outcome,
  type RunFilter,
  type RunRecord,
  type StoredActor,
  SUSPICION_WINDOW_MS,
  SUSPICIONS_MAX,
} from "./store.ts";

const SQLITE_FULL = 13;

const RUN_COLUMNS = `id, workflow, definition, status, body, checksum, wake_at AS wakeAt, created_at AS createdAt, updated_at AS updatedAt,
  commit_no AS commitNo, epoch, suspicion, reason`;
const ACTOR_COLUMNS = "key, commit_no AS commitNo, status, body, output, checksum";
/** The statements of the hot paths, made once. */
const READ_RUN = `SELECT ${RUN_COLUMNS} FROM run WHERE id = ?`;
const READ_ACTOR = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ? AND key = ?`;
const READ_ACTORS = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ?`;

export class SqliteFile {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();
  #lock: DatabaseSync | undefined;
  #failure: PawlError | undefined;

  constructor(path: string, options: FileOptions) {
    this.#path = path;
    this.#database = openDatabase(path, options);
  }

  openEpoch(at: number): number {
    this.#lock = takeLock(`${this.#path}-lock`);
    return this.#guard(() => Number(this.#run("INSERT INTO epoch (opened_at) VALUES (?)", at).lastInsertRowid));
  }

  commit(group: readonly Commit[]): Outcome[] {
    try {
      return this.#transaction(() => group.map((commit) => this.#apply(commit)));
    } catch (error) {
      if (sqliteCode(error) === SQLITE_FULL) return group.map(() => "full");
      throw this.#failUnlessBusy(error);
    }
  }

  #apply(commit: Commit): Outcome {
    const commitNo = commit.from + 1;
    if (!(commit.from === 0 ? this.#create(commit) : this.#update(commit, commitNo))) return "fenced";
    for (const actor of commit.actors) {
      this.#run(
        `INSERT INTO actor (run_id, key, commit_no, status, body, output, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run_id, key) DO UPDATE SET commit_no = excluded.commit_no, status = excluded.status, body = excluded.body,
         output = excluded.output, checksum = excluded.checksum`,
        commit.runId,
        actor.key,
        commitNo,
        actor.status,
        actor.body,
        actor.output,
        actor.checksum,
      );
    }
    this.#run("INSERT INTO history (run_id, commit_no, at, body) VALUES (?, ?, ?, ?)", commit.runId, commitNo, commit.at, commit.history);
    return "committed";
  }

  #create({ runId, epoch, at, run }: Commit): boolean {
    return this.#changed(
      `INSERT INTO run (id, workflow, definition, status, body, checksum, wake_at, created_at, updated_at, commit_no, epoch, finished)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (id) DO NOTHING`,
      runId,
      run.workflow,
      run.definition,
      run.status,
      run.body,
      run.checksum,
      run.wakeAt,
      at,
      at,
      epoch,
      Number(run.finished),
    );
  }

  /** The fence: matches no row unless this epoch owns the run and nothing was committed in between. */
  #update({ runId, from, epoch, at, run }: Commit, commitNo: number): boolean {
    return this.#changed(
      `UPDATE run SET status = ?, body = ?, checksum = ?, wake_at = ?, updated_at = ?, commit_no = ?, finished = ?
       WHERE id = ? AND commit_no = ? AND epoch = ? AND finished = 0`,
      run.status,
      run.body,
      run.checksum,
      run.wakeAt,
      at,
      commitNo,
      Number(run.finished),
      runId,
      from,
      epoch,
    );
  }

  /** Runs under suspicion come last and one at a time, so that the innocent are loaded before the culprit strikes. */
  claim(epoch: number, definitions: readonly string[], at: number, limit: number): RunRecord[] {
    return this.#write(() => {
      const wanted = JSON.stringify(definitions);
      let batch: Record<string, unknown>[] = [];
      for (let suspicion = 0; suspicion <= SUSPICIONS_MAX + 1 && batch.length === 0; suspicion++) {
        batch = this.#all(
          `SELECT id FROM run WHERE finished = 0 AND suspicion = ? AND epoch < ? AND definition IN (SELECT value FROM json_each(?)) LIMIT ?`,
          suspicion,
          epoch,
          wanted,
          suspicion > 0 ? 1 : limit,
        );
      }
      return batch.map(({ id }) => {
        this.#run(
          "UPDATE run SET epoch = ?, suspicion = CASE WHEN ? - suspected_at > ? THEN 1 ELSE min(suspicion + 1, ?) END, suspected_at = ? WHERE id = ?",
          epoch,
          at,
          SUSPICION_WINDOW_MS,
          SUSPICIONS_MAX + 1,
          at,
          id as string,
        );
        return this.#get(READ_RUN, id as string) as unknown as RunRecord;
      });
    });
  }

  absolve(epoch: number, runIds: readonly string[]): void {
    this.#write(() => {
      for (const id of runIds) this.#run("UPDATE run SET suspicion = 0 WHERE id = ? AND epoch = ? AND suspicion <> 0", id, epoch);
    });
  }

  quarantine(epoch: number, runId: string, reason: string, at: number): void {
    this.#write(() =>
      this.#run(
        "UPDATE run SET status = 'quarantined', finished = 1, wake_at = NULL, reason = ?, updated_at = ? WHERE id = ? AND epoch = ? AND finished = 0",
        reason,
        at,
        runId,
        epoch,
      ),
    );
  }

  readRun(runId: string): RunRecord | undefined {
    return this.#guard(() => this.#get(READ_RUN, runId) as unknown as RunRecord | undefined);
  }

  readActors(runId: string, keys?: readonly string[]): StoredActor[] {
    return this.#guard(() => {
      if (keys === undefined) return this.#all(READ_ACTORS, runId) as unknown as StoredActor[];
      return keys.flatMap((key) => (this.#get(READ_ACTOR, runId, key) as unknown as StoredActor) ?? []);
    });
  }

  readHistory(runId: string, afterCommitNo: number, limit: number): HistoryRecord[] {
    return this.#guard(
      () =>
        this.#all(
          "SELECT commit_no AS commitNo, at, body FROM history WHERE run_id = ? AND commit_no > ? ORDER BY commit_no LIMIT ?",
          runId,
          afterCommitNo,
          limit,
        ) as unknown as HistoryRecord[],
    );
  }

  listRuns({ status, workflow, after, limit }: RunFilter): RunRecord[] {
    return this.#guard(
      () =>
        this.#all(
          `SELECT ${RUN_COLUMNS} FROM run WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow = ?2)
           AND (?3 IS NULL OR (created_at, id) < (SELECT created_at, id FROM run WHERE id = ?3))
           ORDER BY created_at DESC, id DESC LIMIT ?4`,
          status ?? null,
          workflow ?? null,
          after ?? null,
          limit,
        ) as unknown as RunRecord[],
    );
  }

  dueRuns(epoch: number, now: number, after: DueCursor, limit: number): { due: RunRecord[]; nextAt: number | null } {
    return this.#guard(() => {
      const waiting = "FROM run WHERE finished = 0 AND epoch = ? AND wake_at IS NOT NULL";
      const page = `SELECT ${RUN_COLUMNS} ${waiting} AND wake_at <= ? AND (wake_at, id) > (?, ?) ORDER BY wake_at, id LIMIT ?`;
      const due = this.#all(page, epoch, now, after.wakeAt, after.id, limit);
      const next = this.#get(`SELECT min(wake_at) AS nextAt ${waiting} AND wake_at > ?`, epoch, now) as { nextAt: number | null };
      return { due: due as unknown as RunRecord[], nextAt: next.nextAt };
    });
  }

  readyRuns(epoch: number, after: string, limit: number): RunRecord[] {
    return this.#guard(
      () =>
        this.#all(
          `SELECT ${RUN_COLUMNS} FROM run WHERE finished = 0 AND wake_at IS NULL AND epoch = ? AND id > ? ORDER BY id LIMIT ?`,
          epoch,
          after,
          limit,
        ) as unknown as RunRecord[],
    );
  }

  writeDefinition(hash: string, workflow: string, body: string): void {
    this.#write(() => this.#run("INSERT INTO definition (hash, workflow, body) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING", hash, workflow, body));
  }

  readDefinition(hash: string): string | undefined {
    return this.#guard(() => (this.#get("SELECT body FROM definition WHERE hash = ?", hash) as { body: string } | undefined)?.body);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
    this.#lock?.close();
    this.#lock = undefined;
  }

  // ---- statements

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #run(sql: string, ...values: SQLInputValue[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#prepare(sql).run(...values);
  }

  #changed(sql: string, ...values: SQLInputValue[]): boolean {
    return this.#run(sql, ...values).changes === 1;
  }

  #get(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#prepare(sql).all(...values);
  }

  #transaction<T>(work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    this.#run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#run("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#run("ROLLBACK");
      throw error;
    }
  }

  /** A write that is no commit of a run: a full disk is an error here, and another try is welcome. */
  #write<T>(work: () => T): T {
    try {
      return this.#transaction(work);
    } catch (error) {
      if (sqliteCode(error) === SQLITE_FULL) throw new PawlError("PAWL_STORE_FULL", { cause: error });
      throw this.#failUnlessBusy(error);
    }
  }

  #guard<T>(work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return work();
    } catch (error) {
      throw this.#failUnlessBusy(error);
    }
  }

  /** Another connection holds the file for a moment: nothing was done, and the caller may try again. */
  #failUnlessBusy(error: unknown): unknown {
    return isBusy(error) ? error : this.fail(error);
  }

  /** Fail stop: what the disk holds is no longer known, so nothing is read or acknowledged from here on. */
  fail(error: unknown): PawlError {
    if (this.#failure === undefined) {
      this.#failure = new PawlError("PAWL_STORE_FAILED", { cause: error });
      this.#lock?.close();
      this.#lock = undefined;
    }
    return this.#failure;
  }
}
