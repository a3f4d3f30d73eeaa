/**
 * Attempts that take longer than their `warnAfter`: people are warned, and recovery actions run beside them.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, agent } from "../../src/define/agent.ts";
import type { Recovery, RecoveryActions } from "../../src/define/recovery.ts";
import type { RunNotice } from "../../src/run/notice.ts";
import type { Run } from "../../src/run/handle.ts";
import { MachineRoom, anyAgent, never } from "../sim/machine-room.ts";
import { deaths, nodeEvents, oneNode, played, playedThrough } from "../sim/one-run.ts";

const SLOW = { timeout: "10m", warnAfter: "1m", retry: { maxAttempts: 2, initialInterval: "1s", jitter: "none" } } as const;

/** An agent that hangs in its first `hangs` attempts. */
function hanging(calls: string[], hangs: number, options: object = {}): Agent {
  return agent({
    ...SLOW,
    name: "work",
    input: z.any(),
    output: z.any(),
    ...options,
    run: (_: unknown, { attempt, signal, log }: AgentContext) => {
      calls.push(`work ${attempt}`);
      signal.addEventListener("abort", () => calls.push(`aborted ${attempt} ${signal.reason.code}`));
      void log;
      return attempt <= hangs ? never() : "done";
    },
  });
}

test("people are warned once of an attempt, by the history, a notice, and the run's nodes; it goes on, and times out at its own instant", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const notices: RunNotice[] = [];
  const flow = oneNode(hanging(calls, 1));
  const { pawl } = await room.boot([flow], { notify: (notice) => void notices.push(notice) });
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  const from = room.clock.mono();
  await room.clock.until(() => notices.length > 0);
  expect(room.clock.mono() - from).toBeGreaterThanOrEqual(60_000);
  expect(notices).toMatchObject([{ type: "node.warned", node: "n", nodes: ["n"], message: expect.stringContaining("warnAfter") as string }]);
  const [node] = await run.nodes();
  expect(node).toMatchObject({ status: "running", attempt: 1 });
  expect(node!.warnedAt! - node!.startedAt!).toBeGreaterThanOrEqual(60_000);
  await room.settled(run.ended());
  expect(calls).toEqual(["work 1", "aborted 1 PAWL_AGENT_TIMEOUT", "work 2"]);
  expect((await nodeEvents(run as Run<unknown>)).slice(0, 3)).toEqual(["node.started n 1", "node.warned n 1", "node.backingOff n 1 PAWL_AGENT_TIMEOUT"]);
  const [started, , timedOut] = (await Array.fromAsync(run.history())).filter(({ events }) => events.some(({ node: of }) => of === "n"));
  expect(timedOut!.at - started!.at).toBeGreaterThanOrEqual(600_000);
  expect(timedOut!.at - started!.at).toBeLessThan(610_000);
});

test("its actions run one after the other beside it, until one has it given up, or it ends of itself", async () => {
  const calls: string[] = [];
  const told: Recovery[] = [];
  const action = (name: string, verdict: string): Agent => anyAgent(name, (given: Recovery) => (told.push(given), calls.push(name), verdict));
  const recovery: RecoveryActions = { save: action("save", "continue"), simplify: action("simplify", "restart"), last: action("last", "continue") };
  const run = await played(oneNode(hanging(calls, 1, { recovery, onWarn: ["save", "simplify", "last"] })));
  expect((await run.status()).status).toBe("completed");
  expect(calls).toEqual(["work 1", "save", "simplify", "aborted 1 PAWL_AGENT_OVERDUE", "work 2"]);
  expect(told[0]).toEqual({
    ...{ runId: "r", nodeId: "n", input: "x", attempt: 1 },
    error: { kind: "timeout", code: "PAWL_AGENT_OVERDUE", message: "the attempt takes longer than 60000 ms" },
  });
  expect((await run.nodes())[0]).toMatchObject({ attempt: 2, recoveries: 2, failure: { kind: "timeout", code: "PAWL_AGENT_OVERDUE" } });
  expect((await nodeEvents(run)).filter((text) => text.startsWith("node.recovered"))).toEqual([
    "node.recovered n 1 save continue",
    "node.recovered n 1 simplify restart",
  ]);
});

test("'fail' gives the attempt up and takes the others with it; dependents are blocked, or another agent takes over", async () => {
  const calls: string[] = [];
  const recovery = { give: anyAgent("give", () => "fail") };
  const failed = await played(oneNode(hanging(calls, 9, { recovery, onWarn: ["give"] })));
  expect(await failed.status()).toMatchObject({ status: "failed", failure: { code: "PAWL_AGENT_OVERDUE", node: "n" } });
  expect(calls).toEqual(["work 1", "aborted 1 PAWL_AGENT_OVERDUE"]);
  const other = anyAgent("other", () => "instead");
  const turned = await played(oneNode(hanging([], 9, { recovery, onWarn: ["give"] }), { onFail: { use: other } }));
  expect(await turned.status()).toMatchObject({ status: "completed", output: "instead", degraded: true });
});

test("the end of the attempt, of the run, or an override ends the action under way", async () => {
  for (const way of ["answers", "fails", "cancel", "override", "timeout"] as const) {
    const room = new MachineRoom();
    const calls: string[] = [];
    const recovery = { wait: anyAgent("wait", (_, { signal }) => (signal.addEventListener("abort", () => calls.push("ended")), never()), { timeout: "1d" }) };
    const gate = Promise.withResolvers<unknown>();
    const work = agent({
      ...{ ...SLOW, name: "work", input: z.any(), output: z.any(), recovery, onWarn: ["wait"] },
      retry: { maxAttempts: 1 },
      run: () => gate.promise,
    });
    const flow = oneNode(work, { onFail: "skip" });
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(61_000);
    expect((await run.nodes())[0]).toMatchObject({ status: "running", recoveries: 1 });
    if (way === "answers") gate.resolve("late");
    else if (way === "fails") gate.reject(new Error("no"));
    else if (way === "cancel") await room.settled(run.cancel());
    else if (way === "override") await room.settled(run.override("n", { result: 1 }));
    await room.settled(run.ended());
    expect(calls, way).toEqual(["ended"]);
    expect((await run.status()).status).toBe(way === "cancel" ? "cancelled" : "completed");
    expect((await nodeEvents(run as Run<unknown>)).filter((text) => text.includes("[recovery-1]"))).toEqual([
      "node.started n[recovery-1] 1 wait",
      expect.stringContaining("node.cancelled n[recovery-1] 1"),
    ]);
  }
});

test("after a crash the attempt runs again from its beginning, is warned of again, and its actions have numbers of their own", async () => {
  for (const death of deaths(2, 9)) {
    const calls: string[] = [];
    const recovery = {
      save: anyAgent("save", (_, { nodeId }) => (calls.push(nodeId), "continue")),
      redo: anyAgent("redo", (_, { nodeId }) => (calls.push(nodeId), "restart")),
    };
    const run = await playedThrough(oneNode(hanging(calls, 1, { recovery, onWarn: ["save", "redo"] })), death);
    expect(await run.status(), `${death.kind} ${death.at}`).toMatchObject({ status: "completed", output: "done" });
    const events = await nodeEvents(run);
    expect(events.filter((text) => text.startsWith("node.recovered n 1 redo"))).toEqual(["node.recovered n 1 redo restart"]);
    const ends = events.filter((text) => text.startsWith("node.completed n[recovery"));
    expect(new Set(ends).size).toBe(ends.length);
  }
});

test("a warning that is no earlier than the timeout, or calls what nobody declares, is refused; a node's shorter timeout leaves its agent's warning out", () => {
  const work = hanging([], 0);
  expect(() => hanging([], 0, { warnAfter: "10m" })).toThrow("warnAfter is 600000 ms, but must be less than the timeout of 600000 ms");
  expect(() => anyAgent("a", () => 1, { onWarn: ["x"] })).toThrow("onWarn is given, but no warnAfter");
  const unknown = { code: "PAWL_UNKNOWN_RECOVERY", message: expect.stringContaining('no recovery action "sav"; did you mean "save"?') as string };
  expect(() => oneNode(work, { onWarn: ["sav"], recovery: { save: anyAgent("save", () => "continue") } })).toThrow(expect.objectContaining(unknown) as Error);
  expect(() => oneNode(work, { recovery: { save: {} } })).toThrow(expect.objectContaining({ code: "PAWL_MISSING_FIELD" }) as Error);
  expect(oneNode(work, { timeout: "30s" }).plan.nodes[0]!.policy).not.toHaveProperty("warnAfterMs");
  expect(oneNode(work, { timeout: "2m" }).plan.nodes[0]!.policy).toMatchObject({ timeoutMs: 120_000, warnAfterMs: 60_000 });
});
