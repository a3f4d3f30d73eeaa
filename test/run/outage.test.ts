/**
 * A service is down for a minute, in simulated time: what is called meanwhile and when it is back, by one worker and by two.
 */
import { describe, expect, test } from "vitest";
import { agent } from "../../src/define/agent.ts";
import { AgentError } from "../../src/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { z } from "zod";
import { MachineRoom, anyWorkflow } from "../sim/machine-room.ts";
import { type SimProcess, replacing } from "../sim/process.ts";

const RUNS = process.env["PAWL_CASES"] === "long" ? 1_000 : 250;
const CALL_MS = 2_000;
const REFUSED_MS = 20;
const DOWN_AT_MS = 5_000;
const UP_AT_MS = 65_000;
const OPEN_FOR_MS = 10_000;
const THRESHOLD = 5;
/** One probe when it has been open for so long, and so on. */
const PROBES_MAX = (UP_AT_MS - DOWN_AT_MS) / OPEN_FOR_MS;

/** A service that is down from one instant to another; with when it was called. */
class Service {
  readonly calls: number[] = [];
  mostAtOnce = 0;
  #running = 0;
  readonly #room: MachineRoom;
  readonly #bootedAt: number;

  constructor(room: MachineRoom) {
    this.#room = room;
    this.#bootedAt = room.clock.mono();
  }

  async answer(): Promise<void> {
    const at = this.#room.clock.mono() - this.#bootedAt;
    const isDown = at >= DOWN_AT_MS && at < UP_AT_MS;
    this.calls.push(at);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#running);
    await new Promise<void>((resolve) => this.#room.clock.after(isDown ? REFUSED_MS : CALL_MS, resolve));
    this.#running--;
    if (isDown) throw new AgentError("503 Service Unavailable", { kind: "transient" });
  }

  from(from: number, to = Number.POSITIVE_INFINITY): number[] {
    return this.calls.filter((at) => at >= from && at < to);
  }

  /** The most calls that began within a second. */
  mostInASecond(from: number): number {
    return Math.max(...this.from(from).map((at) => this.from(at, at + 1_000).length));
  }
}

interface Scene {
  readonly workers: number;
  readonly runs: number;
  readonly concurrency?: number;
  readonly maxConcurrentAttempts?: number;
  /** What the store of a worker is instead. */
  readonly wrap?: (store: Store) => Store;
}

/** Runs of one node each, all started at once, in turn at each worker; answers when all have ended well. */
async function play({ workers, runs: count, concurrency, ...options }: Scene): Promise<Service> {
  const room = new MachineRoom();
  const service = new Service(room);
  const it = agent({
    name: "service",
    input: z.any(),
    output: z.any(),
    ...(concurrency !== undefined && { concurrency }),
    breaker: { failureThreshold: THRESHOLD, openFor: `${OPEN_FOR_MS}ms`, onOpen: "wait" },
    run: () => service.answer(),
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it, {}).result);
  const processes: SimProcess[] = [];
  for (let n = 0; n < workers; n++) processes.push(await room.boot([flow], { seed: n, ...options }));
  const starts = Array.from({ length: count }, (_, n) => processes[n % workers]!.pawl.start(flow, { id: `r${n}`, input: null }));
  const runs = await room.settled(Promise.all(starts));
  await room.settled(Promise.all(runs.map((run) => run.result())));
  let attempts = 0;
  for (const run of runs) for (const { attempt } of await run.nodes()) attempts += attempt;
  expect(attempts).toBe(service.calls.length);
  return service;
}

/** Calls while it was down: those before the breaker could know that it is, and those that tried later. */
function whileDown(service: Service): { readonly unknowing: number; readonly probes: readonly number[] } {
  const calls = service.from(DOWN_AT_MS, UP_AT_MS);
  const knownAt = calls[THRESHOLD - 1]! + REFUSED_MS;
  return { unknowing: calls.filter((at) => at <= knownAt).length, probes: calls.filter((at) => at > knownAt) };
}

describe.each([1, 2])("%i at work on a store", (workers) => {
  test("one by one, exactly as many calls are made as open the breaker, and its probes; then all goes on", async () => {
    const service = await play({ workers, runs: 50, concurrency: 1 });
    const { unknowing, probes } = whileDown(service);
    expect(unknowing).toBe(THRESHOLD);
    expect(probes.length).toBeLessThanOrEqual(PROBES_MAX);
    expect(service.mostAtOnce).toBe(1);
  });

  test("side by side, what is under way when it goes down comes on top; when it is back, nobody rushes at it", async () => {
    const concurrency = 20;
    const service = await play({ workers, runs: RUNS, concurrency });
    const { unknowing, probes } = whileDown(service);
    // the others were under way, or took the places of the first four
    expect(unknowing).toBeLessThanOrEqual(THRESHOLD - 1 + concurrency);
    expect(probes.length).toBeLessThanOrEqual(PROBES_MAX);
    for (const [n, at] of probes.entries()) if (n > 0) expect(at - probes[n - 1]!).toBeGreaterThanOrEqual(OPEN_FOR_MS);
    const [first, second, third] = service.from(UP_AT_MS);
    expect([second! - first!, third! - second!].every((ms) => ms >= CALL_MS)).toBe(true);
    expect(service.mostInASecond(UP_AT_MS)).toBeLessThanOrEqual(concurrency);
    expect(service.mostAtOnce).toBe(concurrency);
  });

  test("without a limit of its own, no more begin at once than the workers may", async () => {
    const service = await play({ workers, runs: RUNS, maxConcurrentAttempts: 10 });
    const { unknowing, probes } = whileDown(service);
    expect(unknowing).toBeLessThanOrEqual(THRESHOLD - 1 + 10 * workers);
    expect(probes.length).toBeLessThanOrEqual(PROBES_MAX);
    expect(service.mostInASecond(UP_AT_MS)).toBeLessThanOrEqual(10 * workers);
  });
});

test("a worker that hears nothing of the others learns of an open breaker with its own first failure", async () => {
  const deaf = (store: Store): Store => replacing(store, { watch: () => () => {} });
  const service = await play({ workers: 2, runs: 60, maxConcurrentAttempts: 10, wrap: deaf });
  const { unknowing, probes } = whileDown(service);
  expect(unknowing).toBeLessThanOrEqual(THRESHOLD - 1 + 20);
  expect(probes.length).toBeLessThanOrEqual(PROBES_MAX);
});
