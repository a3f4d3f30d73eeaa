/**
 * How SQLite carries out the statements of the SQLite store: what they find by an index, however many rows there are,
 * and what they write. Plans, not times.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { type Commit, NOBODY, type RunFilter, type Store, WAITS_FOR_EVENT } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./commit-of.ts";

const NOW = 1_700_000_000_000;
const KNOWN = ["hash", "further"];

const actor = { key: "a", status: "completed", body: "{}", output: null, checksum: 1 };

const folder = temporaryFolder();
let files = 0;
let path: string;
let store: Store;
let epoch: number;

beforeEach(async () => {
  path = join(folder.path, `${++files}.db`);
  store = openSqliteStore(path, { mustExist: false });
  epoch = await store.openEpoch(NOW, "{}");
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
    ...of("over", 500, { facts: { subject: "s", tags: ["t"] }, run: { finished: true, status: "completed" } }),
  ]);
  await store.close();
  store = openSqliteStore(path, { mustExist: false });
  epoch = await store.openEpoch(NOW, "{}");
}

/** Everything that a worker asks at its start and again and again, beside other workers. */
async function ask(): Promise<void> {
  const others = [await store.openEpoch(NOW, "{}"), await store.openEpoch(NOW, "{}")];
  await store.closeEpoch(others[0]!);
  while ((await store.claim(epoch, KNOWN, NOW, NOW, 3)).length > 0);
  await store.hasUnowned(KNOWN);
  await store.beat(epoch, "{}");
  await store.isAbandoned(others[1]!);
  await store.release(epoch, ["ready1"]);
  await store.dueRuns(epoch, KNOWN, NOW, { wakeAt: 0, id: "" }, 10);
  await store.readyRuns(epoch, "", 10);
  await store.walkSleepers("", 10);
  await store.claimRun(epoch, "event7", NOW);
  await store.inboxRuns("", 10);
  await store.readInbox("event7", 0, 10);
  await store.readEvent("event7", "e");
  await store.definitionsOf("flow");
  const number = (await store.post({ runId: "event7", body: "x" }, 5))!;
  await store.inboxSince(0, 10);
  await store.readReplies([number]);
  await store.takeAnswers([number]);
  await store.commit([
    commitOf("event7", 1, epoch, { keepPast: { commits: 2, every: 1 }, actors: [actor], answers: [{ number, body: "y" }], consumed: [number] }),
  ]);
  for (const from of [2, 3]) await store.commit([commitOf("event7", from, epoch, { keepPast: { commits: 2, every: 1 }, actors: [actor] })]);
  await store.forgetAnswers(NOW + 1000, 10);
  await store.readPast("event7", 2);
  await store.firstPast("event7");
  await store.pastCommits("event7");
  await store.readChanges(await store.readLastChange(), 10);
  await store.addNotice({ id: "event7:4:x", runId: "event7", at: NOW, body: "{}" });
  await store.amend([
    { key: "a", amend: () => "x" },
    { key: "a", amend: () => undefined },
  ]);
  await store.readSharedSince(1);
  await store.forgetNotices((await store.readNotices(0, 10)).map(({ number }) => number));
}

/** Everything that people ask, and what cleans up. */
async function lookUp(): Promise<void> {
  const filters: Omit<RunFilter, "limit">[] = [
    {},
    { status: "failed" },
    { workflow: "flow" },
    { unfinished: true },
    { subject: "s" },
    { tag: "t" },
    { since: NOW },
    { until: NOW + 1 },
    { status: "failed", workflow: "flow", since: NOW, until: NOW + 9 },
    { tag: "t", subject: "s", status: "failed", since: NOW, until: NOW + 9 },
    { subject: "s", status: "failed" },
  ];
  for (const filter of filters) {
    const [first] = await store.listRuns({ ...filter, limit: 1 });
    await store.listRuns({ ...filter, limit: 1, after: first?.id ?? "ready1" });
  }
  await store.endedStatuses("hash", 10);
  for (const workflow of [undefined, "flow"]) {
    await store.countEnded({ status: "completed", endedBefore: NOW + 10, workflow });
    await store.discard({ status: "completed", endedBefore: NOW + 10, workflow }, 5);
  }
  await store.sweep(3);
  await store.sweep(1000);
  await store.discard({ status: "completed", endedBefore: NOW + 10 }, 1);
  await store.commit([commitOf("over0", 0, epoch), commitOf("over10", 0, epoch)]);
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
    store = openSqliteStore(path, { mustExist: false });
    epoch = await store.openEpoch(NOW, "{}");
  });

  test.for([
    ["a worker", ask],
    ["a person", lookUp],
  ] as const)("no question of %s scans or sorts a table", async ([, questions]) => {
    const asked = [...new Set(await executed(questions))].filter((sql) => /^(WITH|SELECT|UPDATE|DELETE)/.test(sql));
    // The list of all runs is its index, from the end.
    const statements = asked.filter((sql) => !/FROM run INDEXED BY run_created ORDER BY/.test(sql));
    expect(statements.length).toBeGreaterThanOrEqual(20);
    for (const sql of statements) {
      const steps = planOf(sql).filter((step) => !/^(MULTI-INDEX|SCAN (wanted|level|gap|free|json_each|addressed|ended)\b)/.test(step));
      expect(
        steps.filter((step) => /TEMP B-TREE|SCAN (run|inbox|event|definition|actor|answer|past|tag|history|notice|shared)\b/.test(step)),
        sql,
      ).toEqual([]);
      // The open epochs and the discarded runs are few, and are read from their beginning.
      expect(
        steps.some((step) => step.startsWith("SEARCH ") || /^SCAN (epoch|trash)/.test(step)) || /FROM (epoch ORDER|trash ORDER)/.test(sql),
        `${sql}: ${steps.join("; ")}`,
      ).toBe(true);
    }
  });

  const plansOf = async (questions: () => Promise<void>): Promise<string[]> =>
    [...new Set(await executed(questions))].filter((sql) => /^(WITH|SELECT|DELETE)/.test(sql)).map((sql) => planOf(sql).join("; "));

  test("runs are sought by definition and by owner, each with all terms of its index", async () => {
    const plans = await plansOf(ask);
    for (const [plan, count] of [
      [/^SEARCH run USING INDEX run_definition_ready \(definition=\? AND suspicion=\? AND epoch=\? AND rank<\?\)$/, 1],
      [/SCAN gap \S+ \S+ \S+ \S+; SEARCH run USING INDEX run_definition_ready \(definition=\? AND suspicion=\? AND epoch>\? AND epoch<\?\)$/, 1],
      [/(?:SUBQUERY \d; SEARCH run USING INDEX run_definition_ready \(definition=\? AND suspicion=\? AND epoch>\? AND epoch<\?\); .*){2}SCAN free$/, 1],
      [/SCAN wanted \S+ \S+ \S+ \S+; SEARCH run USING INDEX run_definition_ready \(definition=\? AND suspicion=\? AND epoch=\?\)$/, 1],
      [/SEARCH run USING COVERING INDEX run_definition_wake \(definition=\? AND suspicion=\? AND wake_at>\? AND wake_at<\?\); LIST/, 2],
      [/SUBQUERY \d; SEARCH run USING COVERING INDEX run_definition_wake \(definition=\? AND suspicion=\? AND wake_at>\? AND wake_at<\?\)$/, 1],
      [/^SEARCH run USING INDEX run_wake \(epoch=\? AND \(wake_at,id\)>\(\?,\?\) AND wake_at<\?\)$/, 1],
      [/^SEARCH run USING INDEX run_ready \(epoch=\? AND id>\?\)$/, 1],
      [/^SEARCH run USING PRIMARY KEY \(id>\? AND id<\?\)$/, 1],
      [/^SEARCH shared USING INDEX shared_change \(change_no>\?\)$/, 1],
      [/^SEARCH shared USING INDEX shared_gone \(change_no<\?\); SCALAR SUBQUERY 1; SEARCH shared USING COVERING INDEX shared_change$/, 1],
      [/^SEARCH definition USING COVERING INDEX definition_workflow \(workflow=\?\)$/, 1],
      [/^SEARCH inbox USING INTEGER PRIMARY KEY \(rowid>\?\)$/, 1],
      [/^SEARCH answer USING COVERING INDEX answer_at \(at<\?\)$/, 1],
      [/^SEARCH past USING PRIMARY KEY \(run_id=\? AND until<\?\)$/, 1],
      [/SEARCH past USING PRIMARY KEY \(run_id=\? AND until>\?\)$/, 1],
    ] as const)
      expect(plans.filter((found) => plan.test(found)).length, `${String(plan)} in\n${plans.join("\n")}`).toBe(count);
  });

  test("runs are listed by the index of their filter, page by page, and discarded by the one of ended runs", async () => {
    const plans = await plansOf(lookUp);
    const cursor = /\(created_at,id\)<\(\?,\?\)/.source;
    for (const plan of [
      `^SEARCH run USING INDEX run_created \\(${cursor}\\)$`,
      `^SEARCH run USING INDEX run_state \\(finished=\\? AND status=\\? AND workflow=\\? AND ${cursor}\\)$`,
      "^SEARCH run USING INDEX run_state \\(finished=\\? AND status=\\? AND workflow=\\? AND created_at>\\?\\)$",
      "^SEARCH run USING COVERING INDEX run_state \\(finished=\\? AND status>\\?\\)$",
      "^SEARCH run USING COVERING INDEX run_state \\(finished=\\? AND status=\\? AND workflow>\\?\\)$",
      `^SEARCH run USING INDEX run_subject \\(subject=\\? AND ${cursor}\\)$`,
      "^SEARCH tag USING (COVERING INDEX|PRIMARY KEY).*\\(tag=\\? AND \\(at,run_id\\)<\\(\\?,\\?\\)\\); SEARCH run USING PRIMARY KEY",
      "^SEARCH run USING INDEX run_created \\(created_at>\\?\\)$",
      "^SEARCH run USING INDEX run_created \\(created_at<\\?\\)$",
      "^SEARCH run USING (COVERING )?INDEX run_ended_definition \\(definition=\\?\\)$",
      "^SEARCH run USING COVERING INDEX run_ended_status \\(status=\\? AND workflow=\\? AND updated_at<\\?\\)$",
    ])
      expect(plans.filter((found) => new RegExp(plan).test(found)).length, `${plan} in\n${plans.join("\n")}`).toBeGreaterThanOrEqual(1);
  });
});

test("a claim reads the rows that it takes, and no others", async () => {
  await fill();
  const statements = await executed(() => store.claim(epoch, KNOWN, NOW, NOW, 10));
  expect(statements.filter((sql) => sql.startsWith("UPDATE"))).toHaveLength(10);
  const looks = 2 + 1;
  expect(statements.length).toBeLessThanOrEqual(looks + 3 + 10 + 2 * KNOWN.length);
});

test("a claim of the first of many that are nobody's takes as many steps as one of a few, whoever had them", async () => {
  const gone = [await store.openEpoch(NOW, "{}"), await store.openEpoch(NOW, "{}")];
  const ready = (of: string, count: number): Promise<unknown> =>
    store.commit(Array.from({ length: count }, (_, n) => commitOf(`${of}${n}`, 0, [NOBODY, ...gone][n % 3]!, { run: { definition: of }, rank: -n })));
  await Promise.all([ready("few", 15), ready("many", 3_000)]);
  for (const id of gone) await store.closeEpoch(id);
  const steps = async (of: string): Promise<number> => {
    let claimed: string[] = [];
    const statements = await executed(async () => (claimed = (await store.claim(epoch, [of], NOW, NOW, 3)).map(({ id }) => id)));
    expect(claimed).toEqual(Array.from({ length: 3 }, (_, n) => `${of}${(of === "few" ? 14 : 2_999) - n}`));
    return statements.length;
  };
  expect(await steps("many")).toBe(await steps("few"));
});

test("who finds nothing to claim, sweep or forget does not lock the file", async () => {
  await fill();
  while ((await store.claim(epoch, KNOWN, NOW, NOW, 100)).length > 0);
  const statements = await executed(async () => {
    await store.claim(epoch, KNOWN, NOW, NOW, 100);
    await store.claimRun(epoch, "ready1", NOW);
    await store.claimRun(epoch, "none", NOW);
    await store.sweep(10);
    await store.discard({ status: "failed", endedBefore: NOW }, 10);
    await store.forgetAnswers(NOW, 10);
    await store.takeAnswers([]);
    await store.writeDefinition("known", "flow", "body");
    await store.writeDefinition("known", "flow", "body");
  });
  expect(statements.filter((sql) => sql.startsWith("BEGIN"))).toHaveLength(1);
});

test("a commit without posts, events and so on executes no statement for them", async () => {
  const tables = async (commit: ReturnType<typeof commitOf>): Promise<string[]> =>
    (await executed(() => store.commit([commit]))).map((sql) => /^(?:\w+ )(?:INTO |FROM )?\w+/.exec(sql)?.[0] ?? sql);
  expect(await tables(commitOf("r", 0, epoch))).toEqual(["BEGIN IMMEDIATE", "INSERT INTO run", "INSERT INTO history", "COMMIT"]);
  const plain = ["BEGIN IMMEDIATE", "UPDATE run", "INSERT INTO actor", "INSERT INTO history", "COMMIT"];
  expect(await tables(commitOf("r", 1, epoch, { actors: [actor] }))).toEqual(plain);
  expect(await tables(commitOf("r", 2, epoch, { actors: [actor], run: { wakeAt: NOW } }))).toEqual(plain);
  const kept = (from: number, every: number): Promise<string[]> =>
    tables(commitOf("r", from, epoch, { actors: [actor], run: { wakeAt: NOW }, keepPast: { commits: 2, every } }));
  const copying = [...plain.slice(0, 2), "INSERT INTO past", ...plain.slice(2)];
  const trimming = [...copying.slice(0, 3), "DELETE FROM past", ...copying.slice(3)];
  expect(await kept(3, 1)).toEqual(trimming);
  // no checkpoint yet; one that this commit makes; rows that stood at one, and nothing is older; an older one
  expect(await kept(4, 6)).toEqual(plain);
  expect(await kept(5, 6)).toEqual(plain);
  expect(await kept(6, 6)).toEqual(copying);
  expect(await kept(7, 6)).toEqual(copying);
  for (let from = 8; from < 12; from++) await kept(from, 6);
  expect(await kept(12, 6)).toEqual(trimming);
});

test("a commit writes the indexes of what it changes, and no others", async () => {
  await store.commit([commitOf("r", 0, epoch)]);
  const database = new DatabaseSync(path, { readOnly: true });
  const indexes = database.prepare("SELECT name, rootpage FROM sqlite_schema WHERE tbl_name = 'run' AND type = 'index' AND sql IS NOT NULL").all();
  database.close();
  const nameOf = new Map(indexes.map((row) => [row["rootpage"], String(row["name"])]));
  /** What the last of the commit's updates may write, but for the indexes of ended runs, of which an unfinished run has no row. */
  const written = async (from: number, run: Partial<Commit["run"]>): Promise<string[]> => {
    const updates = (await executed(() => store.commit([commitOf("r", from, epoch, { run })]))).filter((sql) => sql.startsWith("UPDATE"));
    const opened = explained("EXPLAIN", updates.at(-1)!).filter((row) => row["opcode"] === "OpenWrite");
    const names = opened.flatMap((row) => nameOf.get(row["p2"] as number) ?? []);
    return names.filter((name) => run.finished === true || !name.startsWith("run_ended_")).sort();
  };
  const waits = ["run_definition_ready", "run_definition_wake", "run_ready", "run_wake"];
  expect(await written(1, {})).toEqual([]);
  expect(await written(2, { wakeAt: WAITS_FOR_EVENT })).toEqual(waits);
  expect(await written(3, { wakeAt: WAITS_FOR_EVENT })).toEqual([]);
  expect(await written(4, { wakeAt: NOW })).toEqual(waits);
  expect(await written(5, { status: "paused" })).toEqual([...waits, "run_state"].sort());
  expect(await written(6, { status: "paused" })).toEqual([]);
  expect(await written(7, { status: "failed", finished: true })).toEqual([...waits, "run_ended_definition", "run_ended_status", "run_state"].sort());
});

test("a commit of an unfinished run leaves the pages of all indexes of runs as they are", async () => {
  await store.commit([commitOf("r", 0, epoch)]);
  const frames = (): number => Math.floor(statSync(`${path}-wal`).size / (4096 + 24));
  const before = frames();
  await store.commit([commitOf("r", 1, epoch)]);
  // The run's own page, that of the history, and the end of the order of all changes.
  expect(frames() - before).toBe(3);
});

test("besides two lists of all runs, two indexes hold a run that is ready, two one that waits, and two one that has ended", async () => {
  const database = new DatabaseSync(path, { readOnly: true });
  const indexes = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'run' AND sql IS NOT NULL").all();
  database.close();
  const ending = (clause: RegExp): number => indexes.filter((index) => clause.test(String(index["sql"]))).length;
  expect([ending(/wake_at IS NULL$/), ending(/wake_at IS NOT NULL$/), ending(/finished = 1$/), ending(/subject IS NOT NULL$/), ending(/\)$/)]).toEqual([
    2, 2, 2, 1, 2,
  ]);
});
