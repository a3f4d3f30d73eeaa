/**
 * The heart of the promise: random DAGs with scripted outcomes agree with the reference model, whatever dies when.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { dagSpec } from "../sim/dag.ts";
import type { Fault } from "../sim/process.ts";
import { play } from "../sim/world.ts";
import { cases } from "../sim/cases.ts";

const at =
  (group: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === group ? fault : undefined;

test("random DAGs agree with the reference model, with a crash before and after every commit", async () => {
  let commits = 0;
  let crashes = 0;
  const { numRuns, ...parameters } = cases({ short: 25, long: 2_000 });
  await fc.assert(
    fc.asyncProperty(dagSpec(10), fc.nat(), async (spec, seed) => {
      const calm = await play({ spec, seed });
      commits += calm.groups;
      for (let group = 1; group <= calm.groups; group++) {
        for (const fault of ["crashBefore", "crashAfter"] as const) crashes += (await play({ spec, seed, faults: [at(group, fault)] })).processes - 1;
      }
    }),
    { numRuns, ...parameters },
  );
  console.log(`${numRuns} DAGs, ${commits} commits, ${crashes} crashes`);
  expect(crashes).toBeGreaterThan(numRuns);
}, 900_000);

test("a crash during the recovery from a crash, twice, changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(
      dagSpec(8),
      fc.nat(),
      fc.array(fc.record({ group: fc.integer({ min: 1, max: 6 }), fault: fc.constantFrom<Fault>("crashBefore", "crashAfter") }), {
        minLength: 3,
        maxLength: 3,
      }),
      async (spec, seed, crashes) => {
        await play({ spec, seed, faults: crashes.map(({ group, fault }) => at(group, fault)) });
      },
    ),
    cases({ short: 60, long: 5_000 }),
  );
}, 900_000);

test("unknown outcomes, a disk that is full for a while, and crashes together change nothing", async () => {
  const fault = fc.constantFrom<Fault | undefined>(undefined, undefined, undefined, "unknownApplied", "unknownLost", "full", "crashBefore", "crashAfter");
  await fc.assert(
    fc.asyncProperty(dagSpec(8), fc.nat(), fc.array(fc.array(fault, { maxLength: 12 }), { maxLength: 3 }), async (spec, seed, lives) => {
      await play({ spec, seed, faults: lives.map((faults) => (group: number) => faults[group - 1]) });
    }),
    cases({ short: 60, long: 5_000 }),
  );
}, 900_000);

test("closing at any moment, with crashes in between, changes nothing", async () => {
  const close = fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined });
  const fault = fc.constantFrom<Fault | undefined>(undefined, undefined, undefined, "crashBefore", "crashAfter");
  await fc.assert(
    fc.asyncProperty(
      dagSpec(8),
      fc.nat(),
      fc.array(close, { maxLength: 4 }),
      fc.array(fc.array(fault, { maxLength: 8 }), { maxLength: 2 }),
      async (spec, seed, closeAfterMs, lives) => {
        await play({ spec, seed, closeAfterMs, faults: lives.map((faults) => (group: number) => faults[group - 1]) });
      },
    ),
    cases({ short: 70, long: 5_000 }),
  );
}, 900_000);

test("after a cancel that resolved nothing starts, whatever crashed or was closed before", async () => {
  const close = fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: undefined });
  const fault = fc.constantFrom<Fault | undefined>(undefined, undefined, undefined, "crashBefore", "crashAfter", "unknownApplied", "unknownLost");
  await fc.assert(
    fc.asyncProperty(
      dagSpec(8),
      fc.nat(),
      fc.integer({ min: 0, max: 20_000 }),
      fc.array(close, { maxLength: 3 }),
      fc.array(fc.array(fault, { maxLength: 8 }), { maxLength: 2 }),
      async (spec, seed, cancelAfterMs, closeAfterMs, lives) => {
        await play({ spec, seed, cancelAfterMs, closeAfterMs, faults: lives.map((faults) => (group: number) => faults[group - 1]) });
      },
    ),
    cases({ short: 70, long: 5_000 }),
  );
}, 900_000);
