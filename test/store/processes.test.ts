/**
 * Several real processes on one SQLite file: who is alive, who owns what, and who hears of whom.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { NOBODY, type Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./commit-of.ts";

const folder = temporaryFolder();
let files = 0;
let path: string;
let store: Store;
const stores: Store[] = [];
const children: ChildProcess[] = [];

beforeEach(() => {
  path = join(folder.path, `${++files}.db`);
  store = open();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const opened of stores.splice(0)) await opened.close();
});

function open(): Store {
  const opened = openSqliteStore(path, { mustExist: false });
  stores.push(opened);
  return opened;
}

/** A process with an open epoch. */
async function start(work: "hold" | "open" | "write" | "claim"): Promise<{ child: ChildProcess; epoch: number }> {
  const child = fork(new URL("worker-child.ts", import.meta.url), [path, work]);
  children.push(child);
  return { child, epoch: (await told(child)) as number };
}

const told = async (child: ChildProcess): Promise<unknown> => (await once(child, "message"))[0];

/** Tells the process to begin, and waits for what comes of it. */
async function done(child: ChildProcess): Promise<unknown> {
  const answer = told(child);
  child.send("begin");
  return answer;
}

describe("an epoch of another process", () => {
  test("is abandoned when the process was killed, and not before", async () => {
    const { child, epoch } = await start("hold");
    expect(await store.isAbandoned(epoch)).toBe(false);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect((await store.readEpochs()).map(({ id }) => id)).toEqual([epoch]);
    expect(await store.isAbandoned(epoch)).toBe(true);
    expect(await store.isAbandoned(epoch)).toBe(true);
  });

  test("is not abandoned while the process is stopped; when it was closed meanwhile, it can do nothing that counts", async () => {
    const { child, epoch } = await start("write");
    child.kill("SIGSTOP");
    await store.commit([commitOf("theirs", 0, epoch, { run: { definition: "unknown" } })]);
    expect(await store.isAbandoned(epoch)).toBe(false);
    await store.closeEpoch(epoch);
    const own = await store.openEpoch(1, "{}");
    expect(await store.claimRun(own, "theirs", 1)).toMatchObject({ epoch: own });
    child.kill("SIGCONT");
    await done(child);
    expect(await store.readRun("theirs")).toMatchObject({ commitNo: 1, epoch: own });
  });

  test("hands its runs over after a kill: they are claimed when it is closed, and not while it is open", async () => {
    const { child, epoch } = await start("write");
    await done(child);
    const own = await store.openEpoch(1, "{}");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await store.claim(own, ["hash"], 1, 1, 10)).toEqual([]);
    await store.closeEpoch(epoch);
    expect(await store.claim(own, ["hash"], 1, 1, 10)).toMatchObject([{ id: "theirs", epoch: own }]);
  });

  test("is never seen without its lock, however often one looks while epochs are opened", async () => {
    const { child } = await start("open");
    const progress = { isDone: false };
    const opening = done(child).finally(() => (progress.isDone = true));
    const seen = new Set<number>();
    while (!progress.isDone) {
      for (const { id } of await store.readEpochs()) {
        if (!seen.has(id)) expect(await store.isAbandoned(id)).toBe(false);
        seen.add(id);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await opening;
    expect(seen.size).toBeGreaterThan(1);
  });
});

test("an epoch is locked before anybody sees its row", async () => {
  const { exec } = DatabaseSync.prototype;
  const other = open();
  let looked: Promise<unknown> | undefined;
  vi.spyOn(DatabaseSync.prototype, "exec").mockImplementation(function (this: DatabaseSync, sql) {
    exec.call(this, sql);
    if (sql.includes("BEGIN EXCLUSIVE")) looked = other.readEpochs();
  });
  const epoch = await store.openEpoch(1, "{}");
  expect(await looked).toEqual([]);
  expect(await other.readEpochs()).toMatchObject([{ id: epoch }]);
});

test("two processes that claim at the same instant share the runs, and never have one twice", async () => {
  const runs = Array.from({ length: 120 }, (_, i) => `r${i}`);
  await store.commit(runs.map((id) => commitOf(id, 0, NOBODY)));
  const workers = [await start("claim"), await start("claim")];
  const claimed = (await Promise.all(workers.map(({ child }) => done(child)))) as string[][];
  expect(claimed.flat().sort()).toEqual([...runs].sort());
  for (const [i, { epoch }] of workers.entries()) for (const id of claimed[i]!) expect(await store.readRun(id)).toMatchObject({ epoch });
});

describe("whoever watches a file", () => {
  test("hears within a second that another process has written", async () => {
    const { child } = await start("write");
    const heard = new Promise<number>((resolve) => {
      store.watch(() => resolve(performance.now()));
    });
    const written = done(child).then(() => performance.now());
    expect((await heard) - (await written)).toBeLessThan(1000);
    expect(await store.readRun("theirs")).toMatchObject({ commitNo: 1 });
  });

  /** Timers that fire when a test says so. */
  function heldTimers(): { fire(): void; readonly count: number; readonly waitsMs: readonly number[] } {
    const waiting = new Set<() => void>();
    const waitsMs: number[] = [];
    vi.spyOn(systemClock, "after").mockImplementation((delayMs, callback) => {
      waitsMs.push(delayMs);
      waiting.add(callback);
      return () => void waiting.delete(callback);
    });
    return {
      fire: () => {
        for (const callback of [...waiting]) if (waiting.delete(callback)) callback();
      },
      get count() {
        return waiting.size;
      },
      waitsMs,
    };
  }

  test("hears of every other connection, and not of itself", async () => {
    const timers = heldTimers();
    const other = open();
    const epoch = await store.openEpoch(1, "{}");
    const listener = vi.fn();
    store.watch(listener);
    for (let from = 0; from < 3; from++) {
      await store.commit([commitOf("own", from, epoch)]);
      timers.fire();
    }
    expect(listener).toHaveBeenCalledTimes(0);
    await other.post({ runId: "own", body: "x" });
    timers.fire();
    timers.fire();
    expect(listener).toHaveBeenCalledTimes(1);
    await other.post({ runId: "own", body: "y" });
    await store.commit([commitOf("own", 3, epoch)]);
    timers.fire();
    expect(listener).toHaveBeenCalledTimes(2);
  });

  test("shares one timer with the others; it ends with the last of them, or with the store", async () => {
    const timers = heldTimers();
    const ends = [store.watch(() => {}), store.watch(() => {})];
    expect(timers.count).toBe(1);
    timers.fire();
    expect(timers.count).toBe(1);
    ends[0]!();
    ends[0]!();
    expect(timers.count).toBe(1);
    ends[1]!();
    expect(timers.count).toBe(0);
    store.watch(() => {});
    expect(timers.count).toBe(1);
    await store.close();
    expect(timers.count).toBe(0);
  });

  test("looks more often, at once, when it waits for replies or was asked for something, and for a second after", async () => {
    const timers = heldTimers();
    let now = 0;
    vi.spyOn(systemClock, "mono").mockImplementation(() => now);
    await store.readReplies([]);
    expect(timers.count).toBe(0);
    now = 10_000;
    store.watch(() => {});
    await store.inboxSince(0, 10);
    timers.fire();
    await store.readReplies([1]);
    expect([timers.waitsMs, timers.count]).toEqual([[25, 25, 5], 1]);
    timers.fire();
    now += 1_000;
    await store.commit([commitOf("r", 0, NOBODY)]);
    await store.post({ runId: "r", body: "x" });
    await store.inboxSince(0, 10);
    timers.fire();
    now += 1_100;
    timers.fire();
    now += 200;
    timers.fire();
    expect([timers.waitsMs, timers.count]).toEqual([[25, 25, 5, 5, 5, 5, 25], 1]);
  });

  test("is not harmed by one that throws, nor by a look that fails", async () => {
    const timers = heldTimers();
    const other = open();
    await other.commit([commitOf("r", 0, NOBODY)]);
    const calls: string[] = [];
    store.watch(() => {
      calls.push("first");
      throw new Error("not your matter");
    });
    store.watch(() => calls.push("second"));
    await other.post({ runId: "r", body: "x" });
    timers.fire();
    expect(calls).toEqual(["first", "second"]);
    await other.post({ runId: "r", body: "y" });
    vi.spyOn(StatementSync.prototype, "get").mockImplementationOnce(() => {
      throw Object.assign(new Error("database is locked"), { errcode: 5 });
    });
    timers.fire();
    expect(calls).toEqual(["first", "second"]);
    timers.fire();
    expect(calls).toEqual(["first", "second", "first", "second"]);
    expect(await store.readInbox("r", 0, 10)).toHaveLength(2);
  });
});
