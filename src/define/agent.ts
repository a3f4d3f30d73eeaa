/**
 * Agents: typed async functions, or HTTP services, with the limits of their attempts. Called by nodes.
 */
import { type FailureKind, PawlError } from "../errors.ts";
import { type Breaker, type BreakerOption, breakerOf } from "./breaker.ts";
import type { Duration } from "./duration.ts";
import type { HealthCheck } from "./health-check.ts";
import { type Guard, type UseOptions, guardOf } from "./limits.ts";
import { checkName } from "./name.ts";
import { type AttemptOptions, type Policy, policyOf } from "./policy.ts";
import { type RecoveryActions, checkRecovery } from "./recovery.ts";
import type { InputOf, OutputOf, Schema } from "./schema.ts";

/** A failure of an upstream node that was skipped, for agents that want to decide by it. */
export interface UpstreamFailure {
  readonly nodeId: string;
  readonly code: string;
  readonly message: string;
}

/** Where an agent's lines go: anything with pino's four methods. */
export interface Log {
  debug(data: object, message?: string): void;
  info(data: object, message?: string): void;
  warn(data: object, message?: string): void;
  error(data: object, message?: string): void;
}

/** What an agent is told about the attempt it works for. */
export interface AgentContext {
  readonly runId: string;
  readonly nodeId: string;
  /** 1 for the first attempt. An attempt that a crash cut off runs again under its old number. */
  readonly attempt: number;
  /** The same for every attempt of this node: pass it on to services that remove duplicates. */
  readonly idempotencyKey: string;
  /** Aborts when the attempt's timeout strikes, the run is cancelled, or pawl closes. */
  readonly signal: AbortSignal;
  /** The instant of the attempt's timeout, in ms since 1970. */
  readonly deadlineAt: number;
  /** Failures of the nodes it depends on that were skipped. */
  readonly upstreamFailures: readonly UpstreamFailure[];
  /**
   * Does something once, however often the node is tried, in whatever process: what it gives is stored with the run, and given
   * back the next time. So a loop of model and tool calls goes on where it was. What it throws is not stored, and one that a
   * crash cut off is done again. Steps may run at the same time; an attempt that fails waits for those under way, which
   * should end when `signal` aborts. At most 10,000 a node, which together take 64 Mi characters.
   *
   * @example
   * ```ts
   * const page = await ctx.step(`page-${i}`, () => download(urls[i]));
   * ```
   * @throws PAWL_STEP_REPEATED for a key that this attempt has used, PAWL_STEP_UNSUPPORTED in a step of a machine,
   * PAWL_INVALID_VALUE for a key that is not 1 to 256 characters, PAWL_VALUE_NOT_STORABLE, PAWL_VALUE_TOO_LARGE
   */
  step<T>(key: string, perform: () => T | Promise<T>): Promise<T>;
  /**
   * Says that the attempt is alive, and how far it is: an agent with a `heartbeat` that is silent for longer has failed. A
   * step that ends is a sign of life, too. The newest progress is stored, at most once a second, and shown by `run.nodes()`
   * and `pawl show`.
   *
   * @throws PAWL_VALUE_NOT_STORABLE, PAWL_VALUE_TOO_LARGE
   */
  heartbeat(progress?: unknown): void;
  /**
   * Gives something to those who listen to the run by `run.stream()` in this process right now, for example tokens of a
   * model. It is not stored, and waits for nobody.
   */
  stream(chunk: unknown): void;
  /**
   * Says how much the attempt has used of resources of which its agent `uses` an estimate: `ctx.used({ llmTokens: 812 })`. What
   * it did not use can be used by others at once; what it used beyond the estimate delays the next ones.
   *
   * @throws PAWL_INVALID_VALUE for what is no number of at least 0
   */
  used(amounts: Readonly<Record<string, number>>): void;
  /** Log lines that carry runId, nodeId and attempt. */
  readonly log: Log;
}

/** Where an HTTP agent is reached: in code, or from an environment variable read when it is first called. */
export type ServiceUrl = string | { readonly env: string; readonly default?: string };

/** An agent's service: gets the input as a JSON POST, answers with the result as JSON. */
export interface HttpService {
  readonly url: ServiceUrl;
  /** Further request headers, for example authorisation. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A typed unit of work. `Given` is what nodes pass, `Result` what their dependents read. Made by `agent()`. */
export interface Agent<in Given = any, out Result = any> {
  readonly name: string;
  readonly input: Schema;
  readonly output: Schema;
  readonly work:
    | { readonly kind: "function"; readonly run: (input: any, context: AgentContext) => unknown }
    | { readonly kind: "http"; readonly service: HttpService }
    /** A function of a module, in a thread of its own. */
    | { readonly kind: "isolated"; readonly module: string; readonly exported: string }
    /** A run of its own, of a machine or workflow. */
    | { readonly kind: "run"; readonly of: object }
    /** The end of a run that is others'. */
    | { readonly kind: "wait" }
    | { readonly kind: "none" };
  readonly policy: Policy;
  /** What its attempts wait for. */
  readonly guard?: Guard | undefined;
  readonly breaker?: Breaker | undefined;
  readonly onError?: ErrorHandler | undefined;
  readonly healthCheck?: HealthCheck | undefined;
  readonly recovery?: RecoveryActions | undefined;
  /** Only in types: what it takes and gives. */
  readonly types?: { readonly given: (value: Given) => void; readonly result: Result };
}

/** What `onError` may say of a failure; what it leaves out stays as it is. */
export interface ErrorVerdict<Action extends string = string> {
  /** How it is treated: `transient` and `resource` are tried again, `configuration` and `critical` are not. */
  readonly kind?: FailureKind;
  /** What failed, for programs: 1 to 64 of A-Z a-z 0-9 . _ - */
  readonly code?: string;
  readonly message?: string;
  /**
   * Wait and try again: also what would not be tried again else, if an attempt is left. The shortest wait; the backoff may be
   * longer.
   */
  readonly retryAfter?: Duration;
  /**
   * The recovery action that is called before it is decided how the node goes on, of those of its agent, node or stage; at most
   * ten for one node. In a step of a machine there are none.
   */
  readonly recover?: Action;
}

/** Which attempt failed. */
export interface FailedAttempt {
  readonly runId: string;
  readonly nodeId: string;
  readonly attempt: number;
}

/** Judges what an attempt threw, at once and without doing anything else. */
export type ErrorHandler<Action extends string = string> = (error: unknown, attempt: FailedAttempt) => ErrorVerdict<Action> | undefined;

/** The names that a handler may give: those that the agent declares, if it declares any; else its nodes or stages do. */
type ActionOf<Actions> = [keyof Actions] extends [never] ? string : Extract<keyof Actions, string>;

interface AgentBase<I extends Schema, O extends Schema, R extends RecoveryActions<InputOf<I>>> extends AttemptOptions, UseOptions {
  /** Its name: in logs, `pawl show` and YAML. */
  readonly name: string;
  /** What it takes; checked before each call. Any Standard Schema, for example zod. */
  readonly input: I;
  /** What it gives; checked before the result is stored. */
  readonly output: O;
  /**
   * Says of what kind a failure is, before it is decided whether to try again; `undefined` leaves it as it is. What it says is
   * stored with the failure. When it throws, the failure is as it was, and says so. It is not asked about timeouts.
   */
  readonly onError?: ErrorHandler<ActionOf<NoInfer<R>>>;
  /**
   * Recovery actions by name: agents that `onError` or `onWarn` has called, durably, with what failed. Their result says how
   * the node goes on: 'continue', 'restart' or 'fail'. One that fails itself counts as 'continue'. A node or stage may declare
   * others of the same names, which win.
   *
   * @example
   * ```ts
   * const cleanUp = agent({
   *   name: 'clean-up',
   *   input: z.object({ nodeId: z.string(), error: z.object({ code: z.string() }) }),
   *   output: z.enum(['continue', 'restart', 'fail']),
   *   run: async ({ nodeId }) => 'restart' as const,
   * });
   * const builder = agent({
   *   name: 'builder',
   *   input: z.object({ branch: z.string() }),
   *   output: z.string(),
   *   recovery: { cleanUp },
   *   onError: (error) => ((error as Error).message.includes('disk') ? { recover: 'cleanUp' } : undefined),
   *   run: async ({ branch }) => branch,
   * });
   * ```
   */
  readonly recovery?: R;
  /**
   * A circuit breaker: after `failureThreshold` (5) failures in a row, in whatever run and worker of the store, no attempt is
   * made for `openFor` ('60s'); then one tries. `true`, its name to share it with other agents, or its numbers. Failures of
   * kind `transient`, `resource` and `timeout` count, but not a 429 that says when to come back. Default: that of the workflow
   * or of `open()`, which is none unless it was asked for: an open breaker fails at once what a retry would have saved,
   * unless it says `onOpen: 'wait'`.
   */
  readonly breaker?: BreakerOption;
  /**
   * Says how the agent is, or what it depends on, within 5 seconds. It is asked before attempts of nodes with
   * `healthCheck: true`, and by `start` with `preflight: true`; what it said is good for 10 seconds.
   */
  readonly healthCheck?: HealthCheck;
}

/** What `agent()` takes: one of `run`, `isolate`, `http` and `machine`. */
export type AgentSpec<I extends Schema, O extends Schema, R extends RecoveryActions<InputOf<I>> = {}> =
  | (AgentBase<I, O, R> & {
      readonly run: (input: OutputOf<I>, context: AgentContext) => InputOf<O> | Promise<InputOf<O>>;
      readonly isolate?: never;
      readonly http?: never;
      readonly machine?: never;
    })
  | (AgentBase<I, O, R> & {
      /**
       * The module whose function is called, in a thread: what it exports by default, or by the name after `#`. Its timeout
       * ends it even when it never waits, and it cannot stop the process. It takes `(input, ctx)` as `run` does; what it is
       * given, gives and throws is data. At most 512 MiB and 32 threads at once.
       *
       * @example
       * ```ts
       * const isolate = new URL('./agents.ts#summarize', import.meta.url);
       * const isolated = agent({ name: 'summarizer', input: z.object({ text: z.string() }), output: z.string(), isolate });
       * ```
       */
      readonly isolate: URL;
      readonly run?: never;
      readonly http?: never;
      readonly machine?: never;
    })
  | (AgentBase<I, O, R> & { readonly http: HttpService; readonly run?: never; readonly isolate?: never; readonly machine?: never })
  | (AgentBase<I, O, R> & {
      /**
       * An xstate machine, or `durable(machine, …)`: each node that uses the agent is a run of it, with the node's input
       * as its input and its output as the result. Without a timeout and without retries unless they are given.
       */
      readonly machine: object;
      readonly run?: never;
      readonly isolate?: never;
      readonly http?: never;
    });

/** A machine may wait for people, and one that failed has done what it has done. */
const MACHINE_DEFAULTS: AttemptOptions = { timeout: "36500d", retry: { maxAttempts: 1 } };

/**
 * Makes an agent. It is called at least once for each node that uses it; its result is stored exactly once.
 *
 * @example
 * ```ts
 * const planner = agent({
 *   name: 'planner',
 *   input: z.object({ topic: z.string() }),
 *   output: z.object({ questions: z.array(z.string()) }),
 *   timeout: '30s',
 *   run: async ({ topic }) => ({ questions: [`What is ${topic}?`] }),
 * });
 * ```
 * @throws PAWL_INVALID_ID, PAWL_MISSING_FIELD, PAWL_INVALID_VALUE
 */
export function agent<I extends Schema, O extends Schema, const R extends RecoveryActions<InputOf<I>> = {}>(
  spec: AgentSpec<I, O, R>,
): Agent<InputOf<I>, OutputOf<O>> {
  const at = `agent "${spec.name}"`;
  checkName(spec.name, "agent name");
  for (const field of ["input", "output"] as const) {
    if (typeof spec[field]?.["~standard"]?.validate !== "function")
      throw new PawlError("PAWL_MISSING_FIELD", { message: `${at} has no ${field} schema`, next: `add ${field}: z.object({ … })` });
  }
  checkRecovery(spec.recovery, (path) => [at, ...path].join(" "));
  return Object.freeze({
    name: spec.name,
    input: spec.input,
    output: spec.output,
    work: workOf(spec, at),
    onError: spec.onError,
    guard: guardOf(spec, at),
    ...(spec.breaker !== undefined && { breaker: breakerOf(spec.breaker, at) }),
    healthCheck: spec.healthCheck,
    recovery: spec.recovery,
    policy: spec.machine === undefined ? policyOf(spec, at) : policyOf(spec, at, policyOf(MACHINE_DEFAULTS, at)),
  });
}

function workOf(spec: Pick<AgentSpec<Schema, Schema>, "run" | "isolate" | "http" | "machine">, at: string): Agent["work"] {
  if (typeof spec.run === "function") return { kind: "function", run: spec.run };
  if (spec.isolate !== undefined) return isolatedWork(spec.isolate, at);
  if (spec.http !== undefined) return { kind: "http", service: spec.http };
  if (typeof spec.machine === "object") return { kind: "run", of: spec.machine };
  throw new PawlError("PAWL_MISSING_FIELD", {
    message: `${at} has none of run, isolate, http and machine`,
    next: "add run: async (input, ctx) => …, isolate: new URL('./agent.ts', import.meta.url), http: { url }, or machine: an xstate machine",
  });
}

function isolatedWork(isolate: URL, at: string): Agent["work"] {
  if (!(isolate instanceof URL) || !["file:", "data:"].includes(isolate.protocol))
    throw new PawlError("PAWL_INVALID_VALUE", { message: `isolate of ${at} is no address of a module`, next: "give new URL('./agent.ts', import.meta.url)" });
  const { hash } = isolate;
  return { kind: "isolated", module: isolate.href.slice(0, isolate.href.length - hash.length), exported: decodeURIComponent(hash.slice(1)) || "default" };
}
