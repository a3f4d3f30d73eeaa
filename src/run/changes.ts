/**
 * What happens in all runs of a store, for programs that keep up with it: the entries of their histories in the order of
 * the commits, each with a cursor from which another process goes on later. At least once: who died after an entry, and
 * before it kept the cursor, gets that entry again, under the same id.
 */
import type { Clock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Emitted } from "./emitted.ts";
import { HISTORY_TYPES, type HistoryEntry, type HistoryType, type RunChange, readHistoryEntry } from "./history.ts";

/** Which changes are told, and from where on. */
export interface ChangesOptions {
  /** The cursor of the last one that is known; `'now'`: only what happens from now on. Default: all that is kept. */
  readonly after?: string;
  /** Only events of these types; entries without any are left out. Default: all. */
  readonly types?: readonly HistoryType[];
  /** Ends it. Without one it goes on until its reader leaves, or pawl is closed. */
  readonly signal?: AbortSignal;
}

/** One commit of some run. */
export interface StoredChange extends HistoryEntry {
  /** `runId:commitNo`: the same whenever it is told. */
  readonly id: string;
  /** Where it stands: to be kept, and given as `after` by who goes on later. */
  readonly cursor: string;
  readonly runId: string;
}

interface ChangesHome {
  readonly store: Store;
  readonly clock: Clock;
  readonly changes: Emitted<RunChange>;
}

const PAGE = 100;
/** Commits are heard of at once or nearly so; this is for what no one tells. */
const LOOK_EVERY_MS = 1_000;
const NOW = "now";

/** See `Pawl.changes`. */
export async function* readChanges(home: ChangesHome, { after, types, signal }: ChangesOptions): AsyncGenerator<StoredChange, void, undefined> {
  for (const type of types ?? []) checkType(type);
  let last = await firstOf(home.store, after);
  const wake = makeWake(home, signal);
  const isOver = (): boolean => signal?.aborted === true;
  try {
    while (!isOver()) {
      const woken = wake.next();
      const page = await home.store.readChanges(last, PAGE);
      for (const record of page) {
        last = record.sequence;
        const entry = readHistoryEntry(record);
        const events = types === undefined ? entry.events : entry.events.filter(({ type }) => types.includes(type));
        if (isOver()) return;
        if (types === undefined || events.length > 0)
          yield { id: `${record.runId}:${record.commitNo}`, cursor: String(last), runId: record.runId, ...entry, events };
      }
      if (page.length === 0) await woken;
    }
  } finally {
    wake.stop();
  }
}

async function firstOf(store: Store, after: string | undefined): Promise<number> {
  if (after === undefined) return 0;
  const last = await store.readLastChange();
  if (after === NOW) return last;
  if (!/^\d{1,16}$/.test(after))
    throw new PawlError("PAWL_INVALID_VALUE", { message: `"${after.slice(0, 40)}" is no cursor`, next: "give one that a change came with, or 'now'" });
  if (Number(after) > last) throw new PawlError("PAWL_INVALID_VALUE", { message: `the cursor ${after} is beyond the newest change: it is of another store` });
  return Number(after);
}

function checkType(type: string): void {
  if (!(HISTORY_TYPES as readonly string[]).includes(type))
    throw new PawlError("PAWL_INVALID_VALUE", { message: `nothing that happens is called "${type}"`, next: `one of ${HISTORY_TYPES.join(", ")}` });
}

/** `next` resolves when something may have happened since it was called. */
function makeWake({ store, clock, changes }: ChangesHome, signal: AbortSignal | undefined): { next(): Promise<void>; stop(): void } {
  let wake: (() => void) | undefined;
  const called = (): void => wake?.();
  const ends = [store.watch(called), changes.add(called)];
  signal?.addEventListener("abort", called);
  let cancel: (() => void) | undefined;
  return {
    next: () => {
      cancel?.();
      cancel = clock.after(LOOK_EVERY_MS, called);
      return new Promise<void>((resolve) => (wake = resolve));
    },
    stop: () => {
      cancel?.();
      for (const end of ends) end();
      signal?.removeEventListener("abort", called);
    },
  };
}
