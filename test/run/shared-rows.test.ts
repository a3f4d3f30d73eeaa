/**
 * What a worker knows of rows that all workers share, while it writes some of them itself.
 */
import { expect, test } from "vitest";
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

async function makeRows(): Promise<{ readonly store: CountedStore; readonly rows: SharedRows }> {
  const store = new CountedStore();
  const epoch = await store.openEpoch(0, "");
  return { store, rows: new SharedRows(store, log, { epoch: () => epoch, wantsWrite: quiet }) };
}

test("while a write waits for another process, what others wrote is seen once, and that one when it is written", async () => {
  const { store, rows } = await makeRows();
  rows.change<number>("mine", () => 1);
  const amendments = rows.take();
  await changeShared<number>(store, "mine", () => 7);
  await changeShared<number>(store, "theirs", () => 8);
  await rows.refresh();
  expect({ mine: rows.get("mine"), theirs: rows.get("theirs"), reads: store.reads }).toEqual({ mine: undefined, theirs: 8, reads: 1 });
  await store.amend(amendments);
  rows.written();
  expect(rows.get("mine")).toBe(1);
});

test("what was written here while it was read is not taken back by what was read", async () => {
  const { store, rows } = await makeRows();
  await changeShared<number>(store, "mine", () => 7);
  const read = rows.refresh();
  rows.change<number>("mine", (value = 0) => value + 1);
  await store.amend(rows.take());
  rows.written();
  await read;
  expect(rows.get("mine")).toBe(8);
});

test("of what was not written the row is seen with the next look", async () => {
  const { store, rows } = await makeRows();
  rows.change<number>("mine", () => 1);
  rows.take();
  await changeShared<number>(store, "mine", () => 7);
  rows.notWritten();
  await rows.refresh();
  expect({ mine: rows.get("mine"), isDirty: rows.isDirty }).toEqual({ mine: 7, isDirty: true });
});
