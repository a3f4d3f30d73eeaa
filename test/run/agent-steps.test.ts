/**
 * Steps within an agent, signs of life and progress: what is kept, what is done again, what is refused, and when.
 */
import { expect, test } from "vitest";
import type { AgentContext, Log } from "../../src/define/agent.ts";
import type { AttemptOptions } from "../../src/define/policy.ts";
import { STEPS_LENGTH_MAX, STEPS_MAX } from "../../src/run/attempt-steps.ts";
import { replacing } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";

type Work = (ctx: AgentContext) => unknown;
const QUICK: AttemptOptions = { retry: { initialInterval: "1s", jitter: "none" } };

const flowOf = (work: Work, options: AttemptOptions = QUICK) =>
  anyWorkflow(
    "flow",
    (wf) =>
      wf.node(
        "n",
        anyAgent("stepper", (_, ctx) => work(ctx), options),
        {},
      ).result,
  );

async function start(work: Work, options?: AttemptOptions) {
  const room = new MachineRoom();
  const flow = flowOf(work, options);
  const process = await room.boot([flow]);
  return { room, flow, process, run: await room.settled(process.pawl.start(flow, { id: "r", input: {} })) };
}

/** What the run comes to, and its only node. */
async function endOf(work: Work, options?: AttemptOptions) {
  const { room, run } = await start(work, options);
  const { output } = await room.settled(run.ended());
  return { output, node: (await run.nodes())[0]!, room, run };
}

test("killed before and after each commit, a step that is on the disk is not done again, and what it gave is what it gives", async () => {
  for (const fault of ["crashBefore", "crashAfter"] as const)
    for (let at = 2; ; at++) {
      const room = new MachineRoom();
      const done: string[] = [];
      const flow = flowOf(async (ctx) => {
        let sum = 0;
        for (let i = 0; i < 4; i++) sum += await ctx.step(`s${i}`, () => (done.push(`s${i}`), done.length));
        return sum;
      });
      let durable: string[] = [];
      const first = await room.boot([flow], { fault: (group) => (group === at ? fault : undefined) });
      await room.settled(first.pawl.start(flow, { id: "r", input: {} }));
      await room.clock.advance(5_000);
      if (first.isAlive) break;
      durable = (await room.store.readActors("r")).filter(({ status }) => status === "step").map(({ key }) => key.slice(-2));
      const before = done.length;
      const { pawl } = await room.boot([flow]);
      await room.settled((await pawl.run("r")).ended());
      expect(done.length - before, `${fault} of commit ${at}`).toBe(4 - durable.length);
      expect(done.slice(before).filter((step) => durable.includes(step))).toEqual([]);
    }
});

test("a value comes back from a step as it was, also one that JSON does not know", async () => {
  const values = [{ at: new Date(5), map: new Map([[1, undefined]]) }, undefined, "", 0, null, [1n]];
  const seen: unknown[] = [];
  await endOf(async (ctx) => {
    for (const [i, value] of values.entries()) seen.push(await ctx.step(`s${i}`, () => value));
    if (ctx.attempt === 1) throw new Error("again");
  });
  expect(seen).toEqual([...values, ...values]);
});

test("a step that throws is not kept: the attempt fails of it, and the next one begins after those that were kept", async () => {
  const done: string[] = [];
  const { output, node } = await endOf(async (ctx) => {
    await ctx.step("a", () => done.push("a"));
    await ctx.step("b", () => {
      done.push("b");
      if (ctx.attempt < 3) throw new Error("no b");
    });
    return ctx.step("c", () => done.push("c"));
  });
  expect(output).toBe(5);
  expect(done).toEqual(["a", "b", "b", "b", "c"]);
  expect(node).toMatchObject({ attempt: 3, failure: { message: "no b" } });
});

test("steps go on at the same time; those under way when one fails are kept, and none is done twice at once", async () => {
  const done: string[] = [];
  const [slow, late] = [deferred<number>(), deferred<number>()];
  const { room, run } = await start(async (ctx) => {
    const doing = (key: string, perform: () => unknown): Promise<unknown> => ctx.step(key, () => (done.push(key), perform()));
    const fails = (): number => {
      if (ctx.attempt === 1) throw new Error("no c");
      return 3;
    };
    return Promise.all([doing("a", () => 1), doing("b", () => slow.promise), doing("c", fails), doing("d", () => late.promise)]);
  });
  await room.clock.until(() => done.length === 4);
  await room.clock.advance(10_000);
  expect((await run.nodes())[0]).toMatchObject({ status: "running", attempt: 1 });
  slow.resolve(2);
  await room.clock.advance(10_000);
  expect((await run.nodes())[0]).toMatchObject({ status: "running", attempt: 1 });
  late.reject(new Error("no d"));
  await room.clock.until(() => done.length === 6);
  expect(done).toEqual(["a", "b", "c", "d", "c", "d"]);
});

test("a step that hangs beside one that failed is ended by the timeout; its failure is in the log", async () => {
  const lines: { message: string | undefined; data: object }[] = [];
  const warn = (data: object, message?: string): void => void lines.push({ message, data });
  const room = new MachineRoom();
  const flow = flowOf((ctx) => Promise.all([ctx.step("a", () => Promise.reject(new Error("no a"))), ctx.step("b", never)]), {
    timeout: "1m",
    retry: { maxAttempts: 1 },
  });
  const { pawl } = await room.boot([flow], { log: { debug() {}, info() {}, warn, error() {} } });
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.settled(run.ended());
  expect((await run.nodes())[0]).toMatchObject({ status: "failed", failure: { code: "PAWL_AGENT_TIMEOUT" } });
  expect(lines).toMatchObject([{ message: expect.stringContaining("other steps") as string, data: { nodeId: "n", failure: { message: "no a" } } }]);
});

test("a run that is cancelled while steps are under way ends; nothing that they give is kept, and nothing goes unhandled", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  const gate = deferred<number>();
  const reasons: unknown[] = [];
  const { room, run } = await start(async (ctx) => {
    await ctx.step("kept", () => 1);
    const both = [ctx.step("a", () => gate.promise), ctx.step("b", () => gate.promise)];
    for (const each of both)
      await each.catch((error: unknown) => {
        reasons.push((error as { code: unknown }).code);
        throw error;
      });
  });
  await room.clock.advance(1_000);
  await room.settled(run.cancel());
  gate.resolve(1);
  await room.clock.advance(1_000);
  process.off("unhandledRejection", note);
  expect(reasons).toEqual(["PAWL_RUN_CANCELLED"]);
  expect(unhandled).toEqual([]);
  expect((await room.store.readActors("r")).filter(({ status }) => status === "step").map(({ key }) => key)).toEqual(["~n/s/kept"]);
});

test("a step that is asked for after the agent has answered is refused", async () => {
  let left: AgentContext | undefined;
  const { output } = await endOf((ctx) => ((left = ctx), "answered"));
  expect(output).toBe("answered");
  await expect(left!.step("late", () => 1)).rejects.toMatchObject({ code: "PAWL_STEP_UNSUPPORTED", message: expect.stringContaining('"late"') as string });
  left!.heartbeat({ from: "the grave" });
  left!.stream("nobody hears it");
});

test("what cannot be stored fails the node with the name of the step; keys are of a certain length", async () => {
  const refusals: readonly (readonly [Work, string, string])[] = [
    [(ctx) => ctx.step("open", () => () => 1), "PAWL_VALUE_NOT_STORABLE", 'step "open"'],
    [(ctx) => ctx.step("socket", () => ({ a: [new URL("tcp://socket")] })), "PAWL_VALUE_NOT_STORABLE", "a[0]"],
    [(ctx) => ctx.step("page", () => "x".repeat(1_048_576)), "PAWL_VALUE_TOO_LARGE", 'step "page"'],
  ];
  for (const [work, code, said] of refusals) {
    const { node } = await endOf(work);
    expect(node).toMatchObject({ status: "failed", attempt: 1, failure: { code, message: expect.stringContaining(said) as string } });
  }
  for (const key of ["", "x".repeat(257), "\ud800"]) {
    const { node } = await endOf((ctx) => ctx.step(key, () => 1), { retry: { maxAttempts: 1 } });
    expect(node).toMatchObject({ failure: { code: "PAWL_INVALID_VALUE" } });
  }
  const { output } = await endOf(async (ctx) => [await ctx.step("x".repeat(256), () => 1), await ctx.step("a/s0 ~\n", () => 2)]);
  expect(output).toEqual([1, 2]);
});

test("a node keeps so many steps and no more, also when they are asked for at once, and over all its attempts", async () => {
  let performed = 0;
  const { node } = await endOf(
    async (ctx) => {
      const more = ctx.attempt === 1 ? STEPS_MAX - 1 : 3;
      await Promise.all(Array.from({ length: more }, (_, i) => ctx.step(`${ctx.attempt}-${i}`, () => void performed++)));
      if (ctx.attempt === 1) throw new Error("again");
    },
    { retry: { initialInterval: "1s", jitter: "none" } },
  );
  expect(performed).toBe(STEPS_MAX);
  expect(node).toMatchObject({ attempt: 2, failure: { code: "PAWL_VALUE_TOO_LARGE", retryable: false } });
  const page = "x".repeat(1_000_000);
  let pages = 0;
  const { node: large } = await endOf(async (ctx) => {
    for (;;) await ctx.step(`page-${pages++}`, () => page);
  });
  expect(large).toMatchObject({ attempt: 1, failure: { code: "PAWL_VALUE_TOO_LARGE", message: expect.stringContaining("together") as string } });
  expect(pages).toBe(Math.ceil(STEPS_LENGTH_MAX / (page.length + 2)));
});

test("each item of a map has steps of its own; a retry by an operator goes on after them, a fork does not", async () => {
  const room = new MachineRoom();
  const done: string[] = [];
  let isUp = false;
  const worker = anyAgent(
    "worker",
    async ({ item }: { item: number }, ctx) => {
      const got = await ctx.step("get", () => (done.push(`${ctx.runId} get ${item}`), item * 10));
      if (item === 2 && !isUp) throw new Error("down");
      return ctx.step("put", () => (done.push(`${ctx.runId} put ${item}`), got + 1));
    },
    { retry: { maxAttempts: 1 } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.map("m", [1, 2], worker, (item) => ({ item })).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.settled(run.ended());
  isUp = true;
  await room.settled(run.retry());
  expect(await room.settled(run.result())).toEqual([11, 21]);
  expect(done.toSorted()).toEqual(["r get 1", "r get 2", "r put 1", "r put 2"]);
  const fork = await room.settled(run.fork({ from: "m[1]", id: "f" }));
  expect(await room.settled(fork.result())).toEqual([11, 21]);
  expect(done.slice(4)).toEqual(["f get 2", "f put 2"]);
});

test("steps that cannot be read for a moment are read again; a damaged one sets the run aside", async () => {
  for (const isDamaged of [false, true]) {
    const room = new MachineRoom();
    let reads = 0;
    const done: number[] = [];
    const flow = flowOf(async (ctx) => {
      const one = await ctx.step("one", () => done.push(1));
      if (done.length === 1) await never();
      return one;
    });
    const first = await room.boot([flow]);
    await room.settled(first.pawl.start(flow, { id: "r", input: {} }));
    await room.clock.advance(100);
    first.kill();
    if (isDamaged) room.store.tamper("r", ({ actors }) => actors.set("~n/s/one", { ...actors.get("~n/s/one")!, output: "2" }));
    else done.push(2);
    const { pawl } = await room.boot([flow], {
      wrap: (store) =>
        replacing(store, {
          readActorRange: (id, from, below) => {
            if (from.startsWith("~") && ++reads < 3) throw new Error("busy");
            return store.readActorRange(id, from, below);
          },
        }),
    });
    const result = room.settled((await pawl.run("r")).result());
    if (isDamaged) await expect(result).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED", message: expect.stringContaining("~n/s/one") as string });
    else expect(await result).toBe(1);
    expect(reads).toBe(3);
  }
});

test("progress is written at once, then the newest once a second, and shown for the attempt that reported it", async () => {
  const room = new MachineRoom();
  const flow = flowOf(async (ctx) => {
    if (ctx.attempt === 2) return never();
    for (let i = 0; i <= 2_050; i++) {
      ctx.heartbeat({ row: i });
      await new Promise<void>((resolve) => room.clock.after(i === 2_050 ? 5_000 : 1, resolve));
    }
    throw new Error("again");
  });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: {} }));
  const before = process.commits;
  const progress = async (): Promise<unknown> => (await run.nodes())[0]!.progress;
  await room.clock.advance(500);
  expect(await progress()).toEqual({ row: 0 });
  await room.clock.advance(4_000);
  expect(await progress()).toEqual({ row: 2_050 });
  expect(process.commits - before).toBeLessThanOrEqual(4);
  await room.clock.advance(10_000);
  expect((await run.nodes())[0]).toMatchObject({ attempt: 2, status: "running", progress: undefined });
});

test("a heartbeat that cannot be stored is refused; steps that end are signs of life", async () => {
  const { node } = await endOf((ctx) => ctx.heartbeat(() => 1), { retry: { maxAttempts: 1 } });
  expect(node).toMatchObject({ failure: { code: "PAWL_VALUE_NOT_STORABLE" } });
  const room = new MachineRoom();
  const working = async (ctx: AgentContext): Promise<string> => {
    for (let i = 0; i < 5; i++) await ctx.step(`s${i}`, () => new Promise<void>((resolve) => room.clock.after(8_000, resolve)));
    return "done";
  };
  const flow = flowOf(working, { heartbeat: "10s" });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  expect(await room.settled(run.result())).toBe("done");
  expect((await run.nodes())[0]).toMatchObject({ attempt: 1 });
});

test("lines that an agent logs say of which attempt they are; an error stays one", async () => {
  const lines: unknown[] = [];
  const log = Object.fromEntries(
    ["debug", "info", "warn", "error"].map((level) => [level, (data: object, message?: string) => void lines.push([level, data, message])]),
  ) as unknown as Log;
  const room = new MachineRoom();
  const error = new Error("broken");
  const flow = flowOf((ctx) => {
    ctx.log.info({ page: 3 }, "a page");
    ctx.log.error(error);
    return "done";
  });
  const { pawl } = await room.boot([flow], { log });
  await room.settled((await room.settled(pawl.start(flow, { id: "r", input: {} }))).result());
  const from = { runId: "r", nodeId: "n", attempt: 1 };
  expect(lines).toEqual([
    ["info", { ...from, page: 3 }, "a page"],
    ["error", { ...from, error }, undefined],
  ]);
});
