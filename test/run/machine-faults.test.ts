/**
 * Machine runs where things go wrong at the wrong moment: permits, late sends, disks that are full, migrations that throw, events of others.
 */
import { expect, test } from "vitest";
import { assign, createMachine, sendTo, setup } from "xstate";
import { z } from "zod";
import { otherRun } from "../../src/run/xstate/effects.ts";
import { durable } from "../../src/run/xstate/durable.ts";
import { step } from "../../src/run/xstate/step.ts";
import { MachineRoom, anyAgent } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const until = async (room: MachineRoom, done: () => boolean, limit = 3_600_000): Promise<boolean> =>
  room.clock.until(done, limit).then(
    () => true,
    () => false,
  );
const kill = (p: SimProcess): void => p.kill();

/** 1 */
test("a step that comes and goes in one commit takes the place of one that waits for a permit", async () => {
  const room = new MachineRoom();
  const first = Promise.withResolvers<string>();
  const hog = anyAgent("hog", () => first.promise);
  const quick = anyAgent("quick", () => "quick");
  const machine: any = setup({ actors: { hog: step(hog), quick: step(quick) } as any }).createMachine({
    id: "m",
    type: "parallel",
    states: {
      one: { initial: "a", states: { a: { invoke: { src: "hog", id: "hog", onDone: "z" } }, z: {} } },
      two: { initial: "a", states: { a: { on: { TWO: "b" } }, b: { invoke: { src: "quick", id: "two", onDone: "z" } }, z: {} } },
      three: { initial: "a", states: { a: { on: { IN: "b" } }, b: { invoke: { src: "quick", id: "three", onDone: "z" }, on: { OUT: "c" } }, c: {}, z: {} } },
    },
  } as any);
  const process = await room.boot([machine], { maxConcurrentAttempts: 1 });
  const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
  await room.clock.settle();
  await room.settled(run.send({ type: "TWO" })); // waits for the permit that `hog` has
  await room.clock.settle();
  await room.settled(Promise.all([run.send({ type: "IN" }), run.send({ type: "OUT" })])); // in one commit
  first.resolve("x");
  await room.clock.advance(200_000);
  await room.settled(process.pawl.reconcile());
  await room.clock.settle();
  expect(((await room.settled(run.snapshot())) as any).value).toEqual({ one: "z", two: "z", three: "c" });
});

test("a retried eventId after the run ended is a duplicate, not PAWL_RUN_ENDED", async () => {
  const room = new MachineRoom();
  const machine = createMachine({ id: "m", initial: "a", states: { a: { on: { GO: "b" } }, b: { type: "final" } } });
  const process = await room.boot([machine], { fault: (group) => (group === 2 ? "crashAfter" : undefined) });
  const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
  void run.send({ type: "GO" }, { eventId: "e" }).catch(() => {});
  await room.clock.until(() => !process.isAlive);
  const next = await room.boot([machine]);
  const again: any = await room.settled(next.pawl.run("r", machine));
  expect(await room.settled(again.outcome("e"))).toBe(2);
  expect(await room.settled(again.send({ type: "GO" }, { eventId: "e" }))).toMatchObject({ commitNo: 2, duplicate: true });
});

test("a send that meets the last commit in flight is answered, and not with PENDING", async () => {
  const room = new MachineRoom();
  const machine = createMachine({ id: "m", initial: "a", states: { a: { on: { GO: "b" } }, b: { type: "final" } } });
  let run: any;
  let late: Promise<unknown> | undefined;
  const process = await room.boot([machine], {
    fault: (group) => {
      if (group !== 2) return undefined;
      return "full";
    },
  });
  run = await room.settled(process.pawl.start(machine, { id: "r" }));
  const first = run.send({ type: "GO" });
  await room.clock.until(() => process.groups === 2);
  late = run.send({ type: "GO" }).then(
    (x: any) => x,
    (e: any) => e.code,
  );
  const from = room.clock.mono();
  await room.settled(first);
  const answer = await room.settled(late!);
  expect([answer, room.clock.mono() - from]).toEqual(["PAWL_STORE_FULL", expect.any(Number)]);
});

test("a spilled cascade whose event cannot be stored ends the actor, not the run's life by quarantine", async () => {
  const pong: any = createMachine({
    id: "pong",
    on: {
      BALL: {
        actions: sendTo(
          ({ self }: any) => self._parent,
          ({ event }: any) => event,
        ),
      },
    },
  } as any);
  const ping: any = setup({ actors: { pong } }).createMachine({
    id: "ping",
    context: { n: 0 },
    initial: "a",
    states: {
      a: {
        invoke: { src: "pong", id: "pong" },
        on: {
          GO: { actions: sendTo("pong", { type: "BALL", fn: () => 1 } as any) },
          BALL: [
            {
              guard: ({ context }: any) => context.n < 2_000,
              actions: [assign({ n: ({ context }: any) => context.n + 1 }), sendTo("pong", ({ event }: any) => event)],
            },
            { target: "b" },
          ],
        },
      },
      b: { type: "final" },
    },
  } as any);
  const room = new MachineRoom();
  const process = await room.boot([ping]);
  const run: any = await room.settled(process.pawl.start(ping, { id: "r" }));
  void run.send({ type: "GO" }).catch(() => {});
  let end: any;
  void run.ended().then((e: any) => (end = e));
  await until(room, () => end !== undefined, 60_000);
  kill(process);
  expect(end?.status).not.toBe("quarantined");
});

test("`migrate` that throws leaves the run as it is (parked), it does not quarantine it", async () => {
  const v1 = createMachine({ id: "m", initial: "a", context: { n: 1 }, states: { a: { on: { GO: "b" } }, b: {} } });
  const v2 = createMachine({ id: "m", initial: "a", context: { n: 1 }, states: { a: { on: { GO: "b" } }, b: {}, c: {} } });
  const room = new MachineRoom();
  const one = await room.boot([v1]);
  await room.settled(one.pawl.start(v1, { id: "r" }));
  await room.settled(one.pawl.close({ graceMs: 1 }));
  const bad = durable(v2, { migrate: (state: any) => ({ value: state.value, context: { n: state.context.missing.length } }) });
  const two = await room.boot([bad]);
  const run: any = await room.settled(two.pawl.run("r", bad as any));
  await room.settled(run.snapshot().catch(() => {}));
  const { status } = await room.settled(run.status() as Promise<any>);
  await room.settled(two.pawl.close({ graceMs: 1 }));
  expect(status).toBe("running");
});

test("a reader who comes before the first turn changes nothing of the run", async () => {
  const child = createMachine({ id: "c", context: { n: 0 }, on: { HI: { actions: assign({ n: ({ context }) => (context as any).n + 1 }) } } });
  const machine: any = setup({ actors: { child } }).createMachine({
    id: "m",
    invoke: { src: "child", id: "kid" },
    on: { POKE: { actions: sendTo("kid", { type: "HI" }) } },
  });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const starting = process.pawl.start(machine, { id: "r" });
  const early: any = await process.pawl.run("r", machine).catch((e: any) => e);
  const seen = early.snapshot ? await early.snapshot().catch((e: any) => e) : early;
  await room.settled(starting);
  kill(process);
  const next = await room.boot([machine]);
  await room.clock.settle();
  const run: any = await room.settled(next.pawl.run("r", machine));
  const answer = await room.settled(
    run.send({ type: "POKE" }).then(
      (x: any) => x,
      (e: any) => e,
    ),
  );
  const { status, failure } = (await room.settled(run.status())) as any;
  expect({
    status,
    failure,
    children: Object.keys(((await room.settled(run.snapshot().catch((e: any) => e))) as any).children ?? {}),
    seen: typeof seen,
    handled: (answer as { handled?: boolean }).handled,
  }).toMatchObject({ status: "running", children: ["kid"] });
});

test("a malformed event from another run does not quarantine the receiver", async () => {
  const b = createMachine({ id: "b", on: { HI: {} } });
  const a: any = createMachine({ id: "a", on: { GO: { actions: sendTo(otherRun("b"), { note: "no type" } as any) } } } as any);
  const room = new MachineRoom();
  const process = await room.boot([a, b]);
  const two: any = await room.settled(process.pawl.start(b, { id: "b" }));
  const one: any = await room.settled(process.pawl.start(a, { id: "a" }));
  await room.settled(one.send({ type: "GO" }).catch(() => {}));
  await room.clock.settle();
  expect(((await room.settled(two.status())) as any).status).toBe("running");
});

test("an event from another run is checked by the receiver's schema (H10)", async () => {
  const b = durable(createMachine({ id: "b", context: { by: "" }, on: { HI: { actions: assign({ by: ({ event }: any) => event.by }) } } } as any), {
    events: { HI: z.object({ type: z.literal("HI"), by: z.string() }) },
  } as any);
  const a: any = createMachine({ id: "a", on: { GO: { actions: sendTo(otherRun("b"), { type: "HI", by: { not: "a string" } } as any) } } } as any);
  const room = new MachineRoom();
  const process = await room.boot([a, b]);
  const two: any = await room.settled(process.pawl.start(b as any, { id: "b" }));
  const one: any = await room.settled(process.pawl.start(a, { id: "a" }));
  await room.settled(one.send({ type: "GO" }));
  await room.clock.settle();
  expect(((await room.settled(two.snapshot())) as any).context.by).toBe("");
});

test("an xstate.* event from another run that was dropped stays dropped when the commit is computed again", async () => {
  const done: string[] = [];
  const b: any = createMachine({ id: "b", on: { HI: { actions: ({ event }: any) => void done.push(event.n) } } } as any);
  const a: any = createMachine({
    id: "a",
    on: { GO: { actions: [sendTo(otherRun("b"), { type: "xstate.stop" } as any), sendTo(otherRun("b"), { type: "HI", n: "1" } as any)] } },
  } as any);
  const room = new MachineRoom();
  const process = await room.boot([a, b], {
    fault: (_n, commits) => (commits.some((c) => c.runId === "b" && (c.consumed?.length ?? 0) > 0) ? "crashAfter" : undefined),
  });
  await room.settled(process.pawl.start(b, { id: "b" }));
  const one: any = await room.settled(process.pawl.start(a, { id: "a" }));
  void one.send({ type: "GO" }).catch(() => {});
  await room.clock.until(() => !process.isAlive);
  expect(done).toEqual([]);
  const next = await room.boot([a, b]);
  await room.clock.settle();
  kill(next);
  expect(done).toEqual(["1"]);
});
