/**
 * An event for a run that may not be there yet: one run, and every event once, whoever asks and however many at once.
 */
import { expect, test } from "vitest";
import { assign, setup } from "xstate";
import { z } from "zod";
import { type Pawl, type Run, type SendResult, durable } from "../../src/index.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

const cart = setup({
  types: { context: {} as { owner: string; items: string[] }, input: {} as { owner: string }, events: {} as { type: "ADD"; item: string } | { type: "PAY" } },
}).createMachine({
  id: "cart",
  context: ({ input }) => ({ owner: input.owner, items: [] }),
  on: { ADD: { actions: assign({ items: ({ context, event }) => [...context.items, event.item] }) } },
  initial: "open",
  states: { open: { on: { PAY: "paid" } }, paid: { type: "final" } },
});

const ada = { id: "cart-ada", input: { owner: "ada" } };
const add = (item: string): { type: "ADD"; item: string } => ({ type: "ADD", item });

test.each(["a worker", "a client"])("the first event starts the run, the next ones go to it (%s asks)", async (who) => {
  const room = new MachineRoom();
  const worker = await room.boot([cart]);
  const { pawl } = who === "a worker" ? worker : await room.boot([], { execute: false });
  const first = await room.settled(pawl.startOrSend(cart, { ...ada, subject: "ada" }, add("tea"), { eventId: "1" }));
  expect(first.sent).toMatchObject({ handled: true, duplicate: false });
  const again = await room.settled(pawl.startOrSend(cart, { ...ada, input: { owner: "somebody else" } }, add("tea"), { eventId: "1" }));
  expect(again.sent).toMatchObject({ duplicate: true });
  const { run } = await room.settled(pawl.startOrSend(cart, ada, add("milk")));
  expect((await room.settled(run.snapshot())).context).toEqual({ owner: "ada", items: ["tea", "milk"] });
  expect(await room.settled(pawl.list())).toMatchObject([{ id: "cart-ada", subject: "ada" }]);
});

test("many at once, in several processes and with other inputs, are one run and all events", async () => {
  const room = new MachineRoom();
  const processes = [await room.boot([cart]), await room.boot([], { execute: false }), await room.boot([cart]), await room.boot([], { execute: false })];
  const asked = processes.flatMap(({ pawl }, i) =>
    ["a", "b", "c"].map((letter) =>
      pawl.startOrSend(cart, { id: "one", input: { owner: `${i}${letter}` } }, add(`${i}${letter}`), { eventId: `${i}${letter}` }),
    ),
  );
  const all = await room.settled(Promise.all(asked));
  expect(all.every(({ sent }) => sent.handled && !sent.duplicate)).toBe(true);
  const { items } = (await room.settled(all[0]!.run.snapshot())).context;
  expect(items.toSorted()).toEqual(["0a", "0b", "0c", "1a", "1b", "1c", "2a", "2b", "2c", "3a", "3b", "3c"]);
  expect(await room.store.listRuns({ limit: 9 })).toHaveLength(1);
});

test("one event that several processes send at once, each to start the run, starts one and is taken once", async () => {
  const room = new MachineRoom();
  const processes = [await room.boot([cart]), await room.boot([], { execute: false }), await room.boot([cart]), await room.boot([], { execute: false })];
  const all = await room.settled(Promise.all(processes.map(({ pawl }) => pawl.startOrSend(cart, ada, add("tea"), { eventId: "1" }))));
  expect(all.filter(({ sent }) => !sent.duplicate)).toHaveLength(1);
  expect((await room.settled(all[0]!.run.snapshot())).context.items).toEqual(["tea"]);
  expect(await room.store.listRuns({ limit: 9 })).toHaveLength(1);
});

test("who dies between the two asks again: one run, and the event once", async () => {
  const room = new MachineRoom();
  const dying = await room.boot([cart], { fault: (group) => (group === 1 ? "crashAfter" : undefined) });
  dying.pawl.startOrSend(cart, ada, add("tea"), { eventId: "1" }).catch(() => {});
  await room.clock.until(() => !dying.isAlive);
  const { pawl } = await room.boot([cart]);
  const { run, sent } = await room.settled(pawl.startOrSend(cart, ada, add("tea"), { eventId: "1" }));
  expect(sent.duplicate).toBe(false);
  expect((await room.settled(run.snapshot())).context.items).toEqual(["tea"]);
});

test("a run that has ended takes no more events, and is not started anew; the event that ended it was taken", async () => {
  const room = new MachineRoom();
  const { pawl } = await room.boot([cart]);
  await room.settled(pawl.startOrSend(cart, ada, { type: "PAY" }, { eventId: "1" }));
  expect((await room.settled(pawl.startOrSend(cart, ada, { type: "PAY" }, { eventId: "1" }))).sent).toMatchObject({ duplicate: true });
  await expect(room.settled(pawl.startOrSend(cart, ada, add("tea")))).rejects.toThrow(expect.objectContaining({ code: "PAWL_RUN_ENDED" }));
});

test("nothing is started for what cannot be sent, nor in the place of another run", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow(
    "flow",
    (wf) =>
      wf.node(
        "only",
        anyAgent("agent", () => 1),
        {},
      ).result,
  );
  const strict = durable(cart, { input: z.object({ owner: z.string() }), events: { ADD: z.object({ type: z.literal("ADD"), item: z.string() }) } });
  const { pawl } = await room.boot([strict, flow]);
  const asks: [string, () => Promise<unknown>][] = [
    ["PAWL_EVENT_REFUSED", () => pawl.startOrSend(strict, ada, { type: "DROP" } as unknown as { type: "PAY" })],
    ["PAWL_EVENT_REFUSED", () => pawl.startOrSend(strict, ada, { type: "ADD", item: 1 as unknown as string })],
    ["PAWL_INPUT_INVALID", () => pawl.startOrSend(strict, { ...ada, input: { owner: 1 as unknown as string } }, { type: "PAY" })],
    ["PAWL_INVALID_ID", () => pawl.startOrSend(strict, { ...ada, id: "a b" }, { type: "PAY" })],
    ["PAWL_EVENT_REFUSED", () => pawl.startOrSend(flow, { id: "cart-ada", input: {} }, { type: "PAY" })],
  ];
  for (const [code, ask] of asks) await expect(room.settled(ask())).rejects.toThrow(expect.objectContaining({ code }));
  expect(await room.store.listRuns({ limit: 9 })).toEqual([]);
  await room.settled(pawl.start(flow, { id: "cart-ada", input: {} }));
  await expect(room.settled(pawl.startOrSend(strict, ada, { type: "PAY" }))).rejects.toThrow(expect.objectContaining({ code: "PAWL_RUN_CONFLICT" }));
});

test("a workflow's run is started and sent what one of its nodes waits for, also before it gets there", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.event("paid", z.object({ amount: z.number() })).result);
  const { pawl } = await room.boot([flow]);
  const ask = (): Promise<{ run: Run<unknown>; sent: SendResult }> =>
    room.settled(pawl.startOrSend(flow, { id: "cart-ada", input: {} }, { type: "paid", amount: 3 }, { eventId: "1" }));
  const { run, sent } = await ask();
  expect(sent).toMatchObject({ handled: true, duplicate: false });
  expect(await room.settled(run.result())).toEqual({ amount: 3 });
  expect((await ask()).sent.duplicate).toBe(true);
});

test("types: an event is one that is taken, and the run is named", () => {
  const flow = anyWorkflow("flow", () => 1);
  const asks = (pawl: Pawl): Promise<unknown>[] => [
    pawl.startOrSend(cart, ada, add("tea")),
    pawl.startOrSend(durable(cart), ada, { type: "PAY" }),
    pawl.startOrSend(flow, { id: "a", input: {} }, { type: "PAY", amount: 1 }),
    // @ts-expect-error an event has a type
    pawl.startOrSend(flow, { id: "a", input: {} }, { amount: 1 }),
    // @ts-expect-error there is no such event
    pawl.startOrSend(cart, ada, { type: "DROP" }),
    // @ts-expect-error the event has another field
    pawl.startOrSend(cart, ada, { type: "ADD", item: 1 }),
    // @ts-expect-error which run is meant must be said
    pawl.startOrSend(cart, { input: { owner: "ada" } }, { type: "PAY" }),
    // @ts-expect-error the machine takes an owner
    pawl.startOrSend(cart, { id: "a" }, { type: "PAY" }),
  ];
  expect(asks).toBeTypeOf("function");
});
