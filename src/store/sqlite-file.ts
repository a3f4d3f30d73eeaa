/**
 * One SQLite file, spoken to synchronously: the SQL of runs, their rows and definitions; commits are in
 * sqlite-commit.ts. WAL with synchronous=FULL, so that what is answered is on the disk. A full disk is an outcome; any
 * other failure makes the file *failed* for good.
 */
import type { SQLInputValue } from "node:sqlite";
import type { FileOptions } from "./open-database.ts";
import { applyCommit } from "./sqlite-commit.ts";
import { isFull, SqliteConnection } from "./sqlite-connection.ts";
import {
  type Commit,
  type DueCursor,
  type HistoryRecord,
  type InboxRecord,
  type Outcome,
  type RunFilter,
  type RunRecord,
  type StoredActor,
  SUSPICION_WINDOW_MS,
  SUSPICIONS_MAX,
  WAITS_FOR_EVENT,
} from "./store.ts";

const RUN_COLUMNS = `id, workflow, definition, status, body, checksum, wake_at AS wakeAt, created_at AS createdAt, updated_at AS updatedAt,
  commit_no AS commitNo, epoch, suspicion, reason`;
const ACTOR_COLUMNS = "key, commit_no AS commitNo, status, body, output, checksum";

/** Partial indexes serve only who repeats their conditions to the letter. */
const READY = "finished = 0 AND wake_at IS NULL";
const WAITING = "finished = 0 AND wake_at IS NOT NULL";

const READ_RUN = `SELECT ${RUN_COLUMNS} FROM run WHERE id = ?`;
const READ_ACTOR = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ? AND key = ?`;
const READ_ACTORS = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ?`;
const READ_HISTORY = "SELECT commit_no AS commitNo, at, body FROM history WHERE run_id = ? AND commit_no > ? ORDER BY commit_no LIMIT ?";
const READ_INBOX = "SELECT number, body FROM inbox WHERE run_id = ? ORDER BY number";
/** One step into the index for each run, however full its inbox is. */
const INBOX_RUNS = `WITH RECURSIVE addressed (id) AS (SELECT min(run_id) FROM inbox WHERE run_id > ?
    UNION ALL SELECT (SELECT min(run_id) FROM inbox WHERE run_id > addressed.id) FROM addressed WHERE id IS NOT NULL)
  SELECT run.id FROM addressed CROSS JOIN run ON run.id = addressed.id WHERE run.finished = 0 LIMIT ?`;
const READ_EVENT = "SELECT commit_no AS commitNo FROM event WHERE run_id = ? AND id = ?";
const LIST_RUNS = `SELECT ${RUN_COLUMNS} FROM run WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow = ?2) AND (?3 = 0 OR finished = 0)
  AND (?4 IS NULL OR (created_at, id) < (SELECT created_at, id FROM run WHERE id = ?4)) ORDER BY created_at DESC, id DESC LIMIT ?5`;

const UNCLAIMED_READY = `SELECT id FROM run WHERE ${READY} AND definition = ? AND suspicion = ? AND epoch < ? LIMIT ?`;
/** The plus keeps SQLite from seeking by owner: that would walk through all that earlier owners left asleep. */
const UNCLAIMED_DUE = `SELECT id, wake_at AS wakeAt FROM run
  WHERE ${WAITING} AND definition = ? AND suspicion = ? AND +epoch < ? AND wake_at <= ? ORDER BY wake_at LIMIT ?`;
const TAKE_OVER = `UPDATE run SET epoch = ?1, suspected_at = ?2,
  suspicion = CASE WHEN ?2 - suspected_at > ${SUSPICION_WINDOW_MS} THEN 1 ELSE min(suspicion + 1, ${SUSPICIONS_MAX + 1}) END
  WHERE id = ?3 AND finished = 0 AND epoch < ?1 RETURNING ${RUN_COLUMNS}`;
const READ_OWNED = `${READ_RUN} AND epoch = ? AND finished = 0`;
const OWNED_DUE = `SELECT ${RUN_COLUMNS} FROM run WHERE ${WAITING} AND epoch = ? AND wake_at <= ? AND (wake_at, id) > (?, ?) ORDER BY wake_at, id LIMIT ?`;
const OWNED_READY = `SELECT ${RUN_COLUMNS} FROM run WHERE ${READY} AND epoch = ? AND id > ? ORDER BY id LIMIT ?`;
/** One step into the index for each definition and suspicion, however many runs sleep. */
const NEXT_WAKE = `SELECT min((SELECT wake_at FROM run WHERE ${WAITING} AND definition = wanted.value AND suspicion = level.value
    AND wake_at > ? AND wake_at < ${WAITS_FOR_EVENT} ORDER BY wake_at LIMIT 1)) AS nextAt
  FROM json_each(?) AS wanted, json_each(?) AS level`;

/** From the innocent to those that are set aside at their next load. */
const SUSPICIONS = Array.from({ length: SUSPICIONS_MAX + 2 }, (_, suspicion) => suspicion);

export class SqliteFile {
  readonly #connection: SqliteConnection;

  constructor(path: string, options: FileOptions) {
    this.#connection = new SqliteConnection(path, options);
  }

  openEpoch(at: number): number {
    this.#connection.lock();
    return this.#connection.read(() => Number(this.#connection.run("INSERT INTO epoch (opened_at) VALUES (?)", at).lastInsertRowid));
  }

  commit(group: readonly Commit[]): Outcome[] {
    try {
      return this.#connection.transaction(() => group.map((commit) => applyCommit(this.#connection, commit)));
    } catch (error) {
      if (isFull(error)) return group.map(() => "full");
      throw this.#connection.failUnlessBusy(error);
    }
  }

  /** Runs under suspicion come last and one at a time, so that the innocent are loaded before the culprit strikes. */
  claim(epoch: number, definitions: readonly string[], at: number, now: number, limit: number): RunRecord[] {
    return this.#connection.write(() => {
      for (const suspicion of SUSPICIONS) {
        const ids = this.#unclaimed(epoch, definitions, suspicion, now, suspicion > 0 ? 1 : limit);
        if (ids.length > 0) return ids.flatMap((id) => this.#takeOver(epoch, id, at) ?? []);
      }
      return [];
    });
  }

  /** Asked definition by definition, so that the runs of others, and those that sleep, are not walked through. */
  #unclaimed(epoch: number, definitions: readonly string[], suspicion: number, now: number, limit: number): string[] {
    const ids: string[] = [];
    for (const definition of definitions) {
      for (const { id } of this.#connection.all<{ id: string }>(UNCLAIMED_READY, definition, suspicion, epoch, limit - ids.length)) ids.push(id);
      if (ids.length === limit) return ids;
    }
    const due = definitions.flatMap((definition) =>
      this.#connection.all<{ id: string; wakeAt: number }>(UNCLAIMED_DUE, definition, suspicion, epoch, now, limit - ids.length),
    );
    due.sort((a, b) => a.wakeAt - b.wakeAt);
    return [...ids, ...due.map(({ id }) => id)].slice(0, limit);
  }

  #takeOver(epoch: number, runId: string, at: number): RunRecord | undefined {
    return this.#connection.get(TAKE_OVER, epoch, at, runId) as RunRecord | undefined;
  }

  claimRun(epoch: number, runId: string, at: number): RunRecord | undefined {
    return this.#connection.write(() => this.#takeOver(epoch, runId, at) ?? (this.#connection.get(READ_OWNED, runId, epoch) as RunRecord | undefined));
  }

  absolve(epoch: number, runIds: readonly string[]): void {
    this.#connection.write(() => {
      for (const id of runIds) this.#connection.run("UPDATE run SET suspicion = 0 WHERE id = ? AND epoch = ? AND suspicion <> 0", id, epoch);
    });
  }

  quarantine(epoch: number, runId: string, reason: string, at: number): void {
    this.#connection.write(() =>
      this.#connection.run(
        "UPDATE run SET status = 'quarantined', finished = 1, wake_at = NULL, reason = ?, updated_at = ? WHERE id = ? AND epoch = ? AND finished = 0",
        reason,
        at,
        runId,
        epoch,
      ),
    );
  }

  readRun(runId: string): RunRecord | undefined {
    return this.#get(READ_RUN, runId) as RunRecord | undefined;
  }

  readActors(runId: string, keys?: readonly string[]): StoredActor[] {
    if (keys === undefined) return this.#all(READ_ACTORS, runId);
    return this.#connection.read(() => keys.flatMap((key) => (this.#connection.get(READ_ACTOR, runId, key) as StoredActor | undefined) ?? []));
  }

  readHistory(runId: string, afterCommitNo: number, limit: number): HistoryRecord[] {
    return this.#all(READ_HISTORY, runId, afterCommitNo, limit);
  }

  readInbox(runId: string): InboxRecord[] {
    return this.#all(READ_INBOX, runId);
  }

  inboxRuns(after: string, limit: number): string[] {
    return this.#all<{ id: string }>(INBOX_RUNS, after, limit).map(({ id }) => id);
  }

  readEvent(runId: string, eventId: string): number | undefined {
    return (this.#get(READ_EVENT, runId, eventId) as { commitNo: number } | undefined)?.commitNo;
  }

  listRuns({ status, workflow, unfinished, after, limit }: RunFilter): RunRecord[] {
    return this.#all(LIST_RUNS, status ?? null, workflow ?? null, Number(unfinished === true), after ?? null, limit);
  }

  dueRuns(epoch: number, definitions: readonly string[], now: number, after: DueCursor, limit: number): { due: RunRecord[]; nextAt: number | null } {
    const due = this.#all<RunRecord>(OWNED_DUE, epoch, now, after.wakeAt, after.id, limit);
    const { nextAt } = this.#get(NEXT_WAKE, now, JSON.stringify(definitions), JSON.stringify(SUSPICIONS)) as { nextAt: number | null };
    return { due, nextAt };
  }

  readyRuns(epoch: number, after: string, limit: number): RunRecord[] {
    return this.#all(OWNED_READY, epoch, after, limit);
  }

  writeDefinition(hash: string, workflow: string, body: string): void {
    this.#connection.write(() =>
      this.#connection.run("INSERT INTO definition (hash, workflow, body) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING", hash, workflow, body),
    );
  }

  readDefinition(hash: string): string | undefined {
    return (this.#get("SELECT body FROM definition WHERE hash = ?", hash) as { body: string } | undefined)?.body;
  }

  definitionsOf(workflow: string): string[] {
    return this.#all<{ hash: string }>("SELECT hash FROM definition WHERE workflow = ? ORDER BY hash", workflow).map(({ hash }) => hash);
  }

  fail(error: unknown): Error {
    return this.#connection.fail(error);
  }

  close(): void {
    this.#connection.close();
  }

  #get(sql: string, ...values: SQLInputValue[]): unknown {
    return this.#connection.read(() => this.#connection.get(sql, ...values));
  }

  #all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#connection.read(() => this.#connection.all<Row>(sql, ...values));
  }
}
