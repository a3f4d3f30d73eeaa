/**
 * Backups: of one instant beside a busy process, checked, never half a file, and nothing in the way is lost.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { zstdDecompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { backupStore, restoreStore } from "../../src/backups.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { takeLock } from "../../src/store/side-locks.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./commit-of.ts";
import { contentOf, fillFile, insertRun, kill, startBusyWriter } from "./filled-file.ts";

const folder = temporaryFolder();
let places = 0;
let path: string;
let to: string;

beforeEach(() => {
  path = join(folder.path, `${++places}`, "pawl.db");
  to = join(folder.path, `${places}`, "backups", "one.db");
  mkdirSync(dirname(path));
});

/** Connections that a test leaves open. */
const opened: DatabaseSync[] = [];
afterEach(() => {
  for (const database of opened.splice(0)) if (database.isOpen) database.close();
});

function fill(runs: number, file = path, schema = MIGRATIONS.length): DatabaseSync {
  const database = fillFile(file, runs, schema);
  opened.push(database);
  return database;
}

/** What lies in the folder of a file, but for its work. */
const namesBeside = (file: string): string[] => readdirSync(dirname(file)).sort();

describe("a backup", () => {
  test("is a store of its own, in one file that is its owner's alone, without the workers of the original", async () => {
    fill(100).exec("INSERT INTO epoch (opened_at) VALUES (1), (2)");
    expect(await backupStore(path, to)).toEqual({ path: to, bytes: statSync(to).size, runs: 100, commitAt: 1_002 });
    expect(namesBeside(to)).toEqual(["one.db"]);
    expect(statSync(to).mode & 0o777).toBe(0o600);
    expect(readFileSync(to).subarray(18, 20)).toEqual(Buffer.from([1, 1]));
    expect(contentOf(to)).toEqual({ runs: 100, isWhole: true, epochs: 0 });
    expect(contentOf(path).epochs).toBe(2);
  });

  test("gives no epoch that the original has given", async () => {
    fill(1).exec("INSERT INTO epoch (opened_at) VALUES (1), (2)");
    await backupStore(path, to);
    const copy = new DatabaseSync(to);
    opened.push(copy);
    expect(copy.prepare("INSERT INTO epoch (opened_at) VALUES (3)").run().lastInsertRowid).toBe(3);
  });

  test("that is restored gives no change a number that the store before it has given, restored twice, too", async () => {
    const changesOf = async (after: number, commit: number): Promise<{ ids: string[]; last: number }> => {
      const store = openSqliteStore(path, { mustExist: false });
      const epoch = await store.openEpoch(1, "{}");
      await store.commit([commitOf(`r-${commit}`, 0, epoch)]);
      const ids = (await store.readChanges(after, 10)).map(({ runId }) => runId);
      const last = await store.readLastChange();
      await store.close();
      return { ids, last };
    };
    const first = await changesOf(0, 1);
    await backupStore(path, to);
    const second = await changesOf(first.last, 2);
    expect([first.ids, second.ids]).toEqual([["r-1"], ["r-2"]]);
    await restoreStore(to, path, { force: true });
    const third = await changesOf(second.last, 3);
    expect(third.ids).toEqual(["r-3"]);
    await restoreStore(to, path, { force: true });
    expect((await changesOf(third.last, 4)).ids).toEqual(["r-4"]);
  });

  test("beside a process that writes all the time comes to an end, and is of one instant", async () => {
    fill(20_000).close();
    const writer = await startBusyWriter(path);
    try {
      for (const name of ["a.db", "b.db", "c.db.zst"]) {
        const at = join(dirname(to), name);
        const { runs } = await backupStore(path, at);
        if (name.endsWith(".zst")) writeFileSync(at, zstdDecompressSync(readFileSync(at)));
        expect(contentOf(at)).toEqual({ runs, isWhole: true, epochs: 0 });
        expect(runs).toBeGreaterThan(20_000);
      }
    } finally {
      await kill(writer);
    }
    expect(contentOf(path).isWhole).toBe(true);
  });

  test("lets the event loop turn between its steps, and says how far it is", async () => {
    fill(20_000).close();
    let turns = 0;
    let turning = setImmediate(function turn() {
      turns++;
      turning = setImmediate(turn);
    });
    const seen: { readonly share: number; readonly turns: number }[] = [];
    await backupStore(path, to, { onProgress: (done, total) => seen.push({ share: done / total, turns }) });
    clearImmediate(turning);
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.map(({ share }) => share)).toEqual(seen.map(({ share }) => share).toSorted((a, b) => a - b));
    expect(new Set(seen.map(({ turns }) => turns)).size).toBe(seen.length);
  });

  test("that ends in .zst is compressed", async () => {
    fill(2_000);
    await backupStore(path, to);
    const { bytes, runs } = await backupStore(path, `${to}.zst`);
    expect(runs).toBe(2_000);
    expect(bytes).toBeLessThan(statSync(to).size / 4);
    expect(zstdDecompressSync(readFileSync(`${to}.zst`)).equals(readFileSync(to))).toBe(true);
  });

  test("is also taken of a store with an older schema", async () => {
    fill(5, path, 2);
    expect(await backupStore(path, to)).toMatchObject({ runs: 5 });
    expect(contentOf(to)).toEqual({ runs: 5, isWhole: true, epochs: 0 });
  });

  test("takes the place of no file unless it is told to", async () => {
    fill(3);
    mkdirSync(dirname(to));
    writeFileSync(to, "mine");
    await expect(backupStore(path, to)).rejects.toMatchObject({ code: "PAWL_FILE_EXISTS" });
    expect(readFileSync(to, "utf8")).toBe("mine");
    await backupStore(path, to, { force: true });
    expect(contentOf(to).runs).toBe(3);
  });

  test("never takes the place of a store that is in use, its own least of all", async () => {
    fill(3);
    fill(4, join(dirname(path), "other.db"));
    await expect(backupStore(path, path, { force: true })).rejects.toMatchObject({ code: "PAWL_FILE_EXISTS" });
    await expect(backupStore(path, join(dirname(path), "other.db"), { force: true })).rejects.toMatchObject({ code: "PAWL_FILE_EXISTS" });
    expect(contentOf(join(dirname(path), "other.db")).runs).toBe(4);
  });

  test("of a damaged store is refused, and leaves nothing behind", async () => {
    fill(2_000).close();
    damage(path);
    await expect(backupStore(path, to)).rejects.toMatchObject({ code: "PAWL_BACKUP_DAMAGED" });
    expect(namesBeside(to)).toEqual([]);
  });

  test("of what is no store, or of a newer pawl's, is refused", async () => {
    await expect(backupStore(path, to)).rejects.toMatchObject({ code: "PAWL_STORE_UNREADABLE" });
    writeFileSync(path, "not a database, but long enough to be looked at".repeat(50));
    await expect(backupStore(path, to)).rejects.toMatchObject({ code: "PAWL_STORE_FOREIGN" });
    const newer = join(dirname(path), "newer.db");
    fill(1, newer).exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    await expect(backupStore(newer, to)).rejects.toMatchObject({ code: "PAWL_STORE_NEWER" });
  });

  test("removes what one before it left that died in between, but not what one has under way", async () => {
    fill(3);
    const [dead, alive] = [".pawl-work-dead", ".pawl-work-alive"].map((name) => join(dirname(to), name));
    for (const place of [dead!, alive!]) mkdirSync(place, { recursive: true });
    writeFileSync(join(dead!, "copy"), "half");
    const lock = takeLock(join(alive!, "lock"));
    opened.push(lock);
    await backupStore(path, to);
    expect(namesBeside(to)).toEqual([".pawl-work-alive", "one.db"]);
  });

  test("that cannot be written is refused with its reason", async () => {
    fill(3);
    mkdirSync(dirname(to));
    writeFileSync(join(dirname(to), "file"), "");
    await expect(backupStore(path, join(dirname(to), "file", "one.db"))).rejects.toMatchObject({ code: "PAWL_STORE_UNREADABLE" });
  });
});

/** Overwrites pages in the middle of the file. */
function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes.fill(0xee, 5 * 4_096, 40 * 4_096);
  writeFileSync(file, bytes);
}

describe("a restore", () => {
  test.each(["one.db", "one.db.zst"])("gives the store back as it was, from %s", async (name) => {
    const backup = join(dirname(path), name);
    fill(100);
    await backupStore(path, backup);
    const place = join(dirname(path), "new", "pawl.db");
    expect(await restoreStore(backup, place)).toEqual({ path: place, runs: 100, commitAt: 1_002, kept: undefined });
    expect(contentOf(place)).toEqual({ runs: 100, isWhole: true, epochs: 0 });
    expect(statSync(place).mode & 0o777).toBe(0o600);
  });

  test("takes the place of a store only when it is told to, and keeps that with all that its log held", async () => {
    fill(2, to === "" ? path : join(dirname(path), "backup.db")).close();
    const backup = join(dirname(path), "backup.db");
    await leaveLog(path);
    await expect(restoreStore(backup, path)).rejects.toMatchObject({ code: "PAWL_FILE_EXISTS" });
    const { kept } = await restoreStore(backup, path, { force: true });
    expect(contentOf(path)).toMatchObject({ runs: 2, isWhole: true });
    expect(kept).toBe(`${path}.before-restore-1`);
    expect(contentOf(kept!)).toMatchObject({ runs: 11, isWhole: true });
    expect((await restoreStore(backup, path, { force: true })).kept).toBe(`${path}.before-restore-2`);
  });

  test("is refused while another process has the store open, and then changes nothing", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2, backup).close();
    fill(5).close();
    const writer = await startBusyWriter(path);
    try {
      await expect(restoreStore(backup, path, { force: true })).rejects.toMatchObject({ code: "PAWL_STORE_LOCKED" });
    } finally {
      await kill(writer);
    }
    expect(contentOf(path)).toMatchObject({ isWhole: true });
    expect(contentOf(path).runs).toBeGreaterThan(5);
    expect((await restoreStore(backup, path, { force: true })).runs).toBe(2);
  });

  test("is refused while this process has the store open, even if it only looked", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2, backup).close();
    const reader = fill(5);
    reader.prepare("SELECT count(*) FROM run").get();
    await expect(restoreStore(backup, path, { force: true })).rejects.toMatchObject({ code: "PAWL_STORE_LOCKED" });
    expect(reader.prepare("SELECT count(*) AS n FROM run").get()).toEqual({ n: 5 });
  });

  test("is refused while a worker is there, also when the store is damaged", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2, backup).close();
    fill(5).close();
    writeFileSync(path, "x".repeat(20_000));
    const worker = takeLock(`${path}-worker-3`);
    opened.push(worker);
    await expect(restoreStore(backup, path, { force: true })).rejects.toMatchObject({ code: "PAWL_STORE_LOCKED" });
    worker.close();
    const { kept } = await restoreStore(backup, path, { force: true });
    expect(contentOf(path).runs).toBe(2);
    expect(readFileSync(kept!, "utf8")).toBe("x".repeat(20_000));
  });

  test("over a damaged store does not apply the log of that to the new one", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2, backup).close();
    // No page of the header is in it, with which SQLite would take the rest of the file for a database.
    await leaveLog(path, (database) => database.exec("UPDATE run SET reason = 'in the log' WHERE id = 'run-1'"));
    const log = readFileSync(`${path}-wal`);
    writeFileSync(path, "x".repeat(20_000));
    const { kept } = await restoreStore(backup, path, { force: true });
    expect(contentOf(path)).toMatchObject({ runs: 2, isWhole: true });
    expect(readFileSync(`${kept}-wal`).equals(log)).toBe(true);
  });

  test("where only the log of a lost store lies does not apply it", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2, backup).close();
    await leaveLog(path);
    const log = readFileSync(`${path}-wal`);
    const lost = join(dirname(path), "lost.db");
    writeFileSync(`${lost}-wal`, log);
    await restoreStore(backup, lost);
    expect(contentOf(lost)).toMatchObject({ runs: 2, isWhole: true });
  });

  test("of what is damaged, cut short, foreign or newer is refused, and nothing is touched", async () => {
    fill(5).close();
    const of = (name: string): string => join(dirname(path), name);
    fill(2_000, of("good.db")).close();
    await backupStore(of("good.db"), of("good.zst"));
    const good = readFileSync(of("good.db"));
    writeFileSync(of("damaged.db"), good);
    damage(of("damaged.db"));
    writeFileSync(of("short.db"), good);
    truncateSync(of("short.db"), 4_096 * 20);
    writeFileSync(of("short.zst"), readFileSync(of("good.zst")).subarray(0, -200));
    const flipped = readFileSync(of("good.zst"));
    flipped[flipped.length >> 1]! ^= 0x10;
    writeFileSync(of("flipped.zst"), flipped);
    writeFileSync(of("text.db"), "hello ".repeat(1_000));
    writeFileSync(of("empty.db"), "");
    fill(1, of("newer.db")).exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    const before = readFileSync(path);
    const expected = {
      "damaged.db": "PAWL_BACKUP_DAMAGED",
      "short.db": "PAWL_BACKUP_DAMAGED",
      "short.zst": "PAWL_BACKUP_DAMAGED",
      "flipped.zst": "PAWL_BACKUP_DAMAGED",
      "text.db": "PAWL_STORE_FOREIGN",
      "empty.db": "PAWL_STORE_FOREIGN",
      "newer.db": "PAWL_STORE_NEWER",
      "missing.db": "PAWL_STORE_UNREADABLE",
    };
    for (const [name, code] of Object.entries(expected)) await expect(restoreStore(of(name), path, { force: true }), name).rejects.toMatchObject({ code });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(namesBeside(path).filter((name) => name.includes("before") || name.startsWith(".pawl"))).toEqual([]);
  });

  test("never takes the place of a database that is no store", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2, backup).close();
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE mine (value INTEGER)");
    other.close();
    await expect(restoreStore(backup, path, { force: true })).rejects.toMatchObject({ code: "PAWL_STORE_FOREIGN" });
  });

  test("reads a backup that may only be read", async () => {
    const backup = join(dirname(path), "backup.db");
    fill(2);
    await backupStore(path, backup);
    chmodSync(backup, 0o400);
    expect((await restoreStore(backup, join(dirname(path), "new.db"))).runs).toBe(2);
    expect(existsSync(`${backup}-wal`)).toBe(false);
  });
});

/** A store as a killed process leaves it: its newest runs are in its log only. */
async function leaveLog(file: string, write = (database: DatabaseSync): void => insertRun(database, "in-the-log", 3)): Promise<void> {
  const database = fillFile(`${file}.made`, 10);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0");
  write(database);
  for (const suffix of ["", "-wal"]) writeFileSync(file + suffix, readFileSync(`${file}.made${suffix}`), { mode: 0o600 });
  database.close();
}
