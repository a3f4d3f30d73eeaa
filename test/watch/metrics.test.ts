/**
 * What a process counts: each thing once it is durable, and never twice.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMachine } from "xstate";
import { AgentError, type Metrics, type Pawl, open, step } from "../../src/index.ts";
import { noFacts } from "../../src/process-facts.ts";
import { CountingMeter } from "../../src/watch/meter.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { IDLE_WORKER } from "./idle-worker.ts";

const ONCE = { retry: { maxAttempts: 1 } };
const works = anyAgent("works", () => 1);
const flaky = anyAgent(
  "flaky",
  (_, { attempt }) => {
    if (attempt < 3) throw new AgentError("busy", { kind: "resource" });
  },
  { retry: { jitter: "none" } },
);
const broken = anyAgent("broken", () => Promise.reject(new AgentError("no key", { kind: "configuration" })));
const slow = anyAgent("slow", never, { ...ONCE, timeout: "1m" });
const undo = anyAgent("undo", () => {});

const fine = anyWorkflow("fine", (wf) => {
  wf.node("a", works, {});
  wf.node("b", flaky, {});
  wf.map("m", [1, 2, 3], works, (item) => ({ item }));
});
const fails = anyWorkflow("fails", (wf) => {
  const a = wf.node("a", broken, {});
  wf.node("b", works, a.result);
});
const late = anyWorkflow("late", (wf) => void wf.node("a", slow, {}, { onFail: { use: works } }));
const undone = anyWorkflow("undone", (wf) => {
  const a = wf.node("a", works, {}, { compensate: undo });
  wf.node("b", broken, a.result, { onFail: "compensate" });
});
const ALL = [fine, fails, late, undone];

async function play(pawl: Pawl, room: MachineRoom, ids = ["fine", "fails", "late", "undone"]): Promise<void> {
  for (const id of ids)
    await room.settled(
      pawl.start(
        ALL.find(({ name }) => name === id)!,
        { id, input: {} },
      ),
    );
  for (const id of ids) await room.settled((await pawl.run(id)).ended());
}

test("runs and attempts are counted by workflow, agent and kind, with what they took", async () => {
  const room = new MachineRoom();
  const { pawl } = await room.boot(ALL);
  await play(pawl, room);
  const { workflows, agents, worker, store } = await pawl.metrics();
  const counts = (name: string): object => {
    const { seconds, nodes: _nodes, ...rest } = workflows[name]!;
    expect(seconds.count).toBe(1);
    return Object.fromEntries(Object.entries(rest).filter(([, count]) => count > 0));
  };
  expect(counts("fine")).toEqual({ started: 1, completed: 1 });
  expect(counts("fails")).toEqual({ started: 1, failed: 1, blocked: 1 });
  expect(counts("late")).toEqual({ started: 1, completed: 1 });
  expect(counts("undone")).toEqual({ started: 1, failed: 1, compensated: 1 });
  expect(agents["works"]).toMatchObject({ started: 6, succeeded: 6, failed: {}, retries: 0, compensations: 0, attempts: { 1: 6 } });
  expect(agents["flaky"]).toMatchObject({ started: 3, succeeded: 1, failed: { resource: 2 }, retries: 2, attempts: { 3: 1 } });
  expect(agents["broken"]).toMatchObject({ started: 2, succeeded: 0, failed: { configuration: 2 }, retries: 0 });
  expect(agents["slow"]).toMatchObject({ started: 1, failed: { timeout: 1 } });
  expect(agents["slow"]!.seconds).toMatchObject({ count: 1, sum: expect.closeTo(60, 0) as number });
  expect(agents["undo"]).toMatchObject({ started: 1, succeeded: 1, compensations: 1 });
  expect(worker).toEqual({ ...IDLE_WORKER, workflows: 4 });
  expect(store.seconds.count).toBeGreaterThan(5);
  expect(store.commits).toBeGreaterThanOrEqual(store.seconds.count);
});

test("what waits and runs now is told, and what was given up", async () => {
  const room = new MachineRoom();
  const wide = anyWorkflow("wide", (wf) => {
    for (const id of ["a", "b", "c"]) wf.node(id, slow, {});
  });
  const { pawl } = await room.boot([wide], { maxConcurrentAttempts: 2 });
  const run = await room.settled(pawl.start(wide, { id: "w", input: {} }));
  await room.clock.advance(1_000);
  expect((await pawl.metrics()).worker).toEqual({
    ...IDLE_WORKER,
    ...{ workflows: 1, runsInMemory: 1, runsActive: 1, attemptsQueued: 1, attemptsRunning: 2, permitsHeld: 2, permitsMax: 2 },
  });
  await room.settled(run.cancel());
  const { agents, workflows } = await pawl.metrics();
  expect(agents["slow"]).toMatchObject({ started: 2, cancelled: 2, succeeded: 0, failed: {} });
  expect(workflows["wide"]).toMatchObject({ cancelled: 1 });
});

test("after a crash at any commit the two processes together count each end once, and who goes on counts a recovery", async () => {
  for (const fault of ["crashBefore", "crashAfter"] as const)
    for (let at = 2; ; at++) {
      const room = new MachineRoom();
      const first = await room.boot(ALL, { fault: (group) => (group === at ? fault : undefined) });
      await room.settled(first.pawl.start(fine, { id: "fine", input: {} }));
      await room.clock.advance(60_000);
      if (first.isAlive) break;
      const second = await room.boot(ALL);
      await room.settled((await second.pawl.run("fine")).ended());
      const [before, after] = [await first.pawl.metrics(), await second.pawl.metrics()];
      const sum = (count: (metrics: Metrics) => number | undefined): number => (count(before) ?? 0) + (count(after) ?? 0);
      // what the first one wrote and did not live to see is nobody's
      const ended = (await room.store.readRun("fine"))!.commitNo === before.store.commits + (fault === "crashAfter" ? 1 : 0);
      expect(
        sum(({ workflows }) => workflows["fine"]?.completed),
        `${fault} of ${at}`,
      ).toBe(ended ? 0 : 1);
      expect(after.workflows["fine"]?.recovered ?? 0).toBe(ended ? 0 : 1);
      expect(sum(({ agents }) => agents["flaky"]?.succeeded)).toBeLessThanOrEqual(1);
    }
});

test("runs that are set aside, that stall, and notices are counted; so are steps of machines", async () => {
  const room = new MachineRoom();
  const asks = createMachine({
    id: "asks",
    initial: "asking",
    states: { asking: { invoke: { src: step(flaky), input: {}, onDone: "done" } }, done: { type: "final" } },
  });
  const waits = anyWorkflow("waits", (wf) => void wf.node("a", anyAgent("stays", never, { timeout: "1h" }), {}), { timeout: 7_200_000 });
  const { pawl } = await room.boot([fails, asks, waits], { notify: () => {}, stallAfter: "10m" });
  await room.settled(pawl.start(fails, { id: "f", input: {} }));
  await room.settled(pawl.start(waits, { id: "w", input: {} }));
  const run = await room.settled(pawl.start(asks, { id: "m" }));
  await room.settled(run.ended());
  await room.clock.advance(700_000);
  const { agents, workflows, notices, stalls } = await pawl.metrics();
  expect(workflows["asks"]).toMatchObject({ started: 1, completed: 1, nodes: { "0.asks.asking": { completed: 1, failed: 0 } } });
  expect(agents["flaky"]).toMatchObject({ started: 3, succeeded: 1, failed: { resource: 2 }, retries: 2 });
  expect({ notices, stalls }).toEqual({ notices: { "run.failed": 1, "run.stalled": 1 }, stalls: 1 });
  room.store.tamper("w", ({ run: row }) => Object.assign(row, { body: "{" }));
  const next = await room.boot([waits]);
  await room.clock.advance(60_000);
  expect((await next.pawl.metrics()).quarantined).toBe(0);
  await room.settled(pawl.close({ graceMs: 0 }));
  await room.clock.advance(60_000);
  expect((await next.pawl.metrics()).quarantined).toBe(1);
});

test("a process of its own tells its memory, its store and its event loop", async () => {
  const file = join(temporaryFolder().path, "pawl.db");
  await using pawl = await open(file);
  const { process, store } = await pawl.metrics();
  expect(store.sizeBytes).toBeGreaterThan(10_000);
  expect(process).toMatchObject({ loopDelaySeconds: { mean: expect.any(Number), p99: expect.any(Number), max: expect.any(Number) } });
  expect(process.residentBytes).toBeGreaterThan(process.heapUsedBytes);
  expect(await pawl.metricsText()).toMatch(/^pawl_store_size_bytes \d+$/m);
});

test("names without end are counted as one", async () => {
  const meter = new CountingMeter(noFacts);
  for (let i = 0; i < 3_000; i++) {
    meter.attempts("any")({ kind: "started", agent: `a${i}` });
    for (const workflow of ["one", "other"]) meter.attempts(workflow)({ kind: "ended", node: `n${i}`, as: "completed", ms: 1 });
  }
  const { agents, workflows } = await meter.look({ at: 0, worker: IDLE_WORKER, limits: {}, breakers: {}, health: {} });
  expect(Object.keys(agents)).toHaveLength(1_001);
  expect(agents["(other)"]!.started).toBe(2_000);
  expect(["one", "other"].map((workflow) => Object.keys(workflows[workflow]!.nodes).length)).toEqual([1_001, 1_001]);
  expect(workflows["one"]!.nodes["(other)"]!.completed).toBe(2_000);
});
