/**
 * Several workers and a client on one store, simulated: whatever dies, hangs, closes or comes back when, every run ends as
 * the model says, and nobody writes what is another's.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { dagSpec } from "../sim/dag.ts";
import { playMachines } from "../sim/shared-machines.ts";
import type { Harm } from "../sim/shared-workers.ts";
import type { Deed } from "../sim/shared-world.ts";
import { playDags } from "../sim/shared-dags.ts";

const atMs = fc.integer({ min: 0, max: 40_000 });
const worker = fc.nat(2);
const awayMs = fc.integer({ min: 0, max: 40_000 });
const run = fc.nat(3);
const death = fc.record({ atMs, worker, awayMs, kind: fc.constantFrom("kill", "crashBefore", "crashAfter") });
const closing = fc.record({ atMs, worker, awayMs, kind: fc.constant("close") });
const stop = fc.record({ atMs, worker, awayMs, kind: fc.constantFrom("stop", "stopBefore") });
const request = fc.oneof(fc.record({ atMs, run, kind: fc.constant("cancel") }), fc.record({ atMs, run, forMs: awayMs, kind: fc.constant("pause") }));
const jump = fc.record({ atMs, byMs: fc.integer({ min: -86_400_000, max: 86_400_000 }), kind: fc.constant("jump") });
const specs = fc.array(dagSpec(6), { minLength: 1, maxLength: 4 });
const startedBy = fc.constantFrom<"client" | "worker">("client", "worker");

function deeds(...kinds: fc.Arbitrary<unknown>[]): fc.Arbitrary<readonly Deed[]> {
  return fc.array(fc.oneof(...kinds), { maxLength: 8 }) as fc.Arbitrary<readonly Deed[]>;
}

test.each([
  ["die", deeds(death)],
  ["close", deeds(closing)],
  ["hang beyond their lease and go on", deeds(stop)],
  ["die, hang and close, while runs are paused and cancelled and the clock jumps", deeds(death, stop, closing, request, jump)],
])(
  "runs end as the model says when workers %s",
  async (_, plot) => {
    let [moves, fenced] = [0, 0];
    const { numRuns, ...parameters } = cases({ short: 25, long: 2_000 });
    await fc.assert(
      fc.asyncProperty(specs, fc.integer({ min: 2, max: 3 }), fc.nat(), plot, startedBy, async (specs, workers, seed, deeds, startedBy) => {
        const ending = await playDags({ specs, workers, seed, deeds, startedBy });
        moves += ending.moves;
        fenced += ending.fenced;
      }),
      { numRuns, ...parameters },
    );
    console.log(`${moves} runs moved, ${fenced} commits fenced`);
    expect(moves).toBeGreaterThan(0);
  },
  900_000,
);

test("events of several senders are taken once and in order, whatever happens to the workers", async () => {
  let [moves, duplicates] = [0, 0];
  const pauses = fc.array(fc.record({ atMs, forMs: fc.integer({ min: 0, max: 10_000 }) }), { maxLength: 2 });
  const sends = fc.array(fc.array(fc.integer({ min: 0, max: 6_000 }), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 });
  const harms = fc.array(fc.oneof(death, closing, stop), { maxLength: 8 }) as fc.Arbitrary<readonly Harm[]>;
  const { numRuns, ...parameters } = cases({ short: 25, long: 2_000 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 3 }), fc.nat(), harms, pauses, sends, async (workers, seed, harms, pauses, sends) => {
      const ending = await playMachines({ workers, seed, harms, pauses, sends });
      moves += ending.moves;
      duplicates += ending.duplicates;
    }),
    { numRuns, ...parameters },
  );
  console.log(`${moves} runs moved, ${duplicates} events had been taken before`);
  expect(moves).toBeGreaterThan(0);
}, 900_000);
