/**
 * A process that does one thing with a store, for tests with several: it says when it is ready, begins when it is
 * told to, and says what came of it.
 */
import { once } from "node:events";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { commitOf } from "./commit-of.ts";

const EPOCHS = 60;

const [path, work] = process.argv.slice(2) as [string, keyof typeof WORKS];

/** Each begins after it was told to, with an epoch of its own. */
const WORKS = {
  hold: async () => {},
  /** Opens epochs and closes none. */
  open: async (store: Store) => {
    for (let i = 0; i < EPOCHS; i++) await store.openEpoch(1, "{}");
  },
  write: async (store: Store, epoch: number) => {
    await store.commit([commitOf("theirs", 0, epoch)]);
  },
  claim: async (store: Store, epoch: number) => {
    const ids: string[] = [];
    for (let taken = await store.claim(epoch, ["hash"], 1, 1, 3); taken.length > 0; taken = await store.claim(epoch, ["hash"], 1, 1, 3))
      ids.push(...taken.map(({ id }) => id));
    return ids;
  },
};

const store = openSqliteStore(path, { mustExist: false });
const epoch = await store.openEpoch(1, "{}");
process.send!(epoch);
for (;;) {
  await once(process, "message");
  process.send!((await WORKS[work](store, epoch)) ?? null);
}
