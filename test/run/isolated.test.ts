/**
 * Agents in threads: they are called as others are, and nothing that they do reaches the process.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { type Agent, type AgentSpec, type Log, type Pawl, type Run, agent, open, workflow } from "../../src/index.ts";
import { systemClock } from "../../src/clock.ts";
import { IsolatedThreads, THREAD_ABORT_MS, THREAD_IDLE_MS } from "../../src/run/isolated.ts";
import { Attempt } from "../../src/run/attempt.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { StepClock } from "../../src/testing/step-clock.ts";

const AGENTS = new URL("./isolated-agents.ts", import.meta.url).href;
const folder = temporaryFolder().path;
let logs = 0;
const newLog = (): string => join(folder, `${++logs}.log`);
const linesOf = (log: string): string[] => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []);
const seen = (condition: () => unknown): Promise<void> => vi.waitFor(async () => expect(await condition()).toBe(true), { timeout: 30_000, interval: 10 });

type Options = Partial<Pick<AgentSpec<z.ZodAny, z.ZodAny>, "timeout" | "retry" | "onError" | "output">>;
const isolated = (of: string, options: Options = {}): Agent =>
  agent({
    name: of || "double",
    input: z.any(),
    output: z.any(),
    retry: { maxAttempts: 1 },
    ...options,
    isolate: new URL(of === "" ? AGENTS : `${AGENTS}#${of}`),
  });

const opened: Pawl[] = [];
afterEach(async () => {
  for (const pawl of opened.splice(0)) await pawl.close({ graceMs: 0 });
});

async function runOf(nodes: Readonly<Record<string, readonly [Agent, unknown]>>, log?: Log): Promise<Run<unknown>> {
  const flow = workflow({ name: "flow", input: z.any() }, (wf) => {
    const all = Object.entries(nodes).map(([id, [of, input]]) => [id, wf.node(id, of, input).result] as const);
    return Object.fromEntries(all);
  });
  const pawl = await open(":memory:", log === undefined ? {} : { log });
  opened.push(pawl);
  return pawl.start(flow, { id: "r", input: {} });
}

/** The only node, after its end. */
async function ended(of: Agent, input: unknown = {}) {
  const run = await runOf({ n: [of, input] });
  await run.ended();
  const [node] = await run.nodes();
  return { run, node: node!, failure: node!.failure };
}

test("an agent in a thread is called as others are: by default or by name, with its context, and values as they are", async () => {
  const value = { at: new Date(5), map: new Map([[1n, undefined]]), list: [null, -0], error: new RangeError("far") };
  const run = await runOf({ a: [isolated(""), { n: 21 }], b: [isolated("tell"), {}], c: [isolated("echo"), value] });
  const output = (await run.result()) as { a: number; b: { threadId: number }; c: typeof value };
  expect(output.a).toBe(42);
  expect(output.b).toMatchObject({ runId: "r", nodeId: "b", attempt: 1, idempotencyKey: "r/b#1", upstreamFailures: [], hasTime: true, isAborted: false });
  expect(output.b.threadId).toBeGreaterThan(0);
  expect(output.c).toEqual(value);
});

test("an endless loop is killed at its timeout, while other nodes go on and the process serves others", async () => {
  const others = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`other${i}`, [isolated(""), { n: i }] as const]));
  const run = await runOf({ loop: [isolated("loop", { timeout: 400 }), {}], chatter: [isolated("chatter", { timeout: 400 }), {}], ...others });
  await run.ended();
  const nodes = await run.nodes();
  const of = (id: string) => nodes.find((node) => node.id === id)!;
  for (const id of ["loop", "chatter"]) expect(of(id)).toMatchObject({ status: "failed", failure: { kind: "timeout", code: "PAWL_AGENT_TIMEOUT" } });
  for (const id of Object.keys(others)) expect(of(id).status).toBe("completed");
});

test("an agent that listens to its signal can tidy up when the run is cancelled; one that does not is killed", async () => {
  const log = newLog();
  const run = await runOf({ waits: [isolated("waits"), { log }], loop: [isolated("loop"), {}] });
  const streaming = new Set<string>();
  for await (const { node } of run.stream()) if (streaming.add(node).size === 2) break;
  await run.cancel();
  expect(await run.status()).toMatchObject({ status: "cancelled" });
  await seen(() => linesOf(log).join() === "aborted: PAWL_RUN_CANCELLED");
});

test("closing ends threads that loop, and those that do nothing, and then nothing is left", async () => {
  const run = await runOf({ loop: [isolated("loop"), {}], double: [isolated(""), { n: 1 }] });
  for await (const _ of run.stream()) break;
  await opened[0]!.close({ graceMs: 0 });
  await seen(() => !process.getActiveResourcesInfo().some((name) => name === "MessagePort" || name === "Worker"));
});

test.each([
  ["another worker that comes later", 1],
  ["another worker that was there before", 2],
])("what its steps gave is kept over a crash of the process, and given back to the next thread: that of %s", async (_, workers) => {
  const [log, file] = [newLog(), join(folder, `steps${workers}`, "pawl.db")];
  const child = spawn(process.execPath, ["--conditions=pawl-source", fileURLToPath(new URL("isolated-child.ts", import.meta.url)), file, log], {
    stdio: "inherit",
  });
  await seen(() => linesOf(log).includes("kept"));
  const stepper = agent({ name: "stepper", input: z.any(), output: z.any(), isolate: new URL(`${AGENTS}#steps`) });
  const flow = workflow({ name: "flow", input: z.any() }, (wf) => wf.node("n", stepper, { log, stay: true }).result);
  if (workers === 2) opened.push(await open(file, { workflows: [flow] }));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  if (workers === 1) opened.push(await open(file, { workflows: [flow] }));
  await seen(() => linesOf(log).filter((line) => line === "kept").length === 2);
  expect(linesOf(log)).toEqual(["first", "second", "kept", "kept"]);
});

test("steps give what they gave, a key is used once, and a step under way ends before the attempt does", async () => {
  const log = newLog();
  const { run } = await ended(isolated("steps"), { log, stay: false });
  expect(await run.result()).toEqual({ n: { first: new Map([["at", new Date(5)]]), second: expect.any(Number) } });
  expect((await ended(isolated("repeats"))).failure).toMatchObject({ kind: "configuration", code: "PAWL_STEP_REPEATED" });
  expect((await ended(isolated("crossed"), { log })).failure).toMatchObject({ kind: "transient", message: "no" });
  expect(linesOf(log).at(-1)).toBe("slow");
});

test("progress, chunks and lines reach the run, also a line that cannot be carried over", async () => {
  const lines: unknown[] = [];
  const line = (data: object, message?: string): void => void lines.push([data, message]);
  const run = await runOf({ says: [isolated("says"), {}] }, { debug: line, info: line, warn: line, error: line });
  const chunks: unknown[] = [];
  for await (const { chunk } of run.stream()) chunks.push(chunk);
  await run.result();
  expect(chunks).toEqual([{ token: "a" }, "b"]);
  expect(lines).toContainEqual([{ runId: "r", nodeId: "says", attempt: 1, n: 1 }, "plain"]);
  expect(lines).toContainEqual([expect.objectContaining({ data: "a line with what cannot be carried over: f" }), "odd"]);
});

test("a thread that dies fails its attempt and nothing else", async () => {
  expect((await ended(isolated("exits"))).failure).toMatchObject({
    kind: "transient",
    code: "PAWL_THREAD_ENDED",
    message: "the agent ended its thread (exit code 7)",
  });
  expect((await ended(isolated("leaves"))).failure).toMatchObject({
    kind: "transient",
    code: "PAWL_THREAD_ENDED",
    message: expect.stringContaining("nobody waits"),
  });
  expect((await ended(isolated("eats"))).failure).toMatchObject({ kind: "resource", code: "PAWL_THREAD_OUT_OF_MEMORY" });
});

test("what it throws is judged as if it were thrown here", async () => {
  expect((await ended(isolated("overloaded"))).failure).toMatchObject({ kind: "resource", code: "OVERLOADED", retryAfterMs: 5 });
  expect((await ended(isolated("throwsOdd"))).failure).toMatchObject({ kind: "transient", code: "ODD", message: "odd one" });
  expect((await ended(isolated("odd"))).failure).toMatchObject({
    kind: "critical",
    code: "PAWL_VALUE_NOT_STORABLE",
    message: expect.stringContaining("deep[0]"),
  });
  expect((await ended(isolated("echo", { output: z.string() as never }), 5)).failure).toMatchObject({ kind: "invalidOutput", code: "PAWL_OUTPUT_INVALID" });
  const judged = isolated("overloaded", { onError: (error) => ({ kind: "critical", message: `judged ${(error as Error).message}` }) });
  expect((await ended(judged)).failure).toMatchObject({ kind: "critical", message: "judged overloaded" });
});

test("a module that is not there, or exports no such function, is said clearly", async () => {
  const missing = agent({ name: "missing", input: z.any(), output: z.any(), isolate: new URL("./nowhere.ts", import.meta.url) });
  const why = (message: string) => ({ kind: "configuration", code: "PAWL_AGENT_UNLOADABLE", message });
  expect((await ended(missing)).failure).toMatchObject(why('the module "nowhere.ts" of the agent cannot be loaded: it, or what it imports, is not there'));
  for (const [name, code, reason] of [
    ["throws", 'throw new Error("no licence\\nfor this machine")', "no licence"],
    ["unfinished", "export default (", expect.any(String)],
  ] as const) {
    writeFileSync(join(folder, `${name}.mjs`), code);
    const broken = agent({ name, input: z.any(), output: z.any(), isolate: new URL(`file://${folder}/${name}.mjs`) });
    const { failure } = await ended(broken);
    expect(failure).toMatchObject({ kind: "configuration", code: "PAWL_AGENT_UNLOADABLE" });
    const [before, why] = failure!.message.split(": ");
    expect([before, why]).toEqual([`the module "${name}.mjs" of the agent cannot be loaded`, reason]);
  }
  for (const name of ["number", "nothing"])
    expect((await ended(isolated(name))).failure).toMatchObject(why(`the module "isolated-agents.ts" of the agent exports no function "${name}"`));
  for (const isolate of ["./agent.ts", new URL("https://example.org/agent.ts")])
    expect(() => agent({ name: "a", input: z.any(), output: z.any(), isolate: isolate as URL })).toThrow(
      expect.objectContaining({ code: "PAWL_INVALID_VALUE" }),
    );
});

/** An attempt that nobody else knows. */
function newAttempt(): Attempt {
  const facts = { runId: "r", nodeId: "n", attempt: 1, deadlineAt: 0, upstreamFailures: [] };
  return new Attempt(facts, { clock: systemClock, attempts: { log: console, environment: () => undefined }, services: undefined });
}

test("threads are used again while they behave, bounded, and those that nobody needs end", async () => {
  const clock = new StepClock();
  const threads = new IsolatedThreads(clock, 3);
  const call = (exported: string, input: unknown = {}, module = AGENTS) => {
    return threads.call({ module, exported }, input, newAttempt());
  };
  const threadOf = async (): Promise<number> => ((await call("tell")) as { threadId: number }).threadId;
  const first = await threadOf();
  expect(await threadOf()).toBe(first);
  await expect(call("exits")).rejects.toMatchObject({ code: "PAWL_THREAD_ENDED" });
  expect(threads.size).toBe(0);
  const second = await threadOf();
  expect(second).not.toBe(first);
  const sizes: number[] = [];
  await Promise.all(Array.from({ length: 8 }, () => call("echo").then(() => sizes.push(threads.size))));
  expect(Math.max(...sizes)).toBe(3);
  const other = new URL("data:text/javascript,export default () => 'other'").href;
  expect(await call("default", {}, other)).toBe("other");
  expect(threads.size).toBe(3);
  await clock.advance(THREAD_IDLE_MS);
  await seen(() => threads.size === 0);
  await threads.end();
});

test("agents that loop without end, also while their module is loaded, leave no thread behind when they are killed", async () => {
  const clock = new StepClock();
  const threads = new IsolatedThreads(clock, 4);
  const endless = new URL("data:text/javascript,while (true);").href;
  const killed = process.env["PAWL_CASES"] === "long" ? 100 : 8;
  for (let n = 0; n < killed; n += 4) {
    const attempts = Array.from({ length: 4 }, newAttempt);
    const looping = attempts.slice(1).map((attempt) => new Promise<void>((resolve) => (attempt.heartbeat = () => resolve())));
    const calls = attempts.map((attempt, i) => {
      const work = i === 0 ? { module: endless, exported: "default" } : { module: AGENTS, exported: "chatter" };
      return threads.call(work, {}, attempt);
    });
    const ends = Promise.allSettled(calls);
    await Promise.all(looping);
    for (const attempt of attempts) attempt.abandon("PAWL_AGENT_TIMEOUT");
    await clock.advance(THREAD_ABORT_MS);
    for (const end of await ends) expect(end).toMatchObject({ status: "rejected", reason: { code: "PAWL_THREAD_ENDED" } });
    expect(threads.size).toBe(0);
  }
  await threads.end();
}, 600_000);

test("an attempt that is given up just before its thread would hear of it does not begin", async () => {
  const log = newLog();
  for (const end of ["abandon", "stop"] as const) {
    const threads = new IsolatedThreads(new StepClock(), 1);
    const attempt = newAttempt();
    const call = threads.call({ module: AGENTS, exported: "steps" }, { log, stay: false }, attempt);
    attempt[end]("PAWL_RUN_CANCELLED");
    await expect(call).rejects.toMatchObject({ code: "PAWL_RUN_CANCELLED" });
    await threads.end();
    expect(threads.size).toBe(0);
  }
  expect(linesOf(log)).toEqual([]);
});

test("an attempt that is given up after its end does not take the thread from the next one", async () => {
  const clock = new StepClock();
  const threads = new IsolatedThreads(clock, 1);
  const [first, second, log] = [newAttempt(), newAttempt(), newLog()];
  await threads.call({ module: AGENTS, exported: "echo" }, 1, first);
  const answer = threads.call({ module: AGENTS, exported: "waits" }, { log }, second);
  first.abandon("PAWL_RUN_CANCELLED");
  await clock.advance(THREAD_ABORT_MS);
  second.stop("PAWL_RUN_CANCELLED");
  expect(await answer).toBe("tidied up");
  await threads.end();
});

test("an agent that says more than is heard waits, and goes on when it is heard", async () => {
  const threads = new IsolatedThreads(new StepClock(), 1);
  const [attempt, log] = [newAttempt(), newLog()];
  const heard: unknown[] = [];
  let furthest = 0;
  attempt.heartbeat = (progress) => {
    if (heard.push(progress) > 1) return;
    // nothing else is heard while this goes on: it waits until the agent stands still
    for (const until = Date.now() + 30_000; linesOf(log).length < 4 && Date.now() < until;);
    for (const until = Date.now() + 100; Date.now() < until;);
    furthest = Number(linesOf(log).at(-1));
  };
  await threads.call({ module: AGENTS, exported: "floods" }, { log }, attempt);
  expect(furthest).toBeLessThan(2_500);
  expect(heard).toEqual(Array.from({ length: 3_000 }, (_, i) => i + 1));
  await threads.end();
});
