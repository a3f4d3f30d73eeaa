/**
 * What a run does: results, retries, timeouts, cancelling, and what people are told of it.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { agent, type AgentContext } from "../../src/define/agent.ts";
import { workflow } from "../../src/define/workflow.ts";
import { AgentError } from "../../src/errors.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

const echo = anyAgent("echo", (input) => input);

test("results flow into the inputs of dependents and into the output", async () => {
  const room = new MachineRoom();
  const double = agent({
    name: "double",
    input: z.object({ n: z.number() }),
    output: z.object({ n: z.number(), list: z.array(z.string()) }),
    run: ({ n }) => ({ n: n * 2, list: ["a", `b${n}`] }),
  });
  const flow = workflow({ name: "flow", input: z.object({ n: z.number() }) }, (wf) => {
    const first = wf.node("first", double, { n: wf.input.n });
    const second = wf.node("second", double, { n: first.result.n });
    const told = wf.node("told", echo, { text: `got ${second.result.n} and ${first.result.list[1]!}`, whole: second.result });
    return { n: second.result.n, told: told.result };
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: { n: 3 } }));
  expect(await room.settled(run.result())).toEqual({ n: 12, told: { text: "got 12 and b3", whole: { n: 12, list: ["a", "b6"] } } });
});

test("an empty workflow completes at once", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("empty", () => ({ nothing: true }));
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "e", input: 1 }));
  expect(await room.settled(run.result())).toEqual({ nothing: true });
  expect(await run.status()).toMatchObject({ status: "completed", commitNo: 1 });
});

test("an agent is told of its attempt", async () => {
  const room = new MachineRoom();
  const seen: AgentContext[] = [];
  const flaky = anyAgent(
    "flaky",
    (_, context) => {
      seen.push(context);
      if (context.attempt < 3) throw new Error("not yet");
      return "done";
    },
    { timeout: 5_000, retry: { jitter: "none" } },
  );
  const flow = anyWorkflow("flow", (wf) => ({ r: wf.node("n.1", flaky, {}).result }));
  const { pawl } = await room.boot([flow]);
  const beganAt = room.clock.now();
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.settled(run.result());
  expect(seen.map(({ runId, nodeId, attempt, idempotencyKey }) => ({ runId, nodeId, attempt, idempotencyKey }))).toEqual(
    [1, 2, 3].map((attempt) => ({ runId: "r", nodeId: "n.1", attempt, idempotencyKey: "r/n.1#1" })),
  );
  expect(seen.map(({ deadlineAt }) => deadlineAt - beganAt)).toEqual([5_000, 6_000, 8_000]);
  expect(seen.every(({ signal }) => !signal.aborted)).toBe(true);
});

test("waits between attempts grow by the coefficient, up to the longest; full jitter draws below them", async () => {
  const waitsOf = async (jitter: "none" | "full"): Promise<number[]> => {
    const room = new MachineRoom();
    const at: number[] = [];
    const failing = anyAgent(
      "failing",
      () => {
        at.push(room.clock.mono());
        throw new Error("no");
      },
      { retry: { maxAttempts: 6, initialInterval: "1s", backoffCoefficient: 3, maxInterval: "10s", jitter } },
    );
    const flow = anyWorkflow("flow", (wf) => ({ r: wf.node("n", failing, {}).result }));
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { input: 1 }));
    await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringContaining('node "n"') });
    return at.slice(1).map((time, i) => time - at[i]!);
  };
  expect(await waitsOf("none")).toEqual([1_000, 3_000, 9_000, 10_000, 10_000]);
  const drawn = await waitsOf("full");
  drawn.forEach((wait, i) => expect(wait).toBeLessThanOrEqual([1_000, 3_000, 9_000, 10_000, 10_000][i]!));
  expect(new Set(drawn).size).toBeGreaterThan(2);
});

test("a failure says itself whether it is tried again, and how soon at the earliest", async () => {
  const room = new MachineRoom();
  const calls: Record<string, number[]> = {};
  const failingWith = (name: string, error: unknown, nonRetryable: string[] = []): ReturnType<typeof anyAgent> =>
    anyAgent(
      name,
      () => {
        (calls[name] ??= []).push(room.clock.mono());
        throw error;
      },
      { retry: { maxAttempts: 2, initialInterval: 10, nonRetryable } },
    );
  const agents = [
    failingWith("critical", new AgentError("x", { kind: "critical" })),
    failingWith("configuration", new AgentError("x", { kind: "configuration" })),
    failingWith("transient", new AgentError("x", { kind: "transient", retryAfterMs: 5_000 })),
    failingWith("resource", new AgentError("x", { kind: "resource" })),
    failingWith("byName", new TypeError("x"), ["TypeError"]),
    failingWith("byCode", Object.assign(new Error("x"), { code: "E_QUOTA" }), ["E_QUOTA"]),
    failingWith("string", "just text"),
    failingWith("undefined", undefined),
  ];
  const flow = anyWorkflow("flow", (wf) => agents.map((each) => wf.node(each.name, each, {}, { onFail: "skip" }).result));
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.settled(run.result());
  expect(Object.fromEntries(Object.entries(calls).map(([name, at]) => [name, at.length]))).toEqual({
    critical: 1,
    configuration: 1,
    transient: 2,
    resource: 2,
    byName: 1,
    byCode: 1,
    string: 2,
    undefined: 2,
  });
  expect(calls["transient"]![1]! - calls["transient"]![0]!).toBeGreaterThanOrEqual(5_000);
  const failures = Object.fromEntries((await run.nodes()).map((node) => [node.id, node.failure]));
  expect(failures["byCode"]).toMatchObject({ code: "E_QUOTA", kind: "transient", retryable: false });
  expect(failures["undefined"]).toMatchObject({ code: "PAWL_AGENT_FAILED", message: "the agent threw undefined" });
});

test("input that does not fit an agent's schema fails its node at once; a result that does not fit is tried again", async () => {
  const room = new MachineRoom();
  let calls = 0;
  const strict = agent({
    name: "strict",
    input: z.object({ n: z.number() }),
    output: z.object({ m: z.number() }),
    retry: { maxAttempts: 2, initialInterval: 1 },
    run: () => (calls++, { m: "x" as never }),
  });
  const flow = anyWorkflow("flow", (wf) => [
    wf.node("badInput", strict, { n: wf.input.text }, { onFail: "skip" }).result,
    wf.node("badOutput", strict, { n: 1 }, { onFail: "skip" }).result,
  ]);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: { text: "no number" } }));
  await room.settled(run.result());
  const [badInput, badOutput] = await run.nodes();
  expect(badInput).toMatchObject({ attempt: 1, failure: { code: "PAWL_INPUT_INVALID", kind: "configuration", message: expect.stringContaining("→ at n") } });
  expect(badOutput).toMatchObject({ attempt: 2, failure: { code: "PAWL_OUTPUT_INVALID", kind: "invalidOutput", message: expect.stringContaining("→ at m") } });
  expect(calls).toBe(2);
});

test("a skipped node reads as undefined, and its dependents are told why", async () => {
  const room = new MachineRoom();
  const told: unknown[] = [];
  const down = anyAgent(
    "down",
    () => {
      throw new Error("no service");
    },
    { retry: { maxAttempts: 1 } },
  );
  const reader = anyAgent("reader", (input, { upstreamFailures }) => (told.push(upstreamFailures), input));
  const flow = anyWorkflow("flow", (wf) => {
    const lost = wf.node("lost", down, {}, { onFail: "skip" });
    return wf.node("reads", reader, { x: lost.result, deep: lost.result.a.b, text: `<${lost.result}>` }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: 1 }));
  expect(await room.settled(run.result())).toEqual({ x: undefined, deep: undefined, text: "<>" });
  expect(told).toEqual([[{ nodeId: "lost", code: "PAWL_AGENT_FAILED", message: "no service" }]]);
  expect(await run.status()).toMatchObject({ status: "completed", degraded: true });
});

test("a failed node blocks what depends on it, directly or not; other branches run to their end and are kept", async () => {
  const room = new MachineRoom();
  const down = anyAgent("down", () => {
    throw new AgentError("broken", { kind: "critical" });
  });
  const flow = anyWorkflow("flow", (wf) => {
    const failed = wf.node("failed", down, {});
    const direct = wf.node("direct", echo, failed.result);
    wf.node("indirect", echo, {}, { after: [direct] });
    const apart = wf.node("apart", echo, { n: 1 });
    wf.node("furtherApart", echo, apart.result);
    return {};
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: 1 }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringContaining("broken") });
  const nodes = await run.nodes();
  expect(nodes.map(({ id, status, upstreamFailures }) => [id, status, upstreamFailures])).toEqual([
    ["failed", "failed", []],
    ["direct", "blocked", ["failed"]],
    ["indirect", "blocked", ["failed"]],
    ["apart", "completed", []],
    ["furtherApart", "completed", []],
  ]);
});

test("an attempt that takes too long is aborted and tried again; its late answer changes nothing", async () => {
  const room = new MachineRoom();
  const signals: AbortSignal[] = [];
  const slow = anyAgent(
    "slow",
    (_, { attempt, signal }) => {
      signals.push(signal);
      return attempt === 1
        ? new Promise((resolve) => room.clock.after(1_500, () => resolve("late")))
        : new Promise((resolve) => room.clock.after(900, () => resolve("in time")));
    },
    { timeout: "1s", retry: { initialInterval: 200, jitter: "none" } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("n", slow, {}).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: 1 }));
  expect(await room.settled(run.result())).toBe("in time");
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  expect(signals[0]!.reason).toMatchObject({ code: "PAWL_AGENT_TIMEOUT" });
  expect((await run.nodes())[0]).toMatchObject({ attempt: 2, failure: { kind: "timeout" } });
});

test.each([
  ["partial", "timedOut", "PAWL_RUN_TIMED_OUT"],
  ["abort", "failed", "PAWL_RUN_FAILED"],
] as const)("a run's timeout (%s) aborts what runs, keeps what completed, and ends it %s", async (onTimeout, status, code) => {
  const room = new MachineRoom();
  let signal: AbortSignal | undefined;
  const hanging = anyAgent("hanging", (_, context) => ((signal = context.signal), never()));
  const flow = anyWorkflow(
    "flow",
    (wf) => {
      const quick = wf.node("quick", echo, { kept: 1 });
      const stuck = wf.node("stuck", hanging, quick.result);
      return wf.node("after", echo, stuck.result).result;
    },
    { timeout: 60_000, onTimeout },
  );
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: 1 }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code });
  expect(signal!.aborted).toBe(true);
  expect(await run.status()).toMatchObject({ status, failure: { message: "Timeout", kind: "timeout" } });
  expect((await run.nodes()).map((node) => node.status)).toEqual(["completed", "cancelled", "cancelled"]);
  await room.clock.advance(600_000);
  expect(await run.status()).toMatchObject({ status });
});

test("a run's timeout counts only time in which it could work, also across a crash", async () => {
  const room = new MachineRoom();
  const works = anyAgent(
    "works",
    (_, { attempt }) => {
      if (attempt < 4) return new Promise((_resolve, reject) => room.clock.after(20_000, () => reject(new Error("again"))));
      return "done";
    },
    { retry: { maxAttempts: 5, initialInterval: "1h", backoffCoefficient: 1, maxInterval: "1h", jitter: "none" } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("n", works, {}).result, { timeout: 61_000 });
  const first = await room.boot([flow]);
  const run = await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(3_700_000);
  first.kill();
  await room.clock.advance(50_000_000);
  const second = await room.boot([flow]);
  expect(await room.settled((await second.pawl.run(run.id)).result())).toBe("done");
});

test("cancel aborts what runs, starts nothing more, and is on the disk when it resolves", async () => {
  const room = new MachineRoom();
  let signal: AbortSignal | undefined;
  const hanging = anyAgent("hanging", (_, context) => ((signal = context.signal), never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("next", echo, wf.node("stuck", hanging, {}).result).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.cancel());
  expect(await run.status()).toMatchObject({ status: "cancelled" });
  expect(signal!.aborted).toBe(true);
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_CANCELLED" });
  await room.settled(run.cancel());
  expect((await run.nodes()).map(({ status }) => status)).toEqual(["cancelled", "cancelled"]);
});

test("a start with a known id is the same run, whatever became of it; with another input it is an error", async () => {
  const room = new MachineRoom();
  let calls = 0;
  const counted = anyAgent("counted", (input) => (calls++, input));
  const flow = anyWorkflow("flow", (wf) => wf.node("n", counted, wf.input).result);
  const other = anyWorkflow("other", () => 1);
  const { pawl } = await room.boot([flow]);
  const starts = await room.settled(Promise.all([1, 2, 3].map(() => pawl.start(flow, { id: "r", input: { a: 1, b: [2] } }))));
  await room.settled(starts[0]!.result());
  const again = await room.settled(pawl.start(flow, { id: "r", input: { b: [2], a: 1 } }));
  expect(await room.settled(again.result())).toEqual({ a: 1, b: [2] });
  expect(calls).toBe(1);
  await expect(room.settled(pawl.start(flow, { id: "r", input: { a: 2 } }))).rejects.toMatchObject({
    code: "PAWL_RUN_CONFLICT",
    message: expect.stringContaining("another input"),
  });
  await expect(room.settled(pawl.start(other, { id: "r", input: { a: 1, b: [2] } }))).rejects.toMatchObject({
    code: "PAWL_RUN_CONFLICT",
    message: 'run "r" belongs to workflow "flow", not to "other"',
    next: "choose another id for the new run",
  });
  await expect(pawl.run("r", other)).rejects.toMatchObject({ code: "PAWL_RUN_CONFLICT", next: expect.stringContaining("its own workflow or machine") });
  await expect(pawl.start(flow, { id: "no spaces", input: 1 })).rejects.toMatchObject({ code: "PAWL_INVALID_ID" });
});

test("input is checked before anything is stored", async () => {
  const room = new MachineRoom();
  const flow = workflow({ name: "flow", input: z.object({ topic: z.string() }) }, () => 1);
  const { pawl } = await room.boot([flow]);
  await expect(pawl.start(flow, { id: "r", input: { topic: 3 as never } })).rejects.toMatchObject({
    code: "PAWL_INPUT_INVALID",
    message: expect.stringContaining("→ at topic"),
  });
  await expect(pawl.run("r")).rejects.toMatchObject({ code: "PAWL_RUN_NOT_FOUND" });
});

test("ids that pawl makes are readable, sortable and different", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("research", () => 1);
  const { pawl } = await room.boot([flow]);
  const runs = await room.settled(Promise.all([1, 2, 3].map(() => pawl.start(flow, { input: 1 }))));
  expect(new Set(runs.map(({ id }) => id)).size).toBe(3);
  for (const { id } of runs) expect(id).toMatch(/^research-\d{8}-\d{6}-[0-9a-z]{6}$/);
});

test("subscribers hear of each commit, in order, once it is durable; one that throws harms nobody", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("b", echo, wf.node("a", echo, {}).result).result);
  const { pawl } = await room.boot([flow]);
  const heard: string[] = [];
  pawl.subscribe(() => {
    throw new Error("mine");
  });
  const stop = pawl.subscribe(({ commitNo, events }) =>
    heard.push(...events.map(({ type, node }) => `${commitNo} ${type}${node === undefined ? "" : ` ${node}`}`)),
  );
  const run = await room.settled(pawl.start(flow, { input: 1 }));
  await room.settled(run.result());
  expect(heard).toEqual(["1 run.started", "1 node.started a", "2 node.completed a", "2 node.started b", "3 node.completed b", "3 run.completed"]);
  stop();
  await room.settled((await room.settled(pawl.start(flow, { input: 1 }))).result());
  expect(heard).toHaveLength(6);
  const history = await Array.fromAsync(run.history());
  expect(history.flatMap(({ commitNo, events }) => events.map(({ type, node }) => `${commitNo} ${type}${node === undefined ? "" : ` ${node}`}`))).toEqual(
    heard,
  );
});

test("no more attempts run at the same time than are allowed, and every run gets its turn", async () => {
  const room = new MachineRoom();
  let running = 0;
  let most = 0;
  const order: string[] = [];
  const slow = anyAgent("slow", (_, { runId }) => {
    order.push(runId);
    most = Math.max(most, ++running);
    return new Promise((resolve) => room.clock.after(100, () => resolve(running--)));
  });
  const flow = anyWorkflow("wide", (wf) => Array.from({ length: 150 }, (_, i) => wf.node(`n${i}`, slow, {})).length);
  const { pawl } = await room.boot([flow]);
  const runs = await room.settled(Promise.all(["a", "b"].map((id) => pawl.start(flow, { id, input: 1 }))));
  await room.settled(Promise.all(runs.map((run) => run.result())));
  expect(most).toBe(100);
  expect(order).toHaveLength(300);
  expect(order.slice(0, 200).filter((id) => id === "b").length).toBeGreaterThan(70);
});

test("what was begun is finished first: of many runs a hundred are active at a time, in order", async () => {
  const room = new MachineRoom();
  const ended: number[] = [];
  const flow = anyWorkflow("chain", (wf) => {
    let last = wf.node("n0", echo, wf.input);
    for (let i = 1; i < 5; i++) last = wf.node(`n${i}`, echo, last.result);
    return last.result;
  });
  const { pawl } = await room.boot([flow], { maxConcurrentAttempts: 10 });
  const begun = new Set<string>();
  let mostOpen = 0;
  pawl.subscribe(({ runId, events }) => {
    for (const { type, node } of events) {
      if (type === "node.started" && node === "n0") begun.add(runId);
      if (type === "run.completed") ended.push(Number(runId.slice(1)));
    }
    mostOpen = Math.max(mostOpen, begun.size - ended.length);
  });
  const runs = await room.settled(Promise.all(Array.from({ length: 300 }, (_, i) => pawl.start(flow, { id: `r${i}`, input: 1 }))));
  await room.settled(Promise.all(runs.map((run) => run.result())));
  expect(mostOpen).toBeLessThanOrEqual(100);
  expect(ended.slice(0, 100).every((i) => i < 120)).toBe(true);
});
