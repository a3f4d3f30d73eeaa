/**
 * The floor `bare`: the very rows that a run of pawl leaves behind, written again by node:sqlite alone, in the same
 * groups, to the same tables and indexes, in WAL with synchronous=FULL. Which rows and groups is recorded from a run.
 * NOT part of it: making the rows, checksums, and reading. A row that was written twice counts once, with its last text.
 */
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { runAll, watchGroups, withPawl, workflowOf } from "./durable.ts";
import type { Graph } from "./graphs.ts";
import { inTemporaryFolder, timed } from "./harness.ts";

type StoredRow = Record<string, SQLInputValue>;

interface Write {
  readonly statement: number;
  readonly values: readonly SQLInputValue[];
}

/** What changes in a run's row: no more is written, so that no index is touched without need. */
const AT_EACH_COMMIT = ["commit_no", "updated_at", "body", "checksum"];
const AT_THE_END = [...AT_EACH_COMMIT, "status", "finished", "wake_at"];

/** What was written: transactions of writes. */
export interface Recording {
  readonly schema: readonly string[];
  readonly statements: readonly string[];
  readonly groups: readonly (readonly Write[])[];
}

/** Runs the graph once and takes down what was written. */
export function record(graph: Graph, runs: number, inFlight: number): Promise<Recording> {
  return withPawl(async (pawl, file) => {
    const watch = watchGroups(pawl);
    await runAll(pawl, workflowOf(graph), runs, inFlight);
    watch.stop();
    return readRecording(
      file,
      watch.groups.map((group) => group.map(({ runId, commitNo }) => [runId, commitNo] as const)),
    );
  });
}

function readRecording(file: string, commits: readonly (readonly (readonly [runId: string, commitNo: number])[])[]): Recording {
  const database = new DatabaseSync(file, { readOnly: true });
  const all = (sql: string): StoredRow[] => database.prepare(sql).all();
  const schema = all("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'").map((row) => row["sql"] as string);
  const runs = new Map(all("SELECT * FROM run").map((row) => [row["id"], row]));
  const actors = Map.groupBy(all("SELECT * FROM actor"), commitOf);
  const histories = Map.groupBy(all("SELECT * FROM history"), commitOf);
  database.close();
  const statements: string[] = [];
  const numberOf = (sql: string): number => (statements.includes(sql) ? statements.indexOf(sql) : statements.push(sql) - 1);
  const insert = (table: string, row: StoredRow): Write => ({ statement: numberOf(insertSql(table, row)), values: Object.values(row) });
  const update = (row: StoredRow, columns: readonly string[]): Write => ({
    statement: numberOf(`UPDATE run SET ${columns.map((column) => `${column} = ?`).join(", ")} WHERE id = ?`),
    values: [...columns, "id"].map((column) => row[column]!),
  });
  const groups = commits.map((group) =>
    group.flatMap(([runId, commitNo]) => {
      const last = runs.get(runId)!;
      const run = { ...last, commit_no: commitNo, finished: commitNo === last["commit_no"] ? 1 : 0 };
      const key = `${runId} ${commitNo}`;
      const write = commitNo === 1 ? insert("run", run) : update(run, run.finished === 1 ? AT_THE_END : AT_EACH_COMMIT);
      return [write, ...(actors.get(key) ?? []).map((row) => insert("actor", row)), ...(histories.get(key) ?? []).map((row) => insert("history", row))];
    }),
  );
  return { schema, statements, groups };
}

function commitOf(row: StoredRow): string {
  return `${row["run_id"] as string} ${row["commit_no"] as number}`;
}

function insertSql(table: string, row: StoredRow): string {
  const columns = Object.keys(row);
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
}

/** The ms that writing it again takes. */
export function bareMs({ schema, statements, groups }: Recording): Promise<number> {
  return inTemporaryFolder(async (folder) => {
    const database = new DatabaseSync(join(folder, "bare.db"));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    for (const sql of schema) database.exec(sql);
    const prepared = statements.map((sql) => database.prepare(sql));
    const begin = database.prepare("BEGIN IMMEDIATE");
    const commit = database.prepare("COMMIT");
    const tookMs = await timed(() => {
      for (const group of groups) {
        begin.run();
        for (const { statement, values } of group) prepared[statement]!.run(...values);
        commit.run();
      }
    });
    database.close();
    return tookMs;
  });
}
