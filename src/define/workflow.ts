/**
 * Workflows in TypeScript: `workflow({ name, input }, wf => …)`. The function runs once, now, and writes down which
 * nodes there are; using a node's result is the dependency.
 */
import type { Agent } from "./agent.ts";
import { type Duration, durationMs } from "./duration.ts";
import { type NodeDefinition, type Plan, makePlan } from "./plan.ts";
import type { AttemptOptions, OnFail } from "./policy.ts";
import { type ArgsOf, type Ref, type Unref, makeReference } from "./reference.ts";
import type { InputOf, OutputOf, Schema } from "./schema.ts";
import type { Place } from "./template.ts";

/** A node within a definition; its `result` is a reference. */
export interface NodeHandle<Result> {
  readonly id: string;
  readonly result: Ref<Result>;
}

/** What a node says of its own; its agent's options are the defaults. */
export interface NodeOptions<F extends OnFail = OnFail> extends AttemptOptions {
  /** Nodes to wait for without using their result. */
  readonly after?: readonly NodeHandle<any>[];
  /**
   * When its attempts are used up: 'block' its dependents (default), or 'skip' the node: they go on and read `undefined`.
   */
  readonly onFail?: F;
}

/** Writes a workflow down, node by node. */
export interface WorkflowBuilder<Input> {
  /** The run's input. */
  readonly input: Ref<Input>;
  /** Adds a node: this agent, called with this input when all that the input refers to is there. */
  node<Given, Result, F extends OnFail = "block">(
    id: string,
    agent: Agent<Given, Result>,
    input: ArgsOf<NoInfer<Given>>,
    options?: NodeOptions<F>,
  ): NodeHandle<F extends "skip" ? Result | undefined : Result>;
}

/** Most results are never referred to: a reference is made when it is asked for. */
class Handle implements NodeHandle<any> {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }

  get result(): any {
    return makeReference(`${this.id}.result`);
  }
}

/** A definition that can be run. Made by `workflow()` or read from YAML or JSON. */
export interface Workflow<in Given = any, out Output = any> {
  readonly name: string;
  readonly plan: Plan;
  /** Only in types: what a run is given and gives. */
  readonly types?: { readonly given: (value: Given) => void; readonly output: Output };
}

/** What `workflow()` takes beside the function. */
export interface WorkflowOptions<I extends Schema> {
  readonly name: string;
  /** What a run is given; checked at start. */
  readonly input: I;
  /** The longest time in which a run could work. Default '30m'. */
  readonly timeout?: Duration;
  /** At the timeout: end `timedOut` and keep the results ('partial', default), or end `failed` ('abort'). */
  readonly onTimeout?: "partial" | "abort";
}

export const RUN_TIMEOUT_DEFAULT: Duration = "30m";

/**
 * Defines a workflow.
 *
 * @example
 * ```ts
 * const research = workflow({ name: 'research', input: z.object({ topic: z.string() }) }, (wf) => {
 *   const plan = wf.node('plan', planner, { topic: wf.input.topic });
 *   const web = wf.node('web', searcher, { q: plan.result.questions[0] });
 *   return { notes: web.result.notes };
 * });
 * ```
 * @throws PAWL_DUPLICATE_ID, PAWL_INVALID_ID, PAWL_UNKNOWN_REFERENCE, PAWL_DEFINITION_CYCLE, PAWL_INVALID_VALUE
 */
export function workflow<I extends Schema, const Output>(
  options: WorkflowOptions<I>,
  define: (wf: WorkflowBuilder<OutputOf<I>>) => Output,
): Workflow<InputOf<I>, Unref<Output>> {
  const at = `workflow "${options.name}"`;
  const placeAt =
    (where: string): Place =>
    (path) =>
      [where, ...path].join(" ");
  const nodes: NodeDefinition[] = [];
  const builder = {
    input: makeReference("input"),
    node(id: string, agent: Agent, input: unknown, { after, ...own }: NodeOptions = {}) {
      nodes.push({ ...own, id, agent, input, place: placeAt(`${at} node "${id}"`), ...(after !== undefined && { after: after.map((node) => node.id) }) });
      return new Handle(id);
    },
  };
  const output: unknown = define(builder as WorkflowBuilder<OutputOf<I>>);
  const timeoutMs = durationMs(options.timeout ?? RUN_TIMEOUT_DEFAULT, "timeout", at);
  const plan = makePlan({ name: options.name, input: options.input, nodes, output, timeoutMs, onTimeout: options.onTimeout ?? "partial", place: placeAt(at) });
  return Object.freeze({ name: options.name, plan });
}
