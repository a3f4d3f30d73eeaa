/**
 * Random statecharts, live and through crashes, with the build of xstate that Node was told to load. A program of its own;
 * see test/run/conformance-builds.test.ts. Given a count and a seed, it prints how many agreed, or the first that did not.
 */
import fc from "fast-check";
import { CRASH_POLICIES } from "../sim/durable-driver.ts";
import { HAND_MADE_CASES } from "../sim/hand-made-machines.ts";
import { check } from "../sim/statechart-check.ts";
import { statechartSpec } from "../sim/statechart-spec.ts";
import { subjectOf } from "../sim/statechart-trace.ts";

const [numRuns, seed] = process.argv.slice(2).map(Number);
console.warn = () => {};

const random = fc.sample(statechartSpec({ speaks: false }), { numRuns: numRuns!, seed: seed! }).map(subjectOf);
const handMade = HAND_MADE_CASES.filter(({ differs, restarts }) => (differs ?? restarts) === undefined);
for (const [i, subject] of [...handMade, ...random].entries()) {
  const policy = CRASH_POLICIES[i % CRASH_POLICIES.length]!;
  const { difference } = await check(subject, policy);
  if (difference === undefined) continue;
  process.stderr.write(`${subject.name} ${i - handMade.length}, crashes: ${policy}; ${difference}\n`);
  process.exit(1);
}
process.stdout.write(JSON.stringify({ build: import.meta.resolve("xstate"), agreed: handMade.length + random.length }));
process.exit(0);
