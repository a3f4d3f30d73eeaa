/**
 * Random workflows under random limits, with the whole engine: no limit is exceeded at any instant, and everything ends.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { LIMITED, LimitedWorld } from "../sim/limited-world.ts";

test("no limit is exceeded at any instant, and everything ends, whatever happens to the workers", async () => {
  let started = 0;
  await fc.assert(
    fc.asyncProperty(LIMITED, async (plan) => {
      const world = new LimitedWorld(plan);
      await world.play();
      expect(world.exceeded).toEqual([]);
      started += world.started;
    }),
    cases({ short: 100, long: 5_000 }),
  );
  expect(started).toBeGreaterThan(100);
}, 1_200_000);

// found by the property above: the worker went round for ever
test("two flows of which each lacks what the other leaves when it waits do not send each other round", async () => {
  const world = new LimitedWorld({
    seed: 1_903_255_221,
    heardAfterMs: 0,
    held: 2,
    window: 4,
    mine: 1,
    uses: [
      { held: 1, window: 2, mine: 1, concurrency: 3, hasTimeout: true },
      { held: 2, window: 1, mine: 0, concurrency: 3, hasTimeout: true },
      { held: 1, window: 0, mine: 1, concurrency: 0, hasTimeout: false },
    ],
    nodes: [
      { agent: 0, after: 0 },
      { agent: 1, after: 2 },
      { agent: 1, after: 2 },
      { agent: 0, after: 4 },
    ],
    runs: [
      { tenant: 1, priority: 2 },
      { tenant: 1, priority: 0 },
      { tenant: 0, priority: 2 },
      { tenant: 0, priority: -1 },
    ],
    workers: 2,
    actions: [
      { afterMs: 1_863, kind: "clockBack", which: 4 },
      { afterMs: 3_643, kind: "cancel", which: 6 },
      { afterMs: 46, kind: "pause", which: 6 },
      { afterMs: 1_960, kind: "nothing", which: 5 },
    ],
  });
  await world.play();
  expect(world.exceeded).toEqual([]);
});
