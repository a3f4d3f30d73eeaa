/**
 * Prune and retention: which runs go, that nothing of them stays, and that workers are not disturbed for long.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { type EndedStatus, prune } from "../../src/run/prune.ts";
import { Retention } from "../../src/run/retention.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { StepClock } from "../../src/testing/step-clock.ts";
import { cases } from "../sim/cases.ts";
import { seededRandom } from "../sim/random.ts";
import { commitOf } from "../store/commit-of.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const DAY_MS = 86_400_000;
const folder = temporaryFolder();
let files = 0;
const opened: Store[] = [];

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

const newPath = (): string => join(folder.path, `${++files}.db`);

function openFile(path: string): Store {
  const store = openSqliteStore(path, { mustExist: false });
  opened.push(store);
  return store;
}

/** A run that ended so, so many days before the clock's now, with three rows beside its own. */
function ended(runId: string, epoch: number, status: string, agoDays: number, clock: StepClock, workflow = "flow"): Commit {
  const commit = commitOf(runId, 0, epoch, { at: clock.now() - agoDays * DAY_MS, facts: { tags: ["t"] } });
  const actors = ["a", "b"].map((key) => ({ key, status: "completed", body: "{}", output: "1", checksum: 9 }));
  return { ...commit, actors, run: { ...commit.run, status, workflow, finished: true } };
}

/** Lets simulated time pass until the work is done. */
async function passing<T>(clock: StepClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  await clock.until(() => isDone);
  return done;
}

const ids = async (store: Store): Promise<string[]> => (await store.listRuns({ limit: 1_000 })).map(({ id }) => id).sort();

describe.each([
  ["in memory", (): Store => new MemoryStore()],
  ["on a file", (): Store => openFile(newPath())],
])("a prune %s", (_, makeStore) => {
  test("takes the completed and cancelled runs that ended before, with all their rows; others only when they are named", async () => {
    const [store, clock] = [makeStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    const statuses = ["completed", "cancelled", "failed", "timedOut", "quarantined"];
    await store.commit(statuses.flatMap((status) => [ended(`${status}-old`, epoch, status, 40, clock), ended(`${status}-new`, epoch, status, 20, clock)]));
    await store.commit([commitOf("running", 0, epoch, { at: 1 })]);
    expect(await passing(clock, prune(store, clock, { olderThan: "30d", dryRun: true }))).toEqual({ discarded: 2, rows: 0 });
    expect(await ids(store)).toHaveLength(11);
    expect(await passing(clock, prune(store, clock, { olderThan: "30d" }))).toEqual({ discarded: 2, rows: 8 });
    expect(await ids(store)).toEqual(expect.not.arrayContaining(["completed-old", "cancelled-old"]));
    expect(await store.readActors("completed-old")).toEqual([]);
    expect(await store.readHistory("completed-old", 0, 10)).toEqual([]);
    expect(await store.listRuns({ tag: "t", limit: 100 })).toHaveLength(8);
    expect(await passing(clock, prune(store, clock, { olderThan: "30d", statuses: ["failed", "quarantined"] }))).toMatchObject({ discarded: 2 });
    expect(await ids(store)).toContain("timedOut-old");
    expect(await ids(store)).toContain("running");
  });

  test("takes only runs of the workflow that is named", async () => {
    const [store, clock] = [makeStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    await store.commit([ended("mine", epoch, "completed", 9, clock, "mine"), ended("other", epoch, "completed", 9, clock, "other")]);
    expect(await passing(clock, prune(store, clock, { olderThan: "1d", workflow: "mine" }))).toMatchObject({ discarded: 1 });
    expect(await ids(store)).toEqual(["other"]);
  });

  test("goes on with what another one left, also when nothing is to be taken", async () => {
    const [store, clock] = [makeStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    await store.commit([ended("left", epoch, "failed", 9, clock)]);
    await store.discard({ status: "failed", endedBefore: clock.now() }, 10);
    expect(await passing(clock, prune(store, clock, { olderThan: "1d" }))).toEqual({ discarded: 0, rows: 4 });
  });

  test("says how far it is", async () => {
    const [store, clock] = [makeStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    await store.commit(Array.from({ length: 30 }, (__, i) => ended(`r-${i}`, epoch, "completed", 9, clock)));
    const told: (readonly number[])[] = [];
    await passing(clock, prune(store, clock, { olderThan: "1d", onProgress: ({ discarded, of, rows }) => told.push([discarded, of, rows]) }));
    expect(told[0]!.slice(1)).toEqual([30, 0]);
    expect(told.at(-1)).toEqual([30, 30, 120]);
  });

  test("rests between its batches while a worker is there, and not when it is alone", async () => {
    const [store, clock] = [makeStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    await store.commit(Array.from({ length: 10 }, (__, i) => ended(`r-${i}`, epoch, "completed", 9, clock)));
    const beside = clock.mono();
    await passing(clock, prune(store, clock, { olderThan: "8d" }));
    expect(clock.mono() - beside).toBeGreaterThanOrEqual(100);
    await store.commit(Array.from({ length: 10 }, (__, i) => ended(`s-${i}`, epoch, "completed", 9, clock)));
    await store.closeEpoch(epoch);
    const alone = clock.mono();
    await passing(clock, prune(store, clock, { olderThan: "8d" }));
    expect(clock.mono() - alone).toBeLessThan(100);
  });

  test("refuses a length of time that is none, and a status in which no run ends", async () => {
    const [store, clock] = [makeStore(), new StepClock()];
    await expect(prune(store, clock, { olderThan: "soon" as "1d" })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
    await expect(prune(store, clock, { olderThan: "1d", statuses: ["running" as EndedStatus] })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
  });
});

describe("retention", () => {
  test("keeps runs as long as it says for how they ended, and those that it does not name for ever", async () => {
    const [store, clock] = [new MemoryStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    for (const status of ["completed", "failed", "cancelled"])
      for (const days of [10, 40, 100]) await store.commit([ended(`${status}-${days}`, epoch, status, days, clock)]);
    const retention = new Retention(store, clock, { completed: "30d", failed: "90d" });
    await passing(clock, retention.run(epoch));
    expect(await ids(store)).toEqual(["cancelled-10", "cancelled-100", "cancelled-40", "completed-10", "failed-10", "failed-40"]);
    expect(await store.sweep(10)).toBe(0);
  });

  test("is the matter of the oldest worker alone, and without a policy only goes on with what was left", async () => {
    const [store, clock] = [new MemoryStore(), new StepClock()];
    const [first, second] = [await store.openEpoch(1, "{}"), await store.openEpoch(2, "{}")];
    await store.commit([ended("old", first, "completed", 9, clock), ended("left", first, "failed", 9, clock)]);
    await passing(clock, new Retention(store, clock, { completed: "1d" }).run(second));
    expect(await ids(store)).toEqual(["left", "old"]);
    await store.discard({ status: "failed", endedBefore: clock.now() }, 10);
    await passing(clock, new Retention(store, clock, {}).run(first));
    expect(await store.sweep(10)).toBe(0);
    expect(await ids(store)).toEqual(["old"]);
  });

  test("ends within some seconds, and goes on with the next call; a stop ends it after the batch that is under way", async () => {
    const [store, clock] = [new MemoryStore(), new StepClock()];
    const epoch = await store.openEpoch(1, "{}");
    const sweep = store.sweep.bind(store);
    store.sweep = () => sweep(1);
    await store.commit(Array.from({ length: 100 }, (_, i) => ended(`r-${i}`, epoch, "completed", 9, clock)));
    const retention = new Retention(store, clock, { completed: "1d" });
    const startedAt = clock.mono();
    await passing(clock, retention.run(epoch));
    expect(clock.mono() - startedAt).toBeLessThan(11_000);
    const left = async (): Promise<number> => sweep(1_000_000);
    const running = retention.run(epoch);
    await Promise.all([running, retention.stop()]);
    expect(await left()).toBeGreaterThan(100);
  });

  test("refuses a policy for what is no end", () => {
    expect(() => new Retention(new MemoryStore(), new StepClock(), { running: "1d" } as object)).toThrow(
      expect.objectContaining({ code: "PAWL_INVALID_VALUE" }),
    );
  });
});

test("a prune that is killed at any moment has lost nothing else, and the next one leaves no row", async () => {
  const { numRuns, seed } = cases({ short: 2, long: 60 });
  const random = seededRandom(seed);
  const child = fileURLToPath(new URL("prune-kill-child.ts", import.meta.url));
  for (let round = 0; round < numRuns; round++) {
    const [path, clock] = [newPath(), new StepClock()];
    const store = openFile(path);
    const epoch = await store.openEpoch(1, "{}");
    for (let group = 0; group < 10; group++)
      await store.commit(Array.from({ length: 100 }, (_, i) => ended(`old-${group}-${i}`, epoch, "completed", 40, clock)));
    await store.commit([ended("kept", epoch, "failed", 40, clock)]);
    await store.closeEpoch(epoch);
    for (let life = 0; life < 3; life++) {
      const process_ = spawn(process.execPath, ["--conditions=pawl-source", child, path, String(clock.now())], { stdio: ["ignore", "pipe", "inherit"] });
      await once(process_.stdout, "data");
      const timer = setTimeout(() => process_.kill("SIGKILL"), random.next() * 40);
      await once(process_, "exit");
      clearTimeout(timer);
    }
    await passing(clock, prune(store, clock, { olderThan: "30d" }));
    expect(await ids(store)).toEqual(["kept"]);
    expect(rowsIn(path), `seed ${seed}`).toEqual({ run: 1, actor: 2, history: 1, tag: 1, trash: 0 });
  }
});

function rowsIn(path: string): Record<string, number> {
  const database = new DatabaseSync(path);
  const rowsOf = (table: string): number => Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()!["n"]);
  const rows = Object.fromEntries(["run", "actor", "history", "tag", "trash"].map((table) => [table, rowsOf(table)]));
  database.close();
  return rows;
}

test("no batch holds the file for long, however large the rows are", async () => {
  const path = newPath();
  const [store, clock] = [openFile(path), new StepClock()];
  const epoch = await store.openEpoch(1, "{}");
  const large = { key: "", status: "value", body: "{}", output: "x".repeat(1_000_000), checksum: 9 };
  await store.commit([{ ...ended("large", epoch, "completed", 9, clock), actors: Array.from({ length: 40 }, (_, i) => ({ ...large, key: `k${i}` })) }]);
  await store.discard({ status: "completed", endedBefore: clock.now() }, 10);
  const taken: number[] = [];
  for (let rows = -1; rows !== 0; taken.push(rows)) rows = await store.sweep(1_000);
  expect(taken.reduce((sum, rows) => sum + rows, 0)).toBe(42);
  expect(Math.max(...taken)).toBeLessThan(20);
});
