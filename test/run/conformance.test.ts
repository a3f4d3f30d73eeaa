/**
 * The durable host does what a plain actor does: machines made by hand and at random, live and through crashes before and
 * after each commit, among the acts that follow it, and amid cascades.
 */
import { readFile, readdir } from "node:fs/promises";
import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { cases } from "../sim/cases.ts";
import { CRASH_POLICIES, type CrashPolicy } from "../sim/durable-driver.ts";
import { HAND_MADE_CASES } from "../sim/hand-made-machines.ts";
import { type Verdict, check } from "../sim/statechart-check.ts";
import { CONSTRUCTS, CRASH_PLACES, Tally } from "../sim/statechart-tally.ts";
import { type SystemSpec, statechartSpec } from "../sim/statechart-spec.ts";
import { subjectOf } from "../sim/statechart-trace.ts";

/** xstate's development build warns of events that come too late: here they are meant to. */
beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));

/** What the host does where it is meant to differ from a live actor. */
const INSTEAD: Readonly<Record<string, (verdict: Verdict, policy: CrashPolicy) => void>> = {
  "logic in place: an invoke without an id, and machines spawned as objects": ({ durable }) => {
    expect(durable!.states[0]).toMatchObject({ status: "active", value: "a", context: { answer: 8 } });
    expect(durable!.states.at(-1)).toMatchObject({ status: "error", error: expect.stringContaining("spawns logic that it has no name for") as string });
  },
  "an action that throws": ({ durable }) => {
    expect(durable!.states.at(-1)).toMatchObject({ status: "error", value: "b", error: "act" });
    expect(new Set(durable!.actions)).toEqual(new Set(["one"]));
  },
  "a ref to a child that is gone": ({ durable }) => {
    expect(durable!.states.at(-1)).toMatchObject({ status: "active", context: { seen: ["stopped", "nothing", "stopped", "nothing"] } });
  },
  "two delayed events under one id": ({ durable }) => expect(new Set(durable!.actions)).toEqual(new Set(["A"])),
  "a callback that speaks at once": ({ durable }, policy) => {
    const { order } = (durable!.states.at(-1) as { context: { order: string[] } }).context;
    expect(order.slice(0, 2)).toEqual(["self", "now"]);
    expect(new Set(order.slice(1))).toEqual(new Set(["now"]));
    if (policy === "none") expect(order).toHaveLength(2);
  },
  "a callback that answers": ({ difference, durable }, policy) => {
    if (policy === "none") return expect(difference).toBeUndefined();
    expect(durable!.states.at(-1)).toMatchObject({ status: "active", value: "off" });
    expect(new Set([...durable!.actions, "heard"])).toEqual(new Set(["heard"]));
  },
  "streams of values and of events that end": ({ difference, durable }, policy) => {
    if (policy === "none") return expect(difference).toBeUndefined();
    const { value, context } = durable!.states.at(-1) as { value: string; context: { values: number[]; events: number[] } };
    expect(value).toBe("c");
    expect(new Set(context.values.slice(1))).toEqual(new Set([1, 2, 3]));
    expect(new Set(context.events)).toEqual(new Set([1]));
  },
};

describe.each(CRASH_POLICIES)("machines made by hand, crashes: %s", (policy) => {
  test.each(HAND_MADE_CASES.map((subject) => [subject.name, subject] as const))("%s", async (name, subject) => {
    const verdict = await check(subject, policy);
    const instead = INSTEAD[name];
    if (instead !== undefined) instead(verdict, policy);
    else expect(verdict.difference).toBeUndefined();
    if (policy !== "none" && policy !== "acts") expect(verdict.places.size).toBeGreaterThan(0);
  });
});

test("what differs on purpose is told by the machines themselves", () => {
  const told = HAND_MADE_CASES.filter(({ differs, restarts }) => differs !== undefined || restarts !== undefined).map(({ name }) => name);
  expect(new Set(Object.keys(INSTEAD))).toEqual(new Set(told));
});

interface Fixture {
  /** What was wrong. */
  readonly was: string;
  readonly policies: readonly CrashPolicy[];
  readonly spec: SystemSpec;
}

const fixtures = new URL("../fixtures/", import.meta.url);
for (const file of (await readdir(fixtures)).filter((name) => name.endsWith(".json"))) {
  const { was, policies, spec } = JSON.parse(await readFile(new URL(file, fixtures), "utf8")) as Fixture;
  test.each(policies)(`a failure that was kept, ${file}: ${was}; crashes: %s`, async (policy) => {
    expect((await check(subjectOf(spec), policy)).difference).toBeUndefined();
  });
}

/** Once something failed, it is made smaller for so long. */
const SHRINK_MS = 60_000;
/** Machines whose outside speaks by itself speak again after a crash: they are compared without. */
const told = fc.oneof(
  { weight: 2, arbitrary: fc.record({ spec: statechartSpec({ speaks: true }), policy: fc.constant<CrashPolicy>("none") }) },
  {
    weight: 6,
    arbitrary: fc.record({ spec: statechartSpec({ speaks: false }), policy: fc.constantFrom(...CRASH_POLICIES.filter((policy) => policy !== "none")) }),
  },
);

test("random systems of statecharts go the same way live and through crashes", async () => {
  const tally = new Tally();
  let failedAt = Infinity;
  const { numRuns, ...parameters } = cases({ short: 60, long: 5_000 });
  await fc.assert(
    fc.asyncProperty(told, async ({ spec, policy }) => {
      if (performance.now() > failedAt + SHRINK_MS) return;
      const verdict = await check(subjectOf(spec), policy);
      tally.add(policy, verdict);
      if (verdict.difference === undefined) return;
      failedAt = Math.min(failedAt, performance.now());
      throw new Error(`crashes: ${policy}; ${verdict.difference}\n${JSON.stringify({ was: "", policies: [policy], spec })}`);
    }),
    { numRuns, ...parameters },
  );
  console.log(`${numRuns} systems\n${tally.text}`);
  if (parameters.path !== undefined) return;
  const isLong = numRuns >= 5_000;
  for (const place of CRASH_PLACES) expect(tally.of(place), place).toBeGreaterThanOrEqual(isLong ? 100 : 20);
  const missing = CONSTRUCTS.filter((construct) => tally.of(construct) < (isLong ? 100 : 1));
  if (isLong) expect(missing).toEqual([]);
  else expect(missing.length, `not reached: ${missing.join(", ")}`).toBeLessThanOrEqual(CONSTRUCTS.length / 5);
}, 1_800_000);
