/**
 * A retry with another input: the node is given it under a new key, from then on, whoever dies meanwhile. And two who control
 * one run at once: one wins, and the other is told what was done.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import type { Run } from "../../src/run/handle.ts";
import type { Commit } from "../../src/store/store.ts";
import type { NodeView } from "../../src/run/view.ts";
import { type Fault, type SimProcess, replacing } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

// loaded when first asked for, which takes time that the simulation knows nothing of
await import("../../src/run/override-ended.ts");

/** `a` and `b` fail unless their input is good; `last` reads both. */
class Picky extends MachineRoom {
  readonly calls: string[] = [];
  readonly stepsDone: string[] = [];
  readonly #picky = agent({
    name: "picky",
    input: z.object({ q: z.string() }),
    output: z.any(),
    retry: { maxAttempts: 1 },
    run: async ({ q }, context) => {
      const { idempotencyKey, attempt } = context;
      this.calls.push(`${idempotencyKey} ${attempt} ${q}`);
      const kept = await context.step("first", () => (this.stepsDone.push(`${idempotencyKey} ${q}`), q));
      if (q === "stuck") return never();
      if (!q.startsWith("good")) throw new Error(`"${q}" is no good`);
      return kept;
    },
  });
  readonly undone: unknown[] = [];
  readonly flow = anyWorkflow("picky", (wf) => {
    const undo = anyAgent("undo", (given: unknown) => (this.undone.push(given), "undone"));
    const a = wf.node("a", this.#picky, { q: "bad" }, { compensate: undo });
    const b = wf.node("b", this.#picky, { q: "bad" });
    return wf.node(
      "last",
      anyAgent("echo", (given: unknown) => given),
      [a.result, b.result],
    ).result;
  });

  async failed(
    options: { fault?: (group: number, commits: readonly Commit[]) => Fault | undefined } = {},
  ): Promise<{ process: SimProcess; run: Run<unknown> }> {
    const process = await this.boot([this.flow], options);
    const run = await this.settled(process.pawl.start(this.flow, { id: "r", input: 1 }));
    expect((await this.settled(run.ended())).status).toBe("failed");
    expect(this.calls.splice(0)).toEqual(["r/a#1 1 bad", "r/b#1 1 bad"]);
    return { process, run };
  }
}

const nodeOf = async (run: Run<unknown>, id: string): Promise<NodeView> => (await run.nodes()).find((node) => node.id === id)!;

test("a failed node is tried again with another input, under a key of its own; one without keeps its key", async () => {
  const room = new Picky();
  const { run } = await room.failed();
  await run.retry({ input: { a: { q: "good a" } } });
  expect((await room.settled(run.ended())).status).toBe("failed");
  expect(room.calls.splice(0)).toEqual(["r/b#1 1 bad", "r/a#2 1 good a"]);
  expect(await nodeOf(run, "a")).toMatchObject({ status: "completed", generation: 2, attempt: 1 });
  expect(await nodeOf(run, "b")).toMatchObject({ status: "failed", generation: 1 });
  expect(room.stepsDone.filter((done) => done.startsWith("r/a"))).toEqual(["r/a#1 bad", "r/a#2 good a"]);
  await run.retry({ nodes: ["b"], input: { b: { q: "still bad" } } });
  expect((await room.settled(run.ended())).status).toBe("failed");
  // the input that it was given last stays, and so does its key
  await run.retry();
  expect((await room.settled(run.ended())).status).toBe("failed");
  await run.retry({ input: { b: { q: "good b" } } });
  expect(await room.settled(run.result())).toEqual(["good a", "good b"]);
  expect(room.calls).toEqual(["r/b#2 1 still bad", "r/b#2 1 still bad", "r/b#3 1 good b"]);
  const told = (await Array.fromAsync(run.history())).flatMap(({ events }) => events).filter(({ type, node }) => type === "run.retried" && node !== undefined);
  expect(told.map(({ node, generation }) => [node, generation])).toEqual([
    ["a", 2],
    ["b", undefined],
    ["b", 2],
    ["b", undefined],
    ["b", 3],
  ]);
});

test("an input that does not fit fails the node; what cannot be given one says so", async () => {
  const room = new Picky();
  const { run } = await room.failed();
  const code = "PAWL_INVALID_VALUE";
  await expect(run.retry({ input: { last: 1 } })).rejects.toMatchObject({ code, message: expect.stringContaining("did not fail") });
  await expect(run.retry({ input: { c: 1 } })).rejects.toMatchObject({ code, message: expect.stringContaining('no node "c"') });
  await expect(run.retry({ nodes: ["a"], input: { b: 1 } })).rejects.toMatchObject({ code, message: expect.stringContaining("not among `nodes`") });
  await expect(run.retry({ input: { a: () => 1 } })).rejects.toMatchObject({ code: "PAWL_VALUE_NOT_STORABLE" });
  await run.retry({ input: { a: { q: 7 } } });
  await room.settled(run.ended());
  expect(await nodeOf(run, "a")).toMatchObject({ failure: { code: "PAWL_INPUT_INVALID" }, generation: 2 });
});

test("an event that did not come in time is given no input; an item of a map is", async () => {
  const room = new MachineRoom();
  const picky = anyAgent("picky", (given: number) => (given < 10 ? Promise.reject(new Error("too small")) : given), { retry: { maxAttempts: 1 } });
  const flow = anyWorkflow("flow", (wf) => {
    const late = wf.event("late", z.any(), { timeout: "1s" });
    return [late.result, wf.map("items", [1, 20], picky, (item) => item).result];
  });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
  await room.settled(run.ended());
  await expect(run.retry({ input: { late: 1 } })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", message: expect.stringContaining("calls no agent") });
  await run.retry({ input: { "items[0]": 10 } });
  await room.settled(run.send({ type: "late" }));
  expect(await room.settled(run.result())).toEqual([{}, [10, 20]]);
});

test("a compensation is told the input that the node was given", async () => {
  const room = new Picky();
  const { run } = await room.failed();
  await run.retry({ input: { a: { q: "good a" }, b: { q: "stuck" } } });
  await room.clock.advance(10);
  await room.settled(run.cancel());
  expect(room.undone).toMatchObject([{ input: { q: "good a" }, result: "good a" }]);
});

test("the input and its key survive a crash at every commit, before and after", async () => {
  let groups = 1;
  for (let group = 0; group <= groups; group++)
    for (const fault of ["crashBefore", "crashAfter", "unknownApplied"] as const) {
      const room = new Picky();
      (await room.failed()).process.kill();
      const web = await room.boot([], { execute: false });
      const run = await room.settled(web.pawl.run("r"));
      await room.settled(run.retry({ input: { a: { q: "good a" }, b: { q: "good b" } } }));
      const worker = await room.boot([room.flow], { fault: (now) => (now === group ? fault : undefined) });
      await room.clock.advance(10);
      groups = Math.max(groups, worker.groups);
      if (!worker.isAlive) await room.boot([room.flow]);
      expect(await room.settled(run.result())).toEqual(["good a", "good b"]);
      expect(new Set(room.calls)).toEqual(new Set(["r/a#2 1 good a", "r/b#2 1 good b"]));
    }
  expect(groups).toBeGreaterThan(2);
});

// ---- two at once

const VERBS = {
  retry: (run: Run<unknown>) => run.retry({ nodes: ["a"] }),
  edited: (run: Run<unknown>) => run.retry({ input: { a: { q: "good" } } }),
  override: (run: Run<unknown>) => run.override("a", { result: "set" }, { by: "ana" }),
} as const;

/** What is said of each to the one that was slower. */
const WON = { retry: "run.retried", edited: "run.retried", override: "node.overridden a by ana" } as const;

const pairs = (Object.keys(VERBS) as (keyof typeof VERBS)[]).flatMap((winner) =>
  (Object.keys(VERBS) as (keyof typeof VERBS)[]).map((loser) => [winner, loser] as const),
);

test.each(pairs)("a %s that is faster wins over a %s, which is told so", async (winner, loser) => {
  const room = new Picky();
  (await room.failed()).process.kill();
  const fast = await room.boot([room.flow], { execute: false });
  let isHeld = true;
  const first = Promise.withResolvers<void>();
  // the slower one has read the run, and is about to write
  const slow = await room.boot([room.flow], {
    execute: false,
    wrap: (store) =>
      replacing(store, {
        reopen: async (commit) => {
          if (isHeld) await first.promise;
          return store.reopen(commit);
        },
      }),
  });
  const [fastRun, slowRun] = [await room.settled(fast.pawl.run("r")), await room.settled(slow.pawl.run("r"))];
  const second = VERBS[loser](slowRun).then(
    () => undefined,
    (error: unknown) => error,
  );
  await room.clock.advance(1);
  const { commitNo } = await room.settled<{ commitNo: number }>(VERBS[winner](fastRun));
  isHeld = false;
  first.resolve();
  expect(await room.settled(second)).toMatchObject({
    code: "PAWL_RUN_NOT_RETRYABLE",
    message: expect.stringContaining(`(commit ${commitNo}: ${WON[winner]})`),
    data: { status: "running", won: { commitNo, what: WON[winner] } },
  });
  expect((await room.store.readRun("r"))!.commitNo).toBe(commitNo);
});

test("a cancel before an override wins, and the other way round; what comes late is told that the run has ended", async () => {
  const room = new Picky();
  const flow = anyWorkflow("flow", (wf) => wf.node("a", anyAgent("hangs", never), {}).result);
  const worker = await room.boot([flow]);
  await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }));
  const [one, two] = [await room.boot([], { execute: false }), await room.boot([], { execute: false })];
  const [first, second] = [await room.settled(one.pawl.run("r")), await room.settled(two.pawl.run("r"))];
  worker.stop();
  const cancelled = first.cancel();
  await room.clock.advance(1);
  const late = [second.override("a", { result: 1 }), second.pause()];
  await room.clock.advance(1);
  worker.goOn();
  const both = await room.settled(Promise.allSettled([cancelled, ...late]));
  expect(both.map((each) => (each.status === "fulfilled" ? "done" : (each.reason as { code: string }).code))).toEqual([
    "done",
    "PAWL_RUN_ENDED",
    "PAWL_RUN_ENDED",
  ]);
  await room.settled(first.resume());
  await room.clock.advance(10);
  const again = await room.settled(Promise.allSettled([first.override("a", { result: 1 }), second.cancel()]));
  expect(again[0].status).toBe("fulfilled");
  expect(await first.status()).toMatchObject({ status: "completed", output: 1 });
});
