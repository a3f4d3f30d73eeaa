/**
 * Several workers with schedules: whichever dies, hangs, closes or comes back when, and however the wall clock jumps, each
 * instant starts one run.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ScheduleChange, Store } from "../../src/store/store.ts";
import { cases } from "../sim/cases.ts";
import { replacing } from "../sim/process.ts";
import { PLAY_MS, playSchedules } from "../sim/shared-schedules.ts";
import type { Harm } from "../sim/shared-workers.ts";

const atMs = fc.integer({ min: 0, max: PLAY_MS });
const harm = fc.record({
  atMs,
  worker: fc.nat(2),
  awayMs: fc.integer({ min: 0, max: 30_000 }),
  kind: fc.constantFrom("kill", "close", "stop", "crashBefore", "crashAfter", "stopBefore"),
}) satisfies fc.Arbitrary<Harm>;
/** Of those that are jumped over no more than 100 are caught up with. */
const jump = fc.record({ atMs, byMs: fc.integer({ min: -60_000, max: 60_000 }) });
const plot = fc.record({
  workers: fc.integer({ min: 2, max: 3 }),
  seed: fc.nat(),
  harms: fc.array(harm, { maxLength: 10 }),
  jumps: fc.array(jump, { maxLength: 2 }),
});

test("each instant starts one run, whatever happens to the workers and the clock", async () => {
  let [runs, skipped] = [0, 0];
  const { numRuns, ...parameters } = cases({ short: 15, long: 1_000 });
  await fc.assert(
    fc.asyncProperty(plot, async (plot) => {
      const ending = await playSchedules(plot);
      runs += ending.runs;
      skipped += ending.skipped;
    }),
    { numRuns, ...parameters },
  );
  console.log(`${runs} runs of the one that skips, ${skipped} instants passed over`);
  expect(Math.min(runs, skipped)).toBeGreaterThan(0);
}, 900_000);

/** The runs are written after the row, not with it. */
function afterwards(store: Store): Store {
  return replacing(store, {
    writeSchedule: async ({ runs = [], ...row }: ScheduleChange) => {
      const outcome = await store.writeSchedule(row);
      if (outcome === "committed") await store.commit(runs);
      return outcome;
    },
  });
}

/** The row is written whoever has moved it on meanwhile. */
function regardless(store: Store): Store {
  return replacing(store, {
    writeSchedule: async (change: ScheduleChange) => {
      const outcome = await store.writeSchedule(change);
      if (outcome !== "fenced") return outcome;
      const row = (await store.readSchedules()).find(({ name }) => name === change.name);
      return store.writeSchedule({ ...change, from: row!.revision });
    },
  });
}

test.each([
  ["crashAfter", "the runs are written after the row", afterwards, /was not started/],
  ["stopBefore", "the row is written whoever has moved it on meanwhile", regardless, /was to be started a second time/],
] as const)("a %s is harmless, but not when %s", async (kind, _, wrap, seen) => {
  const harms = [0, 1].map((worker): Harm => ({ atMs: 9_600, worker, awayMs: 20_000, kind }));
  const plot = { workers: 2, seed: 1, harms, jumps: [] };
  await playSchedules(plot);
  await expect(playSchedules({ ...plot, wrap })).rejects.toThrow(seen);
});
