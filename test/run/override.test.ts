/**
 * An operator sets how a node ends: whatever the node does, wherever the run is, once, whoever dies meanwhile.
 */
import { expect, test } from "vitest";
import { createMachine } from "xstate";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { workflow } from "../../src/define/workflow.ts";
import type { OverrideOutcome } from "../../src/run/override.ts";
import type { Run } from "../../src/run/handle.ts";
import type { HistoryEvent } from "../../src/run/history.ts";
import type { Startable } from "../../src/run/startable.ts";
import type { NodeView } from "../../src/run/view.ts";
import type { Fault, SimProcess } from "../sim/process.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { eventsOf } from "../sim/one-run.ts";

const overriddenIn = async (run: Run<unknown>): Promise<HistoryEvent[]> => (await eventsOf(run)).filter(({ type }) => type === "node.overridden");
const nodeOf = async (run: Run<unknown>, id: string): Promise<NodeView> => (await run.nodes()).find((node) => node.id === id)!;
const OUTCOMES: readonly OverrideOutcome[] = [{ result: "set" }, "skip", "fail"];

/** A node of each kind of rest, each read by a node `after-…`; nothing goes on of itself. */
class Resting extends MachineRoom {
  readonly calls: string[] = [];
  readonly aborted: string[] = [];
  readonly #hangs = anyAgent("hangs", (_, { nodeId, signal }) => {
    this.calls.push(nodeId);
    signal.addEventListener("abort", () => this.aborted.push(`${nodeId} ${(signal.reason as { code: string }).code}`));
    return never();
  });
  readonly #fails = anyAgent("fails", () => Promise.reject(new Error("not yet")), { retry: { initialInterval: "1h", maxInterval: "1h", jitter: "none" } });
  readonly #echo = anyAgent("echo", (given: unknown, { nodeId }) => (this.calls.push(nodeId), given ?? "nothing"));
  readonly flow = anyWorkflow(
    "resting",
    (wf) => {
      const running = wf.node("running", this.#hangs, {});
      const backingOff = wf.node("backingOff", this.#fails, {});
      const waiting = wf.node("waiting", this.#echo, running.result);
      const awaited = wf.event("awaited", z.any());
      const notYet = wf.event("notYet", z.any(), { after: [running] });
      const items = wf.map("items", wf.input.list, this.#hangs, (item) => ({ item }), { concurrency: 1 });
      for (const node of [running, backingOff, waiting, awaited, notYet]) wf.node(`after-${node.id}`, this.#echo, { given: node.result });
      return { items: items.result };
    },
    { timeout: 10_000_000 },
  );

  async played(options: { maxConcurrentAttempts?: number } = {}): Promise<{ process: SimProcess; run: Run<unknown> }> {
    const process = await this.boot([this.flow], options);
    const run = await this.settled(process.pawl.start(this.flow, { id: "r", input: { list: [1, 2, 3] } }));
    await this.clock.advance(10);
    return { process, run };
  }
}

test.each(["running", "backingOff", "waiting", "awaited", "notYet"])("a node that is %s ends as it is told", async (id) => {
  for (const outcome of OUTCOMES)
    for (const isPaused of [false, true]) {
      const room = new Resting();
      const { run } = await room.played();
      expect((await nodeOf(run, id)).status).toBe(id === "awaited" ? "running" : id === "notYet" ? "waiting" : id);
      if (isPaused) await room.settled(run.pause());
      room.calls.length = 0;
      const { commitNo, node, runId } = await room.settled(run.override(id, outcome, { by: "ana", reason: "it hangs" }));
      expect([runId, node, commitNo]).toEqual(["r", id, (await room.store.readRun("r"))!.commitNo]);
      await room.clock.advance(10);
      const status = outcome === "skip" ? "skipped" : outcome === "fail" ? "failed" : "completed";
      const note = { outcome: status, by: "ana", reason: "it hangs" };
      expect(await nodeOf(run, id)).toMatchObject({ status, overridden: note });
      if (outcome === "skip")
        expect(await nodeOf(run, id)).toMatchObject({ failure: { code: "PAWL_NODE_OVERRIDDEN", message: "it was passed over by ana: it hangs" } });
      expect(room.aborted).toEqual(id === "running" ? ["running PAWL_NODE_OVERRIDDEN"] : []);
      expect(await overriddenIn(run)).toEqual([{ type: "node.overridden", node: id, ...note }]);
      if (isPaused) await room.settled(run.resume());
      await room.clock.advance(10);
      expect((await nodeOf(run, `after-${id}`)).status).toBe(outcome === "fail" ? "blocked" : "completed");
      expect(room.calls.includes(id)).toBe(false);
      expect(room.calls.includes(`after-${id}`)).toBe(outcome !== "fail");
    }
});

test("items of a map, under way or not, end as they are told, and no more run at once than may", async () => {
  const room = new Resting();
  const { run } = await room.played();
  expect(room.calls.filter((id) => id.startsWith("items"))).toEqual(["items[0]"]);
  await room.settled(run.override("items[1]", { result: "one" }));
  await room.clock.advance(10);
  expect(room.calls.filter((id) => id.startsWith("items"))).toEqual(["items[0]"]);
  await room.settled(run.override("items[0]", { result: "zero" }));
  await room.clock.advance(10);
  expect(room.calls.filter((id) => id.startsWith("items"))).toEqual(["items[0]", "items[2]"]);
  await room.settled(run.override("items[2]", "skip"));
  await room.clock.advance(10);
  expect(await nodeOf(run, "items")).toMatchObject({ status: "completed" });
});

test("a node that waits for a permit is taken out of the queue, and the run ends", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => [
    wf.node("one", anyAgent("hangs", never), {}).result,
    wf.node(
      "two",
      anyAgent("echo", () => "two"),
      {},
    ).result,
  ]);
  const process = await room.boot([flow], { maxConcurrentAttempts: 1 });
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  expect((await nodeOf(run, "two")).status).toBe("queued");
  await room.settled(run.override("two", { result: 2 }));
  await room.settled(run.override("one", { result: 1 }));
  expect(await room.settled(run.result())).toEqual([1, 2]);
});

const strict = agent({ name: "strict", input: z.any(), output: z.object({ n: z.number().default(7) }), run: () => never() });
const strictFlow = workflow({ name: "strict", input: z.any() }, (wf) => wf.node("one", strict, {}).result) as unknown as ReturnType<typeof anyWorkflow>;

test("the result is checked by the agent's schema where the run is, also when a process without its code asks", async () => {
  const room = new MachineRoom();
  const process = await room.boot([strictFlow]);
  await room.settled(process.pawl.start(strictFlow, { id: "r", input: 1 }));
  const web = await room.boot([], { execute: false });
  const run = await room.settled(web.pawl.run("r"));
  await expect(room.settled(run.override("one", { result: { n: "x" } }))).rejects.toMatchObject({
    code: "PAWL_OUTPUT_INVALID",
    message: expect.stringContaining('for node "one" does not fit its schema'),
  });
  await room.settled(run.override("one", { result: {} }));
  expect(await room.settled(run.result())).toEqual({ n: 7 });
});

test("what cannot be set says why", async () => {
  const room = new Resting();
  const { run, process } = await room.played();
  const refused = (id: string, outcome: unknown, options = {}): Promise<unknown> => room.settled(run.override(id, outcome as OverrideOutcome, options));
  const code = "PAWL_INVALID_VALUE";
  await expect(refused("runing", "skip")).rejects.toMatchObject({ code, message: expect.stringContaining("did you mean") });
  await expect(refused("items[7]", "skip")).rejects.toMatchObject({ code });
  await expect(refused("running[undo]", "skip")).rejects.toMatchObject({ code, message: expect.stringContaining("undoes what a node has done") });
  await expect(refused("running", "stop")).rejects.toMatchObject({ code, next: expect.stringContaining("'skip'") });
  await expect(refused("running", "skip", { by: "x".repeat(201) })).rejects.toMatchObject({ code, message: expect.stringContaining("`by`") });
  await expect(refused("running", { result: () => 1 })).rejects.toMatchObject({ code: "PAWL_VALUE_NOT_STORABLE" });
  const machine = await room.boot([createMachine({ id: "m", initial: "a", states: { a: {} } })] as Startable[]);
  const other = await room.settled(machine.pawl.start(createMachine({ id: "m", initial: "a", states: { a: {} } }) as Startable, { id: "m" }));
  await expect(room.settled((other as Run<unknown>).override("a", "skip"))).rejects.toMatchObject({ code: "PAWL_NOT_A_WORKFLOW" });
  expect(await overriddenIn(run)).toEqual([]);
  process.kill();
});

test("of a branch that is not chosen nothing can be set", async () => {
  const room = new MachineRoom();
  const hangs = anyAgent("hangs", never);
  const flow = anyWorkflow("flow", (wf) => {
    const first = wf.node("first", hangs, {});
    return wf.when(
      "choice",
      first.result,
      () => wf.node("yes", hangs, {}).result,
      () => wf.node("no", hangs, {}).result,
    ).result;
  });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
  await expect(room.settled(run.override("yes", { result: 1 }))).rejects.toMatchObject({
    code: "PAWL_INVALID_VALUE",
    message: expect.stringContaining("has not taken"),
  });
  await room.settled(run.override("first", { result: true }));
  await room.clock.advance(10);
  await expect(room.settled(run.override("no", { result: 1 }))).rejects.toMatchObject({ code: "PAWL_NODE_SETTLED" });
  await room.settled(run.override("yes", { result: "set" }));
  expect(await room.settled(run.result())).toBe("set");
});

// ---- runs that have ended

/** `a` fails, `b` reads it; `c` hangs for ever if it is told to. */
function failing(): { room: MachineRoom; flow: ReturnType<typeof anyWorkflow>; calls: string[] } {
  const calls: string[] = [];
  const broken = anyAgent("broken", () => Promise.reject(new Error("broken")), { retry: { maxAttempts: 1 } });
  const echo = anyAgent("echo", (given: unknown, { nodeId }) => (calls.push(`${nodeId} ${JSON.stringify(given)}`), given ?? "nothing"));
  const flow = anyWorkflow("failing", (wf) => wf.node("b", echo, wf.node("a", broken, {}).result).result);
  return { room: new MachineRoom(), flow, calls };
}

async function failed(): Promise<ReturnType<typeof failing> & { process: SimProcess; run: Run<unknown> }> {
  const parts = failing();
  const process = await parts.room.boot([parts.flow]);
  const run = await parts.room.settled(process.pawl.start(parts.flow, { id: "r", input: 1 }));
  expect((await parts.room.settled(run.ended())).status).toBe("failed");
  return { ...parts, process, run };
}

test.each([
  [{ result: "set" }, { status: "completed", output: "set", degraded: false }, 'b "set"'],
  ["skip", { status: "completed", output: "nothing", degraded: true }, "b undefined"],
] as const)("the failed node of a run that has failed ends well by %j, and the run goes on from there, in one commit", async (outcome, view, call) => {
  const { room, run, calls, process } = await failed();
  const { commitNo } = (await room.store.readRun("r"))!;
  const done = await room.settled(run.override("a", outcome, { by: "ana", reason: "by hand" }));
  expect(done).toEqual({ runId: "r", node: "a", commitNo: commitNo + 1 });
  expect(await room.settled(run.ended())).toMatchObject(view);
  expect(calls).toEqual([call]);
  const [entry] = (await Array.fromAsync(run.history(commitNo))).filter((each) => each.commitNo === commitNo + 1);
  expect(entry!.events.map(({ type }) => type)).toEqual(["run.retried", "node.overridden", outcome === "skip" ? "node.skipped" : "node.completed"]);
  process.kill();
});

test("a blocked node of a failed run can be set, too; the run fails again of what had failed", async () => {
  const { room, run, calls } = await failed();
  await room.settled(run.override("b", { result: "set" }));
  expect(await room.settled(run.ended())).toMatchObject({ status: "failed", failure: { node: "a" } });
  expect(await nodeOf(run, "b")).toMatchObject({ status: "completed", overridden: { outcome: "completed" } });
  expect(calls).toEqual([]);
});

test("what has ended is not set again, and it is said how it ended and by whom", async () => {
  const { room, run } = await failed();
  await expect(run.override("a", "fail")).rejects.toMatchObject({ code: "PAWL_NODE_SETTLED", message: 'node "a" of run "r" is failed: its outcome stands' });
  const resting = new Resting();
  const other = (await resting.played()).run;
  const both = await resting.settled(
    Promise.allSettled([other.override("running", { result: 1 }, { by: "ana", reason: "x" }), other.override("running", "skip", { by: "ben" })]),
  );
  expect(both[0]).toMatchObject({ status: "fulfilled" });
  expect(both[1]).toMatchObject({
    status: "rejected",
    reason: {
      code: "PAWL_NODE_SETTLED",
      message: 'node "running" of run "r" is completed, as it was set by ana: x: its outcome stands',
      data: { status: "completed", overridden: { by: "ana", reason: "x" } },
    },
  });
  expect(await overriddenIn(other)).toHaveLength(1);
  await room.settled(run.override("a", { result: 1 }));
  await room.settled(run.result());
  await expect(run.override("a", { result: 2 })).rejects.toMatchObject({ code: "PAWL_RUN_NOT_RETRYABLE" });
});

test("a retry of a node that was given up runs it as if nobody had said so", async () => {
  const room = new Resting();
  const { run } = await room.played();
  await room.settled(run.override("running", "fail", { by: "ana" }));
  await room.settled(run.cancel());
  await room.settled(run.retry({ nodes: ["running"] }));
  await room.clock.advance(10);
  expect(await nodeOf(run, "running")).toMatchObject({ status: "running", overridden: undefined });
});

test("what was given up while it may have done something is undone with the rest", async () => {
  const room = new MachineRoom();
  const undone: unknown[] = [];
  const undo = anyAgent("undo", (given: unknown) => (undone.push(given), "undone"));
  const flow = anyWorkflow("flow", (wf) => {
    const one = wf.node("one", anyAgent("hangs", never), { amount: 5 }, { compensate: undo });
    return wf.node("two", anyAgent("hangs", never), { one: one.result }).result;
  });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.override("one", "skip"));
  await room.clock.advance(10);
  await room.settled(run.cancel());
  expect(undone).toMatchObject([{ input: { amount: 5 } }]);
  await expect(run.override("two", { result: 1 })).rejects.toMatchObject({ code: "PAWL_RUN_NOT_RETRYABLE", message: expect.stringContaining("was undone") });
});

test("what was cut off by a crash before it was given up is undone, too", async () => {
  const room = new MachineRoom();
  const undone: unknown[] = [];
  const undo = anyAgent("undo", (given: unknown) => (undone.push(given), "undone"));
  const flow = anyWorkflow("flow", (wf) => {
    const one = wf.node("one", anyAgent("hangs", never), { amount: 5 }, { compensate: undo });
    return wf.node("two", anyAgent("hangs", never), { one: one.result }).result;
  });
  const first = await room.boot([flow]);
  const started = await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  // so that it is not called again
  await room.settled(started.pause());
  first.kill();
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.run("r"));
  await room.settled(run.override("one", { result: 1 }));
  expect(await nodeOf(run, "one")).toMatchObject({ status: "completed", attempt: 1 });
  await room.settled(run.cancel());
  expect(undone).toMatchObject([{ input: { amount: 5 }, result: 1 }]);
});

// ---- crashes

const at =
  (group: number, fault: Fault) =>
  (now: number): Fault | undefined =>
    now === group ? fault : undefined;

/** A client sets `slow`, which hangs, while the worker dies at this group of commits; another worker goes on. */
async function playLive(group: number, fault: Fault): Promise<{ groups: number }> {
  const room = new MachineRoom();
  const echo = anyAgent("echo", (given: unknown) => given);
  const flow = anyWorkflow("flow", (wf) => wf.node("last", echo, wf.node("slow", anyAgent("hangs", never), wf.node("first", echo, 1).result).result).result);
  const web = await room.boot([], { execute: false });
  const worker = await room.boot([flow], { fault: at(group, fault) });
  void worker.pawl.start(flow, { id: "r", input: 1 }).catch(() => {});
  await room.clock.advance(10);
  if ((await room.store.readRun("r")) === undefined) return { groups: worker.groups };
  const run = await room.settled(web.pawl.run("r"));
  const asked = run.override("slow", { result: "set" }, { by: "ana" }).then(
    () => "done",
    (error: { code: string }) => error.code,
  );
  await room.clock.advance(10);
  const second = worker.isAlive ? undefined : await room.boot([flow]);
  expect(["done", "PAWL_SEND_PENDING"]).toContain(await room.settled(asked));
  expect(await room.settled(run.result())).toBe("set");
  expect(await overriddenIn(run)).toHaveLength(1);
  second?.kill();
  return { groups: worker.groups };
}

test("a node is set once, whatever commit its worker dies at", async () => {
  const { groups } = await playLive(0, "crashBefore");
  expect(groups).toBeGreaterThan(3);
  for (let group = 1; group <= groups; group++)
    for (const fault of ["crashBefore", "crashAfter", "unknownApplied", "unknownLost"] as const) await playLive(group, fault);
});

test("a node of an ended run is set once, whatever commit the worker dies at that takes it up again", async () => {
  let groups = 1;
  for (let group = 0; group <= groups; group++)
    for (const fault of ["crashBefore", "crashAfter"] as const) {
      const { room, flow, process, calls } = await failed();
      process.kill();
      const web = await room.boot([flow], { execute: false });
      const run = await room.settled(web.pawl.run("r"));
      await room.settled(run.override("a", { result: "set" }, { by: "ana" }));
      const worker = await room.boot([flow], { fault: at(group, fault) });
      await room.clock.advance(10);
      groups = Math.max(groups, worker.groups);
      if (!worker.isAlive) await room.boot([flow]);
      expect(await room.settled(run.result())).toBe("set");
      expect(new Set(calls)).toEqual(new Set(['b "set"']));
      expect(await overriddenIn(run)).toHaveLength(1);
    }
  expect(groups).toBeGreaterThan(1);
});
