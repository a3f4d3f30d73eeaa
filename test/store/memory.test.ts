/**
 * The store in memory keeps the contract.
 */
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { type Place, storeContract } from "./contract.ts";
import { epochContract } from "./epoch-contract.ts";
import { inboxContract } from "./inbox-contract.ts";
import { lookUpContract } from "./look-up-contract.ts";
import { noticeContract } from "./notice-contract.ts";
import { sharedContract } from "./shared-contract.ts";
import { pastContract } from "./past-contract.ts";
import { scheduleContract } from "./schedule-contract.ts";

storeContract("memory", makePlace);
epochContract("memory", makePlace);
inboxContract("memory", makePlace);
pastContract("memory", makePlace);
noticeContract("memory", makePlace);
sharedContract("memory", makePlace);
lookUpContract("memory", makePlace);
scheduleContract("memory", makePlace);

test("an epoch in memory is abandoned when a test says so, and stays open until somebody closes it", async () => {
  const store = new MemoryStore();
  const [dead, alive] = [await store.openEpoch(1, "{}"), await store.openEpoch(1, "{}")];
  store.abandon(dead);
  expect([await store.isAbandoned(dead), await store.isAbandoned(alive)]).toEqual([true, false]);
  expect((await store.readEpochs()).map(({ id }) => id)).toEqual([dead, alive]);
  await store.closeEpoch(dead);
  expect((await store.readEpochs()).map(({ id }) => id)).toEqual([alive]);
});

test("nothing is told of a store in memory: nobody else can write to it", async () => {
  const store: Store = new MemoryStore();
  let calls = 0;
  const stop = store.watch(() => calls++);
  await store.openEpoch(1, "{}");
  stop();
  expect(calls).toBe(0);
});

async function makePlace(): Promise<Place> {
  const store = new MemoryStore();
  return { open: async () => new Proxy(store, { get: (target, key: keyof MemoryStore) => bound(target, key) }), remove: async () => {} };
}

/** Each opening is a holder of its own: only the one that took the lock gives it back. */
function bound(store: MemoryStore, key: keyof MemoryStore): unknown {
  const member: unknown = store[key];
  return typeof member === "function" ? member.bind(store) : member;
}
