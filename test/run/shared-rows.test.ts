/**
 * Rows that workers share, as one worker knows them: never older than what it wrote itself, and nobody waits for ever.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { SharedRows, changeShared } from "../../src/run/shared-rows.ts";
import { MemoryStore } from "../../src/store/memory.ts";

const quiet = (): void => {};
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const READS_MAX = 100;

/** A store that ends a test which would read for ever. */
class CountedStore extends MemoryStore {
  reads = 0;

  override async readShared(): ReturnType<MemoryStore["readShared"]> {
    if (++this.reads > READS_MAX) throw new Error("it reads for ever");
    return super.readShared();
  }
}

async function makeRows(store = new CountedStore()): Promise<{ readonly store: CountedStore; readonly rows: SharedRows; readonly epoch: number }> {
  const epoch = await store.openEpoch(0, "{}");
  return { store, epoch, rows: new SharedRows(store, log, { epoch: () => epoch, wantsWrite: quiet }) };
}

/** The row as it is stored. */
const bodyOf = async (store: MemoryStore, of: string): Promise<string | undefined> => (await store.readShared()).find(({ key }) => key === of)?.body;

const after = (word: string) => (value: string | undefined) => `${value ?? ""}${word}`;

test("while a write waits for another process what others wrote is seen, and that row when it is written", async () => {
  const { store, rows } = await makeRows();
  rows.change<string>("mine", after("a"));
  const amendments = rows.take();
  await changeShared<string>(store, "mine", after("b"));
  await changeShared<string>(store, "theirs", after("c"));
  const refreshed = rows.refresh();
  await nextLoop();
  expect({ mine: rows.get("mine"), theirs: rows.get("theirs"), reads: store.reads }).toEqual({ mine: undefined, theirs: "c", reads: 1 });
  await store.amend(amendments);
  rows.written();
  await refreshed;
  expect({ mine: rows.get("mine"), reads: store.reads }).toEqual({ mine: "ba", reads: 2 });
});

test("what others made of a row before this worker knew that its own write had succeeded is seen after that", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  await store.amend(rows.take());
  await changeShared(store, "x", after("b"));
  const refreshed = rows.refresh();
  await nextLoop();
  rows.written();
  await refreshed;
  expect(rows.get("x")).toBe("ab");
});

test("what was written here while it was read is not taken back by what was read", async () => {
  const { store, rows } = await makeRows();
  await changeShared<string>(store, "mine", after("a"));
  const read = rows.refresh();
  rows.change<string>("mine", after("b"));
  await store.amend(rows.take());
  rows.written();
  expect(rows.get("mine")).toBe("ab");
  await read;
  expect(rows.get("mine")).toBe("ab");
});

test.each([0, 1, 2, 3, 4, 5])("a read that is older is of no account, whenever it ends beside a write (%i turns apart)", async (turns) => {
  const { store, rows } = await makeRows();
  const { promise: older, resolve } = Promise.withResolvers<Awaited<ReturnType<MemoryStore["readShared"]>>>();
  rows.change<string>("mine", after("a"));
  const amendments = rows.take();
  vi.spyOn(store, "readShared").mockImplementationOnce(() => older);
  const refreshed = rows.refresh();
  await store.amend(amendments);
  resolve([]);
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
  rows.written();
  expect(rows.get("mine")).toBe("a");
  await nextLoop();
  expect(rows.get("mine")).toBe("a");
  await refreshed;
  expect(rows.get("mine")).toBe("a");
});

test("what was not written is known to nobody, and is written again, once", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  rows.take();
  const refreshed = rows.refresh();
  rows.notWritten();
  await refreshed;
  expect({ x: rows.get("x"), isDirty: rows.isDirty }).toEqual({ x: undefined, isDirty: true });
  for (let time = 0; time < 2; time++) {
    await store.amend(rows.take());
    rows.notWritten();
  }
  await rows.refresh();
  expect(rows.get("x")).toBe("a");
});

test("what says how things are here is said again, as they are by then, when it is not known whether it was written", async () => {
  const { store, rows } = await makeRows();
  let state = "early";
  rows.change<string>("x", after("a"));
  rows.restate<string>("x", (value) => `${value!.replace(/:.*/, "")}:${state}`);
  await store.amend(rows.take());
  rows.notWritten();
  state = "late";
  await store.amend(rows.take());
  rows.written();
  expect(rows.get("x")).toBe("a:late");
});

test("what was said while nobody knew whether more was written comes after that, and both count once", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  const amendments = rows.take();
  rows.change("x", after("b"));
  await store.amend(amendments);
  rows.notWritten();
  for (let time = 0; time < 2; time++) {
    await store.amend(rows.take());
    rows.notWritten();
  }
  await rows.refresh();
  expect(rows.get("x")).toBe("ab");
});

test("what changes nothing leaves the row to the letter, and of workers that are gone nothing stays in it", async () => {
  const { store, rows, epoch } = await makeRows();
  rows.change("x", after("a"));
  await store.amend(rows.take());
  rows.written();
  const body = await bodyOf(store, "x");
  rows.change("x", (value) => value);
  await store.amend(rows.take());
  expect(await bodyOf(store, "x")).toBe(body);
  await store.closeEpoch(epoch);
  const next = await makeRows(store);
  next.rows.change("x", after("b"));
  await store.amend(next.rows.take());
  expect(JSON.parse((await bodyOf(store, "x"))!)).toEqual({ of: "ab", last: { [next.epoch]: 1 } });
});

test.each(["written", "notWritten"] as const)("a worker that others took for dead changes nothing, and hears that it did not (%s)", async (outcome) => {
  const { store, rows, epoch } = await makeRows();
  const told: [string, boolean][] = [];
  const change = (word: string): void => rows.change("x", after(word), (isWritten) => told.push([word, isWritten]));
  change("a");
  await store.closeEpoch(epoch);
  await store.amend(rows.take());
  change("b");
  rows[outcome]();
  expect(told).toEqual([["a", false]]);
  rows.lost();
  expect([told, rows.isDirty, await store.readShared()]).toEqual([
    [
      ["a", false],
      ["b", false],
    ],
    false,
    [],
  ]);
});

test("who waits to know more waits no longer when all ends", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  rows.take();
  await changeShared(store, "x", after("b"));
  const refreshed = rows.refresh();
  rows.stop();
  await refreshed;
});
