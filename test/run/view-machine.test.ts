/**
 * What people see of machines' runs: states, actors, timers, what they wait for; from rows, also in a process without the code.
 */
import { expect, test } from "vitest";
import { assign, fromPromise, sendTo, setup } from "xstate";
import { z } from "zod";
import { type MachineHandle, type Pawl, type Run, agent, open, workflow } from "pawl";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const kid = setup({}).createMachine({ id: "kid", initial: "asleep", states: { asleep: { after: { 60_000: "awake" } }, awake: {} } });

/** Waits for events and timers, in parallel regions, with a child that has a timer of its own. */
const order = setup({ types: { context: {} as { child: unknown; when: Date } }, actors: { kid } }).createMachine({
  id: "order",
  context: { child: undefined, when: new Date(0) },
  entry: assign({ child: ({ spawn }) => spawn("kid", { id: "kid" }) }),
  on: { CANCEL: ".payment.over" },
  type: "parallel",
  states: {
    payment: {
      onDone: { actions: [] },
      initial: "due",
      states: { due: { on: { PAY: "over", "card.*": {} }, after: { 3_600_000: "over" } }, over: { type: "final" } },
    },
    parcel: { initial: "packed", states: { packed: { on: { SEND: "sent" } }, sent: { on: { BACK: "packed" } } } },
  },
});

const door = setup({}).createMachine({ id: "door", initial: "closed", states: { closed: { on: { OPEN: "open" } }, open: { type: "final" } } });

async function settled(run: Run<unknown>): Promise<Awaited<ReturnType<Run<unknown>["status"]>>> {
  return expect
    .poll(() => run.status(), { timeout: 10_000 })
    .toMatchObject({ waitingFor: { events: expect.any(Array) as unknown } })
    .then(() => run.status());
}

test("a machine's run that only waits for an event says for which, and has no instant", async () => {
  await using pawl = await open(":memory:");
  const run = await pawl.start(door, { id: "d-1" });
  expect(await settled(run)).toMatchObject({ kind: "machine", workflow: "door", status: "running", state: "closed", wakeAt: null, reason: null });
  expect((await run.status()).waitingFor).toEqual({ events: ["OPEN"], timers: [] });
  expect(await pawl.list()).toMatchObject([{ id: "d-1", kind: "machine", wakeAt: null }]);
  await run.send({ type: "OPEN" });
  expect(await run.ended()).toMatchObject({ status: "completed", state: "open", waitingFor: undefined });
});

test("with timers it says when they are due, those of all actors, and takes the events of all its active states", async () => {
  await using pawl = await open(":memory:");
  const before = Date.now();
  const run = await pawl.start(order, { id: "o-1" });
  const view = await settled(run);
  expect(view.state).toEqual({ payment: "due", parcel: "packed" });
  expect([...view.waitingFor!.events].sort()).toEqual(["CANCEL", "PAY", "SEND", "card.*"]);
  expect(view.waitingFor!.timers.map(({ actor, event, to }) => [actor, event, to])).toEqual([
    [expect.stringMatching(/^kid~\d+$/), "xstate.after.60000.kid.asleep", expect.stringMatching(/^kid~\d+$/)],
    ["machine~1", "xstate.after.3600000.order.payment.due", "machine~1"],
  ]);
  const [first] = view.waitingFor!.timers;
  expect(first!.dueAt).toBeGreaterThanOrEqual(before + 60_000);
  expect(first!.dueAt).toBeLessThanOrEqual(Date.now() + 60_000);
  expect(view.wakeAt).toBe(first!.dueAt);
  await run.send({ type: "SEND" });
  expect((await run.status()).waitingFor!.events).toContain("BACK");
  expect((await run.status()).waitingFor!.events).not.toContain("SEND");
});

test("its actors are seen with states, parents and timers, in a process that has no code of them", async () => {
  const { path } = temporaryFolder();
  const file = `${path}/pawl.db`;
  await using pawl = await open(file);
  await settled(await pawl.start(order, { id: "o-1" }));
  await using eyes = await open(file, { execute: false });
  const run = await eyes.run("o-1");
  expect(await run.status()).toMatchObject({ state: { payment: "due", parcel: "packed" }, waitingFor: { events: expect.arrayContaining(["PAY"]) as unknown } });
  const [root, child, ...others] = await run.actors();
  expect(others).toEqual([]);
  expect(root).toMatchObject({ key: "machine~1", id: "o-1", src: "", parent: undefined, status: "running", state: { payment: "due", parcel: "packed" } });
  expect(child).toMatchObject({ id: "kid", src: "kid", parent: "machine~1", status: "running", state: "asleep" });
  expect(root!.context).toEqual({ child: { actor: child!.key }, when: new Date(0) });
  expect(child!.timers).toMatchObject([{ actor: child!.key, event: "xstate.after.60000.kid.asleep", policy: "deadline" }]);
  expect(root!.timers).toHaveLength(1);
});

test("its definition is the stored structure", async () => {
  await using pawl = await open(":memory:");
  const definition = await (await pawl.start(order, { id: "o-1" })).definition();
  expect(definition).toMatchObject({ kind: "machine", name: "order", hash: expect.any(String) as unknown });
  expect(definition.kind === "machine" && definition.structure.machines.map(({ id }) => id)).toEqual(["order", "kid"]);
});

test("refs to actors in an output are readable, not corrupt", async () => {
  const proud = setup({ actors: { kid } }).createMachine({
    id: "proud",
    initial: "on",
    context: ({ spawn, self }) => ({ child: spawn("kid"), self }),
    states: { on: { on: { END: "off" } }, off: { type: "final" } },
    output: ({ context, self }) => ({ ...context, snapshot: self.getSnapshot() as unknown }),
  });
  await using pawl = await open(":memory:");
  const run: MachineHandle<any> = await pawl.start(proud, { id: "p-1" });
  await run.send({ type: "END" });
  const { status, output } = await run.ended();
  expect(status).toBe("completed");
  expect(output).toMatchObject({ child: { actor: expect.stringMatching(/~\d+$/) as unknown }, self: { actor: "machine~1" }, snapshot: { actor: "machine~1" } });
});

test("actors below actors have their maker as parent, and come after it", async () => {
  const slow = fromPromise(() => new Promise<never>(() => {}));
  const middle = setup({ actors: { slow } }).createMachine({ id: "middle", invoke: { id: "slow step", src: "slow" } });
  const top = setup({ actors: { middle } }).createMachine({ id: "top", invoke: { id: "mid", src: "middle" }, entry: sendTo("mid", { type: "HELLO" }) });
  await using pawl = await open(":memory:");
  const run = await pawl.start(top, { id: "t-1" });
  const actors = await run.actors();
  expect(actors.map(({ id, src, status }) => [id, src, status])).toEqual([
    ["t-1", "", "running"],
    ["mid", "middle", "running"],
    ["slow step", "slow", "running"],
  ]);
  expect(actors.map(({ parent }) => parent)).toEqual([undefined, "machine~1", actors[1]!.key]);
  expect((await run.status()).waitingFor).toBeUndefined();
  await pawl.close({ graceMs: 0 });
});

test("nodes and actors are asked of the right kind of run, else it is a typed error", async () => {
  const echo = agent({ name: "echo", input: z.any(), output: z.any(), run: (input) => input as unknown });
  const pipe = workflow({ name: "pipe", input: z.any() }, (wf) => wf.node("one", echo, {}).result);
  await using pawl = await open(":memory:");
  const machine = await pawl.start(door, { id: "d-1" });
  const dag = await pawl.start(pipe, { id: "w-1", input: {} });
  await expect(machine.nodes()).rejects.toMatchObject({ code: "PAWL_NOT_A_WORKFLOW", next: "use `run.actors()`" });
  await expect(dag.actors()).rejects.toMatchObject({ code: "PAWL_NOT_A_MACHINE" });
  const view = await dag.ended();
  expect(view).toMatchObject({ kind: "workflow", state: undefined, waitingFor: undefined });
  expect(await dag.definition()).toMatchObject({ kind: "workflow", name: "pipe", structure: { nodes: [{ id: "one", agent: "echo" }] } });
});

test("a machine's run that was set aside shows why, and what kind of run it was", async () => {
  const { path } = temporaryFolder();
  const file = `${path}/pawl.db`;
  const pawl: Pawl = await open(file);
  await settled(await pawl.start(door, { id: "d-1" }));
  await pawl.close();
  const store = openSqliteStore(file, { mustExist: false });
  const epoch = await store.openEpoch(Date.now(), "{}");
  await store.claimRun(epoch, "d-1", Date.now());
  await store.quarantine(epoch, "d-1", "its rows are damaged", Date.now());
  await store.close();
  await using eyes = await open(file, { execute: false });
  const run = await eyes.run("d-1");
  expect(await run.status()).toMatchObject({ status: "quarantined", kind: "machine", reason: "its rows are damaged", state: undefined, waitingFor: undefined });
  await expect(run.result()).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED", message: expect.stringContaining("its rows are damaged") as string });
});
