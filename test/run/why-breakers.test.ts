/**
 * Why a run waits for a circuit breaker: which one, since when, until when, and what it failed of last; in any process.
 */
import { expect, test } from "vitest";
import { setup } from "xstate";
import type { BreakerOptions, Cause } from "../../src/index.ts";
import { step } from "../../src/run/xstate/step.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const WAITS: BreakerOptions = { name: "api", failureThreshold: 2, openFor: "60s", onOpen: "wait" };
const OPEN =
  /^n\d, n\d, n\d and 1 more: wait for the circuit breaker "api", which is open since \S+ \(2 failures in a row, the last of them PAWL_AGENT_FAILED no credit\);/;

/** A service that is down, called by four nodes, whose attempts wait, or fail, while the breaker is open. */
function scene(breaker: BreakerOptions | undefined) {
  const ill = anyAgent("ill", () => Promise.reject(new Error("no credit")), {
    retry: { maxAttempts: 50, initialInterval: 1, maxInterval: 1 },
    ...(breaker && { breaker }),
  });
  return anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 4; n++) wf.node(`n${n}`, ill, n);
  });
}

async function causes({ pawl }: SimProcess, id = "r"): Promise<readonly Cause[]> {
  return (await (await pawl.run(id)).why()).causes;
}

test("it is named with since when, its last failure, when a call tries, and what to do; in the worker, in another and where nothing executes", async () => {
  const room = new MachineRoom();
  const flow = scene(WAITS);
  const worker = await room.boot([flow]);
  const began = room.clock.now();
  await room.settled(worker.pawl.start(flow, { id: "r", input: null }));
  await room.clock.advance(5_000);
  for (const process of [worker, await room.boot([scene(WAITS)]), await room.boot([], { execute: false })]) {
    const [cause, ...others] = await causes(process);
    expect(others).toEqual([]);
    expect(cause).toMatchObject({ kind: "circuitOpen", next: "`pawl breaker reset api` lets calls through at once; `pawl breaker ls` shows how it is" });
    expect(cause!.message).toMatch(OPEN);
    expect(cause!.since! - began).toBeLessThan(1_000);
    expect(cause!.until! - cause!.since!).toBe(60_000);
    expect(cause!.message).toContain(`a call tries from ${new Date(cause!.until!).toISOString()} on`);
  }
  const [view] = await worker.pawl.breakers();
  expect(view!.lastFailure).toMatchObject({ code: "PAWL_AGENT_FAILED", message: "no credit" });
  expect(Math.abs(view!.lastFailure!.at - view!.since)).toBeLessThan(10);
});

test("a breaker of the workflow, or of all agents, is named, too; one that somebody opened says until when", async () => {
  for (const way of ["workflow", "open"] as const) {
    const room = new MachineRoom();
    const ill = anyAgent("ill", () => Promise.reject(new Error("no credit")), { retry: { maxAttempts: 50, initialInterval: 1, maxInterval: 1 } });
    const flow = anyWorkflow("flow", (wf) => wf.node("n", ill, 1).result, way === "workflow" ? { breaker: WAITS } : {});
    const worker = await room.boot([flow], way === "open" ? { breaker: WAITS } : {});
    await room.clock.advance(1_000);
    await room.settled(worker.pawl.forceBreaker("api", "open"));
    await room.settled(worker.pawl.start(flow, { id: "r", input: null }));
    await room.clock.advance(2_000);
    const [cause] = await causes(worker);
    expect(cause).toMatchObject({ kind: "circuitOpen", node: "n", until: undefined });
    expect(cause!.message).toMatch(/^n: waits for the circuit breaker "api", which is open since \S+ \(somebody opened it\); until it is reset$/);
    await room.settled(worker.pawl.resetBreaker("api"));
    await room.clock.advance(10);
    expect((await causes(worker)).filter(({ kind }) => kind === "circuitOpen")).toEqual([]);
    worker.kill();
  }
});

test("what fails at once because it is open says what it failed of, and what is shared by agents is theirs only where they wait", async () => {
  const room = new MachineRoom();
  const flow = scene({ ...WAITS, onOpen: "fail" });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: null }));
  await room.settled(run.ended());
  const { causes: found } = await run.why();
  expect(found.map(({ kind, code }) => [kind, code])).toEqual(Array.from({ length: 4 }, () => ["failed", "PAWL_CIRCUIT_OPEN"]));
  expect(found[0]!.message).toContain(
    'the circuit breaker "api" is open (2 failures in a row, the last of them PAWL_AGENT_FAILED no credit); it is tried again from ',
  );
});

test("a step of a machine that waits for a breaker says which; from where nobody knows whether it has begun, that too", async () => {
  const room = new MachineRoom();
  const ill = anyAgent("ill", () => Promise.reject(new Error("no credit")), { retry: { maxAttempts: 50, initialInterval: 1, maxInterval: 1 }, breaker: WAITS });
  const machine = setup({ actors: { call: step(ill) } }).createMachine({ id: "m", invoke: { id: "ask", src: "call", input: 1 } });
  const worker = await room.boot([machine]);
  await room.settled(worker.pawl.start(machine, { id: "r" }));
  await room.clock.advance(5_000);
  const about = 'the circuit breaker "api", which is open since';
  expect(await causes(worker)).toMatchObject([
    { kind: "circuitOpen", actor: expect.stringMatching(/^ask~/) as string, message: expect.stringContaining(`ask: waits for ${about}`) as string },
  ]);
  const looker = await room.boot([], { execute: false });
  expect(await causes(looker)).toMatchObject([
    { kind: "circuitOpen", message: expect.stringContaining(`ask: waits, unless it has begun, for ${about}`) as string },
  ]);
});
