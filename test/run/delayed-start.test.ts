/**
 * Runs that are started for later: recorded, found, begun when their instant is there and not before, by whoever is there.
 */
import { describe, expect, test } from "vitest";
import { setup } from "xstate";
import type { StartTime } from "../../src/index.ts";
import { NOBODY, type Store } from "../../src/store/store.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";

const HOUR = 3_600_000;

const flow = (calls: number[] = [], room?: MachineRoom) =>
  anyWorkflow(
    "flow",
    (wf) =>
      wf.node(
        "only",
        anyAgent("agent", () => (calls.push(room?.clock.now() ?? 0), "done")),
        {},
      ).result,
  );

const door = setup({ types: { events: {} as { type: "KNOCK" } } }).createMachine({
  id: "door",
  initial: "closed",
  states: { closed: { on: { KNOCK: "open" } }, open: { type: "final" } },
});

test("a run begins at its instant and not before, in the process that started it", async () => {
  const room = new MachineRoom();
  const calls: number[] = [];
  const workflow = flow(calls, room);
  const { pawl } = await room.boot([workflow]);
  const waitMs = HOUR + 7_123; // not when it is asked every 30 s what should move
  const at = room.clock.now() + waitMs;
  const run = await room.settled(pawl.start(workflow, { id: "r", startAt: new Date(at) }));
  expect(await room.settled(run.status())).toMatchObject({ status: "pending", wakeAt: at, commitNo: 1 });
  await room.clock.advance(waitMs - 1);
  expect(await room.settled(pawl.list({ status: "pending" }))).toMatchObject([{ id: "r", wakeAt: at }]);
  await room.settled(run.result());
  expect(calls).toEqual([at]);
});

test("a short delay is as long as it is, also in a worker that was asked for nothing else", async () => {
  const room = new MachineRoom();
  const calls: number[] = [];
  const workflow = flow(calls, room);
  const { pawl } = await room.boot([workflow]);
  const begin = room.clock.now();
  const run = await room.settled(pawl.start(workflow, { delay: "7s" }));
  await room.settled(run.result());
  expect(calls).toEqual([begin + 7_000]);
});

test.each([1, 2, 3, 4])("it is not overlooked when its instant comes while it is asked what is due (after claim %d)", async (claimNo) => {
  for (const execute of [true, false]) {
    const room = new MachineRoom();
    const calls: number[] = [];
    const workflow = flow(calls, room);
    let claims = Infinity;
    const wrap = (store: Store): Store =>
      replacing(store, {
        claim: async (...asked) => {
          const claimed = await store.claim(...asked);
          if (--claims === 0) room.clock.wallOffsetMs += 30;
          return claimed;
        },
      });
    const worker = await room.boot([workflow], { wrap });
    const { pawl } = execute ? worker : await room.boot([], { execute: false });
    claims = claimNo;
    await room.settled(pawl.start(workflow, { delay: "20ms" }));
    await room.clock.advance(1_000);
    expect(calls, String(execute)).toHaveLength(1);
  }
});

test.each(["flow", "door"])("a client records a %s for later; the worker that is there then begins it, whoever was there meanwhile", async (which) => {
  const room = new MachineRoom();
  const workflow = flow();
  const of = which === "flow" ? workflow : door;
  const client = await room.boot([], { execute: false });
  const first = await room.boot([workflow, door]);
  const run = await room.settled(client.pawl.start(of, { id: "r", delay: "1h" }));
  expect(await room.settled(run.status())).toMatchObject({ status: "pending", waitingFor: undefined });
  await room.clock.advance(HOUR / 2);
  first.kill();
  await room.clock.advance(HOUR);
  expect(await room.settled(run.status())).toMatchObject({ status: "pending" });
  await room.boot([workflow, door]);
  await room.clock.advance(1);
  expect((await room.settled(run.status())).status).not.toBe("pending");
});

test("an instant that has passed, or is now, is at once; the same id again is the same run, whatever the instant", async () => {
  const room = new MachineRoom();
  const workflow = flow();
  const { pawl } = await room.boot([workflow]);
  const past = await room.settled(pawl.start(workflow, { startAt: room.clock.now() - 5 }));
  await room.settled(past.result());
  await room.settled(pawl.start(workflow, { id: "r", delay: "1h" }));
  const again = await room.settled(pawl.start(workflow, { id: "r" }));
  expect(await room.settled(again.status())).toMatchObject({ status: "pending", commitNo: 1 });
  await room.clock.advance(HOUR);
  await room.settled(again.result());
});

describe("while it waits", () => {
  test.each([
    ["in a worker", true, false],
    ["in a client, without any worker", false, false],
    ["at once, in a client", false, true],
  ])("it is cancelled %s, and never begins", async (_, execute, now) => {
    const room = new MachineRoom();
    const calls: number[] = [];
    const workflow = flow(calls, room);
    const { pawl } = await room.boot(execute ? [workflow] : [], { execute });
    const run = await room.settled(pawl.start(workflow, { id: "r", delay: "1h" }));
    await room.settled(run.cancel({ now }));
    expect(await room.settled(run.ended())).toMatchObject({ status: "cancelled", wakeAt: null, terminated: now });
    await room.boot([workflow]);
    await room.clock.advance(2 * HOUR);
    expect(calls).toEqual([]);
    expect((await room.settled(Array.fromAsync(run.history()))).flatMap(({ events }) => events)).toEqual([{ type: "run.cancelled" }]);
  });

  test.each([true, false])("an event that is sent to it is kept and taken when it has begun (to a worker: %s)", async (execute) => {
    const room = new MachineRoom();
    const worker = await room.boot([door]);
    const { pawl } = execute ? worker : await room.boot([], { execute: false });
    const run = await room.settled(pawl.start(door, { id: "d", delay: "1h" }));
    await expect(room.settled(run.send({ type: "KNOCK" }, { eventId: "e" }))).rejects.toThrow(
      expect.objectContaining({ code: "PAWL_SEND_PENDING", message: expect.stringContaining('"d" starts at 2023-11-14T23:13:20.000Z') as string }),
    );
    expect(await room.store.readRun("d")).toMatchObject({ epoch: NOBODY, commitNo: 1 });
    await room.clock.advance(HOUR);
    expect(await room.settled(run.ended())).toMatchObject({ status: "completed" });
    expect(await room.settled(run.outcome("e"))).toBeGreaterThan(1);
  });

  test("it is paused before its first node starts, and goes on when it is resumed", async () => {
    const room = new MachineRoom();
    const calls: number[] = [];
    const workflow = flow(calls, room);
    const { pawl } = await room.boot([workflow]);
    const run = await room.settled(pawl.start(workflow, { id: "r", delay: "1h" }));
    await expect(room.settled(run.pause())).rejects.toThrow(expect.objectContaining({ code: "PAWL_SEND_PENDING" }));
    await room.clock.advance(2 * HOUR);
    expect(await room.settled(run.status())).toMatchObject({ status: "paused" });
    expect(calls).toEqual([]);
    await room.settled(run.resume());
    await room.settled(run.result());
  });

  test("a wall clock that is put forward begins it, within half a minute; one that is put back makes it wait", async () => {
    const room = new MachineRoom();
    const calls: number[] = [];
    const workflow = flow(calls, room);
    const { pawl } = await room.boot([workflow]);
    const at = room.clock.now() + HOUR;
    await room.settled(pawl.start(workflow, { id: "back", startAt: at }));
    room.clock.wallOffsetMs -= HOUR;
    await room.clock.advance(2 * HOUR - 1);
    expect(calls).toEqual([]);
    await room.clock.advance(30_001);
    expect(calls).toHaveLength(1);
    await room.settled(pawl.start(workflow, { id: "forward", delay: "1h" }));
    room.clock.wallOffsetMs += HOUR;
    await room.clock.advance(30_001);
    expect(calls).toHaveLength(2);
  });

  test("it is cancelled also when a worker owns it whose clock was put back", async () => {
    const room = new MachineRoom();
    const calls: number[] = [];
    const workflow = flow(calls, room);
    const { pawl } = await room.boot([workflow]);
    const client = await room.boot([], { execute: false });
    await room.settled(pawl.start(workflow, { id: "r", delay: "1h" }));
    room.clock.wallOffsetMs -= HOUR;
    await room.clock.advance(HOUR + 60_000);
    expect((await room.store.readRun("r"))!.epoch).toBeGreaterThan(0);
    await room.settled((await room.settled(client.pawl.run("r"))).cancel());
    await room.clock.advance(2 * HOUR);
    expect(calls).toEqual([]);
  });
});

test.each<[string, StartTime]>([
  ["an instant and a delay", { startAt: 1, delay: "1h" }],
  ["no instant", { startAt: new Date("nonsense") }],
  ["an instant beyond what a date can be", { startAt: 1e16 }],
  ["no length", { delay: "-1h" }],
])("%s is refused", async (_, when) => {
  const room = new MachineRoom();
  const workflow = flow();
  const { pawl } = await room.boot([workflow]);
  await expect(room.settled(pawl.start(workflow, when))).rejects.toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
});
