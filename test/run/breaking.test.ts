/**
 * Circuit breakers before agents, one scene each: what is called, what fails at once, what waits; in one worker, and in two, for
 * both of which holds what one of them learns of a service.
 */
import { expect, test } from "vitest";
import { AgentError } from "../../src/errors.ts";
import { agent } from "../../src/define/agent.ts";
import type { BreakerOption } from "../../src/define/breaker.ts";
import { workflow } from "../../src/define/workflow.ts";
import { z } from "zod";
import type { Run } from "../../src/run/handle.ts";
import type { Workflow } from "../../src/define/workflow.ts";
import { type Crew, MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

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

/** So many runs, each started by the worker whose turn it is. */
async function startEach(room: MachineRoom, crew: Crew, flow: Workflow, count: number): Promise<Run<unknown>[]> {
  const runs: Run<unknown>[] = [];
  for (let n = 0; n < count; n++) runs.push(await room.settled(crew.next.pawl.start(flow, { id: `r${n}`, input: null })));
  return runs;
}

/** Scenes that are played by one worker, and by two that share the runs. */
const scene = test.each([1, 2]);

/** Of each other worker a call may be under way when it opens, and its next one be granted by the same write. */
const beforeItIsKnown = (workers: number): number => 2 * (workers - 1);

scene("after so many failures in a row nothing is called: nodes fail at once, and another agent takes over (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const it = service({ failureThreshold: 3 });
  const spare = anyAgent("spare", () => "spare");
  const flow = anyWorkflow("flow", (wf) => {
    let last: unknown = {};
    for (let n = 0; n < 10; n++) last = wf.node(`n${n}`, it.agent, { last }, { onFail: { use: spare } }).result;
    return last;
  });
  const runs = await startEach(room, await room.bootAll(workers, [flow]), flow, workers);
  const codes: string[] = [];
  for (const run of runs) {
    expect(await room.settled(run.result())).toBe("spare");
    codes.push(...(await run.nodes()).map(({ failure }) => failure!.code));
  }
  expect(it.calls.length).toBeGreaterThanOrEqual(3);
  expect(it.calls.length).toBeLessThanOrEqual(3 + beforeItIsKnown(workers));
  expect(codes.filter((code) => code === "PAWL_AGENT_FAILED")).toHaveLength(it.calls.length);
  expect(codes.filter((code) => code === "PAWL_CIRCUIT_OPEN")).toHaveLength(10 * workers - it.calls.length);
});

scene("nodes wait while it is open where that is said; probes go ahead one by one, and then all go on (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const it = service({ failureThreshold: 3, openFor: "60s", onOpen: "wait" }, { maxAttempts: 50 });
  it.clock = room.clock;
  const flow = anyWorkflow("flow", (wf) => {
    for (let n = 0; n < 40 / workers; n++) wf.node(`n${n}`, it.agent, n);
  });
  const crew = await room.bootAll(workers, [flow]);
  const began = room.clock.mono();
  const runs = await startEach(room, crew, flow, workers);
  await room.clock.until(() => it.calls.length > 0);
  await room.clock.advance(5 * 60_000);
  // all forty were under way before it was known; then one probe a minute, whoever makes it
  const later = it.calls.filter((at) => at - began > 5_000);
  expect(later.length).toBeLessThanOrEqual(5);
  expect(later.length).toBeGreaterThanOrEqual(4);
  it.isUp = true;
  for (const run of runs) {
    await room.settled(run.result());
    expect((await run.nodes()).every(({ status }) => status === "completed")).toBe(true);
  }
});

scene("each probe is one of its node's attempts: one that waits alone makes them all, and has failed (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const it = service({ failureThreshold: 1, openFor: "60s", onOpen: "wait" }, { maxAttempts: 4 });
  it.clock = room.clock;
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it.agent, {}).result);
  const [run] = await startEach(room, await room.bootAll(workers, [flow]), flow, 1);
  expect(await room.settled(run!.ended())).toMatchObject({ status: "failed" });
  const waits = it.calls.slice(1).map((at, i) => Math.floor((at - it.calls[i]!) / 60_000));
  expect(waits).toEqual([1, 1, 1]);
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

scene("an attempt that was cut off by a crash, or cancelled, counts as neither (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  let calls = 0;
  const breaker = { failureThreshold: 2 };
  const it = anyAgent("hangs", () => (calls++, never()), { breaker, timeout: "1h" });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it, {}).result);
  const crew = await room.bootAll(workers, [flow]);
  await startEach(room, crew, flow, 1);
  for (let n = 1; n <= 4; n++) {
    await room.clock.until(() => calls === n);
    await crew.replace(await room.ownerOf("r0"), () => room.boot([flow]));
  }
  await room.clock.until(() => calls === 5);
  for (let n = 0; n < 4; n++) {
    await room.settled((await crew.next.pawl.run("r0")).cancel());
    await room.settled((await crew.next.pawl.run("r0")).resume());
    await room.clock.until(() => calls === 6 + n);
  }
});

scene("an attempt that takes too long is a failure (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  let calls = 0;
  const breaker = { failureThreshold: 2, openFor: "1h" } as const;
  const it = anyAgent("slow", () => (calls++, never()), { breaker, timeout: "1s", retry: { maxAttempts: 10 } });
  const flow = anyWorkflow("flow", (wf) => wf.node("n", it, {}).result);
  for (const run of await startEach(room, await room.bootAll(workers, [flow]), flow, workers)) {
    await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED" });
    expect((await run.nodes())[0]!.failure).toMatchObject({ code: "PAWL_CIRCUIT_OPEN", kind: "circuitOpen" });
  }
  expect(calls).toBe(2);
});

scene("failures that are ignored open nothing, and leave it as it is when they are those of a probe (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  let calls = 0;
  let answer: "down" | "not found" | "fine" = "not found";
  const service = anyAgent(
    "service",
    () => {
      calls++;
      if (answer !== "fine") throw new AgentError(answer, { kind: "transient", code: answer === "down" ? "DOWN" : "NOT_FOUND" });
      return answer;
    },
    { breaker: { failureThreshold: 3, openFor: "10s", ignore: ({ code }) => code === "NOT_FOUND" }, retry: { maxAttempts: 1 } },
  );
  const flow = anyWorkflow("flow", (wf) => wf.node("n", service, {}).result);
  const crew = await room.bootAll(workers, [flow]);
  let started = 0;
  const runs = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await room.settled((await room.settled(crew.next.pawl.start(flow, { id: `r${started++}`, input: null }))).ended());
      // until the others know, too
      await room.clock.advance(200);
    }
  };
  const state = async (): Promise<string> => (await crew.next.pawl.breakers())[0]!.state;
  await runs(10);
  expect([calls, await state()]).toEqual([10, "closed"]);
  answer = "down";
  await runs(5);
  expect([calls, await state()]).toEqual([13, "open"]);
  await room.clock.advance(10_000);
  answer = "not found";
  await runs(4);
  expect([calls, await state()]).toEqual([17, "halfOpen"]);
  answer = "fine";
  await runs(2);
  expect([calls, await state()]).toEqual([19, "closed"]);
});

scene("a workflow or a worker gives one to agents that have none (workers: %i)", async (workers) => {
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
    }) as Workflow;
    const crew = await room.bootAll(workers, [flow], where === "worker" ? { breaker } : {});
    for (const run of await startEach(room, crew, flow, workers)) await room.settled(run.result());
    expect(calls).toBeGreaterThanOrEqual(2);
    expect(calls).toBeLessThanOrEqual(2 + beforeItIsKnown(workers));
  }
});

scene("during an outage no more is called than its threshold and its probes, and no herd comes after it (workers: %i)", async (workers) => {
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
  const crew = await room.bootAll(workers, [flow]);
  const began = room.clock.mono();
  upAt = began + 60_000;
  for (const run of await startEach(room, crew, flow, 200)) await room.settled(run.result());
  const during = calls.filter((at) => at < upAt - 100);
  // four more could begin before the fifth of them had failed, and one probe every ten seconds
  expect(during.length).toBeLessThanOrEqual(10 + 4 + 6);
  const closedAt = calls.find((at) => at >= upAt)!;
  const perSecond = calls.filter((at) => at >= closedAt && at < closedAt + 100).length;
  expect(perSecond).toBeLessThanOrEqual(10);
});
