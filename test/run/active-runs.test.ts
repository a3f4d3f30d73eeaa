/**
 * How many runs are worked on at the same time: the others are pending, and none waits for a place that is kept by who
 * waits for it.
 */
import fc from "fast-check";
import { setup } from "xstate";
import { expect, test } from "vitest";
import { z } from "zod";
import type { Startable } from "../../src/run/startable.ts";
import { type Workflow, open } from "../../src/index.ts";
import { held } from "../sim/held-agent.ts";
import { step } from "../../src/run/xstate/step.ts";
import { cases } from "../sim/cases.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { Store } from "../../src/store/store.ts";
import { type SimProcess, replacing } from "../sim/process.ts";

/** A workflow of one node, whose attempts end when the test says so. */
function heldFlow(name = "held", options: { timeout?: number } = {}) {
  const agent = held({}, name);
  return { ...agent, flow: anyWorkflow(name, (wf) => wf.node("n", agent.agent, wf.input).result, options) };
}

async function begin(room: MachineRoom, { pawl }: SimProcess, flow: Startable, id: string, more: { priority?: number; tenant?: string } = {}) {
  return room.settled(pawl.start(flow, { id, input: id, ...more }));
}

/** The ids of the runs of each status. */
async function statuses({ store }: MachineRoom): Promise<Record<string, string[]>> {
  const runs = await store.listRuns({ limit: 1_000 });
  const by: Record<string, string[]> = {};
  for (const { id, status } of runs.toSorted((a, b) => (a.id < b.id ? -1 : 1))) (by[status] ??= []).push(id);
  return by;
}

test("runs beyond the number are pending and begin as others end, which is seen everywhere; their time does not count", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow("held", { timeout: 60_000 });
  const process = await room.boot([flow], { maxActiveRuns: 2 });
  for (const id of ["a", "b", "c", "d"]) await begin(room, process, flow, id);
  expect(await statuses(room)).toEqual({ running: ["a", "b"], pending: ["c", "d"] });
  expect((await process.pawl.metrics()).worker).toMatchObject({ runsActive: 2, runsActiveMax: 2, runsPending: 2 });
  expect(await process.pawl.metricsText()).toMatch(/^pawl_runs_active 2$[^]*^pawl_runs_active_max 2$[^]*^pawl_runs_pending 2$/m);
  expect((await room.settled(process.pawl.health())).checks["queue"]!.details).toMatchObject({ runsPending: 2, runsActiveMax: 2 });
  const client = await room.boot([], { execute: false });
  expect((await client.pawl.list({ status: "pending" })).map(({ id }) => id).toSorted()).toEqual(["c", "d"]);
  const why = await (await client.pawl.run("d")).why();
  expect(why.causes).toMatchObject([{ kind: "queued", message: "it waits for a place among the 2 active runs of its worker (0)" }]);
  expect(why.next).toContain("start another worker: `pawl work FILE`; or raise maxActiveRuns");
  await room.clock.advance(50_000);
  endOne();
  await room.clock.until(() => calls().length === 3);
  expect(await statuses(room)).toEqual({ completed: ["a"], running: ["b", "c"], pending: ["d"] });
  const run = await client.pawl.run("c");
  expect((await Array.fromAsync(run.history())).flatMap(({ events }) => events.map(({ type }) => type))).toEqual(["run.started", "node.started"]);
  await room.clock.advance(30_000);
  expect((await statuses(room))["timedOut"], "b is: c has worked for 30 s only").toEqual(["b"]);
  endOne();
  endOne();
  endOne();
  for (const id of ["c", "d"]) await room.settled((await process.pawl.run(id)).result());
});

test("in line the greater priority comes first, each minute counts as one more, and what was begun goes before what is new", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow();
  const twice = anyWorkflow("twice", (wf) => {
    const fails = anyAgent("fails", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 2, initialInterval: "90s", jitter: "none" } });
    const first = wf.node("first", fails, {}, { onFail: "skip" });
    return wf.node(
      "n",
      anyAgent("last", () => order.push("twice")),
      {},
      { after: [first] },
    ).result;
  });
  const order: string[] = [];
  const process = await room.boot([flow, twice], { maxActiveRuns: 1 });
  await begin(room, process, twice, "twice");
  await room.clock.advance(1_000);
  await begin(room, process, flow, "holds");
  await begin(room, process, flow, "old");
  await room.clock.advance(120_000);
  await begin(room, process, flow, "new");
  await begin(room, process, flow, "urgent", { priority: 3 });
  await begin(room, process, flow, "soon", { priority: 1 });
  for (let n = 1; n <= 5; n++) {
    await room.clock.until(() => calls().length === n);
    order.push(String(calls()[n - 1]));
    endOne();
  }
  await room.settled((await process.pawl.run("twice")).ended());
  expect(order).toEqual(["holds", "urgent", "twice", "old", "soon", "new"]);
});

/** Four workflows, each of which waits for a run of the next one, the last of which works. */
function nested(depth: number, work: () => unknown, name = "deep"): Workflow[] {
  const inner = anyWorkflow(`${name}${depth}`, (wf) => wf.node("work", anyAgent(`${name}-work`, work), {}).result);
  if (depth === 0) return [inner];
  const flows = [inner];
  for (let level = depth - 1; level >= 0; level--) {
    const beneath = flows[0]!;
    flows.unshift(
      anyWorkflow(`${name}${level}`, (wf) => {
        const before = wf.node("before", anyAgent(`${name}-before${level}`, work), {});
        const child = wf.run("child", beneath, {}, { after: [before] });
        return wf.node("after", anyAgent(`${name}-after${level}`, work), { child: child.result }).result;
      }),
    );
  }
  return flows;
}

test("who waits for a run of its own keeps no place from it: with one place, three deep, whatever dies", async () => {
  for (const workers of [1, 2]) {
    let commits = 1;
    for (let dies = 0; dies <= commits; dies += workers === 1 ? 2 : 5) {
      const room = new MachineRoom();
      const flows = nested(3, () => 1);
      const boot = () => room.boot(flows, { maxActiveRuns: 1, maxConcurrentAttempts: 1 });
      const first = await room.boot(flows, { maxActiveRuns: 1, maxConcurrentAttempts: 1, fault: (group) => (group === dies ? "crashAfter" : undefined) });
      const second = workers === 2 ? await boot() : undefined;
      const runs = ["r1", "r2"];
      await Promise.all(runs.map((id) => room.settled(Promise.race([first.pawl.start(flows[0]!, { id, input: {} }), room.clock.advance(1_000)])))).catch(
        () => {},
      );
      await room.clock.advance(1_000);
      const last = first.isAlive ? first : (second ?? (await boot()));
      for (const id of runs) await room.settled(last.pawl.start(flows[0]!, { id, input: {} }).then((run) => run.result()));
      commits = Math.max(commits, first.groups);
    }
    expect(commits).toBeGreaterThan(20);
  }
});

test("a child goes before runs that have not begun: what was begun is finished first", async () => {
  const room = new MachineRoom();
  const told: string[] = [];
  const inner = anyWorkflow(
    "inner",
    (wf) =>
      wf.node(
        "n",
        anyAgent("inner", () => 1),
        {},
      ).result,
  );
  const flow = anyWorkflow("outer", (wf) => {
    const named = wf.node(
      "name",
      anyAgent("name", async (id: string) => (told.push(`${id} begins`), await new Promise<void>((resolve) => room.clock.after(1_000, resolve)), "x")),
      wf.input,
    );
    return wf.run("child", inner, { named: named.result }).result;
  });
  const process = await room.boot([flow], { maxActiveRuns: 1 });
  process.pawl.on("run.completed", (_, { runId }) => (runId.includes("/") ? 0 : told.push(`${runId} ends`)));
  for (let n = 0; n < 4; n++) {
    await begin(room, process, flow, `r${n}`);
    await room.clock.advance(10);
  }
  for (let n = 0; n < 4; n++) await room.settled((await process.pawl.run(`r${n}`)).result());
  expect(told).toEqual([0, 1, 2, 3].flatMap((n) => [`r${n} begins`, `r${n} ends`]));
});

test("who waits for an event, a timer or a limit keeps no place; a machine begins at once", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow();
  const asks = anyWorkflow("asks", (wf) => wf.event("ok", z.any()).result);
  const fails = anyWorkflow(
    "fails",
    (wf) =>
      wf.node(
        "n",
        anyAgent("fails", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 9, initialInterval: "1d" } }),
        {},
      ).result,
  );
  const limited = held({ uses: { db: 1 } }, "limited");
  const uses = anyWorkflow("uses", (wf) => wf.node("n", limited.agent, wf.input).result);
  const machine = setup({ types: { events: {} as { type: "GO" } }, actors: { work: step(anyAgent("work", () => 1)) } }).createMachine({
    id: "machine",
    initial: "waiting",
    states: { waiting: { on: { GO: "working" } }, working: { invoke: { src: "work", input: {}, onDone: "done" } }, done: { type: "final" } },
  });
  const process = await room.boot([flow, asks, fails, uses, machine], { maxActiveRuns: 1, limits: { db: { max: 1 } } });
  for (const [id, of] of [
    ["asks", asks],
    ["fails", fails],
    ["uses", uses],
    ["waits", uses],
    ["waits2", uses],
  ] as const) {
    await begin(room, process, of, id);
    await room.clock.advance(1_000);
  }
  // one holds the only place, and what the two others wait for
  expect(await statuses(room)).toEqual({ pending: ["waits", "waits2"], running: ["asks", "fails", "uses"] });
  limited.endOne();
  await room.clock.until(() => limited.calls().length === 2);
  await begin(room, process, machine, "machine");
  const sent = await room.settled(process.pawl.send("machine", { type: "GO" }));
  expect(sent.value, "it waits for a place with its attempt").toBe("working");
  await begin(room, process, flow, "held");
  limited.endOne();
  await room.clock.until(() => limited.calls().length === 3);
  limited.endOne();
  await room.settled((await process.pawl.run("machine")).result());
  await room.clock.until(() => calls().length === 1);
  endOne();
  await room.settled((await process.pawl.run("held")).result());
});

test("runs that wait for a limit let others pass: they go on when it is their turn there", async () => {
  const room = new MachineRoom();
  const limited = held({ uses: { db: 1 } }, "limited");
  const uses = anyWorkflow("uses", (wf) => wf.node("n", limited.agent, wf.input).result);
  const { flow, calls, endOne } = heldFlow();
  const process = await room.boot([flow, uses], { maxActiveRuns: 2, limits: { db: { max: 1 } } });
  for (const id of ["u1", "u2", "u3"]) await begin(room, process, uses, id);
  await begin(room, process, flow, "h1");
  await room.clock.until(() => calls().length === 1);
  expect(await statuses(room)).toEqual({ running: ["h1", "u1", "u2", "u3"] });
  await begin(room, process, flow, "h2");
  limited.endOne();
  await room.clock.until(() => limited.calls().length === 2);
  // the place that u1 gave up was there for h2 or for u2: never are there more than one beyond
  expect((await process.pawl.metrics()).worker.runsActive).toBeLessThanOrEqual(3);
  limited.endOne();
  await room.clock.until(() => limited.calls().length === 3);
  limited.endOne();
  endOne();
  await room.clock.until(() => calls().length === 2);
  endOne();
  for (const id of ["u1", "u2", "u3", "h1", "h2"]) await room.settled((await process.pawl.run(id)).result());
});

test("a pending run can be cancelled, held up, told and overridden; what it was told outlives its worker", async () => {
  const room = new MachineRoom();
  const { flow, endOne, calls } = heldFlow();
  const asks = anyWorkflow("asks", (wf) => {
    const ok = wf.event("ok", z.any());
    return wf.node(
      "n",
      anyAgent("says", (input: { ok: unknown }) => input.ok),
      { ok: ok.result },
    ).result;
  });
  const first = await room.boot([flow, asks], { maxActiveRuns: 1 });
  await begin(room, first, flow, "holds");
  const cancelled = await begin(room, first, flow, "cancelled");
  const paused = await begin(room, first, flow, "paused");
  const overridden = await begin(room, first, flow, "overridden");
  const told = await begin(room, first, asks, "told");
  await room.settled(cancelled.cancel());
  expect(await cancelled.status()).toMatchObject({ status: "cancelled" });
  await room.settled(paused.pause());
  expect(await paused.status()).toMatchObject({ status: "paused" });
  await room.settled(paused.resume());
  await room.settled(overridden.override("n", { result: "by hand" }));
  expect(await room.settled(overridden.result())).toBe("by hand");
  await room.settled(told.resume());
  expect(await room.settled(first.pawl.send("told", { type: "ok", by: "ada" }))).toMatchObject({ handled: true, value: "pending" });
  expect(await statuses(room)).toEqual({ cancelled: ["cancelled"], completed: ["overridden"], running: ["holds", "paused"], pending: ["told"] });
  expect(calls()).toEqual(["holds"]);
  first.kill();
  const second = await room.boot([flow, asks], { maxActiveRuns: 1 });
  await room.clock.until(() => calls().length === 2);
  expect(await statuses(room)).toMatchObject({ running: ["holds", "paused"], pending: ["told"] });
  endOne();
  endOne();
  await room.clock.until(() => calls().length === 3);
  endOne();
  expect(await room.settled((await second.pawl.run("told")).result())).toEqual({ by: "ada" });
  for (const id of ["holds", "paused"]) await room.settled((await second.pawl.run(id)).result());
});

test("each worker has its own places: what is pending in one goes to another that has free ones, and is begun once", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow();
  const first = await room.boot([flow], { maxActiveRuns: 2 });
  for (let n = 0; n < 9; n++) await begin(room, first, flow, `r${n}`);
  expect((await statuses(room))["running"]).toHaveLength(2);
  const second = await room.boot([flow], { maxActiveRuns: 3 });
  await room.clock.until(() => calls().length === 5);
  await room.clock.advance(5_000);
  expect(calls(), "two here, three there").toHaveLength(5);
  const active = async ({ pawl }: SimProcess) => (await pawl.metrics()).worker.runsActive;
  expect([await active(first), await active(second)]).toEqual([2, 3]);
  for (let n = 0; n < 9; n++) {
    await room.clock.until(() => calls().length > n);
    endOne();
  }
  for (let n = 0; n < 9; n++) await room.settled((await second.pawl.run(`r${n}`)).result());
  expect(calls().map(String).toSorted()).toEqual(Array.from({ length: 9 }, (_, n) => `r${n}`));
});

test("of runs that are nobody's two workers take the most urgent first, and then the oldest, also of what a dead one had", async () => {
  for (const dies of [false, true]) {
    const room = new MachineRoom();
    const { flow, calls, endOne } = heldFlow();
    const boot = () => room.boot([flow], { maxActiveRuns: 1 });
    const [first] = [await boot(), await boot()];
    const client = await room.boot([], { execute: false });
    const come = async (id: string, priority?: number): Promise<void> => {
      await begin(room, client, flow, id, priority === undefined ? {} : { priority });
      await room.clock.advance(1_000);
    };
    for (const id of ["z", "y", "x", "w", "v", "u"]) await come(id);
    await come("less", -1);
    await come("more", 1);
    await come("urgent", 5);
    expect(calls(), "each works on one run, and has another in line").toEqual(["z", "x"]);
    if (dies) first.kill();
    await room.clock.advance(1_000);
    const begun = dies ? ["z", "x", "w", "urgent", "more", "z", "y", "v", "u", "less"] : ["z", "x", "y", "w", "urgent", "more", "v", "u", "less"];
    if (dies) endOne();
    for (let n = dies ? 2 : 1; n <= begun.length; n++) {
      await room.clock.until(() => calls().length >= n);
      endOne();
    }
    for (const id of begun) await room.settled((await client.pawl.run(id)).result());
    expect(calls()).toEqual(begun);
  }
});

test("runs that a worker began and left are taken on by the next one in the order in which they would have gone on there", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow("inner");
  const outer = anyWorkflow("outer", (wf) => wf.run("child", flow, wf.input).result);
  const [first] = [await room.boot([outer, flow], { maxActiveRuns: 1 })];
  await begin(room, first, outer, "outer");
  await room.clock.until(() => calls().length === 1);
  await room.clock.advance(1_000);
  await begin(room, first, flow, "z");
  await room.clock.advance(1_000);
  await begin(room, first, flow, "a");
  await begin(room, first, flow, "urgent", { priority: 5 });
  first.kill();
  const second = await room.boot([outer, flow], { maxActiveRuns: 1 });
  const begun = ["urgent", "outer", "z", "a"];
  for (const [n] of begun.entries()) {
    if (n === 0) endOne();
    await room.clock.until(() => calls().length === n + 2);
    endOne();
  }
  for (const id of begun) await room.settled((await second.pawl.run(id)).result());
  expect(calls()).toEqual(["outer", ...begun]);
});

test("the number can be changed while runs are active: more begin at once, those beyond a lower one go on", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow();
  const { pawl } = await room.boot([flow], { maxActiveRuns: 1 });
  for (let n = 0; n < 6; n++) await room.settled(pawl.start(flow, { id: `r${n}`, input: n }));
  expect(calls()).toHaveLength(1);
  pawl.change({ maxActiveRuns: 3 });
  await room.clock.until(() => calls().length === 3);
  expect((await (await pawl.run("r5")).why()).causes[0]!.message).toContain("among the 3 active runs");
  pawl.change({ maxActiveRuns: 1 });
  endOne();
  endOne();
  await room.clock.settle();
  expect(calls()).toHaveLength(3);
  for (const wrong of [0, 1.5, Number.NaN])
    expect(() => pawl.change({ maxActiveRuns: wrong, maxConcurrentAttempts: 7 })).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
  expect((await pawl.metrics()).worker).toMatchObject({ runsActiveMax: 1, permitsMax: 100 });
  pawl.change({ maxConcurrentAttempts: 500 });
  expect((await pawl.metrics()).worker).toMatchObject({ runsActiveMax: 1, permitsMax: 500 });
  for (let n = 2; n < 6; n++) {
    endOne();
    await room.clock.until(() => calls().length > Math.min(n, 4) + 1 || n > 4);
  }
  for (let n = 0; n < 6; n++) await room.settled((await pawl.run(`r${n}`)).result());
  await expect(open(":memory:", { maxActiveRuns: 0 })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("a pending run of another one ends with it", async () => {
  const room = new MachineRoom();
  const { flow, endOne, calls } = heldFlow();
  const inner = anyWorkflow(
    "inner",
    (wf) =>
      wf.node(
        "n",
        anyAgent("inner", () => 1),
        {},
      ).result,
  );
  const before = held({}, "before");
  const outer = anyWorkflow("outer", (wf) => wf.run("child", inner, { before: wf.node("before", before.agent, {}).result }).result);
  const process = await room.boot([flow, outer], { maxActiveRuns: 2 });
  const parent = await begin(room, process, outer, "parent");
  await begin(room, process, flow, "holds");
  await room.clock.until(() => calls().length + before.calls().length === 2);
  process.pawl.change({ maxActiveRuns: 1 });
  before.endOne();
  await room.clock.advance(1_000);
  expect(await statuses(room)).toEqual({ running: ["holds", "parent"], pending: ["parent/child"] });
  const [cause] = (await parent.why()).causes;
  expect(cause!.causes[0]!.message).toContain("it waits for a place among the 1 active runs");
  await room.settled(parent.cancel());
  await room.clock.advance(1_000);
  expect(await statuses(room)).toEqual({ running: ["holds"], cancelled: ["parent", "parent/child"] });
  endOne();
  await room.settled((await process.pawl.run("holds")).result());
});

test("a run that leaves its worker at once leaves its place to the next", async () => {
  const room = new MachineRoom();
  const { flow, calls, endOne } = heldFlow();
  const isLost = { is: false };
  const wrap = (store: Store): Store =>
    replacing(store, {
      commit: (group, amendments) =>
        isLost.is ? Promise.resolve(group.map(({ runId }) => (runId === "a" ? "fenced" : "committed"))) : store.commit(group, amendments),
    });
  const process = await room.boot([flow], { maxActiveRuns: 1, wrap });
  for (const id of ["a", "b"]) await begin(room, process, flow, id);
  isLost.is = true;
  endOne();
  await room.clock.settle();
  isLost.is = false;
  await room.clock.until(() => calls().length === 2, 1_000);
  expect(calls()).toEqual(["a", "b"]);
});

// ---- at random

interface Plot {
  readonly places: number;
  readonly permits: number;
  readonly workers: number;
  readonly starts: readonly { readonly at: number; readonly what: number; readonly priority: number; readonly by: number }[];
  readonly kills: readonly { readonly at: number; readonly who: number }[];
}

const plots: fc.Arbitrary<Plot> = fc.record({
  places: fc.integer({ min: 1, max: 3 }),
  permits: fc.integer({ min: 1, max: 4 }),
  workers: fc.integer({ min: 1, max: 2 }),
  starts: fc.array(fc.record({ at: fc.nat(3_000), what: fc.nat(5), priority: fc.integer({ min: -2, max: 2 }), by: fc.nat(1) }), {
    minLength: 1,
    maxLength: 12,
  }),
  kills: fc.array(fc.record({ at: fc.nat(4_000), who: fc.nat(1) }), { maxLength: 3 }),
});

/** Each process has its own agents, which know the runs whose attempts run there. */
function flowsOf(room: MachineRoom, places: number, exceeded: (runs: number) => void): Workflow[] {
  const live = new Map<string, number>();
  const works = (name: string, failures = 0) =>
    anyAgent(
      name,
      async (_, { runId, attempt }) => {
        live.set(runId, (live.get(runId) ?? 0) + 1);
        if (live.size > places) exceeded(live.size);
        await new Promise<void>((resolve) => room.clock.after(10 + ((attempt * 37 + runId.length * 91) % 200), resolve));
        if (live.get(runId) === 1) live.delete(runId);
        else live.set(runId, live.get(runId)! - 1);
        if (attempt <= failures) throw new Error("not yet");
        return 1;
      },
      { retry: { maxAttempts: 9, initialInterval: "1s", jitter: "none" } },
    );
  const one = anyWorkflow("one", (wf) => wf.node("n", works("one"), {}).result);
  const wide = anyWorkflow("wide", (wf) => void wf.map("n", [1, 2, 3], works("wide"), () => ({})));
  const again = anyWorkflow("again", (wf) => wf.node("n", works("again", 2), {}).result);
  const chain = anyWorkflow("chain", (wf) => wf.node("b", works("b"), { a: wf.node("a", works("a"), {}).result }).result);
  const outer = anyWorkflow("outer", (wf) => {
    const [a, b] = [wf.run("a", chain, {}), wf.run("b", one, {})];
    wf.node("c", works("c"), { a: a.result, b: b.result });
  });
  const outermost = anyWorkflow("outermost", (wf) => wf.run("in", outer, { x: wf.node("first", works("first"), {}).result }).result);
  return [one, wide, again, chain, outer, outermost];
}

async function play({ places, permits, workers, starts, kills }: Plot): Promise<void> {
  const room = new MachineRoom();
  let most = 0;
  const boot = async () => {
    const flows = flowsOf(room, places, (runs) => (most = Math.max(most, runs)));
    return { flows, process: await room.boot(flows, { maxActiveRuns: places, maxConcurrentAttempts: permits }) };
  };
  const processes: { readonly flows: readonly Workflow[]; readonly process: SimProcess }[] = [];
  for (let n = 0; n < workers; n++) processes.push(await boot());
  const deeds = [
    ...starts.map(({ at, what, priority, by }, n) => ({
      at,
      do: async () => {
        const { flows, process } = processes[by % workers]!;
        await room.settled(process.pawl.start(flows[what]!, { id: `r${n}`, input: {}, priority }));
      },
    })),
    ...kills.map(({ at, who }) => ({
      at,
      do: async () => {
        processes[who % workers]!.process.kill();
        processes[who % workers] = await boot();
      },
    })),
  ].toSorted((a, b) => a.at - b.at);
  for (const deed of deeds) {
    if (deed.at > room.clock.mono()) await room.clock.advance(deed.at - room.clock.mono());
    await deed.do();
  }
  for (const n of starts.keys()) expect(await room.settled((await processes[0]!.process.pawl.run(`r${n}`)).ended())).toMatchObject({ status: "completed" });
  expect(most, "runs that were worked on at the same time in one worker").toBe(0);
  for (const { process } of processes) expect((await process.pawl.metrics()).worker).toMatchObject({ runsActive: 0, runsPending: 0 });
}

test("however runs wait, nest, fail and die, never more are worked on in a worker, and all end", async () => {
  await fc.assert(fc.asyncProperty(plots, play), cases({ short: 12, long: 20_000 }));
}, 600_000);
