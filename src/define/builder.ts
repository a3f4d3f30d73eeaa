/**
 * What a workflow's function writes with: each call notes a node. Branches and stages are where the function stands.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import { agentOf, waitingAgent } from "./callable.ts";
import { checkName } from "./name.ts";
import { type NodeDefinition, type NodeKind, placeholder } from "./node-definition.ts";
import { Handle } from "./node-handle.ts";
import type { OnFail } from "./on-fail.ts";
import { type AttemptOptions, wholeNumber } from "./policy.ts";
import { type Ladder, type RecoveryActions, type StageOptions, ladderOf } from "./recovery.ts";
import { makeReference } from "./reference.ts";
import type { Schema } from "./schema.ts";
import type { Place } from "./template.ts";
import type { Callable, NodeHandle, Workflow } from "./workflow.ts";

/** What all of them may say. */
interface Options extends AttemptOptions {
  readonly after?: readonly NodeHandle<any>[];
  readonly onFail?: OnFail;
  readonly compensate?: Agent;
  readonly healthCheck?: true | string;
  readonly recovery?: RecoveryActions;
}

type Draft = Omit<NodeDefinition, "place" | "after">;

export class Builder {
  readonly nodes: NodeDefinition[] = [];
  /** Those that have a timeout, a warning or recovery actions. */
  readonly stages = new Map<string, Ladder>();
  readonly input = makeReference("input");
  readonly #at: string;
  readonly #placeOf: (id: string) => Place;
  #within: NodeDefinition["within"];
  #stage: { readonly stage: string; readonly healthCheck?: string } | undefined;

  /** `placeOf` is asked when a node is added: where it is written. */
  constructor(at: string, placeOf?: (id: string) => Place) {
    this.#at = at;
    this.#placeOf = placeOf ?? ((id) => (path) => [`${at} node "${id}"`, ...path].join(" "));
  }

  node(id: string, agent: Agent, input: unknown, options: Options = {}): Handle {
    return this.#add({ id, agent, input }, options);
  }

  run(id: string, workflow: Workflow, input: unknown, options: Options = {}): Handle {
    return this.#add({ id, agent: agentOf(workflow), input }, options);
  }

  resultOf(id: string, workflow: Workflow, runId: unknown, options: Options = {}): Handle {
    return this.#add({ id, agent: waitingAgent(workflow), input: { runId } }, options);
  }

  map(id: string, list: unknown, call: Callable, input: (item: unknown, index: unknown) => unknown, options: Options & { concurrency?: number } = {}): Handle {
    const { concurrency, ...own } = options;
    if (concurrency !== undefined) wholeNumber(concurrency, "concurrency", this.#placeOf(id)(["concurrency"]));
    return this.#add({ id, kind: "map", agent: agentOf(call), input: list, each: input(makeReference("item"), makeReference("index")), concurrency }, own);
  }

  repeat(
    id: string,
    call: Callable,
    first: unknown,
    { next, until, max, ...own }: Options & { max: number; until?: (last: unknown) => unknown; next?: (last: unknown) => unknown },
  ): Handle {
    wholeNumber(max, "max", this.#placeOf(id)(["max"]));
    const last: unknown = makeReference("last");
    return this.#add({ id, kind: "repeat", agent: agentOf(call), input: first, each: next?.(last) ?? first, until: until?.(last), max }, own);
  }

  when(id: string, condition: unknown, then: () => unknown, otherwise?: () => unknown, options: Options = {}): Handle {
    return this.#choose(id, "when", condition, [["then", then], ...(otherwise === undefined ? [] : [["else", otherwise] as const])], options);
  }

  route(id: string, by: unknown, ways: Readonly<Record<string, () => unknown>>, otherwise?: () => unknown, options: Options = {}): Handle {
    for (const name of Object.keys(ways)) if (name === "") throw new PawlError("PAWL_INVALID_ID", { message: "a way has no name", at: this.#placeOf(id)([]) });
    return this.#choose(id, "route", by, [...Object.entries(ways), ...(otherwise === undefined ? [] : [["", otherwise] as const])], options);
  }

  event(id: string, schema: Schema, options: Options = {}): Handle {
    return this.#add({ id, kind: "event", agent: placeholder("event", schema), input: {} }, options);
  }

  stage<T>(name: string, options: StageOptions | (() => T), define?: () => T): T {
    checkName(name, "stage name", this.#at);
    const { healthCheck, ...limits } = typeof options === "object" ? options : {};
    if (Object.keys(limits).length > 0) this.limit(name, limits, (path) => [`${this.#at} stage "${name}"`, ...path].join(" "));
    const outer = this.#stage;
    this.#stage = { stage: name, ...(healthCheck !== undefined && { healthCheck }) };
    try {
      return (define ?? (options as () => T))();
    } finally {
      this.#stage = outer;
    }
  }

  /** The stage has limits, or recovery actions. */
  limit(name: string, options: StageOptions, place: Place): void {
    if (this.stages.has(name)) throw new PawlError("PAWL_DUPLICATE_ID", { message: `stage "${name}" is given options twice`, at: place([]) });
    this.stages.set(name, ladderOf(options, place));
  }

  /** The choice stands before its members in the definition. */
  #choose(id: string, kind: NodeKind, by: unknown, ways: readonly (readonly [name: string, define: () => unknown])[], options: Options): Handle {
    const position = this.nodes.length;
    const handle = this.#add({ id, kind, agent: placeholder(kind), input: by }, options);
    const outer = this.#within;
    const branches = ways.map(([name, define], branch) => {
      this.#within = { choice: id, branch };
      return { name, result: define() };
    });
    this.#within = outer;
    this.nodes[position] = { ...this.nodes[position]!, branches };
    return handle;
  }

  #add(draft: Draft, { after, ...own }: Options): Handle {
    const shared = this.stages.get(this.#stage?.stage ?? "")?.recovery;
    this.nodes.push({
      ...this.#stage,
      ...own,
      ...(shared !== undefined && { recovery: { ...shared, ...own.recovery } }),
      ...draft,
      ...(this.#within !== undefined && { within: this.#within }),
      ...(after !== undefined && { after: after.map((node) => node.id) }),
      place: this.#placeOf(draft.id),
    });
    return new Handle(draft.id);
  }
}
