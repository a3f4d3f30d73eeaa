/**
 * pawl/ai: agents that are language models, by way of the AI SDK (`ai`, an optional peer). Everything public is named here.
 */
export { type ModelAgentSpec, type ModelSettings, modelAgent } from "./model-agent.ts";
export type { ModelChunk } from "./model-call.ts";
export type { ToolCallContext } from "./tool-call.ts";
export type { ModelCall, Usage, WithUsage } from "./usage.ts";
