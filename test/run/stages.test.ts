/**
 * Stages with a timeout or a warning, and runs with a warning: in time in which the run could work.
 */
import { expect, test, vi } from "vitest";
import type { Agent } from "../../src/define/agent.ts";
import type { StageRecovery } from "../../src/define/recovery.ts";
import { type Workflow, type WorkflowBuilder, workflow } from "../../src/define/workflow.ts";
import { EventNodes } from "../../src/run/event-nodes.ts";
import type { RunNotice } from "../../src/run/notice.ts";
import type { Run } from "../../src/run/handle.ts";
import { z } from "zod";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { deaths, played, playedThrough, spanEvents, standing } from "../sim/one-run.ts";

const LONG = { timeout: "1d", retry: { maxAttempts: 1 } } as const;
const quick = anyAgent("quick", (input) => input);

/** An agent that hangs in its first `hangs` attempts. */
function hanging(calls: string[], hangs = 99): Agent {
  return anyAgent(
    "slow",
    (_, { attempt, nodeId, signal }) => {
      calls.push(`${nodeId} ${attempt}`);
      signal.addEventListener("abort", () => calls.push(`${nodeId} ${signal.reason.code}`));
      return attempt <= hangs ? never() : "done";
    },
    LONG,
  );
}

test("a stage ends when its nodes have; when its time is up those that have not fail, each as its onFail says", async () => {
  const calls: string[] = [];
  const notices: RunNotice[] = [];
  const flow = anyWorkflow("flow", (wf) => {
    const before = wf.stage("plan", { timeout: "1m" }, () => wf.node("before", quick, 1));
    const inside = wf.stage("code", { timeout: "2m", warnAfter: "1m" }, () => {
      const slow = wf.node("slow", hanging(calls), before.result);
      wf.node("behind", quick, slow.result);
      wf.map("items", ["a", "b"], hanging(calls), (item) => item, { onFail: "skip", concurrency: 1 });
      wf.map("later", slow.result as never, quick, (item) => item);
      wf.repeat("rounds", hanging(calls), 1, { max: 3 });
      wf.when("choice", slow.result as never, () => wf.node("taken", quick, 1).result);
      wf.event("come", z.any(), { onFail: "skip" });
      return wf.node("passed", hanging(calls), 1, { onFail: "skip" });
    });
    return [wf.node("after", quick, { given: inside.result }).result];
  });
  const run = await played(flow, notices);
  expect(await standing(run)).toEqual({
    ...{ before: "completed", slow: "failed", behind: "blocked", items: "completed", "items[0]": "skipped", "items[1]": "skipped", later: "blocked" },
    ...{ rounds: "blocked", "rounds[0]": "failed", choice: "blocked", taken: "blocked", come: "skipped", passed: "skipped", after: "completed" },
  });
  const [slow] = (await run.nodes()).filter(({ id }) => id === "slow");
  expect(slow!.failure).toMatchObject({ kind: "timeout", code: "PAWL_STAGE_TIMED_OUT", message: 'stage "code" reached its timeout' });
  expect(slow!.endedAt! - slow!.startedAt!).toBeGreaterThanOrEqual(120_000);
  expect(slow!.endedAt! - slow!.startedAt!).toBeLessThan(121_000);
  expect(calls).toContain("slow PAWL_STAGE_TIMED_OUT");
  expect(await run.status()).toMatchObject({ status: "failed", failure: { code: "PAWL_STAGE_TIMED_OUT" } });
  expect(await spanEvents(run)).toEqual([
    ...["run.started", "stage.started code", "stage.started plan", "stage.completed plan", "stage.warned code", "stage.timedOut code"],
    "run.failed PAWL_STAGE_TIMED_OUT",
  ]);
  expect(notices.map(({ type }) => type)).toEqual(["stage.warned", "stage.timedOut", "run.failed"]);
});

test("with `compensate` the stage's end has what was done undone", async () => {
  const calls: string[] = [];
  const undo = anyAgent("undo", () => void calls.push("undo"));
  const flow = anyWorkflow("flow", (wf) => {
    const done = wf.node("done", quick, 1, { compensate: undo });
    wf.stage("code", { timeout: "1m" }, () => wf.node("slow", hanging(calls), done.result, { onFail: "compensate" }));
  });
  const run = await played(flow);
  expect(await run.status()).toMatchObject({ status: "failed", compensated: true });
  expect(calls.at(-1)).toBe("undo");
});

/** Recovery actions of a stage, or of a run. */
function actions(calls: string[], ...verdicts: string[]) {
  const told: StageRecovery[] = [];
  const act = anyAgent("act", (given: StageRecovery, { nodeId }) => (told.push(given), calls.push(nodeId), verdicts.shift() ?? "continue"));
  return { told, recovery: { save: act, redo: act } };
}

test("actions of a stage, and of a run, come after the warning one by one; 'restart' begins its attempts anew, 'fail' is its timeout", async () => {
  for (const isRun of [false, true])
    for (const verdict of ["restart", "fail"]) {
      const calls: string[] = [];
      const { told, recovery } = actions(calls, "continue", verdict);
      const ladder = { timeout: "1h", warnAfter: "1m", onWarn: ["save", "redo"], recovery } as const;
      const flow = workflow({ name: "flow", input: z.any(), ...(isRun ? ladder : {}) }, (wf: WorkflowBuilder<any>) => {
        const add = (): unknown => wf.node("slow", hanging(calls, 1), 1).result;
        return isRun ? add() : wf.stage("code", ladder, add);
      }) as Workflow;
      const run = await played(flow);
      const span = isRun ? "[run]" : "[stage.code]";
      const given = { runId: "r", input: "x", ...(!isRun && { stage: "code" }) };
      expect(told).toMatchObject([given, given]);
      expect(calls.slice(0, 3)).toEqual(["slow 1", `${span}[recovery-1]`, `${span}[recovery-2]`]);
      if (verdict === "restart") {
        expect(await run.status()).toMatchObject({ status: "completed", output: "done" });
        expect(calls.slice(3)).toEqual(["slow PAWL_AGENT_OVERDUE", "slow 2"]);
      } else {
        expect((await run.status()).status).toBe(isRun ? "timedOut" : "failed");
        expect((await run.nodes())[0]!.status).toBe(isRun ? "cancelled" : "failed");
      }
      const said = (await spanEvents(run)).filter((text) => text.includes("redo"));
      expect(said).toEqual([isRun ? `run.actionEnded redo ${verdict}` : `stage.recovered code redo ${verdict}`]);
    }
});

test("the end of a stage, of the run, or a cancel ends the action under way; a run does not wait for one", async () => {
  for (const way of ["ends", "cancel"] as const) {
    const room = new MachineRoom();
    const calls: string[] = [];
    const gate = Promise.withResolvers<unknown>();
    const recovery = { wait: anyAgent("wait", (_, { nodeId, signal }) => (signal.addEventListener("abort", () => calls.push(nodeId)), never()), LONG) };
    const ladder = { warnAfter: "1m", onWarn: ["wait"], recovery } as const;
    const work = anyAgent("work", () => gate.promise, LONG);
    const flow = workflow({ name: "flow", input: z.any(), timeout: "1h", ...ladder }, (wf: WorkflowBuilder<any>) => {
      wf.stage("code", ladder, () => wf.node("n", work, 1));
    }) as Workflow;
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(120_000);
    if (way === "ends") gate.resolve(1);
    else await room.settled(run.cancel());
    await room.settled(run.ended());
    expect((await run.status()).status).toBe(way === "ends" ? "completed" : "cancelled");
    expect(calls.toSorted()).toEqual(["[run][recovery-1]", "[stage.code][recovery-1]"]);
  }
});

test("time in which the run only waits, or is paused, does not count; a retry begins the stage's time anew", async () => {
  const room = new MachineRoom();
  const calls: string[] = [];
  const flow = anyWorkflow(
    "flow",
    (wf) => {
      wf.stage("code", { timeout: "10m" }, () => {
        const come = wf.event("come", z.any());
        wf.node("n", hanging(calls, 1), come.result);
      });
    },
    { timeout: 86_400_000 },
  );
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(3_600_000);
  await room.settled(run.send({ type: "come" }));
  await room.clock.advance(300_000);
  await room.settled(run.pause());
  await room.clock.advance(3_600_000);
  expect((await standing(run as Run<unknown>))["n"]).toBe("running");
  await room.settled(run.resume());
  const from = room.clock.mono();
  await room.settled(run.ended());
  expect((await run.nodes())[1]!.failure!.code).toBe("PAWL_STAGE_TIMED_OUT");
  expect(room.clock.mono() - from).toBeGreaterThanOrEqual(290_000);
  expect(room.clock.mono() - from).toBeLessThan(310_000);
  await room.settled(run.retry());
  const again = room.clock.mono();
  await room.settled(run.ended());
  expect(room.clock.mono() - again).toBeGreaterThanOrEqual(600_000);
});

test("a run that is killed before or after any commit warns once, calls no action again that is durable, and ends as it would have", async () => {
  for (const death of deaths(1, 14)) {
    const calls: string[] = [];
    const recovery = {
      save: anyAgent("save", (_, { nodeId }) => (calls.push(nodeId), "continue")),
      redo: anyAgent("redo", (_, { nodeId }) => (calls.push(nodeId), "restart")),
    };
    const slow = anyAgent("slow", () => (calls.includes("[stage.code][recovery-2]") ? "done" : never()), LONG);
    const flow = anyWorkflow("flow", (wf) => {
      const ladder = { timeout: "1h", warnAfter: "1m", onWarn: ["save", "redo"], recovery } as const;
      return wf.stage("code", ladder, () => wf.node("n", slow, wf.node("first", quick, 1).result).result);
    });
    const run = await playedThrough(flow, death);
    const where = `${death.kind} ${death.at}`;
    expect(await run.status(), where).toMatchObject({ status: "completed", output: "done" });
    const events = (await spanEvents(run)).filter((text) => text.startsWith("stage."));
    const all = ["stage.started code", "stage.warned code", "stage.recovered code save continue", "stage.recovered code redo restart", "stage.completed code"];
    // an attempt that was cut off after the second action had begun ends of itself the next time
    if (events.length === all.length) expect(events, where).toEqual(all);
    else expect(events, where).toEqual([...all.slice(0, 3), "stage.completed code"]);
    expect(calls.length).toBeLessThanOrEqual(3);
  }
});

test("`run.stages()` tells how far each stage is, also of one that is only a label", async () => {
  const room = new MachineRoom();
  const recovery = { save: anyAgent("save", () => "continue") };
  const flow = anyWorkflow(
    "flow",
    (wf) => {
      const first = wf.stage("plan", () => wf.map("a", [1, 2], quick, (item) => item));
      const second = wf.stage("code", { timeout: "1h", warnAfter: "1m", recovery, onWarn: ["save"] }, () => {
        wf.node("quick", quick, first.result);
        return wf.node("slow", hanging([]), first.result);
      });
      wf.stage("ship", () => wf.node("c", quick, second.result));
    },
    { timeout: 86_400_000 },
  );
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  const shape = async (): Promise<unknown[]> => (await run.stages()).map(({ name, status, nodes, ended, failed }) => [name, status, nodes, ended, failed]);
  const rest = [["ship", "waiting", 1, 0, 0]];
  expect(await shape()).toEqual([["plan", "completed", 1, 1, 0], ["code", "running", 2, 1, 0], ...rest]);
  await room.clock.advance(60_000);
  const [plan, code] = await run.stages();
  expect(code).toMatchObject({ status: "warned", recoveries: 1, endedAt: undefined });
  expect(code!.startedAt).toBeGreaterThanOrEqual(plan!.endedAt!);
  await room.settled(run.ended());
  expect(await shape()).toEqual([
    ["plan", "completed", 1, 1, 0],
    ["code", "timedOut", 2, 2, 1],
    ["ship", "completed", 1, 1, 0],
  ]);
  await room.settled(run.retry());
  await room.clock.advance(10);
  expect((await run.stages())[1]).toMatchObject({ status: "running", ended: 1, failed: 0 });
  await room.settled(run.cancel());
  expect((await run.stages()).map(({ status }) => status)).toEqual(["completed", "cancelled", "cancelled"]);
});

test("options of a stage are checked where it is written", () => {
  const flow = (options: object) => () => anyWorkflow("flow", (wf) => void wf.stage("code", options, () => wf.node("n", quick, 1)));
  expect(flow({ timeout: "1m", warnAfter: "2m" })).toThrow("warnAfter is 120000 ms, but must be less than the timeout of 60000 ms");
  expect(flow({ onWarn: ["x"] })).toThrow("onWarn is given, but no warnAfter");
  expect(flow({ warnAfter: "1m", onWarn: ["x"] })).toThrow(expect.objectContaining({ code: "PAWL_UNKNOWN_RECOVERY" }) as Error);
  const twice = (): Workflow =>
    anyWorkflow("flow", (wf) => {
      for (const id of ["a", "b"]) wf.stage("code", { timeout: "1m" }, () => wf.node(id, quick, 1));
    });
  expect(twice).toThrow('stage "code" is given options twice');
  expect(() => workflow({ name: "flow", input: z.any(), warnAfter: "1h" }, () => 1)).toThrow("must be less than the timeout of 1800000 ms");
});

test("nodes of a stage that do not end when its time is up are a bug of pawl: the run is set aside", async () => {
  vi.spyOn(EventNodes.prototype, "end").mockImplementation(() => {});
  const flow = anyWorkflow("flow", (wf) => {
    wf.stage("code", { timeout: "1m" }, () => {
      wf.node("slow", hanging([]), 1);
      wf.event("come", z.any());
    });
  });
  const { status, reason } = await (await played(flow)).status();
  expect([status, reason]).toEqual(["quarantined", expect.stringContaining("nodes that failed by PAWL_STAGE_TIMED_OUT do not end")]);
});
