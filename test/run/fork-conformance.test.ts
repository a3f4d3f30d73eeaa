/**
 * A fork of a machine's run goes on as the run itself would have gone on: machines made by hand and at random, forked from
 * each point at rest, and amid cascades, after a while in which nobody did anything.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MachineRun } from "../../src/run/machine-run.ts";
import { cases } from "../sim/cases.ts";
import { ForkingDriver } from "../sim/forking-driver.ts";
import { HAND_MADE_CASES } from "../sim/hand-made-machines.ts";
import { differenceOf } from "../sim/statechart-comparison.ts";
import { statechartSpec } from "../sim/statechart-spec.ts";
import { durableTrace, liveTrace, subjectOf } from "../sim/statechart-trace.ts";

/** xstate's development build warns of events that come too late: here they are meant to. */
beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));
const { turnsMax } = MachineRun;
afterEach(() => void (MachineRun.turnsMax = turnsMax));

/** Sends and ticks before which a run is forked; later ones are much the same. */
const MOVES = [0, 1, 2, 3, 5, 8, 13, 21];

const comparable = HAND_MADE_CASES.filter(({ restarts, differs }) => restarts === undefined && differs === undefined);

test.each(comparable.map((subject) => [subject.name, subject] as const))("%s", async (_, subject) => {
  const live = await liveTrace(subject);
  for (const move of MOVES) {
    const driver = new ForkingDriver(move);
    const difference = differenceOf(live, await durableTrace(subject, driver));
    expect(difference, `forked before move ${move}`).toBeUndefined();
    if (!driver.hasForked) break;
  }
});

test("random systems of statecharts", async () => {
  let forks = 0;
  await fc.assert(
    fc.asyncProperty(statechartSpec({ speaks: false }), fc.nat(6), async (spec, move) => {
      const subject = subjectOf(spec);
      const driver = new ForkingDriver(move);
      expect(differenceOf(await liveTrace(subject), await durableTrace(subject, driver))).toBeUndefined();
      if (driver.hasForked) forks++;
    }),
    cases({ short: 100, long: 3_000 }),
  );
  expect(forks).toBeGreaterThan(20);
}, 900_000);

test("a fork from amid a cascade ends it, with acts of its own", async () => {
  MachineRun.turnsMax = 1;
  let forks = 0;
  for (const subject of comparable) {
    const live = await liveTrace(subject);
    for (const move of MOVES) {
      const driver = new ForkingDriver(move, true);
      const { states } = await durableTrace(subject, driver);
      if (driver.hasForked) expect([subject.name, move, states]).toEqual([subject.name, move, live.states]);
      if (driver.hasForked) forks++;
    }
  }
  expect(forks).toBeGreaterThan(20);
}, 300_000);
