/**
 * Rows that workers share, as one worker knows them: never older than what it wrote itself, and the event loop goes on.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import { expect, test } from "vitest";
import { SharedRows, changeShared } from "../../src/run/shared-rows.ts";
import { MemoryStore } from "../../src/store/memory.ts";

const silent = (): void => {};

async function sharedRows(): Promise<{ readonly store: MemoryStore; readonly shared: SharedRows }> {
  const store = new MemoryStore();
  const epoch = await store.openEpoch(0, "{}");
  return { store, shared: new SharedRows(store, { debug: silent, info: silent, warn: silent, error: silent }, { epoch: () => epoch, wantsWrite: silent }) };
}

const after = (word: string) => (value: string | undefined) => `${value ?? ""}${word}`;

test("while a write takes its time nothing spins, and afterwards all is known that others wrote meanwhile", async () => {
  const { store, shared } = await sharedRows();
  shared.change("x", after("a"));
  const amendments = shared.take();
  await store.amend(amendments);
  await changeShared(store, "x", after("b"));
  let isRefreshed = false;
  const refreshed = shared.refresh().then(() => (isRefreshed = true));
  await nextLoop();
  expect(isRefreshed).toBe(false);
  shared.written();
  await refreshed;
  expect(shared.get("x")).toBe("ab");
});

test("what was not written is known to nobody, and is written again, once", async () => {
  const { store, shared } = await sharedRows();
  shared.change("x", after("a"));
  shared.take();
  const refreshed = shared.refresh();
  shared.notWritten();
  await refreshed;
  expect(shared.get("x")).toBeUndefined();
  for (let time = 0; time < 2; time++) {
    await store.amend(shared.take());
    shared.notWritten();
  }
  await shared.refresh();
  expect(shared.get("x")).toBe("a");
});

test("who waits to know more waits no longer when all ends", async () => {
  const { shared } = await sharedRows();
  shared.change("x", after("a"));
  shared.take();
  const refreshed = shared.refresh();
  shared.stop();
  await refreshed;
});
