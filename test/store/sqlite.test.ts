/**
 * The store on SQLite keeps the contract, and its promises about files, locks, full disks and failures.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { APPLICATION_ID, MIGRATIONS } from "../../src/store/migrations.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf, type Place, storeContract } from "./contract.ts";
import { inboxContract } from "./inbox-contract.ts";

storeContract("SQLite", makePlace);
inboxContract("SQLite", makePlace);

async function makePlace(): Promise<Place> {
  const folder = temporaryFolder();
  return { open: async () => openSqliteStore(join(folder.path, "pawl.db"), { readOnly: false }), remove: async () => folder.remove() };
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

  function open(readOnly = false): Store {
    const store = openSqliteStore(path, { readOnly });
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
    await store.commit([commitOf("r", 0, await store.openEpoch(1))]);
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  });

  test("it is written with a write-ahead log and an fsync for each commit", () => {
    const { database } = openWithConnection();
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(database.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
  });

  test("another process that executes is refused; when it is killed its lock is free", async () => {
    mkdirSync(join(path, ".."), { recursive: true });
    const code = `const { openSqliteStore } = await import(${JSON.stringify(new URL("../../src/store/sqlite.ts", import.meta.url).href)});
      const store = openSqliteStore(${JSON.stringify(path)}, { readOnly: false }); await store.openEpoch(1); console.log("locked"); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    await expect(open().openEpoch(1)).rejects.toMatchObject({ code: "PAWL_STORE_LOCKED" });
    holder.kill("SIGKILL");
    await once(holder, "exit");
    await expect(open().openEpoch(1)).resolves.toBe(2);
  });

  test("it is read beside the process that executes, and only read", async () => {
    const store = open();
    const epoch = await store.openEpoch(1);
    await store.commit([commitOf("r", 0, epoch)]);
    const reader = open(true);
    expect(await reader.readRun("r")).toMatchObject({ commitNo: 1 });
    await store.commit([commitOf("r", 1, epoch)]);
    expect(await reader.readRun("r")).toMatchObject({ commitNo: 2 });
    await expect(reader.commit([commitOf("r", 2, epoch)])).rejects.toMatchObject({ code: "PAWL_READ_ONLY" });
    await expect(reader.openEpoch(1)).rejects.toMatchObject({ code: "PAWL_READ_ONLY" });
    await expect(reader.claimRun(epoch, "r", 1)).rejects.toMatchObject({ code: "PAWL_READ_ONLY" });
  });

  test("every question may be asked by who only looks", async () => {
    const store = open();
    const epoch = await store.openEpoch(1);
    await store.writeDefinition("hash", "flow", "body");
    await store.commit([commitOf("r", 0, epoch, { posts: [{ runId: "r", body: "x" }], eventIds: ["e"] })]);
    const reader = open(true);
    expect(await reader.definitionsOf("flow")).toEqual(["hash"]);
    expect(await reader.readInbox("r")).toMatchObject([{ body: "x" }]);
    expect(await reader.inboxRuns("", 1)).toEqual(["r"]);
    expect(await reader.readEvent("r", "e")).toBe(1);
    expect(await reader.listRuns({ unfinished: true, limit: 1 })).toHaveLength(1);
    expect(await reader.readyRuns(epoch, "", 1)).toHaveLength(1);
    expect(await reader.dueRuns(epoch, ["hash"], 1, { wakeAt: 0, id: "" }, 1)).toEqual({ due: [], nextAt: null });
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
    const epoch = await store.openEpoch(1);
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

  test("a file of an older schema is not changed by looking: who only looks is told what brings it up to date", async () => {
    makeFirstSchema();
    expect(() => open(true)).toThrow(expect.objectContaining({ code: "PAWL_STORE_UNREADABLE", message: expect.stringContaining("schema 1") }));
    await open().close();
    expect(await open(true).listRuns({ limit: 10 })).toHaveLength(3);
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
    const code = `const { openSqliteStore } = await import(${JSON.stringify(new URL("../../src/store/sqlite.ts", import.meta.url).href)});
      try { openSqliteStore(${JSON.stringify(path)}, { readOnly: false }); } catch (error) { console.log(error.code); }`;
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    chmodSync(folder.path, 0o755);
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8", ...user });
    expect(stdout.trim()).toBe("PAWL_STORE_UNREADABLE");
  });

  test("a full disk is a clean refusal of the whole group; with space again it goes on", async () => {
    const { store, database } = openWithConnection();
    const epoch = await store.openEpoch(1);
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
    const epoch = await store.openEpoch(1);
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

  test("fail stop: after a failure nothing is written or read, and the lock is free", async () => {
    const { store, database } = openWithConnection();
    const epoch = await store.openEpoch(1);
    await store.commit([commitOf("r", 0, epoch)]);
    database.exec("ALTER TABLE history RENAME TO broken");
    await expect(store.commit([commitOf("r", 1, epoch)])).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    database.exec("ALTER TABLE broken RENAME TO history");
    await expect(store.commit([commitOf("r", 1, epoch)])).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    await expect(store.readRun("r")).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
    await expect(open().openEpoch(1)).resolves.toBeGreaterThan(epoch);
    expect(await open().readRun("r")).toMatchObject({ commitNo: 1 });
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
