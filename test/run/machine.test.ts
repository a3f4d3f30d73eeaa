/**
 * The handle of a machine's run: what may be sent, what comes of it, and what can be read.
 */
import { expect, test, vi } from "vitest";
import { assign, createMachine, emit, fromCallback, fromPromise, log, setup } from "xstate";
import { z } from "zod";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { MachineRun } from "../../src/run/machine-run.ts";
import { durable } from "../../src/run/xstate/durable.ts";
import { replacing } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

const order = setup({
  types: { context: {} as { items: string[]; by: string }, events: {} as { type: "ADD"; item: string } | { type: "PAY"; by: string } | { type: "NOTHING" } },
}).createMachine({
  id: "order",
  context: { items: [], by: "" },
  initial: "open",
  on: { NOTHING: { guard: () => false, actions: [] } },
  states: {
    open: {
      on: {
        ADD: { actions: [assign({ items: ({ context, event }) => [...context.items, event.item] }), emit({ type: "added" }), log("added")] },
        PAY: { guard: ({ context }) => context.items.length > 0, target: "paid", actions: assign({ by: ({ event }) => event.by }) },
      },
    },
    paid: { type: "final" },
  },
  output: ({ context }) => context,
});

const strict = durable(order, { events: { PAY: z.object({ type: z.literal("PAY"), by: z.string().min(1).trim() }) } });

async function opened(given: any = order): Promise<{ room: MachineRoom; process: any; run: MachineHandle<typeof order> }> {
  const room = new MachineRoom();
  const process = await room.boot([given]);
  return { room, process, run: (await room.settled(process.pawl.start(given, { id: "o" }))) as unknown as MachineHandle<typeof order> };
}

test("a send says which commit consumed it, whether a transition took it, and what came of it", async () => {
  const { room, run } = await opened();
  expect(await room.settled(run.send({ type: "ADD", item: "a" }))).toEqual({ commitNo: 2, handled: true, value: "open", changed: true, duplicate: false });
  expect(await room.settled(run.send({ type: "NOTHING" }))).toMatchObject({ handled: false, changed: false, value: "open" });
  await expect(room.settled(run.send({ type: "NOTHING" }, { strict: true }))).rejects.toMatchObject({ code: "PAWL_EVENT_UNHANDLED" });
  expect(await room.settled(run.send({ type: "PAY", by: "ana" }))).toMatchObject({ handled: true, value: "paid" });
  expect(await room.settled(run.result())).toEqual({ items: ["a"], by: "ana" });
  await expect(room.settled(run.send({ type: "ADD", item: "b" }))).rejects.toMatchObject({ code: "PAWL_RUN_ENDED" });
});

test("what is not declared, begins with xstate. or does not fit its schema is refused and changes nothing", async () => {
  const { room, run } = await opened(strict);
  for (const event of [{ type: "ADDD" }, { type: "xstate.stop" }, { type: "xstate.done.actor.x" }, {}, "ADD", null])
    await expect(room.settled(run.send(event as never))).rejects.toMatchObject({ code: "PAWL_EVENT_REFUSED" });
  await expect(room.settled(run.send({ type: "ADDD" } as never))).rejects.toThrow('machine "order" has no event "ADDD"; its present state takes ADD, PAY');
  await room.settled(run.send({ type: "ADD", item: "a" }));
  await expect(room.settled(run.send({ type: "PAY" } as never))).rejects.toMatchObject({
    code: "PAWL_EVENT_REFUSED",
    message: expect.stringContaining("at by"),
  });
  await expect(room.settled(run.send({ type: "ADD", item: () => 1 } as never))).rejects.toMatchObject({ code: "PAWL_VALUE_NOT_STORABLE" });
  expect((await room.settled(run.snapshot())).value).toBe("open");
  await room.settled(run.send({ type: "PAY", by: " eva " }));
  expect(await room.settled(run.result())).toMatchObject({ by: "eva" });
});

test("the same eventId is applied once, however often it is sent, at the same time, after a crash, and says so", async () => {
  const { room, process, run } = await opened();
  const event = { type: "ADD", item: "a" } as const;
  const twice = await room.settled(Promise.all([run.send(event, { eventId: "e" }), run.send(event, { eventId: "e" })]));
  expect(twice.map(({ duplicate, commitNo }) => [duplicate, commitNo])).toEqual([
    [false, 2],
    [true, 2],
  ]);
  expect(await room.settled(run.outcome("e"))).toBe(2);
  expect(await room.settled(run.outcome("f"))).toBeUndefined();
  process.kill();
  const next = await room.boot([order]);
  const again = await room.settled(next.pawl.run("o", order));
  expect(await room.settled(again.send(event, { eventId: "e" }))).toMatchObject({ duplicate: true, commitNo: 2 });
  expect((await room.settled(again.snapshot())).context.items).toEqual(["a"]);
  await expect(room.settled(again.send(event, { eventId: "" }))).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("events of one sender are applied in the order in which they were sent; a full mailbox refuses before it takes", async () => {
  const { room, run } = await opened();
  const sent = Array.from({ length: 10_001 }, (_, i) =>
    run.send({ type: "ADD", item: `${i}` }).then(
      () => i,
      (error: { code: string }) => error.code,
    ),
  );
  const answers = await room.settled(Promise.all(sent));
  expect(answers.at(-1)).toBe("PAWL_MAILBOX_FULL");
  expect(answers.slice(0, -1).every((answer, i) => answer === i)).toBe(true);
  expect((await room.settled(run.snapshot())).context.items.map(Number)).toEqual(answers.slice(0, -1));
}, 30_000);

test("a send that nobody answers in time is pending; it is applied once when the disk has space again", async () => {
  const room = new MachineRoom();
  let isFull = false;
  const process = await room.boot([order], {
    wrap: (store) => replacing(store, { commit: (group) => (isFull ? Promise.resolve(group.map(() => "full" as const)) : store.commit(group)) }),
  });
  const run = await room.settled(process.pawl.start(order, { id: "o" }));
  isFull = true;
  await expect(room.settled(run.send({ type: "ADD", item: "a" }, { timeout: "2s", eventId: "e" }))).rejects.toMatchObject({ code: "PAWL_SEND_PENDING" });
  isFull = false;
  await room.settled(run.waitFor((snapshot) => snapshot.context.items.length > 0));
  expect(await room.settled(run.send({ type: "ADD", item: "a" }, { eventId: "e" }))).toMatchObject({ duplicate: true });
});

test("a send whose run leaves the process unacknowledged has an unknown outcome; repeating it is safe", async () => {
  const room = new MachineRoom();
  const process = await room.boot([order], { fault: (_group, commits) => (commits[0]!.from === 1 ? "unknownApplied" : undefined) });
  const run = await room.settled(process.pawl.start(order, { id: "o" }));
  expect(await room.settled(run.send({ type: "ADD", item: "a" }, { eventId: "e" }))).toMatchObject({ commitNo: 2 });
  const fenced = new MachineRoom();
  const owner = await fenced.boot([order], {
    wrap: (store) => replacing(store, { commit: async (group) => (group[0]!.from === 0 ? store.commit(group) : group.map(() => "fenced" as const)) }),
  });
  const lost = await fenced.settled(owner.pawl.start(order, { id: "o" }));
  await expect(fenced.settled(lost.send({ type: "ADD", item: "a" }, { eventId: "e" }))).rejects.toMatchObject({ code: "PAWL_OUTCOME_UNKNOWN" });
});

test("waitFor, can, subscribe and on see what was committed; a wait ends with the run or its timeout", async () => {
  const { room, process, run } = await opened();
  const seen: unknown[] = [];
  const heard: string[] = [];
  const end = run.subscribe((snapshot) => seen.push(snapshot.context.items.length));
  const deaf = run.on("added", (event) => heard.push(event.type));
  expect(await room.settled(run.can({ type: "PAY", by: "a" }))).toBe(false);
  const two = run.waitFor((snapshot) => snapshot.context.items.length === 2);
  await room.settled(run.send({ type: "ADD", item: "a" }));
  await room.settled(run.send({ type: "ADD", item: "b" }));
  expect((await room.settled(two)).context.items).toEqual(["a", "b"]);
  await room.clock.settle();
  expect([...new Set(seen)]).toEqual([1, 2]);
  expect(heard).toEqual(["added", "added"]);
  end();
  deaf();
  expect(await room.settled(run.can({ type: "PAY", by: "a" }))).toBe(true);
  await expect(room.settled(run.waitFor((snapshot) => snapshot.matches("paid"), { timeout: "1m" }))).rejects.toMatchObject({ code: "PAWL_WAIT_TIMEOUT" });
  const never = run.waitFor(() => false);
  void never.catch(() => {});
  await room.settled(run.send({ type: "PAY", by: "a" }));
  await expect(room.settled(never)).rejects.toMatchObject({ code: "PAWL_RUN_ENDED" });
  expect(seen.length).toBeLessThanOrEqual(6);
  expect((await room.settled(run.snapshot())).matches("paid")).toBe(true);
  const looking = await new MachineRoom().boot([]);
  void looking;
  void process;
});

test("a run that only waits leaves memory; an event or a timer brings it back as it was", async () => {
  const { room, process, run } = await opened();
  await room.settled(run.send({ type: "ADD", item: "a" }));
  const dropped = vi.spyOn(MachineRun.prototype, "drop");
  await room.clock.advance(5_000);
  expect(dropped).toHaveBeenCalledTimes(1);
  expect((await room.store.readRun("o"))!.wakeAt).toBe(Number.MAX_SAFE_INTEGER);
  expect((await room.settled(run.snapshot())).context.items).toEqual(["a"]);
  expect(await room.settled(run.send({ type: "ADD", item: "b" }))).toMatchObject({ commitNo: 4 });
  expect((await room.settled(run.snapshot())).context.items).toEqual(["a", "b"]);
  void process;
  vi.restoreAllMocks();
});

test("machines without an id, several at once, a known id and cancel", async () => {
  const plain = createMachine({ initial: "a", states: { a: { on: { GO: "b" } }, b: {} } });
  const room = new MachineRoom();
  const process = await room.boot([]);
  const run = await room.settled(process.pawl.start(plain, {}));
  expect(run.id).toMatch(/^machine-\d{8}-/);
  const same = await room.settled(process.pawl.start(plain, { id: run.id }));
  expect(same.id).toBe(run.id);
  await expect(room.settled(process.pawl.start(plain, { id: run.id, input: 3 }))).rejects.toMatchObject({ code: "PAWL_RUN_CONFLICT" });
  await room.settled(run.cancel());
  expect((await room.settled(run.status())).status).toBe("cancelled");
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_CANCELLED" });
  const flow = anyWorkflow(
    "flow",
    (wf) =>
      wf.node(
        "n",
        anyAgent("a", () => new Promise(() => {})),
        1,
      ).result,
  );
  await room.settled(process.pawl.start(flow, { id: "f", input: 1 }));
  await expect(room.settled(process.pawl.send("f", { type: "GO" }, {}))).rejects.toMatchObject({ code: "PAWL_EVENT_REFUSED" });
  await expect(room.settled(process.pawl.run("f", plain))).rejects.toMatchObject({ code: "PAWL_RUN_CONFLICT" });
});

test("the input is checked by its schema", async () => {
  const machine = durable(createMachine({ id: "typed", context: ({ input }: any) => ({ n: input.n }) } as any), { input: z.object({ n: z.number() }) });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  await expect(room.settled(process.pawl.start(machine, { input: { n: "x" } }))).rejects.toMatchObject({ code: "PAWL_INPUT_INVALID" });
});

test("a run that was only looked for leaves memory again; close lets promises end, for a while", async () => {
  const { room, process, run } = await opened();
  await room.clock.advance(5_000);
  const dropped = vi.spyOn(MachineRun.prototype, "drop");
  await room.settled(process.pawl.start(order, { id: run.id }));
  await room.clock.advance(5_000);
  expect((dropped.mock.contexts as MachineRun[]).filter(({ commitNo }) => commitNo > 0)).toHaveLength(1);
  vi.restoreAllMocks();
  for (const [takesMs, value] of [
    [500, "done"],
    [60_000, "working"],
  ] as const) {
    const other = new MachineRoom();
    let host!: { clock: { after(ms: number, callback: () => void): unknown } };
    const work = fromPromise(() => new Promise<void>((resolve) => void host.clock.after(takesMs, resolve)));
    const machine = setup({ actors: { work } }).createMachine({
      id: "w",
      initial: "working",
      states: { working: { invoke: { src: "work", onDone: "done" } }, done: {} },
    });
    const first = (host = await other.boot([machine]));
    await other.settled(first.pawl.start(machine, { id: "w" }));
    await other.settled(first.pawl.close({ graceMs: 5_000 }));
    const next = (host = await other.boot([]));
    const left = (await other.settled(next.pawl.run("w", machine))) as MachineHandle<any>;
    expect((await other.settled(left.snapshot())).value).toBe(value);
  }
});

test("a run whose machine ends while other events wait ends, and tells those who sent them", async () => {
  const machine = setup({ actors: { talks: fromCallback(({ sendBack }) => [1, 2, 3].forEach(() => sendBack({ type: "SAY" }))) } }).createMachine({
    id: "ends",
    initial: "a",
    states: { a: { invoke: { src: "talks" }, on: { SAY: "b", GO: "b" } }, b: { type: "final" } },
  });
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = (await room.settled(process.pawl.start(machine, { id: "e" }))) as MachineHandle<any>;
  expect((await room.settled(run.ended())).status).toBe("completed");
  expect((await room.store.readRun("e"))!.status).toBe("completed");
  const other = await room.settled(process.pawl.start(order, { id: "o" }));
  await room.settled(other.send({ type: "ADD", item: "a" }));
  const both = await room.settled(Promise.all([other.send({ type: "PAY", by: "a" }), other.send({ type: "ADD", item: "b" })]));
  expect(both.map(({ handled }) => handled)).toEqual([true, false]);
  expect(await room.settled(other.result())).toEqual({ items: ["a"], by: "a" });
});
