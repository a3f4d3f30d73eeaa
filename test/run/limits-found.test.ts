/**
 * Limits: scenes that random workflows found, or that were thought of when they were mended.
 */
import { expect, test, vi } from "vitest";
import type { LimitsOptions } from "../../src/define/limits.ts";
import type { LimitRow } from "../../src/run/limit-row.ts";
import { Heap } from "../../src/run/heap.ts";
import { Limits } from "../../src/run/limits.ts";
import { SharedRows } from "../../src/run/shared-rows.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

test("a run that is resumed or tried again is its tenant's still, and as urgent as it was", async () => {
  const room = new MachineRoom();
  const failing = anyAgent("failing", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 1 } });
  const { agent, calls } = held({ uses: { calls: 1 } });
  const process = await room.boot([], { limits: { calls: { max: 1, each: "tenant" } } });
  await start(room, process, wide(agent, 3, "cut"), "cut", { tenant: "a", priority: 3 });
  await start(room, process, wide(failing, 1, "failing"), "failed", { tenant: "b", priority: -3 });
  await room.clock.until(() => calls().length === 1);
  const [cut, failed] = [await process.pawl.run("cut"), await process.pawl.run("failed")];
  await room.settled(cut.cancel());
  await room.settled(failed.result().catch(() => {}));
  await room.settled(cut.resume());
  await room.settled(failed.retry());
  await room.clock.advance(10_000);
  expect(await cut.status()).toMatchObject({ tenant: "a", priority: 3 });
  expect(await failed.status()).toMatchObject({ tenant: "b", priority: -3 });
  await start(room, process, wide(agent, 3, "other"), "other", { tenant: "a" });
  const before = calls().length;
  await room.clock.advance(10_000);
  // the tenant has one call at a time
  expect(calls()).toHaveLength(before);
});

test("a worker where some wait for more and some for less of what another one wants, too, goes on", async () => {
  const room = new MachineRoom();
  const takesTime = (ms: number) => () => new Promise<void>((resolve) => void room.clock.after(ms, resolve));
  const little = anyAgent("little", takesTime(1_000), { uses: { db: 1, mine: 1, tokens: 1 } });
  const much = anyAgent("much", takesTime(1_000), { uses: { db: 2, tokens: 1 } });
  const limits: LimitsOptions = { db: { max: 2 }, mine: { max: 1 }, tokens: { max: 2, per: "10s" } };
  const flow = anyWorkflow("flow", (wf) => {
    wf.node("little", little, null);
    wf.node("much", much, null);
  });
  const [one, two] = [await room.boot([], { limits }), await room.boot([], { limits })];
  for (const [id, process] of Object.entries({ a: one, b: two, c: one })) await start(room, process, flow, id);
  for (const id of ["a", "b", "c"]) await room.settled((await one.pawl.run(id)).result());
});

test("who needs much of something is not passed by for ever by those who need little of it", async () => {
  const room = new MachineRoom();
  const big = held({ uses: { db: 2 } }, "big");
  const small = held({ uses: { db: 1 } }, "small");
  const flow = wide(small.agent, 1);
  const process = await room.boot([flow], { limits: { db: { max: 2 } } });
  await start(room, process, flow, "s0");
  await room.clock.until(() => small.calls().length === 1);
  await start(room, process, wide(big.agent, 1, "big"), "big");
  for (let n = 1; n < 6 && big.calls().length === 0; n++) {
    await start(room, process, flow, `s${n}`);
    await room.clock.advance(1_000);
    small.endOne();
    await room.clock.advance(1_000);
  }
  expect(big.calls()).toHaveLength(1);
});

test("what a node needs beside that for which it waits is one limit for all, however long it waits", async () => {
  const room = new MachineRoom();
  const { agent, calls, most, endOne } = held({ concurrency: 1, uses: { tokens: 1 } });
  const process = await room.boot([], { limits: { tokens: { max: 2, per: "10m" } } });
  await start(room, process, wide(agent, 3, "old"), "old");
  for (let ended = 1; ended <= 2; ended++) {
    await room.clock.until(() => calls().length === ended);
    endOne();
  }
  await room.clock.advance(300_000);
  await start(room, process, wide(agent, 1, "new"), "new", { tenant: "other" });
  await room.clock.advance(600_000);
  expect(calls()).toHaveLength(3);
  endOne();
  await room.clock.until(() => calls().length === 4);
  endOne();
  for (const id of ["old", "new"]) await room.settled((await process.pawl.run(id)).result());
  expect(most()).toBe(1);
});

test("workers that lack different things of which they have a part come to rest", async () => {
  const room = new MachineRoom();
  const blocker = held({ uses: { b: 1, c: 1 } }, "blocker");
  const little = held({ uses: { a: 1, c: 1 } }, "little");
  const much = held({ uses: { a: 2, b: 1 } }, "much");
  const other = held({ uses: { a: 2 } }, "other");
  const limits: LimitsOptions = { a: { max: 2 }, b: { max: 1 }, c: { max: 1 } };
  const [one, two] = [await room.boot([], { limits }), await room.boot([], { limits })];
  await start(room, one, wide(blocker.agent, 1, "blocker"), "blocker");
  await room.clock.until(() => blocker.calls().length === 1);
  await start(room, one, wide(little.agent, 1, "little"), "little");
  await start(room, one, wide(much.agent, 1, "much"), "much");
  await start(room, two, wide(other.agent, 3, "other"), "other");
  await room.clock.advance(3_000);
  const before = one.commits + two.commits;
  await room.clock.advance(60_000);
  expect(one.commits + two.commits - before).toBeLessThan(10);
  for (const { calls, endOne, running } of [blocker, much, little]) {
    await room.clock.until(() => {
      if (other.running() > 0) other.endOne();
      return calls().length === 1 && running() === 1;
    });
    endOne();
  }
});

test("what an attempt uses of a window is written with it, also if another write was under way when it was granted", async () => {
  const room = new MachineRoom();
  let calls = 0;
  const agent = anyAgent("dying", () => (++calls === 2 ? one.kill() : undefined), { uses: { tokens: 1 } });
  const limits: LimitsOptions = { tokens: { max: 2, per: "60s" } };
  const flow = wide(agent, 1);
  const slow = (): Promise<void> => new Promise((resolve) => void room.clock.after(40, resolve));
  const one: SimProcess = await room.boot([flow], { limits, onApplied: slow });
  for (const id of ["a", "b"]) {
    void one.pawl.start(flow, { id, input: null });
    await room.clock.advance(10);
  }
  await room.clock.until(() => calls === 2);
  await room.boot([flow], { limits });
  await room.clock.advance(50_000);
  expect(calls).toBe(2);
  await room.clock.until(() => calls === 4);
});

test("who has waited for too long leaves nothing behind that takes of a window for nobody", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ uses: { tokens: 1 }, queueTimeout: "5s" });
  const lasts = anyAgent("lasts", () => new Promise<void>((resolve) => void room.clock.after(600_000, resolve)), { timeout: "1h" });
  const goesOn = anyWorkflow("goes-on", (wf) => {
    wf.node("late", agent, null, { onFail: "skip" });
    wf.node("lasts", lasts, null);
  });
  const process = await room.boot([goesOn], { limits: { tokens: { max: 1, per: "60s" } } });
  await start(room, process, wide(agent, 1, "first"), "first");
  await room.clock.until(() => calls().length === 1);
  await start(room, process, goesOn, "goes-on");
  await room.clock.advance(57_000);
  await start(room, process, wide(agent, 1, "last"), "last");
  await room.clock.advance(4_900);
  expect(calls()).toHaveLength(2);
});

test("who waits for a limit is refused in time, also while every permit is held", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ concurrency: 1, queueTimeout: "10s" });
  const other = held({}, "other");
  const process = await room.boot([], { maxConcurrentAttempts: 2 });
  await start(room, process, wide(agent, 1, "first"), "first");
  await room.clock.until(() => calls().length === 1);
  await start(room, process, wide(agent, 1, "late"), "late");
  await room.clock.advance(100);
  await start(room, process, wide(other.agent, 1, "other"), "other");
  await room.clock.until(() => other.calls().length === 1);
  await room.clock.advance(11_000);
  const [node] = await (await process.pawl.run("late")).nodes();
  expect(node!.failure?.code).toBe("PAWL_QUEUE_TIMEOUT");
});

test("what begins while nobody knows whether a row was written stands in it when it is written again", async () => {
  const store = new MemoryStore();
  const [epochId, quiet] = [await store.openEpoch(0, "{}"), (): void => {}];
  const epoch = (): number => epochId;
  const shared = new SharedRows(store, { debug: quiet, info: quiet, warn: quiet, error: quiet }, { epoch, wantsWrite: quiet });
  const seams = { shared, epoch, now: () => 0, after: () => quiet, changed: quiet, forgotten: quiet, wantsTick: quiet, swept: quiet };
  const limits = new Limits([{ name: "tokens", max: 10, perMs: 60_000, isPerTenant: false }], seams);
  const limit = limits.of("tokens", undefined)!;
  const write = async (known: boolean, meanwhile = quiet): Promise<void> => {
    limits.touch(limit);
    limits.review();
    await store.amend(shared.take());
    meanwhile();
    if (known) shared.written();
    else shared.notWritten();
  };
  limit.waits(1, 1);
  limit.head = 1;
  await write(true);
  limit.take(2, 0);
  await write(false, () => limit.take(3, 0));
  await store.amend(shared.take());
  const [row] = await store.readShared();
  const { of } = JSON.parse(row!.body) as { of: LimitRow };
  expect(of.shares[epochId]!.use).toBe(5);
});

test("runs that wait too long, or are cancelled, leave nothing behind before a limit that is never free", async () => {
  const pushes = vi.spyOn(Heap.prototype, "push");
  const room = new MachineRoom();
  const { agent, calls } = held({ concurrency: 1, queueTimeout: "1s", retry: { maxAttempts: 1 }, timeout: "10h" });
  const flow = wide(agent, 1);
  const process = await room.boot([flow]);
  await start(room, process, flow, "first");
  await room.clock.until(() => calls().length === 1);
  for (let n = 0; n < 300; n++) {
    await start(room, process, flow, `r${n}`);
    if (n % 2 === 0) await room.settled((await process.pawl.run(`r${n}`)).cancel());
    else await room.clock.advance(500);
  }
  await room.clock.advance(2_000);
  const longest = Math.max(...pushes.mock.contexts.map((heap) => (heap as Heap<unknown>).length));
  pushes.mockRestore();
  expect(longest).toBeLessThan(100);
  expect(calls()).toHaveLength(1);
});
