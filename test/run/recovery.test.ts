/**
 * What comes back after a death, what is set aside, and what is refused: nothing is lost, and nothing waits for ever.
 */
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { workflow } from "../../src/define/workflow.ts";
import { AgentError, PawlError } from "../../src/errors.ts";
import { openOn } from "../../src/open.ts";
import { DagRun } from "../../src/run/dag-run.ts";
import { DueTimes } from "../../src/run/due-times.ts";
import { Graph } from "../../src/run/graph.ts";
import { Progress } from "../../src/run/progress.ts";
import type { Commit, Outcome, Store } from "../../src/store/store.ts";
import { cases } from "../sim/cases.ts";
import { replacing } from "../sim/process.ts";
import { seededRandom } from "../sim/random.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";

const echo = anyAgent("echo", (input) => input);

afterEach(() => vi.restoreAllMocks());

test("opening goes on with unfinished runs without being asked", async () => {
  const room = new MachineRoom();
  let isUp = false;
  const calls: string[] = [];
  const patient = anyAgent("patient", (input: string) => (calls.push(input), isUp ? input : never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("second", patient, `${wf.node("first", echo, "kept").result}-2`).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  first.kill();
  isUp = true;
  const second = await room.boot([flow]);
  expect(await room.settled((await second.pawl.run("r")).result())).toBe("kept-2");
  expect(calls).toEqual(["kept-2", "kept-2"]);
  const types = (await Array.fromAsync((await second.pawl.run("r")).history())).flatMap(({ events }) => events.map(({ type }) => type));
  expect(types).toContain("run.recovered");
});

test("a retry that was waiting when the process died comes at its time, or at once when that has passed", async () => {
  for (const [downMs, waitedMs] of [
    [20_000, 60_000],
    [500_000, 500_000],
  ] as const) {
    const room = new MachineRoom();
    const at: number[] = [];
    const once = anyAgent(
      "once",
      (_, { attempt }) => {
        at.push(room.clock.mono());
        if (attempt === 1) throw new Error("down");
        return "up";
      },
      { retry: { initialInterval: "60s", jitter: "none" } },
    );
    const flow = anyWorkflow("flow", (wf) => wf.node("n", once, {}).result);
    const first = await room.boot([flow]);
    await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(1);
    first.kill();
    await room.clock.advance(downMs - 1);
    const second = await room.boot([flow]);
    expect(await room.settled((await second.pawl.run("r")).result())).toBe("up");
    expect(at[1]! - at[0]!).toBe(waitedMs);
  }
});

test("a wall clock that jumps back, or forth, moves no length", async () => {
  for (const jumpMs of [-7_200_000, 7_200_000]) {
    const room = new MachineRoom();
    const at: number[] = [];
    const flaky = anyAgent(
      "flaky",
      (_, { attempt }) => {
        at.push(room.clock.mono());
        if (attempt === 1) throw new Error("down");
        return "up";
      },
      { retry: { initialInterval: "3s", jitter: "none" } },
    );
    const flow = anyWorkflow("flow", (wf) => wf.node("n", flaky, {}).result);
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(1);
    room.clock.wallOffsetMs += jumpMs;
    expect(await room.settled(run.result())).toBe("up");
    expect(at[1]! - at[0]!).toBe(3_000);
  }
});

test("a backoff that was written before the wall clock was set back begins once anew, whatever is done to its run meanwhile", async () => {
  const room = new MachineRoom();
  const at: number[] = [];
  const flaky = anyAgent(
    "flaky",
    (_, { attempt }) => {
      at.push(room.clock.mono());
      if (attempt === 1) throw new Error("down");
      return "up";
    },
    { retry: { initialInterval: "8s", jitter: "none" } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("n", flaky, {}).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(1_000);
  first.kill();
  room.clock.wallOffsetMs -= 3_600_000;
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.run("r"));
  await room.settled(run.pause());
  await room.settled(run.resume());
  expect(await room.settled(run.result())).toBe("up");
  expect(at[1]! - at[0]!).toBeLessThan(10_000);
});

test("runs that only wait leave memory and come back in due order", async () => {
  const room = new MachineRoom();
  const hosted = vi.spyOn(DagRun.prototype, "drop");
  const order: string[] = [];
  const waiting = anyAgent("waiting", (ms: number, { attempt, runId }) => {
    if (attempt > 1) return order.push(runId);
    throw Object.assign(new Error("later"), { code: `IN_${ms}` });
  });
  const flowOf = (seconds: number): ReturnType<typeof anyWorkflow> =>
    anyWorkflow(
      `wait${seconds}`,
      (wf) => wf.node("n", waiting, wf.input, { retry: { initialInterval: `${seconds}s`, maxInterval: "1d", jitter: "none" } }).result,
    );
  const flows = [300, 100, 200].map(flowOf);
  const { pawl } = await room.boot(flows);
  const runs = await room.settled(Promise.all(flows.map((flow) => pawl.start(flow, { id: flow.name, input: 1 }))));
  await room.clock.advance(5_000);
  expect(hosted).toHaveBeenCalledTimes(3);
  await room.settled(Promise.all(runs.map((run) => run.result())));
  expect(order).toEqual(["wait100", "wait200", "wait300"]);
});

test("a damaged row sets its run aside with a reason; the row is kept and other runs go on", async () => {
  const damages: [string, (rows: Parameters<Parameters<MachineRoom["store"]["tamper"]>[1]>[0]) => void][] = [
    ["a result", ({ actors }) => actors.set("first", { ...actors.get("first")!, output: '"forged"' })],
    ["a status", ({ actors }) => actors.set("first", { ...actors.get("first")!, status: "failed" })],
    ["a swapped row", ({ actors }) => actors.set("second", { ...actors.get("first")!, key: "second" })],
    ["the input", ({ actors }) => actors.set("input~1", { ...actors.get("input~1")!, output: "2" })],
    ["a lost input", ({ actors }) => actors.delete("input~1")],
    ["an unknown node", ({ actors }) => actors.set("ghost", { ...actors.get("first")!, key: "ghost" })],
    ["the run", ({ run }) => Object.assign(run, { body: run.body.replace("running", "failed!") })],
    ["a run that is no JSON", ({ run }) => Object.assign(run, { body: "{" })],
  ];
  for (const [what, damage] of damages) {
    const room = new MachineRoom();
    let isUp = false;
    const gate = anyAgent("gate", (input) => (isUp ? input : never()));
    const flow = anyWorkflow("flow", (wf) => wf.node("second", gate, wf.node("first", echo, "true").result).result);
    const first = await room.boot([flow]);
    for (const id of ["damaged", "sound"]) await room.settled(first.pawl.start(flow, { id, input: 1 }));
    await room.clock.advance(10);
    first.kill();
    isUp = true;
    room.store.tamper("damaged", damage);
    const before = await room.store.readActors("damaged");
    const { pawl } = await room.boot([flow]);
    await expect(room.settled((await pawl.run("damaged")).result()), what).rejects.toMatchObject({
      code: "PAWL_RUN_QUARANTINED",
      message: expect.stringContaining("PAWL_ROW_CORRUPT"),
    });
    expect(await room.settled((await pawl.run("sound")).result())).toBe("true");
    expect(await room.store.readActors("damaged")).toEqual(before);
    expect(await (await pawl.run("damaged")).status()).toMatchObject({ status: "quarantined", reason: expect.stringContaining("PAWL_ROW_CORRUPT") });
  }
});

test("a result that is damaged while the run is under way sets the run aside when it is read back", async () => {
  const room = new MachineRoom();
  const gate = deferred<string>();
  const waits = anyAgent("waits", () => gate.promise);
  const flow = anyWorkflow("flow", (wf) => {
    const early = wf.node("early", echo, "true");
    const late = wf.node("late", waits, {});
    return wf.node("join", echo, [early.result, late.result]).result;
  });
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  first.kill();
  const { pawl } = await room.boot([flow]);
  await room.clock.advance(10);
  room.store.tamper("r", ({ actors }) => actors.set("early", { ...actors.get("early")!, output: '"forged"' }));
  gate.resolve("now");
  await expect(room.settled((await pawl.run("r")).result())).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED" });
});

test("with the checksum taken away a forged result goes through: it is the checksum that protects", async () => {
  vi.resetModules();
  vi.doMock("node:zlib", () => ({ crc32: () => 0 }));
  const { MachineRoom: Room, anyAgent: agentOf, anyWorkflow: workflowOf } = await import("../sim/machine-room.ts");
  vi.doUnmock("node:zlib");
  const room = new Room();
  let isUp = false;
  const gate = agentOf("gate", (input) => (isUp ? input : never()));
  const flow = workflowOf(
    "flow",
    (wf) =>
      wf.node(
        "second",
        gate,
        wf.node(
          "first",
          agentOf("echo", (input) => input),
          "true",
        ).result,
      ).result,
  );
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  first.kill();
  isUp = true;
  room.store.tamper("r", ({ actors }) => actors.set("first", { ...actors.get("first")!, output: '"forged"' }));
  const { pawl } = await room.boot([flow]);
  expect(await room.settled((await pawl.run("r")).result())).toBe("forged");
});

/** Two owners: the first stalls in the middle of a commit while a second one takes its run over and goes on with it. */
async function staleOwner(isFenced: boolean): Promise<{ outcome: Outcome; status: string; lateHistory: number }> {
  const room = new MachineRoom();
  const held = deferred<void>();
  const gate = deferred<number>();
  let outcome: Outcome | undefined;
  const counted = anyAgent("counted", (input, { nodeId }) => (nodeId === "b" ? gate.promise : input));
  const flow = anyWorkflow("flow", (wf) => wf.node("b", counted, wf.node("a", counted, 1).result).result);
  const unfence = async (group: readonly Commit[]): Promise<Commit[]> => {
    const run = await room.store.readRun("r");
    return group.map((commit) => ({ ...commit, from: run!.commitNo, epoch: run!.epoch }));
  };
  const late = async (store: Store, group: readonly Commit[]): Promise<Outcome[]> => {
    await held.promise;
    const outcomes = await store.commit(isFenced ? group : await unfence(group));
    outcome = outcomes[0];
    return outcomes;
  };
  const first = await room.boot([flow], {
    wrap: (store) => replacing(store, { commit: (group) => (group[0]!.from === 1 ? late(store, group) : store.commit(group)) }),
  });
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.store.close();
  await room.boot([flow]);
  await room.clock.advance(10);
  const before = (await room.store.readRun("r"))!.commitNo;
  held.resolve();
  await room.clock.advance(10);
  const lateHistory = (await room.store.readHistory("r", before, 10)).length;
  gate.resolve(1);
  await room.clock.advance(10);
  return { outcome: outcome!, status: (await room.store.readRun("r"))!.status, lateHistory };
}

test("a late commit of an owner that was replaced matches no row; the new owner goes on undisturbed", async () => {
  expect(await staleOwner(true)).toEqual({ outcome: "fenced", status: "completed", lateHistory: 0 });
});

test("with the fence taken away the late commit lands and the run is lost to its owner: it is the fence that protects", async () => {
  expect(await staleOwner(false)).toEqual({ outcome: "committed", status: "running", lateHistory: 1 });
});

test("a run that dies with its worker three times while it is loaded is set aside; the others go on", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", anyAgent("hangs", never), {}).result);
  const ids = ["a", "poison", "z"];
  let process = await room.boot([flow]);
  for (const id of ids) await room.settled(process.pawl.start(flow, { id, input: 1 }));
  const resume = DagRun.prototype.resume;
  vi.spyOn(DagRun.prototype, "resume").mockImplementation(function (this: DagRun) {
    if (this.id === "poison") process.kill();
    resume.call(this);
  });
  for (let crash = 1; crash <= 6 && (await room.store.readRun("poison"))!.status !== "quarantined"; crash++) {
    process.kill();
    process = new (process.constructor as new (options: object) => typeof process)({ clock: room.clock, store: room.store, seed: 1, workflows: [flow] });
    void process.boot().catch(() => {});
    await room.clock.advance(1_000);
  }
  expect(await room.store.readRun("poison")).toMatchObject({ status: "quarantined", reason: expect.stringContaining("crashed 3 times") });
  for (const id of ["a", "z"]) expect(await room.store.readRun(id)).toMatchObject({ status: "running", suspicion: 0 });
});

test("a definition that changed under an unfinished run is refused with what changed; the run is kept as it is", async () => {
  const room = new MachineRoom();
  const waits = anyAgent("waits", never);
  const before = anyWorkflow("flow", (wf) => wf.node("b", echo, wf.node("a", waits, { x: 1 }).result).result);
  const after = anyWorkflow("flow", (wf) => wf.node("c", echo, wf.node("a", waits, { x: 2 }).result).result);
  const first = await room.boot([before]);
  await room.settled(first.pawl.start(before, { id: "r", input: 1 }));
  await room.clock.advance(10);
  first.kill();
  const second = await room.boot([after]);
  const changes = ['node "b" is gone', 'node "a": input changed', 'node "c" is new', "the output changed"];
  await expect(room.settled(second.pawl.start(after, { id: "r", input: 1 }))).rejects.toMatchObject({
    code: "PAWL_DEFINITION_CHANGED",
    data: { changes },
    message: expect.stringContaining('node "b" is gone'),
  });
  await expect(room.settled((await second.pawl.run("r")).result())).rejects.toMatchObject({ code: "PAWL_DEFINITION_CHANGED" });
  expect(await (await second.pawl.run("r")).status()).toMatchObject({ status: "running" });
  second.kill();
  const third = await room.boot([after, before]);
  await room.clock.advance(10);
  await room.settled((await third.pawl.run("r")).cancel());
  expect(await (await third.pawl.run("r")).status()).toMatchObject({ status: "cancelled" });
});

test("another retry or timeout is no other definition", async () => {
  const room = new MachineRoom();
  let isUp = false;
  const gate = anyAgent("gate", () => (isUp ? "up" : never()));
  const flowWith = (timeout: number): ReturnType<typeof anyWorkflow> =>
    anyWorkflow("flow", (wf) => wf.node("a", gate, {}, { timeout, retry: { maxAttempts: timeout } }).result);
  const first = await room.boot([flowWith(1_000)]);
  await room.settled(first.pawl.start(flowWith(1_000), { id: "r", input: 1 }));
  first.kill();
  isUp = true;
  const second = await room.boot([flowWith(2_000)]);
  expect(await room.settled((await second.pawl.run("r")).result())).toBe("up");
});

test("a run whose workflow was not given waits and says so; it goes on when the workflow is started", async () => {
  const room = new MachineRoom();
  let isUp = false;
  const gate = anyAgent("gate", () => (isUp ? "up" : never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("a", gate, {}).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  first.kill();
  isUp = true;
  const second = await room.boot([]);
  await expect(room.settled((await second.pawl.run("r")).result())).rejects.toMatchObject({
    code: "PAWL_DEFINITION_MISSING",
    message: expect.stringContaining('"flow"'),
  });
  await room.settled(second.pawl.start(flow, { id: "another", input: 1 }));
  expect(await room.settled((await second.pawl.run("r")).result())).toBe("up");
});

test("a run that could not be read at the opening is loaded by the next reconciliation", async () => {
  const room = new MachineRoom();
  let isUp = false;
  const gate = anyAgent("gate", () => (isUp ? "up" : never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("n", gate, {}).result);
  const first = await room.boot([flow]);
  for (const id of ["a", "b"]) await room.settled(first.pawl.start(flow, { id, input: 1 }));
  first.kill();
  isUp = true;
  let reads = 0;
  const second = await room.boot([flow], {
    wrap: (store) =>
      replacing(store, { readActorRange: (...range) => (reads++ === 0 ? Promise.reject(new Error("passing")) : store.readActorRange(...range)) }),
  });
  await room.clock.advance(1_000);
  expect((await second.pawl.list({ status: "running" })).map(({ id }) => id)).toEqual(["a"]);
  await room.clock.advance(30_000);
  expect((await second.pawl.list({ status: "completed" })).map(({ id }) => id)).toEqual(["b", "a"]);
});

test("close lets running attempts end, starts nothing more, and the next opening goes on", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const slow = anyAgent("slow", (name: string) => (calls.push(name), new Promise((resolve) => room.clock.after(2_000, () => resolve(name)))));
  const flow = anyWorkflow("flow", (wf) => wf.node("b", slow, "b", { after: [wf.node("a", slow, "a")] }).result);
  const first = await room.boot([flow]);
  const run = await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  const waiting = run.result().catch((error: unknown) => error);
  await room.clock.advance(500);
  await room.settled(first.pawl.close());
  expect(await waiting).toMatchObject({ code: "PAWL_CLOSED" });
  expect(calls).toEqual(["a"]);
  expect((await room.store.readActors("r", ["a"]))[0]).toMatchObject({ status: "completed" });
  await expect(first.pawl.start(flow, { input: 1 })).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  await expect(first.pawl.list()).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  await expect((async () => run.status())()).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  const second = await room.boot([flow]);
  expect(await room.settled((await second.pawl.run("r")).result())).toBe("b");
  expect(calls).toEqual(["a", "b"]);
});

test("close aborts what does not end in its grace; it runs again next time under the same attempt", async () => {
  const room = new MachineRoom();
  const seen: [number, AbortSignal][] = [];
  let isUp = false;
  const stuck = anyAgent("stuck", (_, { attempt, signal }) => (seen.push([attempt, signal]), isUp ? "up" : never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("n", stuck, {}).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  const beganAt = room.clock.mono();
  await room.settled(first.pawl.close({ graceMs: 3_000 }));
  expect(room.clock.mono() - beganAt).toBe(3_000);
  expect(seen[0]![1].reason).toMatchObject({ code: "PAWL_CLOSED" });
  isUp = true;
  const second = await room.boot([flow]);
  expect(await room.settled((await second.pawl.run("r")).result())).toBe("up");
  expect(seen.map(([attempt]) => attempt)).toEqual([1, 1]);
});

test("after a failure of the store nothing is acknowledged, agents are aborted, and it is told once", async () => {
  const room = new MachineRoom();
  let signal: AbortSignal | undefined;
  let isBroken = false;
  const agentOf = anyAgent("stuck", (_, context) => ((signal = context.signal), never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("n", agentOf, {}).result);
  const process = await room.boot([flow], {
    wrap: (store) => replacing(store, { commit: async (group) => (isBroken ? Promise.reject(new PawlError("PAWL_STORE_FAILED")) : store.commit(group)) }),
  });
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: 1 }));
  const waiting = run.result().catch((error: unknown) => error);
  const sleeper = anyWorkflow(
    "sleeper",
    (wf) =>
      wf.node(
        "n",
        anyAgent("fails", () => Promise.reject(new Error("later")), { retry: { initialInterval: "1h", jitter: "none" } }),
        {},
      ).result,
  );
  const asleep = await room.settled(process.pawl.start(sleeper, { id: "asleep", input: 1 }));
  const waitingAsleep = asleep.result().catch((error: unknown) => error);
  await room.clock.advance(10);
  isBroken = true;
  await expect(room.settled(process.pawl.start(flow, { id: "x", input: 1 }))).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
  expect(process.fatal).toMatchObject({ code: "PAWL_STORE_FAILED" });
  expect(signal!.reason).toMatchObject({ code: "PAWL_STORE_FAILED" });
  for (const each of [waiting, waitingAsleep]) expect(await room.settled(each)).toMatchObject({ code: "PAWL_STORE_FAILED" });
  await expect(process.pawl.start(flow, { id: "y", input: 1 })).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
  isBroken = false;
  const { pawl } = await room.boot([flow]);
  expect((await pawl.list()).map(({ id }) => id)).toEqual(["r", "asleep"]);
});

test("a full disk refuses new runs, keeps finished results in memory, and goes on when there is space", async () => {
  const room = new MachineRoom();
  let isFull = false;
  let calls = 0;
  const slow = anyAgent("slow", () => (calls++, new Promise((resolve) => room.clock.after(100, () => resolve("kept")))));
  const flow = anyWorkflow("flow", (wf) => wf.node("b", slow, wf.node("a", slow, {}).result).result);
  const { pawl } = await room.boot([flow], { fault: () => (isFull ? "full" : undefined) });
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  isFull = true;
  await room.clock.advance(60_000);
  expect(calls).toBe(1);
  await expect(room.settled(pawl.start(flow, { id: "new", input: 1 }))).rejects.toMatchObject({ code: "PAWL_STORE_FULL", retryable: true });
  isFull = false;
  expect(await room.settled(run.result())).toBe("kept");
  expect(calls).toBe(2);
});

test("a process that does not execute sees runs, and those that it starts are executed by a worker", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", echo, "seen").result);
  const { pawl } = await room.boot([flow]);
  await room.settled((await room.settled(pawl.start(flow, { id: "r", input: 1 }))).result());
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const looking = await openOn(
    room.store,
    { store: room.store, clock: room.clock, random: seededRandom(1), attempts: { log: silent, environment: () => undefined }, onFatal() {} },
    { execute: false },
  );
  expect(await room.settled((await looking.run("r")).result())).toBe("seen");
  const recorded = await room.settled(looking.start(flow, { id: "recorded", input: 1 }));
  expect(await recorded.status()).toMatchObject({ status: "pending", commitNo: 1, input: 1 });
  expect((await recorded.nodes()).map(({ status }) => status)).toEqual(["waiting"]);
  await room.settled(pawl.reconcile());
  expect(await room.settled(recorded.result())).toBe("seen");
  await expect(looking.run("none")).rejects.toMatchObject({ code: "PAWL_RUN_NOT_FOUND" });
});

test("counters agree with a recount at any time", () => {
  const flow = anyWorkflow("flow", (wf) => {
    const a = wf.node("a", echo, {});
    wf.node("c", echo, wf.node("b", echo, a.result).result);
    wf.node("d", echo, a.result);
  });
  const graph = new Graph(flow.plan);
  const progress = new Progress(graph);
  progress.queueReady();
  expect(countersAgree(progress, graph)).toBe(true);
  const granted = (): number => {
    const index = progress.next()!;
    progress.runs(index);
    return index;
  };
  progress.settle(granted(), "completed");
  progress.release(0);
  expect([progress.queued, progress.running, countersAgree(progress, graph)]).toEqual([2, 0, true]);
  progress.backOff(granted());
  progress.requeue(1);
  expect(progress.exhausted).toBe(false);
  expect(countersAgree(progress, graph)).toBe(true);
});

test("a sleeping run can be cancelled; concurrent starts of one id that the disk refused all fail", async () => {
  const room = new MachineRoom();
  const failing = anyAgent("failing", () => Promise.reject(new Error("later")), { retry: { initialInterval: "1h", maxInterval: "1h", jitter: "none" } });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", failing, {}).result);
  let isFull = false;
  const { pawl } = await room.boot([flow], { fault: () => (isFull ? "full" : undefined) });
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  expect(await run.status()).toMatchObject({ status: "running", wakeAt: room.clock.now() - 10 + 3_600_000 });
  await room.settled(run.cancel());
  expect(await run.status()).toMatchObject({ status: "cancelled", wakeAt: null });
  isFull = true;
  const starts = [1, 2, 3].map(() => pawl.start(flow, { id: "x", input: 1 }));
  expect(await room.settled(Promise.allSettled(starts))).toMatchObject([1, 2, 3].map(() => ({ status: "rejected", reason: { code: "PAWL_STORE_FULL" } })));
});

test("the earliest of many instants is found whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ dueAt: fc.nat({ max: 50 }), isRemoval: fc.boolean(), which: fc.nat() })), (steps) => {
      const times = new DueTimes<object>();
      const model: { dueAt: number; of: object }[] = [];
      for (const { dueAt, isRemoval, which } of steps) {
        if (isRemoval && model.length > 0) times.remove(model.splice(which % model.length, 1)[0]!.of);
        else {
          const of = {};
          model.push({ dueAt, of });
          times.add(dueAt, of);
        }
        expect(times.earliest).toBe(model.length === 0 ? undefined : Math.min(...model.map((entry) => entry.dueAt)));
      }
    }),
    cases({ short: 300, long: 20_000 }),
  );
});

test("a run whose machine breaks is set aside; its permit comes back and the others go on", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", echo, "fine").result);
  const process = await room.boot([flow], { maxConcurrentAttempts: 1 });
  const settle = vi.spyOn(Progress.prototype, "settle").mockImplementation(() => {
    throw new Error("planted");
  });
  const half = await room.settled(process.pawl.start(flow, { id: "half-applied", input: 1 }));
  await expect(room.settled(half.result())).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED" });
  expect(await room.store.readActors("half-applied", ["n"])).toEqual([]);
  settle.mockRestore();
  for (const method of ["grant", "applyInbox", "takeCommit"] as const) {
    const original: (...values: any[]) => any = DagRun.prototype[method];
    const spy = vi.spyOn(DagRun.prototype, method).mockImplementation(function (this: DagRun, ...values: unknown[]): any {
      if (this.id === `broken-${method}` && this.commitNo > (method === "grant" ? -1 : 0)) throw new Error("planted");
      return original.apply(this, values);
    });
    const broken = room.settled(process.pawl.start(flow, { id: `broken-${method}`, input: 1 })).then(async (run) => room.settled(run.result()));
    await expect(broken).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED" });
    spy.mockRestore();
    const sound = await room.settled(process.pawl.start(flow, { id: `sound-${method}`, input: 1 }));
    expect(await room.settled(sound.result())).toBe("fine");
  }
});

test("a cancel resolves when the run is over, also of a run that was only just found, or says why it cannot", async () => {
  const room = new MachineRoom();
  const hanging = anyAgent("hanging", never);
  const flow = anyWorkflow("flow", (wf) => wf.node("n", hanging, {}).result);
  const first = await room.boot([flow]);
  for (let i = 0; i < 150; i++) await room.settled(first.pawl.start(flow, { id: `r${i}`, input: 1 }));
  first.kill();
  const second = await room.boot([flow]);
  await room.settled((await second.pawl.run("r149")).cancel());
  expect(await (await second.pawl.run("r149")).status()).toMatchObject({ status: "cancelled" });
  let isFull = true;
  second.kill();
  const third = await room.boot([flow], { fault: () => (isFull ? "full" : undefined) });
  const cancel = room.settled((await third.pawl.run("r1")).cancel());
  await room.clock.advance(1_000);
  void third.pawl.close({ graceMs: 10 });
  await expect(cancel).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  isFull = false;
});

test("permits that a damaged run gives back go to those who wait", async () => {
  const room = new MachineRoom();
  let isUp = false;
  const gate = anyAgent("gate", (input) => (isUp ? input : never()));
  const flow = anyWorkflow("flow", (wf) => wf.node("second", gate, wf.node("first", echo, "x").result).result);
  const first = await room.boot([flow]);
  for (const id of ["damaged", "sound"]) await room.settled(first.pawl.start(flow, { id, input: 1 }));
  await room.clock.advance(10);
  first.kill();
  isUp = true;
  let reads = 0;
  const second = await room.boot([flow], {
    maxConcurrentAttempts: 1,
    wrap: (store) =>
      replacing(store, { readActors: async (run, keys) => (run === "damaged" && keys?.[0] === "first" && reads++ === 0 ? [] : store.readActors(run, keys)) }),
  });
  await expect(room.settled((await second.pawl.run("damaged")).result())).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED" });
  expect(await room.settled((await second.pawl.run("sound")).result())).toBe("x");
});

test("an agent is not called for a node that was given up while its input was made ready", async () => {
  const room = new MachineRoom();
  const gate = deferred<void>();
  let calls = 0;
  const slowSchema = { "~standard": { version: 1 as const, vendor: "test", validate: async (value: unknown) => (await gate.promise, { value }) } };
  const counted = agent({ name: "counted", input: slowSchema, output: z.any(), timeout: 1_000, retry: { maxAttempts: 1 }, run: () => calls++ });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", counted, {}).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
  gate.resolve();
  await room.clock.advance(10);
  expect(calls).toBe(0);
});

test("a start that pawl's closing overtakes is refused; closing leaves no timer behind and aborts what timed out", async () => {
  const room = new MachineRoom();
  const gate = deferred<void>();
  const slowSchema = { "~standard": { version: 1 as const, vendor: "test", validate: async (value: unknown) => (await gate.promise, { value }) } };
  const late = workflow({ name: "late", input: slowSchema }, () => 1);
  let signal: AbortSignal | undefined;
  let isFull = false;
  const hanging = anyAgent("hanging", (_, context) => ((signal = context.signal), never()), {
    timeout: 1_000,
    retry: { initialInterval: "10h", maxInterval: "10h", jitter: "none" },
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", hanging, {}).result);
  const { pawl } = await room.boot([late, flow], { fault: () => (isFull ? "full" : undefined) });
  await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  const starting = pawl.start(late, { input: 1 }).catch((error: unknown) => error);
  isFull = true;
  await room.clock.advance(5_000);
  await room.settled(pawl.close({ graceMs: 100 }));
  gate.resolve();
  expect(await room.settled(starting)).toMatchObject({ code: "PAWL_CLOSED" });
  expect(signal!.aborted).toBe(true);
  await expect(room.clock.until(() => false)).rejects.toThrow("nothing is left to happen");
});

test("closing while runs are loaded casts no suspicion on them", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", anyAgent("hangs", never), {}).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  first.kill();
  for (let i = 0; i < 5; i++) {
    const process = await room.boot([flow], { wrap: (store) => replacing(store, { readActors: never }) });
    await room.clock.advance(10);
    await room.settled(process.pawl.close({ graceMs: 10 }));
  }
  const last = await room.boot([flow]);
  await room.clock.advance(10);
  expect(await room.store.readRun("r")).toMatchObject({ status: "running", suspicion: 0 });
  last.kill();
});

test("a sleeping run is not moved by a wall clock that jumps, and many due runs do not keep the store busy", async () => {
  const room = new MachineRoom();
  const at: number[] = [];
  const flaky = anyAgent(
    "flaky",
    (_, { attempt }) => {
      at.push(room.clock.mono());
      if (attempt === 1) throw new Error("down");
      return "up";
    },
    { retry: { initialInterval: "60s", jitter: "none" } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("n", flaky, {}).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(1_000);
  room.clock.wallOffsetMs -= 7_200_000;
  expect(await room.settled(run.result())).toBe("up");
  expect(at[1]! - at[0]!).toBe(60_000);

  const stuck = anyAgent("stuck", (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("down")) : never()), {
    timeout: "1h",
    retry: { initialInterval: "20s", jitter: "none" },
  });
  const crowd = anyWorkflow("crowd", (wf) => wf.node("n", stuck, {}).result);
  let queries = 0;
  const other = new MachineRoom();
  const busy = await other.boot([crowd], {
    maxConcurrentAttempts: 5,
    wrap: (store) => replacing(store, { dueRuns: (...values) => (queries++, store.dueRuns(...values)) }),
  });
  await other.settled(Promise.all(Array.from({ length: 200 }, (_, i) => busy.pawl.start(crowd, { id: `r${i}`, input: 1 }))));
  await other.clock.advance(120_000);
  expect(queries).toBeLessThan(300);
});

test("inputs are compared as they are stored, whatever they hold", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", () => 1);
  const { pawl } = await room.boot([flow]);
  const start = (id: string, input: unknown): Promise<unknown> => room.settled(pawl.start(flow, { id, input }));
  for (const [id, input, other] of [
    ["map", new Map([["k", 1]]), new Map([["k", 2]])],
    ["nan", { n: Number.NaN }, { n: null }],
    ["big", { n: 1n }, { n: 1 }],
  ] as const) {
    await start(id, input);
    await expect(start(id, structuredClone(input))).resolves.toBeDefined();
    await expect(start(id, other)).rejects.toMatchObject({ code: "PAWL_RUN_CONFLICT" });
  }
});

test("the failure that a run reports is the first, also after a crash; nodes that were queued again are not shown as running", async () => {
  const room = new MachineRoom();
  const fails = anyAgent(
    "fails",
    (ms: number) => new Promise((_resolve, reject) => room.clock.after(ms, () => reject(new AgentError("no", { kind: "critical" })))),
  );
  const flow = anyWorkflow("flow", (wf) => {
    wf.node("a", fails, 2_000);
    wf.node("b", fails, 1_000);
    wf.node("c", fails, 9_000);
  });
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(5_000);
  first.kill();
  const second = await room.boot([flow], { maxConcurrentAttempts: 1 });
  const run = await second.pawl.run("r");
  expect((await room.settled(run.ended())).failure?.node).toBe("b");

  const wide = anyWorkflow("wide", (wf) => [1, 2, 3].forEach((i) => wf.node(`n${i}`, anyAgent("hangs", never), {})));
  await room.settled(second.pawl.start(wide, { id: "w", input: 1 }));
  second.kill();
  const third = await room.boot([wide], { maxConcurrentAttempts: 1 });
  await room.clock.advance(10);
  expect((await (await third.pawl.run("w")).nodes()).map(({ status }) => status)).toEqual(["running", "queued", "queued"]);
});

test("two who wait for a sleeping run both hear of its end, although a start of the same id woke them in between", async () => {
  const room = new MachineRoom();
  const flaky = anyAgent("flaky", (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("down")) : "up"), {
    retry: { initialInterval: "60s", jitter: "none" },
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", flaky, {}).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(100);
  const waiting = Promise.all([run.result(), run.result()]);
  await room.clock.advance(100);
  await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  expect(await room.settled(waiting)).toEqual(["up", "up"]);
});

/** Counters agree with a recount from the statuses. */
function countersAgree(progress: Progress, graph: Graph): boolean {
  let [queued, running] = [0, 0];
  for (let index = 0; index < graph.size; index++) {
    if (graph.node(index).kind !== "call") continue;
    if (progress.status(index) === "queued") queued++;
    if (progress.status(index) === "running") running++;
  }
  return queued <= progress.queued + progress.parked && running === progress.running;
}
