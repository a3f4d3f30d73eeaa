/**
 * Random workflows of everything, whose failures are undone, skipped or taken over, and to which people do something at any
 * moment, agree with the model, whatever dies when.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import type { Fault } from "../sim/process.ts";
import { playGoverned } from "../sim/governed.ts";
import { SURELY_UNDONE, deed, lives, permits, round, undoableSpec } from "../sim/governed-plots.ts";
import { steady } from "../sim/shapes.ts";

const at =
  (group: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === group ? fault : undefined;

test("what a failure leads to is as the model says, for nodes of every kind, with a crash before and after every commit", async () => {
  let [crashes, undone] = [0, 0];
  const { numRuns, ...parameters } = cases({ short: 3, long: 2_000 });
  await fc.assert(
    fc.asyncProperty(undoableSpec(5), fc.nat(), permits, async (spec, seed, permits) => {
      const calm = await playGoverned({ spec, seed, permits });
      undone += calm.undone;
      for (let group = 1; group <= calm.groups; group++)
        for (const fault of ["crashBefore", "crashAfter"] as const)
          crashes += (await playGoverned({ spec, seed, permits, faults: [at(group, fault)] })).processes - 1;
    }),
    { numRuns, ...parameters, examples: [[SURELY_UNDONE, 1, undefined]] },
  );
  console.log(`${numRuns} workflows, ${crashes} crashes, ${undone} nodes undone`);
  expect(crashes).toBeGreaterThanOrEqual(numRuns);
  expect(undone).toBeGreaterThanOrEqual(2);
}, 3_000_000);

test("small workflows that fail end as the model says, with a crash or two", async () => {
  let undone = 0;
  await fc.assert(
    fc.asyncProperty(undoableSpec(4, 1), fc.nat(), lives(8, "crashBefore", "crashAfter"), async (spec, seed, faults) => {
      undone += (await playGoverned({ spec, seed, faults })).undone;
    }),
    { ...cases({ short: 30, long: 100_000 }), examples: [[SURELY_UNDONE, 1, []]] },
  );
  expect(undone).toBeGreaterThanOrEqual(2);
}, 3_000_000);

test("what people do to a run at any of its commits does what they asked for, and nothing else, whatever dies", async () => {
  let overridden = 0;
  const plot = [
    undoableSpec(5).map(steady),
    fc.nat(),
    permits,
    fc.array(deed, { minLength: 1, maxLength: 4 }),
    lives(10, "crashBefore", "crashAfter"),
  ] as const;
  await fc.assert(
    fc.asyncProperty(...plot, async (spec, seed, permits, deeds, faults) => {
      overridden += (await playGoverned({ spec, seed, permits, deeds, faults })).overridden;
    }),
    cases({ short: 25, long: 10_000 }),
  );
  expect(overridden).toBeGreaterThan(0);
}, 3_000_000);

test("runs that are taken up again, with other inputs and results, end as the model says, whatever is done to them and dies", async () => {
  let eras = 0;
  const plot = [undoableSpec(4).map(steady), fc.nat(), fc.array(deed, { maxLength: 3 }), fc.array(round, { minLength: 1, maxLength: 3 })] as const;
  await fc.assert(
    fc.asyncProperty(...plot, lives(10, "crashBefore", "crashAfter"), async (spec, seed, deeds, rounds, faults) => {
      eras += (await playGoverned({ spec, seed, deeds, rounds, faults })).eras - 1;
    }),
    cases({ short: 25, long: 10_000 }),
  );
  expect(eras).toBeGreaterThan(0);
}, 3_000_000);
