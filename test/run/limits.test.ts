/**
 * Limits, one scene each: so much at once, so much within a time, for all workers of a store together; who comes next.
 */
import { expect, test } from "vitest";
import type { LimitsOptions } from "../../src/define/limits.ts";
import { decode } from "../../src/run/codec.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

/** Scenes that are played by one worker, and by two: what is started goes to one after the other where order does not matter. */
const scene = test.each([1, 2]);

scene("attempts of an agent run at most so many at once, of all runs; what is free is used at once (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, most, endOne, running } = held({ concurrency: 3 });
  const flow = wide(agent, 4);
  const crew = await room.bootAll(workers, [flow]);
  await start(room, crew.next, flow, "a");
  await start(room, crew.next, flow, "b");
  await room.clock.until(() => calls().length === 3);
  for (let ended = 1; ended <= 5; ended++) {
    endOne();
    await room.clock.until(() => calls().length === 3 + ended);
    expect(running()).toBe(3);
  }
  for (let ended = 0; ended < 3; ended++) endOne();
  await room.settled((await crew.next.pawl.run("a")).result());
  await room.settled((await crew.next.pawl.run("b")).result());
  expect(most()).toBe(3);
});

scene("nodes that need something else do not wait behind those that wait (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const first = held({ uses: { db: 1 } }, "first");
  const second = held({ uses: { api: 1 } }, "second");
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 200; n++) wf.node(`a${n}`, first.agent, "a");
    wf.node("b", second.agent, "b");
  });
  const crew = await room.bootAll(workers, [flow], { limits: { db: { max: 1 }, api: { max: 1 } } });
  await start(room, crew.next, flow, "r");
  await room.clock.until(() => second.calls().length === 1);
  expect(first.calls()).toHaveLength(1);
});

scene("all that an attempt uses is taken together, or nothing (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const both = held({ uses: { db: 1, api: 1 } }, "both");
  const db = held({ uses: { db: 1 } }, "db");
  const api = held({ uses: { api: 1 } }, "api");
  const crew = await room.bootAll(workers, [], { limits: { db: { max: 1 }, api: { max: 1 } } });
  await start(room, crew.next, wide(api.agent, 1, "api"), "api");
  await room.clock.until(() => api.calls().length === 1);
  await start(room, crew.next, wide(both.agent, 1, "both"), "both");
  await start(room, crew.next, wide(db.agent, 2, "db"), "db");
  await room.clock.until(() => db.calls().length === 1);
  expect(both.calls()).toHaveLength(0);
  api.endOne();
  db.endOne();
  await room.clock.until(() => both.calls().length === 1 || db.calls().length === 2);
  db.endOne();
  await room.clock.until(() => both.calls().length === 1);
});

scene("within a time no more is used than the limit says; what was estimated too high can be used (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const uses: { readonly at: number; readonly amount: number }[] = [];
  const agent = anyAgent(
    "model",
    (input: string, ctx) => {
      const amount = input.endsWith("0") ? 10 : 50;
      uses.push({ at: room.clock.mono(), amount });
      ctx.used({ tokens: amount });
      return input;
    },
    { uses: { tokens: 50 } },
  );
  const flow = wide(agent, 10 / workers);
  const crew = await room.bootAll(workers, [flow], { limits: { tokens: { max: 100, per: "60s" } } });
  const began = room.clock.mono();
  for (let n = 0; n < workers; n++) await start(room, crew.next, flow, `r${n}`);
  for (let n = 0; n < workers; n++) await room.settled((await crew.next.pawl.run(`r${n}`)).result());
  expect(uses).toHaveLength(10);
  // the first uses 10 of the 50 that it took
  expect(uses.filter(({ at }) => at < began + 60_000)).toHaveLength(2);
  const used = (until: number): number => uses.reduce((sum, { at, amount }) => sum + (at > until - 60_000 && at <= until ? amount : 0), 0);
  expect(Math.max(...uses.map(({ at }) => used(at)))).toBeLessThanOrEqual(100);
  expect(room.clock.mono() - began).toBeLessThan(6 * 62_000);
});

scene("tenants take turns, whatever one of them has piled up; a tenant's more urgent runs come first (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const crew = await room.bootAll(workers, []);
  await start(room, crew.processes[0]!, wide(agent, 50, "big"), "big", { tenant: "a" });
  await room.clock.until(() => calls().length === 1);
  await start(room, crew.processes[0]!, wide(agent, 3, "small"), "small", { tenant: "b" });
  await start(room, crew.processes[0]!, wide(agent, 2, "urgent"), "urgent", { tenant: "a", priority: 5 });
  for (let ended = 1; ended <= 9; ended++) {
    endOne();
    await room.clock.until(() => calls().length === 1 + ended);
  }
  const order = calls().map((call) => call.split("-")[0]);
  expect(order.slice(0, 7).filter((name) => name === "small")).toHaveLength(3);
  const ofA = order.filter((name) => name !== "small");
  expect(ofA.slice(1, 3)).toEqual(["urgent", "urgent"]);
});

scene("who waits long enough comes before who is more urgent (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const crew = await room.bootAll(workers, []);
  await start(room, crew.processes[0]!, wide(agent, 1, "running"), "running");
  await room.clock.until(() => calls().length === 1);
  await start(room, crew.processes[0]!, wide(agent, 1, "old"), "old");
  await room.clock.advance(180_000);
  await start(room, crew.processes[0]!, wide(agent, 1, "new"), "new", { priority: 2 });
  await start(room, crew.processes[0]!, wide(agent, 1, "newer"), "newer", { priority: 4 });
  for (let ended = 1; ended <= 3; ended++) {
    endOne();
    await room.clock.until(() => calls().length === 1 + ended);
  }
  expect(calls()).toEqual(["running-0", "newer-0", "old-0", "new-0"]);
});

scene("each tenant has a limit of its own where that is said (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls } = held({ uses: { calls: 1 } });
  const limits: LimitsOptions = { calls: { max: 2, each: "tenant" } };
  const crew = await room.bootAll(workers, [], { limits });
  for (const tenant of ["a", "b", undefined])
    for (let n = 0; n < workers; n++) await start(room, crew.next, wide(agent, 5, tenant ?? "none"), `${tenant}${n}`, tenant === undefined ? {} : { tenant });
  await room.clock.until(() => calls().length === 6);
  await room.clock.advance(10_000);
  expect(calls()).toHaveLength(6);
});

test("a run that is retried works for the same tenant, as urgently", async () => {
  const room = new MachineRoom();
  let isWell = false;
  const agent = anyAgent("agent", () => (isWell ? new Promise(() => {}) : Promise.reject(new Error("no"))), { uses: { calls: 1 }, retry: { maxAttempts: 1 } });
  const process = await room.boot([], { limits: { calls: { max: 2, each: "tenant" } } });
  await start(room, process, wide(agent, 1), "r", { tenant: "acme", priority: 3 });
  const run = await process.pawl.run("r");
  await room.settled(run.ended());
  isWell = true;
  await room.settled(run.retry());
  await room.clock.advance(2_000);
  const used = (await room.settled(process.pawl.limits())).filter(({ used }) => used > 0);
  expect(used).toMatchObject([{ name: "calls", tenant: "acme", used: 1 }]);
  expect(decode((await room.store.readRun("r"))!.body)).toMatchObject({ lane: { tenant: "acme", priority: 3 } });
});

test("an attempt that uses more than there ever is fails at once", async () => {
  const room = new MachineRoom();
  const { agent } = held({ uses: { db: 3 } });
  const flow = wide(agent, 1);
  const process = await room.boot([flow], { limits: { db: { max: 2 } } });
  await start(room, process, flow, "r");
  await expect(room.settled((await process.pawl.run("r")).result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
  const [node] = await (await process.pawl.run("r")).nodes();
  expect(node).toMatchObject({ status: "failed", attempt: 1, failure: { code: "PAWL_LIMIT_EXCEEDED", kind: "configuration" } });
});

scene("an attempt that waits for too long fails; those that come in time do not (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1, queueTimeout: "10s" });
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 3; n++) wf.node(`n${n}`, agent, `n${n}`, { onFail: "skip" });
  });
  const crew = await room.bootAll(workers, [flow]);
  await start(room, crew.next, flow, "r");
  await room.clock.until(() => calls().length === 1);
  await room.clock.advance(5_000);
  endOne();
  await room.clock.until(() => calls().length === 2);
  await room.clock.advance(6_000);
  endOne();
  await room.settled((await crew.next.pawl.run("r")).result());
  const nodes = await (await crew.next.pawl.run("r")).nodes();
  expect(nodes.map(({ status, failure }) => failure?.code ?? status)).toEqual(["completed", "completed", "PAWL_QUEUE_TIMEOUT"]);
});

scene("nodes that wait leave their places when their run is paused or cancelled, and wait again when it goes on (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne, endAll } = held({ concurrency: 1 });
  const crew = await room.bootAll(workers, []);
  await start(room, crew.next, wide(agent, 3, "paused"), "paused");
  await start(room, crew.next, wide(agent, 3, "cancelled"), "cancelled");
  await start(room, crew.next, wide(agent, 1, "last"), "last");
  await room.clock.until(() => calls().length === 1);
  const paused = await crew.next.pawl.run("paused");
  await room.settled(paused.pause());
  await room.settled((await crew.next.pawl.run("cancelled")).cancel());
  endOne();
  await room.clock.until(() => calls().length === 2);
  expect(calls()[1]).toBe("last-0");
  endOne();
  await room.clock.advance(5_000);
  expect(calls()).toHaveLength(2);
  await room.settled(paused.resume());
  for (let n = 3; n <= 4; n++) {
    await room.clock.until(() => calls().length === n);
    endAll();
  }
  await room.settled(paused.result());
});

test("two workers use together no more than the limit, and share it while both want it", async () => {
  const room = new MachineRoom();
  const { agent, calls, most, running, endOne } = held({ concurrency: 4 });
  const flow = wide(agent, 30);
  const [one, two] = [await room.boot([flow]), await room.boot([flow])];
  await start(room, one, flow, "a");
  await room.clock.until(() => calls().length === 4);
  await start(room, two, flow, "b");
  for (let ended = 1; ended <= 40; ended++) {
    endOne();
    await room.clock.until(() => running() === 4);
  }
  expect(most()).toBe(4);
  // both got on
  const done = async (id: string): Promise<number> => (await (await one.pawl.run(id)).nodes()).filter(({ status }) => status === "completed").length;
  expect(Math.min(await done("a"), await done("b"))).toBeGreaterThan(10);
});

test("what a worker held that died is free, and what it used of a window counts", async () => {
  const room = new MachineRoom();
  const slots = held({ concurrency: 2 }, "slots");
  const tokens = held({ uses: { tokens: 50 } }, "tokens");
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 4; n++) wf.node(`s${n}`, slots.agent, `s${n}`);
    for (let n = 0; n < 4; n++) wf.node(`t${n}`, tokens.agent, `t${n}`);
  });
  const limits: LimitsOptions = { tokens: { max: 100, per: "60s" } };
  const one = await room.boot([flow], { limits });
  await start(room, one, flow, "r");
  await room.clock.until(() => slots.calls().length === 2 && tokens.calls().length === 2);
  await room.clock.advance(30_000);
  one.kill();
  await room.boot([flow], { limits });
  await room.clock.until(() => slots.calls().length === 4);
  await room.clock.advance(25_000);
  expect(tokens.calls()).toHaveLength(2);
  await room.clock.advance(10_000);
  expect(tokens.calls()).toHaveLength(4);
});

test("what was used of a window counts when its worker is killed at any moment, though not each attempt was written", async () => {
  for (const attempts of [7, 141]) {
    const room = new MachineRoom();
    let calls = 0;
    const agent = anyAgent("model", () => calls++, { uses: { tokens: 1 } });
    const limits = { tokens: { max: 200, per: "60s" } } as const;
    const chain = anyWorkflow("chain", (wf) => {
      let last: unknown = {};
      for (let n = 0; n < 300; n++) last = wf.node(`n${n}`, agent, { last }).result;
    });
    const first = await room.boot([chain], { limits });
    void first.pawl.start(chain, { id: "r", input: null });
    await room.clock.until(() => calls === attempts);
    first.kill();
    await room.boot([chain], { limits });
    await room.clock.advance(59_000);
    // what ran when it was killed may have been called twice; a little was written ahead
    expect(calls).toBeGreaterThanOrEqual(198);
    expect(calls).toBeLessThanOrEqual(200);
  }
});
