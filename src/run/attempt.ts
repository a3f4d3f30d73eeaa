/**
 * One attempt: an agent is called with its node's input, and its answer becomes an outcome.
 * 1. There is exactly one outcome, however the agent behaves; after `abandon` there is none.
 * 2. The outcome's result is already text: checked by the schema, storable, within bounds.
 */
import type { Failure } from "../../machines/node.ts";
import type { Agent, AgentContext, Log, UpstreamFailure } from "../define/agent.ts";
import { checkName } from "../define/name.ts";
import { type Schema, describeIssues, validate } from "../define/schema.ts";
import { type ErrorCode, PawlError } from "../errors.ts";
import type { Clock } from "../clock.ts";
import { type AttemptLine, Silence } from "./attempt-line.ts";
import { AttemptSteps } from "./attempt-steps.ts";
import { encode } from "./codec.ts";
import { failureOf, judgedFailure } from "./failure.ts";
import type { Pass } from "./gate.ts";
import { type ReadEnvironment, callService } from "./http-call.ts";
import type { Startable } from "./startable.ts";
import type { StepServices } from "./xstate/step.ts";

export type Outcome = { readonly output: string; readonly failure?: undefined } | { readonly failure: Failure };

/** What an attempt is for. */
export interface AttemptFacts {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  /** How many alternatives have taken over. */
  readonly alternative?: number;
  /** Which input it is that the node is given: 1, the default, is what its definition says. */
  readonly generation?: number | undefined;
  readonly deadlineAt: number;
  readonly upstreamFailures: readonly UpstreamFailure[];
  /** What it has of limits. */
  readonly pass?: Pass | undefined;
}

/** What attempts need from outside. */
export interface AttemptSeams {
  readonly log: Log;
  readonly environment: ReadEnvironment;
}

interface AttemptNeeds {
  readonly clock: Clock;
  readonly attempts: AttemptSeams;
  readonly services: StepServices | undefined;
}

export class Attempt implements AgentContext {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly deadlineAt: number;
  readonly upstreamFailures: readonly UpstreamFailure[];
  readonly #alternative: number;
  readonly #generation: number;
  readonly #pass: Pass | undefined;
  readonly #needs: AttemptNeeds;
  readonly #line: AttemptLine | undefined;
  #abort: AbortController | undefined;
  #abandoned: unknown;
  #stopped: unknown;
  #silence: Silence | undefined;
  #steps: AttemptSteps | undefined;
  #isOver = false;

  /** Without a line there is nobody to keep its steps. */
  constructor(facts: AttemptFacts, needs: AttemptNeeds, line?: AttemptLine) {
    this.runId = facts.runId;
    this.nodeId = facts.nodeId;
    this.attempt = facts.attempt;
    this.deadlineAt = facts.deadlineAt;
    this.upstreamFailures = facts.upstreamFailures;
    this.#alternative = facts.alternative ?? 0;
    this.#generation = facts.generation ?? 1;
    this.#pass = facts.pass;
    this.#needs = needs;
    this.#line = line;
  }

  get idempotencyKey(): string {
    return `${this.runId}/${this.nodeId}${this.#alternative > 0 ? `+${this.#alternative}` : ""}#${this.#generation}`;
  }

  /** Made when first asked for: most agents that answer at once never look. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    const reason = this.#abandoned ?? this.#stopped;
    if (reason !== undefined) this.#abort.abort(reason);
    return this.#abort.signal;
  }

  get log(): Log {
    const { runId, nodeId, attempt } = this;
    const to = this.#needs.attempts.log;
    const line = (level: keyof Log) => (data: object, message?: string) =>
      to[level]({ runId, nodeId, attempt, ...(data instanceof Error ? { error: data } : data) }, message);
    return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  }

  get #isAbandoned(): boolean {
    return this.#abandoned !== undefined;
  }

  /** Its answer is no longer wanted. */
  abandon(code: ErrorCode): void {
    if (this.#abandoned !== undefined) return;
    this.#abandoned = new PawlError(code);
    this.#end();
    this.#abort?.abort(this.#abandoned);
  }

  /** It is asked to end; its answer still counts. */
  stop(code: ErrorCode): void {
    this.#stopped ??= new PawlError(code);
    this.#abort?.abort(this.#stopped);
  }

  /** Nothing is heard from it any more. */
  #end(): void {
    this.#isOver = true;
    this.#silence?.end();
    this.#line?.end();
  }

  /** From now on it must report progress at least so often; `strikes` is called when it does not. */
  guard(heartbeatMs: number | undefined, strikes: () => void): void {
    if (heartbeatMs !== undefined) this.#silence = new Silence(this.#needs.clock, heartbeatMs, strikes);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It lives. */
  heard(): void {
    this.#silence?.heard();
  }

  heartbeat(progress?: unknown): void {
    if (this.#isOver) return;
    this.heard();
    if (progress !== undefined) this.#line?.report(encode(progress));
  }

  stream(chunk: unknown): void {
    if (!this.#isOver) this.#line?.stream(chunk);
  }

  used(amounts: Readonly<Record<string, number>>): void {
    for (const [resource, amount] of Object.entries(amounts)) {
      checkName(resource, "limit name");
      if (!(amount >= 0 && amount < Number.POSITIVE_INFINITY))
        throw new PawlError("PAWL_INVALID_VALUE", { message: `used.${resource} is ${String(amount)}, but must be a number of at least 0` });
      if (!this.#isOver) this.#pass?.settle(resource, amount);
    }
  }

  step<T>(key: string, perform: () => T | Promise<T>): Promise<T> {
    if (this.#line === undefined) return Promise.reject(new PawlError("PAWL_STEP_UNSUPPORTED"));
    this.#steps ??= new AttemptSteps(this, this.#line);
    return this.#steps.take(key, perform);
  }

  #call({ work }: Agent, given: unknown): unknown {
    if (work.kind === "function") return work.run(given, this);
    if (work.kind === "http") return callService(work.service, given, this, this.#needs.attempts.environment);
    const { services } = this.#needs;
    if (services === undefined || work.kind === "none") throw new PawlError("PAWL_NO_HOST");
    if (work.kind === "wait") return services.otherRun((given as { runId: unknown }).runId, this.signal);
    return services.childRun(work.of as Startable, childRunId(this.runId, this.nodeId, this.attempt), given, this.signal);
  }

  /** What its steps under way come to is not lost by a failure beside them. */
  async #stepsEnd({ failure }: Outcome): Promise<void> {
    if (failure !== undefined) this.log.warn({ failure }, "the attempt has failed; it ends when its other steps have ended");
    await this.#steps!.end();
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
      outcome = { failure: agent.onError === undefined ? failureOf(error, nonRetryable) : judgedFailure(error, nonRetryable, agent.onError, this) };
    }
    if (this.#steps?.isUnderWay === true) await this.#stepsEnd(outcome);
    this.#end();
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
