/**
 * Tokens: what one call of a model took, and what all calls of a node took together.
 */
import type { LanguageModelUsage } from "ai";

export interface Usage {
  readonly modelCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** The result of an agent made with `withUsage`. */
export interface WithUsage<Output> {
  readonly output: Output;
  /** Of all calls whose answers the node has used, in whatever process they were made. */
  readonly usage: Usage;
}

/** One call of a model that was made: told to `onUsage`. */
export interface ModelCall extends Usage {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly round: number;
  /** The key of its step, such as "model-2" in the second round. */
  readonly step: string;
  /** The model as its provider calls it. */
  readonly model: string;
}

export const NO_USAGE: Usage = { modelCalls: 0, inputTokens: 0, outputTokens: 0 };

/** What a provider does not tell counts as nothing. */
export function usageOf({ inputTokens = 0, outputTokens = 0 }: LanguageModelUsage): Usage {
  return { modelCalls: 1, inputTokens, outputTokens };
}

export function sum(a: Usage, b: Usage): Usage {
  return { modelCalls: a.modelCalls + b.modelCalls, inputTokens: a.inputTokens + b.inputTokens, outputTokens: a.outputTokens + b.outputTokens };
}
