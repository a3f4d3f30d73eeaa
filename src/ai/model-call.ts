/**
 * One call of a model, as data that can be stored: what it said, which tools it wants called, what it took.
 */
import type { FinishReason, LanguageModelUsage, ModelMessage, OutputInterface, ToolSet } from "ai";
import { type AgentContext, AgentError } from "../index.ts";
import type { ModelAgentSpec } from "./model-agent.ts";
import { agentErrorOf } from "./provider-error.ts";
import { generateText, streamText } from "./sdk.ts";
import { type Usage, usageOf } from "./usage.ts";

/** What an agent with `stream: true` streams. */
export type ModelChunk =
  | { readonly kind: "text"; readonly round: number; readonly text: string }
  | { readonly kind: "tool"; readonly round: number; readonly tool: string; readonly input: unknown };

/** A tool that the model wants called. */
export interface WantedCall {
  readonly id: string;
  readonly tool: string;
  readonly input: unknown;
}

/** What came of a call: stored as a step. */
export interface Round {
  readonly said: readonly ModelMessage[];
  readonly calls: readonly WantedCall[];
  readonly text: string;
  readonly end: FinishReason;
  readonly usage: Usage;
  /** The model as its provider calls it. */
  readonly model: string;
}

/** How the SDK is to call the model. */
export interface CallPlan {
  readonly spec: ModelAgentSpec<any, any>;
  readonly tools: ToolSet | undefined;
  readonly output: OutputInterface<string>;
}

/** Ends of an answer that may come whole when it is asked for again. */
const CUT_OFF: ReadonlySet<FinishReason> = new Set<FinishReason>(["error", "interrupted"]);

interface Answer {
  readonly responseMessages: readonly ModelMessage[];
  readonly toolCalls: readonly {
    readonly toolCallId: string;
    readonly toolName: string;
    readonly input: unknown;
    readonly providerExecuted?: boolean | undefined;
    readonly invalid?: boolean | undefined;
  }[];
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly usage: LanguageModelUsage;
  readonly response: { readonly modelId: string };
}

/** Calls the model once; the node's own retries are the only ones. Throws AgentError with the kind of the failure. */
export async function callModel({ spec, tools, output }: CallPlan, messages: readonly ModelMessage[], round: number, ctx: AgentContext): Promise<Round> {
  const options = {
    ...spec.settings,
    model: spec.model,
    messages: [...messages],
    output,
    maxRetries: 0,
    abortSignal: ctx.signal,
    ...(spec.system !== undefined && { instructions: spec.system }),
    ...(tools !== undefined && { tools }),
  };
  try {
    const answer = await (spec.stream === true ? streamed(options, round, ctx) : generateText(options));
    if (CUT_OFF.has(answer.finishReason)) throw new AgentError("the model was cut off in the middle of its answer", { kind: "transient" });
    return roundOf(answer);
  } catch (error) {
    ctx.signal.throwIfAborted();
    throw agentErrorOf(error);
  }
}

/** Streams on what the model says while it says it. Each word is a sign of life. */
async function streamed(options: Parameters<typeof streamText>[0], round: number, ctx: AgentContext): Promise<Answer> {
  const result = streamText({ ...options, onError: () => {} });
  for await (const part of result.stream) {
    ctx.heartbeat();
    if (part.type === "error") throw part.error;
    if (part.type === "abort") ctx.signal.throwIfAborted();
    const chunk = chunkOf(part, round);
    if (chunk !== undefined) ctx.stream(chunk);
  }
  const [responseMessages, toolCalls, text, finishReason, usage, response] = await Promise.all([
    result.responseMessages,
    result.toolCalls,
    result.text,
    result.finishReason,
    result.usage,
    result.response,
  ]);
  return { responseMessages, toolCalls, text, finishReason, usage, response };
}

function chunkOf(part: { readonly type: string }, round: number): ModelChunk | undefined {
  const { type, text, toolName, input } = part as { type: string; text: string; toolName: string; input: unknown };
  if (type === "text-delta") return { kind: "text", round, text };
  return type === "tool-call" ? { kind: "tool", round, tool: toolName, input } : undefined;
}

/** As plain data. A call that the SDK found invalid is answered by it already, in what was said. */
function roundOf({ responseMessages, toolCalls, text, finishReason, usage, response }: Answer): Round {
  const wanted = toolCalls.filter(({ providerExecuted, invalid }) => providerExecuted !== true && invalid !== true);
  return {
    said: plain(responseMessages),
    calls: wanted.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, tool: toolName, input: plain(input) })),
    text,
    end: finishReason,
    usage: usageOf(usage),
    model: response.modelId,
  };
}

/** Messages are JSON but for fields that are undefined. */
function plain<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
