/**
 * An operator sets how a group ends, or a node that has failed or is blocked while its run goes on: what it is made of ends with
 * it, and what follows is the same whoever dies meanwhile.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { Graph } from "../../src/run/graph.ts";
import type { Run } from "../../src/run/handle.ts";
import type { OverrideOutcome } from "../../src/run/override.ts";
import { Progress } from "../../src/run/progress.ts";
import type { RunView } from "../../src/run/view.ts";
import type { Fault, SimProcess } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { eventsOf, standing } from "../sim/one-run.ts";

const echo = anyAgent("echo", (given: unknown) => given ?? "nothing");
const settledWell = ["completed", "skipped", "failed"] as const;
const OUTCOMES: readonly OverrideOutcome[] = [{ result: ["set"] }, "skip", "fail"];

/** Groups of each kind, each with a part that runs for ever, one that has failed, and one that has not begun. */
class Groups extends MachineRoom {
  readonly aborted: string[] = [];
  readonly called: string[] = [];
  readonly undone: string[] = [];
  readonly #part = anyAgent("part", (given: unknown, { nodeId, signal }) => {
    this.called.push(nodeId);
    if (given === "ends") return "ended";
    if (given === "fails") throw Object.assign(new Error("no"), { name: "NoError" });
    signal.addEventListener("abort", () => this.aborted.push(nodeId));
    return never();
  });
  readonly #undo = anyAgent("undo", (_, { nodeId }) => this.undone.push(nodeId));
  readonly inner = anyWorkflow("inner", (wf) => wf.node("deep", anyAgent("deep", never), wf.input).result);
  readonly flow = anyWorkflow(
    "groups",
    (wf) => {
      const retry = { maxAttempts: 1 };
      const items = wf.map("items", ["ends", "hangs", "fails", "waits", "never", "never"], this.#part, (item) => item, { concurrency: 2, retry });
      const loop = wf.repeat("loop", this.#part, "ends", { next: () => "hangs", until: (last) => last.never, max: 5 });
      const choice = wf.when(
        "choice",
        wf.input,
        () => {
          const one = wf.node("one", this.#part, "hangs", { compensate: this.#undo });
          const many = wf.map("many", ["hangs"], this.#part, (item) => item);
          const called = wf.event("called", echo.output);
          wf.node("two", echo, { one: one.result, many: many.result, called: called.result });
          return one.result;
        },
        () => wf.node("other", echo, 1).result,
      );
      const child = wf.run("child", this.inner, {});
      for (const node of [items, loop, choice, child]) wf.node(`after-${node.id}`, echo, { given: node.result });
    },
    { timeout: 10_000_000 },
  );

  async played(fault?: (group: number) => Fault | undefined): Promise<{ process: SimProcess; run: Run<unknown> }> {
    const process = await this.boot([this.flow, this.inner], fault === undefined ? {} : { fault });
    const run = await this.settled(process.pawl.start(this.flow, { id: "r", input: 1 }));
    await this.clock.advance(10);
    return { process, run };
  }
}

/** How the parts of each group stand, before anything is set and after. */
const BEFORE = { items: "blocked", "items[0]": "completed", "items[1]": "running", "items[2]": "failed", "items[3]": "running" };

const LEFT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  items: { "items[0]": "completed", "items[1]": "notTaken", "items[2]": "notTaken", "items[3]": "notTaken", "items[4]": "notTaken", "items[5]": "notTaken" },
  loop: { "loop[0]": "completed", "loop[1]": "notTaken" },
  choice: { one: "notTaken", many: "notTaken", "many[0]": "notTaken", called: "notTaken", two: "notTaken", other: "notTaken" },
  child: {},
};
const GIVEN_UP: typeof LEFT = {
  items: { "items[0]": "completed", "items[1]": "failed", "items[2]": "failed", "items[3]": "failed", "items[4]": "notTaken", "items[5]": "notTaken" },
  loop: { "loop[0]": "completed", "loop[1]": "failed" },
  choice: { one: "failed", many: "failed", "many[0]": "failed", called: "failed", two: "blocked", other: "notTaken" },
  child: {},
};
const ABORTED: Readonly<Record<string, readonly string[]>> = { items: ["items[1]", "items[3]"], loop: ["loop[1]"], choice: ["many[0]", "one"], child: [] };

test.each(Object.keys(LEFT))("%s ends as it is told, with all that it is made of; after a crash it stands the same", async (id) => {
  for (const [i, outcome] of OUTCOMES.entries()) {
    const room = new Groups();
    const { run, process } = await room.played();
    expect(await standing(run)).toMatchObject(BEFORE);
    await room.settled(run.override(id, outcome, { by: "ana" }));
    await room.clock.advance(10);
    const nodes = await standing(run);
    expect(nodes).toMatchObject({ [id]: settledWell[i], ...(outcome === "fail" ? GIVEN_UP : LEFT)[id] });
    expect(nodes[`after-${id}`]).toBe(outcome === "fail" ? "blocked" : "completed");
    expect(room.aborted.toSorted()).toEqual(ABORTED[id]);
    expect(room.called).not.toContain("items[4]");
    if (outcome !== "fail") expect(await run.nodeResult(`after-${id}`)).toEqual({ given: outcome === "skip" ? undefined : ["set"] });
    if (typeof outcome === "object") expect(await run.nodeResult(id)).toEqual(["set"]);
    if (id === "child") expect((await room.store.readRun("r/child"))!.status).toBe("cancelled");
    if (outcome === "fail") continue;
    const settled = { code: "PAWL_NODE_SETTLED", data: { overridden: { by: "ana" } } };
    await expect(room.settled(run.override(id, "skip"))).rejects.toMatchObject(settled);
    process.kill();
    const { pawl } = await room.boot([room.flow, room.inner]);
    const again = await room.settled(pawl.run("r"));
    await room.clock.advance(10);
    expect(await standing(again)).toEqual(nodes);
    expect(room.called).not.toContain("items[4]");
  }
});

test.each(Object.keys(LEFT))("%s that was given up is passed over later, or runs again with all that it is made of", async (id) => {
  const room = new Groups();
  const { run } = await room.played();
  await room.settled(run.override(id, "fail"));
  await room.settled(run.cancel({ compensate: false }));
  await room.settled(run.retry());
  await room.clock.advance(10);
  expect((await standing(run))[id]).toBe(id === "items" ? "blocked" : "running");
  await room.settled(run.override(id, "fail"));
  await room.settled(run.override(id, "skip"));
  await room.clock.advance(10);
  expect(await standing(run)).toMatchObject({ [id]: "skipped", ...LEFT[id], [`after-${id}`]: "completed" });
});

test.each(Object.keys(LEFT))("%s of a run that has ended ends as it is told, and the run goes on; what it was made of does not", async (id) => {
  for (const outcome of ["skip", { result: ["set"] }] as const) {
    const room = new Groups();
    const { run } = await room.played();
    await room.settled(run.cancel({ compensate: false }));
    room.aborted.length = 0;
    await room.settled(run.override(id, outcome));
    await room.clock.advance(10);
    const nodes = await standing(run);
    expect(nodes).toMatchObject({ [id]: outcome === "skip" ? "skipped" : "completed", ...LEFT[id], [`after-${id}`]: "completed" });
    expect(room.called.includes("items[4]")).toBe(false);
    for (const other of Object.keys(LEFT)) if (other !== id) expect(["running", "blocked"]).toContain(nodes[other]);
    if (outcome !== "skip") expect(await run.nodeResult(`after-${id}`)).toEqual({ given: ["set"] });
  }
});

test("what a group was doing when it was passed over may have done something: it is undone with the rest", async () => {
  const room = new Groups();
  const { run } = await room.played();
  await room.settled(run.override("choice", "skip"));
  await room.settled(run.cancel());
  expect(room.undone).toEqual(["one[undo]"]);
});

test("a group that is given up is its last word: the run is unwound, if it says so", async () => {
  const room = new MachineRoom();
  const undone: string[] = [];
  const undo = anyAgent("undo", (_, { nodeId }) => undone.push(nodeId));
  const flow = anyWorkflow("flow", (wf) => {
    const one = wf.node("one", echo, 1, { compensate: undo });
    wf.map("many", [1, 2], anyAgent("hangs", never), (item) => item, { onFail: "compensate", after: [one] });
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.override("many", "fail", { by: "ana" }));
  expect(await room.settled(run.ended())).toMatchObject({ status: "failed", compensated: true, failure: { code: "PAWL_NODE_OVERRIDDEN" } });
  expect(undone).toEqual(["one[undo]"]);
});

test("runs that items had begun before a crash are cancelled with their map", async () => {
  const room = new MachineRoom();
  const inner = anyWorkflow("inner", (wf) => wf.node("deep", anyAgent("hangs", never), wf.input).result);
  const flow = anyWorkflow("flow", (wf) => void wf.map("many", [1, 2], inner, (item) => item));
  const first = await room.boot([flow, inner]);
  const started = await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(50);
  // so that they are not granted again
  await room.settled(started.pause());
  first.kill();
  const { pawl } = await room.boot([flow, inner]);
  await room.settled((await room.settled(pawl.run("r"))).override("many", "skip"));
  await room.clock.advance(200);
  for (const id of ["r/many[0]", "r/many[1]"]) expect((await room.store.readRun(id))!.status).toBe("cancelled");
});

test("a map that waits for a permit is taken out of the queue, and the run ends", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.map("many", [1, 2], anyAgent("hangs", never), (item) => item).result);
  const { pawl } = await room.boot([flow], { maxConcurrentAttempts: 1 });
  await room.settled(pawl.start(flow, { id: "first", input: 1 }));
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  expect(await standing(run)).toEqual({ many: "running", "many[0]": "queued", "many[1]": "queued" });
  await room.settled(run.override("many", { result: [7] }));
  await room.clock.advance(10);
  expect(await run.status()).toMatchObject({ status: "completed", output: [7] });
});

test("what is about to close is so once, however often it is found anew", () => {
  const { plan } = anyWorkflow("flow", (wf) => void wf.map("many", [1], echo, (item) => item));
  const graph = new Graph(plan);
  const progress = new Progress(graph);
  progress.queueReady();
  expect(progress.takeTransit()).toBe(0);
  progress.grow(0, 0);
  for (let i = 0; i < 2; i++) progress.recount();
  expect([progress.inTransit, progress.takeTransit(), progress.takeTransit()]).toEqual([1, 0, undefined]);
});

test("the result of a map is checked item by item, of a loop as that of a round, where its definition is known", async () => {
  const room = new MachineRoom();
  const numbers = anyAgent("numbers", never);
  const strict = { ...numbers, output: z.object({ n: z.number() }) } as unknown as typeof numbers;
  const flow = anyWorkflow("strict", (wf) => {
    const many = wf.map("many", wf.input, strict, (item) => item, { onFail: "skip" });
    const loop = wf.repeat("loop", strict, 1, { next: (last) => last, until: (last) => last.no, max: 2 });
    return { many: many.result, loop: loop.result };
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: [1, 2] }));
  const code = "PAWL_OUTPUT_INVALID";
  const refused = (node: string, result: unknown): Promise<unknown> => room.settled(run.override(node, { result }));
  await expect(refused("many", 7)).rejects.toMatchObject({ code, message: expect.stringContaining("it is no list") });
  await expect(refused("many", [{ n: 1 }, { n: "x" }])).rejects.toMatchObject({ code, message: expect.stringContaining('"many[1]"') });
  await expect(refused("loop", [])).rejects.toMatchObject({ code });
  await room.settled(run.override("many", { result: [{ n: 1 }, undefined] }));
  await room.settled(run.override("loop", { result: { n: 2 } }));
  expect(await room.settled(run.result())).toEqual({ many: [{ n: 1 }, undefined], loop: { n: 2 } });
});

// ---- what has failed, or is blocked, while its run goes on

/** `a` fails, `b` reads it and `c` that; `d` runs until it is told; what they are given is written down. */
class Failing extends MachineRoom {
  readonly given: Record<string, unknown> = {};
  readonly end = Promise.withResolvers<string>();
  calls = 0;
  readonly #echo = anyAgent("echo", (given: unknown, { nodeId }) => (this.given[nodeId] = given ?? "nothing"));
  readonly flow = anyWorkflow("failing", (wf) => {
    const fails = anyAgent("fails", () => (this.calls++, Promise.reject(new Error("no"))), { retry: { maxAttempts: 2, initialInterval: 1, jitter: "none" } });
    const a = wf.node("a", fails, {});
    const b = wf.node("b", this.#echo, a.result);
    const c = wf.node("c", this.#echo, b.result);
    const d = wf.node(
      "d",
      anyAgent("waits", () => this.end.promise),
      {},
    );
    return { c: c.result, d: d.result };
  });

  async played(fault?: (group: number) => Fault | undefined): Promise<{ process: SimProcess; run: Run<unknown> }> {
    const process = await this.boot([this.flow], fault === undefined ? {} : { fault });
    const run = await this.settled(process.pawl.start(this.flow, { id: "r", input: 1 }));
    await this.clock.advance(10);
    return { process, run };
  }

  async ended(run: Run<unknown>): Promise<RunView> {
    this.end.resolve("done");
    return this.settled(run.ended());
  }
}

test.each([
  ["a", { result: "set" }, { status: "completed", degraded: false, output: { c: "set", d: "done" } }, { b: "set", c: "set" }],
  ["a", "skip", { status: "completed", degraded: true, output: { c: "nothing", d: "done" } }, { b: "nothing", c: "nothing" }],
  ["b", { result: "set" }, { status: "failed", failure: { node: "a" } }, { c: "set" }],
  ["b", "fail", { status: "failed", failure: { node: "a" } }, {}],
] as const)("%s of a chain that has failed is set to %j while the run goes on", async (node, outcome, view, given) => {
  for (const isPaused of [false, true]) {
    const room = new Failing();
    const { run } = await room.played();
    expect(await standing(run)).toMatchObject({ a: "failed", b: "blocked", c: "blocked", d: "running" });
    if (isPaused) await room.settled(run.pause());
    await room.settled(run.override(node, outcome, { by: "ana" }));
    if (isPaused) await room.settled(run.resume());
    await room.clock.advance(10);
    expect(room.given).toEqual(given);
    if (node === "a") expect((await run.nodes())[0]).toMatchObject({ attempt: 2, overridden: { by: "ana" } });
    expect(await room.ended(run)).toMatchObject(view);
    expect(room.calls).toBe(2);
  }
});

const at =
  (group: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === group ? fault : undefined;

/** A client sets a failed node, or a group that is open, while the worker dies at this group of commits; another one goes on. */
async function playKilled(room: Groups | Failing, node: string, after: string, group: number, fault: Fault): Promise<{ groups: number; given: unknown }> {
  const web = await room.boot([], { execute: false });
  const workflows = [room.flow, ...("inner" in room ? [room.inner] : [])];
  const worker = await room.boot(workflows, { fault: at(group, fault) });
  void worker.pawl.start(room.flow, { id: "r", input: 1 }).catch(() => {});
  await room.clock.advance(10);
  if ((await room.store.readRun("r")) === undefined) return { groups: worker.groups, given: undefined };
  const run = await room.settled(web.pawl.run("r"));
  const asked = run.override(node, { result: ["set"] }).catch((error: { code: string }) => error.code);
  await room.clock.advance(10);
  if (!worker.isAlive) await room.boot(workflows);
  await room.settled(asked);
  await room.clock.advance(50);
  expect(await standing(run)).toMatchObject({ [node]: "completed", [after]: "completed" });
  expect((await eventsOf(run)).filter(({ type }) => type === "node.overridden")).toHaveLength(1);
  return { groups: worker.groups, given: await run.nodeResult(after) };
}

test.each([
  ["a", "b", ["set"], (): Failing => new Failing()],
  ["items", "after-items", { given: ["set"] }, (): Groups => new Groups()],
  ["choice", "after-choice", { given: ["set"] }, (): Groups => new Groups()],
] as const)("%s is set once, whatever commit its worker dies at", async (node, after, given, room) => {
  const { groups } = await playKilled(room(), node, after, 0, "crashBefore");
  expect(groups).toBeGreaterThan(3);
  for (let group = 1; group <= groups; group++)
    for (const fault of ["crashBefore", "crashAfter", "unknownApplied", "unknownLost"] as const) {
      const played = await playKilled(room(), node, after, group, fault);
      if (played.given !== undefined) expect(played.given).toEqual(given);
    }
});

test("nothing that has failed is set while the run is undone", async () => {
  const room = new MachineRoom();
  const undo = anyAgent("undo", never);
  const flow = anyWorkflow("undone", (wf) => {
    const one = wf.node("one", echo, 1, { compensate: undo });
    wf.node(
      "two",
      anyAgent("fails", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 1 } }),
      one.result,
      { onFail: "compensate" },
    );
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  expect((await run.status()).status).toBe("compensating");
  for (const node of ["one", "two"]) await expect(room.settled(run.override(node, { result: 1 }))).rejects.toMatchObject({ code: "PAWL_NODE_SETTLED" });
});
