/**
 * Nobody waits for ever for a limit: not who needs several, each of which is there at another moment, and not behind a
 * worker that can start nothing.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom } from "../sim/machine-room.ts";

/** Scenes that are played by one worker, and by two. */
const scene = test.each([1, 2]);

scene("who needs two limits is not passed by for ever by those who need one of them (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const [a, b, both] = [held({ uses: { a: 1 } }, "a"), held({ uses: { b: 1 } }, "b"), held({ uses: { a: 1, b: 1 } }, "both")];
  const crew = await room.bootAll(workers, [], { limits: { a: { max: 1 }, b: { max: 1 } } });
  for (const process of crew.processes)
    for (const { agent } of [a, b]) await start(room, process, wide(agent, 40, agent.name), `${agent.name}${crew.processes.indexOf(process)}`);
  await room.clock.until(() => a.running() === 1 && b.running() === 1);
  await start(room, crew.next, wide(both.agent, 1, "both"), "both");
  let rounds = 0;
  for (; rounds < 20 && both.calls().length === 0; rounds++)
    for (const { endOne } of [a, b]) {
      endOne();
      await room.clock.advance(500);
    }
  console.log(rounds, a.calls().length, b.calls().length, room.clock.mono());
  expect(both.calls()).toHaveLength(1);
  expect(rounds).toBeLessThan(10);
});

/** Two workers of which the first may have one attempt at a time, has begun another one, and has nodes that wait for the limit. */
async function busyWorker(other: ReturnType<typeof held>, limited: ReturnType<typeof held>) {
  const room = new MachineRoom();
  const busy = await room.boot([], { maxConcurrentAttempts: 1 });
  const free = await room.boot([]);
  await start(room, free, wide(limited.agent, 30, "theirs"), "theirs");
  await room.clock.until(() => limited.running() === 1);
  await start(room, busy, wide(limited.agent, 3, "mine"), "mine");
  await room.clock.advance(500);
  await start(room, busy, wide(other.agent, 30, "other"), "other");
  await room.clock.until(() => other.running() === 1);
  return { room, busy, free };
}

test("a worker that can start nothing lets others go first", async () => {
  const [other, limited] = [held({}, "other"), held({ concurrency: 1 }, "limited")];
  const { room } = await busyWorker(other, limited);
  for (let ended = 1; ended <= 5; ended++) {
    limited.endOne();
    await room.clock.advance(1_500);
    expect(limited.calls()).toHaveLength(1 + ended);
  }
  expect(limited.calls().every((call) => call.startsWith("theirs"))).toBe(true);
});

test("a worker that let others go first has its turn when it can start something, and does not stand aside for ever", async () => {
  const [other, limited] = [held({}, "other"), held({ concurrency: 1 }, "limited")];
  const { room } = await busyWorker(other, limited);
  const mine = (): number => limited.calls().filter((call) => call.startsWith("mine")).length;
  let rounds = 0;
  for (; rounds < 40 && mine() < 2; rounds++) {
    // others are always there for the permit; the limit is never free when it is
    await room.clock.advance(1_500);
    limited.endOne();
    await room.clock.advance(1_500);
    other.endOne();
    console.log(rounds, limited.calls().at(-1), other.calls().at(-1));
  }
  expect(mine()).toBe(2);
});

const NAMES = ["a", "b", "c"] as const;
const needs = fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }).filter((amounts) => amounts.some((amount) => amount > 0));

test("whatever many need, each of them has its turn again and again, in whatever order attempts end", async () => {
  const plans = fc.record({
    agents: fc.array(fc.record({ amounts: needs, worker: fc.nat(1) }), { minLength: 3, maxLength: 5 }),
    workers: fc.integer({ min: 1, max: 2 }),
    ends: fc.infiniteStream(fc.nat(99)),
  });
  await fc.assert(
    fc.asyncProperty(plans, async ({ agents, workers, ends }) => {
      const room = new MachineRoom();
      const limits = Object.fromEntries(NAMES.map((name) => [name, { max: 2 }]));
      const crew = await room.bootAll(workers, [], { limits });
      const all = agents.map(({ amounts }, n) =>
        held({ uses: Object.fromEntries(amounts.flatMap((amount, at) => (amount > 0 ? [[NAMES[at], amount]] : []))) }, `agent${n}`),
      );
      for (const [n, { agent }] of all.entries()) {
        const process = crew.processes[agents[n]!.worker % workers]!;
        await start(room, process, wide(agent, 120, agent.name), agent.name);
      }
      let longest = 0;
      const gaps = all.map(() => 0);
      const last = all.map(() => 0);
      for (let ended = 1; ended <= 120; ended++) {
        await room.clock.advance(300);
        for (const [n, { running }] of all.entries()) if (running() > 0) last[n] = ended;
        longest = Math.max(longest, ended - Math.min(...last));
        for (const n of all.keys()) gaps[n] = Math.max(gaps[n]!, ended - last[n]!);
        const running = all.filter((each) => each.running() > 0);
        running[ends.next().value! % running.length]!.endOne();
      }
      if (process.env['SHOW']) console.log('longest', longest);
      if (longest >= 60) console.log("longest", longest, workers, JSON.stringify(agents), JSON.stringify(gaps));
      expect(longest).toBeLessThan(60);
    }),
    cases({ short: 30, long: 800 }),
  );
});
