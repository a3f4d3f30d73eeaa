/**
 * Workflows in TypeScript: `workflow({ name, input }, wf => …)`. The function runs once, now, and writes down which
 * nodes there are; using a node's result is the dependency.
 */
import type { Agent } from "./agent.ts";
import { type BreakerOption, breakerOf } from "./breaker.ts";
import { Builder } from "./builder.ts";
import { type Duration, durationMs } from "./duration.ts";
import { type Plan, makePlan } from "./plan.ts";
import type { OnFail } from "./on-fail.ts";
import type { AttemptOptions, FinalWord } from "./policy.ts";
import { type LadderOptions, type RecoveryActions, type StageOptions, ladderOf } from "./recovery.ts";
import type { Arg, ArgsOf, IsAny, Ref, RefOf, Unref } from "./reference.ts";
import type { InputOf, OutputOf, Schema } from "./schema.ts";
import type { Place } from "./template.ts";

/** A node within a definition; its `result` is a reference. */
export interface NodeHandle<Result> {
  readonly id: string;
  readonly result: Ref<Result>;
}

/** What a node waits for beside what its input refers to. */
export interface AfterOptions {
  /** Nodes to wait for without using their result. */
  readonly after?: readonly NodeHandle<any>[];
}

/** What a node that failed, or is undone, was about: what its compensation is given. */
export interface Undo<Given, Result> {
  /** What the node was given. */
  readonly input: Given;
  /** What it gave; undefined when that is not known. */
  readonly result: Result | undefined;
  /** What failed, and where; undefined when the run was cancelled. */
  readonly error: { readonly code: string; readonly message: string; readonly node: string } | undefined;
}

/** What a node says of its own; its agent's options are the defaults. */
export interface NodeOptions<F extends OnFail = OnFail, Given = any, Result = any> extends AttemptOptions, AfterOptions {
  /**
   * When its attempts are used up: 'block' its dependents (default); 'skip' the node: they go on and read `undefined`;
   * `{ use: agent }` takes over, and they read its result; or 'compensate': the run is unwound and fails.
   */
  readonly onFail?: F;
  /**
   * Undoes what the node has done, when the run is unwound or cancelled: the compensations of all nodes that have completed
   * run then, in the opposite order. Called at least once. Whether it was done at all may be unknown: then there is no result.
   *
   * @example
   * ```ts
   * const paid = wf.node('pay', pay, { order: wf.input.order }, { compensate: refund });
   * const sent = wf.node('ship', ship, { payment: paid.result.id }, { onFail: 'compensate' });
   * ```
   */
  readonly compensate?: Agent<Undo<Given, GivenBy<Result, F>>>;
  /**
   * The check that is asked before each attempt: that of its agent (`true`), or one of those that `open()` is given, by its name.
   * When it says CRITICAL or FAILED the attempt fails, of kind `resource`, and is tried again as any other. Default: that of its stage.
   */
  readonly healthCheck?: true | string;
  /** Recovery actions by name, beside those of the agent: see `recovery` of `agent()`. */
  readonly recovery?: RecoveryActions<Given>;
}

/** What a map says beside what its items have in common. `onFail` is that of each item. */
export interface MapOptions<F extends OnFail = OnFail, Given = any, Result = any> extends NodeOptions<F, Given, Result> {
  /** At most so many items at once. Default: as many as the worker has permits for. */
  readonly concurrency?: number;
}

/** When a loop ends, and how it goes on. */
export interface RepeatOptions<Given, Result, F extends OnFail = OnFail> extends NodeOptions<F, Given, Result> {
  /** The loop ends when this is true of the last round: neither false, 0, '' nor missing. */
  readonly until?: (last: Ref<GivenBy<Result, F>>) => RefOf<unknown>;
  /** What each further round is given. Default: what the first was given. */
  readonly next?: (last: Ref<GivenBy<Result, F>>) => ArgsOf<NoInfer<Given>>;
  /** At most so many rounds; the last one is the result, enough or not. */
  readonly max: number;
}

/** How long an event is waited for. */
export interface EventOptions<F extends FinalWord = FinalWord> extends AfterOptions {
  /** Default: without end. */
  readonly timeout?: Duration;
  /** When the timeout strikes: 'block' the dependents (default); 'skip': they go on and read `undefined`; or 'compensate'. */
  readonly onFail?: F;
}

/** What can be called: an agent, or a workflow, which then is a run of its own. */
export type Callable<Given = any, Result = any> = Agent<Given, Result> | Workflow<Given, Result>;

/** What dependents read: what the agent or an alternative gave, or nothing, if the last word is 'skip'. */
type Skippable<Result, F> = Skips<F> extends true ? GivenBy<Result, F> | undefined : GivenBy<Result, F>;
type Skips<F> = F extends "skip" ? true : F extends { readonly onFail: infer Next } ? Skips<Next> : false;
/** What the agent gives, or one that takes over. */
type GivenBy<Result, F> = F extends { readonly use: Agent<any, infer Other> }
  ? GivenBy<Result | Other, F extends { readonly onFail: infer Next } ? Next : "block">
  : Result;

/** Writes a workflow down, node by node. */
export interface WorkflowBuilder<Input> {
  /** The run's input. */
  readonly input: Ref<Input>;

  /** Adds a node: this agent, called with this input when all that the input refers to is there. */
  node<Given, Result, const F extends OnFail<NoInfer<Given>> = "block">(
    id: string,
    agent: Agent<Given, Result>,
    input: ArgsOf<NoInfer<Given>>,
    options?: NodeOptions<F, NoInfer<Given>, NoInfer<Result>>,
  ): NodeHandle<Skippable<Result, F>>;

  /**
   * Runs another workflow as a part of this one: a run of its own, named `run/id`, which is cancelled with this one. Its
   * output is the result.
   */
  run<Given, Result, const F extends OnFail<NoInfer<Given>> = "block">(
    id: string,
    workflow: Workflow<Given, Result>,
    input: ArgsOf<NoInfer<Given>>,
    options?: NodeOptions<F, NoInfer<Given>, NoInfer<Result>>,
  ): NodeHandle<Skippable<Result, F>>;

  /**
   * Waits for the end of a run that was started elsewhere; its output is the result. When this run is cancelled that one
   * goes on.
   */
  resultOf<Result, const F extends OnFail = "block">(
    id: string,
    workflow: Workflow<any, Result>,
    runId: Arg<string>,
    options?: NodeOptions<F>,
  ): NodeHandle<Skippable<Result, F>>;

  /**
   * Calls an agent, or runs a workflow, for each item of a list that is known only when the run gets there; at most 100,000.
   * The results come in the order of the items. Items are nodes: `id[0]`, `id[1]`, …
   *
   * @example
   * ```ts
   * const notes = wf.map('read', plan.result.questions, reader, (question) => ({ question }), { concurrency: 5 });
   * ```
   */
  map<const List extends RefOf<readonly unknown[]> | readonly unknown[], Given, Result, const F extends OnFail<NoInfer<Given>> = "block">(
    id: string,
    list: List,
    call: Callable<Given, Result>,
    input: (item: Ref<ItemOf<List>>, index: Ref<number>) => ArgsOf<NoInfer<Given>>,
    options?: MapOptions<F, NoInfer<Given>, NoInfer<Result>>,
  ): NodeHandle<EachOf<Unref<List>, Skippable<Result, F>>>;

  /**
   * Calls an agent, or runs a workflow, again and again, until it is enough. Each round is given what `next` makes of the
   * round before it; the result is that of the last. Rounds are nodes: `id[0]`, `id[1]`, …
   *
   * @example
   * ```ts
   * const text = wf.repeat('refine', editor, { text: draft.result.text }, {
   *   next: (last) => ({ text: last.text }),
   *   until: (last) => last.good,
   *   max: 5,
   * });
   * ```
   */
  repeat<Given, Result, const F extends OnFail<NoInfer<Given>> = "block">(
    id: string,
    call: Callable<Given, Result>,
    first: ArgsOf<NoInfer<Given>>,
    options: RepeatOptions<Given, Result, F>,
  ): NodeHandle<Skippable<Result, F>>;

  /**
   * Goes one of two ways. The nodes that each function adds run only when it is taken; the others end `notTaken`. What the
   * function that was taken returns is the result.
   *
   * @example
   * ```ts
   * const end = wf.when('good', review.result.approved, () => wf.node('merge', merger, {}).result, () => 'refused');
   * ```
   */
  when<const Then, const Else = undefined>(
    id: string,
    condition: RefOf<unknown>,
    then: () => Then & NoNode<Then>,
    otherwise?: () => Else & NoNode<Else>,
    options?: AfterOptions,
  ): NodeHandle<Unref<Then> | Unref<Else>>;

  /**
   * Goes the way whose name the value is, or `otherwise`; the nodes of all others end `notTaken`. What the function that was
   * taken returns is the result, `undefined` when none was. With a way for each name that the value can be one always is.
   *
   * @example
   * ```ts
   * const answer = wf.route('kind', triage.result.kind, {
   *   bug: () => wf.node('fix', fixer, {}).result,
   *   question: () => wf.node('reply', writer, {}).result,
   * });
   * ```
   */
  route<By extends RefOf<string | undefined>, Ways extends { readonly [N in NameOf<By>]?: () => unknown }, const Else = undefined>(
    id: string,
    by: By,
    ways: Ways & WaysFor<NameOf<By>, Ways>,
    otherwise?: () => Else & NoNode<Else>,
    options?: AfterOptions,
  ): NodeHandle<Returned<Ways[keyof Ways]> | (NameOf<By, "missing"> extends keyof Ways ? never : Unref<Else>)>;

  /**
   * Waits for an event: a person, or a program, sends it by `run.send({ type: id, … })`. Its fields, checked by the schema,
   * are the result. One that comes early is kept until the run gets there; only the first is taken.
   */
  event<S extends Schema, F extends FinalWord = "block">(id: string, schema: S, options?: EventOptions<F>): NodeHandle<Skippable<OutputOf<S>, F>>;

  /**
   * Labels the nodes that the function adds; answers what it returns. Stages may lie in each other: the innermost counts. A
   * stage may have a timeout and a warning: its time begins with the first of its nodes, and is that in which the run could work.
   *
   * @example
   * ```ts
   * const text = wf.stage('write', { timeout: '30m', warnAfter: '20m' }, () => wf.node('write', writer, {}));
   * ```
   */
  stage<T>(name: string, define: () => T): T;
  stage<T>(name: string, options: StageOptions, define: () => T): T;
}

/** What a list, or a reference to one, is a list of. */
type ItemOf<List, Items = Unref<List>> = IsAny<Items> extends true ? any : Items extends readonly (infer Item)[] ? Item : never;

/** So many results as the list has items: a list that is written out has a length. */
type EachOf<List, Result> = IsAny<List> extends true ? Result[] : List extends readonly unknown[] ? { -readonly [I in keyof List]: Result } : never;

/** The names that a value can be; `Missing` stands for none. */
type NameOf<By, Missing = never, Name = Unref<By>> = IsAny<Name> extends true ? string : Extract<Name, string> | (undefined extends Name ? Missing : never);

/** A node in the place of its result is a mistake, and so is a way that no name leads to. */
type NoNode<T> = IsAny<T> extends true ? unknown : T extends NodeHandle<any> ? "use its .result" : unknown;
type WaysFor<Name extends string, Ways> = {
  readonly [N in keyof Ways]: N extends Name ? (Ways[N] extends () => infer R ? () => NoNode<R> : unknown) : "the value is never this name";
};

type Returned<W> = W extends () => infer R ? Unref<R> : never;

/** A definition that can be run. Made by `workflow()` or read from YAML or JSON. */
export interface Workflow<in Given = any, out Output = any> {
  readonly name: string;
  readonly plan: Plan;
  /** Only in types: what a run is given and gives. */
  readonly types?: { readonly given: (value: Given) => void; readonly output: Output };
}

/** What `workflow()` takes beside the function. */
export interface WorkflowOptions<I extends Schema> extends LadderOptions {
  readonly name: string;
  /** What a run is given; checked at start. */
  readonly input: I;
  /** The longest time in which a run could work. Default '30m'. */
  readonly timeout?: Duration;
  /** At the timeout: end `timedOut` and keep the results ('partial', default), or end `failed` ('abort'). */
  readonly onTimeout?: "partial" | "abort";
  /** The circuit breaker of each agent that has none of its own; see `agent()`. With a name they share it. Default: that of `open()`. */
  readonly breaker?: BreakerOption;
}

export const RUN_TIMEOUT_DEFAULT: Duration = "30m";

/**
 * Defines a workflow.
 *
 * @example
 * ```ts
 * const research = workflow({ name: 'research', input: z.object({ topic: z.string() }) }, (wf) => {
 *   const plan = wf.node('plan', planner, { topic: wf.input.topic });
 *   const web = wf.node('web', searcher, { q: plan.result.questions[0]! });
 *   return { notes: web.result.notes };
 * });
 * ```
 * @throws PAWL_DUPLICATE_ID, PAWL_INVALID_ID, PAWL_UNKNOWN_REFERENCE, PAWL_DEFINITION_CYCLE, PAWL_INVALID_VALUE
 */
export function workflow<I extends Schema, const Output>(
  options: WorkflowOptions<I>,
  define: (wf: WorkflowBuilder<OutputOf<I>>) => Output & NoNode<Output>,
): Workflow<InputOf<I>, Unref<Output>> {
  const at = `workflow "${options.name}"`;
  const place: Place = (path) => [at, ...path].join(" ");
  const builder = new Builder(at);
  const output: unknown = define(builder as unknown as WorkflowBuilder<OutputOf<I>>);
  const timeoutMs = durationMs(options.timeout ?? RUN_TIMEOUT_DEFAULT, "timeout", at);
  const plan = makePlan({
    name: options.name,
    input: options.input,
    nodes: builder.nodes,
    output,
    timeoutMs,
    ladder: ladderOf({ ...options, timeout: timeoutMs }, place),
    stages: builder.stages,
    onTimeout: options.onTimeout ?? "partial",
    breaker: options.breaker === undefined ? undefined : breakerOf(options.breaker, at),
    place,
  });
  return Object.freeze({ name: options.name, plan });
}
