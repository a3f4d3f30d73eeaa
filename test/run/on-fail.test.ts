/**
 * What follows when a node's attempts are used up: alternatives take over, or what was done is undone.
 */
import { expect, test } from "vitest";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";

const ONCE = { retry: { maxAttempts: 1 } } as const;

test("alternatives take over one after the other; dependents read the result under the original id, and the run is degraded", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const failing = (name: string, maxAttempts: number): ReturnType<typeof anyAgent> =>
    anyAgent(
      name,
      (input, { attempt, idempotencyKey }) => {
        calls.push(`${name} ${attempt} ${idempotencyKey} ${input}`);
        throw new Error(`${name} is down`);
      },
      { retry: { maxAttempts, initialInterval: "1s", jitter: "none" } },
    );
  const good = anyAgent("good", (input, { attempt }) => (calls.push(`good ${attempt}`), `${input}!`));
  const reader = anyAgent("reader", (input) => input);
  const flow = anyWorkflow("flow", (wf) => {
    const answer = wf.node("answer", failing("first", 2), wf.input, { onFail: { use: failing("second", 1), onFail: { use: good } } });
    return wf.node("read", reader, answer.result).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: "x" }));
  expect(await room.settled(run.result())).toBe("x!");
  expect(calls).toEqual(["first 1 r/answer#1 x", "first 2 r/answer#1 x", "second 3 r/answer+1#1 x", "good 4"]);
  expect(await run.status()).toMatchObject({ status: "completed", degraded: true });
  expect((await run.nodes())[0]).toMatchObject({ id: "answer", status: "completed", agent: "good", attempt: 4, failure: { message: "second is down" } });
  const types = (await Array.fromAsync(run.history())).flatMap(({ events }) => events).filter(({ node }) => node === "answer");
  expect(types.map(({ type }) => type)).toEqual([
    ...["node.started", "node.backingOff", "node.started", "node.alternative", "node.started", "node.alternative", "node.started", "node.completed"],
  ]);
});

test("an alternative that was turned to is called by the next process, too", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const bad = anyAgent("bad", () => (calls.push("bad"), Promise.reject(new Error("down"))), ONCE);
  const gate = deferred<string>();
  const flowOf = (answer: () => unknown): ReturnType<typeof anyWorkflow> =>
    anyWorkflow("flow", (wf) => wf.node("n", bad, 1, { onFail: { use: anyAgent("other", () => (calls.push("other"), answer())), onFail: "skip" } }).result);
  const flow = flowOf(() => gate.promise);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.until(() => calls.includes("other"));
  first.kill();
  const { pawl } = await room.boot([flowOf(() => "there")]);
  expect(await room.settled((await room.settled(pawl.run("r"))).result())).toBe("there");
  expect(calls).toEqual(["bad", "other", "other"]);
});

/** A workflow of steps in a row, each with its compensation; the last one fails. */
function saga(calls: string[], { failsAt = 3, onUndo = (): void => {} }: { failsAt?: number; onUndo?: (step: number) => void } = {}) {
  const step = anyAgent(
    "step",
    ({ n }, { idempotencyKey }) => {
      calls.push(`do ${n}`);
      if (n === failsAt) throw new Error("no stock");
      return { id: `${n}:${idempotencyKey}` };
    },
    ONCE,
  );
  const undo = anyAgent(
    "undo",
    ({ input, result, error }) => {
      calls.push(`undo ${input.n} ${result?.id ?? "?"} ${error?.node ?? "-"}`);
      onUndo(input.n);
    },
    ONCE,
  );
  return anyWorkflow("saga", (wf) => {
    const one = wf.node("one", step, { n: 1 }, { compensate: undo });
    const two = wf.node("two", step, { n: 2, after: one.result.id }, { compensate: undo });
    const three = wf.node("three", step, { n: 3, after: two.result.id }, { compensate: undo, onFail: "compensate" });
    return wf.node("four", step, { n: 4, after: three.result.id }).result;
  });
}

const UNDONE = ["undo 3 ? three", "undo 2 2:r/two#1 three", "undo 1 1:r/one#1 three"];

test("a node that fails with `compensate` has what was done undone, its own part first, then in the opposite order", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const flow = saga(calls);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
  expect(calls).toEqual(["do 1", "do 2", "do 3", ...UNDONE]);
  expect(await run.status()).toMatchObject({ status: "failed", compensated: true, failure: { message: "no stock", node: "three" } });
  expect((await run.nodes()).map(({ id, status }) => [id, status])).toEqual([
    ["one", "compensated"],
    ["two", "compensated"],
    ["three", "compensated"],
    ["four", "blocked"],
  ]);
  for (const again of [() => run.retry(), () => run.resume()])
    await expect(room.settled<unknown>(again())).rejects.toMatchObject({
      code: "PAWL_RUN_NOT_RETRYABLE",
      message: expect.stringContaining("was undone") as string,
    });
});

test("a compensation that fails does not stop the others, and is named", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const flow = saga(calls, {
    onUndo: (n) => {
      if (n === 2) throw new Error("too late");
    },
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
  expect(calls).toEqual(["do 1", "do 2", "do 3", ...UNDONE]);
  expect(await run.status()).toMatchObject({ status: "failed", compensated: false, compensationFailed: ["two"] });
  expect((await run.nodes()).map(({ status }) => status)).toEqual(["compensated", "compensationFailed", "compensated", "blocked"]);
});

test("a cancel undoes what was done, also what runs and does not end at once; `now` undoes nothing", async () => {
  for (const now of [false, true]) {
    const room = new MachineRoom();
    const calls: string[] = [];
    const gate = deferred<unknown>();
    const done = anyAgent("done", () => "d");
    const slow = anyAgent("slow", (_, { signal }) => (signal.addEventListener("abort", () => calls.push("aborted")), gate.promise));
    const undo = anyAgent("undo", ({ input, result }) => void calls.push(`undo ${input} ${result}`));
    const flow = anyWorkflow("flow", (wf) => {
      const first = wf.node("first", done, 1, { compensate: undo });
      return wf.node("second", slow, 2, { after: [first], compensate: undo }).result;
    });
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    const cancelled = run.cancel({ now });
    await room.clock.advance(10);
    expect(calls).toEqual(["aborted"]);
    gate.resolve("late");
    await room.settled(cancelled);
    expect(calls).toEqual(now ? ["aborted"] : ["aborted", "undo 2 late", "undo 1 d"]);
    expect(await run.status()).toMatchObject({ status: "cancelled", terminated: now, compensated: !now });
  }
});

test("a cancel without compensations undoes nothing, and the run can go on; also when another process asks for it", async () => {
  for (const execute of [true, false]) {
    const room = new MachineRoom();
    const calls: string[] = [];
    let isStuck = true;
    const undo = anyAgent("undo", () => void calls.push("undo"));
    const flow = anyWorkflow("flow", (wf) => {
      const first = wf.node(
        "first",
        anyAgent("done", () => "d"),
        1,
        { compensate: undo },
      );
      return wf.node(
        "second",
        anyAgent("slow", () => (isStuck ? never() : "done")),
        2,
        { after: [first] },
      ).result;
    });
    const worker = await room.boot([flow]);
    await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    const { pawl } = execute ? worker : await room.boot([], { execute });
    const run = await room.settled(pawl.run("r"));
    await room.settled(run.cancel({ compensate: false }));
    expect(await run.status()).toMatchObject({ status: "cancelled", terminated: false, compensated: false });
    isStuck = false;
    await room.settled(run.resume());
    expect(await room.settled(run.result())).toBe("done");
    expect(calls).toEqual([]);
  }
});

test("a saga that is killed before or after any of its commits is undone to the end, each step at least once and in order", async () => {
  for (const kind of ["crashBefore", "crashAfter"] as const)
    for (let at = 1; at < 16; at++) {
      const room = new MachineRoom();
      const calls: string[] = [];
      let commits = 0;
      const flow = saga(calls);
      const first = await room.boot([flow], { fault: () => (++commits === at ? kind : undefined) });
      first.pawl.start(flow, { id: "r", input: 1 }).catch(() => {});
      await room.clock.until(() => !first.isAlive || commits > 20 || calls.length > 20).catch(() => {});
      first.kill();
      const { pawl } = await room.boot([flow]);
      await room.settled(pawl.start(flow, { id: "r", input: 1 }));
      const run = await room.settled(pawl.run("r"));
      await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
      const order = calls.filter((call, i) => call.startsWith("undo") && calls.indexOf(call) === i);
      expect(order, `${kind} ${at}: ${calls.join(", ")}`).toEqual(UNDONE);
      expect((await run.status()).compensated).toBe(true);
    }
});
