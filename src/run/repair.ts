/**
 * What can be put in order without a decision, and without harm to workers beside it.
 */
import type { Clock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { GentleBatches } from "./gentle-batches.ts";
import { sweepSome } from "./prune.ts";

const ANSWERS_KEPT_MS = 3_600_000;
const ANSWERS_MAX = 1_000;

/** Closes the epochs of processes that are gone, goes on with what a prune left, and forgets answers that nobody took. */
export async function repair(store: Store, clock: Clock, say: (line: string) => void): Promise<void> {
  for (const { id } of await store.readEpochs()) {
    if (!(await store.isAbandoned(id))) continue;
    await store.closeEpoch(id);
    say(`closed the epoch of worker ${id}, which is gone`);
  }
  const batches = new GentleBatches(store, clock);
  let rows = 0;
  for (let taken = -1; taken !== 0; rows += Math.max(0, taken)) taken = await sweepSome(store, batches);
  if (rows > 0) say(`deleted ${rows === 1 ? "a row" : `${rows} rows`} of pruned runs`);
  await store.forgetAnswers(clock.now() - ANSWERS_KEPT_MS, ANSWERS_MAX);
  say("forgot answers that nobody took within an hour");
}
