/**
 * Turns: who goes on when a permit or a place is free, and is not forgotten when it was not his turn; who waits for too long.
 */
import { expect, test } from "vitest";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

test("of runs that another worker could take only in part, those that stay keep their places in line", async () => {
  const room = new MachineRoom();
  const [mine, both] = [held({}, "mine"), held({}, "both")];
  const [onlyHere, anywhere] = [wide(mine.agent, 1, "only-here"), wide(both.agent, 1, "anywhere")];
  const first = await room.boot([onlyHere, anywhere], { maxActiveRuns: 1 });
  for (let n = 0; n < 3; n++) await start(room, first, onlyHere, `here${n}`);
  for (let n = 0; n < 4; n++) await start(room, first, anywhere, `any${n}`);
  await room.boot([anywhere], { maxActiveRuns: 2 });
  await room.clock.until(() => both.calls().length > 0);
  const count = (): number => mine.calls().length + both.calls().length;
  while (count() < 7) {
    const before = count();
    mine.endAll();
    both.endAll();
    await room.clock.until(() => count() > before, 5_000);
  }
  expect([mine.calls().length, both.calls().length]).toEqual([3, 4]);
});

test("a run that is paused while it waits for a permit stands in line again, behind those that have places", async () => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({});
  const flow = anyWorkflow("twice", (wf) => wf.node("b", agent, wf.input, { after: [wf.node("a", agent, wf.input)] }).result);
  const process = await room.boot([flow], { maxActiveRuns: 2, maxConcurrentAttempts: 1 });
  for (const id of ["first", "paused", "next"]) {
    await room.settled(process.pawl.start(flow, { id, input: id }));
    await room.clock.advance(10);
  }
  const paused = await process.pawl.run("paused");
  await room.settled(paused.pause());
  await room.clock.settle();
  await room.settled(paused.resume());
  for (let n = 2; n <= 6; n++) {
    endOne();
    await room.clock.until(() => calls().length === n);
  }
  expect(calls()).toEqual(["first", "next", "first", "next", "paused", "paused"]);
});

test("nodes that wait for a limit and those that wait for nothing but a permit take turns", async () => {
  const room = new MachineRoom();
  const [limited, free] = [held({ concurrency: 10 }, "limited"), held({}, "free")];
  const process = await room.boot([], { maxConcurrentAttempts: 1 });
  await start(room, process, wide(limited.agent, 10, "limited"), "limited");
  await room.clock.until(() => limited.calls().length === 1);
  await start(room, process, wide(free.agent, 10, "free"), "free");
  for (let n = 1; n <= 6; n++) {
    limited.endOne();
    free.endOne();
    await room.clock.until(() => limited.calls().length + free.calls().length === 1 + n);
  }
  expect([limited.calls().length, free.calls().length]).toEqual([4, 3]);
});

test("as many runs are active by default as attempts may run", async () => {
  const room = new MachineRoom();
  for (const [maxConcurrentAttempts, runsActiveMax] of [
    [7, 100],
    [150, 150],
  ] as const) {
    const { pawl } = await room.boot([], { maxConcurrentAttempts });
    expect((await pawl.metrics()).worker).toMatchObject({ runsActiveMax });
  }
});

test("nodes of several runs that wait for the same are each refused when it has waited for too long itself", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ concurrency: 1, queueTimeout: "10s" });
  const process = await room.boot([]);
  for (const id of ["runs", "a", "b", "c"]) {
    await start(room, process, wide(agent, 1, id), id);
    await room.clock.advance(3_000);
  }
  const ended = async (): Promise<string[]> => {
    const runs = await room.store.listRuns({ status: "failed", limit: 10 });
    return runs.map(({ id }) => id).toSorted();
  };
  expect([calls(), await ended()]).toEqual([["runs-0"], []]);
  const seen: string[][] = [];
  for (let n = 0; n < 3; n++) {
    await room.clock.advance(n === 0 ? 2_000 : 3_000);
    seen.push(await ended());
  }
  expect(seen).toEqual([["a"], ["a", "b"], ["a", "b", "c"]]);
});

test("who has waited for too long while its run is written is refused when that is", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ concurrency: 1, queueTimeout: "10s" });
  const ends = anyAgent("ends", () => new Promise<void>((resolve) => void room.clock.after(9_950, resolve)));
  const isSlow = { is: false };
  const process = await room.boot([], {
    onApplied: () => (isSlow.is ? new Promise((resolve) => void room.clock.after(200, resolve)) : undefined),
  });
  await start(room, process, wide(agent, 1, "runs"), "runs");
  const flow = anyWorkflow("late", (wf) => {
    wf.node("late", agent, "late");
    wf.node("ends", ends, null);
  });
  await start(room, process, flow, "late");
  isSlow.is = true;
  await room.clock.advance(10_500);
  const nodes = await (await process.pawl.run("late")).nodes();
  expect(nodes.map(({ status, failure }) => failure?.code ?? status)).toEqual(["PAWL_QUEUE_TIMEOUT", "completed"]);
  expect(calls()).toEqual(["runs-0"]);
});

test("who comes when others have had many turns has the next one, and then takes turns: what it did not want is not made up for", async () => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const process = await room.boot([]);
  const goesOn = async (until: number): Promise<void> => {
    while (calls().length < until) {
      const before = calls().length;
      endOne();
      await room.clock.until(() => calls().length > before);
    }
  };
  await start(room, process, wide(agent, 30, "old"), "old", { tenant: "a" });
  await room.clock.until(() => calls().length === 1);
  await goesOn(12);
  await start(room, process, wide(agent, 10, "new"), "new", { tenant: "b" });
  await goesOn(20);
  const late = calls().slice(12);
  expect(late.filter((call) => call.startsWith("new")).length).toBe(4);
  expect(late.slice(0, 2).some((call) => call.startsWith("new"))).toBe(true);
});
