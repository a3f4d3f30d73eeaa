/**
 * What agents stream, and who hears it.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import type { AgentContext } from "../../src/define/agent.ts";
import type { RunHome } from "../../src/run/handle.ts";
import { type RunStream, type Streamed, Streams } from "../../src/run/streams.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred } from "../sim/machine-room.ts";

/** A run whose only agent streams what the test tells it to. */
async function talking(room: MachineRoom) {
  const [began, ends] = [deferred<AgentContext>(), deferred<void>()];
  const talker = anyAgent("talker", async (_, ctx) => {
    began.resolve(ctx);
    await ends.promise;
    ctx.stream("last");
    return "done";
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("talk", talker, {}).result);
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: {} }));
  const ctx = await room.settled(began.promise);
  return { flow, process, run, ctx, end: () => ends.resolve() };
}

async function all(stream: RunStream): Promise<Streamed[]> {
  const items: Streamed[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

test("who listens hears each chunk in order, from then on, until the run ends; nothing of it is stored", async () => {
  const room = new MachineRoom();
  const { run, ctx, end } = await talking(room);
  ctx.stream("before");
  const [one, two] = [all(run.stream()), all(run.stream<string>())];
  const { commitNo } = await run.status();
  for (const chunk of ["a", { b: 1 }]) ctx.stream(chunk);
  await room.clock.advance(1_000);
  expect((await run.status()).commitNo).toBe(commitNo);
  end();
  const heard = [
    { node: "talk", attempt: 1, chunk: "a" },
    { node: "talk", attempt: 1, chunk: { b: 1 } },
    { node: "talk", attempt: 1, chunk: "last" },
  ];
  expect(await room.settled(one)).toEqual(heard);
  expect(await room.settled(two)).toEqual(heard);
  expect(await room.settled(run.result())).toBe("done");
  expect(await room.settled(all(run.stream()))).toEqual([]);
});

test("a reader that is slow misses the oldest, and is told how many; the others miss nothing", async () => {
  const room = new MachineRoom();
  const { run, ctx, end } = await talking(room);
  const [slow, patient] = [run.stream<number>({ capacity: 3 }), run.stream<number>()];
  for (let i = 0; i < 10; i++) ctx.stream(i);
  expect(await slow.next()).toEqual({ done: false, value: { node: "talk", attempt: 1, chunk: 7, missed: 7 } });
  for (let i = 10; i < 12; i++) ctx.stream(i);
  expect(await slow.next()).toEqual({ done: false, value: { node: "talk", attempt: 1, chunk: 9, missed: 1 } });
  end();
  await room.settled(run.result());
  expect((await room.settled(all(slow))).map(({ chunk, missed }) => [chunk, missed])).toEqual([
    [10, undefined],
    [11, undefined],
    ["last", undefined],
  ]);
  expect((await room.settled(all(patient))).length).toBe(13);
});

test("a capacity is a whole number that is not too large", async () => {
  const room = new MachineRoom();
  const { run } = await talking(room);
  for (const capacity of [0, -1, 1.5, 100_001, Number.NaN])
    expect(() => run.stream({ capacity })).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
});

test("a reader that leaves is forgotten, also while it waits, and the run goes on", async () => {
  const room = new MachineRoom();
  const { run, ctx, end } = await talking(room);
  const waiting = run.stream();
  const next = waiting.next();
  await waiting.return!();
  expect(await next).toEqual({ done: true, value: undefined });
  const left = run.stream();
  ctx.stream("a");
  for await (const { chunk } of left) {
    expect(chunk).toBe("a");
    break;
  }
  ctx.stream("b");
  expect(await left.next()).toEqual({ done: true, value: undefined });
  {
    await using stream = run.stream();
    void stream;
  }
  end();
  expect(await room.settled(run.result())).toBe("done");
});

test("two that read one stream at once share its chunks", async () => {
  const room = new MachineRoom();
  const { run, ctx } = await talking(room);
  const stream = run.stream<number>();
  const both = [stream.next(), stream.next()];
  for (const n of [1, 2, 3]) ctx.stream(n);
  expect((await Promise.all([...both, stream.next()])).map(({ value }) => value!.chunk)).toEqual([1, 2, 3]);
});

test("what an attempt streams that is not wanted any more, nobody hears; the next attempt streams again", async () => {
  const room = new MachineRoom();
  const contexts: AgentContext[] = [];
  const talker = anyAgent(
    "talker",
    (_, ctx) => {
      contexts.push(ctx);
      ctx.stream(`attempt ${ctx.attempt}`);
      return ctx.attempt === 1 ? new Promise(() => {}) : "done";
    },
    { timeout: "10s" },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("talk", talker, {}, { after: [wf.event("go", z.object({}))] }).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { input: {} }));
  const heard = all(run.stream());
  await room.settled(run.send({ type: "go" }));
  await room.clock.until(() => contexts.length === 2);
  contexts[0]!.stream("from the grave");
  await room.settled(run.result());
  expect(await room.settled(heard)).toEqual([1, 2].map((attempt) => ({ node: "talk", attempt, chunk: `attempt ${attempt}` })));
});

test("a stream ends with why nothing more can be heard", async () => {
  const room = new MachineRoom();
  const { run, process, ctx } = await talking(room);
  const stream = run.stream();
  ctx.stream("a");
  const closing = process.pawl.close({ graceMs: 10 });
  expect((await stream.next()).value).toEqual({ node: "talk", attempt: 1, chunk: "a" });
  await expect(room.settled(stream.next())).rejects.toMatchObject({ code: "PAWL_CLOSED" });
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  await room.settled(closing);
});

test("in a process that does not have the run, nothing is heard, and the stream ends when the run does", async () => {
  const room = new MachineRoom();
  const { ctx, end } = await talking(room);
  const web = await room.boot([], { execute: false });
  const heard = all((await web.pawl.run("r")).stream());
  ctx.stream("a");
  await room.clock.advance(5_000);
  end();
  expect(await room.settled(heard)).toEqual([]);
});

test("nothing is kept of a reader that has left or whose run has ended", async () => {
  const streams = new Streams();
  const watches: { resolve(): void; isForgotten: boolean }[] = [];
  const home = {
    store: { readRun: async () => ({ status: "completed" }) },
    isStarting: () => false,
    watchEnd() {
      const { promise, resolve } = deferred<void>();
      const watch = { resolve: () => resolve(), isForgotten: false };
      watches.push(watch);
      return { promise, isUnderWay: watches.length < 4, forget: () => void (watch.isForgotten = true) };
    },
  } as unknown as RunHome;
  const [leaves, waits, stays] = [1, 2, 3].map(() => streams.listen(home, "r", {}));
  const next = waits!.next();
  streams.tell("r", { node: "n", attempt: 1, chunk: "a" });
  streams.tell("r2", { node: "n", attempt: 1, chunk: "b" });
  await leaves!.return!();
  await waits!.return!();
  expect(await next).toMatchObject({ value: { chunk: "a" } });
  await Promise.resolve();
  expect(streams.size).toBe(1);
  expect(watches.map(({ isForgotten }) => isForgotten)).toEqual([true, true, false]);
  watches[2]!.resolve();
  expect(await all(stays!)).toEqual([{ node: "n", attempt: 1, chunk: "a" }]);
  expect(streams.size).toBe(0);
  expect(watches.every(({ isForgotten }) => isForgotten)).toBe(true);
});
