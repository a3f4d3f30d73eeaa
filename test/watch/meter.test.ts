/**
 * The meter and the checks of a process by themselves: what is counted how, and since when.
 */
import { expect, test } from "vitest";
import type { LimitNow, ProcessFacts, RunMark } from "../../src/run/metering.ts";
import { noFacts } from "../../src/process-facts.ts";
import { CountingMeter } from "../../src/watch/meter.ts";
import { ownChecks } from "../../src/watch/own-checks.ts";
import { IDLE_WORKER } from "./idle-worker.ts";

const look = (meter: CountingMeter, limits: Readonly<Record<string, LimitNow>> = {}) =>
  meter.look({ at: 0, worker: IDLE_WORKER, limits, breakers: {}, health: {} });

function mark(runId: string, at: number, more: Partial<RunMark> = {}): RunMark {
  return { runId, workflow: "w", at, started: false, recovered: false, compensates: false, ended: undefined, isBlocked: false, ...more };
}

test("a length counts from its bound on, one that a clock made negative as none, and a run's only once and from a start that is known", async () => {
  const meter = new CountingMeter(noFacts);
  for (const ms of [-1_000, 5, 5.1, 7_200_000]) meter.attempts("w")({ kind: "succeeded", agent: "a", ms, attempt: ms > 5 ? 12 : 1, undoes: false });
  meter.run(mark("r", 0, { started: true }));
  for (const at of [10_000, 90_000]) meter.run(mark("r", at, { ended: "failed" }));
  meter.run(mark("another", 5_000, { ended: "completed" }));
  const { agents, workflows } = await look(meter);
  const { attempts, seconds } = agents["a"]!;
  expect(attempts).toEqual({ 1: 2, 10: 2 });
  expect([seconds.count, seconds.sum, seconds.buckets[0], seconds.buckets[1], seconds.buckets.at(-1)]).toEqual([
    4,
    7_200.0101,
    { atMost: 0.005, count: 2 },
    { atMost: 0.01, count: 3 },
    { atMost: 3_600, count: 3 },
  ]);
  expect(workflows["w"]).toMatchObject({ failed: 2, completed: 1, seconds: { count: 1, sum: 10 } });
});

test("so many starts are remembered: of older runs it is not told how long they took", async () => {
  const meter = new CountingMeter(noFacts);
  for (let n = 0; n <= 10_000; n++) meter.run(mark(`r${n}`, 0, { started: true }));
  for (const id of ["r0", "r1"]) meter.run(mark(id, 1_000, { ended: "completed" }));
  expect((await look(meter)).workflows["w"]).toMatchObject({ completed: 2, seconds: { count: 1 } });
});

test("shares that were taken back are counted one by one, and of limits without end the first are told", async () => {
  const meter = new CountingMeter(noFacts);
  meter.swept("l0", 3);
  const limit: LimitNow = { max: 1, perMs: undefined, used: 0, waiting: 0, utilization: 0, held: 0 };
  const names = Array.from({ length: 1_500 }, (_, n) => `l${n}`);
  const { limits } = await look(meter, Object.fromEntries(names.map((name) => [name, limit])));
  expect(limits["l0"]).toMatchObject({ max: 1, granted: 0, swept: 3 });
  expect(Object.keys(limits)).toEqual(names.toSorted().slice(0, 1_000));
});

test("each look is of what was since the last one; the checks leave to the metrics what is theirs", async () => {
  let [now, cpuMs] = [0, 0];
  const asked: string[] = [];
  const loopDelay: ProcessFacts["loopDelay"] = (asker) => void asked.push(asker);
  const facts = { ...noFacts, cpuMs: () => cpuMs, loopDelay };
  const meter = new CountingMeter(facts);
  meter.commits(1, 7_000);
  meter.commits(1, 3);
  const nothing = async (): Promise<void> => {};
  const sources = { isExecuting: true, readStore: nothing, worker: () => IDLE_WORKER, disagreeing: () => [], looked: () => {}, changed: nothing };
  const checks = ownChecks(facts, { mono: () => now, takeSlowestCommitMs: () => meter.takeSlowestCommitMs() }, sources);
  const found: unknown[] = [];
  for (const busyMs of [990, 0, 990]) {
    [now, cpuMs] = [now + 1_000, cpuMs + busyMs];
    for (const name of ["cpu", "store", "eventLoop"]) found.push((await checks[name]!({ signal: new AbortController().signal })).status);
  }
  expect(found).toEqual(["CRITICAL", "CRITICAL", "HEALTHY", "HEALTHY", "HEALTHY", "HEALTHY", "CRITICAL", "HEALTHY", "HEALTHY"]);
  expect(asked).toEqual(["health", "health", "health"]);
  await look(meter);
  expect(asked.at(-1)).toBe("metrics");
});
