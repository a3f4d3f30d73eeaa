/**
 * Maps, loops, choices, events, runs of their own and steps within agents, one scene each.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { setup } from "xstate";
import { type Agent, agent } from "../../src/define/agent.ts";
import { step } from "../../src/run/xstate/step.ts";
import { workflow } from "../../src/define/workflow.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";

const echo = anyAgent("echo", (input: unknown) => input);

async function resultOf(flow: ReturnType<typeof anyWorkflow>, input: unknown = {}): Promise<unknown> {
  const room = new MachineRoom();
  const { pawl } = await room.boot([flow]);
  return room.settled((await room.settled(pawl.start(flow, { input }))).result());
}

test("a map calls its agent for each item; results come in the order of the items", async () => {
  const list = anyAgent("list", () => ["a", "b", "c"]);
  const flow = anyWorkflow("flow", (wf) => {
    const letters = wf.node("letters", list, {});
    const double = wf.map("double", letters.result, echo, (item, index) => ({ text: `${item}${item}`, index }));
    return { all: double.result, second: double.result[1]!.text };
  });
  expect(await resultOf(flow)).toEqual({
    all: [
      { text: "aa", index: 0 },
      { text: "bb", index: 1 },
      { text: "cc", index: 2 },
    ],
    second: "bb",
  });
});

test("an empty map is an empty list; what is no list fails the map, and an item that is skipped is undefined", async () => {
  const flow = anyWorkflow("flow", (wf) => wf.map("m", wf.input.list, echo, (item) => ({ item })).result);
  expect(await resultOf(flow, { list: [] })).toEqual([]);
  await expect(resultOf(flow, { list: 5 })).rejects.toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringContaining("not a list") as string });
  const room = new MachineRoom();
  const { pawl } = await room.boot([flow]);
  const failing = await room.settled(pawl.start(flow, { input: { list: null } }));
  await room.settled(failing.ended());
  expect((await failing.nodes())[0]).toMatchObject({ status: "failed", failure: { code: "PAWL_NOT_A_LIST", retryable: false } });
  const picky = anyAgent(
    "picky",
    ({ item }: { item: number }) => {
      if (item === 2) throw new Error("two");
      return item;
    },
    { retry: { maxAttempts: 1 } },
  );
  const skipping = anyWorkflow("flow", (wf) => wf.map("m", wf.input.list, picky, (item) => ({ item }), { onFail: "skip" }).result);
  expect(await resultOf(skipping, { list: [1, 2, 3] })).toEqual([1, undefined, 3]);
});

test("a map has at most so many items under way, and a failed item lets the others go on", async () => {
  const room = new MachineRoom();
  let [now, most] = [0, 0];
  const slow = anyAgent(
    "slow",
    ({ item }: { item: number }) => {
      most = Math.max(most, ++now);
      return new Promise((resolve, reject) => room.clock.after(1_000, () => (now--, item === 3 ? reject(new Error("three")) : resolve(item))));
    },
    { retry: { maxAttempts: 1 } },
  );
  const flow = anyWorkflow("flow", (wf) => {
    const all = wf.map("m", wf.input.list, slow, (item) => ({ item }), { concurrency: 3 });
    return wf.node("after", echo, { all: all.result }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: { list: Array.from({ length: 10 }, (_, i) => i) } }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
  expect(most).toBe(3);
  const nodes = await run.nodes();
  expect(nodes.map(({ id, status }) => `${id} ${status}`)).toEqual([
    "m blocked",
    ...Array.from({ length: 10 }, (_, i) => `m[${i}] ${i === 3 ? "failed" : "completed"}`),
    "after blocked",
  ]);
  expect(nodes.at(-1)!.upstreamFailures).toEqual(["m[3]"]);
});

test("a choice runs the nodes of one branch; the others are not taken, and read as undefined", async () => {
  const flow = anyWorkflow("flow", (wf) => {
    const good = wf.when(
      "good",
      wf.input.good,
      () => wf.node("merge", echo, { did: "merge" }).result.did,
      () => {
        const fix = wf.node("fix", echo, { did: "fix" });
        return wf.node("again", echo, { after: fix.result.did }).result.after;
      },
    );
    return { end: wf.node("end", echo, { of: good.result }).result.of };
  });
  expect(await resultOf(flow, { good: true })).toEqual({ end: "merge" });
  expect(await resultOf(flow, { good: 0 })).toEqual({ end: "fix" });
});

test("routes go by name, into choices within choices; without a way for the name nothing is taken", async () => {
  const flow = anyWorkflow("flow", (wf) => {
    const way = wf.route("kind", wf.input.kind, {
      bug: () =>
        wf.when(
          "urgent",
          wf.input.urgent,
          () => wf.node("now", echo, { did: "now" }).result.did,
          () => wf.node("later", echo, { did: "later" }).result.did,
        ).result,
      question: () => wf.node("reply", echo, { did: "reply" }).result.did,
    });
    return { did: way.result };
  });
  expect(await resultOf(flow, { kind: "bug", urgent: true })).toEqual({ did: "now" });
  expect(await resultOf(flow, { kind: "bug", urgent: false })).toEqual({ did: "later" });
  expect(await resultOf(flow, { kind: "question" })).toEqual({ did: "reply" });
  expect(await resultOf(flow, { kind: "praise" })).toEqual({ did: undefined });
  const room = new MachineRoom();
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: { kind: "question" } }));
  await room.settled(run.result());
  expect(Object.fromEntries((await run.nodes()).map(({ id, status }) => [id, status]))).toEqual({
    kind: "completed",
    urgent: "notTaken",
    now: "notTaken",
    later: "notTaken",
    reply: "completed",
  });
});

test("a loop goes on until it is enough, or so often; each round is given what the last one gave", async () => {
  const add = anyAgent("add", ({ n }: { n: number }) => ({ n: n + 1, enough: n + 1 >= 3 }));
  const flow = anyWorkflow(
    "flow",
    (wf) => wf.repeat("count", add, { n: wf.input.from }, { next: (last) => ({ n: last.n }), until: (last) => last.enough, max: 5 }).result,
  );
  expect(await resultOf(flow, { from: 0 })).toEqual({ n: 3, enough: true });
  expect(await resultOf(flow, { from: -10 })).toEqual({ n: -5, enough: false });
});

test("an event is waited for, checked, and taken once; one that comes early is kept", async () => {
  const room = new MachineRoom();
  const flow = workflow({ name: "flow", input: z.object({}) }, (wf) => {
    const draft = wf.node("draft", echo, {});
    const approval = wf.event("approval", z.object({ approved: z.boolean() }), { after: [draft], timeout: "2d" });
    const note = wf.event("note", z.object({ text: z.string() }), { after: [approval] });
    return { approved: approval.result.approved, note: note.result.text };
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: {} }));
  await room.clock.advance(60_000);
  expect((await run.nodes()).map(({ status }) => status)).toEqual(["completed", "running", "waiting"]);
  await expect(room.settled(run.send({ type: "approval", approved: "yes" }))).rejects.toMatchObject({ code: "PAWL_EVENT_REFUSED" });
  await expect(room.settled(run.send({ type: "aproval" }))).rejects.toMatchObject({
    code: "PAWL_EVENT_REFUSED",
    message: expect.stringContaining("approval, note") as string,
  });
  expect(await room.settled(run.send({ type: "note", text: "early" }, { eventId: "n" }))).toMatchObject({ handled: true, duplicate: false });
  expect(await room.settled(run.send({ type: "note", text: "early" }, { eventId: "n" }))).toMatchObject({ duplicate: true });
  expect(await room.settled(run.send({ type: "note", text: "late" }))).toMatchObject({ handled: false });
  expect(await room.settled(run.send({ type: "approval", approved: true }))).toMatchObject({ handled: true });
  expect(await room.settled(run.result())).toEqual({ approved: true, note: "early" });
});

test("an event that does not come in time fails, or is skipped; the time goes on while no process runs", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => ({ went: wf.event("go", z.object({}), { timeout: "1h", onFail: "skip" }).result }));
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: {} }));
  await room.clock.advance(1_800_000);
  first.kill();
  await room.clock.advance(1_700_000);
  const second = await room.boot([flow]);
  const run = await second.pawl.run("r", flow);
  const before = room.clock.mono();
  expect(await room.settled(run.result())).toEqual({ went: undefined });
  expect(room.clock.mono() - before).toBeLessThan(110_000);
  expect(await run.status()).toMatchObject({ degraded: true });
  expect((await run.nodes())[0]).toMatchObject({ status: "skipped", failure: { code: "PAWL_EVENT_TIMEOUT" } });
});

test("a workflow runs as a part of another, and of a map; a run of others is waited for", async () => {
  const room = new MachineRoom();
  const inner = workflow({ name: "inner", input: z.object({ n: z.number() }) }, (wf) => ({ n: wf.node("n", echo, { n: wf.input.n }).result.n as number }));
  const gate = deferred<number>();
  const slow = anyWorkflow("slow", (wf) => ({
    n: wf.node(
      "n",
      anyAgent("gate", () => gate.promise),
      {},
    ).result,
  }));
  const outer = anyWorkflow("outer", (wf) => {
    const one = wf.run("one", inner, { n: 1 });
    const many = wf.map("many", [2, 3], inner, (n) => ({ n }));
    const other = wf.resultOf("other", slow, wf.input.other);
    return [one.result.n, many.result, other.result.n];
  });
  const { pawl } = await room.boot([outer, inner, slow]);
  await room.settled(pawl.start(slow, { id: "else", input: { n: 9 } }));
  const run = await room.settled(pawl.start(outer, { id: "r", input: { other: "else" } }));
  await room.clock.advance(1_000);
  expect((await pawl.list({})).map(({ id }) => id).sort()).toEqual(["else", "r", "r/many[0]", "r/many[1]", "r/one"]);
  gate.resolve(9);
  expect(await room.settled(run.result())).toEqual([1, [{ n: 2 }, { n: 3 }], 9]);
});

test("steps of an agent are done once, however often the node is tried, and in whatever process", async () => {
  const room = new MachineRoom();
  const done: string[] = [];
  let tries = 0;
  const gate = deferred<string>();
  const loop = agent({
    name: "loop",
    input: z.object({}),
    output: z.object({ sum: z.number() }),
    retry: { initialInterval: "1s" },
    run: async (_, ctx) => {
      const mine = ++tries;
      let sum = 0;
      for (let i = 0; i < 5; i++) {
        sum += await ctx.step(`s${i}`, () => (done.push(`${mine}:${i}`), i));
        if (mine === 1 && i === 1) throw new Error("first");
        if (mine === 2 && i === 3) await gate.promise;
      }
      return { sum };
    },
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", loop, {}).result);
  const first = await room.boot([flow]);
  await room.settled(first.pawl.start(flow, { id: "r", input: {} }));
  await room.clock.until(() => done.length === 4);
  await room.clock.advance(100);
  first.kill();
  const second = await room.boot([flow]);
  expect(await room.settled((await second.pawl.run("r", flow)).result())).toEqual({ sum: 10 });
  expect(done).toEqual(["1:0", "1:1", "2:2", "2:3", "3:4"]);
});

test("the key of a step is used once; an agent that a machine calls has no steps", async () => {
  const room = new MachineRoom();
  const codes: unknown[] = [];
  const noting = (first: string, second: string): Agent =>
    anyAgent("noting", async (_, ctx) => {
      try {
        await ctx.step(first, () => 1);
        return await ctx.step(second, () => 2);
      } catch (error) {
        codes.push((error as { code: unknown }).code);
        return "refused";
      }
    });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", noting("a", "a"), {}).result);
  const machine = setup({ actors: { call: step(noting("a", "b")) } }).createMachine({
    id: "m",
    initial: "calling",
    states: { calling: { invoke: { src: "call", input: {}, onDone: "done" } }, done: { type: "final" } },
  });
  const { pawl } = await room.boot([flow, machine]);
  expect(await room.settled((await room.settled(pawl.start(flow, { input: {} }))).result())).toBe("refused");
  await room.settled((await room.settled(pawl.start(machine, {}))).ended());
  expect(codes).toEqual(["PAWL_STEP_REPEATED", "PAWL_STEP_UNSUPPORTED"]);
});

test("an attempt that is silent beyond its heartbeat has failed; what it reports is shown", async () => {
  const room = new MachineRoom();
  let tries = 0;
  const beating = anyAgent(
    "beating",
    async (_, ctx) => {
      if (++tries === 2) return "done";
      for (let i = 0; i < 3; i++) {
        ctx.heartbeat({ page: i });
        await new Promise<void>((resolve) => room.clock.after(8_000, resolve));
      }
      return never();
    },
    { heartbeat: "10s", retry: { jitter: "none" } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("n", beating, {}).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: {} }));
  await room.clock.advance(12_000);
  expect((await run.nodes())[0]).toMatchObject({ status: "running", progress: { page: 1 } });
  expect(await room.settled(run.result())).toBe("done");
  expect((await run.nodes())[0]).toMatchObject({ attempt: 2, failure: { code: "PAWL_HEARTBEAT_TIMEOUT" } });
});

test("what a node gave can be read of a run that failed: a map gives a list, a loop its last round", async () => {
  const room = new MachineRoom();
  const bad = anyAgent("bad", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 1 } });
  const flow = anyWorkflow("flow", (wf) => {
    const all = wf.map("all", [1, 2], echo, (item) => ({ item }));
    const last = wf.repeat("last", echo, { n: all.result }, { max: 2, next: () => ({ n: "second" }) as never });
    wf.event("asked", z.any());
    return wf.node("end", bad, last.result).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: 1 }));
  await room.clock.until(() => false, 100).catch(() => {});
  const read = (node: string): Promise<unknown> => room.settled(run.nodeResult(node));
  expect(await Promise.all(["all", "all[1]", "last", "end", "asked"].map(read))).toEqual([
    [{ item: 1 }, { item: 2 }],
    { item: 2 },
    { n: "second" },
    undefined,
    undefined,
  ]);
  await expect(read("ends")).rejects.toMatchObject({ code: "PAWL_UNKNOWN_REFERENCE", message: expect.stringContaining("end") as string });
});
