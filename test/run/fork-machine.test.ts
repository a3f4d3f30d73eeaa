/**
 * Forks of machines' runs, as stories: from which commits, what starts again, what waits how long, what can be set.
 */
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, setup } from "xstate";
import { listCheckpoints } from "../../src/run/checkpoints.ts";
import { definitionOf } from "../../src/run/definition.ts";
import { type ForkRunOptions, fork, planFork } from "../../src/run/fork.ts";
import type { MachineForkPlan } from "../../src/run/fork-plan.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { pendingCommit } from "../../src/run/pending.ts";
import type { Startable } from "../../src/run/startable.ts";
import type { TimerPolicy } from "../../src/run/xstate/actor.ts";
import { durable } from "../../src/run/xstate/durable.ts";
import { step } from "../../src/run/xstate/step.ts";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const HOUR = 3_600_000;

class Room extends MachineRoom {
  fork(options: ForkRunOptions, id = "old"): ReturnType<typeof fork> {
    return fork({ store: this.store, clock: this.clock, random: seededRandom(1) }, id, { id: "new", ...options });
  }

  async plan(from: number): Promise<MachineForkPlan> {
    return (await planFork(this.store, "old", { from })) as MachineForkPlan;
  }

  async started(process: SimProcess, machine: Startable, input?: unknown): Promise<MachineHandle<any>> {
    return (await this.settled(process.pawl.start(machine as never, { id: "old", input } as never))) as MachineHandle<any>;
  }

  /** The run of this id in a process that takes on what is nobody's. */
  async found(process: SimProcess, machine: Startable, id = "new"): Promise<MachineHandle<any>> {
    await this.settled(process.pawl.reconcile());
    return (await this.settled(process.pawl.run(id, machine))) as MachineHandle<any>;
  }

  async rows(id = "old"): Promise<string> {
    return JSON.stringify([await this.store.readRun(id), await this.store.readActors(id), await this.store.readHistory(id, 0, 1_000)]);
  }
}

const counter = createMachine({
  id: "counter",
  context: { seen: [] as number[] },
  initial: "counts",
  states: {
    counts: { on: { ADD: { actions: assign({ seen: ({ context, event }: any) => [...context.seen, event.n] }) }, END: "over" } },
    over: { type: "final" },
  },
} as any) as any;
const add = (n: number): any => ({ type: "ADD", n });

test("a run can be forked from each commit that is kept, and ends as it did when the same is sent again", async () => {
  const room = new Room();
  const machine: any = durable(counter, { keepCheckpoints: 4 });
  const process = await room.boot([machine]);
  const run = await room.started(process, machine);
  for (let n = 2; n <= 9; n++) expect((await room.settled(run.send(add(n)))).commitNo).toBe(n);
  await room.settled(run.send({ type: "END" }));
  const before = await room.rows();
  const checkpoints = await Array.fromAsync(listCheckpoints(room.store, "old"));
  const forkable = checkpoints.filter(({ canFork }) => canFork).map(({ commitNo }) => commitNo);
  expect(forkable).toEqual([6, 7, 8, 9]);
  for (const from of forkable) {
    const id = `from-${from}`;
    expect(await room.plan(from)).toMatchObject({ kind: "machine", commitNo: from, state: "counts", startsAgain: [], timers: [] });
    await room.fork({ from, id });
    const forked = await room.found(process, machine, id);
    for (let n = from + 1; n <= 9; n++) await room.settled(forked.send(add(n)));
    expect((await room.settled(forked.snapshot())).context).toEqual({ seen: [2, 3, 4, 5, 6, 7, 8, 9] });
    await room.settled(forked.send({ type: "END" }));
    expect((await room.settled(forked.ended())).status).toBe("completed");
  }
  expect(await room.rows()).toBe(before);
  await expect(room.fork({ from: 5, id: "x" })).rejects.toMatchObject({
    code: "PAWL_CHECKPOINT_GONE",
    message: 'commit 5 of run "old" is not kept any more; there are 6 to 10',
    next: expect.stringContaining("keepCheckpoints"),
  });
  await expect(room.fork({ from: 10, id: "x" })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", message: expect.stringContaining("had ended") });
  await expect(room.fork({ from: 11, id: "x" })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", message: expect.stringContaining("no commit 11") });
});

test("with `checkpointEvery`, a run can be forked from each commit that is listed so, and from no other", async () => {
  const room = new Room();
  const machine: any = durable(counter, { keepCheckpoints: 2, checkpointEvery: 3 });
  const process = await room.boot([machine]);
  const run = await room.started(process, machine);
  for (let n = 2; n <= 14; n++) await room.settled(run.send(add(n)));
  const checkpoints = await Array.fromAsync(listCheckpoints(room.store, "old"));
  expect(checkpoints).toHaveLength(14);
  const forkable = checkpoints.filter(({ canFork }) => canFork).map(({ commitNo }) => commitNo);
  expect(forkable).toEqual([9, 12, 14]);
  for (let from = 1; from <= 14; from++) {
    const id = `from-${from}`;
    if (!forkable.includes(from)) {
      await expect(room.fork({ from, id })).rejects.toMatchObject({ code: "PAWL_CHECKPOINT_GONE", data: { first: 9, last: 14 } });
      continue;
    }
    await room.fork({ from, id });
    const forked = await room.found(process, machine, id);
    const seen = Array.from({ length: from - 1 }, (_, i) => i + 2);
    expect((await room.settled(forked.snapshot())).context).toEqual({ seen });
    await room.settled(forked.send(add(0)));
    expect((await room.settled(forked.snapshot())).context).toEqual({ seen: [...seen, 0] });
  }
  await expect(room.fork({ from: 8, id: "x" })).rejects.toMatchObject({ message: 'commit 8 of run "old" is not kept any more; there are 3, from 9 to 14' });
  await expect(room.fork({ from: 11, id: "x" })).rejects.toMatchObject({
    message: 'commit 11 of run "old" is no checkpoint; the nearest are 9 and 12',
    next: expect.stringContaining("checkpointEvery"),
  });
});

test("when the interval of checkpoints changes, earlier commits cannot be forked any more", async () => {
  const room = new Room();
  const before = await room.boot([counter]);
  const run = await room.started(before, counter);
  for (let n = 2; n <= 6; n++) await room.settled(run.send(add(n)));
  before.kill();
  const machine: any = durable(counter, { checkpointEvery: 2 });
  const process = await room.boot([machine]);
  const again = (await room.settled(process.pawl.run("old", machine))) as MachineHandle<any>;
  for (let n = 7; n <= 9; n++) await room.settled(again.send(add(n)));
  const checkpoints = await Array.fromAsync(listCheckpoints(room.store, "old"));
  expect(checkpoints.filter(({ canFork }) => canFork).map(({ commitNo }) => commitNo)).toEqual([6, 8, 9]);
  await room.fork({ from: 6 });
  expect((await room.settled((await room.found(process, machine)).snapshot())).context).toEqual({ seen: [2, 3, 4, 5, 6] });
});

test("an unfinished run goes on beside its fork, and neither hears of the other", async () => {
  const room = new Room();
  const process = await room.boot([counter]);
  const run = await room.started(process, counter);
  await room.settled(run.send(add(1), { eventId: "one" }));
  await room.fork({ from: 2 });
  const forked = await room.found(process, counter);
  await room.settled(run.send(add(2)));
  // an event id means something within one run
  expect(await room.settled(forked.send(add(3), { eventId: "one" }))).toMatchObject({ duplicate: false });
  expect((await room.settled(run.snapshot())).context).toEqual({ seen: [1, 2] });
  expect((await room.settled(forked.snapshot())).context).toEqual({ seen: [1, 3] });
});

test("when nothing was kept, the newest commit can be forked", async () => {
  const room = new Room();
  const machine: any = durable(counter, { keepCheckpoints: 0 });
  const process = await room.boot([machine]);
  const run = await room.started(process, machine);
  await room.settled(run.send(add(1)));
  expect((await Array.fromAsync(listCheckpoints(room.store, "old"))).map(({ canFork }) => canFork)).toEqual([false, true]);
  await expect(room.fork({ from: 1 })).rejects.toMatchObject({ code: "PAWL_CHECKPOINT_GONE", message: expect.stringContaining("there is only 2") });
  await room.fork({ from: 2 });
  expect((await room.settled((await room.found(process, machine)).snapshot())).context).toEqual({ seen: [1] });
});

test("a machine has no nodes to fork from", async () => {
  const room = new Room();
  await room.started(await room.boot([counter]), counter);
  await expect(room.fork({ from: "counts" })).rejects.toMatchObject({ code: "PAWL_NOT_A_WORKFLOW", next: expect.stringContaining("commit number") });
});

const patient = setup({ delays: { patience: HOUR } }).createMachine({
  id: "patient",
  initial: "waits",
  states: { waits: { after: { patience: "over" }, on: { NUDGE: {} } }, over: { type: "final" } },
});

test.each<TimerPolicy>(["deadline", "remaining", "restart"])("a timer of policy %s keeps the time that was left at the commit", async (policy) => {
  for (const isOtherProcess of [false, true]) {
    const room = new Room();
    const machine: any = durable(patient, { delays: { patience: policy } });
    let process = await room.boot([machine]);
    const run = await room.started(process, machine);
    await room.clock.advance(HOUR / 4);
    await room.settled(run.send({ type: "NUDGE" }));
    await room.clock.advance(2 * HOUR);
    expect((await room.settled(run.status())).status).toBe("completed");
    if (isOtherProcess) {
      process.kill();
      process = await room.boot([machine]);
      await room.clock.advance(HOUR / 2);
    }
    expect((await room.plan(2)).timers).toMatchObject([{ actor: "machine~1", remainingMs: (HOUR / 4) * 3 }]);
    await room.fork({ from: 2 });
    await room.clock.advance(60_000);
    const forked = await room.found(process, machine);
    await room.settled(forked.send({ type: "NUDGE" }));
    await room.clock.advance((HOUR / 4) * 3 - 60_001);
    expect((await room.settled(forked.status())).status).toBe("running");
    await room.clock.advance(1);
    expect((await room.settled(forked.status())).status).toBe("completed");
  }
});

test("a fork that only waits sleeps until it is due, and wakes then", async () => {
  const room = new Room();
  const process = await room.boot([patient]);
  await room.started(process, patient);
  await room.fork({ from: 1 });
  expect((await room.store.readRun("new"))!.wakeAt).toBe(room.clock.now() + HOUR);
  await room.settled(process.pawl.reconcile());
  await room.clock.advance(HOUR + 1);
  expect((await room.store.readRun("new"))!.status).toBe("completed");
});

test("what ran at that commit starts again: promises, steps under their new keys, and runs of their own", async () => {
  const room = new Room();
  const keys: string[] = [];
  let promises = 0;
  const works = anyAgent("works", (_, { idempotencyKey }) => (keys.push(idempotencyKey), keys.length < 3 ? never() : "done"));
  const flow = anyWorkflow("flow", (wf) => wf.node("only", works, {}).result);
  const machine: any = setup({
    actors: { asks: step(works), parts: step(flow), waits: fromPromise(() => (promises++, never())) } as any,
  }).createMachine({
    id: "busy",
    type: "parallel",
    states: {
      one: { invoke: { src: "asks" } },
      two: { invoke: { src: "parts" } },
      three: { invoke: { src: "waits" } },
    },
  } as any);
  const process = await room.boot([machine, flow]);
  await room.started(process, machine);
  await room.clock.settle();
  const { commitNo } = (await room.store.readRun("old"))!;
  const plan = await room.plan(commitNo);
  expect(plan.startsAgain.map(({ src }) => src).toSorted()).toEqual(["attempt", "parts", "waits"]);
  const before = await room.rows();
  await room.fork({ from: commitNo });
  expect(await room.rows()).toBe(before);
  await room.settled(process.pawl.reconcile());
  await room.clock.settle();
  expect(promises).toBe(2);
  expect(keys.slice(0, 2).every((key) => key.startsWith("old/"))).toBe(true);
  expect(
    keys
      .slice(2)
      .map((key) => key.replace(/^new/, "old"))
      .toSorted(),
  ).toEqual(keys.slice(0, 2).toSorted());
  const [child] = plan.startsAgain.filter(({ src }) => src === "parts");
  expect((await room.store.readRun(`new/${child!.actor}`))!.status).toBe("completed");
});

test("the context of the machine can be set, and nothing else", async () => {
  const room = new Room();
  const child = createMachine({ id: "child" });
  const machine: any = setup({ actors: { child } }).createMachine({
    id: "holder",
    context: ({ spawn }: any) => ({ ref: spawn("child", { id: "kid" }), order: { lines: [{ n: 1 }], at: new Date(0) }, name: "a" }),
    on: { NOP: {} },
  } as any);
  const process = await room.boot([machine]);
  await room.started(process, machine);
  const set = { "context.order.lines[0].n": 7, "context.order.lines[1]": { n: 8n }, "context.name": "b" };
  const { plan } = await room.fork({ from: 1, set });
  expect(plan.changes).toEqual([
    { path: "context.order.lines[0].n", before: 1, after: 7 },
    { path: "context.order.lines[1]", before: undefined, after: { n: 8n } },
    { path: "context.name", before: "a", after: "b" },
  ]);
  const { context } = await room.settled((await room.found(process, machine)).snapshot());
  expect(context).toMatchObject({ order: { lines: [{ n: 7 }, { n: 8n }], at: new Date(0) }, name: "b", ref: { id: "kid" } });
  expect(context.ref.getSnapshot().status).toBe("active");
  const refused = (path: string, message: RegExp): Promise<void> =>
    expect(room.fork({ from: 1, id: "x", set: { [path]: 1 } })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE", message: expect.stringMatching(message) });
  await refused("input.x", /cannot set "input.x"/);
  await refused("contexts.x", /cannot set "contexts.x"/);
  await refused("context.ref.id", /"ref" is no plain object/);
  await refused("context.order.at.time", /"order.at" is no plain object/);
  await refused("context.nothing.x", /has no "nothing"; it has ref, order, name/);
  await refused("context.__proto__.x", /__proto__/);
});

test("what is set does not leak into what was given", async () => {
  const room = new Room();
  await room.started(await room.boot([counter]), counter);
  const given = { deep: { n: 1 } };
  await room.fork({ from: 1, set: { "context.given": given, "context.given.deep.n": 2 } });
  expect(given).toEqual({ deep: { n: 1 } });
});

test("a run that nobody has begun is forked as it was accepted", async () => {
  const room = new Room();
  const definition = definitionOf(counter);
  await room.store.commit([pendingCommit(definition, "old", "null", room.clock.now())]);
  await room.store.writeDefinition(definition.hash, definition.name, definition.structureText);
  await expect(room.fork({ from: 1, set: { "context.seen": [] } })).rejects.toMatchObject({
    code: "PAWL_INVALID_VALUE",
    message: expect.stringMatching(/not started/),
  });
  await room.fork({ from: 1 });
  expect((await room.store.readRun("new"))!.status).toBe("pending");
  const process = await room.boot([counter]);
  const forked = await room.found(process, counter);
  await room.settled(forked.send(add(1)));
  expect((await room.settled(forked.snapshot())).context).toEqual({ seen: [1] });
});

test("a run that another definition took over is not forked from a state that this one does not have", async () => {
  const room = new Room();
  const first = createMachine({ id: "m", initial: "a", states: { a: {} } });
  const second: any = durable(createMachine({ id: "m", initial: "x", states: { x: { on: { GO: {} } } } }), {
    migrate: ({ context }: any) => ({ value: "x", context }) as any,
  });
  (await room.boot([first]).then(async (process) => (await room.started(process, first), process))).kill();
  const process = await room.boot([second]);
  await room.settled(((await room.settled(process.pawl.run("old", second))) as MachineHandle<any>).send({ type: "GO" }));
  await expect(room.fork({ from: 1 })).rejects.toMatchObject({ code: "PAWL_CHECKPOINT_GONE" });
  await room.fork({ from: 2 });
  expect((await room.settled((await room.found(process, second)).snapshot())).value).toBe("x");
});

test("damaged rows are not forked", async () => {
  const room = new Room();
  await room.started(await room.boot([counter]), counter);
  room.store.tamper("old", ({ actors }) => actors.set("machine~1", { ...actors.get("machine~1")!, output: "{}" }));
  await expect(room.fork({ from: 1 })).rejects.toMatchObject({ code: "PAWL_ROW_CORRUPT" });
});
