/**
 * `why` names the true cause of every way in which a run can be stuck, wherever in its workflow, asked from a process that
 * has none of its code.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Cause, Why } from "../../src/index.ts";
import { QUIET_AFTER_MS, whyRun } from "../../src/run/why.ts";
import { cases } from "../sim/cases.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { STUCK } from "../sim/stuck-runs.ts";

const around = fc.record({ before: fc.nat(4), after: fc.nat(4), beside: fc.nat(3) });

/** Down the first causes to the one that all follows from. */
function firstPath(causes: readonly Cause[]): Cause[] {
  const [first] = causes;
  return first === undefined ? [] : [first, ...firstPath(first.causes)];
}

async function whyOf(room: MachineRoom, runId: string): Promise<Why> {
  const { pawl } = await room.boot([], { execute: false });
  return (await pawl.run(runId)).why();
}

describe("the true cause is named", () => {
  const { numRuns, ...parameters } = cases({ short: 4, long: 100 });
  test.each(Object.entries(STUCK))("a run: %s", async (_, play) => {
    await fc.assert(
      fc.asyncProperty(around, async (spec) => {
        const room = new MachineRoom();
        const truth = await play({ room, spec });
        const why = await whyOf(room, truth.runId);
        const path = firstPath(why.causes);
        expect({ ...why, kinds: path.map(({ kind }) => kind) }).toMatchObject({
          runId: truth.runId,
          kinds: truth.kinds,
          recoverable: truth.recoverable,
          leftOut: 0,
        });
        expect(path[0]!.node ?? truth.node).toBe(truth.node);
        expect(why.next).toContain(truth.next);
        const { kind, nodes } = truth.also ?? { kind: "", nodes: [] };
        if (truth.beneath !== undefined) expect(why.causes[0]!.causes.map((cause) => [cause.kind, cause.node])).toContainEqual([truth.beneath, "culprit"]);
        expect(why.causes.filter((cause) => cause.kind === kind).map(({ node }) => node)).toEqual(nodes);
      }),
      { numRuns, ...parameters },
    );
  });
});

const ONCE = { retry: { maxAttempts: 1 } } as const;
const echo = anyAgent("echo", (input) => input);
const broken = anyAgent("broken", () => Promise.reject(new Error("no such model")), ONCE);

test("each of those that are blocked names the failures that it follows from, and each failure those that it blocks", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => {
    const [a, b] = [wf.node("a", broken, 1), wf.node("b", broken, 1)];
    const c = wf.node("c", echo, [a.result, b.result]);
    return wf.node("d", echo, c.result).result;
  });
  const { pawl } = await room.boot([flow]);
  await room.settled((await room.settled(pawl.start(flow, { id: "r", input: {} }))).ended());
  const { causes, recoverable, next } = await whyOf(room, "r");
  expect(causes.map(({ kind, node, causes: beneath }) => [kind, node, beneath.map((cause) => cause.node)])).toEqual([
    ["failed", "a", []],
    ["failed", "b", []],
    ["blocked", "c", ["a", "b"]],
    ["blocked", "d", ["a", "b"]],
  ]);
  expect(causes[0]).toMatchObject({ code: "PAWL_AGENT_FAILED", message: expect.stringContaining("no such model") as string });
  expect(causes[0]!.message).toContain("it blocks c, d");
  expect({ recoverable, next }).toMatchObject({ recoverable: true, next: expect.stringContaining("`pawl retry r`") as string });
});

test("with all beneath them at most 100 causes are told, and how many more there are", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => {
    const first = wf.node("first", broken, 1);
    for (let i = 0; i < 300; i++) wf.node(`n${i}`, echo, first.result);
    return null;
  });
  const { pawl } = await room.boot([flow]);
  await room.settled((await room.settled(pawl.start(flow, { id: "r", input: {} }))).ended());
  const why = await whyOf(room, "r");
  const counted = (causes: readonly Cause[]): number => causes.reduce((sum, cause) => sum + 1 + counted(cause.causes), 0);
  expect(counted(why.causes)).toBe(100);
  expect(why.causes[0]).toMatchObject({ kind: "failed", node: "first" });
  expect(why.leftOut).toBeGreaterThanOrEqual(201);
});

test("a run at work that writes nothing for long is quiet, since when; and a clock that was set back is named", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", anyAgent("slow", never, { timeout: "10d" }), 1).result);
  const { pawl } = await room.boot([flow]);
  await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.clock.advance(10);
  const { updatedAt } = await (await pawl.run("r")).status();
  const kindsAt = async (ms: number): Promise<string[]> => (await whyRun(room.store, { ...clockAt(updatedAt + ms) }, "r")).causes.map(({ kind }) => kind);
  const clockAt = (now: number) => ({ now: () => now, mono: () => now, after: () => () => {}, soon: () => {} });
  expect(await kindsAt(QUIET_AFTER_MS - 1)).toEqual(["running"]);
  expect(await kindsAt(QUIET_AFTER_MS)).toEqual(["quiet", "running"]);
  expect((await whyRun(room.store, clockAt(updatedAt + QUIET_AFTER_MS), "r")).causes[0]).toMatchObject({ since: updatedAt });
  expect(await kindsAt(-60_000)).toEqual(["clockSetBack", "running"]);
});

test("what a failed node can be helped by can be done: with another input, also of an item; or from before it was undone", async () => {
  const room = new MachineRoom();
  const picky = anyAgent("picky", (input) => (input === "bad" ? Promise.reject(new Error("no good")) : input), ONCE);
  const flow = anyWorkflow("flow", (wf) => {
    const all = wf.map("all", ["good", "bad"], picky, (item) => item);
    return wf.node("end", picky, wf.input, { after: [all], onFail: "compensate" }).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: "bad" }));
  await room.settled(run.ended());
  expect((await run.why()).next).toContain("`pawl retry r --input 'all[1]=…'`");
  await run.retry({ input: { "all[1]": "good" } });
  await room.settled(run.ended());
  const { next, recoverable } = await run.why();
  const from = Number(/`pawl fork r --from (\d+)`/.exec(next)?.[1]);
  expect(recoverable).toBe(false);
  const fork = await room.settled(run.fork({ from, set: { input: "fine" } }));
  expect(await room.settled(fork.result())).toBe("fine");
});

test("runs that wait for each other are followed to the fifth, and then the next one is named", async () => {
  const room = new MachineRoom();
  const last = anyWorkflow("last", (wf) => wf.event("go", z.any()).result);
  const links = Array.from({ length: 7 }, (_, i) => anyWorkflow(`link${i}`, (wf) => wf.resultOf("next", last, `r${i + 1}`).result));
  const { pawl } = await room.boot([...links, last]);
  await room.settled(pawl.start(last, { id: "r7", input: {} }));
  for (const [i, link] of [...links.entries()].toReversed()) await room.settled(pawl.start(link, { id: `r${i}`, input: {} }));
  await room.clock.advance(100);
  const { causes, next } = await whyOf(room, "r0");
  expect(firstPath(causes).map(({ run, node }) => run ?? node)).toEqual([...Array<string>(5).fill("next"), "r5"]);
  expect(firstPath(causes).at(-1)).toMatchObject({ kind: "waitsForRun", message: "run r5 is running" });
  expect(next).toBe("`pawl why r5`");
  expect((await whyOf(room, "r5")).next).toContain("`pawl send r7 go`");
});

test("a run that was recorded waits for its turn, and does not when its worker has begun it", async () => {
  const room = new MachineRoom();
  const hog = anyWorkflow("hog", (wf) => wf.node("n", anyAgent("slow", never, { timeout: "10d" }), 1).result);
  const worker = await room.boot([hog]);
  const client = await room.boot([], { execute: false });
  const kinds = async (): Promise<string[]> => (await whyRun(room.store, room.clock, "r")).causes.map(({ kind, message }) => `${kind}: ${message}`);
  await room.settled(client.pawl.start(hog, { id: "r", input: {} }));
  expect(await kinds()).toEqual([expect.stringMatching(/^queued: no worker has taken it on yet/)]);
  await room.clock.advance(1_000);
  expect(await kinds()).toEqual([expect.stringMatching(/^running: n: its attempt/)]);
  expect(worker.isAlive).toBe(true);
});

test("a run that completed has no causes, one that is not there is an error, and dependencies that cannot be are refused before there is a run", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", echo, 1).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.settled(run.result());
  expect(await run.why()).toMatchObject({ status: "completed", causes: [], recoverable: false });
  await expect(whyRun(room.store, room.clock, "nobody")).rejects.toMatchObject({ code: "PAWL_RUN_NOT_FOUND" });
  const unknown = (): unknown => anyWorkflow("flow", (wf) => wf.node("n", echo, "${m.result}").result);
  expect(unknown).toThrow(expect.objectContaining({ code: "PAWL_UNKNOWN_REFERENCE" }));
  const circle = (): unknown => anyWorkflow("flow", (wf) => [wf.node("a", echo, "${b.result}"), wf.node("b", echo, "${a.result}")]);
  expect(circle).toThrow(expect.objectContaining({ code: "PAWL_DEFINITION_CYCLE" }));
});

test("failures of many runs are counted by what they have in common, with the newest run of each", async () => {
  const room = new MachineRoom();
  const fails = anyAgent("fails", ({ code }) => (code === undefined ? null : Promise.reject(Object.assign(new Error(`it is ${code}`), { code }))), ONCE);
  const flow = anyWorkflow("flow", (wf) => wf.map("all", wf.input.list, fails, (item: unknown) => item).result);
  const slow = anyWorkflow("slow", (wf) => wf.event("late", z.any()).result, { timeout: 1_000 });
  const hangs = anyWorkflow("hangs", (wf) => wf.node("n", anyAgent("hangs", never, { timeout: "10d" }), 1).result, { timeout: 1_000 });
  const { pawl } = await room.boot([flow, hangs, slow]);
  const started = room.clock.now();
  const list = (code: string | undefined, at: number): object[] => Array.from({ length: 5 }, (_, i) => (i === at ? { code } : {}));
  for (let i = 0; i < 12; i++) {
    const run = await room.settled(pawl.start(flow, { id: `r${i}`, input: { list: list(i % 4 === 0 ? "BUSY" : i % 4 === 1 ? undefined : "BROKEN", i % 5) } }));
    await room.settled(run.ended());
    await room.clock.advance(1_000);
  }
  await room.settled((await room.settled(pawl.start(hangs, { id: "t", input: {} }))).ended());
  const { patterns, ...rest } = await pawl.failures();
  expect(rest).toEqual({ runs: 10, hasMore: false });
  expect(patterns.map(({ count, status, code, kind, node, agent, newest }) => [count, status, code, kind, node, agent, newest.id])).toEqual([
    [6, "failed", "BROKEN", "transient", "all", "fails", "r11"],
    [3, "failed", "BUSY", "transient", "all", "fails", "r8"],
    [1, "timedOut", "PAWL_RUN_TIMED_OUT", "timeout", undefined, undefined, "t"],
  ]);
  expect(await pawl.failures({ limit: 3, workflow: "flow" })).toMatchObject({
    runs: 3,
    hasMore: true,
    patterns: [{ newest: { id: "r11" } }, { newest: { id: "r8" } }],
  });
  expect(await pawl.failures({ limit: 9, workflow: "flow" })).toMatchObject({ runs: 9, hasMore: false });
  expect((await pawl.failures({ since: started + 10_000_000_000 })).runs).toBe(0);
  await expect(pawl.failures({ limit: 0 })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

test("failures are looked at a page at a time", async () => {
  const room = new MachineRoom();
  const flow = anyWorkflow("flow", (wf) => wf.node("n", broken, 1).result);
  const { pawl } = await room.boot([flow]);
  await Promise.all(Array.from({ length: 1_200 }, (_, i) => room.settled(pawl.start(flow, { id: `r${i}`, input: {} }))));
  await room.clock.advance(60_000);
  const limits: number[] = [];
  const { failurePatterns } = await import("../../src/run/failure-patterns.ts");
  const store = new Proxy(room.store, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...given: unknown[]) => unknown;
      return (...given: unknown[]) => (name === "listRuns" && limits.push((given[0] as { limit: number }).limit), method.apply(target, given));
    },
  });
  const found = room.settled(failurePatterns(store, room.clock, { limit: 1_200 }));
  expect(await found).toMatchObject({ runs: 1_200, hasMore: false, patterns: [{ count: 1_200, node: "n", agent: "broken" }] });
  expect(Math.max(...limits)).toBeLessThanOrEqual(500);
});
