/**
 * The doctor: what it finds in a store nobody uses, in one that is in use, and in one that is damaged; and that it
 * changes nothing unless it is told to.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { examineStore } from "../../src/doctor.ts";
import type { Finding } from "../../src/errors.ts";
import { actorRow, runChecksum } from "../../src/run/row.ts";
import { NOTHING_YET, scheduleChange } from "../../src/run/schedule-row.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { type Commit, NOBODY, type Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./commit-of.ts";
import { fillFile, kill } from "./filled-file.ts";

const folder = temporaryFolder();
let places = 0;
let path: string;
const opened: { close(): unknown }[] = [];

beforeEach(() => {
  path = join(folder.path, `${++places}`, "pawl.db");
  mkdirSync(dirname(path));
});
afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close();
});

function openStore(): Store {
  const store = openSqliteStore(path, { mustExist: false });
  opened.push(store);
  return store;
}

/** A commit whose checksums are right. */
function sound(runId: string, epoch: number, changes: Partial<Commit["run"]> = {}): Commit {
  const commit = commitOf(runId, 0, epoch, { actors: [actorRow(runId, "a", "completed", "{}", "1")] });
  const run = { ...commit.run, body: "{}", ...changes };
  return { ...commit, run: { ...run, checksum: runChecksum(runId, run.definition, run.status, 1, run.body) } };
}

const of = (findings: readonly Finding[], code: string): Finding[] => findings.filter((finding) => finding.code === code);
const bad = (findings: readonly Finding[]): string[] => findings.filter(({ severity }) => severity !== "ok").map(({ code }) => code);
const facts = (definitions: readonly string[]): string => JSON.stringify({ pid: 4711, definitions, wants: 5 });

test("a sound store that nobody uses has nothing wrong, and stays as it is", async () => {
  const store = openStore();
  const epoch = await store.openEpoch(1, facts([]));
  await store.commit([sound("r-1", epoch, { finished: true, status: "completed" })]);
  await store.close();
  const before = readFileSync(path);
  const findings = await examineStore(path, { full: true });
  expect(bad(findings)).toEqual([]);
  expect(of(findings, "worker")[0]!.message).toBe("no worker is there, and no run needs one");
  expect([...of(findings, "claims"), ...of(findings, "inbox")]).toEqual([]);
  expect(of(findings, "checksums")[0]!.message).toBe("the rows of the only run are as they were written");
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("schedules whose rows are not what was written are told by name", async () => {
  const store = openStore();
  const spec = { kind: "dag", workflow: "w", definition: "h", input: "{}", cron: "* * * * *", timeZone: "UTC", overlap: "skip", catchUp: "last" } as const;
  const change = (name: string) => scheduleChange(name, 0, 5, { ...NOTHING_YET, spec });
  for (const name of ["sound", "bad"]) await store.writeSchedule(change(name));
  expect(of(await examineStore(path), "schedules")).toEqual([]);
  await store.writeSchedule({ ...change("bad"), from: 1, nextAt: 6 });
  expect(of(await examineStore(path), "schedules")).toMatchObject([{ severity: "problem", message: expect.stringMatching(/: bad$/) as string }]);
});

test("a file that others may read is told", async () => {
  fillFile(path, 0).close();
  chmodSync(path, 0o644);
  expect(of(await examineStore(path), "rights")).toMatchObject([{ severity: "warning", message: expect.stringContaining("644") as string }]);
});

test("workers that are there are named; one that died without a word is told, and its epoch is closed when asked", async () => {
  const alive = await openStore().openEpoch(1, facts(["hash"]));
  const code = `const { openSqliteStore } = await import(${JSON.stringify(new URL("../../src/store/sqlite.ts", import.meta.url).href)});
    const store = openSqliteStore(${JSON.stringify(path)}, { mustExist: true }); await store.openEpoch(2, '{"pid":815}'); console.log("open"); setInterval(() => {}, 1000);`;
  const dying = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(dying.stdout, "data");
  await kill(dying);
  const findings = await examineStore(path);
  expect(of(findings, "worker")).toMatchObject([
    { severity: "ok", message: expect.stringContaining(`worker ${alive}: process 4711`) as string },
    { severity: "warning", message: expect.stringContaining("process 815 ended") as string },
  ]);
  expect(of(await examineStore(path), "worker")).toHaveLength(2);
  expect(of(await examineStore(path, { fix: true }), "fixed").map(({ message }) => message)).toContain(
    `closed the epoch of worker ${alive + 1}, which is gone`,
  );
  expect(of(await examineStore(path), "worker")).toHaveLength(1);
});

test("runs whose definition no worker has, and ready ones that nobody takes, are problems", async () => {
  const store = openStore();
  const epoch = await store.openEpoch(1, facts(["known"]));
  await store.commit([
    sound("r-owned", epoch, { definition: "known" }),
    sound("r-free", NOBODY, { definition: "known" }),
    sound("r-asleep", NOBODY, { definition: "known", wakeAt: 5 }),
    sound("r-lost", NOBODY, { definition: "unknown" }),
  ]);
  const findings = await examineStore(path);
  expect(of(findings, "definitions")).toMatchObject([{ severity: "problem", message: "no worker has flow, definition unknown: 1 run is waiting for it" }]);
  expect(of(findings, "claims")).toMatchObject([{ severity: "problem", message: "ready, and no worker takes it on: r-free" }]);
});

test("unfinished runs without any worker are one warning, and nothing is said of what workers do", async () => {
  await openStore().commit([sound("r-1", NOBODY), sound("r-2", NOBODY, { workflow: "another" }), sound("r-3", NOBODY)]);
  const findings = await examineStore(path);
  expect(of(findings, "definitions")).toMatchObject([
    { severity: "warning", message: "3 runs are unfinished, and there is no worker", next: "start one with `pawl work FILE`, for: another, flow" },
  ]);
  expect(["worker", "claims", "inbox"].flatMap((code) => of(findings, code))).toEqual([]);
});

test("what there is one of is not told as several", async () => {
  const store = openStore();
  expect(of(await examineStore(path), "checksums")[0]!.message).toBe("there are no runs");
  await store.openEpoch(1, facts(["hash"]));
  await store.openEpoch(1, facts(["hash", "other"]));
  expect(of(await examineStore(path), "worker").map(({ message }) => message.split(", ").at(-1))).toEqual(["with 1 definition", "with 2 definitions"]);
  await store.commit([sound("r-1", NOBODY), sound("r-2", NOBODY)]);
  expect(of(await examineStore(path), "checksums")[0]!.message).toBe("the rows of all 2 runs are as they were written");
});

test("of what is no store it is only told that, and what to do", async () => {
  const [runtime, ...more] = await examineStore(dirname(path));
  expect([runtime!.code, more]).toEqual([
    "runtime",
    [{ severity: "problem", code: "file", message: "it is not a file", next: "name another file: `--store FILE`, PAWL_STORE" }],
  ]);
  connect().exec("CREATE TABLE theirs (a)");
  const message = "the file is not a pawl store, but another application's";
  expect((await examineStore(path)).slice(1)).toMatchObject([{ code: "schema", message, next: expect.not.stringContaining("restore") as string }]);
  writeFileSync(path, "hello");
  const next = expect.stringMatching(/^name another file: .*; if this one was a store, keep a copy of the file, then `pawl restore`/) as string;
  expect((await examineStore(path)).slice(1)).toMatchObject([{ severity: "problem", code: "integrity", message: "the file is no database", next }]);
  writeFileSync(path, "");
  expect((await examineStore(path)).slice(1)).toMatchObject([{ severity: "problem", code: "schema", message: "the file is empty", next }]);
  // another process is about to make a store of it
  connect().exec("PRAGMA journal_mode = WAL");
  expect((await examineStore(path)).slice(1)).toMatchObject([{ code: "schema", message: "the file is empty" }]);
});

test("suspects, runs that were set aside with the reason, and what is not taken from an inbox are told", async () => {
  const store = openStore();
  const epoch = await store.openEpoch(1, facts(["hash"]));
  await store.commit([sound("r-bad", epoch), sound("r-deaf", epoch), sound("r-suspect", NOBODY)]);
  await store.quarantine(epoch, "r-bad", "PAWL_ROW_CORRUPT: damaged", 5);
  await store.claimRun(epoch, "r-suspect", 5);
  await store.post({ runId: "r-deaf", body: "{}" });
  const findings = await examineStore(path);
  expect(of(findings, "suspects")[0]).toMatchObject({ severity: "warning", message: expect.stringContaining("r-suspect") as string });
  expect(of(findings, "quarantined")[0]!.message).toContain("r-bad (PAWL_ROW_CORRUPT: damaged)");
  expect(of(findings, "inbox")[0]).toMatchObject({ severity: "warning", message: expect.stringContaining("r-deaf") as string });
});

test("what moves while it is looked at is not told", async () => {
  const store = openStore();
  const epoch = await store.openEpoch(1, facts(["hash"]));
  await store.commit([sound("r-new", NOBODY), sound("r-busy", epoch)]);
  const number = await store.post({ runId: "r-busy", body: "{}" });
  const examined = examineStore(path);
  const soon = setInterval(() => {
    void store.claimRun(epoch, "r-new", 5).then(() => store.absolve(epoch, ["r-new"]));
    void store.commit([{ ...sound("r-busy", epoch), from: 1, consumed: [number!] }]);
  }, 300);
  const findings = await examined;
  clearInterval(soon);
  expect([...of(findings, "claims"), ...of(findings, "suspects"), ...of(findings, "inbox")].map(({ severity }) => severity)).toEqual(["ok", "ok", "ok"]);
});

test("rows that are not what was written are found: of the newest runs, or of all", async () => {
  const store = openStore();
  const epoch = await store.openEpoch(1, facts([]));
  const ended = { finished: true, status: "completed" };
  await store.commit([sound("r-1", epoch, ended), sound("r-2", epoch, ended), sound("r-3", epoch, ended)]);
  const database = connect();
  database.exec("UPDATE actor SET output = '2' WHERE run_id = 'r-1'; UPDATE run SET body = '{ }' WHERE id = 'r-2'");
  expect(of(await examineStore(path), "checksums")).toMatchObject([{ severity: "problem", message: "rows that are not what was written: r-2, r-1" }]);
});

test("rows of no run, and those of pruned runs, are told; a fix deletes the latter, and old answers", async () => {
  const store = openStore();
  const epoch = await store.openEpoch(1, facts([]));
  await store.commit([sound("r-1", epoch, { finished: true, status: "completed" })]);
  await store.discard({ status: "completed", endedBefore: Number.MAX_SAFE_INTEGER }, 10);
  await store.closeEpoch(epoch);
  const database = connect();
  database.exec("INSERT INTO history VALUES ('ghost', 1, 1, '{}', 99); INSERT INTO answer VALUES (1, 1, '{}')");
  const findings = await examineStore(path);
  expect(bad(findings)).toEqual(["trash", "answers", "orphans"]);
  expect(of(findings, "orphans")).toMatchObject([{ severity: "problem", message: "rows of runs that are not there: 1 in history" }]);
  expect(of(await examineStore(path, { fix: true }), "fixed")).toHaveLength(2);
  expect(bad(await examineStore(path))).toEqual(["orphans"]);
});

function connect(): DatabaseSync {
  const database = new DatabaseSync(path);
  opened.push(database);
  return database;
}

test.each([
  ["is cut short", (bytes: Buffer) => bytes.subarray(0, 4_096 * 9), "integrity"],
  ["has lost pages", (bytes: Buffer) => bytes.fill(0xee, 4_096 * 5, 4_096 * 40), "integrity"],
  ["has a damaged beginning", (bytes: Buffer) => bytes.fill(0xee, 0, 100), "integrity"],
  ["is no database", () => Buffer.from("hello ".repeat(1_000)), "integrity"],
  ["is empty", () => Buffer.alloc(0), "schema"],
])("a file that %s is a problem, and no error", async (_, change, code) => {
  fillFile(path, 2_000).close();
  writeFileSync(path, change(readFileSync(path)));
  const before = readFileSync(path);
  const findings = await examineStore(path, { full: true, fix: true });
  expect(of(findings, code)).toMatchObject([{ severity: "problem" }]);
  expect(of(findings, code)[0]!.next).not.toBeNull();
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a store that is not there, of an earlier pawl, or of a later one, is told and left alone", async () => {
  expect(of(await examineStore(path), "file")).toMatchObject([{ severity: "problem", message: "there is no such file" }]);
  fillFile(path, 1, 2).close();
  expect(of(await examineStore(path), "schema")).toMatchObject([
    { severity: "warning", message: `the file has schema 2; this pawl's is ${MIGRATIONS.length}` },
  ]);
  const database = connect();
  expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 2 });
  database.exec("PRAGMA user_version = 99");
  expect(of(await examineStore(path), "schema")).toMatchObject([{ severity: "problem" }]);
});

test("notices that are not delivered are told of, and why", async () => {
  const store = openStore();
  const notice = (id: string, at: number) => ({ id, runId: "r", at, body: "{}" });
  expect(of(await examineStore(path), "notices")).toEqual([]);
  await store.addNotice(notice("r:2:run.failed", Date.now()));
  expect(of(await examineStore(path), "notices")).toMatchObject([
    { severity: "ok", message: expect.stringMatching(/^1 notice not delivered yet.*r:2:run\.failed$/) },
  ]);
  await store.forgetNotices((await store.readNotices(0, 9)).map(({ number }) => number));
  for (const id of ["r:3:run.failed", "r:4:run.failed"]) await store.addNotice(notice(id, Date.now() - 61_000));
  expect(of(await examineStore(path), "notices")).toMatchObject([
    {
      severity: "warning",
      message: expect.stringMatching(/^2 notices not delivered yet, .*r:3:run\.failed$/),
      next: expect.stringContaining("start a worker with `notify`"),
    },
  ]);
  await store.openEpoch(1, JSON.stringify({ pid: 4711, definitions: [], notifies: true }));
  expect(of(await examineStore(path), "notices")[0]!.next).toContain("its receiver does not take them");
});
