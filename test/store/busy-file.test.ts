/**
 * What a store does while another process holds its SQLite file: calls wait in the order in which they came, until it
 * is free or the store is closed.
 */
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Outcome, Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { commitOf } from "./commit-of.ts";

const folder = temporaryFolder();
let files = 0;
let path: string;
let store: Store;
let epoch: number;
let holder: DatabaseSync;

beforeEach(async () => {
  path = join(folder.path, `${++files}.db`);
  store = openSqliteStore(path, { mustExist: false });
  epoch = await store.openEpoch(1, "{}");
  await store.commit([commitOf("r", 0, epoch)]);
  holder = new DatabaseSync(path);
});
afterEach(async () => {
  vi.restoreAllMocks();
  holder.close();
  await store.close();
});

const hold = (): void => holder.exec("BEGIN IMMEDIATE");
const free = (): void => holder.exec("ROLLBACK");
/** A write of its own: another run's commit, which posts it. */
const post = async (body: string): Promise<Outcome[]> => store.commit([commitOf(`from-${body}`, 0, epoch, { posts: [{ runId: "r", body }] })]);
const inbox = async (): Promise<string[]> => (await store.readInbox("r", 0, 10)).map(({ body }) => body);
const codeOf = async (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "done",
    (error: { code?: unknown }) => error.code ?? error,
  );

/** Timers that fire when a test says so, with what they wait. */
function heldTimers(): { fire(belowMs?: number): void; readonly waitsMs: number[] } {
  const timers = new Set<{ readonly delayMs: number; readonly callback: () => void }>();
  vi.spyOn(systemClock, "after").mockImplementation((delayMs, callback) => {
    const timer = { delayMs, callback };
    timers.add(timer);
    return () => void timers.delete(timer);
  });
  return {
    fire: (belowMs = Infinity) => {
      for (const timer of [...timers]) if (timer.delayMs < belowMs && timers.delete(timer)) timer.callback();
    },
    get waitsMs() {
      return [...timers].map(({ delayMs }) => delayMs);
    },
  };
}

describe("while another process holds the file", () => {
  test("writes are done in the order in which they came, also those that came when it was free again", async () => {
    const timers = heldTimers();
    hold();
    const calls = ["a", "b", "c"].map(post);
    timers.fire();
    free();
    calls.push(post("d"));
    expect(await inbox()).toEqual([]);
    timers.fire();
    calls.push(post("e"));
    await Promise.all(calls);
    expect(await inbox()).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("only the first asks for it, again and again, at last every 3 ms; the next one begins anew", async () => {
    const timers = heldTimers();
    hold();
    const calls = ["a", "b", "c"].map(post);
    const waits: number[] = [];
    for (let tries = 0; tries < 8; tries++) {
      waits.push(...timers.waitsMs);
      timers.fire();
    }
    expect(waits).toEqual([1, 1, 1, 2, 2, 3, 3, 3]);
    free();
    timers.fire();
    hold();
    await calls[0];
    await new Promise(setImmediate);
    expect(timers.waitsMs).toEqual([1]);
    free();
    timers.fire();
    await Promise.all(calls);
    expect(timers.waitsMs).toEqual([]);
  });

  test("the event loop is served between those that waited", async () => {
    const timers = heldTimers();
    hold();
    const order: string[] = [];
    const calls = ["a", "b", "c"].map(async (body) => post(body).then(() => order.push(body)));
    free();
    timers.fire();
    setImmediate(() => order.push("loop"));
    await Promise.all(calls);
    expect(order.indexOf("loop")).toBeLessThan(order.indexOf("c"));
  });

  test("one that is refused does not hold up those behind it", async () => {
    const timers = heldTimers();
    hold();
    const calls: Promise<unknown>[] = [post("a"), store.post({ runId: "r", body: "b" }, 1), post("c")];
    free();
    timers.fire();
    expect(await Promise.all(calls.map(codeOf))).toEqual(["done", "PAWL_MAILBOX_FULL", "done"]);
    expect(await codeOf(post("d"))).toBe("done");
  });

  test("reads do not wait, not even behind a write that does", async () => {
    const timers = heldTimers();
    hold();
    const write = post("a");
    expect(await store.readRun("r")).toMatchObject({ commitNo: 1 });
    expect([await inbox(), await store.isAbandoned(epoch), await store.hasUnowned(["hash"])]).toEqual([[], false, false]);
    free();
    timers.fire();
    expect(await codeOf(write)).toBe("done");
  });
});

describe("posts of one turn of the event loop", () => {
  const posted = async (body: string, limit?: number): Promise<number | undefined> => store.post({ runId: "r", body }, limit);

  test("wait together for the file, and share a transaction", async () => {
    const timers = heldTimers();
    hold();
    const calls = ["a", "b"].map((body) => posted(body));
    await new Promise(setImmediate);
    free();
    const begun = vi.spyOn(StatementSync.prototype, "run");
    timers.fire();
    const numbers = await Promise.all([...calls, ...["c", "d"].map((body) => posted(body))]);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a! - b!));
    expect((begun.mock.contexts as StatementSync[]).filter(({ sourceSQL }) => sourceSQL.startsWith("BEGIN"))).toHaveLength(2);
    expect(await inbox()).toEqual(["a", "b", "c", "d"]);
  });

  test("keep their place among other writes", async () => {
    const calls = [posted("a"), post("b"), posted("c"), posted("d"), post("e")];
    await Promise.all(calls);
    expect(await inbox()).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("have their own answers: one finds no room, one no run", async () => {
    const calls = [posted("a", 1), posted("b", 1), store.post({ runId: "none", body: "x" }), posted("c", 2)];
    expect(await Promise.all(calls.map(codeOf))).toEqual(["done", "PAWL_MAILBOX_FULL", "done", "done"]);
    expect([await calls[2], await inbox()]).toEqual([undefined, ["a", "c"]]);
  });

  test("are at most a hundred in a transaction", async () => {
    const begun = vi.spyOn(StatementSync.prototype, "run");
    await Promise.all(Array.from({ length: 250 }, (_, i) => posted(String(i))));
    expect((begun.mock.contexts as StatementSync[]).filter(({ sourceSQL }) => sourceSQL.startsWith("BEGIN"))).toHaveLength(3);
    expect(await inbox()).toEqual(Array.from({ length: 250 }, (_, i) => String(i)).slice(0, 10));
  });

  test("are all refused when they cannot be written", async () => {
    vi.spyOn(StatementSync.prototype, "run").mockImplementation(() => {
      throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
    });
    expect(await Promise.all([posted("a"), posted("b")].map(codeOf))).toEqual(["PAWL_STORE_FULL", "PAWL_STORE_FULL"]);
    vi.restoreAllMocks();
    expect(await codeOf(posted("c"))).toBe("done");
    expect(await inbox()).toEqual(["c"]);
  });
});

test.each([
  ["get", "a read of one row", () => store.readRun("r")],
  ["all", "a read of many rows", () => store.readEpochs()],
  ["run", "a commit", () => store.commit([commitOf("r", 1, epoch)])],
] as const)("%s: %s is tried again when another process was stopped amid its commit", async (method, _, call) => {
  vi.spyOn(StatementSync.prototype, method).mockImplementationOnce(() => {
    throw Object.assign(new Error("locking protocol"), { errcode: 15 });
  });
  expect(await codeOf(call())).toBe("done");
  expect(await codeOf(store.readEpochs())).toBe("done");
});

describe("a store that is closed", () => {
  test("refuses every call, and those that wait; they were not done", async () => {
    hold();
    const waiting = [post("a"), store.commit([commitOf("r", 1, epoch)]), post("b")].map(codeOf);
    const closing = store.close();
    waiting.push(codeOf(post("c")));
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => "PAWL_CLOSED"));
    free();
    await closing;
    const calls = [post("d"), store.readRun("r"), store.beat(epoch, "{}"), store.commit([commitOf("r", 1, epoch)]), store.readEpochs(), store.sweep(1)];
    expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => "PAWL_CLOSED"));
    const other = openSqliteStore(path, { mustExist: true });
    expect([await other.readInbox("r", 0, 10), await other.readRun("r")]).toMatchObject([[], { commitNo: 1 }]);
    await other.close();
  });

  test("may be closed again, at any time", async () => {
    await Promise.all([store.close(), store.close()]);
    await store.close();
  });

  test("closes its epochs when the file is free within 2 s", async () => {
    const timers = heldTimers();
    hold();
    const closing = store.close();
    expect(timers.waitsMs).toEqual([2000, 1]);
    free();
    timers.fire(2000);
    await closing;
    expect(timers.waitsMs).toEqual([]);
    expect(holder.prepare("SELECT count(*) AS epochs FROM epoch").get()).toEqual({ epochs: 0 });
  });

  test("lets go of all its epochs after 2 s when the file is held for longer: they are abandoned", async () => {
    await store.openEpoch(1, "{}");
    const timers = heldTimers();
    hold();
    const closing = store.close();
    timers.fire();
    await closing;
    expect(timers.waitsMs).toEqual([]);
    free();
    const other = openSqliteStore(path, { mustExist: true });
    const left = (await other.readEpochs()).map(({ id }) => id);
    expect(left).toHaveLength(2);
    expect(await Promise.all(left.map((id) => other.isAbandoned(id)))).toEqual([true, true]);
    await other.close();
  });
});
