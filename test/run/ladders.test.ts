/**
 * Recovery actions, warnings, stages and their timeouts at random, with one crash: verdicts are followed, and everything ends.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { ladderSpec, playLadder } from "../sim/ladders.ts";
import type { Fault } from "../sim/process.ts";

test("whatever agents and recovery actions do, and whatever dies once: the run ends, verdicts are followed, no durable action is repeated", async () => {
  const tally = { crashes: 0, verdicts: 0, timedOut: 0 };
  const fault = fc.constantFrom<Fault>("crashBefore", "crashAfter");
  const cancelAfterMs = fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined, freq: 5 });
  const { numRuns, ...parameters } = cases({ short: 100, long: 5_000 });
  await fc.assert(
    fc.asyncProperty(ladderSpec, fc.nat(), fault, fc.integer({ min: 1, max: 15 }), cancelAfterMs, async (spec, seed, fault, group, cancelAfterMs) => {
      const played = await playLadder({ spec, seed, fault, group, cancelAfterMs });
      for (const key of ["crashes", "verdicts", "timedOut"] as const) tally[key] += played[key];
    }),
    { numRuns, ...parameters },
  );
  console.log(`${numRuns} workflows: ${tally.crashes} crashes, ${tally.verdicts} verdicts, ${tally.timedOut} timeouts of stages and runs`);
  expect(Math.min(tally.crashes, tally.verdicts)).toBeGreaterThan(numRuns / 8);
}, 900_000);
