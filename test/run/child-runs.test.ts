/**
 * Runs that belong to nodes and steps of other runs: what waits for them holds nothing up, and they end with what wants
 * them, however processes die, stop and come back.
 */
import { type AnyStateMachine, setup } from "xstate";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { seededRandom } from "../../src/testing/seeded-random.ts";
import type { Startable } from "../../src/run/startable.ts";
import { agent } from "../../src/define/agent.ts";
import { childRunId } from "../../src/run/attempt.ts";
import { parentsOf } from "../../src/run/child-address.ts";
import { definitionOf, beginRun } from "../../src/run/definition.ts";
import { childrenOf, isOrphan, parentOf } from "../../src/run/orphans.ts";
import { stepServices } from "../../src/run/steps.ts";
import { requireRun } from "../../src/run/view.ts";
import { Worker } from "../../src/run/worker.ts";
import { step } from "../../src/run/xstate/step.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { replacing } from "../sim/process.ts";

/** As many runs as may be active at once: with one more nothing else would start. */
const ACTIVE_MAX = 100;

const approval = setup({ types: { events: {} as { type: "GO" } } }).createMachine({
  id: "approval",
  initial: "waiting",
  states: { waiting: { on: { GO: "done" } }, done: { type: "final" } },
});
const worked = setup({ actors: { work: step(anyAgent("work", () => 1)) } }).createMachine({
  id: "worked",
  initial: "working",
  states: { working: { invoke: { src: "work", input: {}, onDone: "done" } }, done: { type: "final" } },
});
const agentOf = (machine: AnyStateMachine) => agent({ name: `agent-${machine.id}`, input: z.any(), output: z.any(), machine } as never);
const flowOf = (machine: AnyStateMachine) => anyWorkflow(`flow-${machine.id}`, (wf) => wf.node("n", agentOf(machine), {}).result);
const plain = anyWorkflow(
  "plain",
  (wf) =>
    wf.node(
      "n",
      anyAgent("one", () => 1),
      {},
    ).result,
);

/** A machine that waits in its first state for a run of its own, or LEAVE. */
const waiting = (actor: unknown): AnyStateMachine =>
  setup({ types: { events: {} as { type: "LEAVE" } }, actors: { child: actor as never } }).createMachine({
    id: "waiting-machine",
    initial: "waiting",
    states: { waiting: { invoke: { src: "child", input: {} as never, onDone: "done" }, on: { LEAVE: "left" } }, done: { type: "final" }, left: {} },
  });

/** Everything that waits for a run of its own: with the id of that run when it itself is called "r". */
const PARENTS: readonly { readonly what: string; readonly parent: Startable; readonly others: readonly Startable[]; readonly child: RegExp }[] = [
  { what: "a node whose agent is a machine", parent: flowOf(approval), others: [approval], child: /^r\/n$/ },
  { what: "a machine that invokes a workflow", parent: waiting(step(flowOf(approval))), others: [flowOf(approval), approval], child: /^r\/[^/]*~\d+$/ },
  { what: "a step whose agent is a machine", parent: waiting(step(agentOf(approval) as never)), others: [approval], child: /^r\/[^/]*~\d+$/ },
];

const statuses = async (room: MachineRoom): Promise<Record<string, string>> =>
  Object.fromEntries((await room.store.listRuns({ limit: 1_000 })).map(({ id, status }) => [id, status]));

describe("what waits for a run of its own", () => {
  test.each([approval, worked])("holds no place among the active runs: others start, and so do its own run's steps ($id)", async (machine) => {
    const room = new MachineRoom();
    const flow = flowOf(machine);
    const { pawl } = await room.boot([flow, machine, plain]);
    await room.settled(Promise.all(Array.from({ length: ACTIVE_MAX }, (_, i) => pawl.start(flow, { id: `r${i}`, input: 1 }))));
    await room.clock.advance(5_000);
    await room.settled(pawl.start(plain, { id: "other", input: 1 }));
    await room.clock.advance(5_000);
    const all = await statuses(room);
    expect(all["other"]).toBe("completed");
    const expected = machine === worked ? "completed" : "running";
    expect(Object.entries(all).filter(([id, status]) => id !== "other" && status !== expected)).toEqual([]);
  });

  test.each(PARENTS)("is counted by its worker, as long as it waits for nothing else: $what", async ({ parent }) => {
    const room = new MachineRoom();
    const { clock, store } = room;
    const attempts = { log: { debug() {}, info() {}, warn() {}, error() {} }, environment: () => undefined };
    const seams = { clock, store, random: seededRandom(1), attempts, onFatal: () => {} };
    const worker = new Worker(seams, { maxConcurrentAttempts: 10 });
    worker.services = stepServices(seams, { childRun: never, otherRun: never }, () => "any");
    worker.epoch = await store.openEpoch(clock.now(), "{}");
    const run = beginRun(definitionOf(parent), "r", "{}", worker);
    worker.host(run, clock.now());
    expect([run.waitsForChild, worker.waitingForChildren]).toEqual([false, 0]);
    await clock.settle();
    expect([run.waitsForChild, worker.waitingForChildren, run.held]).toEqual([true, 1, 0]);
    const other = beginRun(definitionOf(anyWorkflow("hangs", (wf) => wf.node("n", anyAgent("hang", never), {}).result)), "other", "{}", worker);
    worker.host(other, clock.now());
    await clock.settle();
    expect([other.waitsForChild, worker.waitingForChildren, other.held]).toEqual([false, 1, 1]);
    run.cancel();
    await clock.settle();
    expect([worker.runs.has("r"), worker.waitingForChildren]).toEqual([false, 0]);
  });
});

describe("a run that belongs to another", () => {
  test.each(PARENTS)("goes on when the worker of both comes back and others have them: $what", async ({ parent, others }) => {
    const room = new MachineRoom();
    const a = await room.boot([parent, ...others]);
    await room.settled(a.pawl.start(parent, { id: "r", input: {} }));
    await room.clock.advance(500);
    await room.boot([parent, ...others]);
    await room.clock.advance(2_000);
    a.stop();
    await room.clock.advance(25_000);
    const before = await statuses(room);
    a.goOn();
    await room.clock.advance(5_000);
    expect(Object.keys(before).length).toBeGreaterThan(1);
    expect(new Set(Object.values(before))).toEqual(new Set(["running"]));
    expect(await statuses(room)).toEqual(before);
  });

  test.each(PARENTS)("is cancelled with it also when that is done while nobody works on them: $what", async ({ parent, others, child }) => {
    const room = new MachineRoom();
    const a = await room.boot([parent, ...others]);
    await room.settled(a.pawl.start(parent, { id: "r", input: {} }));
    await room.clock.advance(500);
    const record = await requireRun(room.store, "r");
    const children = await childrenOf(room.store, record);
    expect(children).toEqual([expect.stringMatching(child)]);
    a.kill();
    const client = await room.boot([parent], { execute: false });
    await room.settled((await client.pawl.run("r")).cancel({ now: true }));
    await room.boot([parent, ...others]);
    await room.clock.advance(60_000);
    expect(new Set(Object.values(await statuses(room)))).toEqual(new Set(["cancelled"]));
  });

  test("is found as the attempt that runs, after others that took too long", async () => {
    const room = new MachineRoom();
    const attempts = { timeout: 1_000, retry: { maxAttempts: 3, initialInterval: 600, backoffCoefficient: 1, jitter: "none" } };
    const slow = agent({ name: "slow", input: z.any(), output: z.any(), machine: approval, ...attempts } as never);
    const flow = anyWorkflow("slow-flow", (wf) => wf.node("n", slow, {}).result);
    const parents: Record<string, Startable> = { flow, steps: waiting(step(slow as never)) };
    const { pawl } = await room.boot([...Object.values(parents), approval]);
    for (const [id, parent] of Object.entries(parents)) await room.settled(pawl.start(parent, { id, input: {} }));
    let seen = 0;
    for (let second = 0; second < 6; second++) {
      await room.clock.advance(500);
      for (const id of Object.keys(parents)) {
        const record = await requireRun(room.store, id);
        const running = (await room.store.listRuns({ limit: 100, unfinished: true })).filter((run) => run.id.startsWith(`${id}/`));
        expect(await childrenOf(room.store, record)).toEqual(running.map((run) => run.id));
        if (running.some((run) => run.id.endsWith("~2"))) seen++;
      }
    }
    expect(seen).toBeGreaterThan(0);
  });

  test.each(["flow", "machine"] as const)("is not created any more when its %s no longer wants it, whenever the process dies", async (kind) => {
    const parent: Startable = kind === "flow" ? flowOf(approval) : waiting(step(flowOf(approval)));
    const leave = async (run: any): Promise<void> => void (await (kind === "flow" ? run.cancel() : run.send({ type: "LEAVE" })));
    const seen = { parentIsDone: 0, created: 0, never: 0 };
    for (let crash = 1; crash <= 5; crash++)
      for (let wait = 0; wait < 12; wait++)
        for (const fault of ["crashAfter", "crashBefore"] as const) {
          const room = new MachineRoom();
          const pause = async (turns: number): Promise<void> => {
            for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => room.clock.soon(resolve));
          };
          const a = await room.boot([parent, flowOf(approval), approval], {
            fault: (group) => (group === crash ? fault : undefined),
            wrap: (store) => replacing(store, { readRun: async (id) => (id.startsWith("r/") && (await pause(3)), store.readRun(id)) }),
          });
          const work = a.pawl.start(parent, { id: "r", input: {} }).then(async (run) => (await pause(wait), leave(run)));
          work.catch(() => {});
          await room.clock.advance(3_000);
          a.kill();
          await room.boot([parent, flowOf(approval), approval]);
          await room.clock.advance(60_000);
          const run = await room.store.readRun("r");
          const isDone =
            kind === "flow"
              ? run?.status === "cancelled"
              : run?.body !== undefined && (await room.store.readActors("r")).every(({ key }) => key === "machine~1" || key.startsWith("input"));
          const left = (await room.store.listRuns({ limit: 10 })).filter(({ id }) => id !== "r");
          if (!isDone) continue;
          seen.parentIsDone++;
          seen[left.length === 0 ? "never" : "created"]++;
          expect(left.filter(({ status }) => status !== "cancelled").map(({ id }) => `${id}, crash ${crash} ${fault}, after ${wait} turns`)).toEqual([]);
        }
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(0);
  });

  test("is an orphan when the nearest run that its id names is over or gone, and not when that was set aside", async () => {
    const room = new MachineRoom();
    const { pawl } = await room.boot([plain, approval]);
    await room.settled(pawl.start(approval, { id: "open" }));
    await room.settled((await room.settled(pawl.start(plain, { id: "over", input: 1 }))).result());
    const asked = ["open", "open/n", "open/a~1/b~2", "over", "over/n~2", "gone/n"];
    expect(await Promise.all(asked.map((id) => isOrphan(room.store, id)))).toEqual([false, false, false, false, true, true]);
    const { epoch } = await requireRun(room.store, "open");
    await room.store.quarantine(epoch, "open", "its state cannot be used", room.clock.now());
    expect(await isOrphan(room.store, "open/n")).toBe(false);
    expect([parentOf("r"), parentOf(childRunId("r/n", "m", 2)), parentsOf("r/a~1/b~2")]).toEqual([undefined, "r/n", ["r/a~1", "r"]]);
  });
});
