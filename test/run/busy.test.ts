/**
 * A service says when to come back, as by a 429 with Retry-After: who is held back by it, where, and for how long.
 */
import { expect, test } from "vitest";
import { type Agent, agent as agentOf } from "../../src/define/agent.ts";
import type { BreakerOption } from "../../src/define/breaker.ts";
import type { UseOptions } from "../../src/define/limits.ts";
import { AgentError } from "../../src/errors.ts";
import { z } from "zod";
import { BusyServices } from "../../src/run/busy.ts";
import { SharedRows } from "../../src/run/shared-rows.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { HandClock } from "../sim/breaker-room.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const WAIT_MS = 30_000;

/** An agent whose first call is told to come back after so long; with when it was called. */
function busyOnce(
  room: MachineRoom,
  name: string,
  options: UseOptions & { breaker?: BreakerOption } = {},
  waitMs = WAIT_MS,
): { agent: Agent; calls: number[] } {
  const calls: number[] = [];
  const run = (): void => {
    calls.push(room.clock.mono());
    if (calls.length === 1) throw new AgentError("429 Too Many Requests", { kind: "resource", retryAfterMs: waitMs });
  };
  return { agent: agentOf({ ...options, name, input: z.any(), output: z.any(), run }), calls };
}

const flowOf = (agent: Agent): ReturnType<typeof anyWorkflow> => anyWorkflow(`by-${agent.name}`, (wf) => wf.node("n", agent, {}).result);

async function start(room: MachineRoom, { pawl }: SimProcess, agent: Agent, id: string, tenant?: string): Promise<void> {
  await room.settled(pawl.start(flowOf(agent), { id, input: null, ...(tenant !== undefined && { tenant }) }));
  await room.clock.settle();
}

test("until then no attempt of it begins, in no run and no worker, and `why` says so; others are not held", async () => {
  const room = new MachineRoom();
  const [{ agent, calls }, other] = [busyOnce(room, "busy"), anyAgent("other", () => "done")];
  const [first, second] = [await room.boot([flowOf(agent), flowOf(other)]), await room.boot([flowOf(agent), flowOf(other)])];
  await start(room, first, agent, "a");
  await start(room, first, agent, "b");
  await start(room, second, agent, "c");
  const [toldAt] = calls;
  await start(room, first, other, "d");
  expect((await (await first.pawl.run("d")).status()).status).toBe("completed");
  expect(calls).toHaveLength(1);
  const [cause] = (await (await second.pawl.run("c")).why()).causes;
  expect(cause).toMatchObject({ kind: "limit", node: "n", until: room.clock.now() - room.clock.mono() + toldAt! + WAIT_MS });
  for (const id of ["a", "b", "c"]) await room.settled((await first.pawl.run(id)).result());
  expect(calls.slice(1).every((at) => at >= toldAt! + WAIT_MS && at < toldAt! + WAIT_MS + 1_000)).toBe(true);
  expect(await room.store.readShared()).toEqual([]);
});

test("agents that share a breaker are held together", async () => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy", { breaker: "provider" });
  let called = 0;
  const same = agentOf({ name: "same", input: z.any(), output: z.any(), breaker: "provider", run: () => called++ });
  const process = await room.boot([flowOf(agent), flowOf(same)]);
  await start(room, process, agent, "a");
  await start(room, process, same, "b");
  expect([calls.length, called]).toEqual([1, 0]);
  await room.clock.advance(1_000);
  const [cause] = (await (await process.pawl.run("b")).why()).causes;
  expect(cause).toMatchObject({ kind: "limit", node: "n", until: room.clock.now() - room.clock.mono() + calls[0]! + WAIT_MS });
  await room.clock.advance(WAIT_MS + 1_000);
  expect([calls.length, called]).toEqual([2, 1]);
});

test("where what it uses is each tenant's, only that tenant is held, and what it took counts no more", async () => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy", { uses: { calls: 2 } });
  const process = await room.boot([flowOf(agent)], { limits: { calls: { max: 3, per: "10m", each: "tenant" } } });
  await start(room, process, agent, "a", "one");
  await start(room, process, agent, "b", "one");
  await start(room, process, agent, "c", "two");
  expect(calls).toHaveLength(2);
  await room.clock.advance(WAIT_MS + 1_000);
  expect(calls).toHaveLength(3);
});

test("it holds after a restart, too", async () => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy");
  const process = await room.boot([flowOf(agent)]);
  await start(room, process, agent, "a");
  process.kill();
  await room.clock.advance(WAIT_MS / 2);
  const next = await room.boot([flowOf(agent)]);
  await start(room, next, agent, "b");
  await room.clock.advance(WAIT_MS / 2 - 1_000);
  expect(calls).toHaveLength(1);
  await room.clock.advance(2_000);
  expect(calls).toHaveLength(3);
});

const HOUR = 3_600_000;

test.each([-HOUR, HOUR])("it holds for as long in a worker that came after the clock was set by %d ms", async (setMs) => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy");
  const first = await room.boot([flowOf(agent)]);
  room.clock.wallOffsetMs += setMs;
  const second = await room.boot([flowOf(agent)]);
  await start(room, first, agent, "a");
  await room.clock.advance(1_000);
  await start(room, second, agent, "b");
  await room.clock.advance(WAIT_MS - 2_000);
  expect(calls).toHaveLength(1);
  await room.clock.advance(2_000);
  expect(calls).toHaveLength(3);
  expect(await room.store.readShared()).toEqual([]);
});

test.each([-HOUR, HOUR])("in one that comes meanwhile, too, as soon as it hears that it is not over, and no longer; set by %d ms", async (setMs) => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy");
  const first = await room.boot([flowOf(agent)]);
  await start(room, first, agent, "a");
  await room.clock.advance(10_000);
  room.clock.wallOffsetMs += setMs;
  const second = await room.boot([flowOf(agent)]);
  await room.clock.advance(1_000);
  await start(room, second, agent, "b");
  await room.clock.advance(WAIT_MS - 12_000);
  expect(calls).toHaveLength(1);
  await room.clock.advance(2_000);
  expect(calls).toHaveLength(3);
  expect(await room.store.readShared()).toEqual([]);
});

test("what was said before the clock was set back holds no longer than it was to, from when its worker begins again", async () => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy");
  const first = await room.boot([flowOf(agent)]);
  await start(room, first, agent, "a");
  first.kill();
  room.clock.wallOffsetMs -= HOUR;
  await start(room, await room.boot([flowOf(agent)]), agent, "b");
  await room.clock.advance(WAIT_MS - 1_000);
  expect(calls).toHaveLength(1);
  await room.clock.advance(2_000);
  expect(calls).toHaveLength(3);
});

test("who comes when it is over finds nothing of it, and leaves nothing", async () => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy");
  const process = await room.boot([flowOf(agent)]);
  await start(room, process, agent, "a");
  expect(await room.store.readShared()).toHaveLength(1);
  process.kill();
  await room.clock.advance(WAIT_MS);
  await room.boot([flowOf(agent)]);
  await room.clock.advance(1_000);
  expect([calls.length, await room.store.readShared()]).toEqual([2, []]);
});

test("of what attempts are told that run beside each other the longest holds, also after a restart", async () => {
  const room = new MachineRoom();
  const told = [30_000, 60_000, 5_000];
  const calls: number[] = [];
  const agent = anyAgent("busy", async () => {
    const nth = calls.push(room.clock.mono()) - 1;
    if (told[nth] === undefined) return;
    await new Promise<void>((resolve) => room.clock.after(500 + nth * 100, resolve));
    throw new AgentError("429 Too Many Requests", { kind: "resource", retryAfterMs: told[nth] });
  });
  let process = await room.boot([flowOf(agent)]);
  for (const id of ["a", "b", "c"]) await start(room, process, agent, id);
  await room.clock.advance(1_000);
  expect(calls).toHaveLength(3);
  await start(room, process, agent, "d");
  await room.clock.advance(32_000);
  expect(calls).toHaveLength(3);
  process.kill();
  process = await room.boot([flowOf(agent)]);
  await start(room, process, agent, "e");
  await room.clock.advance(25_000);
  expect(calls).toHaveLength(3);
  await room.clock.advance(5_000);
  expect(calls).toHaveLength(8);
});

test("who forgets what is over does not forget what was said meanwhile", async () => {
  const [clock, store, quiet] = [new HandClock(), new MemoryStore(), (): void => {}];
  const make = async (): Promise<{ shared: SharedRows; busy: BusyServices }> => {
    const epoch = await store.openEpoch(0, "{}");
    const shared = new SharedRows(store, { debug: quiet, info: quiet, warn: quiet, error: quiet }, { epoch: () => epoch, wantsWrite: quiet });
    return { shared, busy: new BusyServices({ shared, now: () => clock.now(), after: (ms, call) => clock.after(ms, call) }) };
  };
  const write = async ({ shared }: { shared: SharedRows }): Promise<void> => {
    await store.amend(shared.take());
    shared.written();
  };
  const [first, second] = [await make(), await make()];
  first.busy.says("service", "agent", WAIT_MS);
  await write(first);
  await second.shared.refresh();
  second.busy.says("service", "agent", 2 * WAIT_MS);
  while (clock.step(WAIT_MS));
  expect([first.busy.isBusy("service"), second.busy.isBusy("service")]).toEqual([false, true]);
  await write(second);
  await write(first);
  await first.shared.refresh();
  expect(first.busy.isBusy("service")).toBe(true);
});

test("what one attempt is told for a day holds others for five minutes at most", async () => {
  const room = new MachineRoom();
  const { agent, calls } = busyOnce(room, "busy", {}, 86_400_000);
  const process = await room.boot([flowOf(agent)]);
  await start(room, process, agent, "a");
  await start(room, process, agent, "b");
  await room.clock.advance(299_000);
  expect(calls).toHaveLength(1);
  await room.clock.advance(2_000);
  expect(calls).toHaveLength(2);
});
