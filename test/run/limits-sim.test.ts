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
});
