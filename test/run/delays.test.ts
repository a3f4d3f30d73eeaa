/**
 * Delays of machines: what they mean when the process was down or the wall clock jumps, and that none is ever early.
 */
import { expect, test } from "vitest";
import { assign, cancel, createMachine, raise, sendTo, setup } from "xstate";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import type { TimerPolicy } from "../../src/run/xstate/actor.ts";
import { durable } from "../../src/run/xstate/durable.ts";
import { otherRun } from "../../src/run/xstate/effects.ts";
import { MachineRoom } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const waiting = setup({ delays: { patience: HOUR } }).createMachine({
  id: "waiting",
  initial: "waits",
  states: { waits: { after: { patience: "over" }, on: { AGAIN: { target: "waits", reenter: true }, LEAVE: "left" } }, over: { type: "final" }, left: {} },
});

const withPolicy = (policy: TimerPolicy): any => durable(waiting, { delays: { patience: policy } });

async function started(room: MachineRoom, machine: any, id = "r"): Promise<{ process: SimProcess; run: MachineHandle<any> }> {
  const process = await room.boot([machine]);
  return { process, run: (await room.settled(process.pawl.start(machine, { id }))) as MachineHandle<any> };
}

async function pass(room: MachineRoom, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= HOUR) await room.clock.advance(Math.min(left, HOUR));
}

const valueOf = async (room: MachineRoom, run: MachineHandle<any>): Promise<unknown> => (await room.settled(run.snapshot())).value;

async function downFor(room: MachineRoom, process: SimProcess, ms: number, machine: any): Promise<MachineHandle<any>> {
  process.kill();
  await pass(room, ms);
  const next = await room.boot([machine]);
  await room.clock.settle();
  return (await room.settled(next.pawl.run("r", machine))) as MachineHandle<any>;
}

test("a deadline that passed while the process was down is due at once; one that did not keeps its instant", async () => {
  const room = new MachineRoom();
  const machine = withPolicy("deadline");
  const { process } = await started(room, machine);
  await pass(room, HOUR / 2);
  const run = await downFor(room, process, HOUR / 4, machine);
  expect(await valueOf(room, run)).toBe("waits");
  await pass(room, HOUR / 4 - 1);
  expect(await valueOf(room, run)).toBe("waits");
  await pass(room, 1);
  expect(await valueOf(room, run)).toBe("over");
  const late = new MachineRoom();
  const first = await started(late, machine);
  expect(await valueOf(late, await downFor(late, first.process, 2 * HOUR, machine))).toBe("over");
});

test("`restart` counts from the start of the worker again, `remaining` goes on", async () => {
  for (const [policy, value] of [
    ["restart", "waits"],
    ["remaining", "over"],
  ] as const) {
    const room = new MachineRoom();
    const machine = withPolicy(policy);
    const { process } = await started(room, machine);
    await pass(room, HOUR / 2);
    const run = await downFor(room, process, HOUR, machine);
    await pass(room, HOUR - 1);
    expect(await valueOf(room, run)).toBe(value);
    await pass(room, 1);
    expect(await valueOf(room, run)).toBe("over");
  }
});

test("a wall clock that jumps ahead makes a deadline due and moves no length; one that jumps back makes it wait", async () => {
  for (const [policy, jump, value] of [
    ["deadline", 2 * HOUR, "over"],
    ["remaining", 2 * HOUR, "waits"],
    ["deadline", -2 * HOUR, "waits"],
    ["remaining", -2 * HOUR, "over"],
  ] as const) {
    const room = new MachineRoom();
    const { run } = await started(room, withPolicy(policy));
    room.clock.wallOffsetMs += jump;
    await pass(room, jump > 0 ? 60_000 : HOUR + 1);
    expect([policy, jump, await valueOf(room, run)]).toEqual([policy, jump, value]);
    await pass(room, 3 * HOUR);
    expect(await valueOf(room, run)).toBe("over");
  }
});

test("a delay is cancelled by leaving its state, starts anew when the state is entered again, and is never early", async () => {
  const room = new MachineRoom();
  const machine = withPolicy("deadline");
  const { process, run } = await started(room, machine);
  await pass(room, HOUR - 1);
  await room.settled(run.send({ type: "AGAIN" }));
  const again = await downFor(room, process, 2, machine);
  await pass(room, HOUR - 3);
  expect(await valueOf(room, again)).toBe("waits");
  await room.settled(again.send({ type: "LEAVE" }));
  await pass(room, 3 * HOUR);
  expect(await valueOf(room, again)).toBe("left");
});

test("a delay beyond 24.8 days fires at its instant, in a run that had left memory", async () => {
  const room = new MachineRoom();
  const machine = createMachine({ id: "slow", initial: "a", states: { a: { after: { [25 * DAY]: "b" } }, b: { type: "final" } } });
  const { run } = await started(room, machine);
  await pass(room, 25 * DAY - 1_000);
  expect(await valueOf(room, run)).toBe("a");
  await pass(room, 1_000);
  expect(await valueOf(room, run)).toBe("b");
});

test("delayed events to oneself, a child and another run come in the order in which they are due, also after a crash", async () => {
  const child = createMachine({
    id: "child",
    on: { TELL: { actions: sendTo(({ self }: any) => self._parent, { type: "HEARD", by: "child" } as never) } },
  } as any);
  const noted = { actions: assign({ heard: ({ context, event }: any) => [...context.heard, event.by] }) };
  const machine: any = setup({ actors: { child } }).createMachine({
    id: "noter",
    context: { heard: [] },
    invoke: { src: "child", id: "child" },
    entry: [
      sendTo("child", { type: "TELL" }, { delay: 2_000 }),
      raise({ type: "HEARD", by: "self" } as never, { delay: 1_000, id: "self" }),
      sendTo(otherRun("other"), { type: "HEARD", by: "noter" }, { delay: 3_000 }),
      raise({ type: "HEARD", by: "cancelled" } as never, { delay: 2_500, id: "gone" }),
    ],
    on: { HEARD: noted, STOP: { actions: cancel("gone") } },
  } as any);
  const other: any = createMachine({ id: "other", context: { heard: [] }, on: { HEARD: noted } } as any);
  const room = new MachineRoom();
  const process = await room.boot([machine, other]);
  await room.settled(process.pawl.start(other, { id: "other" }));
  const run = (await room.settled(process.pawl.start(machine, { id: "r" }))) as MachineHandle<any>;
  await room.settled(run.send({ type: "STOP" }));
  process.kill();
  const next = await room.boot([machine, other]);
  await pass(room, 4_000);
  const [heard, told] = await Promise.all(
    ["r", "other"].map(
      async (id) =>
        (await room.settled(((await room.settled(next.pawl.run(id, id === "r" ? machine : other))) as MachineHandle<any>).snapshot())).context.heard,
    ),
  );
  expect(heard).toEqual(["self", "child"]);
  expect(told).toEqual(["noter"]);
});

test("an unknown policy is refused", () => {
  const machine = durable(waiting, { delays: { patience: "sometimes" as never } });
  return expect(new MachineRoom().boot([machine])).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});
