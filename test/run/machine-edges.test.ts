/**
 * Ends, late words, variants and readers of machine runs: what is easily lost at the edges.
 */
import { expect, test } from "vitest";
import { assign, createMachine, setup } from "xstate";
import { durable } from "../../src/run/xstate/durable.ts";
import { MachineRoom } from "../sim/machine-room.ts";

test("the output of a run survives a crash between its last commit and its last action", async () => {
  const machine = createMachine({
    id: "m",
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: () => {} } } }, b: { type: "final" } },
    output: "out",
  });
  const room = new MachineRoom();
  const process = await room.boot([machine], { fault: (group) => (group === 2 ? "crashAfter" : undefined) });
  const run = await room.settled(process.pawl.start(machine, { id: "r" }));
  void run.send({ type: "GO" }).catch(() => {});
  await room.clock.until(() => !process.isAlive);
  const next = await room.boot([machine]);
  expect(await room.settled(next.pawl.run("r").then(async (again) => again.result()))).toBe("out");
});

test("the error of a run survives a crash between its last commit and its last action", async () => {
  const room = new MachineRoom();
  const child = createMachine({
    id: "k",
    entry: assign(() => {
      throw new Error("why");
    }),
  });
  const m: any = setup({ actors: { child } }).createMachine({
    id: "m",
    initial: "a",
    states: { a: { on: { GO: { target: "b", actions: () => {} } } }, b: { invoke: { src: "child" } } },
  });
  const process = await room.boot([m], { fault: (group) => (group === 2 ? "crashAfter" : undefined) });
  const run: any = await room.settled(process.pawl.start(m, { id: "r" }));
  void run.send({ type: "GO" }).catch(() => {});
  await room.clock.until(() => !process.isAlive);
  const next = await room.boot([m]);
  await expect(room.settled(next.pawl.run("r").then(async (again) => again.result()))).rejects.toThrow("why");
});

test("what an action says later reaches a run that has left memory", async () => {
  const later = Promise.withResolvers<void>();
  const machine = createMachine({
    id: "m",
    initial: "a",
    states: { a: { entry: ({ self }) => void later.promise.then(() => self.send({ type: "LATE" })), on: { LATE: "b" } }, b: {} },
  });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = await room.settled(process.pawl.start(machine, { id: "r" }));
  await room.clock.advance(20_000);
  later.resolve();
  await room.clock.settle();
  expect((await room.settled(run.snapshot())).value).toBe("b");
});

test("variants of one machine cannot be told apart after a restart: the second is refused, a copy is not", async () => {
  const makeBase = (): any => setup({ actions: { note: () => {} } }).createMachine({ id: "m", on: { GO: { actions: "note" } } });
  const room = new MachineRoom();
  const process = await room.boot([makeBase()]);
  await room.settled(process.pawl.start(makeBase(), { id: "copy" }));
  const variant = makeBase().provide({ actions: { note: () => void "other" } });
  await expect(room.settled(process.pawl.start(variant, { id: "variant" }))).rejects.toMatchObject({ code: "PAWL_DEFINITION_AMBIGUOUS" });
});

test("a first context that cannot be stored is refused with its path", async () => {
  const machine = createMachine({ id: "m", context: { fn: () => 1 } });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = await room.settled(process.pawl.start(machine, { id: "r" }));
  await expect(room.settled(run.result())).rejects.toThrow("cannot store a function at fn");
});

test("an action that throws on the way into a final state fails the run, and is not told as performed", async () => {
  const machine = createMachine({
    id: "m",
    initial: "a",
    states: {
      a: { on: { GO: "b" } },
      b: {
        type: "final",
        entry: () => {
          throw new Error("in final");
        },
      },
    },
  });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = await room.settled(process.pawl.start(machine, { id: "r" }));
  await room.settled(run.send({ type: "GO" }));
  await room.clock.settle();
  const history = JSON.stringify(await Array.fromAsync(run.history()));
  expect(history).not.toContain("action.performed");
  await expect(room.settled(run.result())).rejects.toThrow("in final");
});

test("a policy for a delay that the machine does not have is refused", async () => {
  const machine = setup({ delays: { patience: 1_000 } }).createMachine({ id: "m", initial: "a", states: { a: { after: { patience: "b" } }, b: {} } });
  for (const options of [{ delays: { patiense: "restart" } }, { events: { NOPE: {} } }])
    await expect(new MachineRoom().boot([durable(machine, options as never)])).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("a snapshot that a reader changes leaves the run as it is", async () => {
  const machine = createMachine({ id: "m", context: { list: [] as number[], n: 0 }, on: { N: { actions: assign({ n: ({ context }) => context.n + 1 }) } } });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = await room.settled(process.pawl.start(machine, { id: "r" }));
  (await room.settled(run.snapshot())).context.list.push(1);
  await room.settled(run.send({ type: "N" }));
  process.kill();
  const next = await room.settled((await room.boot([machine])).pawl.run("r", machine));
  expect((await room.settled(next.snapshot())).context).toEqual({ list: [], n: 1 });
});
