/**
 * Circuit breakers, shared by workers: what is let through when, and what others got wrong.
 */
import { describe, expect, test } from "vitest";
import { type BreakerPolicy, breakerOf } from "../../src/define/breaker.ts";
import { isPawlError } from "../../src/errors.ts";
import { circuitOpenFailure, forceBreaker, viewBreakers } from "../../src/run/breaker-view.ts";
import { LEASE_LOOK_MS, LEASE_UNTAKEN_MS } from "../../src/run/breakers.ts";
import { BreakerRoom, type BreakerWorker } from "../sim/breaker-room.ts";

const OPEN_MS = 60_000;
const TIMEOUT_MS = 30_000;

function policy(options: Parameters<typeof breakerOf>[0] = true): BreakerPolicy {
  return { name: "api", ...breakerOf(options, "test").policy };
}

/** So many calls that are let through fail, one after the other; without a worker of all workers in turn. */
async function fail(room: BreakerRoom, by: BreakerWorker | undefined, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const worker = by ?? room.next;
    expect(worker.breakers.admit("api")).toBe("yes");
    worker.breakers.ended("api", "yes", "failure", 0);
    await room.pump();
  }
}

/** Scenes that are played by one worker, and by two that take turns. */
const WORKERS = [1, 2];

const state = (worker: BreakerWorker): string => worker.breakers.view("api")!.state;

async function opened(options: Parameters<typeof breakerOf>[0] = true, workers = 1): Promise<{ room: BreakerRoom; all: BreakerWorker[] }> {
  const room = new BreakerRoom(policy(options));
  for (let i = 0; i < workers; i++) await room.boot();
  await fail(room, undefined, policy(options).failureThreshold);
  expect(room.workers.map(state)).toEqual(Array.from({ length: workers }, () => "open"));
  return { room, all: room.workers };
}

/** A probe is admitted, and ends at once. */
async function probe(room: BreakerRoom, worker: BreakerWorker, outcome: "success" | "failure" | "neither"): Promise<void> {
  expect(await room.admit(worker, "api", TIMEOUT_MS)).toBe("probe");
  worker.breakers.ended("api", "probe", outcome, 0);
  await room.pump();
}

/** Of two workers the first has its probe under way, when it may. */
async function firstProbes(): Promise<{ room: BreakerRoom; first: BreakerWorker; second: BreakerWorker }> {
  const { room, all } = await opened(true, 2);
  const [first, second] = all as [BreakerWorker, BreakerWorker];
  await room.pass(OPEN_MS);
  expect(await room.admit(first, "api", TIMEOUT_MS)).toBe("probe");
  return { room, first, second };
}

test("failures in a row open it, a success between them forgets them, and a success alone writes nothing", async () => {
  const room = new BreakerRoom(policy());
  const worker = await room.boot();
  await room.pass(10);
  const success = (): void => worker.breakers.ended("api", "yes", "success", 5);
  success();
  expect(worker.shared.isDirty).toBe(false);
  await fail(room, worker, 4);
  success();
  expect(worker.shared.isDirty).toBe(true);
  await room.pump();
  expect(worker.breakers.view("api")).toMatchObject({ failures: 0, state: "closed" });
  // a failure that is not written yet is forgotten, too
  worker.breakers.ended("api", "yes", "failure", 0);
  success();
  await room.pump();
  await fail(room, worker, 4);
  worker.breakers.ended("api", "yes", "neither", 0);
  expect(state(worker)).toBe("closed");
  await fail(room, worker, 1);
  expect(state(worker)).toBe("open");
  expect(worker.breakers.admit("api")).toBe("no");
  expect(worker.transitions).toMatchObject([{ name: "api", from: "closed", to: "open", reason: "failures" }]);
});

test("it is half open from exactly the limit on, one call tries at a time, two that succeed close it", async () => {
  const { room, all } = await opened(true, 2);
  const [first, second] = all as [BreakerWorker, BreakerWorker];
  await room.pass(OPEN_MS - 1);
  expect(first.breakers.admit("api")).toBe("no");
  first.heard.length = 0;
  await room.pass(1);
  expect(first.heard).toEqual(["api"]);
  expect(first.breakers.admit("api")).toBe("asks");
  await room.pump();
  expect(first.breakers.admit("api")).toBe("probe");
  expect(await room.admit(first, "api")).toBe("no");
  expect(await room.admit(second, "api")).toBe("no");
  first.breakers.ended("api", "probe", "success", 0);
  await room.pump();
  expect(first.breakers.view("api")).toMatchObject({ state: "halfOpen", successes: 1, probes: 0 });
  await probe(room, second, "success");
  expect([state(first), state(second)]).toEqual(["closed", "closed"]);
  expect([...first.transitions, ...second.transitions].map(({ from, to, reason }) => [from, to, reason].join(" "))).toEqual([
    "closed open failures",
    "open halfOpen waited",
    "halfOpen closed probesSucceeded",
  ]);
  expect(first.breakers.view("api")).toMatchObject({ failures: 0, openings: 1, reason: "probesSucceeded" });
});

test.each(WORKERS)("a probe that fails opens it anew, for as long; one of which nobody knows gives its place back (workers: %i)", async (workers) => {
  const { room } = await opened(true, workers);
  await room.pass(OPEN_MS + 500);
  await probe(room, room.next, "neither");
  expect(state(room.next)).toBe("halfOpen");
  await probe(room, room.next, "failure");
  expect(state(room.next)).toBe("open");
  await room.pass(OPEN_MS - 1);
  for (const { breakers } of room.workers) expect(breakers.admit("api")).toBe("no");
  await room.pass(1);
  await probe(room, room.next, "success");
});

test("who waits hears when a place is free, and when it closes", async () => {
  const { room, all } = await opened(true, 2);
  const [first, second] = all as [BreakerWorker, BreakerWorker];
  await room.pass(OPEN_MS);
  expect(await room.admit(first, "api")).toBe("probe");
  expect(await room.admit(second, "api")).toBe("no");
  second.heard.length = 0;
  first.breakers.ended("api", "probe", "success", 0);
  await room.pump();
  expect(second.heard).toEqual(["api"]);
  expect(await room.admit(first, "api")).toBe("probe");
  expect(await room.admit(second, "api")).toBe("no");
  first.breakers.ended("api", "probe", "success", 0);
  await room.pump();
  expect(second.heard).toEqual(["api", "api"]);
  expect(second.breakers.admit("api")).toBe("yes");
});

describe("a probe that is lost gives its place back", () => {
  test("when its worker is gone", async () => {
    const { room, first, second } = await firstProbes();
    expect(await room.admit(second, "api", TIMEOUT_MS)).toBe("no");
    await room.kill(first);
    second.heard.length = 0;
    await room.pass(LEASE_LOOK_MS);
    expect(second.heard).toEqual(["api"]);
    await probe(room, second, "success");
  });

  test("when its worker is gone, at once for those that know it", async () => {
    const { room, first, second } = await firstProbes();
    expect(await room.admit(second, "api", TIMEOUT_MS)).toBe("no");
    await room.kill(first);
    expect(await room.admit(second, "api", TIMEOUT_MS)).toBe("no");
    second.heard.length = 0;
    second.breakers.freed();
    expect(second.heard).toEqual(["api"]);
    await probe(room, second, "success");
  });

  test("when it lapses, though its worker is there; what it answers then does not matter", async () => {
    const { room, first, second } = await firstProbes();
    await room.pass(TIMEOUT_MS - 1);
    expect(await room.admit(second, "api", TIMEOUT_MS)).toBe("no");
    await room.pass(LEASE_LOOK_MS);
    expect(await room.admit(second, "api", TIMEOUT_MS)).toBe("probe");
    first.breakers.ended("api", "probe", "failure", TIMEOUT_MS + LEASE_LOOK_MS - 1);
    await room.pump();
    expect(second.breakers.view("api")).toMatchObject({ state: "halfOpen", probes: 1 });
    second.breakers.ended("api", "probe", "failure", 0);
    await room.pump();
    expect(state(second)).toBe("open");
  });

  test("when nobody takes it", async () => {
    const { room, all } = await opened(true, 2);
    const [first, second] = all as [BreakerWorker, BreakerWorker];
    await room.pass(OPEN_MS);
    expect(first.breakers.admit("api", TIMEOUT_MS)).toBe("asks");
    await room.pump();
    expect(await room.admit(second, "api", TIMEOUT_MS)).toBe("no");
    second.heard.length = 0;
    await room.pass(LEASE_UNTAKEN_MS);
    expect(second.heard).toEqual(["api"]);
    await probe(room, second, "success");
  });

  test("when its process is killed between asking and knowing, whether or not it was written", async () => {
    for (const fault of ["diesApplied", "diesLost"] as const) {
      const { room, all } = await opened();
      await room.pass(OPEN_MS);
      room.fault = fault;
      expect(await room.admit(all[0]!, "api", TIMEOUT_MS)).toBe("no");
      expect(room.workers).toEqual([]);
      await probe(room, await room.boot(), "success");
    }
  });
});

test("who saw that all places were taken asks for none before one may be free again", async () => {
  const { second } = await firstProbes();
  expect([second.breakers.admit("api"), second.shared.isDirty]).toEqual(["no", false]);
});

test("a worker asks for one place at a time, and others have the rest", async () => {
  const { room, all } = await opened({ halfOpenMax: 2 }, 2);
  const [first, second] = all as [BreakerWorker, BreakerWorker];
  await room.pass(OPEN_MS);
  expect([first.breakers.admit("api"), first.breakers.admit("api")]).toEqual(["asks", "asks"]);
  await room.pump();
  expect(await room.admit(second, "api")).toBe("probe");
  expect([await room.admit(first, "api"), await room.admit(first, "api")]).toEqual(["probe", "no"]);
});

test("a lease is granted once, though nobody knew whether it was written", async () => {
  for (const fault of ["unknownApplied", "unknownLost"] as const) {
    const { room, all } = await opened();
    await room.pass(OPEN_MS);
    room.fault = fault;
    expect(await room.admit(all[0]!, "api")).toBe("probe");
    expect((await viewBreakers(room.store))[0]).toMatchObject({ probes: 1 });
    expect(all[0]!.transitions.map(({ to }) => to)).toEqual(["open", "halfOpen"]);
  }
});

test("it outlives its workers: state, failures in a row, and how long it is open yet", async () => {
  const room = new BreakerRoom(policy());
  const first = await room.boot();
  await fail(room, first, 4);
  await room.kill(first);
  const second = await room.boot();
  await fail(room, second, 1);
  expect(state(second)).toBe("open");
  await room.kill(second);
  await room.pass(OPEN_MS - 1);
  const third = await room.boot();
  expect(third.breakers.admit("api")).toBe("no");
  await room.pass(1);
  await probe(room, third, "success");
});

test("what somebody forced stays, from whatever process, until it is reset", async () => {
  const room = new BreakerRoom(policy());
  const worker = await room.boot();
  worker.breakers.force("api", "open");
  await room.pump();
  await room.pass(OPEN_MS * 10);
  expect(worker.breakers.admit("api")).toBe("no");
  expect(await forceBreaker(room.store, "api", "closed", room.clock.now())).toMatchObject({ state: "forcedClosed", reason: "forced" });
  await worker.shared.refresh();
  expect(worker.heard).toEqual(["api"]);
  await fail(room, worker, 20);
  expect(worker.shared.isDirty).toBe(false);
  worker.breakers.force("api", undefined);
  await room.pump();
  await fail(room, worker, 5);
  expect(state(worker)).toBe("open");
  expect(await forceBreaker(room.store, "api", undefined, room.clock.now())).toMatchObject({ state: "closed", failures: 0, reason: "reset" });
  await expect(forceBreaker(room.store, "apo", "open", 0)).rejects.toMatchObject({
    code: "PAWL_BREAKER_NOT_FOUND",
    message: 'there is no breaker "apo"; did you mean "api"?',
  });
  expect(() => worker.breakers.force("apo", "open")).toThrow('there is no breaker "apo"');
});

test("a breaker has the same numbers wherever it is named in a process; another worker may have others", async () => {
  const room = new BreakerRoom(policy());
  const worker = await room.boot();
  worker.breakers.declare(policy());
  let thrown: unknown;
  try {
    worker.breakers.declare(policy({ failureThreshold: 2, openFor: "1s" }));
  } catch (error) {
    thrown = error;
  }
  expect(isPawlError(thrown, "PAWL_BREAKER_CONFLICT")).toBe(true);
  expect(String(thrown)).toContain('breaker "api" is given twice, with failureThreshold 5 and 2, openFor 60000 and 1000 ms');
  await fail(room, worker, 5);
  await room.pass(OPEN_MS - 10);
  const newer = await room.boot([policy({ failureThreshold: 2 })]);
  expect((await viewBreakers(room.store))[0]!.policy.failureThreshold).toBe(2);
  await room.pass(10);
  await probe(room, worker, "success");
  await probe(room, worker, "success");
  await fail(room, worker, 1);
  await fail(room, newer, 1);
  expect(state(worker)).toBe("open");
});

test("a row that cannot be read is a breaker that is closed", async () => {
  const { room, all } = await opened();
  for (const body of ['{"of":{"state":"ajar"},"last":{}}', '{"of":{"state":"open","leases":[],"at":0},"last":{}}', '{"of":7,"last":{}}', "{"]) {
    await room.store.amend([{ key: "breaker:api", amend: () => body }]);
    await all[0]!.shared.refresh();
    expect(all[0]!.breakers.admit("api")).toBe("yes");
    expect(await viewBreakers(room.store)).toEqual([]);
    await fail(room, all[0], 1);
  }
  expect((await viewBreakers(room.store))[0]).toMatchObject({ state: "closed" });
});

test("what an attempt fails of says which breaker, why, and until when", async () => {
  const { room, all } = await opened();
  const { breakers } = all[0]!;
  const view = breakers.view("api")!;
  expect(circuitOpenFailure(view)).toMatchObject({ kind: "circuitOpen", code: "PAWL_CIRCUIT_OPEN", retryable: false });
  expect(circuitOpenFailure(view).message).toBe('the circuit breaker "api" is open (5 failures in a row); it is tried again from 1970-01-01T00:17:40.000Z');
  await room.pass(OPEN_MS);
  expect(await room.admit(all[0]!, "api")).toBe("probe");
  expect(circuitOpenFailure(breakers.view("api")!).message).toBe('the circuit breaker "api" is open (5 failures in a row); others try it now');
  breakers.force("api", "open");
  await room.pump();
  expect(circuitOpenFailure(breakers.view("api")!).message).toBe('the circuit breaker "api" is open (somebody opened it)');
  expect(breakers.views().map(({ name }) => name)).toEqual(["api"]);
});

describe.each(WORKERS)("a rate (workers: %i)", (workers) => {
  const rate = { window: { calls: 10 }, failureRate: 0.5, slowCallRate: 1, slowCall: "1s", minimumCalls: 4 } as const;
  const boot = async (options: object): Promise<{ room: BreakerRoom; worker: BreakerWorker }> => {
    const room = new BreakerRoom(policy({ failureThreshold: 99, rate: { ...rate, ...options } }));
    for (let i = 0; i < workers; i++) await room.boot();
    await room.pass(3_600_000);
    return { room, worker: room.workers[0]! };
  };
  const end = async (room: BreakerRoom, ...calls: readonly (readonly ["success" | "failure", number])[]): Promise<void> => {
    for (const [outcome, durationMs] of calls) {
      room.next.breakers.ended("api", "yes", outcome, durationMs);
      await room.pump();
    }
  };

  test("opens it when so many of the newest calls failed, at exactly the limit, and not of fewer calls than the minimum", async () => {
    const { room, worker } = await boot({});
    await end(room, ["failure", 0], ["failure", 0], ["failure", 0]);
    expect(state(worker)).toBe("closed");
    expect(worker.breakers.view("api")).toMatchObject({ state: "closed", calls: { calls: 3, failures: 3, slow: 0 } });
    await end(room, ["success", 0]);
    expect(worker.breakers.view("api")).toMatchObject({ state: "open", reason: "rate", calls: null });
    expect(circuitOpenFailure(worker.breakers.view("api")!).message).toContain("(too many calls failed or were slow)");
  });

  test("forgets what is no longer among the newest calls", async () => {
    const { room, worker } = await boot({});
    const fine = Array.from({ length: 7 }, () => ["success", 0] as const);
    await end(room, ...fine, ["failure", 0], ["failure", 0], ["failure", 0], ["failure", 0]);
    expect(worker.breakers.view("api")).toMatchObject({ state: "closed", calls: { calls: 10, failures: 4 } });
    await end(room, ["failure", 0]);
    expect(state(worker)).toBe("open");
  });

  test("opens it when so many were slow, at exactly so long, though they succeeded", async () => {
    const { room, worker } = await boot({});
    await end(room, ["success", 999], ["success", 1_000], ["success", 1_000], ["success", 5_000]);
    expect(worker.breakers.view("api")).toMatchObject({ state: "closed", calls: { slow: 3 } });
    const slow = await boot({});
    await end(slow.room, ["success", 1_000], ["success", 1_000], ["success", 1_000], ["success", 1_000]);
    expect(state(slow.worker)).toBe("open");
  });

  test("of a window of time forgets what is older, and survives a restart", async () => {
    const { room } = await boot({ window: { time: "10s" }, failureRate: 0.8 });
    await end(room, ["failure", 0], ["failure", 0], ["failure", 0]);
    for (const worker of room.workers) await room.kill(worker);
    await room.pass(9_000);
    const second = await room.boot();
    if (workers === 2) await room.boot();
    await end(room, ["success", 0], ["success", 0]);
    expect(second.breakers.view("api")!.calls).toEqual({ calls: 5, failures: 3, slow: 0 });
    // the oldest tenth of the window goes at once
    await room.pass(999);
    await end(room, ["success", 0]);
    expect(second.breakers.view("api")!.calls).toEqual({ calls: 6, failures: 3, slow: 0 });
    await room.pass(1);
    await end(room, ["failure", 0], ["success", 0]);
    expect(second.breakers.view("api")).toMatchObject({ state: "closed", calls: { calls: 5, failures: 1 } });
  });
});

describe.each(WORKERS)("what happened to other breakers (workers: %i)", (workers) => {
  test("opossum#385: six calls that fail at the same time: the sixth neither opens it again nor keeps it from being tried", async () => {
    const room = new BreakerRoom(policy());
    for (let i = 0; i < workers; i++) await room.boot();
    for (let i = 0; i < 6; i++) expect(room.next.breakers.admit("api")).toBe("yes");
    for (let i = 0; i < 6; i++) room.next.breakers.ended("api", "yes", "failure", 0);
    await room.pump();
    expect(room.next.breakers.view("api")).toMatchObject({ state: "open", failures: 5, openings: 1 });
    expect(room.workers.flatMap(({ transitions }) => transitions)).toHaveLength(1);
    await room.pass(OPEN_MS);
    await probe(room, room.next, "success");
  });

  test("opossum#276: half open below the minimum of its rate: one probe decides, whatever the minimum", async () => {
    const { room } = await opened({ rate: { window: { calls: 100 }, minimumCalls: 50 } }, workers);
    await room.pass(OPEN_MS);
    await probe(room, room.next, "failure");
    expect(state(room.next)).toBe("open");
    await room.pass(OPEN_MS);
    await probe(room, room.next, "success");
    await probe(room, room.next, "success");
    expect(state(room.next)).toBe("closed");
  });

  test("resilience4j#544, Polly#311: probes whose failures are ignored neither hold their places nor open it; those that succeed close it", async () => {
    const { room } = await opened({ halfOpenMax: 2 }, workers);
    await room.pass(OPEN_MS);
    for (let i = 0; i < 10; i++) await probe(room, room.next, "neither");
    expect(room.next.breakers.view("api")).toMatchObject({ state: "halfOpen", probes: 0, successes: 0 });
    await probe(room, room.next, "success");
    await probe(room, room.next, "neither");
    await probe(room, room.next, "success");
    expect(state(room.next)).toBe("closed");
  });

  test("resilience4j#935: probes that are never answered keep nobody from trying when their time is over, again and again", async () => {
    const { room } = await opened({ halfOpenMax: 2 }, workers);
    await room.pass(OPEN_MS);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 2; i++) expect(await room.admit(room.next, "api", TIMEOUT_MS)).toBe("probe");
      for (const worker of room.workers) expect(await room.admit(worker, "api", TIMEOUT_MS)).toBe("no");
      await room.pass(TIMEOUT_MS + LEASE_LOOK_MS);
    }
    await probe(room, room.next, "success");
    await probe(room, room.next, "success");
    expect(state(room.next)).toBe("closed");
  });

  test("Polly#219: what fails while it is open does not open it again, and it is tried when it should be", async () => {
    const room = new BreakerRoom(policy());
    for (let i = 0; i < workers; i++) await room.boot();
    for (let i = 0; i < 60; i++) expect(room.next.breakers.admit("api")).toBe("yes");
    for (let second = 0; second < 60; second++) {
      room.next.breakers.ended("api", "yes", "failure", second * 1_000);
      await room.pump();
      await room.pass(1_000);
    }
    expect(room.workers.flatMap(({ transitions }) => transitions).map(({ to }) => to)).toEqual(["open"]);
    await room.pass(OPEN_MS - 56_000);
    await probe(room, room.next, "success");
  });

  test("opossum#119: half open lets a hundred calls that wait through one at a time, also of workers that ask at once", async () => {
    const { room, all } = await opened(true, workers);
    await room.pass(OPEN_MS);
    for (let i = 0; i < 50; i++) for (const { breakers } of all) expect(breakers.admit("api")).toBe("asks");
    await room.pump();
    expect(all.map(({ breakers }) => breakers.admit("api")).filter((answer) => answer === "probe")).toHaveLength(1);
    for (let i = 0; i < 50; i++) for (const worker of all) expect(await room.admit(worker, "api")).toBe("no");
  });

  test("opossum#484: it closes, and stays closed when late failures of before come in", async () => {
    const room = new BreakerRoom(policy());
    for (let i = 0; i < workers; i++) await room.boot();
    for (let i = 0; i < 20; i++) expect(room.next.breakers.admit("api")).toBe("yes");
    const beganAt = room.clock.mono();
    const late = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) room.next.breakers.ended("api", "yes", "failure", room.clock.mono() - beganAt);
      await room.pump();
    };
    await late(5);
    await room.pass(OPEN_MS - 1);
    await late(5);
    await room.pass(1);
    await probe(room, room.next, "success");
    await late(5);
    expect(room.next.breakers.view("api")).toMatchObject({ state: "halfOpen", successes: 1 });
    await probe(room, room.next, "success");
    await late(5);
    expect(room.next.breakers.view("api")).toMatchObject({ state: "closed", failures: 0 });
  });

  test("cockatiel 3.2.1, which reads the wall clock: when that is set back it is open for as long as it should be, from when it is seen", async () => {
    const { room } = await opened(true, workers);
    room.clock.wallOffsetMs -= 3_600_000;
    await room.pass(OPEN_MS - 1);
    for (const { breakers } of room.workers) expect(breakers.admit("api")).toBe("no");
    await room.pass(1);
    await probe(room, room.next, "failure");
    for (const worker of room.workers) await room.kill(worker);
    const next = await room.boot();
    await room.pass(OPEN_MS - 1);
    expect(next.breakers.admit("api")).toBe("no");
    await room.pass(1);
    await probe(room, next, "success");
  });

  test("workers whose clocks are an hour apart agree on how long it is open", async () => {
    const room = new BreakerRoom(policy());
    const ahead = await room.boot();
    await room.pass(7_200_000);
    room.clock.wallOffsetMs -= 3_600_000;
    const behind = await room.boot();
    for (const opener of [behind, ahead, behind]) {
      await fail(room, opener, 5);
      await room.pass(OPEN_MS - 1);
      expect([ahead.breakers.admit("api"), behind.breakers.admit("api")]).toEqual(["no", "no"]);
      await room.pass(1);
      await probe(room, ahead, "success");
      await probe(room, behind, "success");
    }
    // an operator's clock may be any
    await forceBreaker(room.store, "api", "open", 5);
    const [view] = await viewBreakers(room.store);
    expect(view!.since).toBeGreaterThan(1_000_000);
  });
});

test("of probes that run beside each other, and of one that has lapsed, each answers for itself", async () => {
  const { room, all } = await opened({ halfOpenMax: 2, successThreshold: 9 });
  const worker = all[0]!;
  await room.pass(OPEN_MS);
  expect(await room.admit(worker, "api", TIMEOUT_MS)).toBe("probe");
  await room.pass(TIMEOUT_MS - 1_000);
  expect(await room.admit(worker, "api", TIMEOUT_MS)).toBe("probe");
  await room.pass(2_000);
  // the first has lapsed; a third takes its place
  await room.pass(LEASE_LOOK_MS);
  expect(await room.admit(worker, "api", TIMEOUT_MS)).toBe("probe");
  worker.breakers.ended("api", "probe", "success", 0);
  await room.pump();
  expect(worker.breakers.view("api")).toMatchObject({ successes: 1, probes: 1 });
  worker.breakers.ended("api", "probe", "success", TIMEOUT_MS + LEASE_LOOK_MS + 1_000);
  await room.pump();
  expect(worker.breakers.view("api")).toMatchObject({ successes: 1, probes: 1 });
});

test("a transition is told by who made it, and not by one whose write came second, or never", async () => {
  const room = new BreakerRoom(policy({ failureThreshold: 1 }));
  const [first, second] = [await room.boot(), await room.boot()];
  first.breakers.ended("api", "yes", "failure", 0);
  room.fault = "unknownLost";
  await room.write(first);
  second.breakers.ended("api", "yes", "failure", 0);
  await room.write(second);
  await room.write(first);
  expect([first.transitions.length, second.transitions.length]).toEqual([0, 1]);
  first.breakers.force("api", "closed");
  const amendments = first.shared.take();
  await room.store.amend(amendments);
  first.shared.notWritten();
  first.shared.lost();
  expect(first.transitions).toEqual([]);
});

test("whoever looks at the rows does not wait for one that is being written, and sees it when it is", async () => {
  const room = new BreakerRoom(policy(), { ...policy(), name: "mail" });
  const [first, second] = [await room.boot(), await room.boot()];
  for (let i = 0; i < 5; i++) first.breakers.ended("api", "yes", "failure", 0);
  const amendments = first.shared.take();
  second.breakers.force("mail", "open");
  await room.write(second);
  let reads = 0;
  const read = room.store.readSharedSince.bind(room.store);
  room.store.readSharedSince = (number) => (++reads > 10 ? Promise.reject(new Error("it reads again and again")) : read(number));
  await first.shared.refresh();
  expect(first.breakers.views().map(({ name, state }) => `${name} ${state}`)).toEqual(["api closed", "mail forcedOpen"]);
  await room.store.amend(amendments);
  first.shared.written();
  expect(first.breakers.views().map(({ name, state }) => `${name} ${state}`)).toEqual(["api open", "mail forcedOpen"]);
});
