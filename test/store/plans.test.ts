/**
 * How SQLite carries out the statements of the SQLite store: what they find by an index, however many rows there are,
 * and what they write. Plans, not times.
 */
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { type Store, WAITS_FOR_EVENT } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./contract.ts";

const NOW = 1_700_000_000_000;
const KNOWN = ["hash", "further"];

const folder = temporaryFolder();
let files = 0;
let path: string;
let store: Store;
let epoch: number;

beforeEach(async () => {
  path = join(folder.path, `${++files}.db`);
  store = openSqliteStore(path, { readOnly: false });
  epoch = await store.openEpoch(NOW);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await store.close();
});

/** The statements that are executed meanwhile, in order. */
async function executed(work: () => Promise<unknown>): Promise<string[]> {
  const statements: string[] = [];
  for (const method of ["run", "get", "all"] as const) {
    const original = StatementSync.prototype[method] as (...values: unknown[]) => unknown;
    vi.spyOn(StatementSync.prototype, method).mockImplementation(function (this: StatementSync, ...values: unknown[]) {
      statements.push(this.sourceSQL.replace(/\s+/g, " "));
      return original.apply(this, values) as never;
    });
  }
  await work();
  vi.restoreAllMocks();
  return statements;
}

/** Runs a question about a statement on a connection of its own. */
function explained(question: "EXPLAIN" | "EXPLAIN QUERY PLAN", sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare(`${question} ${sql}`).all();
  } finally {
    database.close();
  }
}

const planOf = (sql: string): string[] => explained("EXPLAIN QUERY PLAN", sql).map((row) => String(row["detail"]));

/** Sleeping runs, runs of unknown definitions that are due for ever, and a few that can be claimed; then a new epoch. */
async function fill(): Promise<void> {
  const of = (kind: string, count: number, run: Parameters<typeof commitOf>[3]): ReturnType<typeof commitOf>[] =>
    Array.from({ length: count }, (_, i) => commitOf(`${kind}${i}`, 0, epoch, run));
  await store.commit([
    ...of("asleep", 2000, { run: { wakeAt: NOW + 1000 } }),
    ...of("event", 500, { run: { wakeAt: WAITS_FOR_EVENT } }),
    ...of("unknown", 500, { run: { definition: "unknown" } }),
    ...of("strange", 500, { run: { definition: "strange", wakeAt: NOW - 1 } }),
    ...of("ready", 5, {}),
    ...of("due", 5, { run: { wakeAt: NOW } }),
  ]);
  await store.close();
  store = openSqliteStore(path, { readOnly: false });
  epoch = await store.openEpoch(NOW);
}

/** Everything that a worker asks at its start and again and again. */
async function ask(): Promise<void> {
  while ((await store.claim(epoch, KNOWN, NOW, NOW, 3)).length > 0);
  await store.dueRuns(epoch, KNOWN, NOW, { wakeAt: 0, id: "" }, 10);
  await store.readyRuns(epoch, "", 10);
  await store.claimRun(epoch, "event7", NOW);
  await store.inboxRuns("", 10);
  await store.readInbox("event7");
  await store.readEvent("event7", "e");
  await store.definitionsOf("flow");
}

describe.each([
  ["without statistics", false],
  ["with statistics of its rows", true],
])("in a file %s", (_, isAnalyzed) => {
  beforeEach(async () => {
    await fill();
    if (!isAnalyzed) return;
    const other = new DatabaseSync(path);
    other.exec("ANALYZE");
    other.close();
    await store.close();
    store = openSqliteStore(path, { readOnly: false });
    epoch = await store.openEpoch(NOW);
  });

  test("no question of a worker scans or sorts a table", async () => {
    const statements = [...new Set(await executed(ask))].filter((sql) => /^(WITH|SELECT|UPDATE|DELETE)/.test(sql));
    expect(statements.length).toBeGreaterThanOrEqual(10);
    for (const sql of statements) {
      const steps = planOf(sql);
      expect(
        steps.filter((step) => /TEMP B-TREE|SCAN (run|inbox|event|definition|actor)\b/.test(step)),
        sql,
      ).toEqual([]);
      expect(
        steps.some((step) => step.startsWith("SEARCH ")),
        sql,
      ).toBe(true);
    }
  });

  test("runs are sought by definition and by owner, each with all terms of its index", async () => {
    const plans = [...new Set(await executed(ask))].filter((sql) => /^(WITH|SELECT)/.test(sql)).map((sql) => planOf(sql).join("; "));
    for (const plan of [
      /run_definition_ready \(definition=\? AND suspicion=\? AND epoch<\?\)$/,
      /^SEARCH run USING COVERING INDEX run_definition_wake \(definition=\? AND suspicion=\? AND wake_at>\? AND wake_at<\?\)$/,
      /SUBQUERY \d; SEARCH run USING COVERING INDEX run_definition_wake \(definition=\? AND suspicion=\? AND wake_at>\? AND wake_at<\?\)$/,
      /^SEARCH run USING INDEX run_wake \(epoch=\? AND \(wake_at,id\)>\(\?,\?\) AND wake_at<\?\)$/,
      /^SEARCH run USING INDEX run_ready \(epoch=\? AND id>\?\)$/,
      /^SEARCH definition USING COVERING INDEX definition_workflow \(workflow=\?\)$/,
    ])
      expect(plans.filter((found) => plan.test(found)).length, `${String(plan)} in\n${plans.join("\n")}`).toBe(1);
  });
});

test("a claim reads the rows that it takes, and no others", async () => {
  await fill();
  const statements = await executed(() => store.claim(epoch, KNOWN, NOW, NOW, 10));
  expect(statements.filter((sql) => sql.startsWith("UPDATE"))).toHaveLength(10);
  expect(statements.length).toBeLessThanOrEqual(2 + 10 + 2 * KNOWN.length);
});

test("a commit without posts, events and so on executes no statement for them", async () => {
  const tables = async (commit: ReturnType<typeof commitOf>): Promise<string[]> =>
    (await executed(() => store.commit([commit]))).map((sql) => /^(?:\w+ )(?:INTO |FROM )?\w+/.exec(sql)?.[0] ?? sql);
  const actor = { key: "a", status: "completed", body: "{}", output: null, checksum: 1 };
  expect(await tables(commitOf("r", 0, epoch))).toEqual(["BEGIN IMMEDIATE", "INSERT INTO run", "INSERT INTO history", "COMMIT"]);
  const plain = ["BEGIN IMMEDIATE", "UPDATE run", "INSERT INTO actor", "INSERT INTO history", "COMMIT"];
  expect(await tables(commitOf("r", 1, epoch, { actors: [actor] }))).toEqual(plain);
  expect(await tables(commitOf("r", 2, epoch, { actors: [actor], run: { wakeAt: NOW } }))).toEqual(plain);
});

test("a commit of a run that goes on as before writes no index of the runs; one that changes what it waits for does", async () => {
  await store.commit([commitOf("r", 0, epoch)]);
  const written = async (from: number, wakeAt: number | null): Promise<number> => {
    const [update] = (await executed(() => store.commit([commitOf("r", from, epoch, { run: { wakeAt } })])))
      .filter((sql) => sql.startsWith("UPDATE"))
      .slice(-1);
    return explained("EXPLAIN", update!).filter((row) => row["opcode"] === "OpenWrite").length;
  };
  expect(await written(1, null)).toBe(1);
  expect(await written(2, WAITS_FOR_EVENT)).toBe(5);
  expect(await written(3, WAITS_FOR_EVENT)).toBe(1);
  expect(await written(4, NOW)).toBe(5);
});

test("besides the list of all runs, two indexes hold a run that is ready, two one that waits, and none a finished one", async () => {
  const database = new DatabaseSync(path, { readOnly: true });
  const indexes = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'run' AND sql IS NOT NULL").all();
  database.close();
  const ending = (clause: RegExp): number => indexes.filter((index) => clause.test(String(index["sql"]))).length;
  expect([ending(/wake_at IS NULL$/), ending(/wake_at IS NOT NULL$/), ending(/\)$/)]).toEqual([2, 2, 1]);
});
