/**
 * Random workflows whose nodes can be undone: whatever dies when, what was done is undone, in order, and nothing else.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import type { Fault } from "../sim/process.ts";
import { type SagaSpec, playSaga, sagaSpec } from "../sim/saga.ts";

const at =
  (group: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === group ? fault : undefined;
const cancelAfterMs = fc.option(fc.integer({ min: 0, max: 4_000 }), { nil: undefined, freq: 3 });

/** One that is unwound, whatever the random ones do: three nodes are done, two of them can be undone, and the fourth fails. */
const SURE: SagaSpec = [
  { act: "ok", after: [], alternative: undefined, onFail: "block", undo: "ok" },
  { act: "slow", after: [0], alternative: undefined, onFail: "block", undo: "slow" },
  { act: "ok", after: [0], alternative: undefined, onFail: "block", undo: undefined },
  { act: "fails", after: [1, 2], alternative: undefined, onFail: "compensate", undo: undefined },
];

test("what was done is undone in order, with a crash before and after every commit", async () => {
  let [groups, crashes, undone] = [0, 0, 0];
  const { numRuns, ...parameters } = cases({ short: 20, long: 2_000 });
  await fc.assert(
    fc.asyncProperty(sagaSpec, fc.nat(), cancelAfterMs, async (spec, seed, cancelAfterMs) => {
      const calm = await playSaga({ spec, seed, cancelAfterMs });
      undone += calm.undone;
      groups += calm.groups;
      for (let group = 1; group <= calm.groups; group++)
        for (const fault of ["crashBefore", "crashAfter"] as const)
          crashes += (await playSaga({ spec, seed, cancelAfterMs, faults: [at(group, fault)] })).processes - 1;
    }),
    { numRuns, ...parameters, examples: [[SURE, 1, undefined]] },
  );
  console.log(`${numRuns} workflows, ${crashes} crashes at ${groups} groups of commits, ${undone} nodes undone`);
  // who dies after the last commit has told the end before
  expect(crashes).toBeGreaterThanOrEqual(groups);
  expect(undone).toBeGreaterThanOrEqual(2);
}, 900_000);

test("what was done is undone in order, with several crashes and unknown outcomes", async () => {
  const fault = fc.constantFrom<Fault | undefined>(undefined, undefined, undefined, "crashBefore", "crashAfter", "unknownApplied", "unknownLost");
  const lives = fc.array(fc.array(fault, { maxLength: 12 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(sagaSpec, fc.nat(), cancelAfterMs, lives, async (spec, seed, cancelAfterMs, lives) => {
      await playSaga({ spec, seed, cancelAfterMs, faults: lives.map((faults) => (group: number) => faults[group - 1]) });
    }),
    cases({ short: 100, long: 10_000 }),
  );
}, 900_000);
