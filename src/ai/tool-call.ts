/**
 * One call of a tool: what it gives, or how it failed, as the model is told it.
 * What a tool throws is told to the model, which may do something else; an AgentError or PawlError fails the attempt, which
 * is made again and goes on at this call.
 */
import type { ModelMessage, ToolModelMessage, ToolSet } from "ai";
import { type AgentContext, AgentError, PawlError, isPawlError } from "../index.ts";
import type { WantedCall } from "./model-call.ts";

/** What a tool's `execute` finds in its options under `context`: declare the fields that you use as its `contextSchema`. */
export interface ToolCallContext {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  /** The key of the call's step, such as "tool-2.1": the first that was wanted in the second round. */
  readonly step: string;
  /** The same whenever this call is made again: pass it on to services that remove duplicates. */
  readonly idempotencyKey: string;
}

type Tool = ToolSet[string];
type ToolOutput = Extract<ToolModelMessage["content"][number], { type: "tool-result" }>["output"];

/** The tools as the model is shown them: called here, each call a step, and not by the SDK. */
export function shownTools(tools: ToolSet): ToolSet {
  const shown = (tool: Tool): Tool => {
    if (isProviders(tool)) return tool;
    const { execute: _, contextSchema: __, onInputStart: ___, onInputDelta: ____, onInputAvailable: _____, ...rest } = tool;
    return rest;
  };
  return Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, shown(tool)]));
}

/** Throws PAWL_MISSING_FIELD or PAWL_INVALID_VALUE for a tool that cannot be called here. */
export function checkTools(tools: ToolSet, at: string): void {
  for (const [name, tool] of Object.entries(tools)) {
    if (!isProviders(tool) && typeof tool.execute !== "function")
      throw new PawlError("PAWL_MISSING_FIELD", { message: `${at} has a tool "${name}" without execute`, next: "add execute: async (input) => …" });
    if (tool.needsApproval !== undefined && tool.needsApproval !== false)
      throw new PawlError("PAWL_INVALID_VALUE", {
        message: `${at} has a tool "${name}" that needs approval: nobody would be asked`,
        next: "let the agent answer what it wants done, and wait for a person by wf.event before another node does it",
      });
  }
}

function isProviders(tool: Tool): boolean {
  return tool.type === "provider" && tool.isProviderExecuted;
}

/** Calls the tool; `key` is that of the step. */
export async function callTool(tools: ToolSet, call: WantedCall, messages: readonly ModelMessage[], key: string, ctx: AgentContext): Promise<ToolOutput> {
  const tool = Object.hasOwn(tools, call.tool) ? tools[call.tool] : undefined;
  if (tool?.execute === undefined) return { type: "error-text", value: `there is no tool "${call.tool}"` };
  const { runId, nodeId, attempt, idempotencyKey } = ctx;
  const context: ToolCallContext = { runId, nodeId, attempt, step: key, idempotencyKey: `${idempotencyKey}/${key}` };
  try {
    const output = await lastOf(await tool.execute(call.input, { toolCallId: call.id, messages: [...messages], abortSignal: ctx.signal, context }));
    if (tool.toModelOutput !== undefined) return await tool.toModelOutput({ toolCallId: call.id, input: call.input, output });
    return typeof output === "string" ? { type: "text", value: output } : { type: "json", value: json(output) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (error instanceof AgentError || isPawlError(error)) throw error;
    ctx.log.warn({ tool: call.tool, error }, "a tool failed; the model is told");
    return { type: "error-text", value: error instanceof Error ? error.message : String(error) };
  }
}

/** A tool may give what it has so far, again and again; the last counts. */
async function lastOf(output: unknown): Promise<unknown> {
  if (typeof output !== "object" || output === null || !(Symbol.asyncIterator in output)) return output;
  let last: unknown;
  for await (const each of output as AsyncIterable<unknown>) last = each;
  return last;
}

type Json = Extract<ToolOutput, { type: "json" }>["value"];

function json(value: unknown): Json {
  return JSON.parse(JSON.stringify(value) ?? "null") as Json;
}
