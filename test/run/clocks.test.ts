/**
 * Lengths that one worker began and another ends, while the clock was set in between: backoffs, timeouts of events, and delays
 * of machines that count what remains.
 */
import { expect, test } from "vitest";
import { setup } from "xstate";
import { z } from "zod";
import { durable } from "../../src/run/xstate/durable.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

const HOUR = 3_600_000;
const LENGTH_MS = 60_000;
/** What it may take until a worker knows that another one is gone, and what it heard of its time is late by. */
const LATE_MS = 1_000;

const machine = durable(
  setup({ delays: { patience: LENGTH_MS } }).createMachine({ initial: "waits", states: { waits: { after: { patience: "over" } }, over: { type: "final" } } }),
  { delays: { patience: "remaining" } },
);
const flakyFlow = (waitMs: number): any => {
  const retry = { initialInterval: waitMs, maxInterval: waitMs, jitter: "none" } as const;
  const flaky = anyAgent("flaky", (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("down")) : "up"), { retry });
  return anyWorkflow("backsOff", (wf) => wf.node("n", flaky, {}).result);
};
const LENGTHS: Readonly<Record<string, any>> = {
  "a backoff": flakyFlow(LENGTH_MS),
  "the timeout of an event": anyWorkflow("awaits", (wf) => wf.event("e", z.any(), { timeout: LENGTH_MS, onFail: "skip" }).result),
  "a delay of a machine": machine,
};
const scenes = Object.keys(LENGTHS).flatMap((length) => [-HOUR, HOUR].map((setMs) => [length, setMs] as const));

/** The run ends so long after this. */
async function endsIn(room: MachineRoom): Promise<number> {
  const from = room.clock.mono();
  const { pawl: eyes } = await room.boot([], { execute: false });
  await room.settled((await eyes.run("r")).ended());
  return room.clock.mono() - from;
}

test.each(scenes)(
  "%s is as long as it was to be, when who began it dies and another, before whose time the clock was set by %d ms, goes on",
  async (length, setMs) => {
    const room = new MachineRoom();
    const first = await room.boot([LENGTHS[length]]);
    await room.settled(first.pawl.start(LENGTHS[length], { id: "r", input: null }));
    room.clock.wallOffsetMs += setMs;
    await room.boot([LENGTHS[length]]);
    await room.clock.advance(20_000);
    first.kill();
    const leftMs = await endsIn(room);
    expect(leftMs).toBeGreaterThanOrEqual(LENGTH_MS - 20_000 - LATE_MS);
    expect(leftMs).toBeLessThan(LENGTH_MS - 20_000 + LATE_MS);
  },
);

test.each(scenes)(
  "%s is so, too, when the other one dies before it has written that, and a third goes on who knew both; set by %d ms",
  async (length, setMs) => {
    const room = new MachineRoom();
    const first = await room.boot([LENGTHS[length]]);
    await room.settled(first.pawl.start(LENGTHS[length], { id: "r", input: null }));
    room.clock.wallOffsetMs += setMs;
    let isFirstGone = false;
    const second = await room.boot([LENGTHS[length]], { fault: () => (isFirstGone ? "crashBefore" : undefined) });
    room.clock.wallOffsetMs += setMs / 2;
    await room.boot([LENGTHS[length]]);
    await room.clock.advance(20_000);
    isFirstGone = true;
    first.kill();
    const leftMs = await endsIn(room);
    expect(second.isAlive).toBe(false);
    expect(leftMs).toBeGreaterThanOrEqual(LENGTH_MS - 20_000 - LATE_MS);
    expect(leftMs).toBeLessThan(LENGTH_MS - 20_000 + LATE_MS);
  },
);

test("a backoff that began long before its worker died, whose time was later, is no longer than it was to be", async () => {
  const room = new MachineRoom();
  const flow = flakyFlow(3 * HOUR);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: null }));
  room.clock.wallOffsetMs -= HOUR;
  await room.boot([flow]);
  await room.clock.advance(2 * HOUR);
  first.kill();
  const leftMs = await endsIn(room);
  expect(leftMs).toBeGreaterThanOrEqual(HOUR - LATE_MS);
  expect(leftMs).toBeLessThan(HOUR + LATE_MS);
});

test.each(Object.keys(LENGTHS))("%s goes on while there is no worker", async (length) => {
  const room = new MachineRoom();
  const first = await room.boot([LENGTHS[length]]);
  await room.settled(first.pawl.start(LENGTHS[length], { id: "r", input: null }));
  await room.clock.settle();
  first.kill();
  await room.clock.advance(40_000);
  await room.boot([LENGTHS[length]]);
  const leftMs = await endsIn(room);
  expect(leftMs).toBeGreaterThanOrEqual(LENGTH_MS - 40_000 - LATE_MS);
  expect(leftMs).toBeLessThan(LENGTH_MS - 40_000 + LATE_MS);
});

test.each(Object.keys(LENGTHS))("%s lasts no longer than it was to when its worker begins again after the clock was set back", async (length) => {
  const room = new MachineRoom();
  const first = await room.boot([LENGTHS[length]]);
  await room.settled(first.pawl.start(LENGTHS[length], { id: "r", input: null }));
  await room.clock.advance(20_000);
  first.kill();
  room.clock.wallOffsetMs -= HOUR;
  await room.boot([LENGTHS[length]]);
  const leftMs = await endsIn(room);
  expect(leftMs).toBeGreaterThanOrEqual(LENGTH_MS - 20_000);
  expect(leftMs).toBeLessThan(LENGTH_MS + LATE_MS);
});

test("a run of its own that a dead worker began is waited for no longer than its timeout, also after the clock was set back", async () => {
  const room = new MachineRoom();
  const slowly = anyAgent("slowly", () => new Promise<void>((resolve) => room.clock.after(HOUR / 2, resolve)), { timeout: HOUR });
  const inner = anyWorkflow("inner", (wf) => {
    const done = wf.node(
      "done",
      anyAgent("done", () => 1),
      1,
      { compensate: slowly },
    );
    return wf.node("held", anyAgent("held", never), 1, { after: [done], timeout: "1s" }).result;
  });
  const flow = anyWorkflow("flow", (wf) => {
    const before = wf.node(
      "before",
      anyAgent("before", () => 1),
      1,
      { compensate: anyAgent("undo", () => 0) },
    );
    return wf.run("own", inner, 1, { after: [before], timeout: LENGTH_MS }).result;
  });
  let mayDie = false;
  const worker = await room.boot([flow, inner], {
    fault: (_, commits) => (mayDie && commits.some(({ runId, run }) => runId === "r" && run.status === "compensating") ? "crashAfter" : undefined),
  });
  const run = await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(100);
  mayDie = true;
  void run.cancel().catch(() => {});
  await room.clock.until(() => !worker.isAlive);
  room.clock.wallOffsetMs -= HOUR;
  await room.boot([flow, inner]);
  expect(await endsIn(room)).toBeLessThan(LENGTH_MS + LATE_MS);
});
