/**
 * Recovery actions: agents that are called when an attempt has failed, and say how its node goes on.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, type ErrorVerdict, agent } from "../../src/define/agent.ts";
import type { AttemptOptions } from "../../src/define/policy.ts";
import type { Recovery, RecoveryActions } from "../../src/define/recovery.ts";
import { AgentError } from "../../src/errors.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";
import { deaths, nodeEvents, oneNode, played, playedThrough } from "../sim/one-run.ts";

const TWICE = { retry: { maxAttempts: 2, initialInterval: "1s", jitter: "none" } } as const;

/** An agent that fails as often as `fails` says, and asks for this recovery action each time. */
function failing(calls: string[], recover: string | undefined, recovery?: RecoveryActions, fails = 99, options: AttemptOptions = TWICE): Agent {
  let left = fails;
  const verdict: ErrorVerdict | undefined = recover === undefined ? undefined : { recover };
  return agent({
    ...options,
    name: "work",
    input: z.any(),
    output: z.any(),
    ...(recovery !== undefined && { recovery }),
    onError: () => verdict as never,
    run: (input: unknown, { attempt, idempotencyKey }: AgentContext) => {
      calls.push(`work ${attempt} ${idempotencyKey}`);
      if (left-- > 0) throw new Error("disk full");
      return `done ${String(input)}`;
    },
  });
}

/** A recovery action that says these one after the other, then 'continue'. */
function saying(calls: string[], ...verdicts: unknown[]): Agent {
  return anyAgent("clean-up", ({ nodeId, attempt }: Recovery) => (calls.push(`clean ${nodeId} ${attempt}`), verdicts.shift() ?? "continue"));
}

test("'continue' goes on as if nothing had been called, within the same attempts; the action is told what failed", async () => {
  const [calls, told]: [string[], Recovery[]] = [[], []];
  const cleanUp = anyAgent("clean-up", (given: Recovery) => (told.push(given), "continue"));
  const run = await played(oneNode(failing(calls, "cleanUp", { cleanUp }, 1)));
  expect(await run.status()).toMatchObject({ status: "completed", output: "done x" });
  expect(told).toEqual([{ runId: "r", nodeId: "n", input: "x", attempt: 1, error: { kind: "transient", code: "PAWL_AGENT_FAILED", message: "disk full" } }]);
  expect(calls).toEqual(["work 1 r/n#1", "work 2 r/n#1"]);
  expect(await nodeEvents(run)).toEqual([
    "node.started n 1",
    "node.recovering n 1 cleanUp PAWL_AGENT_FAILED",
    "node.started n[recovery-1] 1 cleanUp",
    "node.completed n[recovery-1] 1",
    "node.recovered n 1 cleanUp continue",
    "node.backingOff n 1 PAWL_AGENT_FAILED",
    "node.started n 2",
    "node.completed n 2",
  ]);
  expect((await run.nodes())[0]).toMatchObject({ id: "n", status: "completed", attempt: 2, recoveries: 1 });
});

test("'restart' begins a new round of attempts, which keeps the steps; 'fail' takes what is left of them", async () => {
  const calls: string[] = [];
  const restarted = await played(oneNode(failing(calls, "cleanUp", { cleanUp: saying(calls, "continue", "restart") }, 3)));
  expect((await restarted.status()).status).toBe("completed");
  expect(calls).toEqual(["work 1 r/n#1", "clean n 1", "work 2 r/n#1", "clean n 2", "work 3 r/n#1", "clean n 3", "work 4 r/n#1"]);
  calls.length = 0;
  const failed = await played(oneNode(failing(calls, "cleanUp", { cleanUp: saying(calls, "fail") })));
  expect(await failed.status()).toMatchObject({ status: "failed", failure: { message: "disk full", node: "n" } });
  expect(calls).toEqual(["work 1 r/n#1", "clean n 1"]);
});

test("after 'fail', and when no attempt is left, comes what onFail says: another agent, with actions of its own, or skip", async () => {
  const calls: string[] = [];
  const other = agent({
    name: "other",
    input: z.any(),
    output: z.any(),
    ...TWICE,
    recovery: { cleanUp: anyAgent("other-clean-up", () => (calls.push("other clean"), "restart")) },
    onError: () => ({ recover: "cleanUp" }),
    run: (_, { attempt }) => {
      calls.push(`other ${attempt}`);
      if (attempt < 5) throw new Error("no");
      return "from the other";
    },
  });
  const run = await played(oneNode(failing(calls, "cleanUp", { cleanUp: saying(calls, "fail") }), { onFail: { use: other } }));
  expect(await run.status()).toMatchObject({ status: "completed", output: "from the other", degraded: true });
  expect(calls).toEqual(["work 1 r/n#1", "clean n 1", "other 2", "other clean", "other 3", "other clean", "other 4", "other clean", "other 5"]);
  const types = (await nodeEvents(run)).filter((text) => text.startsWith("node.alternative"));
  expect(types).toEqual(["node.alternative n 1 PAWL_AGENT_FAILED"]);
  const skipped = await played(oneNode(failing([], "cleanUp", { cleanUp: saying([], "fail") }), { onFail: "skip" }));
  expect(await skipped.status()).toMatchObject({ status: "completed", degraded: true });
});

test("a node's own action wins over its agent's; items of maps and rounds have actions, too", async () => {
  const calls: string[] = [];
  const work = agent({
    name: "work",
    input: z.any(),
    output: z.any(),
    ...TWICE,
    recovery: { cleanUp: saying(calls, "fail", "fail", "fail") },
    onError: () => ({ recover: "cleanUp" }),
    run: (input, { attempt }) => (attempt === 1 ? Promise.reject(new Error("no")) : input),
  });
  const flow = anyWorkflow("flow", (wf) => {
    const own = anyAgent("own", ({ nodeId, input }: Recovery) => (calls.push(`own ${nodeId} ${input}`), "continue"));
    const items = wf.map("read", ["a", "b", "c"], work, (item) => item, { recovery: { cleanUp: own }, concurrency: 2 });
    return wf.repeat("again", failing(calls, "cleanUp", undefined, 1), "z", { after: [items], recovery: { cleanUp: own }, max: 2 }).result;
  });
  const run = await played(flow);
  expect(await run.status()).toMatchObject({ status: "completed", output: "done z" });
  expect(calls.filter((call) => call.startsWith("own")).toSorted()).toEqual(["own again[0] z", "own read[0] a", "own read[1] b", "own read[2] c"]);
  expect(calls.some((call) => call.startsWith("clean"))).toBe(false);
});

test("an action that fails, says something else, or is not declared lets the node go on, and history says so", async () => {
  const calls: string[] = [];
  const broken = anyAgent("clean-up", () => Promise.reject(new AgentError("no rights", { kind: "critical", code: "EACCES" })));
  const endings: [RecoveryActions | undefined, string][] = [
    [{ cleanUp: broken }, "EACCES"],
    [{ cleanUp: saying(calls, "perhaps") }, "PAWL_OUTPUT_INVALID"],
    [undefined, "PAWL_UNKNOWN_RECOVERY"],
  ];
  for (const [recovery, code] of endings) {
    const run = await played(oneNode(failing(calls, "cleanUp", recovery, 1)));
    expect((await run.status()).status).toBe("completed");
    expect(await nodeEvents(run)).toContain(`node.recovered n 1 cleanUp continue ${code}`);
  }
});

test("an action is tried again by its own policy, and its steps are kept; it has no actions of its own", async () => {
  const calls: string[] = [];
  const cleanUp = agent({
    name: "clean-up",
    input: z.any(),
    output: z.any(),
    ...TWICE,
    recovery: { cleanUp: saying(calls) },
    onError: () => ({ recover: "cleanUp" }),
    run: async (_, ctx) => {
      await ctx.step("remove", () => calls.push("removed"));
      calls.push(`clean ${ctx.attempt}`);
      if (ctx.attempt === 1) throw new Error("busy");
      return "restart";
    },
  });
  const run = await played(oneNode(failing(calls, "cleanUp", { cleanUp }, 2, { retry: { maxAttempts: 1 } })));
  expect((await run.status()).status).toBe("completed");
  expect(calls.filter((call) => !call.startsWith("work"))).toEqual(["removed", "clean 1", "clean 2", "removed", "clean 1", "clean 2"]);
});

test("a node has ten actions at most; then it goes on without", async () => {
  const calls: string[] = [];
  const always = anyAgent("clean-up", () => (calls.push("clean"), "restart"));
  const run = await played(oneNode(failing(calls, "cleanUp", { cleanUp: always }, 99, { retry: { maxAttempts: 1 } })));
  expect((await run.status()).status).toBe("failed");
  expect(calls.filter((call) => call === "clean")).toHaveLength(10);
  expect((await run.nodes())[0]).toMatchObject({ attempt: 11, recoveries: 10 });
});

test("while an action runs the node is `recovering`; cancel, override and termination give the action up", async () => {
  for (const way of ["cancel", "terminate", "override"] as const) {
    const room = new MachineRoom();
    const calls: string[] = [];
    const cleanUp = anyAgent("clean-up", (_, { signal }) => (signal.addEventListener("abort", () => calls.push(signal.reason.code)), never()));
    const flow = oneNode(failing([], "cleanUp", { cleanUp }));
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    expect((await run.nodes()).map(({ id, status }) => [id, status])).toEqual([["n", "recovering"]]);
    expect((await run.why()).causes).toMatchObject([{ node: "n", message: expect.stringContaining('recovery action "cleanUp"') as string }]);
    await expect(room.settled(run.override("n[recovery-1]", "skip"))).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
    if (way === "override") await room.settled(run.override("n", { result: "by hand" }));
    else await room.settled(run.cancel({ now: way === "terminate" }));
    await room.settled(run.ended());
    expect((await run.status()).status).toBe(way === "override" ? "completed" : "cancelled");
    expect(calls).toEqual(["PAWL_RUN_CANCELLED"]);
  }
});

test("a run that is unwound waits for the action's end, then undoes what the node may have done", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const gate = deferred<string>();
  const cleanUp = anyAgent("clean-up", (_, { signal }) => (signal.addEventListener("abort", () => calls.push("asked to stop")), gate.promise));
  const undo = anyAgent("undo", () => void calls.push("undo"));
  const flow = oneNode(failing([], "cleanUp", { cleanUp }), { compensate: undo });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  const cancelled = run.cancel();
  await room.clock.advance(10);
  expect(calls).toEqual(["asked to stop"]);
  gate.resolve("restart");
  await room.settled(cancelled);
  expect(calls).toEqual(["asked to stop", "undo"]);
  expect(await run.status()).toMatchObject({ status: "cancelled", compensated: true });
});

test("a pause starts no action; a run that was cancelled, or failed, goes on with fresh attempts and new numbers", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  let isStuck = true;
  const cleanUp = anyAgent("clean-up", (_, { nodeId }) => (calls.push(nodeId), isStuck ? never() : "continue"));
  const flow = oneNode(failing(calls, "cleanUp", { cleanUp }, 3));
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.cancel());
  isStuck = false;
  await room.settled(run.resume());
  await room.settled(run.ended());
  expect((await run.status()).status).toBe("failed");
  await room.settled(run.retry());
  await room.settled(run.ended());
  expect((await run.status()).status).toBe("completed");
  expect(calls.filter((call) => !call.startsWith("work"))).toEqual(["n[recovery-1]", "n[recovery-2]", "n[recovery-3]"]);
});

test("while the run is paused no action starts", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const gate = deferred<unknown>();
  const work = agent({
    name: "work",
    input: z.any(),
    output: z.any(),
    ...TWICE,
    recovery: { cleanUp: saying(calls) },
    onError: () => ({ recover: "cleanUp" }),
    run: (_, { attempt }) => (attempt === 1 ? gate.promise : "done"),
  });
  const flow = oneNode(work);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(run.pause());
  gate.reject(new Error("no"));
  await room.clock.advance(60_000);
  expect([calls, (await run.nodes())[0]!.status]).toEqual([[], "recovering"]);
  await room.settled(run.resume());
  expect(await room.settled(run.result())).toBe("done");
  expect(calls).toEqual(["clean n 1"]);
});

test("a run that is killed before or after any commit ends as it would have, and no action that is durable is called again", async () => {
  for (const death of deaths(1, 14)) {
    const calls: string[] = [];
    // what the world has of it: the first attempt fails, its round is begun anew once, and then it works
    const cleanUp = anyAgent("clean-up", ({ attempt }: Recovery, { nodeId }) => (calls.push(nodeId), attempt === 1 ? "continue" : "restart"), TWICE);
    const work = agent({
      name: "work",
      input: z.any(),
      output: z.any(),
      ...TWICE,
      recovery: { cleanUp },
      onError: () => ({ recover: "cleanUp" }),
      run: (_, { attempt }) => {
        if (attempt < 3) throw new Error("no");
        return attempt;
      },
    });
    const run = await playedThrough(oneNode(work), death);
    expect(await run.status(), `${death.kind} ${death.at}`).toMatchObject({ status: "completed", output: 3 });
    const events = await nodeEvents(run);
    expect(events.filter((text) => text.startsWith("node.recovered"))).toEqual(["node.recovered n 1 cleanUp continue", "node.recovered n 2 cleanUp restart"]);
    expect((await run.nodes())[0]).toMatchObject({ attempt: 3, recoveries: 2 });
    expect([...new Set(calls)]).toEqual(["n[recovery-1]", "n[recovery-2]"]);
    expect(calls.length, `${death.kind} ${death.at}`).toBeLessThanOrEqual(3);
  }
});

test("a node that is given up while its action runs, by its stage or by somebody, has failed, also when it is the last of the run", async () => {
  for (const way of ["override", "stage"] as const) {
    const room = new MachineRoom();
    const recovery = { cleanUp: anyAgent("clean-up", never) };
    const flow = anyWorkflow(
      "flow",
      (wf) => wf.stage("s", way === "stage" ? { timeout: "1m" } : {}, () => wf.node("n", failing([], "cleanUp", recovery), 1)).result,
    );
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10);
    if (way === "override") await room.settled(run.override("n", "fail"));
    await room.settled(run.ended());
    expect(await run.status()).toMatchObject({ status: "failed", failure: { node: "n" } });
    expect((await run.nodes())[0]).toMatchObject({ status: "failed", recoveries: 1 });
  }
});
