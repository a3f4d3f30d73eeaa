/**
 * Workers beside each other, one scene each: who takes over from whom and when, how work is shared, what a client may ask
 * when nobody is there.
 */
import { expect, test } from "vitest";
import { setup } from "xstate";
import { open } from "../../src/index.ts";
import type { Store } from "../../src/store/store.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";
import { type SimProcess, replacing } from "../sim/process.ts";

const LEASE_MS = 15_000;
const echo = anyAgent("echo", (input: unknown) => input);
const flow = anyWorkflow("flow", (wf) => wf.node("n", echo, "done").result);

/** A workflow whose one node runs until it is told; with what was told to its agents when they were aborted. */
function held(): { flow: typeof flow; calls: () => number; reasons: string[]; end: (value: string) => void } {
  const ends: ((value: string) => void)[] = [];
  const reasons: string[] = [];
  const agent = anyAgent("held", (_input, { signal }) => {
    const { promise, resolve } = deferred<string>();
    ends.push(resolve);
    signal.addEventListener("abort", () => reasons.push((signal.reason as { code: string }).code));
    return promise;
  });
  return { flow: anyWorkflow("held", (wf) => wf.node("n", agent, {}).result), calls: () => ends.length, reasons, end: (value) => ends.at(-1)!(value) };
}

/** Counts calls of the store by their names. */
function counted(counts: Map<string, number>): (store: Store) => Store {
  return (store) =>
    new Proxy(store, {
      get: (inner, method: keyof Store) => {
        counts.set(method, (counts.get(method) ?? 0) + 1);
        return inner[method];
      },
    });
}

test("a worker that is alone neither beats nor looks for others; of two each does", async () => {
  const room = new MachineRoom();
  const counts = new Map<string, number>();
  await room.boot([flow], { wrap: counted(counts) });
  await room.clock.advance(60_000);
  expect([counts.get("beat"), counts.get("isAbandoned")]).toEqual([undefined, undefined]);
  await room.boot([flow]);
  await room.clock.advance(LEASE_MS);
  expect(counts.get("beat")).toBeGreaterThanOrEqual(4);
  expect(counts.get("isAbandoned")).toBeGreaterThan(50);
});

test("the runs of a worker that died go on in another within a second", async () => {
  const room = new MachineRoom();
  const { flow, calls, end } = held();
  const first = await room.boot([flow]);
  const second = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.until(() => calls() === 1);
  first.kill();
  const diedAt = room.clock.mono();
  await room.clock.until(() => calls() === 2);
  expect(room.clock.mono() - diedAt).toBeLessThan(1_000);
  end("second");
  expect(await room.settled((await second.pawl.run("r", flow)).result())).toBe("second");
});

test("a worker that is silent for its lease loses its runs; when it goes on its agents are aborted, and it works with a new epoch", async () => {
  const room = new MachineRoom();
  const { flow: slow, calls, reasons, end } = held();
  const first = await room.boot([slow, flow]);
  const second = await room.boot([slow, flow]);
  const run = await room.settled(first.pawl.start(slow, { id: "r", input: 1 }));
  await room.clock.until(() => calls() === 1);
  const before = (await room.store.readEpochs()).map(({ id }) => id);
  first.stop();
  await room.clock.advance(LEASE_MS - 2_000);
  expect(calls()).toBe(1);
  await room.clock.until(() => calls() === 2);
  first.goOn();
  await room.clock.until(() => reasons.length > 0);
  expect(reasons).toEqual(["PAWL_RUN_MOVED"]);
  end("by the second");
  expect(await room.settled(run.result())).toBe("by the second");
  await room.clock.advance(1_000);
  const after = (await room.store.readEpochs()).map(({ id }) => id);
  expect(after).toHaveLength(2);
  expect(after).not.toContain(before[0]);
  second.kill();
  expect(await room.settled((await room.settled(first.pawl.start(flow, { input: 1 }))).result())).toBe("done");
});

test("a worker whose epoch was closed, and that does not know it yet, starts a run with a new one", async () => {
  const room = new MachineRoom();
  const worker = await room.boot([flow]);
  const [opened] = await room.store.readEpochs();
  await room.store.closeEpoch(opened!.id);
  const started = await room.settled(Promise.all(["a", "b", "a"].map((id) => worker.pawl.start(flow, { id, input: 1 }))));
  const [now] = await room.store.readEpochs();
  expect(now!.id).toBeGreaterThan(opened!.id);
  for (const run of started) {
    expect(await room.settled(run.result())).toBe("done");
    expect(await room.store.readRun(run.id)).toMatchObject({ epoch: now!.id });
  }
});

test("a start in a worker that closes while its epoch was closed by another is refused at once, and nothing is recorded", async () => {
  const room = new MachineRoom();
  const { flow, calls } = held();
  const answered = deferred<void>();
  let tries = 0;
  const commit: (store: Store) => Store["commit"] = (store) => (group) => {
    if (group[0]!.runId !== "r") return store.commit(group);
    if (++tries > 9) return never();
    return answered.promise.then(() => store.commit(group));
  };
  const worker = await room.boot([flow], { wrap: (store) => replacing(store, { commit: commit(store) }) });
  await room.settled(worker.pawl.start(flow, { id: "held", input: 1 }));
  await room.clock.until(() => calls() === 1);
  const start = worker.pawl.start(flow, { id: "r", input: 1 });
  await room.clock.advance(10);
  await room.store.closeEpoch((await room.store.readEpochs())[0]!.id);
  const closing = worker.pawl.close({ graceMs: 1_000 });
  answered.resolve();
  await expect(room.settled(start)).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  await room.settled(closing);
  expect([tries, await room.store.readRun("r"), await room.store.readEpochs()]).toEqual([1, undefined, []]);
});

test("a run whose workers were stopped while they loaded it, again and again, is not taken for one that crashes them", async () => {
  const room = new MachineRoom();
  const { flow, calls, end } = held();
  const stopped: SimProcess[] = [];
  let stops = 0;
  const stopping = async (): Promise<SimProcess> => {
    const process: SimProcess = await room.boot([flow], {
      wrap: (store) =>
        replacing(store, {
          claim: async (...values) => {
            const records = await store.claim(...values);
            if (records.length > 0 && ++stops <= 6) {
              process.stop();
              stopped.push(process);
            }
            return records;
          },
        }),
    });
    return process;
  };
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.until(() => calls() === 1);
  const others = [await stopping(), await stopping()];
  first.kill();
  for (let i = 0; i < 6; i++) {
    await room.clock.until(() => stopped.length > i);
    if (i > 0) stopped[i - 1]!.goOn();
  }
  await room.clock.until(() => calls() === 2);
  end("at last");
  expect(await room.settled((await others.find((process) => !process.isStopped)!.pawl.run("r", flow)).result())).toBe("at last");
});

test("who was stopped itself does not take the other for silent", async () => {
  const room = new MachineRoom();
  const { flow: slow, calls } = held();
  const first = await room.boot([slow]);
  const second = await room.boot([slow]);
  await room.settled(first.pawl.start(slow, { id: "r", input: 1 }));
  await room.clock.until(() => calls() === 1);
  second.stop();
  await room.clock.advance(LEASE_MS - 3_000);
  second.goOn();
  await room.clock.advance(5_000);
  expect(calls()).toBe(1);
  expect(await room.store.readEpochs()).toHaveLength(2);
});

test("what waits in one worker for its turn goes to another that has nothing to do", async () => {
  const room = new MachineRoom();
  const by = [0, 0];
  const flowOf = (worker: number): typeof flow =>
    anyWorkflow(
      "slow",
      (wf) =>
        wf.node(
          "n",
          anyAgent("slow", () => (by[worker]!++, new Promise((resolve) => room.clock.after(1_000, () => resolve("done"))))),
          {},
        ).result,
    );
  const first = await room.boot([flowOf(0)], { maxConcurrentAttempts: 10 });
  await room.boot([flowOf(1)], { maxConcurrentAttempts: 10 });
  const mine = flowOf(0);
  const runs = await room.settled(Promise.all(Array.from({ length: 600 }, (_, i) => first.pawl.start(mine, { id: `r${i}`, input: 1 }))));
  await room.settled(Promise.all(runs.map((run) => run.result())));
  expect(by[0]! + by[1]!).toBe(600);
  expect(by[1]).toBeGreaterThan(150);
});

test("a worker that closes gives away at once what has nothing under way", async () => {
  const room = new MachineRoom();
  const { flow: slow, calls, end } = held();
  const gate = deferred<string>();
  const afterwards = anyWorkflow(
    "afterwards",
    (wf) =>
      wf.node(
        "n",
        anyAgent("gate", () => gate.promise),
        {},
      ).result,
  );
  const first = await room.boot([slow, afterwards], { maxConcurrentAttempts: 1 });
  const second = await room.boot([slow, afterwards]);
  await room.settled(first.pawl.start(slow, { id: "busy", input: 1 }));
  await room.clock.until(() => calls() === 1);
  await room.settled(first.pawl.start(afterwards, { id: "waits", input: 1 }));
  const closed = first.pawl.close({ graceMs: 8_000 });
  gate.resolve("elsewhere");
  expect(await room.settled((await second.pawl.run("waits", afterwards)).result())).toBe("elsewhere");
  expect(calls()).toBe(1);
  end("in its grace");
  await room.settled(closed);
  expect(await room.settled((await second.pawl.run("busy", slow)).result())).toBe("in its grace");
});

test("each worker takes only what it was given; the wait for a run of the other ends with it", async () => {
  const room = new MachineRoom();
  const other = anyWorkflow("other", (wf) => wf.node("n", echo, "other").result);
  const client = await room.boot([], { execute: false });
  const mine = await room.settled(client.pawl.start(flow, { id: "mine", input: 1 }));
  const others = await room.settled(client.pawl.start(other, { id: "others", input: 1 }));
  const first = await room.boot([flow]);
  expect(await room.settled(mine.result())).toBe("done");
  await room.clock.advance(31_000);
  expect((await others.status()).status).toBe("pending");
  await expect(room.settled((await first.pawl.run("others")).result())).rejects.toMatchObject({ code: "PAWL_DEFINITION_MISSING" });
  await room.boot([other]);
  await room.clock.advance(500);
  expect(await room.settled((await first.pawl.run("others")).result())).toBe("other");
});

test("with nobody there a start, an event and a cancel are recorded, and it is said; a worker that comes does them", async () => {
  const room = new MachineRoom();
  const warnings: string[] = [];
  const waiting = setup({ types: { events: {} as { type: "go" } } }).createMachine({
    id: "waiting",
    initial: "waiting",
    states: { waiting: { on: { go: "gone" } }, gone: { type: "final" } },
  });
  const log = { debug() {}, info() {}, error() {}, warn: (_data: object, message: string) => warnings.push(message) };
  const client = await room.boot([waiting, flow], { execute: false, log });
  const run = await room.settled(client.pawl.start(waiting, { id: "m" }));
  expect(warnings).toEqual([expect.stringContaining("no worker runs on this store")]);
  const recorded = {
    code: "PAWL_SEND_PENDING",
    message: expect.stringMatching(/no worker runs on this store; it is recorded, and will be done once/) as string,
  };
  await expect(room.settled(run.send({ type: "go" }, { eventId: "e" }))).rejects.toMatchObject(recorded);
  const unwanted = await room.settled(client.pawl.start(flow, { id: "u", input: 1 }));
  await expect(room.settled(unwanted.cancel())).rejects.toMatchObject(recorded);
  await expect(room.settled(unwanted.pause())).rejects.toMatchObject(recorded);
  expect(await run.outcome("e")).toBeUndefined();
  await room.boot([waiting, flow]);
  expect((await room.settled(run.ended())).status).toBe("completed");
  expect((await room.settled(unwanted.ended())).status).toBe("cancelled");
  expect(await run.outcome("e")).toBeGreaterThan(0);
  expect(await room.settled(run.send({ type: "go" }, { eventId: "e" }))).toMatchObject({ duplicate: true });
});

test("an event for a run of a workflow is refused by whoever knows no definition, also when nobody is there", async () => {
  const room = new MachineRoom();
  const client = await room.boot([], { execute: false });
  await room.settled(client.pawl.start(flow, { id: "r", input: 1 }));
  const knowsNothing = await room.boot([], { execute: false });
  await expect(room.settled(knowsNothing.pawl.send("r", { type: "GO" }))).rejects.toMatchObject({ code: "PAWL_NOT_A_MACHINE" });
  expect(await room.store.inboxRuns("", 10)).toEqual([]);
});

/** The next call of this method fails, once, when `armed`. */
function failsOnce(method: "inboxSince" | "readRun", armed: { is: boolean }): (store: Store) => Store {
  return (store) =>
    new Proxy(store, {
      get: (inner, name: keyof Store) => {
        if (name !== method || !armed.is) return inner[name];
        armed.is = false;
        return () => Promise.reject(new Error("the store is away for a moment"));
      },
    });
}

test("a look of a worker that failed is repeated soon, though nobody writes", async () => {
  const room = new MachineRoom();
  const door = setup({ types: { events: {} as { type: "KNOCK" } } }).createMachine({ id: "door", initial: "a", states: { a: { on: { KNOCK: "b" } }, b: {} } });
  const armed = { is: false };
  const worker = await room.boot([door], { wrap: failsOnce("inboxSince", armed) });
  await room.settled(worker.pawl.start(door, { id: "d" }));
  const client = await room.boot([door], { execute: false });
  await room.clock.advance(1_000);
  armed.is = true;
  const sent = (await client.pawl.run("d", door)).send({ type: "KNOCK" }, { timeout: "1s" });
  expect((await room.settled(sent)).value).toBe("b");
  expect(armed.is).toBe(false);
});

test("a look of a client that failed is repeated soon, too", async () => {
  const room = new MachineRoom();
  const { flow, calls, end } = held();
  await room.boot([flow]);
  const armed = { is: false };
  const client = await room.boot([flow], { execute: false, wrap: failsOnce("readRun", armed) });
  const run = await room.settled(client.pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.until(() => calls() === 1);
  await room.clock.advance(1_000);
  const result = run.result();
  await room.clock.advance(1_000);
  armed.is = true;
  const endedAt = room.clock.mono();
  end("done");
  expect(await room.settled(result)).toBe("done");
  expect(armed.is).toBe(false);
  expect(room.clock.mono() - endedAt).toBeLessThan(1_000);
});

test("a run that nobody works on can be cancelled at once; one that is worked on is asked", async () => {
  const room = new MachineRoom();
  const stuck = anyWorkflow("stuck", (wf) => wf.node("n", anyAgent("stuck", never), {}).result);
  const client = await room.boot([stuck], { execute: false });
  const alone = await room.settled(client.pawl.start(stuck, { id: "alone", input: 1 }));
  await room.settled(alone.cancel({ now: true }));
  expect(await alone.status()).toMatchObject({ status: "cancelled", terminated: true });
  await room.boot([stuck]);
  const owned = await room.settled(client.pawl.start(stuck, { id: "owned", input: 1 }));
  await room.clock.advance(100);
  expect((await owned.status()).status).toBe("running");
  await room.settled(owned.cancel({ now: true }));
  expect(await owned.status()).toMatchObject({ status: "cancelled", terminated: true });
  expect((await owned.nodes())[0]).toMatchObject({ status: "cancelled" });
});

test("an answer that nobody waits for is forgotten; those that were read are deleted", async () => {
  const room = new MachineRoom();
  const stuck = anyWorkflow("stuck", (wf) => wf.node("n", anyAgent("stuck", never), {}).result, { timeout: 86_400_000 });
  const taken: (readonly number[])[] = [];
  const client = await room.boot([stuck], {
    execute: false,
    wrap: (store) => replacing(store, { takeAnswers: (numbers) => (taken.push(numbers), store.takeAnswers(numbers)) }),
  });
  const lost = await room.boot([stuck], { execute: false });
  await room.boot([stuck]);
  const run = await room.settled(client.pawl.start(stuck, { id: "r", input: 1 }));
  void (await room.settled(lost.pawl.run("r"))).pause().catch(() => {});
  lost.kill();
  await room.settled(run.pause());
  await room.clock.advance(2_000);
  const number = taken.flat()[0]!;
  const answerTo = async (asked: number): Promise<string | undefined> => (await room.store.readReplies([asked]))[0]?.body;
  expect(await answerTo(number)).toBeUndefined();
  const unread = (await Promise.all([number - 1, number + 1].map((other) => answerTo(other)))).filter((answer) => answer !== undefined);
  expect(unread.length).toBeLessThanOrEqual(1);
  await room.clock.advance(3_700_000);
  for (const other of [number - 1, number + 1]) expect(await answerTo(other)).toBeUndefined();
});

test("a lease below a second is refused", async () => {
  await expect(open(":memory:", { leaseMs: 10 })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});
