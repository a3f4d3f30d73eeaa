/**
 * Three models that need no network. Each says what is written here, as a real one would: after a while, in words or in
 * wishes for tools, and in JSON when it is asked for that.
 */
import { setTimeout as passes } from "node:timers/promises";
import { simulateReadableStream } from "ai";
import { MockLanguageModelV4 } from "ai/test";

type Options = Parameters<MockLanguageModelV4["doGenerate"]>[0];
type Generated = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>;

/** What a model says next, after what it was asked and what tools have told it. */
type Script = (asked: string, told: readonly string[]) => string | readonly Wish[];

interface Wish {
  readonly tool: string;
  readonly input: object;
}

const THINKING_MS = 150;
const WORD_MS = 25;

export const plannerModel = offline("planner", () =>
  JSON.stringify({ questions: ["What keeps a ratchet from slipping back?", "Which tool lifts a load, and which turns a bolt?", "How far can it slip?"] }),
);

export const researcherModel = offline("researcher", (question, [found, ...texts]) => {
  if (found === undefined) return [{ tool: "search", input: { question } }];
  if (texts.length === 0) return found.split(", ").map((title) => ({ tool: "read", input: { title } }));
  return JSON.stringify({ answer: texts.join(" "), sources: found.split(", ") });
});

export const writerModel = offline("writer", (findings) => findings);

function offline(modelId: string, script: Script): MockLanguageModelV4 {
  const say = async (options: Options): Promise<Generated> => {
    await passes(THINKING_MS, undefined, { signal: options.abortSignal });
    return generated(script(askedIn(options), toldIn(options)));
  };
  return new MockLanguageModelV4({
    modelId,
    doGenerate: say,
    doStream: async (options) => ({ stream: wordByWord(await say(options)) }),
  });
}

function generated(said: ReturnType<Script>): Generated {
  const usage: Generated["usage"] = {
    inputTokens: { total: 40, noCache: 40, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: JSON.stringify(said).length, text: undefined, reasoning: undefined },
  };
  if (typeof said === "string") return { content: [{ type: "text", text: said }], finishReason: { unified: "stop", raw: undefined }, usage, warnings: [] };
  const content = said.map(({ tool, input }, i) => ({ type: "tool-call" as const, toolCallId: `${i}`, toolName: tool, input: JSON.stringify(input) }));
  return { content, finishReason: { unified: "tool-calls", raw: undefined }, usage, warnings: [] };
}

function wordByWord({ content, finishReason, usage }: Generated) {
  const words = content.flatMap((part) => (part.type === "text" ? part.text.split(/(?<=\s)/) : []));
  const deltas = words.map((delta) => ({ type: "text-delta" as const, id: "text", delta }));
  const chunks = [{ type: "text-start" as const, id: "text" }, ...deltas, { type: "text-end" as const, id: "text" }];
  return simulateReadableStream({ chunks: [...chunks, { type: "finish" as const, finishReason, usage }], chunkDelayInMs: WORD_MS });
}

function askedIn({ prompt }: Options): string {
  return prompt
    .flatMap((message) => (message.role === "user" ? message.content : []))
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("");
}

function toldIn({ prompt }: Options): string[] {
  const results = prompt.flatMap((message) => (message.role === "tool" ? message.content : []));
  return results.flatMap((result) => (result.type === "tool-result" && result.output.type === "text" ? [result.output.value] : []));
}
