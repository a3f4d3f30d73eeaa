/**
 * The store on SQLite keeps the contract, and its promises about files, locks, full disks and failures.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementResultingChanges, StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { APPLICATION_ID, MIGRATIONS } from "../../src/store/migrations.ts";
import { SHARED_CHANGES_KEPT } from "../../src/store/shared-record.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { NOBODY, type Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./commit-of.ts";
import { type Place, storeContract } from "./contract.ts";
import { epochContract } from "./epoch-contract.ts";
import { inboxContract } from "./inbox-contract.ts";
import { lookUpContract } from "./look-up-contract.ts";
import { noticeContract } from "./notice-contract.ts";
import { sharedContract } from "./shared-contract.ts";
import { pastContract } from "./past-contract.ts";
import { scheduleContract } from "./schedule-contract.ts";

storeContract("SQLite", makePlace);
epochContract("SQLite", makePlace);
inboxContract("SQLite", makePlace);
pastContract("SQLite", makePlace);
noticeContract("SQLite", makePlace);
sharedContract("SQLite", makePlace);
lookUpContract("SQLite", makePlace);
scheduleContract("SQLite", makePlace);

async function makePlace(): Promise<Place> {
  const folder = temporaryFolder();
  return { open: async () => openSqliteStore(join(folder.path, "pawl.db"), { mustExist: false }), remove: async () => folder.remove() };
}

describe("an SQLite file", () => {
  const folder = temporaryFolder();
  let path: string;
  let files = 0;
  const opened: Store[] = [];

  beforeEach(() => {
    path = join(folder.path, `${++files}`, "pawl.db");
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const store of opened.splice(0)) await store.close();
  });

  function open(mustExist = false): Store {
    const store = openSqliteStore(path, { mustExist });
    opened.push(store);
    return store;
  }

  /** Opens the file and gives its connection, too. */
  function openWithConnection(): { store: Store; database: DatabaseSync } {
    let database!: DatabaseSync;
    const exec = DatabaseSync.prototype.exec;
    vi.spyOn(DatabaseSync.prototype, "exec").mockImplementation(function (this: DatabaseSync, sql) {
      database = this;
      return exec.call(this, sql);
    });
    const store = open();
    vi.restoreAllMocks();
    return { store, database };
  }

  test("it and its side files are its owner's alone", async () => {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    await store.commit([commitOf("r", 0, epoch)]);
    for (const suffix of ["", "-wal", "-shm", `-worker-${epoch}`, `-worker-${epoch}-journal`]) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  });

  test("it is written with a write-ahead log and an fsync for each commit", () => {
    const { database } = openWithConnection();
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
  });

  test("it is written beside the process that executes: a post, and a run of nobody's", async () => {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    await store.commit([commitOf("r", 0, epoch)]);
    const client = open(true);
    expect(await client.readRun("r")).toMatchObject({ commitNo: 1 });
    await store.commit([commitOf("r", 1, epoch)]);
    expect(await client.readRun("r")).toMatchObject({ commitNo: 2 });
    const number = await client.post({ runId: "r", body: "hello" });
    expect(await client.commit([commitOf("new", 0, NOBODY)])).toEqual(["committed"]);
    expect(await store.readInbox("r", 0, 10)).toEqual([{ number, body: "hello" }]);
    expect(await store.claim(epoch, ["hash"], 1, 1, 10)).toMatchObject([{ id: "new", epoch }]);
  });

  /** What a process without any rights says that runs this code with `store`, which it opened. */
  function asNobody(code: string, mustExist: boolean): string[] {
    const whole = `const { openSqliteStore } = await import(${JSON.stringify(new URL("../../src/store/sqlite.ts", import.meta.url).href)});
      const told = (value) => console.log(value?.code ?? JSON.stringify(value) ?? "nothing");
      try { const store = openSqliteStore(${JSON.stringify(path)}, { mustExist: ${mustExist} }); ${code} } catch (error) { told(error); }`;
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    chmodSync(folder.path, 0o755);
    return spawnSync(process.execPath, ["--input-type=module", "-e", whole], { encoding: "utf8", ...user })
      .stdout.trim()
      .split("\n");
  }

  /** A file that everybody may read, with its side files; its folder is writable when `isOpen`. */
  async function fillForReaders(isOpen: boolean): Promise<Store> {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    await store.writeDefinition("hash", "flow", "body");
    await store.commit([commitOf("r", 0, epoch, { posts: [{ runId: "r", body: "x" }], eventIds: ["e"] }), commitOf("free", 0, NOBODY)]);
    chmodSync(join(path, ".."), isOpen ? 0o777 : 0o555);
    for (const suffix of ["", "-wal", "-shm"]) chmodSync(path + suffix, 0o444);
    return store;
  }

  test.for([true, false])("who may not write a file asks every question, and is refused every change (its folder is open: %s)", async (isOpen) => {
    await fillForReaders(isOpen);
    const questions = asNobody(
      `told(await store.definitionsOf("flow")); told((await store.readInbox("r", 0, 10)).length); told(await store.inboxRuns("", 1)); told(await store.readEvent("r", "e"));
       told((await store.listRuns({ unfinished: true, limit: 5 })).length); told((await store.readyRuns(1, "", 1)).length); told(await store.readPast("r", 1));
       told(await store.dueRuns(1, ["hash"], 1, { wakeAt: 0, id: "" }, 1)); told(await store.hasUnowned(["hash"])); told((await store.readEpochs()).length);
       told(await store.inboxSince(0, 5)); told(await store.isAbandoned(1));`,
      true,
    );
    expect(questions).toEqual(
      ['["hash"]', "1", '["r"]', "1", "2", "1", "[]", '{"due":[],"nextAt":null}', "true", "1", '{"runIds":["r"],"number":1}', "false"].map(String),
    );
    const commit = JSON.stringify(commitOf("r", 1, 1));
    const changes = [
      `store.commit([${commit}])`,
      `store.reopen(${commit})`,
      'store.openEpoch(1, "{}")',
      'store.claim(1, ["hash"], 1, 1, 5)',
      'store.claimRun(1, "free", 1)',
      'store.post({ runId: "r", body: "y" })',
      'store.beat(1, "{}")',
      "store.closeEpoch(1)",
      'store.writeDefinition("other", "flow", "b")',
      'store.release(1, ["r"])',
    ];
    expect(asNobody(changes.map((change) => `await ${change}.catch(told);`).join("\n"), true)).toEqual(changes.map(() => "PAWL_READ_ONLY"));
    expect(asNobody('await store.post({ runId: "r", body: "y" }).catch(told); told((await store.readRun("r")).commitNo)', true)).toEqual([
      "PAWL_READ_ONLY",
      "1",
    ]);
  });

  /** A file as the first released schema left it, with three runs in it. */
  function makeFirstSchema(): void {
    mkdirSync(join(path, ".."), { recursive: true });
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA journal_mode = WAL; ${MIGRATIONS[0]}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`);
    database.exec(`INSERT INTO epoch (opened_at) VALUES (1); INSERT INTO definition VALUES ('hash', 'flow', 'the plan');
      INSERT INTO run VALUES ('ready', 'flow', 'hash', 'running', '{}', 7, NULL, 1, 2, 1, 1, 0, 1, 5, NULL),
        ('asleep', 'flow', 'hash', 'running', '{}', 8, 5000, 1, 2, 1, 1, 0, 0, 0, NULL),
        ('over', 'flow', 'hash', 'completed', '{}', 9, NULL, 1, 2, 1, 1, 1, 0, 0, NULL);
      INSERT INTO actor VALUES ('ready', 'a', 1, 'completed', '{}', '1', 3);
      INSERT INTO history VALUES ('ready', 1, 2, '["first"]')`);
    database.close();
  }

  test("a file of the first schema is brought up to date, keeps its rows and is usable", async () => {
    makeFirstSchema();
    const { store, database } = openWithConnection();
    expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: MIGRATIONS.length });
    const epoch = await store.openEpoch(1, "{}");
    expect(epoch).toBe(2);
    expect(await store.readRun("ready")).toMatchObject({ checksum: 7, commitNo: 1, epoch: 1, suspicion: 1, createdAt: 1, updatedAt: 2 });
    expect(await store.readActors("ready")).toEqual([{ key: "a", commitNo: 1, status: "completed", body: "{}", output: "1", checksum: 3 }]);
    expect(await store.readHistory("ready", 0, 10)).toEqual([{ commitNo: 1, at: 2, body: '["first"]' }]);
    expect(await store.readDefinition("hash")).toBe("the plan");
    expect(await store.definitionsOf("flow")).toEqual(["hash"]);
    expect((await store.dueRuns(epoch, ["hash"], 10, { wakeAt: 0, id: "" }, 10)).nextAt).toBe(5000);
    expect(await store.claim(epoch, ["hash"], 10, 10, 10)).toMatchObject([{ id: "ready", suspicion: 2 }]);
    const posts = ["asleep", "over"].map((runId) => ({ runId, body: "hello" }));
    expect(await store.commit([commitOf("ready", 1, epoch, { posts, gone: ["a"], eventIds: ["e"], run: { finished: true } })])).toEqual(["committed"]);
    expect(await store.inboxRuns("", 10)).toEqual(["asleep"]);
    expect(await store.claimRun(epoch, "asleep", 10)).toMatchObject({ epoch, wakeAt: 5000, checksum: 8 });
    expect(dumpOf(database)).toBe(readFileSync(new URL("schema.sql", import.meta.url), "utf8"));
  });

  test("rows that workers shared before their changes had numbers are told of, and go on", async () => {
    mkdirSync(join(path, ".."), { recursive: true });
    const older = new DatabaseSync(path);
    older.exec(`PRAGMA journal_mode = WAL; ${MIGRATIONS.slice(0, 3).join(";")}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 3`);
    older.exec("INSERT INTO shared VALUES ('b', '2'), ('a', '1')");
    older.close();
    const { store, database } = openWithConnection();
    expect(await store.readSharedSince(0)).toEqual({
      rows: [
        { key: "a", body: "1" },
        { key: "b", body: "2" },
      ],
      number: 2,
      isAll: false,
    });
    await store.amend([{ key: "a", amend: (body) => `${body}1` }]);
    expect(await store.readSharedSince(2)).toEqual({ rows: [{ key: "a", body: "11" }], number: 3, isAll: false });
    expect(dumpOf(database)).toBe(readFileSync(new URL("schema.sql", import.meta.url), "utf8"));
  });

  test("each process is told of what the other changed, also of a row that was gone and is there again", async () => {
    const [one, two] = [open(), open()];
    const becomes = (store: Store, key: string, body: string | undefined): Promise<void> => store.amend([{ key, amend: () => body }]);
    await becomes(one, "x", "1");
    await becomes(one, "y", "1");
    const { number } = await two.readSharedSince(0);
    await becomes(one, "x", undefined);
    expect(await two.readSharedSince(number)).toMatchObject({ rows: [{ key: "x", body: null }], isAll: false });
    await becomes(two, "x", "2");
    expect(await one.readSharedSince(number)).toMatchObject({ rows: [{ key: "x", body: "2" }], isAll: false });
    const failing = one.amend([
      { key: "y", amend: () => "3" },
      { key: "z", amend: () => ({}) as unknown as string },
    ]);
    await expect(failing).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    expect(await two.readSharedSince(number), "nothing of what was not committed").toMatchObject({ rows: [{ key: "x", body: "2" }] });
  });

  test("of shared rows that are gone only those of the last changes are kept", async () => {
    const { store, database } = openWithConnection();
    const keys = Array.from({ length: SHARED_CHANGES_KEPT }, (_, n) => `row${n}`);
    for (const amend of [(): string => "x", (): undefined => undefined]) await store.amend(keys.map((key) => ({ key, amend })));
    const gone = (): unknown => database.prepare("SELECT count(*) AS n, min(change_no) AS first FROM shared").get();
    expect(gone()).toEqual({ n: SHARED_CHANGES_KEPT, first: SHARED_CHANGES_KEPT + 1 });
    for (const body of ["x", undefined, "y", undefined]) await store.amend([{ key: "more", amend: () => body }]);
    expect(gone()).toEqual({ n: SHARED_CHANGES_KEPT - 3 + 1, first: SHARED_CHANGES_KEPT + 4 });
  });

  test("a client brings a file of an older schema up to date", async () => {
    makeFirstSchema();
    expect(await open(true).listRuns({ limit: 10 })).toHaveLength(3);
    expect(await open(true).post({ runId: "ready", body: "x" })).toBe(1);
  });

  test("who may not write a file of an older schema is told what brings it up to date", () => {
    makeFirstSchema();
    chmodSync(path, 0o444);
    expect(asNobody("", true)).toEqual(["PAWL_STORE_UNREADABLE"]);
    const database = new DatabaseSync(path);
    expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 1 });
    database.close();
  });

  test("a file of the second schema keeps its unfinished runs: nobody holds them, and they are claimed", async () => {
    makeFirstSchema();
    const older = new DatabaseSync(path);
    older.exec(`${MIGRATIONS[1]}; PRAGMA user_version = 2; INSERT INTO epoch (opened_at) VALUES (5); UPDATE run SET epoch = 2 WHERE id = 'asleep';
      INSERT INTO inbox (run_id, body) VALUES ('asleep', 'wake up'); INSERT INTO event VALUES ('ready', 'e', 1)`);
    older.close();
    const store = open();
    expect(await store.readEpochs()).toEqual([]);
    const epoch = await store.openEpoch(9, "{}");
    expect(epoch).toBe(3);
    expect(await store.claim(epoch, ["hash"], 10, 10, 10)).toMatchObject([{ id: "ready", suspicion: 2, subject: null, tags: [], origin: null }]);
    expect(await store.claimRun(epoch, "asleep", 10)).toMatchObject({ epoch, suspicion: 1, wakeAt: 5000 });
    expect(await store.readInbox("asleep", 0, 10)).toEqual([{ number: 1, body: "wake up" }]);
    expect([await store.firstPast("ready"), await store.readEvent("ready", "e")]).toEqual([undefined, 1]);
    const row = { key: "a", status: "completed", body: "new", output: null, checksum: 1 };
    expect(await store.commit([commitOf("ready", 1, epoch, { keepPast: { commits: 3, every: 1 }, actors: [row] })])).toEqual(["committed"]);
    expect([await store.firstPast("ready"), (await store.readPast("ready", 1))?.[0]]).toMatchObject([1, { body: "{}", output: "1" }]);
    expect(await store.endedStatuses("hash", 5)).toEqual(["completed"]);
    expect(await store.discard({ status: "completed", endedBefore: 100 }, 5)).toBe(1);
    expect(await store.listRuns({ workflow: "flow", limit: 5 })).toHaveLength(2);
  });

  test("of two that open an older file at the same time one brings it up to date, and both can use it", async () => {
    makeFirstSchema();
    const { exec } = DatabaseSync.prototype;
    let isFirst = true;
    vi.spyOn(DatabaseSync.prototype, "exec").mockImplementation(function (this: DatabaseSync, sql) {
      if (sql === "BEGIN IMMEDIATE" && isFirst) {
        isFirst = false;
        open();
      }
      return exec.call(this, sql);
    });
    expect(await open().listRuns({ limit: 10 })).toHaveLength(3);
    expect(isFirst).toBe(false);
  });

  test("a file that was left in the middle of a change is put in order by whoever looks first", async () => {
    await open().close();
    const code = `const { DatabaseSync } = await import("node:sqlite"); const database = new DatabaseSync(${JSON.stringify(path)});
      database.exec("PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; CREATE TABLE big (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO big SELECT hex(randomblob(200)) FROM n");
      process.kill(process.pid, "SIGKILL");`;
    expect(spawnSync(process.execPath, ["--input-type=module", "-e", code]).signal).toBe("SIGKILL");
    expect(existsSync(`${path}-journal`)).toBe(true);
    expect(await open(true).listRuns({ limit: 1 })).toEqual([]);
  });

  test("an empty file is not taken for a store by who only uses one", () => {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, "");
    expect(() => open(true)).toThrow(expect.objectContaining({ code: "PAWL_STORE_UNREADABLE", message: expect.stringContaining("no store yet") }));
    expect(readFileSync(path)).toHaveLength(0);
  });

  test("who only uses one waits for somebody who is making it", async () => {
    mkdirSync(join(path, ".."), { recursive: true });
    const maker = new Worker(new URL("make-store.ts", import.meta.url), { workerData: path });
    onTestFinished(async () => void (await maker.terminate()));
    await once(maker, "message");
    writeFileSync(path, "");
    maker.postMessage("make it");
    expect(await open(true).listRuns({ limit: 1 })).toEqual([]);
  });

  test("a file of somebody else is refused and not touched", () => {
    mkdirSync(join(path, ".."), { recursive: true });
    const theirs = new DatabaseSync(path);
    theirs.exec("CREATE TABLE accounts (id)");
    theirs.close();
    const before = readFileSync(path);
    expect(() => open()).toThrow(expect.objectContaining({ code: "PAWL_STORE_FOREIGN" }));
    writeFileSync(`${path}.txt`, "these are no tables, but a text that is long enough to be taken for a file header".repeat(20));
    path = `${path}.txt`;
    expect(() => open()).toThrow(expect.objectContaining({ code: "PAWL_STORE_FOREIGN" }));
    path = path.replace(/\.txt$/, "");
    expect(readFileSync(path)).toEqual(before);
  });

  test("a file of a newer schema is refused and says both versions", async () => {
    await open().close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect(() => open()).toThrow(expect.objectContaining({ code: "PAWL_STORE_NEWER", message: expect.stringContaining("99") }));
  });

  test("a folder that is a file, or a file that is a folder, is refused", () => {
    mkdirSync(path, { recursive: true });
    expect(() => open()).toThrow(expect.objectContaining({ code: "PAWL_STORE_UNREADABLE" }));
    writeFileSync(join(path, "file"), "");
    path = join(path, "file", "pawl.db");
    expect(() => open()).toThrow(expect.objectContaining({ code: "PAWL_STORE_UNREADABLE" }));
  });

  test("a file that is not there is not made by looking", () => {
    expect(() => open(true)).toThrow(expect.objectContaining({ code: "PAWL_STORE_UNREADABLE" }));
    expect(existsSync(path)).toBe(false);
  });

  test("a folder without the right to write is refused", () => {
    mkdirSync(join(path, ".."), { recursive: true });
    chmodSync(join(path, ".."), 0o555);
    expect(asNobody("", false)).toEqual(["PAWL_STORE_UNREADABLE"]);
  });

  test("a full disk is a clean refusal of the whole group; with space again it goes on", async () => {
    const { store, database } = openWithConnection();
    const epoch = await store.openEpoch(1, "{}");
    await store.commit([commitOf("r1", 0, epoch)]);
    const pages = (database.prepare("PRAGMA page_count").get() as { page_count: number }).page_count;
    database.exec(`PRAGMA max_page_count = ${pages + 1}`);
    const large = commitOf("r1", 1, epoch, { actors: [{ key: "n", status: "completed", body: "{}", output: "x".repeat(100_000), checksum: 1 }] });
    expect(await store.commit([commitOf("r2", 0, epoch), large])).toEqual(["full", "full"]);
    expect(await store.readRun("r2")).toBeUndefined();
    expect(await store.readRun("r1")).toMatchObject({ commitNo: 1 });
    database.exec("PRAGMA max_page_count = 1000000");
    expect(await store.commit([commitOf("r2", 0, epoch), large])).toEqual(["committed", "committed"]);
  });

  test("while another connection holds the file a commit waits, and the event loop goes on", async () => {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    let isDone = false;
    const commit = store.commit([commitOf("r", 0, epoch)]).finally(() => (isDone = true));
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(isDone).toBe(false);
    other.exec("ROLLBACK");
    other.close();
    expect(await commit).toEqual(["committed"]);
    expect(await store.readRun("r")).toMatchObject({ commitNo: 1 });
  });

  /** Rows that a discarded run left: some of each kind. */
  async function leaveRows(store: Store, epoch: number, count: number): Promise<void> {
    const actors = Array.from({ length: count }, (_, i) => ({ key: `n${i}`, status: "completed", body: "{}", output: null, checksum: 1 }));
    const eventIds = actors.map(({ key }) => key);
    await store.commit([commitOf("r", 0, epoch, { at: 1, actors, eventIds, run: { finished: true, status: "completed" } })]);
    expect(await store.discard({ status: "completed", endedBefore: 5 }, 10)).toBe(1);
  }

  /** Each look at the clock is later than all before: nothing may be held for long. */
  const slowTime = (): void => {
    let now = 0;
    vi.spyOn(systemClock, "mono").mockImplementation(() => (now += 1000));
  };

  /** Stands in for the execution of statements, which it may do. */
  function spyOnRun(instead: (sql: string, run: () => StatementResultingChanges) => StatementResultingChanges): void {
    const original = StatementSync.prototype.run as (...values: unknown[]) => StatementResultingChanges;
    vi.spyOn(StatementSync.prototype, "run").mockImplementation(function (this: StatementSync, ...values: unknown[]) {
      return instead(this.sourceSQL, () => original.apply(this, values));
    });
  }

  test("a run whose id was discarded starts however many rows are left, which are deleted a few at a time", async () => {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    await leaveRows(store, epoch, 40);
    slowTime();
    const deleted: number[] = [];
    spyOnRun((sql, run) => {
      const { changes } = run();
      if (sql.startsWith("BEGIN")) deleted.push(0);
      if (sql.startsWith("DELETE")) deleted.push(deleted.pop()! + Number(changes));
      return { changes, lastInsertRowid: 0 };
    });
    const created = store.commit([commitOf("r", 0, epoch), commitOf("other", 0, epoch)]);
    const meanwhile = await Promise.all([store.beat(epoch, "{}"), store.readRun("r")]);
    expect(await created).toEqual(["committed", "committed"]);
    vi.restoreAllMocks();
    expect(meanwhile).toEqual([true, undefined]);
    expect(deleted.length).toBeGreaterThan(20);
    expect(Math.max(...deleted)).toBeLessThanOrEqual(4);
    expect([await store.readActors("r"), await store.readEvent("r", "n1")]).toEqual([[], undefined]);
    expect([(await store.readHistory("r", 0, 10)).length, await store.sweep(10)]).toEqual([1, 0]);
  });

  test("a run whose id was discarded does not start while the disk is full", async () => {
    const { store, database } = openWithConnection();
    const epoch = await store.openEpoch(1, "{}");
    await leaveRows(store, epoch, 4);
    spyOnRun((sql, run) => {
      if (sql.startsWith("DELETE")) throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
      return run();
    });
    expect(await store.commit([commitOf("r", 0, epoch)])).toEqual(["full"]);
    vi.restoreAllMocks();
    expect(database.isTransaction).toBe(false);
    expect(await store.commit([commitOf("r", 0, epoch)])).toEqual(["committed"]);
  });

  test("fail stop: after a failure nothing is written or read, and its epoch is abandoned", async () => {
    const { store, database } = openWithConnection();
    const epoch = await store.openEpoch(1, "{}");
    await store.commit([commitOf("r", 0, epoch)]);
    const other = open();
    expect(await other.isAbandoned(epoch)).toBe(false);
    database.exec("ALTER TABLE history RENAME TO broken");
    await expect(store.commit([commitOf("r", 1, epoch)])).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    database.exec("ALTER TABLE broken RENAME TO history");
    await expect(store.commit([commitOf("r", 1, epoch)])).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    await expect(store.readRun("r")).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    await store.close();
    expect((await other.readEpochs()).map(({ id }) => id)).toEqual([epoch]);
    expect(await other.isAbandoned(epoch)).toBe(true);
    await other.closeEpoch(epoch);
    expect(await other.claimRun(await other.openEpoch(1, "{}"), "r", 1)).toMatchObject({ commitNo: 1 });
  });

  test("an epoch that cannot be written down is not open, and its lock is free for the next one", async () => {
    const { store, database } = openWithConnection();
    const pages = (database.prepare("PRAGMA page_count").get() as { page_count: number }).page_count;
    database.exec(`PRAGMA max_page_count = ${pages}`);
    await expect(store.openEpoch(1, "x".repeat(100_000))).rejects.toMatchObject({ code: "PAWL_STORE_FULL" });
    database.exec("PRAGMA max_page_count = 1000000");
    const epoch = await open().openEpoch(1, "{}");
    expect(await store.readEpochs()).toMatchObject([{ id: epoch }]);
    expect(await store.isAbandoned(epoch)).toBe(false);
  });

  test("a side file goes with its epoch; one that is missing counts as abandoned", async () => {
    const store = open();
    const [first, second] = [await store.openEpoch(1, "{}"), await store.openEpoch(1, "{}")];
    expect([existsSync(`${path}-worker-${first}`), existsSync(`${path}-worker-${second}`)]).toEqual([true, true]);
    await store.closeEpoch(first);
    expect([existsSync(`${path}-worker-${first}`), existsSync(`${path}-worker-${second}`)]).toEqual([false, true]);
    await store.close();
    expect(existsSync(`${path}-worker-${second}`)).toBe(false);
    const restored = new DatabaseSync(path);
    restored.exec("INSERT INTO epoch (opened_at) VALUES (1)");
    restored.close();
    const other = open();
    const [left] = await other.readEpochs();
    expect(await other.isAbandoned(left!.id)).toBe(true);
    await other.closeEpoch(left!.id);
    expect(existsSync(`${path}-worker-${left!.id}`)).toBe(false);
  });

  test("a side file goes with its journal, also that of a process that was stopped and then killed", async () => {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    const beside = (): string[] => readdirSync(join(path, "..")).filter((name) => name.includes("-worker-"));
    expect(beside()).toHaveLength(2);
    await open().closeEpoch(epoch);
    expect(beside()).toEqual([]);
    expect(await store.beat(epoch, "{}")).toBe(false);
    await store.close();
    expect(beside()).toEqual([]);
  });

  test("by whichever name a file is opened, its epochs are held", async () => {
    const store = open();
    const epoch = await store.openEpoch(1, "{}");
    const real = path;
    path = join(folder.path, `link${files}.db`);
    symlinkSync(real, path);
    expect(await open(true).isAbandoned(epoch)).toBe(false);
  });

  test("rows that are kept are compressed when they are large, and left as they are when they are small", async () => {
    const { store, database } = openWithConnection();
    const epoch = await store.openEpoch(1, "{}");
    const row = (key: string, body: string, output: string | null) => ({ key, status: "s", body, output, checksum: 1 });
    await store.commit([
      commitOf("r", 0, epoch, { keepPast: { commits: 2, every: 1 }, actors: [row("large", "x".repeat(50_000), "y".repeat(5000)), row("small", "x", null)] }),
    ]);
    await store.commit([commitOf("r", 1, epoch, { keepPast: { commits: 2, every: 1 }, gone: ["large", "small"] })]);
    const kept = database.prepare("SELECT typeof(body) AS body, typeof(output) AS output, length(body) < 500 AS isSmall FROM past ORDER BY key").all();
    expect(kept).toMatchObject([
      { body: "blob", output: "blob", isSmall: 1 },
      { body: "text", output: "null", isSmall: 1 },
    ]);
  });

  test("an SQLite that can lose data is refused", () => {
    const { prepare } = DatabaseSync.prototype;
    vi.spyOn(DatabaseSync.prototype, "prepare").mockImplementation(function (this: DatabaseSync, sql) {
      return sql.includes("sqlite_version()") ? prepare.call(this, "SELECT '3.51.2' AS version") : prepare.call(this, sql);
    });
    expect(() => open()).toThrow(expect.objectContaining({ code: "PAWL_SQLITE_TOO_OLD", message: expect.stringContaining("3.51.2") }));
  });

  test("its tables are those that were released", () => {
    const { database } = openWithConnection();
    expect(dumpOf(database)).toBe(readFileSync(new URL("schema.sql", import.meta.url), "utf8"));
  });
});

function dumpOf(database: DatabaseSync): string {
  const schema = database.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name").all();
  return schema.map((row) => `${String(row["sql"]).replace(/\s+/g, " ")};\n`).join("");
}
