/**
 * Ended runs of workflows that are taken up again in place: retry of what failed, resume of what was cut off.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createMachine, fromPromise, setup } from "xstate";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { type Reopened, resumeRun, retryRun } from "../../src/run/reopen.ts";
import { listCheckpoints } from "../../src/run/checkpoints.ts";
import type { Commit, Store } from "../../src/store/store.ts";
import { cases } from "../sim/cases.ts";
import { type Act, type DagSpec, type NodeSpec, dagSpec, expectedOf, workflowOf } from "../sim/dag.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";
import type { Startable } from "../../src/run/startable.ts";
import type { RunView } from "../../src/run/view.ts";

/** Two branches: `a` with `afterA` behind it, `b`; and `c`, which needs nothing. Nodes in `broken` fail, those in `stuck` hang. */
class Branches extends MachineRoom {
  readonly calls: string[] = [];
  readonly broken = new Set<string>();
  readonly stuck = new Set<string>();
  readonly #agent = anyAgent("works", async (_, { nodeId, idempotencyKey, attempt }) => {
    this.calls.push(`${idempotencyKey} ${attempt}`);
    if (this.stuck.has(nodeId)) return never();
    if (this.broken.has(nodeId)) throw new Error(`${nodeId} is broken`);
    return { by: nodeId };
  });
  readonly flow = anyWorkflow(
    "branches",
    (wf) => {
      const options = { retry: { maxAttempts: 2, initialInterval: "1s" } } as const;
      const a = wf.node("a", this.#agent, {}, options);
      const afterA = wf.node("afterA", this.#agent, { a: a.result }, options);
      const b = wf.node("b", this.#agent, {}, options);
      const c = wf.node("c", this.#agent, {}, { ...options, onFail: "skip" });
      return { a: afterA.result, b: b.result, c: c.result };
    },
    { timeout: 60_000 },
  );
  process!: SimProcess;

  async played(): Promise<RunView> {
    this.process = await this.boot([this.flow]);
    return this.settled((await this.settled(this.process.pawl.start(this.flow, { id: "r", input: {} }))).ended());
  }

  /** What became of the run, taken up again. */
  async again(reopened: Promise<Reopened>): Promise<{ runsAgain: readonly string[]; run: RunView; calls: string[] }> {
    this.calls.length = 0;
    const { runsAgain } = await reopened;
    await this.settled(this.process.pawl.reconcile());
    const run = await this.settled((await this.settled(this.process.pawl.run("r"))).ended());
    return { runsAgain, run, calls: this.calls.toSorted() };
  }

  get now(): { at: number } {
    return { at: this.clock.now() };
  }

  async statuses(): Promise<Record<string, string>> {
    const run = await this.settled(this.process.pawl.run("r"));
    return Object.fromEntries((await run.nodes()).map(({ id, status }) => [id, status]));
  }
}

async function failed(...broken: string[]): Promise<Branches> {
  const room = new Branches();
  for (const node of broken) room.broken.add(node);
  expect((await room.played()).status).toBe("failed");
  return room;
}

test("retry runs what failed and what was blocked again, in place: same keys, a fresh count of attempts, results kept", async () => {
  const room = await failed("a", "b");
  room.broken.clear();
  const { runsAgain, run, calls } = await room.again(retryRun(room.store, "r", room.now));
  expect(runsAgain).toEqual(["a", "afterA", "b"]);
  expect(calls).toEqual(["r/a#1 1", "r/afterA#1 1", "r/b#1 1"]);
  expect(run).toMatchObject({ status: "completed", failure: undefined, output: { a: { by: "afterA" }, b: { by: "b" }, c: { by: "c" } } });
  const history = (await Array.fromAsync(listCheckpoints(room.store, "r"))).flatMap(({ events }) => events);
  const told = history.filter(({ type }) => type.startsWith("run.")).map(({ type, node }) => `${type} ${node ?? ""}`.trim());
  expect(told).toEqual(["run.started", "run.failed", "run.retried", "run.retried a", "run.retried b", "run.recovered", "run.completed"]);
});

test("retry has all attempts again, and may fail again and again", async () => {
  const room = await failed("a");
  for (let i = 0; i < 3; i++) {
    const { run, calls } = await room.again(retryRun(room.store, "r", room.now));
    expect(run).toMatchObject({ status: "failed", failure: { node: "a", message: "a is broken" } });
    expect(calls).toEqual(["r/a#1 1", "r/a#1 2"]);
  }
  room.broken.clear();
  expect((await room.again(retryRun(room.store, "r", room.now))).run.status).toBe("completed");
});

test("of several failed nodes only those that are named run again; the run fails of the others", async () => {
  const room = await failed("a", "b");
  room.broken.clear();
  const { runsAgain, run } = await room.again(retryRun(room.store, "r", { ...room.now, nodes: ["a"] }));
  expect(runsAgain).toEqual(["a", "afterA"]);
  expect(run).toMatchObject({ status: "failed", failure: { node: "b" } });
  expect(await room.statuses()).toEqual({ a: "completed", afterA: "completed", b: "failed", c: "completed" });
  expect((await room.again(retryRun(room.store, "r", room.now))).run.status).toBe("completed");
});

test("only nodes that failed can be named", async () => {
  const room = await failed("a");
  const named = (...nodes: string[]): Promise<Reopened> => retryRun(room.store, "r", { ...room.now, nodes });
  const code = "PAWL_INVALID_VALUE";
  const next = "those that failed are a";
  await expect(named("b")).rejects.toMatchObject({ code, message: 'node "b" of run "r" did not fail: it is completed', next });
  await expect(named("a", "afterA")).rejects.toMatchObject({ code, message: expect.stringContaining("it is blocked by one that did"), next });
  await expect(named("d")).rejects.toMatchObject({ code, message: expect.stringContaining('no node "d"; did you mean'), next });
  await expect(named()).rejects.toMatchObject({ code, next });
  expect((await room.store.readRun("r"))!.status).toBe("failed");
});

test("what a cancel cut off goes on by resume, and what had failed stays failed; by retry that runs again, too", async () => {
  for (const verb of [resumeRun, retryRun]) {
    const room = new Branches();
    room.broken.add("b");
    room.stuck.add("a");
    room.process = await room.boot([room.flow]);
    const started = await room.settled(room.process.pawl.start(room.flow, { id: "r", input: {} }));
    await room.clock.advance(10_000);
    await room.settled(started.cancel());
    room.stuck.clear();
    room.broken.clear();
    const { runsAgain, run, calls } = await room.again(verb(room.store, "r", room.now));
    if (verb === retryRun) {
      expect(run.status).toBe("completed");
      expect(runsAgain).toEqual(["a", "afterA", "b"]);
    } else {
      expect(run).toMatchObject({ status: "failed", failure: { node: "b" } });
      expect(runsAgain).toEqual(["a", "afterA"]);
    }
    expect(calls).toEqual(runsAgain.map((node) => `r/${node}#1 1`));
    const types = (await Array.fromAsync(listCheckpoints(room.store, "r"))).flatMap(({ events }) => events.map(({ type }) => type));
    expect(types).toContain(verb === retryRun ? "run.retried" : "run.continued");
  }
});

test("a run that reached its timeout goes on by resume, with its whole time again", async () => {
  const room = new Branches();
  room.stuck.add("a");
  expect((await room.played()).status).toBe("timedOut");
  const { at } = room.now;
  const again = await room.again(resumeRun(room.store, "r", room.now));
  expect(again.run.status).toBe("timedOut");
  expect(room.clock.now() - at).toBe(60_000);
  room.stuck.clear();
  const { run, calls } = await room.again(resumeRun(room.store, "r", room.now));
  expect(run.status).toBe("completed");
  expect(calls).toEqual(["r/a#1 1", "r/afterA#1 1"]);
});

test("a run that failed of its timeout is one that was cut off", async () => {
  const room = new MachineRoom();
  let isStuck = true;
  const waits = anyAgent("waits", () => (isStuck ? never() : "done"));
  const flow = anyWorkflow("strict", (wf) => wf.node("a", waits, {}).result, { timeout: 1_000, onTimeout: "abort" });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: {} }));
  expect((await room.settled(run.ended())).status).toBe("failed");
  isStuck = false;
  await resumeRun(room.store, "r", { at: room.clock.now() });
  await room.settled(process.pawl.reconcile());
  expect(await room.settled(run.ended())).toMatchObject({ status: "completed", output: "done" });
});

test("what cannot be taken up again says what to do instead", async () => {
  const code = "PAWL_RUN_NOT_RETRYABLE";
  const room = new Branches();
  room.broken.add("c");
  expect(await room.played()).toMatchObject({ status: "completed", degraded: true });
  const skipped = { code, message: expect.stringMatching(/is completed, though nodes were skipped/), next: expect.stringContaining("fork") };
  for (const verb of [retryRun, resumeRun]) await expect(verb(room.store, "r", room.now)).rejects.toMatchObject(skipped);
  const other = await failed("a");
  await expect(resumeRun(other.store, "r", other.now)).rejects.toMatchObject({ code, next: expect.stringContaining("retry") });
  other.stuck.add("a");
  await retryRun(other.store, "r", other.now);
  const running = { code, message: 'run "r" is running', next: expect.stringContaining("cancel it first") };
  for (const verb of [retryRun, resumeRun]) await expect(verb(other.store, "r", other.now)).rejects.toMatchObject(running);
  other.store.tamper("r", ({ run }) => Object.assign(run, { status: "quarantined", reason: "damaged" }));
  for (const verb of [retryRun, resumeRun])
    await expect(verb(other.store, "r", other.now)).rejects.toMatchObject({ code: "PAWL_RUN_QUARANTINED", message: expect.stringContaining("damaged") });
  for (const verb of [retryRun, resumeRun]) await expect(verb(other.store, "x", other.now)).rejects.toMatchObject({ code: "PAWL_RUN_NOT_FOUND" });
});

test("a run whose output was refused has nothing to retry; a machine's run is forked instead", async () => {
  const room = new MachineRoom();
  const long = anyAgent("long", () => "x".repeat(600_000));
  const flow = anyWorkflow("large", (wf) => [wf.node("a", long, {}).result, wf.node("b", long, {}).result]);
  const machine = createMachine({ id: "m", initial: "a", states: { a: {} } });
  const process = await room.boot([flow, machine] as Startable[]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: {} }));
  expect(await room.settled(run.ended())).toMatchObject({ status: "failed", failure: { code: "PAWL_VALUE_TOO_LARGE" } });
  const at = room.clock.now();
  await expect(retryRun(room.store, "r", { at })).rejects.toMatchObject({
    code: "PAWL_RUN_NOT_RETRYABLE",
    message: expect.stringMatching(/none of its nodes/),
  });
  const other = await room.settled(process.pawl.start(machine, { id: "m" }));
  await room.settled(other.cancel());
  for (const verb of [retryRun, resumeRun])
    await expect(verb(room.store, "m", { at })).rejects.toMatchObject({
      code: "PAWL_RUN_NOT_RETRYABLE",
      next: expect.stringContaining("fork it from a checkpoint"),
    });
});

test("a node whose attempts are runs of their own gets a new one", async () => {
  const room = new MachineRoom();
  let isBroken = true;
  const work = fromPromise(async () => {
    if (isBroken) throw new Error("broken");
    return 7;
  });
  const machine = setup({ actors: { work } }).createMachine({
    id: "part",
    initial: "works",
    states: { works: { invoke: { src: "work", onDone: "over" } }, over: { type: "final" } },
    output: () => 7,
  });
  const part = agent({ name: "part", input: z.any(), output: z.any(), machine });
  const flow = anyWorkflow("whole", (wf) => wf.node("part", part, {}).result);
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: {} }));
  expect((await room.settled(run.ended())).status).toBe("failed");
  for (const repaired of [false, true]) {
    isBroken = !repaired;
    await retryRun(room.store, "r", { at: room.clock.now() });
    await room.settled(process.pawl.reconcile());
    expect((await room.settled(run.ended())).status).toBe(repaired ? "completed" : "failed");
  }
  const ids = (await room.store.listRuns({ limit: 10 })).map(({ id, status }) => `${id} ${status}`);
  expect(ids.toSorted()).toEqual(["r completed", "r/part failed", "r/part~2 failed", "r/part~3 completed"]);
});

test("of two retries at once one is done, and the other says that somebody was there before", async () => {
  const room = await failed("a");
  const both = await Promise.allSettled([retryRun(room.store, "r", room.now), retryRun(room.store, "r", room.now)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  const { reason } = both.find(({ status }) => status === "rejected") as PromiseRejectedResult;
  expect(reason).toMatchObject({ code: "PAWL_RUN_NOT_RETRYABLE", message: expect.stringContaining("by somebody else") });
  expect((await room.store.readRun("r"))!.commitNo).toBe(
    (both.find(({ status }) => status === "fulfilled") as PromiseFulfilledResult<Reopened>).value.commitNo,
  );
});

test("a retry of which nobody says whether it was written is found, or said not to be there", async () => {
  const room = await failed("a");
  const withReopen = (reopen: Store["reopen"]): Store =>
    new Proxy<Store>(room.store, { get: (inner, key: keyof Store) => (key === "reopen" ? reopen : (inner[key] as () => unknown).bind(inner)) });
  await expect(
    retryRun(
      withReopen(async () => "full"),
      "r",
      room.now,
    ),
  ).rejects.toMatchObject({ code: "PAWL_STORE_FULL" });
  await expect(
    retryRun(
      withReopen(async () => "unknown"),
      "r",
      room.now,
    ),
  ).rejects.toMatchObject({ code: "PAWL_STORE_FAILED" });
  const written = withReopen(async (commit: Commit) => (await room.store.reopen(commit), "unknown"));
  expect((await retryRun(written, "r", room.now)).runsAgain).toEqual(["a", "afterA"]);
});

// ---- random workflows

type Ending = "cancel" | "end";
/** A node whose agent can be repaired. */
type Scripted = Omit<NodeSpec, "script"> & { script: readonly Act[] };

async function ended(room: MachineRoom, spec: DagSpec, calls: number[], ending: Ending, afterMs: number): Promise<SimProcess> {
  const flow = workflowOf(spec, () => ({
    called: (index) => calls.push(index) > 0,
    later: (delayMs, callback) => void room.clock.after(delayMs, callback),
  }));
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: { start: 1 } }));
  if (ending === "end") await room.settled(run.ended());
  else await room.clock.advance(afterMs);
  if (ending === "cancel") await room.settled(run.cancel());
  return process;
}

test("a retry ends as the model says, whatever was repaired before, and calls what had not ended well, and nothing else", async () => {
  let retries = 0;
  await fc.assert(
    fc.asyncProperty(
      dagSpec(8),
      fc.constantFrom<Ending>("end", "end", "cancel"),
      fc.integer({ min: 0, max: 30_000 }),
      fc.array(fc.record({ repaired: fc.array(fc.nat(7)), named: fc.option(fc.array(fc.nat(7), { minLength: 1 })) }), { minLength: 1, maxLength: 3 }),
      async (given, ending, afterMs, rounds) => {
        const spec = structuredClone(given) as Scripted[];
        const room = new MachineRoom();
        const calls: number[] = [];
        const process = await ended(room, spec, calls, ending, afterMs);
        const run = await process.pawl.run("r");
        for (const { repaired, named } of rounds) {
          const { status } = (await room.store.readRun("r"))!;
          if (status === "completed") break;
          const before = await run.nodes();
          const isKept = (index: number): boolean => ["completed", "skipped"].includes(before[index]!.status);
          for (const index of repaired) if (index < spec.length && !isKept(index)) spec[index]!.script = ["ok", "ok", "ok"];
          const nodes = named?.filter((index) => before[index]?.status === "failed").map((index) => `n${index}`);
          const isNamed = (index: number): boolean => nodes === undefined || nodes.length === 0 || nodes.includes(`n${index}`);
          const staysFailed = before.map((node, index) => node.status === "failed" && !isNamed(index));
          calls.length = 0;
          const { runsAgain } = await retryRun(room.store, "r", { at: room.clock.now(), ...(nodes !== undefined && nodes.length > 0 && { nodes }) });
          retries++;
          await room.settled(process.pawl.reconcile());
          const view = await room.settled(run.ended());
          const model = spec.map((node, index) => (staysFailed[index] ? { ...node, maxAttempts: 1, script: ["fatal" as const] } : node));
          const expected = expectedOf(model);
          const after = await run.nodes();
          expect(after.map((node) => node.status)).toEqual(expected.nodes.map((node) => node.status));
          after.forEach((node, index) => {
            const attempt = isKept(index) || staysFailed[index] ? before[index]!.attempt : expected.nodes[index]!.attempt;
            expect([node.id, node.attempt]).toEqual([node.id, attempt]);
          });
          expect(view.status).toBe(expected.status);
          if (expected.status === "completed") expect(view.output).toEqual({ values: expected.nodes.map(({ value }) => value) });
          const ran = expected.nodes.flatMap((node, index) => (node.status !== "blocked" && !isKept(index) && !staysFailed[index] ? index : []));
          expect([...new Set(calls)].toSorted((a, b) => a - b)).toEqual(ran);
          for (const index of ran) expect(runsAgain).toContain(`n${index}`);
          for (const node of runsAgain) expect(isKept(Number(node.slice(1)))).toBe(false);
        }
        process.kill();
      },
    ),
    cases({ short: 100, long: 3_000 }),
  );
  expect(retries).toBeGreaterThan(30);
}, 900_000);
