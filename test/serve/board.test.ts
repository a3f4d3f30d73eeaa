/**
 * The board's invariant: fed the whole history, it shows what the rows say.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { type NodeHandle, type Run, agent, open, workflow } from "pawl";
import { Board } from "../../src/serve/board.ts";

const any = { input: z.any(), output: z.any(), retry: { maxAttempts: 2, initialInterval: "1ms" } } as const;
const echo = agent({ ...any, name: "echo", run: (input) => input as unknown });
const broken = agent({ ...any, name: "broken", run: () => Promise.reject(new Error("no")) });
const never = agent({
  ...any,
  name: "never",
  run: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
});

/** Numbers in [0, 1) from a seed. */
function draw(seed: number): () => number {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
}

function randomWorkflow(seed: number): ReturnType<typeof workflow> {
  const next = draw(seed);
  return workflow({ name: `random-${seed}`, input: z.any() }, (wf) => {
    const nodes: NodeHandle<unknown>[] = [];
    for (let i = 0; i < 12; i++) {
      const after = nodes.filter(() => next() < 0.25);
      nodes.push(wf.node(`n${i}`, next() < 0.2 ? broken : echo, {}, { after, onFail: next() < 0.5 ? "skip" : "block" }));
    }
    return {};
  });
}

async function expectAgreement(run: Run<unknown>): Promise<void> {
  const views = await run.nodes();
  const board = new Board(views);
  for await (const entry of run.history()) board.apply(entry);
  const facts = ({ id, status, attempt }: { id: string; status: string; attempt: number }): object => ({ id, status, attempt });
  expect(board.nodes.map(facts)).toEqual(views.map(facts));
  expect([...board.counts.values()].reduce((sum, amount) => sum + amount, 0)).toBe(views.length);
}

test("a board made from the history agrees with the rows, for random graphs that fail here and there", async () => {
  await using pawl = await open(":memory:");
  for (let seed = 1; seed <= 30; seed++) {
    const run = await pawl.start(randomWorkflow(seed), { input: {} });
    await run.ended();
    await expectAgreement(run);
  }
});

test("it agrees for runs that were cancelled or timed out under way", async () => {
  await using pawl = await open(":memory:");
  const stuck = (name: string, timeout: string): ReturnType<typeof workflow> =>
    workflow({ name, input: z.any(), timeout: timeout as "1s" }, (wf) => {
      const done = wf.node("done", echo, {});
      const held = wf.node("held", never, {}, { after: [done] });
      wf.node("last", echo, {}, { after: [held] });
      return {};
    });
  const timedOut = await pawl.start(stuck("slow", "50ms"), { input: {} });
  expect((await timedOut.ended()).status).toBe("timedOut");
  await expectAgreement(timedOut);
  const cancelled = await pawl.start(stuck("stuck", "1h"), { input: {} });
  await expectAgreement(cancelled);
  await cancelled.cancel();
  await expectAgreement(cancelled);
});
