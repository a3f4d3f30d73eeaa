/**
 * Agents that answer what a test says, instead of calling anything.
 */
import { z } from "zod";
import { type Agent, type AgentContext, agent } from "../index.ts";

/** The answer of an attempt that never answers: it ends by its timeout, or with its run. */
export const hang: unique symbol = Symbol("hang");

/** One call of a scripted agent, an attempt that a crash cut off included. */
export interface ScriptedCall {
  readonly input: unknown;
  /** 1 for the first attempt of a node or step. */
  readonly attempt: number;
  readonly idempotencyKey: string;
}

/** An agent that remembers how it was called. */
export interface ScriptedAgent<Result = any> extends Agent<any, Result> {
  readonly calls: readonly ScriptedCall[];
}

/** A result, an error to fail with, `hang`, or a function that gives one of the first two. */
export type ScriptedAnswer<Result> = Result | Error | typeof hang | ((input: any, context: AgentContext) => Result | Promise<Result>);

/**
 * An agent that gives these answers: the first attempt of each node or step the first one, its second attempt the
 * second, and later ones the last. So an attempt that runs again after a crash answers the same. Takes and gives
 * anything; is tried as often as there are answers, without jitter.
 *
 * @example
 * ```ts
 * const planner = scripted('planner', new Error('overloaded'), { questions: ['why?'] });
 * ```
 */
export function scripted<Result>(name: string, ...answers: ScriptedAnswer<Result>[]): ScriptedAgent<Result> {
  const calls: ScriptedCall[] = [];
  const run = (input: unknown, context: AgentContext): unknown => {
    const { attempt, idempotencyKey } = context;
    calls.push({ input, attempt, idempotencyKey });
    const answer = answers[Math.min(attempt, answers.length) - 1];
    if (answer === hang) return new Promise<never>(() => {});
    if (answer instanceof Error) throw answer;
    return typeof answer === "function" ? (answer as (input: unknown, context: AgentContext) => unknown)(input, context) : answer;
  };
  const retry = { maxAttempts: Math.max(1, answers.length), jitter: "none" } as const;
  return Object.freeze({ ...agent({ name, input: z.any(), output: z.any(), retry, run }), calls });
}
