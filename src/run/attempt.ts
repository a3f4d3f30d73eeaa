/**
 * One attempt: an agent is called with its node's input, and its answer becomes an outcome.
 * 1. There is exactly one outcome, however the agent behaves; after `abandon` there is none.
 * 2. The outcome's result is already text: checked by the schema, storable, within bounds.
 */
import type { Failure } from "../../machines/node.ts";
import type { Agent, AgentContext, Log, UpstreamFailure } from "../define/agent.ts";
import { type Schema, describeIssues, validate } from "../define/schema.ts";
import { type ErrorCode, PawlError } from "../errors.ts";
import { encode } from "./codec.ts";
import { failureOf } from "./failure.ts";
import { type ReadEnvironment, callService } from "./http-call.ts";
import type { Startable } from "./startable.ts";
import type { StepServices } from "./xstate/step.ts";

export type Outcome = { readonly output: string; readonly failure?: undefined } | { readonly failure: Failure };

/** What an attempt is for. */
export interface AttemptFacts {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly deadlineAt: number;
  readonly upstreamFailures: readonly UpstreamFailure[];
}

/** What attempts need from outside. */
export interface AttemptSeams {
  readonly log: Log;
  readonly environment: ReadEnvironment;
}

export class Attempt implements AgentContext {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly deadlineAt: number;
  readonly upstreamFailures: readonly UpstreamFailure[];
  readonly #seams: AttemptSeams;
  readonly #services: StepServices | undefined;
  #abort: AbortController | undefined;
  #abandoned: unknown;

  constructor(facts: AttemptFacts, seams: AttemptSeams, services: StepServices | undefined) {
    this.runId = facts.runId;
    this.nodeId = facts.nodeId;
    this.attempt = facts.attempt;
    this.deadlineAt = facts.deadlineAt;
    this.upstreamFailures = facts.upstreamFailures;
    this.#seams = seams;
    this.#services = services;
  }

  get idempotencyKey(): string {
    return `${this.runId}/${this.nodeId}#1`;
  }

  /** Made when first asked for: most agents that answer at once never look. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#abandoned !== undefined) this.#abort.abort(this.#abandoned);
    return this.#abort.signal;
  }

  get log(): Log {
    const { runId, nodeId, attempt } = this;
    const to = this.#seams.log;
    const line = (level: keyof Log) => (data: object, message?: string) => to[level]({ runId, nodeId, attempt, ...data }, message);
    return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  }

  get #isAbandoned(): boolean {
    return this.#abandoned !== undefined;
  }

  /** Its answer is no longer wanted. */
  abandon(code: ErrorCode): void {
    if (this.#abandoned !== undefined) return;
    this.#abandoned = new PawlError(code);
    this.#abort?.abort(this.#abandoned);
  }

  #call({ work }: Agent, given: unknown): unknown {
    if (work.kind === "function") return work.run(given, this);
    if (work.kind === "http") return callService(work.service, given, this, this.#seams.environment);
    if (this.#services === undefined) throw new PawlError("PAWL_NO_HOST");
    return this.#services.childRun(work.machine as Startable, childRunId(this.runId, this.nodeId, this.attempt), given, this.signal);
  }

  /** Calls the agent. Never rejects; answers undefined when it was abandoned meanwhile. */
  async perform(agent: Agent, input: () => unknown, nonRetryable: readonly string[]): Promise<Outcome | undefined> {
    if (this.#isAbandoned) return undefined;
    let outcome: Outcome;
    try {
      const given = await checked(agent.input, input(), "PAWL_INPUT_INVALID", agent.name);
      if (this.#isAbandoned) return undefined;
      const answer: unknown = await this.#call(agent, given);
      outcome = { output: encode(await checked(agent.output, answer, "PAWL_OUTPUT_INVALID", agent.name)) };
    } catch (error) {
      outcome = { failure: failureOf(error, nonRetryable) };
    }
    return this.#isAbandoned ? undefined : outcome;
  }
}

/** The id of the run that an attempt of this node is, when its agent is a machine. */
export function childRunId(runId: string, nodeId: string, attempt: number): string {
  return `${runId}/${nodeId}${attempt > 1 ? `~${attempt}` : ""}`;
}

/** The value as its schema gives it back; a promise only if the schema makes one. */
function checked(schema: Schema, value: unknown, code: "PAWL_INPUT_INVALID" | "PAWL_OUTPUT_INVALID", agent: string): unknown {
  const judge = (result: Awaited<ReturnType<typeof validate>>): unknown => {
    if (result.issues === undefined) return result.value;
    const what = code === "PAWL_INPUT_INVALID" ? `the input of "${agent}"` : `the result of "${agent}"`;
    throw new PawlError(code, { message: `${what} does not fit its schema: ${describeIssues(result.issues)}` });
  };
  const result = validate(schema, value);
  return result instanceof Promise ? result.then(judge) : judge(result);
}
