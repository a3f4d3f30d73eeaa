/**
 * The board's invariant: fed the whole history, it shows what the rows say.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { type HistoryEvent, type NodeHandle, type Run, agent, open, workflow } from "pawl";
import { Board } from "../../src/serve/board.ts";
import { standingOf } from "../../src/serve/standing.ts";

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
  expect([...board.tally.counts.values()].reduce((sum, amount) => sum + amount, 0)).toBe(views.length);
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

/** Fails while this is true. */
let isLacking = true;
const lacking = agent({ ...any, name: "lacking", run: () => (isLacking ? Promise.reject(new Error("no")) : {}) });

function lackingWorkflow(seed: number): ReturnType<typeof workflow> {
  const next = draw(seed);
  return workflow({ name: `lacking-${seed}`, input: z.any() }, (wf) => {
    const nodes: NodeHandle<unknown>[] = [];
    for (let i = 0; i < 12; i++) {
      const after = nodes.filter(() => next() < 0.2);
      nodes.push(wf.node(`n${i}`, next() < 0.3 ? lacking : echo, {}, { after }));
    }
    return {};
  });
}

test("it agrees for runs that failed and were tried again, in part and in whole, and for forks of them", async () => {
  await using pawl = await open(":memory:");
  for (let seed = 1; seed <= 20; seed++) {
    isLacking = true;
    const run = await pawl.start(lackingWorkflow(seed), { input: {} });
    if ((await run.ended()).status === "completed") continue;
    const failed = (await run.nodes()).filter(({ status }) => status === "failed").map(({ id }) => id);
    await run.retry({ nodes: failed.slice(0, 1) });
    await run.ended();
    await expectAgreement(run);
    isLacking = false;
    await run.retry({ nodes: failed.slice(0, 1) });
    await run.ended();
    await expectAgreement(run);
    const last = (await run.nodes()).findLast(({ status }) => status === "completed")!;
    const fork = await run.fork({ from: last.id });
    await fork.ended();
    await expectForkAgreement(fork);
    if ((await run.status()).status === "completed") continue;
    await run.retry();
    expect((await run.ended()).status).toBe("completed");
    await expectAgreement(run);
  }
});

test("it agrees for a run that was cancelled and goes on, and knows whether it is paused", async () => {
  await using pawl = await open(":memory:");
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  const twice = agent({
    ...any,
    name: "twice",
    run: (_, { signal }) =>
      ++calls > 1 ? {} : new Promise((_resolve, reject) => (resolve(), signal.addEventListener("abort", () => reject(signal.reason as Error)))),
  });
  const definition = workflow({ name: "twice", input: z.any() }, (wf) => {
    const first = wf.node("first", twice, {});
    wf.node("last", echo, {}, { after: [first] });
    return {};
  });
  const run = await pawl.start(definition, { input: {} });
  await promise;
  await run.pause();
  expect((await boardOf(run)).isPaused).toBe(true);
  await expectAgreement(run);
  await run.resume();
  expect((await boardOf(run)).isPaused).toBe(false);
  await run.cancel();
  await expectAgreement(run);
  await run.resume();
  expect((await run.ended()).status).toBe("completed");
  await expectAgreement(run);
});

async function boardOf(run: Run<unknown>): Promise<Board> {
  const board = new Board(await run.nodes());
  for await (const entry of run.history()) board.apply(entry);
  return board;
}

/** A fork's history does not tell of what it kept; its attempts are those of the run that it came from. */
async function expectForkAgreement(run: Run<unknown>): Promise<void> {
  const standing = await standingOf(run, "workflow");
  if (standing.kind !== "workflow") throw new TypeError("a workflow's run has nodes");
  for await (const entry of run.history()) standing.board.apply(entry);
  const views = await run.nodes();
  expect(standing.board.nodes.map(({ id, status }) => ({ id, status }))).toEqual(views.map(({ id, status }) => ({ id, status })));
}

test("when a failed node is tried again, what it blocked waits again; what another one blocks stays blocked", () => {
  const node = (id: string, ...dependencies: string[]): { id: string; agent: string; dependencies: string[] } => ({ id, agent: "echo", dependencies });
  const board = new Board([node("a"), node("b"), node("ofA", "a"), node("ofBoth", "a", "b")]);
  const failed = (id: string): HistoryEvent => ({ type: "node.failed", node: id, attempt: 1, code: "E", message: "no" });
  board.apply({ commitNo: 1, at: 0, events: [failed("a"), failed("b"), { type: "run.failed" }] });
  expect(board.nodes.map(({ status }) => status)).toEqual(["failed", "failed", "blocked", "blocked"]);
  board.apply({ commitNo: 2, at: 1, events: [{ type: "run.retried" }, { type: "run.retried", node: "a" }] });
  expect(board.nodes.map(({ status }) => status)).toEqual(["queued", "failed", "waiting", "blocked"]);
  expect([...board.tally.those("failed")].map(({ id }) => id)).toEqual(["b"]);
});
