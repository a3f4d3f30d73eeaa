/**
 * A model that says what a test tells it to, each answer after what it has been told so far; it notes each call.
 */
import { MockLanguageModelV4 } from "ai/test";

type Options = Parameters<MockLanguageModelV4["doGenerate"]>[0];
type Generated = Awaited<ReturnType<MockLanguageModelV4["doGenerate"]>>;
type Streamed = Awaited<ReturnType<MockLanguageModelV4["doStream"]>>;
type Part = Streamed["stream"] extends ReadableStream<infer P> ? P : never;

/** An answer, or the tools that it wants called. */
export type Said = string | readonly { readonly tool: string; readonly input: unknown }[];

export interface ScriptedModel {
  readonly model: MockLanguageModelV4;
  /** What was asked, call by call. */
  readonly asked: Options[];
}

/** An answer cut off by the provider. */
export const CUT_OFF = "…";

/** Which answer is given depends on how often the model has spoken in the conversation, not on how often it was called. */
export function scriptedModel(script: (turn: number, options: Options) => Said | Promise<Said>, pace: () => Promise<void> = async () => {}): ScriptedModel {
  const asked: Options[] = [];
  const say = async (options: Options): Promise<Said> => {
    asked.push(options);
    return script(options.prompt.filter(({ role }) => role === "assistant").length, options);
  };
  const model = new MockLanguageModelV4({
    modelId: "scripted",
    doGenerate: async (options) => generated(await say(options)),
    doStream: async (options) => ({ stream: paced(partsOf(await say(options)), pace) }),
  });
  return { model, asked };
}

function generated(said: Said): Generated {
  return { content: contentOf(said), finishReason: reasonOf(said), usage: USAGE, warnings: [] };
}

const USAGE: Generated["usage"] = {
  inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 5, text: 5, reasoning: undefined },
};

function contentOf(said: Said): Generated["content"] {
  if (typeof said === "string") return [{ type: "text", text: said }];
  return said.map(({ tool, input }, i) => ({ type: "tool-call", toolCallId: `call-${i}`, toolName: tool, input: JSON.stringify(input) }));
}

function reasonOf(said: Said): Generated["finishReason"] {
  if (typeof said !== "string") return { unified: "tool-calls", raw: undefined };
  return { unified: said.endsWith(CUT_OFF) ? "interrupted" : "stop", raw: undefined };
}

function partsOf(said: Said): Part[] {
  const finish: Part = { type: "finish", finishReason: reasonOf(said), usage: USAGE };
  if (typeof said !== "string") return [...(contentOf(said) as Part[]), finish];
  const deltas = said.split(/(?= )/).map((delta): Part => ({ type: "text-delta", id: "t", delta }));
  return [{ type: "text-start", id: "t" }, ...deltas, { type: "text-end", id: "t" }, finish];
}

/** `pace` is waited for before each part. */
function paced(parts: readonly Part[], pace: () => Promise<void>): ReadableStream<Part> {
  const left = [...parts];
  return new ReadableStream({
    async pull(controller) {
      await pace();
      controller.enqueue(left.shift()!);
      if (left.length === 0) controller.close();
    },
  });
}
