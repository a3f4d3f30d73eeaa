/**
 * Random plots of governed runs: what is run, what people do to it, and what dies when.
 */
import fc from "fast-check";
import type { Deed, Round } from "./governed-words.ts";
import type { Fault } from "./process.ts";
import { type NodeSpec, type Spec, type UndoSpec, shapeSpec } from "./shapes.ts";

/** Workflows whose nodes can be undone; what they wait for comes, or times out. Failures unwind most of them, not all. */
export function undoableSpec(nodesMax: number, depth = 2): fc.Arbitrary<Spec> {
  const parts = fc.tuple(shapeSpec(nodesMax, { undoes: true }, depth), fc.constantFrom(true, true, false), fc.option(fc.nat(40), { nil: undefined, freq: 2 }));
  return parts.map(([spec, unwinds, failsAfter]) =>
    [...spec, ...(failsAfter === undefined ? [] : [failing(spec, failsAfter)])].map((node) => ({
      ...node,
      ...(node.kind === "event" && { hasTimeout: true }),
      ...(!unwinds && "onFail" in node && node.onFail === "compensate" && { onFail: "block" }),
    })),
  ) as fc.Arbitrary<Spec>;
}

const QUIET = { kind: "call", calls: "agent", reads: [], standIns: [], maxAttempts: 1, steps: 0, hasHeartbeat: false } as const;
const NOTHING = { length: undefined, flag: false, way: "" };
const UNDO: UndoSpec = { calls: "agent", maxAttempts: 1, acts: ["ok", "ok"] };

/** One that is unwound, whatever the random ones do. */
export const SURELY_UNDONE: Spec = [
  { ...QUIET, after: [], onFail: "block", undo: UNDO, scripts: [["ok"]], gives: NOTHING },
  { ...QUIET, after: [0], onFail: "compensate", undo: UNDO, scripts: [["fatal"]], gives: NOTHING },
];

/** A node that fails when one of the others has ended: few workflows are unwound of themselves. */
function failing(spec: Spec, after: number): NodeSpec {
  const outside = [...spec.keys()].filter((index) => spec[index]!.within === undefined);
  const place = outside[after % outside.length]!;
  return { ...QUIET, after: [place], onFail: "compensate", undo: after % 3 === 0 ? undefined : UNDO, scripts: [["fatal"]], gives: NOTHING };
}

const outcome = fc.constantFrom("completed", "completed", "skipped", "failed");
const override = { verb: fc.constant("override"), node: fc.nat(40), outcome };
const when = { after: fc.integer({ min: 1, max: 14 }), isFar: fc.boolean() };

export const deed = fc.oneof(
  { weight: 3, arbitrary: fc.record({ ...when, ...override }) },
  { weight: 2, arbitrary: fc.record({ ...when, verb: fc.constantFrom("cancel", "cancel", "keep", "terminate") }) },
  { weight: 1, arbitrary: fc.record({ ...when, verb: fc.constant("pause"), forMs: fc.nat(20_000) }) },
) as fc.Arbitrary<Deed>;

const crash = fc.constantFrom(undefined, undefined, "before", "after");
const few = fc.array(fc.nat(10), { maxLength: 2 });
export const round = fc.oneof(
  { weight: 4, arbitrary: fc.record({ isFar: fc.boolean(), crash, verb: fc.constant("retry"), nodes: few, edits: few }) },
  { weight: 2, arbitrary: fc.record({ isFar: fc.boolean(), crash, verb: fc.constant("resume") }) },
  { weight: 2, arbitrary: fc.record({ isFar: fc.boolean(), crash, ...override }) },
) as fc.Arbitrary<Round>;

export const permits = fc.constantFrom(undefined, undefined, 1, 2);

/** Faults of up to three processes, by the number of the group of commits. */
export function lives(lengthMax: number, ...faults: Fault[]): fc.Arbitrary<((group: number) => Fault | undefined)[]> {
  const life = fc.array(fc.constantFrom(undefined, undefined, undefined, undefined, ...faults), { maxLength: lengthMax });
  return fc
    .array(life, { maxLength: 3 })
    .map((all) => all.map((faultsOf) => Object.assign((group: number) => faultsOf[group - 1], { [fc.toStringMethod]: () => JSON.stringify(faultsOf) })));
}
