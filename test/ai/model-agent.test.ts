/**
 * Agents that are models: rounds, tools, answers, what they stream and take, and what becomes of them when the process dies.
 */
import { type ToolSet, tool } from "ai";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { type ModelAgentSpec, type ModelCall, type ModelChunk, type WithUsage, modelAgent } from "../../src/ai/index.ts";
import type { Agent } from "../../src/define/agent.ts";
import { AgentError } from "../../src/errors.ts";
import { MachineRoom, anyWorkflow, deferred } from "../sim/machine-room.ts";
import { CUT_OFF, type Said, scriptedModel } from "./scripted-model.ts";

const input = z.object({ question: z.string() });
const output = z.object({ answer: z.string() });
const answered = (answer: string): string => JSON.stringify({ answer });
const lookUp = (q: string): Said => [{ tool: "search", input: { q } }];

type Spec = Partial<ModelAgentSpec<typeof input, typeof output>>;

function asking(model: ReturnType<typeof scriptedModel>, options: Spec = {}) {
  return modelAgent({
    name: "asker",
    model: model.model,
    input,
    output,
    prompt: ({ question }) => question,
    retry: { initialInterval: "1s", jitter: "none" },
    ...options,
  });
}

function search(execute: (q: string) => unknown): ToolSet {
  return { search: tool({ description: "finds", inputSchema: z.object({ q: z.string() }), execute: ({ q }) => execute(q) }) };
}

const flowOf = (by: Agent) => anyWorkflow("flow", (wf) => wf.node("ask", by, { question: "why?" }).result);

async function start(by: Agent, room = new MachineRoom()) {
  const flow = flowOf(by);
  const process = await room.boot([flow]);
  return { room, flow, process, run: await room.settled(process.pawl.start(flow, { id: "r", input: {} })) };
}

async function resultOf(by: Agent): Promise<unknown> {
  const { room, run } = await start(by);
  return room.settled(run.result());
}

test("the model is asked with its instructions, its schema and its tools; tools answer it; its answer is the result", async () => {
  const scripted = scriptedModel((turn) => [lookUp("a"), answered("because")][turn]!);
  const asker = asking(scripted, { system: "Be short.", tools: search((q) => ({ found: q, at: undefined })), settings: { temperature: 0.5 } });
  expect(await resultOf(asker)).toEqual({ answer: "because" });
  const [first, second] = scripted.asked;
  expect(first).toMatchObject({ temperature: 0.5, tools: [{ name: "search", description: "finds" }] });
  expect(first!.responseFormat).toMatchObject({ type: "json", schema: { properties: { answer: { type: "string" } } } });
  expect(first!.prompt).toMatchObject([
    { role: "system", content: "Be short." },
    { role: "user", content: [{ type: "text", text: "why?" }] },
  ]);
  expect(second!.prompt.slice(2)).toMatchObject([
    { role: "assistant", content: [{ type: "tool-call", toolName: "search", input: { q: "a" } }] },
    { role: "tool", content: [{ type: "tool-result", toolCallId: "call-0", output: { type: "json", value: { found: "a" } } }] },
  ]);
});

test("types flow from the schemas", () => {
  const { model } = scriptedModel(() => "");
  expectTypeOf(asking({ model, asked: [] })).toEqualTypeOf<Agent<{ question: string }, { answer: string }>>();
  const counted = modelAgent({ name: "counted", model, input, output: z.string(), prompt: ({ question }) => question, withUsage: true });
  expectTypeOf(counted).toEqualTypeOf<Agent<{ question: string }, WithUsage<string>>>();
});

test("killed anywhere in a loop of tools, it goes on after the last call that had ended, and makes none of them again", async () => {
  for (const [killAt, again] of [
    ["model 0", "model 0"],
    ["a", "a"],
    ["model 1", "model 1"],
    ["c", "c"],
    ["model 2", "model 2"],
  ] as const) {
    const room = new MachineRoom();
    const calls: string[] = [];
    let isCut = false;
    const call = async (name: string): Promise<void> => {
      calls.push(name);
      if (name !== killAt || isCut) return;
      isCut = true;
      await new Promise<void>(() => {});
    };
    const scripted = scriptedModel(async (turn) => {
      await call(`model ${turn}`);
      return [[...(lookUp("a") as any[]), ...(lookUp("b") as any[])], lookUp("c"), answered("done")][turn]!;
    });
    const asker = asking(scripted, { tools: search(async (q) => (await call(q), `about ${q}`)) });
    const { flow, process } = await start(asker, room);
    await room.clock.until(() => isCut);
    await room.clock.advance(1_000);
    process.kill();
    const { pawl } = await room.boot([flow]);
    expect(await room.settled((await pawl.run("r")).result())).toEqual({ answer: "done" });
    const once = ["model 0", "a", "b", "model 1", "c", "model 2"];
    expect(calls.toSorted(), killAt).toEqual([...once, again].toSorted());
    const told = scripted.asked
      .at(-1)!
      .prompt.filter(({ role }) => role === "tool")
      .flatMap(({ content }) => content as any[]);
    expect(told.map(({ output }) => output.value)).toEqual(["about a", "about b", "about c"]);
  }
});

test("a tool that throws is told to the model; an AgentError fails the attempt, and the next one goes on at that call", async () => {
  const calls: string[] = [];
  const tools = search((q) => {
    calls.push(q);
    if (q === "bad") throw new Error("no such page");
    if (calls.filter((each) => each === "busy").length === 1 && q === "busy") throw new AgentError("busy", { kind: "transient" });
    return `about ${q}`;
  });
  const scripted = scriptedModel((turn) => [lookUp("bad"), [...(lookUp("good") as any[]), ...(lookUp("busy") as any[])], answered("done")][turn]!);
  const { room, run } = await start(asking(scripted, { tools }));
  expect(await room.settled(run.result())).toEqual({ answer: "done" });
  expect(calls).toEqual(["bad", "good", "busy", "busy"]);
  expect(scripted.asked.length).toBe(3);
  expect((await run.nodes())[0]).toMatchObject({ attempt: 2 });
  expect(scripted.asked[1]!.prompt.at(-1)).toMatchObject({ content: [{ output: { type: "error-text", value: "no such page" } }] });
});

test("a tool is told for what it works, and a key that is its own whenever it is called again", async () => {
  const seen: unknown[] = [];
  const keyed = tool({
    inputSchema: z.object({ q: z.string() }),
    contextSchema: z.object({ runId: z.string(), step: z.string(), idempotencyKey: z.string() }),
    async *execute(_, { context, toolCallId, messages, abortSignal }) {
      seen.push([context.runId, context.step, context.idempotencyKey, toolCallId, messages.length, abortSignal instanceof AbortSignal]);
      yield "half";
      yield "whole";
    },
    toModelOutput: ({ output }) => ({ type: "text", value: `<${output}>` }),
  });
  const scripted = scriptedModel((turn) => [[...(lookUp("a") as any[]), ...(lookUp("b") as any[])], answered("done")][turn]!);
  await resultOf(asking(scripted, { tools: { search: keyed } }));
  expect(seen).toEqual([
    ["r", "tool-1.1", "r/ask#1/tool-1.1", "call-0", 1, true],
    ["r", "tool-1.2", "r/ask#1/tool-1.2", "call-1", 1, true],
  ]);
  expect(scripted.asked[1]!.prompt.at(-1)).toMatchObject({ content: [{ output: { value: "<whole>" } }, { output: { value: "<whole>" } }] });
});

test("tools that nobody could call, or that need approval, are refused when the agent is made", () => {
  const inputSchema = z.object({});
  const { model } = scriptedModel(() => "");
  const make = (each: ToolSet[string]) => () => asking({ model, asked: [] }, { tools: { each } });
  expect(make(tool({ inputSchema, outputSchema: z.string() }))).toThrow(expect.objectContaining({ code: "PAWL_MISSING_FIELD" }));
  expect(make({ inputSchema, execute: () => 1, needsApproval: true })).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
  for (const maxRounds of [0, 1.5, 1_001])
    expect(() => asking({ model, asked: [] }, { maxRounds })).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
});

test("a call of a tool that does not exist or does not fit its schema is answered with that", async () => {
  const calls: string[] = [];
  const scripted = scriptedModel(
    (turn) =>
      [
        [
          { tool: "serach", input: {} },
          { tool: "search", input: { q: 5 } },
          { tool: "search", input: { q: "a" } },
        ],
        answered("done"),
      ][turn] as Said,
  );
  expect(await resultOf(asking(scripted, { tools: search((q) => calls.push(q)) }))).toEqual({ answer: "done" });
  expect(calls).toEqual(["a"]);
  const told = scripted.asked[1]!.prompt.filter(({ role }) => role === "tool").flatMap(({ content }) => content as any[]);
  expect(told.map(({ toolCallId, output: { type } }) => `${toolCallId} ${type}`)).toEqual(["call-0 error-text", "call-1 error-text", "call-2 json"]);
});

test("an answer that does not fit goes back to the model, for so many rounds", async () => {
  const scripted = scriptedModel((turn) => ["not json", '{"answer": 5}', answered("at last")][turn]!);
  expect(await resultOf(asking(scripted))).toEqual({ answer: "at last" });
  expect(scripted.asked[1]!.prompt.at(-1)).toMatchObject({ role: "user", content: [{ text: expect.stringContaining("it is no JSON") as string }] });
  expect(scripted.asked[2]!.prompt.at(-1)).toMatchObject({ role: "user", content: [{ text: expect.stringContaining("→ at answer") as string }] });
  const never = scriptedModel(() => lookUp("a"));
  const { room, run } = await start(asking(never, { tools: search(() => "nothing"), maxRounds: 4 }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ message: expect.stringContaining("within 4 rounds") as string });
  expect(never.asked.length).toBe(4);
  expect((await run.nodes())[0]).toMatchObject({ attempt: 1, failure: { code: "PAWL_OUTPUT_INVALID" } });
});

test("an output that is text is the model's text; one that changes what it is given does so once", async () => {
  const text = scriptedModel(() => "just words");
  const writer = modelAgent({ name: "writer", model: text.model, input, output: z.string(), prompt: ({ question }) => [{ role: "user", content: question }] });
  expect(await resultOf(writer)).toBe("just words");
  expect(text.asked[0]!.responseFormat).toMatchObject({ type: "text" });
  const doubled = z.object({ n: z.codec(z.number(), z.number(), { decode: (n) => n * 2, encode: (n) => n / 2 }) });
  const { model } = scriptedModel(() => '{"n": 4}');
  expect(await resultOf(modelAgent({ name: "doubler", model, input, output: doubled, prompt: ({ question }) => question }))).toEqual({ n: 8 });
});

test("what the model says is streamed while it says it", async () => {
  const room = new MachineRoom();
  const gate = deferred<void>();
  const scripted = scriptedModel(async (turn) => (await gate.promise, [lookUp("a"), answered("in five short words now")][turn]!));
  const asker = asking(scripted, { stream: true, tools: search((q) => q) });
  const { run } = await start(asker, room);
  const chunks: ModelChunk[] = [];
  const heard = (async () => {
    for await (const { node, chunk } of run.stream<ModelChunk>()) {
      expect(node).toBe("ask");
      chunks.push(chunk);
    }
  })();
  gate.resolve();
  expect(await room.settled(run.result())).toEqual({ answer: "in five short words now" });
  await room.settled(heard);
  expect(chunks[0]).toEqual({ kind: "tool", round: 1, tool: "search", input: { q: "a" } });
  expect(chunks.length).toBe(6);
  expect(
    chunks
      .slice(1)
      .map((chunk) => chunk.kind === "text" && chunk.round === 2 && chunk.text)
      .join(""),
  ).toBe(answered("in five short words now"));
});

test("each word that is streamed is a sign of life", async () => {
  for (const [heartbeat, attempts] of [
    ["10s", 1],
    ["7s", 2],
  ] as const) {
    const room = new MachineRoom();
    const scripted = scriptedModel(
      () => answered("in five words"),
      () => new Promise((resolve) => room.clock.after(scripted.asked.length > 1 ? 1 : 8_000, resolve)),
    );
    const { run } = await start(asking(scripted, { stream: true, heartbeat }), room);
    expect(await room.settled(run.result())).toEqual({ answer: "in five words" });
    expect(scripted.asked.length).toBe(attempts);
  }
});

test("an answer that was cut off is asked for again, by the next attempt", async () => {
  for (const stream of [false, true]) {
    const scripted = scriptedModel(() => (scripted.asked.length === 1 ? CUT_OFF : answered("whole")));
    const { room, run } = await start(asking(scripted, { stream }));
    expect(await room.settled(run.result())).toEqual({ answer: "whole" });
    expect((await run.nodes())[0]).toMatchObject({ attempt: 2 });
    expect(scripted.asked[1]!.prompt.length).toBe(1);
  }
});

test("tokens are summed over all rounds, also those of before a crash; each call that is made is told once", async () => {
  const room = new MachineRoom();
  const told: ModelCall[] = [];
  const gate = deferred<void>();
  let calls = 0;
  const scripted = scriptedModel((turn) => [lookUp("a"), answered("done")][turn]!);
  const tools = search(async () => {
    if (++calls === 1) await new Promise(() => {});
    await gate.promise;
    return "x";
  });
  const counted = modelAgent({
    name: "counted",
    model: scripted.model,
    input,
    output,
    prompt: ({ question }) => question,
    tools,
    withUsage: true,
    onUsage: (call) => told.push(call),
  });
  const { flow, process } = await start(counted, room);
  await room.clock.until(() => calls === 1);
  await room.clock.advance(100);
  process.kill();
  const { pawl } = await room.boot([flow]);
  const run = await pawl.run("r");
  await room.clock.until(() => calls === 2);
  await room.clock.advance(2_000);
  expect((await run.nodes())[0]!.progress).toEqual({ round: 1, tools: ["search"], modelCalls: 1, inputTokens: 10, outputTokens: 5 });
  gate.resolve();
  expect(await room.settled(run.result())).toEqual({ output: { answer: "done" }, usage: { modelCalls: 2, inputTokens: 20, outputTokens: 10 } });
  expect(told).toEqual(
    [1, 2].map((round) => ({
      runId: "r",
      nodeId: "ask",
      attempt: 1,
      round,
      step: `model-${round}`,
      model: "scripted",
      modelCalls: 1,
      inputTokens: 10,
      outputTokens: 5,
    })),
  );
});

test("a run that is cancelled aborts the call that is under way", async () => {
  for (const stream of [false, true]) {
    const room = new MachineRoom();
    let aborted = 0;
    const scripted = scriptedModel(
      (_, { abortSignal }) => new Promise((__, reject) => abortSignal!.addEventListener("abort", () => (aborted++, reject(abortSignal!.reason as Error)))),
    );
    const { run } = await start(asking(scripted, { stream }), room);
    await room.clock.until(() => scripted.asked.length === 1);
    await room.settled(run.cancel());
    expect(aborted).toBe(1);
    expect(scripted.asked.length).toBe(1);
  }
});

test("what the model took is told to the limit that the agent uses", async () => {
  const scripted = scriptedModel((turn) => [lookUp("a"), answered("because")][turn]!);
  const asker = asking(scripted, { tools: search(() => 1), uses: { llmTokens: 500 }, usage: "llmTokens" });
  const room = new MachineRoom();
  const flow = flowOf(asker);
  const { pawl } = await room.boot([flow], { limits: { llmTokens: { max: 1_000, per: "60s" } } });
  const run = await room.settled(pawl.start(flow, { id: "r", input: {} }));
  await room.settled(run.result());
  expect((await pawl.limits()).map(({ name, used }) => ({ name, used }))).toEqual([{ name: "llmTokens", used: 30 }]);
  expect(() => asking(scripted, { usage: "llmTokens" })).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }));
});
