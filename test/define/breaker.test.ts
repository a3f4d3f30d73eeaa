/**
 * Circuit breakers as they are asked for: by agents, workflows, workers and documents; and what counts as a failure.
 */
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { type BreakerFailure, type BreakerOption, breakerFor, breakerOf, breakerPolicyOf, countsForBreaker } from "../../src/define/breaker.ts";
import { parseWorkflow } from "../../src/define/parse.ts";
import { workflow } from "../../src/define/workflow.ts";

const make = (name: string, breaker?: BreakerOption) =>
  agent({ name, input: z.any(), output: z.any(), run: () => 1, ...(breaker !== undefined && { breaker }) });

test("an agent has its own, else that of its workflow, else that of the worker, else none", () => {
  const shared = breakerOf("provider", "test");
  const each = breakerOf(true, "test");
  expect(breakerFor(make("a"))).toBeUndefined();
  expect(breakerFor(make("a"), undefined, each)).toMatchObject({ name: "a" });
  expect(breakerFor(make("a"), shared, each)).toMatchObject({ name: "provider" });
  expect(breakerFor(make("a", true), shared)).toMatchObject({ name: "a", onOpen: "fail" });
  expect(breakerFor(make("a", { name: "mine", onOpen: "wait" }), shared)).toMatchObject({ name: "mine", onOpen: "wait" });
  const runs = { ...make("a"), work: { kind: "run" } };
  expect(breakerFor(runs, shared)).toBeUndefined();
  expect(breakerFor({ ...runs, breaker: each }, shared)).toMatchObject({ name: "a" });
});

test("the defaults, and the numbers that were given", () => {
  const policy = (option: BreakerOption) => breakerPolicyOf(breakerFor(make("a", option))!);
  expect(policy(true)).toEqual({ name: "a", failureThreshold: 5, openForMs: 60_000, halfOpenMax: 1, successThreshold: 2 });
  const rate = { window: { time: "1m" }, slowCall: "5s", slowCallRate: 0.9, minimumCalls: 3 } as const;
  expect(policy({ name: "b", failureThreshold: 1, openFor: "5s", halfOpenMax: 2, successThreshold: 3, rate })).toEqual({
    name: "b",
    failureThreshold: 1,
    openForMs: 5_000,
    halfOpenMax: 2,
    successThreshold: 3,
    rate: { window: { timeMs: 60_000 }, minimumCalls: 3, failureRate: 0.5, slowCallRate: 0.9, slowCallMs: 5_000 },
  });
  expect(policy({ rate: {} }).rate).toEqual({ window: { calls: 100 }, minimumCalls: 20, failureRate: 0.5 });
  expect(policy({ rate: { window: { calls: 7 } } }).rate).toMatchObject({ minimumCalls: 7 });
  expect(policy({ rate: { slowCallRate: 0.5 } }).rate).toMatchObject({ slowCallRate: 0.5, slowCallMs: 60_000 });
  expect(policy({ rate: { slowCall: "1s" } }).rate).toMatchObject({ slowCallRate: 1, slowCallMs: 1_000 });
});

test.each<[unknown, string]>([
  [false, "breaker is false, but must be true, a name, or { … }"],
  [null, "breaker is null"],
  ["a b", "breaker name"],
  [{ failureThreshold: 0 }, "breaker.failureThreshold is 0, but must be a whole number of at least 1"],
  [{ halfOpenMax: 1.5 }, "breaker.halfOpenMax is 1.5"],
  [{ openFor: "soon" }, 'breaker.openFor is "soon", which is no length of time'],
  [{ onOpen: "retry" }, "breaker.onOpen is \"retry\", but must be one of 'fail', 'wait'"],
  [{ rate: { failureRate: 50 } }, "breaker.rate.failureRate is 50, but must be a number above 0 up to 1"],
  [{ rate: { failureRate: Number.NaN } }, "breaker.rate.failureRate is NaN"],
  [{ rate: { minimumCalls: 0 } }, "breaker.rate.minimumCalls is 0"],
  [{ rate: { window: { calls: 1_001 } } }, "breaker.rate.window.calls is 1001, but may be 1000 at most"],
])("%j is refused", (option, message) => {
  expect(() => make("a", option as BreakerOption)).toThrow(message);
});

describe("a failure counts", () => {
  const failure = (kind: BreakerFailure["kind"], more: Partial<BreakerFailure> = {}): BreakerFailure => ({ kind, code: "X", message: "", ...more });
  const none = { ignore: undefined };

  test("when it says that the service is down, slow or overloaded, not when the caller was wrong", () => {
    const kinds = ["transient", "resource", "timeout", "configuration", "critical", "invalidOutput", "cancelled", "circuitOpen"] as const;
    expect(kinds.filter((kind) => countsForBreaker(none, failure(kind)))).toEqual(["transient", "resource", "timeout"]);
  });

  test("not when the service says when to come back; but one that is down may say so, too", () => {
    expect(countsForBreaker(none, failure("resource", { retryAfterMs: 1_000 }))).toBe(false);
    expect(countsForBreaker(none, failure("transient", { retryAfterMs: 1_000 }))).toBe(true);
  });

  test("unless it is ignored; one of which that cannot be said counts", () => {
    const ignore = ({ code }: BreakerFailure): boolean => code === "NOT_FOUND";
    expect([failure("transient", { code: "NOT_FOUND" }), failure("transient")].map((one) => countsForBreaker({ ignore }, one))).toEqual([false, true]);
    const throws = (): boolean => {
      throw new Error("no idea");
    };
    expect(countsForBreaker({ ignore: throws }, failure("transient"))).toBe(true);
  });
});

describe("in a definition", () => {
  const nodes = "nodes:\n  one: { agent: api, input: {} }\n";

  test("a workflow's is no part of its structure, and neither is an agent's", () => {
    const define = (breaker: BreakerOption | undefined, own?: BreakerOption) =>
      workflow({ name: "flow", input: z.any(), ...(breaker !== undefined && { breaker }) }, (wf) => void wf.node("one", make("api", own), {})).plan;
    expect(define("provider").breaker).toMatchObject({ name: "provider" });
    expect(define(undefined).breaker).toBeUndefined();
    expect(define(true, { failureThreshold: 2 }).hash).toBe(define(undefined).hash);
  });

  test("a document says the same", async () => {
    const read = async (agent: string, own = "") =>
      (await parseWorkflow(`name: flow\n${own}agents:\n  api: { http: { url: "http://x" }, ${agent} }\n${nodes}`)).plan;
    const plan = await read("breaker: { name: provider, openFor: 5s, onOpen: wait, rate: { window: { calls: 5 } } }", "breaker: true\n");
    expect(plan.breaker).toEqual(breakerOf(true, "test"));
    expect(plan.nodes[0]!.agent.breaker).toEqual(breakerOf({ name: "provider", openFor: "5s", onOpen: "wait", rate: { window: { calls: 5 } } }, "test"));
    expect((await read("breaker: provider")).nodes[0]!.agent.breaker).toMatchObject({ name: "provider" });
    await expect(read("breaker: { rate: { failureRate: 7 } }")).rejects.toMatchObject({
      code: "PAWL_INVALID_VALUE",
      message: expect.stringContaining("breaker.rate.failureRate") as string,
      at: expect.stringMatching(/:3:\d+$/) as string,
    });
    await expect(read("breaker: { openFr: 5s }")).rejects.toMatchObject({ at: expect.stringMatching(/:3:\d+$/) as string });
    await expect(read("breaker: true", "breaker: { failureThreshold: 0 }\n")).rejects.toMatchObject({ at: expect.stringMatching(/:2:\d+$/) as string });
  });
});
