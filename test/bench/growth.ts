/**
 * What a worker asks of the store again and again, with few and with many rows there: what others changed of the rows that all
 * share, after one of them was written, and runs that are nobody's, of which it takes the first ones.
 * Wall time of the question alone. Ratios are of the fastest tenth: what else the machine does is none of it.
 */
import { join } from "node:path";
import { SharedRows, changeShared } from "../../src/run/shared-rows.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { type Commit, NOBODY, type Store } from "../../src/store/store.ts";
import { type Row, type Settings, inTemporaryFolder, judged, quantile, rowOf, timed } from "./harness.ts";

/** How much dearer it may be with a thousand times as many rows, or ten thousand times: a step into an index is a little. */
const GROWTH_MAX = 2;
const CLAIMED = 10;

export async function growths(settings: Settings): Promise<Row[]> {
  const [rounds, shared, runs] = settings.quick ? [20, 1_000, 2_000] : [300, 10_000, 100_000];
  const [few, many] = [await refreshes(10, rounds), await refreshes(shared, rounds)];
  const [short, long] = [await claims(CLAIMED * rounds, rounds), await claims(runs, rounds)];
  return [
    rowOf("10 shared rows, one changed: to know it", "µs", few.refreshMs, 1_000),
    grown(rowOf(`${shared} shared rows, one changed: to know it`, "µs", many.refreshMs, 1_000), many.refreshMs, few.refreshMs, "that of 10"),
    rowOf("info: to read all of them", "µs", many.allMs, 1_000),
    rowOf(`${CLAIMED * rounds} runs are nobody's: to claim the first ${CLAIMED}`, "µs", short, 1_000),
    grown(rowOf(`${runs} runs are nobody's: to claim the first ${CLAIMED}`, "µs", long, 1_000), long, short, `that of ${CLAIMED * rounds}`),
  ];
}

function grown(row: Row, many: readonly number[], few: readonly number[], of: string): Row {
  return judged(row, quantile(many, 0.1) / quantile(few, 0.1), { atMost: GROWTH_MAX, of });
}

function withStores<T>(work: (store: Store, other: Store) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, "pawl.db");
    const [store, other] = [openSqliteStore(file, { mustExist: false }), openSqliteStore(file, { mustExist: false })];
    try {
      return await work(store, other);
    } finally {
      await Promise.all([store.close(), other.close()]);
    }
  });
}

function refreshes(size: number, rounds: number): Promise<{ readonly refreshMs: number[]; readonly allMs: number[] }> {
  return withStores(async (store, other) => {
    const silent = (): void => {};
    const log = { debug: silent, info: silent, warn: silent, error: silent };
    const rows = new SharedRows(store, log, { epoch: () => 1, wantsWrite: silent });
    const value = { says: { max: 10, perMs: 60_000 }, shares: { 1: { share: 5, use: 3, want: 0 }, 2: { share: 5, use: 5, want: 2 } } };
    const body = JSON.stringify({ of: value, last: { 1: 1, 2: 2 } });
    await store.amend(Array.from({ length: size }, (_, n) => ({ key: `limit:calls/tenant-${n}`, amend: () => body })));
    await rows.refresh();
    const [refreshMs, allMs]: [number[], number[]] = [[], []];
    for (let n = 0; n < rounds; n++) {
      await changeShared<typeof value>(other, `limit:calls/tenant-${n % size}`, () => ({ ...value, says: { max: n, perMs: 60_000 } }));
      refreshMs.push(await timed(() => rows.refresh()));
    }
    for (let n = 0; n < Math.min(rounds, 20); n++) allMs.push(await timed(() => store.readShared()));
    return { refreshMs, allMs };
  });
}

function claims(size: number, rounds: number): Promise<number[]> {
  return withStores(async (store) => {
    const epoch = await store.openEpoch(1, "{}");
    const run = { workflow: "flow", definition: "hash", status: "pending", body: "{}", checksum: 1, wakeAt: null, finished: false };
    for (let n = 0; n < size; n += 1_000) {
      const group = Array.from({ length: Math.min(1_000, size - n) }, (_, i): Commit => {
        const rank = (Math.imul(n + i, 2_654_435_761) >>> 0) - 2_147_483_648;
        return { runId: `r${n + i}`, from: 0, epoch: NOBODY, at: 1, run, actors: [], history: "[]", rank };
      });
      await store.commit(group);
    }
    const times: number[] = [];
    for (let n = 0; n < rounds; n++) times.push(await timed(() => store.claim(epoch, ["hash"], 1, 1, CLAIMED)));
    return times;
  });
}
