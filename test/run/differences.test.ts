/**
 * Where pawl differs from a live actor of xstate on purpose: each test shows both. The list of examples/guide/machines.md has these names.
 */
import { expect, test, vi } from "vitest";
import {
  type AnyActor,
  type AnyStateMachine,
  SimulatedClock,
  assign,
  cancel,
  createActor,
  createMachine,
  emit,
  fromCallback,
  fromPromise,
  log,
  raise,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stopChild,
  toPromise,
  waitFor,
} from "xstate";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { actionKey } from "../../src/run/xstate/step.ts";
import { MachineRoom } from "../sim/machine-room.ts";
import type { ProcessOptions, SimProcess } from "../sim/process.ts";

interface Hosted {
  readonly machine: AnyStateMachine;
  readonly room: MachineRoom;
  readonly process: SimProcess;
  readonly run: MachineHandle<any>;
  send(...types: string[]): Promise<void>;
  snapshot(): Promise<any>;
  /** The same run in another process. */
  restarted(): Promise<Hosted>;
}

async function hosted(machine: AnyStateMachine, options: Partial<ProcessOptions> = {}, room = new MachineRoom()): Promise<Hosted> {
  const process = await room.boot([machine], options);
  const run = (await room.settled(process.pawl.start(machine, { id: "r" }))) as MachineHandle<any>;
  await room.clock.settle();
  return {
    machine,
    room,
    process,
    run,
    send: async (...types) => {
      await room.settled(Promise.all(types.map(async (type) => run.send({ type }))));
      await room.clock.settle();
    },
    snapshot: () => room.settled(run.snapshot()),
    restarted: async () => {
      process.kill();
      return hosted(machine, {}, room);
    },
  };
}

function live(machine: AnyStateMachine, ...types: string[]): AnyActor & { readonly clock: SimulatedClock } {
  const clock = new SimulatedClock();
  const actor = createActor(machine, { id: "r", clock });
  actor.subscribe({ error() {} });
  actor.start();
  for (const type of types) actor.send({ type });
  return Object.assign(actor, { clock }) as never;
}

/** Notes the type of each event in its context. */
const hears: any = { actions: assign({ heard: ({ context, event }: any) => [...context.heard, event.type] }) };

test("actions and `emit` are done after the commit, at least once, under the key that `actionKey()` gives", async () => {
  const done: string[] = [];
  const machineOf = (key: () => string): AnyStateMachine =>
    createMachine({
      id: "m",
      initial: "a",
      states: { a: { on: { GO: { target: "b", actions: [() => void done.push(key()), emit({ type: "gone" })] } } }, b: {} },
    });
  const actor = live(machineOf(() => "at once"));
  let seen = 0;
  actor.subscribe(() => (seen = done.length));
  actor.send({ type: "GO" });
  expect([done, seen]).toEqual([["at once"], 1]);

  done.length = 0;
  const machine = machineOf(actionKey);
  const before = await hosted(machine, { fault: (group) => (group === 3 ? "crashBefore" : undefined) });
  const commits: number[] = [];
  before.run.subscribe(() => commits.push(done.length));
  void before.run.send({ type: "GO" }).catch(() => {});
  await before.room.clock.until(() => !before.process.isAlive);
  await before.restarted();
  expect([done.length, new Set(done).size]).toEqual([2, 1]);
  expect(done[0]).toMatch(/^r@2\./);
});

test("an action sees the committed snapshot", async () => {
  const seen: unknown[] = [];
  const machine = createMachine({
    id: "m",
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: ({ self }) => void seen.push(self.getSnapshot().value) } } }, b: { always: "c" }, c: {} },
  });
  live(machine, "GO");
  await (await hosted(machine)).send("GO");
  expect(seen).toEqual(["a", "c"]);
});

test("an action that throws ends its actor and stops its children; the state that it belongs to stands", async () => {
  const child = createMachine({ id: "child" });
  const machine = setup({
    actors: { child },
    actions: {
      fail: () => {
        throw new Error("no");
      },
    },
  }).createMachine({
    id: "m",
    context: { n: 0 },
    invoke: { src: "child", id: "child" },
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: [assign({ n: 1 }), "fail"] } } }, b: {} },
  });
  const actor = live(machine, "GO");
  expect(actor.getSnapshot()).toMatchObject({ status: "error", value: "a", context: { n: 0 } });
  expect(actor.getSnapshot().children.child.getSnapshot().status).toBe("active");

  const ours = await hosted(machine);
  await ours.send("GO");
  expect(await ours.snapshot()).toMatchObject({ status: "error", value: "b", context: { n: 1 } });
  expect((await ours.room.settled(ours.run.actors())).map(({ id, status }) => [id, status])).toEqual([["r", "error"]]);
  await expect(ours.room.settled(ours.run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringContaining("no") });
});

test("what an action sends comes behind what had arrived", async () => {
  const machine = createMachine({
    id: "m",
    context: { heard: [] },
    on: { A: { actions: [hears.actions, ({ self }) => self.send({ type: "SENT" })] }, B: hears, SENT: hears },
  });
  expect(live(machine, "A", "B").getSnapshot().context.heard).toEqual(["A", "SENT", "B"]);
  const ours = await hosted(machine);
  await ours.send("A", "B");
  expect((await ours.snapshot()).context.heard).toEqual(["A", "B", "SENT"]);
});

test("callbacks, promises and observables start after the commit, so that what they say at once comes later", async () => {
  const machine = setup({
    actors: { callback: fromCallback(({ sendBack }) => sendBack({ type: "CALLBACK" })), child: createMachine({ entry: sendParent({ type: "CHILD" }) }) },
  }).createMachine({ id: "m", context: { heard: [] }, invoke: [{ src: "callback" }, { src: "child" }], on: { "*": hears } });
  const heard = ["CALLBACK", "CHILD"];
  expect(live(machine).getSnapshot().context.heard).toEqual(heard);
  expect((await (await hosted(machine)).snapshot()).context.heard).toEqual(heard.toReversed());
});

test("a callback starts again in the next process, with nothing of what it was told", async () => {
  const lives: string[][] = [];
  const callback = fromCallback(({ receive }) => {
    const told: string[] = [];
    lives.push(told);
    receive(({ type }) => told.push(type));
  });
  const machine = setup({ actors: { callback } }).createMachine({
    id: "m",
    invoke: { src: "callback", id: "c" },
    on: { TELL: { actions: sendTo("c", { type: "TOLD" }) } },
  });
  live(machine, "TELL");
  expect(lives).toEqual([["TOLD"]]);
  lives.length = 0;
  const ours = await hosted(machine);
  await ours.send("TELL");
  const next = await ours.restarted();
  expect(lives).toEqual([["TOLD"], []]);
  await next.send("TELL");
  expect(lives[1]).toEqual(["TOLD"]);
});

test("an action that is done again after a crash sees what the machine's assigns compute then", async () => {
  let n = 0;
  const seen: number[] = [];
  const machine = createMachine({
    id: "m",
    context: { n: 0 },
    on: { GO: { actions: [assign({ n: () => ++n }), ({ context }) => void seen.push(context.n)] } },
  });
  const before = await hosted(machine, { fault: (group) => (group === 3 ? "crashBefore" : undefined) });
  void before.run.send({ type: "GO" }).catch(() => {});
  await before.room.clock.until(() => !before.process.isAlive);
  expect([(await (await before.restarted()).snapshot()).context.n, seen]).toEqual([1, [1, 2]]);
});

test("of two delayed events under one id both are cancelled", async () => {
  const machine = createMachine({
    id: "m",
    context: { heard: [] },
    entry: [raise({ type: "FIRST" }, { id: "x", delay: 1_000 }), raise({ type: "SECOND" }, { id: "x", delay: 2_000 })],
    on: { FIRST: { actions: [hears.actions, cancel("x")] }, SECOND: hears },
  });
  const actor = live(machine);
  actor.clock.increment(3_000);
  expect(actor.getSnapshot().context.heard).toEqual(["FIRST", "SECOND"]);
  const ours = await hosted(machine);
  await ours.room.clock.advance(3_000);
  expect((await ours.snapshot()).context.heard).toEqual(["FIRST"]);
});

test("children that a machine has lost sight of stop with it", async () => {
  const ticks: string[] = [];
  const child = createMachine({
    id: "child",
    initial: "a",
    states: { a: { after: { 1_000: { target: "a", reenter: true, actions: () => void ticks.push("tick") } } } },
  });
  const machine = setup({ actors: { child } }).createMachine({
    id: "m",
    initial: "a",
    entry: [spawnChild("child"), spawnChild("child")],
    states: { a: { on: { END: "b" } }, b: { type: "final" } },
  });
  live(machine, "END").clock.increment(1_500);
  expect(ticks).toEqual(["tick"]);
  ticks.length = 0;
  const ours = await hosted(machine);
  await ours.send("END");
  await ours.room.clock.advance(1_500);
  expect(ticks).toEqual([]);
});

test("after a restart a ref to a child that was stopped no longer has its state", async () => {
  const child = createMachine({ id: "child", initial: "a", states: { a: {} } });
  const machine = setup({ actors: { child } }).createMachine({
    id: "m",
    context: ({ spawn }) => ({ child: spawn("child", { id: "child" }) }),
    on: { STOP: { actions: stopChild("child") } },
  });
  expect(live(machine, "STOP").getSnapshot().context.child.getSnapshot()).toMatchObject({ status: "stopped", value: "a" });
  const ours = await hosted(machine);
  await ours.send("STOP");
  const { context } = await (await ours.restarted()).snapshot();
  expect([context.child.id, context.child.getSnapshot()]).toEqual(["child", { status: "stopped" }]);
});

test("logic that is spawned without a name is refused (PAWL_INLINE_SPAWN)", async () => {
  const nameless = createMachine({ id: "nameless" });
  const asAction = createMachine({ id: "m", on: { GO: { actions: spawnChild(nameless, { id: "child" }) } } });
  const inAssign = createMachine({ id: "m", on: { GO: { actions: assign(({ spawn }) => void spawn(nameless, { id: "child" }) as never) } } });
  for (const machine of [asAction, inAssign]) expect(live(machine, "GO").getSnapshot().children.child.getSnapshot().status).toBe("active");
  await expect(new MachineRoom().boot([asAction])).rejects.toMatchObject({ code: "PAWL_INLINE_SPAWN" });
  const ours = await hosted(inAssign);
  await ours.send("GO");
  expect((await ours.snapshot()).error).toMatchObject({ code: "PAWL_INLINE_SPAWN" });
});

test("what a machine names and does not implement is refused (PAWL_UNKNOWN_IMPLEMENTATION)", async () => {
  const machine = createMachine({ id: "m", entry: "forgotten" });
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  expect(live(machine).getSnapshot().status).toBe("active");
  warned.mockRestore();
  await expect(new MachineRoom().boot([machine])).rejects.toMatchObject({ code: "PAWL_UNKNOWN_IMPLEMENTATION" });
});

test("an `always` loop ends with an error after 1,000 steps", async () => {
  const counting = (max: number): AnyStateMachine =>
    createMachine({
      id: "m",
      context: { n: 0 },
      initial: "a",
      states: {
        a: { always: { guard: ({ context }) => context.n < max, target: "a", reenter: true, actions: assign({ n: ({ context }) => context.n + 1 }) } },
      },
    });
  expect(live(counting(1_500)).getSnapshot()).toMatchObject({ status: "active", context: { n: 1_500 } });
  expect(await (await hosted(counting(900))).snapshot()).toMatchObject({ status: "active", context: { n: 900 } });
  expect(await (await hosted(counting(1_500))).snapshot()).toMatchObject({ status: "error", error: { message: expect.stringContaining("Infinite loop") } });
});

test("a context object is not shared between runs, nor an event with its sender", async () => {
  const keeping = (): AnyStateMachine => createMachine({ id: "m", context: { list: [] as unknown[] }, on: { ADD: { actions: assign(keep) } } } as never);
  const keep = ({ context, event }: any): unknown => (context.list.push(event.value), context);
  const [machine, value] = [keeping(), { n: 1 }];
  live(machine).send({ type: "ADD", value } as never);
  value.n = 2;
  expect(live(machine).getSnapshot().context.list).toEqual([{ n: 2 }]);

  const ours = await hosted(keeping());
  await ours.room.settled(ours.run.send({ type: "ADD", value } as never));
  value.n = 3;
  expect((await ours.snapshot()).context.list).toEqual([{ n: 2 }]);
  const other = await ours.room.settled(ours.process.pawl.start(ours.machine, { id: "other" }));
  expect((await ours.room.settled((other as MachineHandle<any>).snapshot())).context.list).toEqual([]);
});

test("events that the machine does not declare, and those of xstate, are refused (PAWL_EVENT_REFUSED)", async () => {
  const child = createMachine({ id: "child" });
  const machine = setup({ actors: { child } }).createMachine({
    id: "m",
    initial: "waits",
    states: { waits: { invoke: { src: "child", id: "child", onDone: "over" } }, over: {} },
  });
  expect(live(machine, "UNKNOWN", "xstate.done.actor.child").getSnapshot().value).toBe("over");
  const ours = await hosted(machine);
  for (const type of ["UNKNOWN", "xstate.done.actor.child"])
    await expect(ours.room.settled(ours.run.send({ type }))).rejects.toMatchObject({ code: "PAWL_EVENT_REFUSED" });
});

test("a value that cannot be stored exactly ends its actor (PAWL_VALUE_NOT_STORABLE)", async () => {
  const machine = createMachine({ id: "m", context: { fn: 1 }, on: { GO: { actions: assign({ fn: () => () => 1 } as never) } } });
  expect(live(machine, "GO").getSnapshot()).toMatchObject({ status: "active", context: { fn: expect.any(Function) } });
  const ours = await hosted(machine);
  await ours.send("GO").catch(() => {});
  await expect(ours.room.settled(ours.run.result())).rejects.toMatchObject({ message: expect.stringContaining("cannot store a function at context.fn") });
});

test("an error is read back as an `Error` with its name, message and fields, whatever its class", async () => {
  const error = Object.assign(new RangeError("no"), { status: 402 });
  const refuse = fromPromise(() => Promise.reject(error));
  const machine = setup({ actors: { refuse } }).createMachine({
    id: "m",
    initial: "asks",
    states: { asks: { invoke: { src: "refuse", onError: { target: "over", actions: assign(({ event }) => ({ error: event.error })) } } }, over: {} },
  });
  const actor = live(machine);
  await vi.waitUntil(() => actor.getSnapshot().value === "over");
  const read = (await (await hosted(machine)).snapshot()).context.error;
  expect([actor.getSnapshot().context.error, read].map((each) => [each instanceof RangeError, each instanceof Error, String(each), each.status])).toEqual([
    [true, true, "RangeError: no", 402],
    [false, true, "RangeError: no", 402],
  ]);
});

test("what an action changes in the context in place is not stored", async () => {
  const machine = createMachine({ id: "m", context: () => ({ list: [] as number[] }), on: { GO: { actions: ({ context }) => void context.list.push(1) } } });
  expect(live(machine, "GO").getSnapshot().context.list).toEqual([1]);
  const ours = await hosted(machine);
  await ours.send("GO");
  expect((await (await ours.restarted()).snapshot()).context.list).toEqual([]);
});

test("`subscribe`, `waitFor` and `toPromise` on the ref of an actor hear nothing", async () => {
  const child = createMachine({ id: "child", initial: "a", states: { a: { after: { 1_000: "b" } }, b: { type: "final" } } });
  const waits = fromPromise(async ({ input }: { input: AnyActor }) =>
    Promise.race([waitFor(input, ({ value }) => value === "b"), toPromise(input), new Promise((resolve) => void input.subscribe(resolve))]),
  );
  const machine: AnyStateMachine = setup({ actors: { child, waits } }).createMachine({
    id: "m",
    context: ({ spawn }) => ({ child: spawn("child", { id: "child" }) }),
    initial: "a",
    states: { a: { invoke: { src: "waits", input: ({ context }: any) => context.child, onDone: "b" } }, b: {} },
  });
  const actor = live(machine);
  actor.clock.increment(1_000);
  await vi.waitUntil(() => actor.getSnapshot().value === "b");
  const ours = await hosted(machine);
  await ours.room.clock.advance(10_000);
  expect((await ours.snapshot()).value).toBe("a");
});

test("subscribers see what was committed: several events may be one commit", async () => {
  const machine = createMachine({ id: "m", context: { heard: [] as string[] }, on: { A: hears, B: hears, C: hears } } as never) as AnyStateMachine;
  const seen: number[] = [];
  const actor = live(machine);
  actor.subscribe(({ context }) => seen.push(context.heard.length));
  for (const type of ["A", "B", "C"]) actor.send({ type });
  expect(seen).toEqual([1, 2, 3]);
  seen.length = 0;
  const ours = await hosted(machine);
  ours.run.subscribe(({ context }) => seen.push(context.heard.length));
  await ours.send("A", "B", "C");
  expect(seen.at(-1)).toBe(3);
  expect(seen.length).toBeLessThan(3);
});

test("`run.on` hears what every actor of the run emits, and `log` goes where `open()` was told", async () => {
  const heard: string[] = [];
  const child = createMachine({ id: "child", entry: emit({ type: "CRY" }) });
  const machine = setup({ actors: { child } }).createMachine({ id: "m", on: { GO: { actions: [log("hello"), spawnChild("child", { id: "child" })] } } });
  const actor = createActor(machine, { logger: (word) => heard.push(word) }).start();
  actor.on("*" as never, ({ type }: { type: string }) => heard.push(type));
  actor.send({ type: "GO" });
  expect(heard).toEqual(["hello"]);
  const ours = await hosted(machine, { logged: (message) => heard.push(`logged ${message}`) });
  ours.run.on("*", ({ type }) => heard.push(type));
  await ours.send("GO");
  expect(heard).toEqual(["hello", "logged hello", "CRY"]);
});

test("a delay of more than 24.8 days does not fire at once", async () => {
  const machine = createMachine({ id: "m", initial: "a", states: { a: { after: { [2 ** 31]: "b" } }, b: {} } });
  const actor = createActor(machine).start();
  await vi.waitUntil(() => actor.getSnapshot().value === "b");
  const ours = await hosted(machine);
  await ours.room.clock.advance(1_000);
  expect((await ours.snapshot()).value).toBe("a");
});
