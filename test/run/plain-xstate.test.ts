/**
 * What plain xstate loses when a snapshot is saved as JSON and restored, and pawl keeps. The table of examples/guide/machines.md has these names.
 */
import { expect, test, vi } from "vitest";
import {
  type AnyActor,
  type AnyStateMachine,
  type PromiseActorLogic,
  SimulatedClock,
  assign,
  createActor,
  createMachine,
  fromPromise,
  raise,
  sendParent,
  sendTo,
  setup,
} from "xstate";
import { agent } from "../../src/define/agent.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { step } from "../../src/run/xstate/step.ts";
import { z } from "zod";
import { MachineRoom } from "../sim/machine-room.ts";
import type { Fault } from "../sim/process.ts";

const HOUR_MS = 3_600_000;

/** An actor of plain xstate, on a clock of its own. */
function plain(machine: AnyStateMachine, snapshot?: unknown): { readonly actor: AnyActor; readonly clock: SimulatedClock } {
  const clock = new SimulatedClock();
  const actor = createActor(machine, { clock, ...(snapshot !== undefined && { snapshot: snapshot as never }) });
  actor.subscribe({ error() {} });
  return { actor: actor.start(), clock };
}

/** What is left of an actor in another process. */
const saved = (actor: AnyActor): unknown => JSON.parse(JSON.stringify(actor.getPersistedSnapshot()));

/** A run of pawl that is told these events. */
async function durably(
  machine: AnyStateMachine,
  events: readonly { type: string }[] = [],
): Promise<{ room: MachineRoom; restart(as?: AnyStateMachine): Promise<MachineHandle<any>> }> {
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = (await room.settled(process.pawl.start(machine, { id: "r" }))) as MachineHandle<any>;
  for (const event of events) await room.settled(run.send(event));
  await room.clock.settle();
  const restart = async (as = machine): Promise<MachineHandle<any>> => {
    process.kill();
    const next = await room.boot([as]);
    await room.clock.settle();
    return (await room.settled(next.pawl.run("r", as))) as MachineHandle<any>;
  };
  return { room, restart };
}

/** Plays to the end through a crash before and after each commit; answers the output. */
async function throughCrashes(machine: AnyStateMachine, event?: { type: string }): Promise<unknown> {
  const room = new MachineRoom();
  for (let life = 0; ; life++) {
    const fault = (group: number): Fault | undefined => (group === (life >> 1) + 1 ? (life % 2 === 0 ? "crashBefore" : "crashAfter") : undefined);
    const process = await room.boot([machine], { fault }).catch(() => undefined);
    let output: { output: unknown } | undefined;
    const story = async (): Promise<void> => {
      const run = (await process!.pawl.start(machine, { id: "r" })) as MachineHandle<any>;
      if (event !== undefined) await run.send(event, { eventId: "once" }).catch(() => {});
      output = { output: await run.result() };
    };
    void story().catch(() => {});
    await room.clock.until(() => !process!.isAlive || output !== undefined);
    if (output !== undefined) return output.output;
    await room.clock.advance(700_000);
  }
}

test("an `after` timer", async () => {
  const machine = createMachine({ id: "m", initial: "waits", states: { waits: { after: { [HOUR_MS]: "over" } }, over: {} } });
  const { actor, clock } = plain(machine);
  clock.increment(HOUR_MS / 2);
  const again = plain(machine, saved(actor));
  again.clock.increment(100 * HOUR_MS);
  expect(again.actor.getSnapshot().value).toBe("waits");

  const { room, restart } = await durably(machine);
  await room.clock.advance(HOUR_MS / 2);
  const run = await restart();
  await room.clock.advance(HOUR_MS / 2 - 1);
  expect((await room.settled(run.snapshot())).value).toBe("waits");
  await room.clock.advance(1);
  expect((await room.settled(run.snapshot())).value).toBe("over");
});

test("a delayed `raise` or `sendTo`", async () => {
  const child = createMachine({ id: "child", on: { PING: { actions: sendParent({ type: "PONG" }) } } });
  const machine: AnyStateMachine = setup({ actors: { child } }).createMachine({
    id: "m",
    context: { heard: [] },
    invoke: { src: "child", id: "child" },
    entry: [raise({ type: "RAISED" }, { delay: 1_000 }), sendTo("child", { type: "PING" }, { delay: 2_000 })],
    on: { "*": { actions: assign({ heard: ({ context, event }) => [...context.heard, event.type] }) } },
  });
  const again = plain(machine, saved(plain(machine).actor));
  again.clock.increment(100 * HOUR_MS);
  expect(again.actor.getSnapshot().context.heard).toEqual([]);

  const { room, restart } = await durably(machine);
  const run = await restart();
  await room.clock.advance(2_000);
  await room.clock.settle();
  expect((await room.settled(run.snapshot())).context.heard).toEqual(["RAISED", "PONG"]);
});

test("the end of a child that its parent was not told of", async () => {
  const child = createMachine({ id: "child", initial: "a", states: { a: { on: { END: "b" } }, b: { type: "final" } } });
  const machine: AnyStateMachine = setup({ actors: { child } }).createMachine({
    id: "m",
    initial: "waits",
    states: {
      waits: { invoke: { src: "child", id: "child", onDone: "over" }, on: { END: { actions: sendTo("child", { type: "END" }) } } },
      over: { type: "final" },
    },
    output: "told",
  });
  const { actor } = plain(machine);
  let between: unknown;
  actor.getSnapshot().children["child"]!.subscribe({ complete: () => (between = saved(actor)) });
  actor.send({ type: "END" });
  expect(actor.getSnapshot().value).toBe("over");
  const again = plain(machine, between).actor;
  again.send({ type: "END" });
  expect(again.getSnapshot()).toMatchObject({ value: "waits", status: "active" });

  expect(await throughCrashes(machine, { type: "END" })).toBe("told");
});

test("an event that waits in the mailbox", async () => {
  const machine: AnyStateMachine = createMachine({
    id: "m",
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: ({ self }) => self.send({ type: "ON" }) } } }, b: { on: { ON: "c" } }, c: { type: "final" } },
    output: "heard",
  });
  const { actor } = plain(machine);
  let between: unknown;
  actor.subscribe(({ value }) => (between ??= value === "b" ? saved(actor) : undefined));
  actor.send({ type: "GO" });
  expect(actor.getSnapshot().value).toBe("c");
  expect(plain(machine, between).actor.getSnapshot().value).toBe("b");

  expect(await throughCrashes(machine, { type: "GO" })).toBe("heard");
});

test("an action and the state that it belongs to", async () => {
  const charged: string[] = [];
  const machine: AnyStateMachine = setup({ actions: { charge: () => void charged.push("charged") } }).createMachine({
    id: "m",
    initial: "unpaid",
    states: { unpaid: { on: { PAY: { target: "paid", actions: "charge" } } }, paid: { type: "final" } },
    output: "paid",
  });
  const { actor } = plain(machine);
  const before = saved(actor);
  actor.send({ type: "PAY" });
  expect([charged.length, plain(machine, before).actor.getSnapshot().value]).toEqual([1, "unpaid"]);

  charged.length = 0;
  const room = new MachineRoom();
  const process = await room.boot([machine], { fault: (group) => (group === 2 ? "crashAfter" : undefined) });
  const run = (await room.settled(process.pawl.start(machine, { id: "r" }))) as MachineHandle<any>;
  void run.send({ type: "PAY" }).catch(() => {});
  await room.clock.until(() => !process.isAlive);
  expect(charged).toEqual([]);
  const next = await room.boot([machine]);
  expect(await room.settled(next.pawl.run("r").then(async (again) => again.result()))).toBe("paid");
  expect(charged).toEqual(["charged"]);
});

test("Error, Date, Map, Set and undefined in context", async () => {
  const context = { error: new TypeError("no"), at: new Date(0), map: new Map([[1, new Set(["a"])]]), nothing: undefined };
  const machine: AnyStateMachine = createMachine({ id: "m", context });
  expect(plain(machine, saved(plain(machine).actor)).actor.getSnapshot().context).toEqual({ error: {}, at: "1970-01-01T00:00:00.000Z", map: {} });

  const { room, restart } = await durably(machine);
  const kept = (await room.settled((await restart()).snapshot())).context;
  expect({ ...kept, error: String(kept.error) }).toStrictEqual({ ...context, error: "TypeError: no" });
  expect(kept.error).toBeInstanceOf(Error);
});

test("references to itself, its parent and a sibling in context", async () => {
  const sibling = createMachine({ id: "sibling", context: { told: 0 }, on: { TELL: { actions: assign({ told: ({ context }: any) => context.told + 1 }) } } });
  const child: AnyStateMachine = createMachine({
    id: "child",
    context: ({ input, self }: any) => ({ self, parent: self._parent, sibling: input }),
    on: { TELL: { actions: sendTo(({ context }: any) => context.sibling, { type: "TELL" }) } },
  });
  const machine: AnyStateMachine = setup({ actors: { child, sibling } }).createMachine({
    id: "m",
    context: ({ spawn }) => ({ sibling: spawn("sibling", { id: "sibling" }), self: undefined as unknown }),
    entry: assign({ self: ({ self }) => self }),
    invoke: { src: "child", id: "child", input: ({ context }: any) => context.sibling },
    on: { TELL: { actions: sendTo("child", { type: "TELL" }) } },
  });
  const again = plain(machine, saved(plain(machine).actor)).actor;
  const lost = again.getSnapshot();
  expect(lost.context.self).toBeUndefined();
  const { context } = lost.children["child"]!.getSnapshot();
  expect(context).toEqual({ self: undefined, parent: undefined, sibling: undefined });

  const { room, restart } = await durably(machine);
  const run = await restart();
  await room.settled(run.send({ type: "TELL" }));
  const kept = await room.settled(run.snapshot());
  expect(kept.context.sibling.getSnapshot().context.told).toBe(1);
  expect(kept.context.self.id).toBe("r");
  expect(kept.children.child.getSnapshot().context.parent).toBe(kept.context.self);
});

test("a child whose logic has another name now", async () => {
  const child = createMachine({ id: "child" });
  const named = (name: string): AnyStateMachine =>
    setup({ actors: { [name]: child } }).createMachine({ id: "m", entry: assign(({ spawn }) => void spawn(name, { id: "kid" }) as never) });
  const again = plain(named("next"), saved(plain(named("child")).actor)).actor;
  expect(again.getSnapshot()).toMatchObject({ status: "active", children: {} });

  const { room, restart } = await durably(named("child"));
  const run = await restart(named("next"));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_DEFINITION_CHANGED", message: expect.stringContaining('"child"') });
});

test("logic that was spawned without a name", async () => {
  const nameless = createMachine({ initial: "a", states: { a: { on: { GO: "b" } }, b: {} } });
  const machine: AnyStateMachine = createMachine({
    id: "m",
    entry: assign(({ spawn }) => void spawn(nameless, { id: "child" }) as never),
    on: { GO: { actions: sendTo("child", { type: "GO" }) } },
  });
  /** The development build refuses to save it; what the production build restores breaks at its first event. */
  const restored = (): unknown => {
    try {
      const again = plain(machine, saved(plain(machine).actor)).actor;
      again.send({ type: "GO" });
      return again.getSnapshot().status;
    } catch {
      return "error";
    }
  };
  expect(restored()).toBe("error");

  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const result = process.pawl.start(machine, { id: "r" }).then(async (run) => run.result());
  await expect(room.settled(result)).rejects.toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringContaining("no name") });
});

test("attempts of an agent that was called", async () => {
  const attempts: string[] = [];
  const unsteady = agent({
    name: "unsteady",
    input: z.any(),
    output: z.any(),
    retry: { maxAttempts: 3 },
    run: async (_, { attempt }) => {
      attempts.push(`pawl ${attempt}`);
      throw new Error("no");
    },
  });
  const of = (logic: PromiseActorLogic<any, any>): AnyStateMachine =>
    setup({ actors: { logic } }).createMachine({
      id: "m",
      initial: "calls",
      states: { calls: { invoke: { src: "logic", input: null, onError: "gaveUp" } }, gaveUp: { type: "final" } },
      output: "gave up",
    });
  const threeTimes = fromPromise(async () => {
    for (let attempt = 1; attempt <= 3; attempt++) {
      attempts.push(`plain ${attempt}`);
      await new Promise<void>((resolve) => (attempt === 1 ? resolve() : undefined));
    }
  });
  const { actor } = plain(of(threeTimes));
  await vi.waitUntil(() => attempts.length === 2);
  plain(of(threeTimes), saved(actor));
  await vi.waitUntil(() => attempts.length === 4);
  expect(attempts).toEqual(["plain 1", "plain 2", "plain 1", "plain 2"]);

  attempts.length = 0;
  const machine = of(step(unsteady));
  const { room, restart } = await durably(machine);
  const run = await restart();
  expect(await room.settled(run.result())).toBe("gave up");
  expect(attempts).toEqual(["pawl 1", "pawl 2", "pawl 3"]);
});

test("a machine that has changed since", async () => {
  const before = createMachine({ id: "m", type: "parallel", states: { work: {} } });
  const ran: string[] = [];
  const after: AnyStateMachine = createMachine({
    id: "m",
    type: "parallel",
    states: { work: {}, watch: { initial: "on", states: { on: { entry: () => void ran.push("entry"), after: { 1_000: "off" } }, off: {} } } },
  });
  const again = plain(after, saved(plain(before).actor));
  again.clock.increment(HOUR_MS);
  expect([again.actor.getSnapshot().value, ran]).toEqual([{ work: {}, watch: "on" }, []]);

  const { room, restart } = await durably(before);
  const run = await restart(after);
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_DEFINITION_CHANGED", message: expect.stringContaining("watch") });
});
