/**
 * Nobody waits for ever for a limit: not who needs several, each of which is there at another moment, and not behind a
 * worker that can start nothing.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Agent } from "../../src/define/agent.ts";
import { cases } from "../sim/cases.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent } from "../sim/machine-room.ts";
import { seededRandom } from "../sim/random.ts";

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
  expect(both.calls()).toHaveLength(1);
  expect(rounds).toBeLessThan(10);
});

scene("who waits for time to pass keeps nothing that is held; what has passed is kept until the rest is there (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const calls = { window: 0, held: 0, both: 0 };
  const takes = (name: keyof typeof calls, ms: number, uses: Readonly<Record<string, number>>): Agent => {
    const run = (): Promise<void> => new Promise((resolve) => void room.clock.after(ms, () => resolve(void calls[name]++)));
    return anyAgent(name, run, { uses });
  };
  const crew = await room.bootAll(workers, [], { limits: { window: { max: 1, per: "10s" }, held: { max: 1 } } });
  for (const agent of [takes("window", 10, { window: 1 }), takes("held", 1_000, { held: 1 })])
    await start(room, crew.next, wide(agent, 200, agent.name), agent.name);
  await room.clock.advance(2_000);
  await start(room, crew.next, wide(takes("both", 10, { window: 1, held: 1 }), 2, "both"), "both");
  await room.clock.advance(120_000);
  expect(calls.both).toBe(2);
  expect(calls.window).toBeGreaterThan(5);
  expect(calls.held).toBeGreaterThan(90);
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
  for (; rounds < 15 && mine() < 2; rounds++) {
    // others are always there for the permit; the limit is never free when it is
    await room.clock.advance(1_500);
    limited.endOne();
    await room.clock.advance(1_500);
    other.endOne();
  }
  expect(mine()).toBe(2);
});

const NAMES = ["a", "b", "c"] as const;
const ENDS = 100;

interface Plan {
  /** What each agent uses of the limits, of each of which there are two, and which worker calls it. */
  readonly agents: readonly { readonly uses: readonly number[]; readonly at: number }[];
  readonly workers: number;
  readonly seed: number;
}

/** Of each agent many nodes wait, and one attempt after the other ends: for how many ends one of them had no attempt. */
async function longestWait({ agents, workers, seed }: Plan): Promise<number> {
  const room = new MachineRoom();
  const random = seededRandom(seed);
  const crew = await room.bootAll(workers, [], { limits: Object.fromEntries(NAMES.map((name) => [name, { max: 2 }])) });
  const all = agents.map(({ uses }, n) => {
    const amounts = uses.flatMap((amount, i) => (amount > 0 ? [[NAMES[i], amount] as const] : []));
    return held({ uses: Object.fromEntries(amounts) }, `agent${n}`);
  });
  for (const [n, { agent }] of all.entries()) await start(room, crew.processes[agents[n]!.at % workers]!, wide(agent, ENDS, agent.name), agent.name);
  const last = all.map(() => 0);
  let longest = 0;
  for (let ended = 1; ended <= ENDS; ended++) {
    await room.clock.advance(300);
    for (const [n, { running }] of all.entries()) if (running() > 0) last[n] = ended;
    longest = Math.max(longest, ended - Math.min(...last));
    const running = all.filter((each) => each.running() > 0);
    running[Math.floor(random.next() * running.length)]?.endOne();
  }
  return longest;
}

test("whatever many need, each of them has its turn again and again, in whatever order attempts end", async () => {
  const uses = fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }).filter((amounts) => amounts.some((amount) => amount > 0));
  const plans = fc.record({
    agents: fc.array(fc.record({ uses, at: fc.nat(1) }), { minLength: 3, maxLength: 5 }),
    workers: fc.integer({ min: 1, max: 2 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      expect(await longestWait(plan)).toBeLessThan(80);
    }),
    cases({ short: 12, long: 1_000 }),
  );
}, 1_200_000);

// found by the property above
for (const [what, workers, agents] of [
  ["who has its turn at one limit does not overtake those that wait for the next one", 1, ["011@0", "102@0"]],
  ["two that come to a limit at the same time do not give way to each other for ever", 2, ["200@1", "001@1", "220@1", "202@1", "020@0"]],
  ["what is kept at one worker is not lost when it is another one's turn", 2, ["100@0", "002@0", "120@0", "011@1", "202@1"]],
] as const)
  test(what, async () => {
    const plan = agents.map((agent) => ({ uses: agent.slice(0, 3).split("").map(Number), at: Number(agent.at(-1)) }));
    for (const seed of [1, 4]) expect(await longestWait({ agents: plan, workers, seed })).toBeLessThan(50);
  });

test("who needs much of something is not passed by for ever by tenants that come and need little of it", async () => {
  const room = new MachineRoom();
  const [big, small] = [held({ uses: { db: 2 } }, "big"), held({ uses: { db: 1 } }, "small")];
  const process = await room.boot([], { limits: { db: { max: 2 } } });
  const flow = wide(small.agent, 1);
  for (let n = 0; n < 3; n++) {
    await start(room, process, flow, `s${n}`, { tenant: "t" });
    await room.clock.until(() => small.running() === 1);
    if (n < 2) {
      small.endOne();
      await room.clock.advance(100);
    }
  }
  await start(room, process, wide(big.agent, 1, "big"), "big");
  for (let n = 3; n < 9 && big.calls().length === 0; n++) {
    await start(room, process, flow, `s${n}`, { tenant: `t${n}` });
    await room.clock.advance(1_000);
    small.endOne();
    await room.clock.advance(1_000);
  }
  expect([big.calls().length, small.calls().length]).toEqual([1, 3]);
});
