/**
 * What a process counts of nodes, limits and circuit breakers, and of runs that were taken up again; what of it is the process's
 * own, and what is of the store.
 */
import { expect, test } from "vitest";
import { AgentError } from "../../src/index.ts";
import type { LimitsOptions } from "../../src/define/limits.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const ONCE = { retry: { maxAttempts: 1 } };
const NO_WAITS = { count: 0, sum: 0 };

async function ended(room: MachineRoom, { pawl }: SimProcess, id: string): Promise<void> {
  await room.settled((await pawl.run(id)).ended());
}

/** An agent that fails until it is told otherwise. */
function failing(name: string, options: Parameters<typeof anyAgent>[2] = ONCE): { isWell: boolean; readonly agent: ReturnType<typeof anyAgent> } {
  const it: ReturnType<typeof failing> = {
    isWell: false,
    agent: anyAgent(name, () => (it.isWell ? 1 : Promise.reject(new AgentError("down", { kind: "transient" }))), options),
  };
  return it;
}

test("each node is counted by how it ended, items of a map as one, with what it took; what ends without a call is not", async () => {
  const room = new MachineRoom();
  const takes = anyAgent("takes", () => new Promise<void>((resolve) => room.clock.after(2_000, resolve)));
  const fails = failing("fails");
  const twice = anyAgent("twice", (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("once")) : 1), { retry: { jitter: "none" } });
  const flow = anyWorkflow("flow", (wf) => {
    wf.map("m", [1, 2, 3], takes, (item) => ({ item }));
    wf.node("skipped", fails.agent, {}, { onFail: "skip" });
    wf.node("again", twice, {});
    wf.node("other", fails.agent, {}, { onFail: { use: takes } });
    wf.node("blocked", takes, wf.node("failed", fails.agent, {}).result);
  });
  const late = anyWorkflow("late", (wf) => void wf.node("n", anyAgent("hangs", never, { timeout: "1h" }), {}));
  const process = await room.boot([flow, late]);
  await start(room, process, flow, "r");
  await ended(room, process, "r");
  await start(room, process, late, "l");
  await room.settled((await process.pawl.run("l")).cancel());
  const { workflows } = await process.pawl.metrics();
  const none = { completed: 0, failed: 0, skipped: 0, cancelled: 0, seconds: NO_WAITS };
  expect(workflows["flow"]!.nodes).toEqual({
    m: { ...none, completed: 3, seconds: { count: 3, sum: expect.closeTo(6, 1) as number } },
    skipped: { ...none, skipped: 1 },
    again: { ...none, completed: 1, seconds: { count: 1, sum: expect.closeTo(0, 1) as number } },
    other: { ...none, completed: 1, seconds: { count: 1, sum: expect.closeTo(2, 1) as number } },
    failed: { ...none, failed: 1 },
  });
  expect(workflows["late"]!.nodes).toEqual({ n: { ...none, cancelled: 1 } });
});

test("calls under way are counted by agent, also those that were given up and have not returned", async () => {
  const room = new MachineRoom();
  const one = held({});
  const deaf = anyAgent("deaf", never, { timeout: "1m", ...ONCE });
  const process = await room.boot([]);
  await start(room, process, wide(one.agent, 3), "a");
  await start(room, process, wide(deaf, 2, "deaf"), "b");
  await room.clock.until(() => one.running() === 3);
  const running = async (): Promise<unknown[]> => {
    const { agents } = await process.pawl.metrics();
    return [agents["held"]!.running, agents["deaf"]!.running];
  };
  expect(await running()).toEqual([3, 2]);
  one.endAll();
  await ended(room, process, "a");
  await ended(room, process, "b");
  expect(await running()).toEqual([0, 2]);
});

test("limits tell what is used, waited for, given and refused; nodes that wait are told apart from those that lack a permit", async () => {
  const room = new MachineRoom();
  const tokens = held({ uses: { tokens: 40 }, queueTimeout: "100s" });
  const slots = held({ concurrency: 2 }, "slots");
  const greedy = anyAgent("greedy", () => 1, { uses: { tokens: 500 }, ...ONCE });
  const limits: LimitsOptions = { tokens: { max: 100, per: "60s" }, unused: { max: 7 } };
  const process = await room.boot([], { limits });
  await start(room, process, wide(tokens.agent, 5, "tokens"), "tokens");
  await start(room, process, wide(slots.agent, 3, "slots"), "slots");
  await start(room, process, wide(greedy, 1, "greedy"), "greedy");
  await ended(room, process, "greedy");
  const first = await process.pawl.metrics();
  expect(first.worker).toMatchObject({ attemptsQueued: 0, attemptsParked: 4, attemptsRunning: 4 });
  const now = { max: 100, perMs: 60_000, used: 80, waiting: 120, utilization: 0.8, held: 2 };
  expect(first.limits).toEqual({
    tokens: { ...now, granted: 2, refused: 1, waits: NO_WAITS, swept: 0 },
    "agent:slots": { max: 2, perMs: undefined, used: 2, waiting: 1, utilization: 1, held: 2, granted: 2, refused: 0, waits: NO_WAITS, swept: 0 },
    unused: { max: 7, perMs: undefined, used: 0, waiting: 0, utilization: 0, held: 0, granted: 0, refused: 0, waits: NO_WAITS, swept: 0 },
  });
  expect(first.agents["greedy"]).toMatchObject({ refused: { PAWL_LIMIT_EXCEEDED: 1 }, failed: { configuration: 1 }, seconds: { count: 0 } });
  await room.clock.advance(1_000);
  slots.endOne();
  await room.clock.until(() => slots.calls().length === 3);
  // two more in the next minute; the fifth has then waited for too long
  await room.clock.advance(110_000);
  const next = await process.pawl.metrics();
  expect(next.limits["tokens"]).toMatchObject({ granted: 4, refused: 2, waiting: 0, waits: { count: 3, sum: expect.closeTo(220, -1) as number } });
  expect(next.limits["agent:slots"]).toMatchObject({ granted: 3, waits: { count: 1 }, used: 2, waiting: 0 });
  expect(next.agents["held"]).toMatchObject({ refused: { PAWL_QUEUE_TIMEOUT: 1 } });
});

test("of a limit for each tenant all use is told together, and how far the fullest has come", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ uses: { calls: 1 } });
  const process = await room.boot([], { limits: { calls: { max: 4, each: "tenant" } } });
  await start(room, process, wide(agent, 1, "a"), "a", { tenant: "a" });
  await start(room, process, wide(agent, 6, "b"), "b", { tenant: "b" });
  await room.clock.until(() => calls().length === 5);
  await room.settled(process.pawl.setLimit("calls", 2, { tenant: "b" }));
  expect((await process.pawl.metrics()).limits["calls"]).toMatchObject({ max: 2, used: 5, waiting: 2, utilization: 2, granted: 5 });
});

test("two workers tell the same of what is used, and each what it has given; what one held that died is taken back and counted once", async () => {
  const room = new MachineRoom();
  const { agent, running } = held({ concurrency: 3 });
  const flow = wide(agent, 2);
  const [one, two] = [await room.boot([flow]), await room.boot([flow])];
  await start(room, one, flow, "a");
  await room.clock.until(() => running() === 2);
  await start(room, two, flow, "b");
  await room.clock.until(() => running() === 3);
  await room.clock.advance(2_000);
  const of = async ({ pawl }: SimProcess): Promise<object> => (await pawl.metrics()).limits["agent:held"]!;
  const shared = { max: 3, used: 3, waiting: 1, utilization: 1 };
  expect([await of(one), await of(two)]).toMatchObject([
    { ...shared, held: 2, granted: 2 },
    { ...shared, held: 1, granted: 1 },
  ]);
  const looks = await room.boot([flow], { execute: false });
  expect(await looks.pawl.metrics()).toMatchObject({ limits: {}, breakers: {}, agents: {} });
  one.kill();
  const three = await room.boot([flow]);
  await room.clock.advance(20_000);
  const swept = [await of(two), await of(three)].map((limit) => (limit as { swept: number }).swept);
  expect(swept.reduce((a, b) => a + b)).toBe(1);
});

test("a breaker's state is the same with each worker, and each counts the calls that it made; what is refused is no call", async () => {
  const room = new MachineRoom();
  const it = failing("service", { ...ONCE, breaker: { failureThreshold: 3, openFor: "60s", successThreshold: 1, rate: { minimumCalls: 10 } } });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it.agent, {}, { onFail: "skip" }).result);
  const [one, two] = [await room.boot([flow]), await room.boot([flow])];
  const run = async (process: SimProcess, id: string): Promise<void> => {
    await start(room, process, flow, id);
    await ended(room, process, id);
    await room.clock.advance(100);
  };
  await run(one, "a");
  await run(one, "b");
  const breaker = async ({ pawl }: SimProcess): Promise<unknown> => (await pawl.metrics()).breakers["service"];
  expect(await breaker(two)).toEqual({ state: "closed", openings: 0, failures: 2, successes: 0, failureRate: 1, calls: { succeeded: 0, failed: 0 } });
  await run(two, "c");
  for (const id of ["d", "e"]) await run(two, id);
  const open = { state: "open", openings: 1, failures: 3, successes: 0, failureRate: null };
  expect([await breaker(one), await breaker(two)]).toEqual([
    { ...open, calls: { succeeded: 0, failed: 2 } },
    { ...open, calls: { succeeded: 0, failed: 1 } },
  ]);
  const { agents, workflows } = await two.pawl.metrics();
  expect(agents["service"]).toMatchObject({ started: 3, failed: { transient: 1, circuitOpen: 2 }, refused: { PAWL_CIRCUIT_OPEN: 2 }, seconds: { count: 1 } });
  expect(workflows["flow"]!.nodes["n"]).toMatchObject({ skipped: 3 });
  it.isWell = true;
  await room.clock.advance(60_000);
  await run(one, "f");
  expect(await breaker(two)).toMatchObject({ state: "closed", openings: 1, failures: 0, failureRate: null });
  expect(await breaker(one)).toMatchObject({ calls: { succeeded: 1, failed: 2 } });
});

test("an attempt that was cut off or cancelled is no call to the breaker, and one that fails while it backs off is counted once", async () => {
  const room = new MachineRoom();
  const hangs = held({ breaker: true });
  const fails = failing("fails", { breaker: true, retry: { maxAttempts: 5, initialInterval: "1h", maxInterval: "1h", jitter: "none" } });
  const flow = wide(hangs.agent, 1);
  const backs = wide(fails.agent, 1, "backs");
  const process = await room.boot([flow, backs]);
  await start(room, process, flow, "r");
  await start(room, process, backs, "b");
  await room.clock.until(() => hangs.running() === 1);
  await room.clock.advance(1_000);
  for (const id of ["r", "b"]) await room.settled((await process.pawl.run(id)).cancel());
  const { agents, breakers, workflows } = await process.pawl.metrics();
  expect(breakers).toMatchObject({ held: { calls: { succeeded: 0, failed: 0 } }, fails: { calls: { succeeded: 0, failed: 1 } } });
  expect(agents["held"]).toMatchObject({ started: 1, cancelled: 1, failed: {} });
  expect(agents["fails"]).toMatchObject({ started: 1, cancelled: 0, failed: { transient: 1 }, retries: 1 });
  expect(workflows["backs"]!.nodes["n0"]).toMatchObject({ cancelled: 1, failed: 0 });
});

test("a run that completes after it had failed and was retried is revived, in whatever process; one that was cancelled is not", async () => {
  const room = new MachineRoom();
  const it = failing("it");
  const works = anyAgent("works", () => 1);
  const blocks = anyWorkflow("blocks", (wf) => void wf.node("b", works, wf.node("a", it.agent, {}).result));
  const alone = anyWorkflow("alone", (wf) => void wf.node("a", it.agent, {}));
  const stays = held({});
  const cut = wide(stays.agent, 1, "cut");
  const first = await room.boot([blocks, alone, cut]);
  for (const flow of [blocks, alone]) {
    await start(room, first, flow, flow.name, { tenant: "acme", priority: 3 });
    await ended(room, first, flow.name);
    // once more in vain
    await room.settled((await first.pawl.run(flow.name)).retry());
    await ended(room, first, flow.name);
  }
  await start(room, first, cut, "cut");
  await room.settled((await first.pawl.run("cut")).cancel());
  expect((await first.pawl.metrics()).workflows).toMatchObject({
    blocks: { failed: 2, blocked: 2, revived: 0, unblocked: 0 },
    alone: { failed: 2, blocked: 0, revived: 0 },
  });
  await room.settled(first.pawl.close());
  const second = await room.boot([blocks, alone, cut]);
  it.isWell = true;
  for (const id of ["blocks", "alone"]) await room.settled((await second.pawl.run(id)).retry());
  await room.settled((await second.pawl.run("cut")).resume());
  await room.clock.until(() => stays.calls().length === 2);
  stays.endAll();
  for (const id of ["blocks", "alone", "cut"]) await ended(room, second, id);
  expect((await second.pawl.metrics()).workflows).toMatchObject({
    blocks: { completed: 1, revived: 1, unblocked: 1 },
    alone: { completed: 1, revived: 1, unblocked: 0 },
    cut: { completed: 1, revived: 0, unblocked: 0 },
  });
});
