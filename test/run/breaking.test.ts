/**
 * Circuit breakers before agents, one scene each: what is called, what fails at once, what waits, in one worker and in two.
 */
import { expect, test } from "vitest";
import { AgentError } from "../../src/errors.ts";
import { agent } from "../../src/define/agent.ts";
import type { BreakerOption } from "../../src/define/breaker.ts";
import { workflow } from "../../src/define/workflow.ts";
import { z } from "zod";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

/** A service that is down until it is up; with when it was called. */
function service(
  breaker: BreakerOption,
  retry = { maxAttempts: 1 },
): { readonly agent: ReturnType<typeof agent>; readonly calls: number[]; isUp: boolean; clock?: { mono(): number } } {
  const calls: number[] = [];
  const it = {
    calls,
    isUp: false,
    clock: undefined as { mono(): number } | undefined,
    agent: agent({
      name: "service",
      input: z.any(),
      output: z.any(),
      breaker,
      retry,
      run: (input) => {
        calls.push(it.clock?.mono() ?? 0);
        if (!it.isUp) throw new AgentError("down", { kind: "transient" });
        return input as unknown;
      },
    }),
  };
  return it as ReturnType<typeof service>;
}

test("after so many failures in a row nothing is called: nodes fail at once, and another agent takes over", async () => {
  const room = new MachineRoom();
  const it = service({ failureThreshold: 3 });
  const spare = anyAgent("spare", () => "spare");
  const flow = anyWorkflow("flow", (wf) => {
    let last: unknown = {};
    for (let n = 0; n < 10; n++) last = wf.node(`n${n}`, it.agent, { last }, { onFail: { use: spare } }).result;
    return last;
  });
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: null }));
  expect(await room.settled(run.result())).toBe("spare");
  expect(it.calls).toHaveLength(3);
  const failed = (await run.nodes()).map(({ failure }) => failure!.code);
  expect(failed).toEqual([...Array.from({ length: 3 }, () => "PAWL_AGENT_FAILED"), ...Array.from({ length: 7 }, () => "PAWL_CIRCUIT_OPEN")]);
});

test("nodes wait while it is open where that is said; probes go ahead one by one, and then all go on", async () => {
  const room = new MachineRoom();
  const it = service({ failureThreshold: 3, openFor: "60s", onOpen: "wait" }, { maxAttempts: 50 });
  it.clock = room.clock;
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 40; n++) wf.node(`n${n}`, it.agent, n);
  });
  const process = await room.boot([flow]);
  const began = room.clock.mono();
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: null }));
  await room.clock.until(() => it.calls.length > 0);
  await room.clock.advance(5 * 60_000);
  // all forty were under way before it was known; then one probe a minute
  const later = it.calls.filter((at) => at - began > 5_000);
  expect(later.length).toBeLessThanOrEqual(5);
  expect(later.length).toBeGreaterThanOrEqual(4);
  it.isUp = true;
  await room.settled(run.result());
  expect((await run.nodes()).every(({ status }) => status === "completed")).toBe(true);
});

test("it stays open for those that come after a restart, and for other workers", async () => {
  const room = new MachineRoom();
  const it = service({ failureThreshold: 3, openFor: "60s" });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it.agent, {}, { onFail: "skip" }).result);
  const first = await room.boot([flow]);
  for (let n = 0; n < 3; n++) await room.settled((await room.settled(first.pawl.start(flow, { id: `a${n}`, input: null }))).result());
  const second = await room.boot([flow]);
  await room.settled((await room.settled(second.pawl.start(flow, { id: "b", input: null }))).result());
  first.kill();
  second.kill();
  const third = await room.boot([flow]);
  await room.settled((await room.settled(third.pawl.start(flow, { id: "c", input: null }))).result());
  expect(it.calls).toHaveLength(3);
  it.isUp = true;
  await room.clock.advance(60_000);
  for (let n = 0; n < 4; n++) {
    await room.settled((await room.settled(third.pawl.start(flow, { id: `d${n}`, input: null }))).result());
    await room.clock.advance(100);
  }
  expect(it.calls.length).toBeGreaterThanOrEqual(6);
});

test("an attempt that was cut off by a crash, or cancelled, counts as neither", async () => {
  const room = new MachineRoom();
  let calls = 0;
  const hangs = anyAgent("hangs", () => (calls++, new Promise<never>(() => {})));
  const it = agent({
    name: "hangs",
    input: z.any(),
    output: z.any(),
    breaker: { failureThreshold: 2 },
    timeout: "1h",
    run: hangs.work.kind === "function" ? hangs.work.run : () => undefined,
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it, {}).result);
  let process = await room.boot([flow]);
  await room.settled(process.pawl.start(flow, { id: "r", input: null }));
  for (let n = 1; n <= 4; n++) {
    await room.clock.until(() => calls === n);
    process.kill();
    process = await room.boot([flow]);
  }
  await room.clock.until(() => calls === 5);
  for (let n = 0; n < 4; n++) {
    await room.settled((await process.pawl.run("r")).cancel());
    await room.settled((await process.pawl.run("r")).resume());
    await room.clock.until(() => calls === 6 + n);
  }
});

test("an attempt that takes too long is a failure", async () => {
  const room = new MachineRoom();
  let calls = 0;
  const it = agent({
    name: "slow",
    input: z.any(),
    output: z.any(),
    breaker: { failureThreshold: 2, openFor: "1h" },
    timeout: "1s",
    retry: { maxAttempts: 10 },
    run: () => (calls++, new Promise<never>(() => {})),
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it, {}).result);
  const process = await room.boot([flow]);
  const run = await room.settled(process.pawl.start(flow, { id: "r", input: null }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
  expect(calls).toBe(2);
  expect((await run.nodes())[0]!.failure).toMatchObject({ code: "PAWL_CIRCUIT_OPEN", kind: "circuitOpen" });
});

test("a workflow or a worker gives one to agents that have none", async () => {
  for (const where of ["workflow", "worker"] as const) {
    const room = new MachineRoom();
    let calls = 0;
    const fails = anyAgent(
      "fails",
      () => {
        calls++;
        throw new Error("no");
      },
      { retry: { maxAttempts: 1 } },
    );
    const breaker = { failureThreshold: 2 };
    const flow = workflow({ name: "flow", input: z.any(), ...(where === "workflow" && { breaker }) }, (wf) => {
      let last: unknown = {};
      for (let n = 0; n < 6; n++) last = wf.node(`n${n}`, fails, { last }, { onFail: "skip" }).result;
    });
    const process = await room.boot([flow], where === "worker" ? { breaker } : {});
    const run = await room.settled(process.pawl.start(flow, { id: "r", input: null }));
    await room.settled(run.result());
    expect(calls).toBe(2);
  }
});

test("during an outage no more is called than its threshold and its probes, and no herd comes after it", async () => {
  const room = new MachineRoom();
  const calls: number[] = [];
  let upAt = Number.POSITIVE_INFINITY;
  const it = agent({
    name: "provider",
    input: z.any(),
    output: z.any(),
    concurrency: 10,
    breaker: { failureThreshold: 5, openFor: "10s", onOpen: "wait" },
    retry: { maxAttempts: 100, initialInterval: "1s", maxInterval: "5s" },
    run: async () => {
      calls.push(room.clock.mono());
      await new Promise<void>((resolve) => room.clock.after(100, resolve));
      if (room.clock.mono() < upAt) throw new AgentError("503", { kind: "transient" });
      return "ok";
    },
  });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it, {}).result);
  const process = await room.boot([flow]);
  const began = room.clock.mono();
  upAt = began + 60_000;
  for (let n = 0; n < 200; n++) await room.settled(process.pawl.start(flow, { id: `r${n}`, input: null }));
  for (let n = 0; n < 200; n++) await room.settled((await process.pawl.run(`r${n}`)).result());
  const during = calls.filter((at) => at < upAt - 100);
  // four more could begin before the fifth of them had failed, and one probe every ten seconds
  expect(during.length).toBeLessThanOrEqual(10 + 4 + 6);
  const closedAt = calls.find((at) => at >= upAt)!;
  const perSecond = calls.filter((at) => at >= closedAt && at < closedAt + 100).length;
  expect(perSecond).toBeLessThanOrEqual(10);
});
