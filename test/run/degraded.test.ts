/**
 * A run is degraded when anything in it was skipped, or given by an alternative, wherever: also in a run that one of its nodes
 * is, or waited for, and whatever dies when.
 */
import { expect, test } from "vitest";
import { z } from "zod";
import type { WorkflowBuilder } from "../../src/index.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";

const ONCE = { retry: { maxAttempts: 1 } } as const;
const echo = anyAgent("echo", (input) => input);
const picky = anyAgent("picky", (input) => (input === "bad" ? Promise.reject(new Error("bad")) : input), ONCE);
const takesOver = { use: echo };
const skips = { onFail: "skip" } as const;

type Define = (wf: WorkflowBuilder<any>) => unknown;

const OWN: [what: string, isDegraded: boolean, define: Define][] = [
  ["nothing", false, (wf) => wf.node("n", picky, "good", skips)],
  ["a node that was skipped", true, (wf) => wf.node("n", picky, "bad", skips)],
  ["an alternative", true, (wf) => wf.node("n", picky, "bad", { onFail: takesOver })],
  ["an alternative that was not needed", false, (wf) => wf.node("n", picky, "good", { onFail: takesOver })],
  ["an item that was skipped", true, (wf) => wf.map("n", ["good", "bad"], picky, (item) => item, skips)],
  ["an item that an alternative gave", true, (wf) => wf.map("n", ["good", "bad"], picky, (item) => item, { onFail: takesOver })],
  ["a map of what is no list, which was skipped", true, (wf) => wf.map("n", wf.input.none, picky, (item) => item, skips)],
  ["a loop that was skipped", true, (wf) => wf.repeat("n", picky, "good", { max: 2, next: () => "bad", ...skips })],
  ["a round that an alternative gave", true, (wf) => wf.repeat("n", picky, "good", { max: 2, next: () => "bad", onFail: takesOver })],
  ["a member of a choice", true, (wf) => wf.when("n", wf.input.yes, () => void wf.node("in", picky, "bad", skips))],
  ["a member of a way that was not taken", false, (wf) => wf.when("n", wf.input.none, () => void wf.node("in", picky, "bad", skips))],
  ["an event that did not come", true, (wf) => wf.event("n", z.any(), { timeout: "1s", ...skips })],
  [
    "a run that failed and was skipped",
    true,
    (wf) =>
      wf.run(
        "n",
        anyWorkflow("part", (part) => part.node("n", picky, "bad").result),
        {},
        skips,
      ),
  ],
];

test.each(OWN)("%s: degraded is %s", async (_, degraded, define) => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => (define(wf), "done"));
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: { yes: true } }));
  expect(await room.settled(run.ended())).toMatchObject({ status: "completed", degraded, output: "done" });
});

const skipping = anyWorkflow("skipping", (wf) => wf.node("n", picky, wf.input.word, skips).result);
const between = anyWorkflow("between", (wf) => wf.run("part", skipping, wf.input).result);

const OF_OTHERS: [what: string, define: Define][] = [
  ["a run of its own", (wf) => wf.run("n", skipping, wf.input)],
  ["one further down", (wf) => wf.run("n", between, wf.input)],
  ["an item", (wf) => wf.map("n", ["good", wf.input.word], skipping, (word) => ({ word }))],
  ["a round", (wf) => wf.repeat("n", skipping, { word: "good" }, { max: 2, next: () => ({ word: wf.input.word }) })],
  ["a member of a choice", (wf) => wf.when("n", wf.input.word, () => wf.run("in", skipping, wf.input).result)],
  ["a run that others started", (wf) => wf.resultOf("n", skipping, "theirs")],
];

test.each(OF_OTHERS)("a run is degraded through %s that is, with a crash before and after each commit", async (_, define) => {
  const flow = anyWorkflow("flow", (wf) => {
    define(wf);
    // so that it goes on after it has heard of the other
    return wf.node("last", echo, "done", { after: [{ id: "n" } as never] }).result;
  });
  const played = async (word: string, at = 0, kind?: "crashBefore" | "crashAfter"): Promise<{ degraded: boolean; isCrashed: boolean }> => {
    const room = new MachineRoom();
    const workflows = [flow, skipping, between];
    const helper = await room.boot(workflows);
    await room.settled((await room.settled(helper.pawl.start(skipping, { id: "theirs", input: { word } }))).ended());
    helper.kill();
    let commits = 0;
    const first = await room.boot(workflows, { fault: () => (++commits === at ? kind : undefined) });
    let isOver = false;
    const ended = first.pawl.start(flow, { id: "r", input: { word } }).then((run) => run.ended());
    ended.then(() => (isOver = true)).catch(() => {});
    await room.clock.until(() => isOver || !first.isAlive);
    const isCrashed = !first.isAlive;
    first.kill();
    const { pawl } = await room.boot(workflows);
    const run = await room.settled(pawl.start(flow, { id: "r", input: { word } }));
    return { degraded: (await room.settled(run.ended())).degraded, isCrashed };
  };
  expect(await played("good")).toEqual({ degraded: false, isCrashed: false });
  for (const kind of ["crashBefore", "crashAfter"] as const)
    for (let at = 1; ; at++) {
      const { degraded, isCrashed } = await played("bad", at, kind);
      expect(degraded, `${kind} ${at}`).toBe(true);
      if (isCrashed) continue;
      expect(at).toBeGreaterThan(2);
      break;
    }
});
