/**
 * Two versions of a workflow side by side: who gets which, what happens when the new one fails, and that runs that are
 * under way stay where they are.
 */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Rollout, agent, open, rollout, workflow } from "../../src/index.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const input = z.object({ n: z.number() });
const good = agent({ name: "good", input, output: z.string(), run: async () => "good" });
const bad = agent({
  name: "bad",
  input,
  output: z.string(),
  retry: { maxAttempts: 1 },
  run: async ({ n }) => (n < 0 ? Promise.reject(new Error("bad")) : "new"),
});

const stable = workflow({ name: "flow", input }, (wf) => wf.node("only", good, { n: wf.input.n }).result);
const candidate = workflow({ name: "flow", input }, (wf) => wf.node("only", bad, { n: wf.input.n }).result);
const other = workflow({ name: "other", input }, (wf) => wf.node("only", good, { n: wf.input.n }).result);

const idsOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `flow-20260115-142315-${(i * 7919).toString(36).padStart(6, "a")}`);

/** The part of new runs that got the new version. */
async function partOf(of: Rollout<typeof stable>, n: number, count = 400): Promise<number> {
  await using pawl = await open(":memory:", { workflows: [of] });
  const results = await Promise.all(idsOf(count).map(async (id) => (await pawl.start(of, { id, input: { n } })).ended()));
  return results.filter(({ output, status }) => output === "new" || status === "failed").length / count;
}

test("new runs get the new version by percentage", async () => {
  expect(await partOf(rollout({ stable, candidate, percent: 0 }), 1)).toBe(0);
  expect(await partOf(rollout({ stable, candidate, percent: 100 }), 1)).toBe(1);
  const part = await partOf(rollout({ stable, candidate, percent: 25 }), 1, 2_000);
  expect(part).toBeGreaterThan(0.2);
  expect(part).toBeLessThan(0.3);
});

test("a run that is started again finds the version that it has, whatever the percentage is by then", async () => {
  const { path } = temporaryFolder();
  for (const [percent, expected] of [
    [100, "new"],
    [0, "new"],
  ] as const) {
    const of = rollout({ stable, candidate, percent });
    await using pawl = await open(`${path}/pawl.db`, { workflows: [of] });
    const run = await pawl.start(of, { id: "r", input: { n: 1 } });
    expect(await run.result()).toBe(expected);
    expect(await (await pawl.run("r", of)).result()).toBe(expected);
  }
});

test("when too many of its last runs failed, new runs get the old version again, in every process and after a restart", async () => {
  const { path } = temporaryFolder();
  const of = rollout({ stable, candidate, percent: 100, fallback: { runs: 4, failureRate: 0.5 } });
  const start = async (n: number): Promise<string> => {
    await using pawl = await open(`${path}/pawl.db`, { workflows: [of] });
    const { status, output } = await (await pawl.start(of, { input: { n } })).ended();
    return status === "failed" ? "failed" : String(output);
  };
  expect([await start(-1), await start(1), await start(-1)]).toEqual(["failed", "new", "failed"]);
  expect(await start(1)).toBe("new");
  await using beside = await open(`${path}/pawl.db`, { execute: false });
  expect(await beside.rollout(of)).toEqual({ ended: 4, failed: 2, hasFallenBack: false });
  expect(await start(-1)).toBe("failed");
  expect(await beside.rollout(of)).toEqual({ ended: 4, failed: 2, hasFallenBack: false });
  expect(await start(-1)).toBe("failed");
  expect(await beside.rollout(of)).toEqual({ ended: 4, failed: 3, hasFallenBack: true });
  expect([await start(-1), await start(1)]).toEqual(["good", "good"]);
  expect(await beside.rollout(of)).toEqual({ ended: 4, failed: 3, hasFallenBack: true });
});

test("runs that are under way stay on their version", async () => {
  const { path } = temporaryFolder();
  const gate = Promise.withResolvers<void>();
  const gated = agent({ name: "gated", input, output: z.string(), run: async () => gate.promise.then(() => "old") });
  const old = workflow({ name: "flow", input }, (wf) => wf.node("only", gated, { n: wf.input.n }).result);
  const before = await open(`${path}/pawl.db`, { workflows: [old] });
  await before.start(old, { id: "r", input: { n: 1 } });
  await before.close({ graceMs: 0 });
  const of = rollout({ stable: old, candidate, percent: 100 });
  await using pawl = await open(`${path}/pawl.db`, { workflows: [of] });
  expect(await (await pawl.start(of, { input: { n: 1 } })).result()).toBe("new");
  gate.resolve();
  expect(await (await pawl.run("r", of)).result()).toBe("old");
});

describe("a rollout that can be none is refused:", () => {
  test.each<[string, () => unknown]>([
    ["two names", () => rollout({ stable, candidate: other, percent: 10 })],
    ["the same version twice", () => rollout({ stable, candidate: stable, percent: 10 })],
    ["a percentage above 100", () => rollout({ stable, candidate, percent: 101 })],
    ["no percentage", () => rollout({ stable, candidate, percent: Number.NaN })],
    ["no runs to count", () => rollout({ stable, candidate, percent: 10, fallback: { runs: 0 } })],
    ["a failure rate of 0", () => rollout({ stable, candidate, percent: 10, fallback: { failureRate: 0 } })],
  ])("%s", (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
  });
});
