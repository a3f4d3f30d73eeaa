/**
 * Random workflows of everything, with scripted outcomes, agree with the reference model, whatever dies when.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import type { Fault } from "../sim/process.ts";
import { shapeSpec } from "../sim/shapes.ts";
import { playSharedShapes } from "../sim/shared-shapes.ts";
import type { Deed } from "../sim/shared-world.ts";
import { playShapes } from "../sim/shapes-world.ts";

const at =
  (group: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === group ? fault : undefined;

const permits = fc.constantFrom(undefined, undefined, 1, 2);
const looks = fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 2 });
const close = fc.option(fc.integer({ min: 0, max: 60_000 }), { nil: undefined });
const lives = (...faults: (Fault | undefined)[]): fc.Arbitrary<((group: number) => Fault | undefined)[]> =>
  fc
    .array(fc.array(fc.constantFrom(undefined, undefined, undefined, undefined, ...faults), { maxLength: 16 }), { maxLength: 3 })
    .map((all) => all.map((life) => Object.assign((group: number) => life[group - 1], { [fc.toStringMethod]: () => JSON.stringify(life) })));

test("random workflows agree with the model, with a crash before and after every commit", async () => {
  let [commits, crashes] = [0, 0];
  const { numRuns, ...parameters } = cases({ short: 6, long: 2_000 });
  await fc.assert(
    fc.asyncProperty(shapeSpec(5), fc.nat(), permits, looks, async (spec, seed, permits, looksAtMs) => {
      const calm = await playShapes({ spec, seed, permits, looksAtMs });
      commits += calm.groups;
      for (let group = 1; group <= calm.groups; group++)
        for (const fault of ["crashBefore", "crashAfter"] as const)
          crashes += (await playShapes({ spec, seed, permits, faults: [at(group, fault)] })).processes - 1;
    }),
    { numRuns, ...parameters },
  );
  console.log(`${numRuns} workflows, ${commits} commits, ${crashes} crashes`);
  expect(crashes).toBeGreaterThan(numRuns);
}, 3_000_000);

test("a crash during the recovery from a crash, twice, changes nothing", async () => {
  const crash = fc.record({ group: fc.integer({ min: 1, max: 8 }), fault: fc.constantFrom<Fault>("crashBefore", "crashAfter") });
  await fc.assert(
    fc.asyncProperty(shapeSpec(5), fc.nat(), permits, fc.array(crash, { minLength: 3, maxLength: 3 }), async (spec, seed, permits, crashes) => {
      await playShapes({ spec, seed, permits, faults: crashes.map(({ group, fault }) => at(group, fault)) });
    }),
    cases({ short: 25, long: 2_000 }),
  );
}, 3_000_000);

test("unknown outcomes, a disk that is full for a while, crashes and closings together change nothing", async () => {
  const faults = lives("unknownApplied", "unknownLost", "full", "crashBefore", "crashAfter");
  await fc.assert(
    fc.asyncProperty(shapeSpec(5), fc.nat(), permits, fc.array(close, { maxLength: 4 }), faults, async (spec, seed, permits, closeAfterMs, faults) => {
      await playShapes({ spec, seed, permits, closeAfterMs, faults });
    }),
    cases({ short: 30, long: 2_000 }),
  );
}, 3_000_000);

test("pauses at any moment, with crashes in between, change nothing", async () => {
  const pauses = fc.array(fc.record({ atMs: fc.integer({ min: 0, max: 40_000 }), forMs: fc.integer({ min: 0, max: 40_000 }) }), { minLength: 1, maxLength: 2 });
  await fc.assert(
    fc.asyncProperty(shapeSpec(5), fc.nat(), pauses, lives("crashBefore", "crashAfter"), async (spec, seed, pauses, faults) => {
      await playShapes({ spec, seed, pauses, faults });
    }),
    cases({ short: 25, long: 2_000 }),
  );
}, 3_000_000);

test("a run that reaches its timeout is cut off with what it had come to, whatever crashed or was closed before", async () => {
  let timedOut = 0;
  const faults = lives("crashBefore", "crashAfter", "unknownApplied", "unknownLost");
  const plot = [shapeSpec(5), fc.nat(), fc.integer({ min: 1, max: 30_000 }), looks, fc.array(close, { maxLength: 2 }), faults] as const;
  await fc.assert(
    fc.asyncProperty(...plot, async (spec, seed, timeoutMs, looksAtMs, closeAfterMs, faults) => {
      if ((await playShapes({ spec, seed, timeoutMs, looksAtMs, closeAfterMs, faults })).status === "timedOut") timedOut++;
    }),
    cases({ short: 25, long: 2_000 }),
  );
  expect(timedOut).toBeGreaterThan(0);
}, 3_000_000);

test("after a cancel that resolved nothing starts, whatever crashed or was closed before", async () => {
  const faults = lives("crashBefore", "crashAfter", "unknownApplied", "unknownLost");
  const plot = [shapeSpec(5), fc.nat(), fc.integer({ min: 0, max: 40_000 }), fc.array(close, { maxLength: 3 }), faults] as const;
  await fc.assert(
    fc.asyncProperty(...plot, async (spec, seed, cancelAfterMs, closeAfterMs, faults) => {
      await playShapes({ spec, seed, cancelAfterMs, closeAfterMs, faults });
    }),
    cases({ short: 25, long: 2_000 }),
  );
}, 3_000_000);

const [atMs, awayMs] = [fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 0, max: 40_000 })];
const deeds = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ atMs, worker: fc.nat(2), awayMs, kind: fc.constantFrom("kill", "crashBefore", "crashAfter", "close", "stop", "stopBefore") }),
    },
    { weight: 1, arbitrary: fc.record({ atMs, run: fc.nat(1), forMs: awayMs, kind: fc.constant("pause") }) },
    { weight: 1, arbitrary: fc.record({ atMs, run: fc.nat(1), kind: fc.constant("cancel") }) },
    { weight: 2, arbitrary: fc.record({ atMs, byMs: fc.integer({ min: -86_400_000, max: 86_400_000 }), kind: fc.constant("jump") }) },
  ),
  { maxLength: 8 },
) as fc.Arbitrary<readonly Deed[]>;

test("runs end as the model says among several workers that die, hang and close, while runs are paused and cancelled and the clock jumps", async () => {
  let [moves, fenced] = [0, 0];
  const plot = fc.record({
    specs: fc.array(shapeSpec(4), { minLength: 1, maxLength: 2 }),
    workers: fc.integer({ min: 2, max: 3 }),
    seed: fc.nat(),
    deeds,
    startedBy: fc.constantFrom<"client" | "worker">("client", "worker"),
  });
  await fc.assert(
    fc.asyncProperty(plot, async (plot) => {
      const ending = await playSharedShapes(plot);
      moves += ending.moves;
      fenced += ending.fenced;
    }),
    cases({ short: 10, long: 2_000 }),
  );
  console.log(`${moves} runs moved, ${fenced} commits fenced`);
  expect(moves).toBeGreaterThan(0);
}, 3_000_000);
