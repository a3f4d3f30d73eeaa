/**
 * One attempt: an agent is called with its node's input, and its answer becomes an outcome.
 * 1. There is exactly one outcome, however the agent behaves; after `abandon` there is none.
 * 2. The outcome's result is already text: checked by the schema, storable, within bounds.
 */
import type { Failure } from "../../machines/node.ts";
import type { Agent, AgentContext, Log, UpstreamFailure } from "../define/agent.ts";
import { checkAmounts } from "../define/limits.ts";
import { type Schema, describeIssues, validate } from "../define/schema.ts";
import { type ErrorCode, PawlError } from "../errors.ts";
import type { Clock } from "../clock.ts";
import { type AttemptLine, Silence } from "./attempt-line.ts";
import { AttemptSteps } from "./attempt-steps.ts";
import { encode } from "./codec.ts";
import { failureOf, judgedFailure } from "./failure.ts";
import type { Pass } from "./pass.ts";
import { type ReadEnvironment, callService } from "./http-call.ts";
import type { Health } from "./health.ts";
import type { IsolatedThreads } from "./isolated.ts";
import type { Meter } from "./metering.ts";
import type { Startable } from "./startable.ts";
import type { RunResult, StepServices } from "./xstate/step.ts";

/** `degraded`: it was a run, of which nodes were skipped, or alternatives took over. */
export type Outcome = { readonly output: string; readonly degraded: boolean; readonly failure?: undefined } | { readonly failure: Failure };

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
  /** The health check that is asked first. */
  readonly healthCheck?: true | string | undefined;
}

/** What attempts need from outside. */
export interface AttemptSeams {
  readonly log: Log;
  readonly environment: ReadEnvironment;
  /** For agents that have a thread of their own. */
  readonly threads?: IsolatedThreads;
  /** Says whether there should be work now. */
  readonly health?: Health;
  /** Counts what becomes of them. */
  readonly meter?: Meter;
  /** What timeouts and warnings are multiplied by. Default 1. */
  readonly timeoutMultiplier?: number | undefined;
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
  readonly #healthCheck: true | string | undefined;
  readonly #needs: AttemptNeeds;
  readonly #line: AttemptLine | undefined;
  onGivenUp: (() => void) | undefined;
  #abort: AbortController | undefined;
  #abandoned: unknown;
  #stopped: unknown;
  #silence: Silence | undefined;
  #steps: AttemptSteps | undefined;
  #isOver = false;
  #isDegraded = false;

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
    this.#healthCheck = facts.healthCheck;
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

  /** Its answer is no longer wanted; `how` its run was cancelled is told with the reason. */
  abandon(code: ErrorCode, how: object = {}): void {
    if (this.#abandoned !== undefined) return;
    this.#abandoned = new PawlError(code, { data: how });
    this.#end();
    this.#abort?.abort(this.#abandoned);
    this.onGivenUp?.();
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
    checkAmounts(amounts);
    if (this.#isOver) return;
    for (const [resource, amount] of Object.entries(amounts)) this.#pass?.settle(resource, amount);
  }

  step<T>(key: string, perform: () => T | Promise<T>): Promise<T> {
    if (this.#line === undefined) return Promise.reject(new PawlError("PAWL_STEP_UNSUPPORTED"));
    this.#steps ??= new AttemptSteps(this, this.#line);
    return this.#steps.take(key, perform);
  }

  #call({ work }: Agent, given: unknown): unknown {
    if (work.kind === "function") return work.run(given, this);
    if (work.kind === "http") return callService(work.service, given, this, this.#needs.attempts.environment);
    const { services, attempts } = this.#needs;
    if (work.kind === "isolated" && attempts.threads !== undefined) return attempts.threads.call(work, given, this);
    if (services === undefined || work.kind === "none" || work.kind === "isolated") throw new PawlError("PAWL_NO_HOST");
    if (work.kind === "wait") return this.#resultOf(services.otherRun((given as { runId: unknown }).runId, this.signal));
    return this.#resultOf(services.childRun(work.of as Startable, childRunId(this.runId, this.nodeId, this.attempt), given, this.signal));
  }

  async #resultOf(run: Promise<RunResult>): Promise<unknown> {
    const { output, degraded } = await run;
    this.#isDegraded = degraded;
    return output;
  }

  /** What its steps under way come to is not lost by a failure beside them. */
  async #stepsEnd({ failure }: Outcome): Promise<void> {
    if (failure !== undefined) this.log.warn({ failure }, "the attempt has failed; it ends when its other steps have ended");
    await this.#steps!.end();
  }

  /** Calls the agent. Never rejects; answers undefined when it was abandoned meanwhile. */
  async perform(agent: Agent, input: () => unknown, nonRetryable: readonly string[]): Promise<Outcome | undefined> {
    if (this.#isAbandoned) return undefined;
    const { health, meter } = this.#needs.attempts;
    let outcome: Outcome;
    try {
      if (this.#healthCheck !== undefined) await health?.require(agent, this.#healthCheck);
      const given = await checked(agent.input, input(), "PAWL_INPUT_INVALID", agent.name);
      if (this.#isAbandoned) return undefined;
      let answer: unknown;
      this.#pass?.begin();
      meter?.calls(agent.name, 1);
      try {
        answer = await this.#call(agent, given);
      } finally {
        meter?.calls(agent.name, -1);
      }
      outcome = { output: encode(await checked(agent.output, answer, "PAWL_OUTPUT_INVALID", agent.name)), degraded: this.#isDegraded };
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
