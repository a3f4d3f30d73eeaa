/**
 * Timeouts that suit: multiplied for a slow machine, and suggested from what was measured.
 */
import { setup } from "xstate";
import { expect, test } from "vitest";
import { z } from "zod";
import { open } from "../../src/index.ts";
import { step } from "../../src/run/xstate/step.ts";
import { workflow } from "../../src/define/workflow.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

const ONCE = { maxAttempts: 1 } as const;

test("a multiplier stretches timeouts and warnings of attempts, stages and runs, not those of events", async () => {
  const ends: number[][] = [];
  for (const timeoutMultiplier of [undefined, 3]) {
    const room = new MachineRoom();
    const took: number[] = [];
    const slow = anyAgent("slow", () => never(), { timeout: "1m", warnAfter: "20s", retry: ONCE });
    const longer = anyAgent("longer", () => never(), { timeout: "1h", retry: ONCE });
    const flows = [
      anyWorkflow("node", (wf) => void wf.node("n", slow, 1)),
      anyWorkflow(
        "alternative",
        (wf) =>
          void wf.node(
            "n",
            anyAgent("bad", () => Promise.reject(new Error("no")), { retry: ONCE }),
            1,
            { onFail: { use: slow } },
          ),
      ),
      anyWorkflow("stage", (wf) => wf.stage("code", { timeout: "2m" }, () => void wf.node("n", longer, 1))),
      anyWorkflow("run", (wf) => void wf.node("n", longer, 1), { timeout: 180_000 }),
      anyWorkflow("event", (wf) => void wf.event("n", z.any(), { timeout: "4m" })),
    ];
    const { pawl } = await room.boot(flows, timeoutMultiplier === undefined ? {} : { timeoutMultiplier });
    for (const flow of flows) {
      const run = await room.settled(pawl.start(flow, { input: 1 }));
      const from = room.clock.mono();
      await room.settled(run.ended());
      took.push(Math.round((room.clock.mono() - from) / 1_000));
      const [warned] = (await Array.fromAsync(run.history())).filter(({ events }) => events.some(({ type }) => type === "node.warned"));
      if (warned !== undefined) took.push(Math.round((warned.at - (await run.status()).createdAt) / 1_000));
    }
    ends.push(took);
  }
  expect(ends).toEqual([
    [60, 20, 60, 20, 120, 180, 240],
    [180, 60, 180, 60, 360, 540, 240],
  ]);
});

test("steps of machines are stretched, too; a run that comes back goes on with the multiplier of its process", async () => {
  const room = new MachineRoom();
  const slow = anyAgent("slow", () => never(), { timeout: "1m", retry: ONCE });
  const machine = setup({ actors: { slow: step(slow) } }).createMachine({
    id: "steps",
    initial: "busy",
    states: { busy: { invoke: { src: "slow", input: {}, onDone: "done", onError: "late" } }, done: { type: "final" }, late: { type: "final" } },
  });
  const flow = anyWorkflow("flow", (wf) => void wf.node("n", slow, 1));
  const first = await room.boot([machine, flow]);
  await room.settled(first.pawl.start(machine, { id: "m" }));
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  first.kill();
  const { pawl } = await room.boot([machine, flow], { timeoutMultiplier: 2 });
  const from = room.clock.mono();
  for (const id of ["m", "r"]) {
    const run = await room.settled(pawl.run(id));
    await room.settled(run.ended());
    expect(room.clock.mono() - from).toBeGreaterThanOrEqual(120_000);
  }
});

test("a multiplier that is none is refused", async () => {
  for (const timeoutMultiplier of [0, -1, Number.NaN, 1e9])
    await expect(open(":memory:", { timeoutMultiplier })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", at: "open()" });
});

test("timeouts are suggested from successful attempts: about three times what nearly all of them take, as people write it", async () => {
  const room = new MachineRoom();
  const after = (ms: number): Promise<void> => new Promise((resolve) => room.clock.after(ms, () => resolve()));
  const work = anyAgent("work", async (n: number) => after(n === 7 ? 30_000 : 1_000 * n), { timeout: "20s", retry: ONCE });
  const never_ = anyAgent("fails", () => Promise.reject(new Error("no")), { retry: ONCE });
  const inner = workflow({ name: "inner", input: z.any() }, (wf) => wf.node("n", work, wf.input).result);
  const flow = anyWorkflow("flow", (wf) => {
    wf.map("items", [1, 2, 3, 4, 5, 6, 7], work, (item) => item, { onFail: "skip" });
    wf.node("bad", never_, 1, { onFail: { use: anyAgent("other", () => after(50)) } });
    wf.run("inside", inner, 3);
  });
  const { pawl } = await room.boot([flow, inner]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.settled(run.ended());
  const found = await room.settled(pawl.suggestTimeouts());
  expect(found).toMatchObject({ runs: 2, hasMore: false });
  expect(found.agents.map(({ agent, count, timedOut, suggested, suggestedMs }) => [agent, count, timedOut, suggested, suggestedMs])).toEqual([
    ["other", 1, 0, "1s", 1_000],
    ["work", 7, 1, "30s", 30_000],
  ]);
  const [, { p50Ms, p95Ms, p99Ms, longestMs }] = found.agents as [unknown, (typeof found.agents)[number]];
  expect([p50Ms, p95Ms, p99Ms, longestMs].map((ms) => Math.round(ms / 1_000))).toEqual([3, 6, 6, 6]);
  expect(await room.settled(pawl.suggestTimeouts({ workflow: "inner", limit: 1 }))).toMatchObject({
    runs: 1,
    agents: [{ agent: "work", count: 1, suggested: "10s" }],
  });
  expect(await room.settled(pawl.suggestTimeouts({ limit: 1 }))).toMatchObject({ runs: 1, hasMore: true });
  await expect(pawl.suggestTimeouts({ limit: 0 })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});
