/**
 * What operators see of limits and change in them, misspelt names, and what is left of limits that nobody uses.
 */
import { expect, test } from "vitest";
import { type AnyStateMachine, setup } from "xstate";
import type { Cause } from "../../src/index.ts";
import type { Agent } from "../../src/define/agent.ts";
import { step } from "../../src/run/xstate/step.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

/** Scenes that are played by one worker, and by two. */
const scene = test.each([1, 2]);

scene("limits are seen from any process: how much is used, by whom, what waits, and when a window is free (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const slots = held({ concurrency: 2 }, "slots");
  const tokens = held({ uses: { tokens: 40 } }, "tokens");
  const limits = { tokens: { max: 100, per: "60s" }, calls: { max: 3, each: "tenant" } } as const;
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 5; n++) wf.node(`s${n}`, slots.agent, "s");
    for (let n = 0; n < 3; n++) wf.node(`t${n}`, tokens.agent, "t");
  });
  const { processes } = await room.bootAll(workers, [flow], { limits });
  const worker = processes[0]!;
  const { pawl: looker } = await room.boot([], { execute: false });
  expect((await room.settled(looker.limits())).map(({ name, max, used, each }) => [name, max, used, each])).toEqual([
    ["agent:slots", 2, 0, undefined],
    ["calls", 3, 0, "tenant"],
    ["tokens", 100, 0, undefined],
  ]);
  const began = room.clock.now();
  await start(room, worker, flow, "r");
  await room.clock.until(() => slots.calls().length === 2 && tokens.calls().length === 2);
  await room.clock.advance(2_000);
  for (const pawl of [looker, worker.pawl]) {
    const [agent, , window] = await room.settled(pawl.limits());
    const { epoch, pid } = (await pawl.workers())[0]!;
    expect(agent).toMatchObject({ name: "agent:slots", max: 2, setFrom: undefined, perMs: undefined, used: 2, waiting: 3, freeAt: undefined });
    expect(agent).toMatchObject({ nodes: 3, shares: [{ epoch, pid, share: 2, used: 2, waiting: 3, nodes: 3 }] });
    expect(window).toMatchObject({ name: "tokens", max: 100, perMs: 60_000, used: 80, waiting: 40 });
    expect(window!.freeAt! - began).toBeGreaterThanOrEqual(60_000);
    expect(window!.freeAt! - began).toBeLessThan(62_001);
  }
  worker.kill();
});

test("an operator's limit takes effect in all workers while they run, and what runs goes on", async () => {
  const room = new MachineRoom();
  const { agent, running, endOne, calls } = held({ concurrency: 4 });
  const flow = wide(agent, 30);
  const [one, two] = [await room.boot([flow]), await room.boot([flow])];
  const { pawl: operator } = await room.boot([], { execute: false });
  await start(room, one, flow, "a");
  await start(room, two, flow, "b");
  await room.clock.until(() => running() === 4);
  expect(await room.settled(operator.setLimit("agent:held", 1))).toMatchObject({ max: 1, setFrom: 4 });
  await room.clock.advance(1_000);
  expect(running()).toBe(4);
  for (let n = 0; n < 8; n++) {
    endOne();
    await room.clock.advance(1_000);
    expect(running()).toBe(Math.max(1, 3 - n));
  }
  await room.settled(operator.setLimit("agent:held", 6));
  await room.clock.until(() => running() === 6);
  await room.settled(one.pawl.resetLimit("agent:held"));
  const before = calls().length;
  for (let n = 0; n < 5; n++) {
    endOne();
    await room.clock.advance(1_000);
    expect(running()).toBe(Math.max(4, 5 - n));
  }
  expect(calls().length).toBeGreaterThan(before);
});

scene("an operator's limit outlives the workers, and is one tenant's where each has one (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, running } = held({ uses: { calls: 1 } });
  const flow = wide(agent, 5);
  const limits = { calls: { max: 3, each: "tenant" } } as const;
  const first = await room.bootAll(workers, [flow], { limits });
  await room.settled(first.next.pawl.setLimit("calls", 1, { tenant: "acme" }));
  for (const process of first.processes) process.kill();
  const crew = await room.bootAll(workers, [flow], { limits });
  for (const tenant of ["acme", "other"]) for (let n = 0; n < workers; n++) await start(room, crew.next, flow, `${tenant}${n}`, { tenant });
  await room.clock.until(() => running() === 4);
  await room.clock.advance(2_000);
  expect(running()).toBe(4);
  await room.settled(crew.next.pawl.resetLimit("calls", { tenant: "acme" }));
  await room.clock.until(() => running() === 6);
});

scene("nodes that use more than an operator left wait until it is taken back, and do not fail (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, running } = held({ uses: { tokens: 50 } });
  const flow = wide(agent, 1);
  const crew = await room.bootAll(workers, [flow], { limits: { tokens: { max: 100 } } });
  await room.settled(crew.next.pawl.setLimit("tokens", 10));
  await start(room, crew.next, flow, "r");
  await room.clock.advance(5_000);
  expect(running()).toBe(0);
  await room.settled(crew.next.pawl.resetLimit("tokens"));
  await room.clock.until(() => running() === 1);
});

test("a limit that there is not, a number that is none, and a tenant too many or too few are refused", async () => {
  const room = new MachineRoom();
  const { pawl } = await room.boot([], { limits: { llmTokens: { max: 5 }, calls: { max: 3, each: "tenant" } } });
  const refused = (call: Promise<unknown>): Promise<unknown> => room.settled(call.catch((error: unknown) => error));
  expect(await refused(pawl.setLimit("lmTokens", 3))).toMatchObject({
    code: "PAWL_UNKNOWN_LIMIT",
    message: 'there is no limit "lmTokens"; did you mean "llmTokens"?',
  });
  expect(await refused(pawl.resetLimit("agent:nobody"))).toMatchObject({ code: "PAWL_UNKNOWN_LIMIT" });
  expect(await refused(pawl.setLimit("llmTokens", 0))).toMatchObject({ code: "PAWL_INVALID_VALUE" });
  expect(await refused(pawl.setLimit("llmTokens", 3, { tenant: "a" }))).toMatchObject({ code: "PAWL_INVALID_VALUE" });
  expect(await refused(pawl.setLimit("calls", 3))).toMatchObject({ code: "PAWL_INVALID_VALUE" });
  expect(await refused(pawl.setLimit("calls", 3, { tenant: "a/b" }))).toMatchObject({ code: "PAWL_INVALID_ID" });
});

test("it is seen that workers were given different numbers, of which limit, and no longer once they have the same", async () => {
  const room = new MachineRoom();
  const of = async (): Promise<unknown> => Object.fromEntries((await room.settled(looker.limits())).map(({ name, differs }) => [name, differs]));
  const { pawl: looker } = await room.boot([], { execute: false });
  const first = await room.boot([wide(held({ concurrency: 2 }).agent, 1)], { limits: { seats: { max: 2 }, calls: { max: 3, per: "60s" } } });
  await room.boot([wide(held({ concurrency: 3 }).agent, 2)], { limits: { seats: { max: 2 }, calls: { max: 3, per: "30s" } } });
  expect(await of()).toEqual({ "agent:held": true, calls: true, seats: false });
  first.kill();
  await room.clock.advance(20_000);
  expect(await of()).toEqual({ "agent:held": false, calls: false, seats: false });
});

test("an agent that uses what is not limited is refused where limits are given, and only there", async () => {
  const room = new MachineRoom();
  const flow = wide(
    anyAgent("model", () => 1, { uses: { llmTokns: 5 } }),
    1,
  );
  const boot = room.boot([flow], { limits: { llmTokens: { max: 100 } } });
  await expect(boot).rejects.toMatchObject({ code: "PAWL_UNKNOWN_LIMIT", message: expect.stringContaining('did you mean "llmTokens"?') });
  const { pawl } = await room.boot([], { limits: { llmTokens: { max: 100 } } });
  await expect(room.settled(pawl.start(flow, { input: null }))).rejects.toMatchObject({ code: "PAWL_UNKNOWN_LIMIT" });
  const unlimited = await room.boot([flow]);
  await start(room, unlimited, flow, "r");
  await room.settled((await unlimited.pawl.run("r")).result());
});

test("tenants come and go and leave nothing behind", async () => {
  const room = new MachineRoom();
  const flow = wide(
    anyAgent("model", (_, ctx) => ctx.used({ calls: 1 }), { uses: { calls: 1, slots: 1 }, concurrency: 5 }),
    1,
  );
  const limits = { calls: { max: 3, per: "30s", each: "tenant" }, slots: { max: 3, each: "tenant" } } as const;
  const { pawl } = await room.boot([flow], { limits });
  const tenants = Array.from({ length: 1_000 }, (_, n) => `t${n}`);
  const runs = await room.settled(Promise.all(tenants.map((tenant) => pawl.start(flow, { id: tenant, input: null, tenant }))));
  await room.settled(Promise.all(runs.map((run) => run.result())));
  expect((await room.store.readShared()).length).toBeGreaterThan(1_000);
  await room.clock.advance(400_000);
  expect(await room.store.readShared()).toEqual([]);
  // and all of it can be used again
  await room.settled(pawl.start(flow, { id: "again", input: null, tenant: "t7" }));
  await room.settled((await pawl.run("again")).result());
});

test("what workers had that are gone is swept by whoever comes, and what they used of a window when that is over", async () => {
  const room = new MachineRoom();
  const { agent, running } = held({ uses: { tokens: 50, slots: 1 } });
  const flow = wide(agent, 2);
  const limits = { tokens: { max: 100, per: "10m" }, slots: { max: 9 } } as const;
  const first = await room.boot([flow], { limits });
  await start(room, first, flow, "r");
  await room.clock.until(() => running() === 2);
  first.kill();
  await room.boot([]);
  await room.clock.advance(30_000);
  expect((await room.store.readShared()).map(({ key }) => key)).toEqual(["limit:tokens"]);
  await room.clock.advance(700_000);
  expect(await room.store.readShared()).toEqual([]);
});

test.each([-3_600_000, 3_600_000])("whoever sweeps it came after the clock was set by %d ms: it counts for as long", async (setMs) => {
  const room = new MachineRoom();
  const { agent, running } = held({ uses: { tokens: 50 } });
  const flow = wide(agent, 2);
  const first = await room.boot([flow], { limits: { tokens: { max: 100, per: "10m" } } });
  room.clock.wallOffsetMs += setMs;
  await room.boot([]);
  await start(room, first, flow, "r");
  await room.clock.until(() => running() === 2);
  await room.clock.advance(200_000);
  first.kill();
  await room.clock.advance(395_000);
  expect((await room.store.readShared()).map(({ key }) => key)).toEqual(["limit:tokens"]);
  await room.clock.advance(105_000);
  expect(await room.store.readShared()).toEqual([]);
});

test("for whom a run works and how urgent it is shows in its view, and its forks and its own runs keep it", async () => {
  const room = new MachineRoom();
  const inner = anyWorkflow(
    "inner",
    (wf) =>
      wf.node(
        "a",
        anyAgent("a", () => 1),
        null,
      ).result,
  );
  const outer = anyWorkflow("outer", (wf) => {
    wf.run("inner", inner, 1);
  });
  const { pawl } = await room.boot([outer, inner]);
  const run = await room.settled(pawl.start(outer, { id: "r", input: null, tenant: "acme", priority: 3 }));
  await room.settled(run.result());
  const lane = { tenant: "acme", priority: 3 };
  expect(await run.status()).toMatchObject(lane);
  expect((await pawl.list()).map(({ tenant, priority }) => ({ tenant, priority }))).toEqual([lane, lane]);
  const fork = await run.fork({ from: "inner" });
  await room.settled(fork.result());
  expect(await fork.status()).toMatchObject(lane);
  const plain = await room.settled(pawl.start(inner, { id: "plain", input: null }));
  expect(await plain.status()).toMatchObject({ tenant: undefined, priority: 0 });
});

test("why names the limit that nodes wait for, how much of it is used, and the remedy, from any process", async () => {
  const room = new MachineRoom();
  const slots = held({ concurrency: 2 }, "slots");
  const tokens = held({ uses: { tokens: 60 } }, "tokens");
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 5; n++) wf.node(`s${n}`, slots.agent, "s");
    for (let n = 0; n < 2; n++) wf.node(`t${n}`, tokens.agent, "t");
  });
  const process = await room.boot([flow], { limits: { tokens: { max: 100, per: "60s" } } });
  const { pawl: looker } = await room.boot([], { execute: false });
  await start(room, process, flow, "r");
  await room.clock.until(() => slots.calls().length === 2 && tokens.calls().length === 1);
  await room.clock.advance(2_000);
  slots.endOne();
  await room.clock.until(() => slots.calls().length === 3);
  await room.clock.advance(2_000);
  for (const pawl of [process.pawl, looker]) {
    const { causes } = await (await pawl.run("r")).why();
    const [agent, window] = causes.filter(({ kind }) => kind === "limit");
    const pace =
      pawl === looker
        ? "2 wait in its worker, which alone knows their order; all of them have had their turn in about"
        : "first of the 2 that wait in its worker; its turn is in about";
    expect(agent!.message).toContain('s3, s4: wait for "agent:slots": 2 of 2 are used; all that wait need 2, each of these 1');
    expect(agent!.message).toContain(pace);
    expect(agent!.next).toContain("`pawl limits set agent:slots 4`");
    expect(window!.message).toContain('t1: waits for "tokens": 60 of 100 within 60 s are used; all that wait need 60, each of these 60');
    expect(window!.until).toBeGreaterThan(room.clock.now() + 50_000);
    expect((await (await pawl.run("r")).nodes()).filter(({ status }) => status === "queued")).toHaveLength(3);
  }
  process.kill();
});

test("why says how many come before a node, by tenant and priority, and what the other worker has", async () => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const flows = { big: wide(agent, 6, "big"), late: wide(agent, 1, "late"), urgent: wide(agent, 2, "urgent"), other: wide(agent, 1, "other") };
  const process = await room.boot(Object.values(flows));
  await start(room, process, flows.big, "big", { tenant: "acme" });
  await room.clock.until(() => calls().length === 1);
  await start(room, process, flows.late, "late", { tenant: "acme", priority: -1 });
  await start(room, process, flows.urgent, "urgent", { tenant: "acme", priority: 2 });
  await start(room, process, flows.other, "other", { tenant: "bolt" });
  for (let ended = 1; ended <= 2; ended++) {
    endOne();
    await room.clock.until(() => calls().length === 1 + ended);
    await room.clock.advance(10_000);
  }
  const order = calls().map((call) => call.split("-")[0]);
  const whyOf = async (id: string): Promise<string> => (await (await process.pawl.run(id)).why()).causes.find(({ kind }) => kind === "limit")?.message ?? "";
  expect(order).toEqual(["big", "other", "urgent"]);
  expect(await whyOf("urgent")).toMatch(
    /: waits for "agent:held": .*; first of the 7 that wait in its worker; its turn is in about \d+ s; the run has tenant "acme" and priority 2$/,
  );
  expect(await whyOf("big")).toMatch(/; about 1 of the 7 that wait in its worker come before; its turn is in about \d+ s; the run has tenant "acme"$/);
  expect(await whyOf("late")).toMatch(/; about 6 of the 7 that wait in its worker come before; .* and priority -1$/);
  // they are right
  for (let ended = 3; ended <= 9; ended++) {
    endOne();
    await room.clock.until(() => calls().length === 1 + ended);
  }
  expect(
    calls()
      .map((call) => call.split("-")[0])
      .slice(3),
  ).toEqual(["urgent", "big", "big", "big", "big", "big", "late"]);

  const second = await room.boot([wide(agent, 3, "far")]);
  await start(room, second, wide(agent, 3, "far"), "far");
  await start(room, process, flows.other, "again", { tenant: "bolt" });
  await room.clock.advance(2_000);
  const [limit] = await room.settled(process.pawl.limits());
  expect(limit).toMatchObject({ name: "agent:held", nodes: 4 });
  expect(limit!.waitMs === undefined || limit!.waitMs > 0).toBe(true);
  expect(await whyOf("again")).toMatch(
    /; first of the 1 that wait in its worker; .*; 3 more in other workers, which take turns with it; the run has tenant "bolt"$/,
  );
  process.kill();
});

/** Calls the agent in a step, and is then at its end. */
function calling(agent: Agent): AnyStateMachine {
  return setup({ actors: { call: step(agent) } }).createMachine({
    id: "steps",
    initial: "a",
    states: { a: { invoke: { id: "ask", src: "call", input: "step", onDone: "b" } }, b: { type: "final" } },
  });
}

scene("why names the limit that a step of a machine waits for, its place in the queue, and how to go on (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const [machine, flow] = [calling(agent), wide(agent, 3)];
  const crew = await room.bootAll(workers, [machine, flow]);
  const [process, other] = crew.processes;
  const { pawl: looker } = await room.boot([], { execute: false });
  await room.settled(process!.pawl.start(machine, { id: "first" }));
  await room.clock.until(() => calls().length === 1);
  await start(room, process!, flow, "f", { priority: 5 });
  await room.settled(process!.pawl.start(machine, { id: "m", priority: -1 }));
  await room.clock.advance(2_000);
  const whyOf = async (pawl: SimProcess["pawl"], id: string): Promise<readonly Cause[]> => (await (await pawl.run(id)).why()).causes;
  const queue = "is used; all that wait need 4, each of these 1; ";
  expect(await whyOf(process!.pawl, "m")).toMatchObject([
    {
      kind: "limit",
      actor: expect.stringMatching(/^ask~/) as string,
      message: `ask: waits for "agent:held": 1 of 1 ${queue}about 3 of the 4 that wait in its worker come before; the run has priority -1`,
      next: "`pawl limits set agent:held 2` if there may be more; `pawl limits ls` shows who uses it",
    },
  ]);
  for (const pawl of [looker, ...(other === undefined ? [] : [other.pawl])])
    expect(await whyOf(pawl, "m")).toMatchObject([
      {
        kind: "limit",
        message: `ask: waits, unless it has begun, for "agent:held": 1 of 1 ${queue}4 wait in its worker, which alone knows their order; the run has priority -1`,
      },
    ]);
  // where it is known, who has begun waits for nothing
  expect(await whyOf(process!.pawl, "first")).toMatchObject([
    { kind: "running", message: expect.stringContaining('ask: agent "held" runs, or waits for its turn') as string },
  ]);
  for (let ended = 1; ended <= 4; ended++) {
    endOne();
    await room.clock.until(() => calls().length === 1 + ended);
  }
  expect(calls()).toEqual(["step", "wide-0", "wide-1", "wide-2", "step"]);
  await room.clock.advance(2_000);
  for (const pawl of [looker, process!.pawl]) expect(await whyOf(pawl, "m")).toMatchObject([{ kind: "running" }]);
  for (const each of crew.processes) each.kill();
});

scene(
  "use beyond an estimate delays the next attempt; what was not used is free at once; what is not limited is of no account (workers: %i)",
  async (workers) => {
    const room = new MachineRoom();
    const at: number[] = [];
    const agent = anyAgent(
      "model",
      (input: number, ctx) => {
        at.push(room.clock.mono());
        ctx.used({ tokens: input, unknown: 9 });
        ctx.used({ tokens: input });
        return input;
      },
      { uses: { tokens: 50 }, concurrency: 1 },
    );
    const flow = anyWorkflow("flow", (wf) => {
      let last = wf.node("n0", agent, 10);
      for (const [n, amount] of [10, 200, 50, 50].entries()) last = wf.node(`n${n + 1}`, agent, amount, { after: [last] });
    });
    const crew = await room.bootAll(workers, [flow], { limits: { tokens: { max: 100, per: "60s" } } });
    const began = room.clock.mono();
    await start(room, crew.next, flow, "r");
    await room.settled((await crew.next.pawl.run("r")).result());
    const minutes = at.map((instant) => Math.floor((instant - began) / 60_000));
    expect(minutes).toEqual([0, 0, 0, 1, 1]);
  },
);

test("what an attempt says that has ended counts no more, and what is no amount is refused", async () => {
  const room = new MachineRoom();
  let late: ((amounts: Record<string, number>) => void) | undefined;
  const refusals: unknown[] = [];
  const agent = anyAgent(
    "model",
    (_, ctx) => {
      late = (amounts) => ctx.used(amounts);
      for (const amounts of [{ tokens: -1 }, { tokens: Number.NaN }, { tokens: Number.POSITIVE_INFINITY }, { "agent:model": 0 }])
        try {
          ctx.used(amounts);
        } catch (error) {
          refusals.push((error as { code: string }).code);
        }
    },
    { uses: { tokens: 50 }, concurrency: 2 },
  );
  const flow = wide(agent, 1);
  const { pawl } = await room.boot([flow], { limits: { tokens: { max: 100, per: "60s" } } });
  await room.settled((await room.settled(pawl.start(flow, { id: "r", input: null }))).result());
  late!({ tokens: 1 });
  expect(refusals).toEqual(["PAWL_INVALID_VALUE", "PAWL_INVALID_VALUE", "PAWL_INVALID_VALUE", "PAWL_INVALID_ID"]);
  expect((await pawl.limits()).map(({ used }) => used)).toEqual([0, 50]);
});
