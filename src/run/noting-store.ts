/**
 * The store of a worker that notifies: with each commit of which people are to be told it writes the notice, in the same
 * transaction. So none is lost when the process dies after the commit, and none is told of what was not committed.
 */
import type { Store } from "../store/store.ts";
import { noticesOf, quarantineNotice } from "./notice.ts";

/** `noticed` is called when there may be a notice that was not there before. */
export function notingStore(store: Store, noticed: () => void): Store {
  const own: Partial<Store> = {
    commit: async (group, amendments) => {
      const noted = group.map((commit) => {
        const notices = noticesOf(commit);
        return notices.length === 0 ? commit : { ...commit, notices };
      });
      const outcomes = await store.commit(noted, amendments);
      if (noted.some(({ notices }) => notices !== undefined)) noticed();
      return outcomes;
    },
    quarantine: async (epoch, runId, reason, at) => {
      const record = await store.readRun(runId);
      await store.quarantine(epoch, runId, reason, at, record && quarantineNotice(record, reason, at));
      noticed();
    },
    addNotice: async (notice) => {
      await store.addNotice(notice);
      noticed();
    },
  };
  const bound = new Map<keyof Store, unknown>();
  return new Proxy(store, {
    get: (inner, name: keyof Store) => {
      if (!bound.has(name)) bound.set(name, own[name] ?? boundTo(inner, inner[name]));
      return bound.get(name);
    },
  });
}

function boundTo(store: Store, member: unknown): unknown {
  return typeof member === "function" ? member.bind(store) : member;
}
