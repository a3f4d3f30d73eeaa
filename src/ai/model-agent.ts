/**
 * An agent that is a language model with tools. It asks the model, calls the tools that the model wants, and asks again, until
 * the model gives the answer that was asked for.
 * 1. Each call of the model and of a tool is a step: a node that is tried again, in whatever process, goes on after the last
 *    call that has ended. One that was cut off is made again.
 * 2. An answer that does not fit the output schema goes back to the model with what is wrong: rounds, not attempts, mend it.
 */
import type { LanguageModel, ModelMessage, OutputInterface, ToolSet, generateText } from "ai";
import { type Agent, type AgentContext, AgentError, type AttemptOptions, PawlError, type Schema, type UseOptions, agent } from "../index.ts";
import { type InputOf, type OutputOf, describeIssues, jsonSchemaOf, validate } from "../define/schema.ts";
import { type CallPlan, type Round, callModel } from "./model-call.ts";
import { Output } from "./sdk.ts";
import { callTool, checkTools, shownTools } from "./tool-call.ts";
import { type ModelCall, NO_USAGE, type Usage, type WithUsage, sum } from "./usage.ts";

/** What the SDK passes on to the model. */
export type ModelSettings = Pick<
  Parameters<typeof generateText>[0],
  "maxOutputTokens" | "temperature" | "topP" | "topK" | "presencePenalty" | "frequencyPenalty" | "stopSequences" | "seed" | "providerOptions" | "headers"
>;

export interface ModelAgentSpec<I extends Schema, O extends Schema> extends AttemptOptions, UseOptions {
  /** Its name: in logs, `pawl show` and YAML. */
  readonly name: string;
  /** Any model of the AI SDK, or its name at the gateway. */
  readonly model: LanguageModel;
  /** What the agent takes; checked before the model is called. */
  readonly input: I;
  /** What the agent gives: the model is asked for JSON of this schema, or for plain text by `z.string()`. */
  readonly output: O;
  readonly system?: string;
  /** What the model is asked, made of the input. */
  readonly prompt: (input: OutputOf<I>) => string | ModelMessage[];
  /** Tools of the AI SDK, each with `execute`. What one throws is told to the model; an AgentError fails the attempt. */
  readonly tools?: ToolSet;
  /** Calls of the model until it has to have answered. Default 10, at most 1,000. */
  readonly maxRounds?: number;
  /** Streams what the model says and which tools it wants as `ModelChunk`, heard by `run.stream()`. Default false. */
  readonly stream?: boolean;
  readonly settings?: ModelSettings;
  /** What it `uses` that is counted in tokens, for example 'llmTokens': each call of the model tells it how many there were. */
  readonly usage?: string;
  /** Called once for each call of the model that is made, and not for those given back from the store. */
  readonly onUsage?: (call: ModelCall) => void;
}

const ROUNDS_DEFAULT = 10;
const ROUNDS_MAX = 1_000;

/**
 * Makes an agent of a model. A provider's 429, 503 and 529 fail the attempt as `resource`, with the wait that it asks for;
 * other passing errors as `transient`; refusals such as 401 as `configuration`, which is not tried again.
 *
 * @example
 * ```ts
 * const researcher = modelAgent({
 *   name: 'researcher',
 *   model: openai('gpt-5'),
 *   input: z.object({ question: z.string() }),
 *   output: z.object({ answer: z.string(), sources: z.array(z.string()) }),
 *   prompt: ({ question }) => question,
 *   tools: { search: tool({ inputSchema: z.object({ q: z.string() }), execute: ({ q }) => search(q) }) },
 * });
 * ```
 * @throws PAWL_INVALID_ID, PAWL_MISSING_FIELD, PAWL_INVALID_VALUE
 */
export function modelAgent<I extends Schema, O extends Schema>(
  spec: ModelAgentSpec<I, O> & { readonly withUsage: true },
): Agent<InputOf<I>, WithUsage<OutputOf<O>>>;
export function modelAgent<I extends Schema, O extends Schema>(spec: ModelAgentSpec<I, O> & { readonly withUsage?: false }): Agent<InputOf<I>, OutputOf<O>>;
export function modelAgent(spec: ModelAgentSpec<Schema, Schema> & { readonly withUsage?: boolean }): Agent {
  const at = `agent "${spec.name}"`;
  const maxRounds = checkedRounds(spec.maxRounds ?? ROUNDS_DEFAULT, at);
  checkTools(spec.tools ?? {}, at);
  const { name, input, timeout, heartbeat, retry, concurrency, uses, queueTimeout } = spec;
  if (spec.usage !== undefined && !Object.hasOwn(uses ?? {}, spec.usage))
    throw new PawlError("PAWL_INVALID_VALUE", { message: `${at} has usage "${spec.usage}", which it does not use`, next: "add an estimate to `uses`" });
  const plan: CallPlan = { spec, tools: spec.tools && shownTools(spec.tools), output: askedFor(spec.output) };
  return agent({
    name,
    input,
    output: spec.withUsage === true ? withUsage(spec.output) : spec.output,
    timeout,
    heartbeat,
    retry,
    concurrency,
    uses,
    queueTimeout,
    run: async (given, ctx) => {
      const { answer, usage } = await converse(plan, maxRounds, given, ctx);
      return spec.withUsage === true ? { output: answer, usage } : answer;
    },
  });
}

function checkedRounds(rounds: number, at: string): number {
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= ROUNDS_MAX) return rounds;
  throw new PawlError("PAWL_INVALID_VALUE", { message: `${at} has maxRounds ${rounds}, but it must be a whole number from 1 to ${ROUNDS_MAX}` });
}

function isText(schema: Schema): boolean {
  return (jsonSchemaOf(schema) as { type?: unknown } | undefined)?.type === "string";
}

/** What the model is asked to answer with. What it answered is read here, so that it can be told what is wrong. */
function askedFor(schema: Schema): CallPlan["output"] {
  const asked = isText(schema) ? Output.text() : Output.object({ schema: schema as never });
  return { ...(asked as OutputInterface), parseCompleteOutput: async ({ text }: { text: string }) => text };
}

/** The schema of the result when the tokens are part of it. */
function withUsage(schema: Schema): Schema {
  const check = async (value: unknown) => {
    const { output, usage } = value as WithUsage<unknown>;
    const result = await validate(schema, output);
    return result.issues === undefined ? { value: { output: result.value, usage } } : result;
  };
  return { "~standard": { version: 1, vendor: "pawl", validate: check } };
}

async function converse(plan: CallPlan, maxRounds: number, given: unknown, ctx: AgentContext): Promise<{ answer: unknown; usage: Usage }> {
  const asked = plan.spec.prompt(given);
  const messages: ModelMessage[] = typeof asked === "string" ? [{ role: "user", content: asked }] : [...asked];
  let usage = NO_USAGE;
  // what an earlier attempt took was that one's
  const used = { tokens: 0 };
  for (let round = 1; round <= maxRounds; round++) {
    const step = `model-${round}`;
    const turn = await ctx.step(step, () => askModel(plan, messages, { round, step }, used, ctx));
    usage = sum(usage, turn.usage);
    ctx.heartbeat({ round, tools: turn.calls.map(({ tool }) => tool), ...usage });
    if (turn.calls.length === 0) {
      const read = await readAnswer(plan.spec.output, turn);
      if (read.problem === undefined) {
        tellUsed(plan, used.tokens, ctx);
        return { answer: read.answer, usage };
      }
      ctx.log.warn({ round, problem: read.problem }, "the model's answer does not fit; it is told");
      messages.push(...turn.said, { role: "user", content: `Your answer cannot be used: ${read.problem}. Answer again, as asked.` });
    } else messages.push(...turn.said, await callTools(plan, turn, messages, round, ctx));
  }
  throw new AgentError(`the model has not answered as asked within ${maxRounds} rounds`, { kind: "critical", code: "PAWL_OUTPUT_INVALID" });
}

async function askModel(
  plan: CallPlan,
  messages: readonly ModelMessage[],
  at: { round: number; step: string },
  used: { tokens: number },
  ctx: AgentContext,
): Promise<Round> {
  const turn = await callModel(plan, messages, at.round, ctx);
  const { usage, model, end } = turn;
  used.tokens += usage.inputTokens + usage.outputTokens;
  tellUsed(plan, used.tokens, ctx);
  ctx.log.info({ ...at, model, end, ...usage }, "the model was called");
  const { runId, nodeId, attempt } = ctx;
  plan.spec.onUsage?.({ runId, nodeId, attempt, ...at, model, ...usage });
  return turn;
}

function tellUsed({ spec: { usage } }: CallPlan, tokens: number, ctx: AgentContext): void {
  if (usage !== undefined) ctx.used({ [usage]: tokens });
}

/** Calls the tools that the model wants, all at once; each is a step. */
async function callTools({ spec }: CallPlan, { calls }: Round, messages: readonly ModelMessage[], round: number, ctx: AgentContext): Promise<ModelMessage> {
  const content = await Promise.all(
    calls.map(async (call, i) => {
      const key = `tool-${round}.${i + 1}`;
      const output = await ctx.step(key, () => callTool(spec.tools ?? {}, call, messages, key, ctx));
      return { type: "tool-result" as const, toolCallId: call.id, toolName: call.tool, output };
    }),
  );
  return { role: "tool", content };
}

/** What the model answered, before the schema has changed anything: the agent's own check does that. */
async function readAnswer(schema: Schema, { text }: Round): Promise<{ answer?: unknown; problem?: string }> {
  let answer: unknown = text;
  try {
    if (!isText(schema)) answer = JSON.parse(text);
  } catch {
    return { problem: "it is no JSON" };
  }
  const { issues } = await validate(schema, answer);
  return issues === undefined ? { answer } : { problem: describeIssues(issues) };
}
