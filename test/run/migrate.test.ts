/**
 * A definition that changed under unfinished runs: they stay on their own, are taken over by `migrate`, or are parked with
 * what stands against it.
 */
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, sendParent, setup } from "xstate";
import { durable } from "../../src/run/xstate/durable.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import type { Startable } from "../../src/run/startable.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const review = (states: object, version = "1"): any =>
  createMachine({ id: "review", version, context: { n: 1 }, initial: Object.keys(states)[0], states } as any);

const ONE = review({ waiting: { on: { APPROVE: "approved" }, after: { 3_600_000: "late" } }, approved: { type: "final" }, late: { type: "final" } });

async function leftBy(first: any, room: MachineRoom, id = "r"): Promise<void> {
  const process = await room.boot([first]);
  await room.settled(process.pawl.start(first as never, { id } as never));
  process.kill();
}

const handle = async (room: MachineRoom, process: SimProcess, machine: Startable): Promise<MachineHandle<any>> =>
  (await room.settled(process.pawl.run("r", machine))) as MachineHandle<any>;

test("without `migrate` a run waits for its own definition, and says what changed", async () => {
  const room = new MachineRoom();
  await leftBy(ONE, room);
  const two = review({ pending: { on: { APPROVE: "approved" } }, approved: { type: "final" } }, "2");
  const process = await room.boot([two]);
  const run = await handle(room, process, two);
  await expect(room.settled(run.result())).rejects.toMatchObject({
    code: "PAWL_DEFINITION_CHANGED",
    data: { changes: expect.arrayContaining(['state "waiting" is gone']) },
  });
  await expect(room.settled(run.send({ type: "APPROVE" }))).rejects.toMatchObject({ code: "PAWL_DEFINITION_CHANGED" });
  const both = await room.settled(process.pawl.close().then(() => room.boot([two, ONE])));
  const old = await handle(room, both, ONE);
  expect(await room.settled(old.send({ type: "APPROVE" }))).toMatchObject({ handled: true, value: "approved" });
  expect((await room.settled(old.ended())).status).toBe("completed");
});

test("`migrate` is given the state and where it comes from; the run goes on where that says, its timers kept", async () => {
  const room = new MachineRoom();
  await leftBy(ONE, room);
  const seen: unknown[] = [];
  const machine = review(
    {
      waiting: { on: { APPROVE: { target: "approved", actions: assign({ n: ({ context }: any) => context.n + 1 }) } }, after: { 3_600_000: "late" } },
      approved: { type: "final" },
      late: { type: "final" },
      more: {},
    },
    "2",
  );
  const two = durable(machine, {
    migrate: (state, from) => {
      seen.push(state, from);
      return { value: state.value, context: { n: 41 } };
    },
  });
  const process = await room.boot([two]);
  const run = await handle(room, process, two);
  expect((await room.settled(run.snapshot())).context).toEqual({ n: 41 });
  expect(seen.slice(0, 2)).toEqual([
    { value: "waiting", context: { n: 1 } },
    { id: "review", version: "1", hash: expect.stringMatching(/^[0-9a-f]{32}$/) },
  ]);
  await room.clock.settle();
  process.kill();
  const again = await room.boot([two]);
  const calls = seen.length;
  const same = await handle(room, again, two);
  await room.clock.advance(3_600_001);
  expect(await room.settled(same.ended())).toMatchObject({ status: "completed" });
  expect(seen.length).toBe(calls);
});

test("a migration that would leave a state half alive is refused and parks the run; the rows stay as they are", async () => {
  const room = new MachineRoom();
  await leftBy(ONE, room);
  const before = await room.store.readActors("r");
  const work = fromPromise(async () => 1);
  const machine = setup({ actors: { work } }).createMachine({
    id: "review",
    initial: "checking",
    states: { checking: { invoke: { src: "work", id: "w" }, after: { 5_000: "done" } }, done: { type: "final" } },
  });
  for (const [value, words] of [
    [
      "checking",
      [
        'invoke "w" of state "checking" would not be started',
        'timer 5000 of state "checking" would not be set',
        'timer "xstate.after.3600000.review.waiting" is gone',
      ],
    ],
    ["nowhere", ['migrate answered "nowhere", which is no state of it']],
  ] as const) {
    const process = await room.boot([durable(machine, { migrate: () => ({ value, context: {} }) })]);
    const error: any = await room.settled((await handle(room, process, machine)).result()).catch((reason: unknown) => reason);
    expect(error.code).toBe("PAWL_DEFINITION_CHANGED");
    expect(error.data.changes.toSorted()).toEqual([...words].toSorted());
    process.kill();
    expect(await room.store.readActors("r")).toEqual(before);
    expect((await room.store.readRun("r"))!.status).toBe("running");
  }
});

test("children go over with their parent when their logic is still there, and stand against it when it is not", async () => {
  const child = createMachine({ id: "child", initial: "a", states: { a: { on: { PING: { actions: sendParent({ type: "PONG" }) } } } } });
  const parent = (actors: object, more: object = {}): any =>
    setup({ actors } as any).createMachine({
      id: "parent",
      context: { pongs: 0 },
      invoke: { src: "child", id: "c" },
      on: {
        ASK: { actions: ({ self }: any) => self.getSnapshot().children.c.send({ type: "PING" }) },
        PONG: { actions: assign({ pongs: ({ context }: any) => context.pongs + 1 }) },
        ...more,
      },
    } as any);
  const room = new MachineRoom();
  await leftBy(parent({ child }), room);
  const gone = durable(createMachine({ id: "parent", on: { ASK: {} } }), { migrate: (state) => state });
  const process = await room.boot([gone]);
  await expect(room.settled((await handle(room, process, gone)).result())).rejects.toMatchObject({
    data: { changes: expect.arrayContaining(['invoke "c" is gone']) },
  });
  process.kill();
  const kept = durable(parent({ child }, { MORE: {} }), { migrate: (state) => state });
  const run = await handle(room, await room.boot([kept]), kept);
  await room.settled(run.send({ type: "ASK" }));
  await room.settled(run.waitFor((snapshot: any) => snapshot.context.pongs === 1));
});

test("compare says beforehand which runs a new definition would not find as they are", async () => {
  const room = new MachineRoom();
  await leftBy(ONE, room);
  const more = review({
    waiting: { on: { APPROVE: "approved" }, after: { 3_600_000: "late" } },
    approved: { type: "final" },
    late: { type: "final" },
    more: {},
  });
  const less = createMachine({ id: "review", version: "1", initial: "other", states: { other: {}, approved: { type: "final" } } });
  const process = await room.boot([]);
  const all = async (definition: Startable): Promise<unknown[]> => room.settled(Array.fromAsync(process.pawl.compare(definition)));
  expect(await all(ONE)).toEqual([]);
  expect(await all(more)).toEqual([{ runId: "r", changes: ['state "more" is new'], problems: [] }]);
  expect(await all(less)).toMatchObject([{ runId: "r", problems: expect.arrayContaining(['state "waiting" is gone']) }]);
  const agent = anyAgent("a", () => new Promise(() => {}));
  const quick = anyAgent("q", () => 1);
  const flow = (second: string): any => anyWorkflow("flow", (wf) => wf.node(second, agent, wf.node("one", quick, 1).result).result);
  const other = new MachineRoom();
  await leftBy(flow("two"), other);
  const looking = await other.boot([flow("two")]);
  await other.clock.settle();
  const renamed = anyWorkflow("flow", (wf) => wf.node("three", quick, 1).result);
  expect(await other.settled(Array.fromAsync(looking.pawl.compare(renamed)))).toMatchObject([
    { runId: "r", problems: ['node "one", which is completed, is gone'] },
  ]);
});
