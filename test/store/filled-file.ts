/**
 * A store's file made by hand, row by row: for tests of what is done with files. Every run has as many rows of history
 * as it has commits, so that a copy of two instants would show.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { APPLICATION_ID, MIGRATIONS } from "../../src/store/migrations.ts";

/** Makes a store with ended runs; answers its connection. */
export function fillFile(path: string, runs: number, schema = MIGRATIONS.length): DatabaseSync {
  const database = new DatabaseSync(path);
  chmodSync(path, 0o600);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  for (const step of MIGRATIONS.slice(0, schema)) database.exec(step);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${schema}; BEGIN`);
  for (let i = 0; i < runs; i++) insertRun(database, `run-${i}`, 2);
  database.exec("COMMIT");
  return database;
}

/** A run with this many commits. */
export function insertRun(database: DatabaseSync, id: string, commits: number): void {
  database
    .prepare(
      `INSERT INTO run (id, workflow, definition, status, body, checksum, wake_at, created_at, updated_at, commit_no, epoch, finished)
       VALUES (?, 'flow', 'hash', 'completed', '{}', 7, NULL, 1000, ?, ?, 1, 1)`,
    )
    .run(id, 1_000 + commits, commits);
  const history = database.prepare("INSERT INTO history (run_id, commit_no, at, body) VALUES (?, ?, ?, ?)");
  for (let commitNo = 1; commitNo <= commits; commitNo++) history.run(id, commitNo, 1_000 + commitNo, "x".repeat(200));
}

/** How many runs there are, and whether the file is whole and of one instant. */
export function contentOf(path: string): { runs: number; isWhole: boolean; epochs: number } {
  const database = new DatabaseSync(path);
  try {
    const one = (sql: string): number => Number(Object.values(database.prepare(sql).get()!)[0]);
    const isSound = Object.values(database.prepare("PRAGMA integrity_check").get()!)[0] === "ok";
    const runs = one("SELECT count(*) FROM run");
    const isWhole = isSound && one("SELECT sum(commit_no) FROM run") === one("SELECT count(*) FROM history");
    return { runs, isWhole: isWhole || (isSound && runs === 0), epochs: one("SELECT count(*) FROM epoch") };
  } finally {
    database.close();
  }
}

/** A process that adds runs to the file as fast as it can, until it is killed. */
export async function startBusyWriter(path: string): Promise<ChildProcess> {
  const writer = spawn(process.execPath, ["--conditions=pawl-source", fileURLToPath(new URL("busy-writer-child.ts", import.meta.url)), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(writer.stdout, "data");
  return writer;
}

export async function kill(process_: ChildProcess): Promise<void> {
  const gone = once(process_, "exit");
  if (process_.exitCode !== null || process_.signalCode !== null) return;
  process_.kill("SIGKILL");
  await gone;
}
