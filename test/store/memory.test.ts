/**
 * The store in memory keeps the contract.
 */
import { MemoryStore } from "../../src/store/memory.ts";
import { type Place, storeContract } from "./contract.ts";
import { inboxContract } from "./inbox-contract.ts";

storeContract("memory", makePlace);
inboxContract("memory", makePlace);

async function makePlace(): Promise<Place> {
  const store = new MemoryStore();
  return { open: async () => new Proxy(store, { get: (target, key: keyof MemoryStore) => bound(target, key) }), remove: async () => {} };
}

/** Each opening is a holder of its own: only the one that took the lock gives it back. */
function bound(store: MemoryStore, key: keyof MemoryStore): unknown {
  const member: unknown = store[key];
  return typeof member === "function" ? member.bind(store) : member;
}
