/**
 * The nodes of a document, written down with the same builder as those of TypeScript: so the plans are the same. What is
 * particular to documents is where each part is written: a part of a node has another place there than its name says.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import type { Builder } from "./builder.ts";
import { checkPart } from "./document-check.ts";
import { defined, findAgent } from "./document-parts.ts";
import { writtenSchemaOf } from "./document-schema.ts";
import { NODE_KEYS, NODE_SHAPES, type Way, type WrittenKind, type WrittenNode } from "./document-shape.ts";
import { checkName, didYouMean } from "./name.ts";
import type { FieldPath, Place } from "./template.ts";
import type { Callable, NodeHandle, Workflow } from "./workflow.ts";

type Data = Readonly<Record<string, unknown>>;

/** What nodes may name, and where they are written. */
export interface NodeSurroundings {
  readonly agents: ReadonlyMap<string, Agent>;
  /** Those that `workflowsNamed` found. */
  readonly workflows: ReadonlyMap<string, Workflow>;
  readonly place: Place;
}

// ---- which workflows are asked for

/** The workflows that nodes name, also those within choices, each with the path to its name. */
export function* workflowsNamed(nodes: unknown, path: FieldPath): Generator<readonly [name: string, path: FieldPath]> {
  for (const [id, node] of entriesOf(nodes)) {
    const { workflow, ways } = dataOf(node);
    if (typeof workflow === "string") yield [workflow, [...path, id, "workflow"]];
    for (const key of ["then", "else", "otherwise"]) yield* workflowsNamed(dataOf(dataOf(node)[key])["nodes"], [...path, id, key, "nodes"]);
    for (const [name, way] of entriesOf(ways)) yield* workflowsNamed(dataOf(way)["nodes"], [...path, id, "ways", name, "nodes"]);
  }
}

function dataOf(value: unknown): Data {
  return typeof value === "object" && value !== null ? (value as Data) : {};
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(dataOf(value));
}

// ---- nodes

/** Writes nodes down. It stands where the node that it is at is written: `placeOf` is for the builder. */
export class NodeWriter {
  readonly #around: NodeSurroundings;
  #builder: Builder | undefined;
  #path: FieldPath = [];
  #kind: WrittenKind = "call";
  #hasNext = false;

  constructor(around: NodeSurroundings) {
    this.#around = around;
  }

  /** Where parts of the node that is being added are written. */
  readonly placeOf = (): Place => {
    const [path, kind, hasNext] = [this.#path, this.#kind, this.#hasNext];
    return (part) => this.#around.place([...path, ...writtenAt(kind, hasNext, part)]);
  };

  write(builder: Builder, nodes: Data, path: FieldPath): void {
    this.#builder = builder;
    for (const [id, node] of Object.entries(nodes)) {
      const at = [...path, id];
      checkName(id, "node id", this.#around.place(at));
      const kind = this.#kindOf(id, node, at);
      const written = checkPart(NODE_SHAPES[kind], node, at, this.#around.place) as WrittenNode<"call">;
      if (written.stage === undefined) this.#writeNode(id, kind, written, at);
      else {
        checkName(written.stage, "stage name", this.#around.place([...at, "stage"]));
        builder.stage(written.stage, () => this.#writeNode(id, kind, written, at));
      }
    }
  }

  #kindOf(id: string, node: unknown, at: FieldPath): WrittenKind {
    const data = dataOf(node);
    const [kind, other] = NODE_KEYS.filter((key) => Object.hasOwn(data, key));
    if (other !== undefined)
      throw this.#wrong(`node "${id}" has both \`${kind}\` and \`${other}\``, "make two nodes of it, one of which reads the result of the other", [
        ...at,
        other,
      ]);
    if (kind !== undefined || (Object.hasOwn(data, "agent") && !Object.hasOwn(data, "workflow"))) return kind ?? "call";
    if (Object.hasOwn(data, "agent") || Object.hasOwn(data, "workflow") || typeof node !== "object" || node === null) return "call";
    const meant =
      Object.keys(data)
        .map((key) => didYouMean(key, ["agent", "workflow", ...NODE_KEYS]))
        .find((hint) => hint !== "") ?? "";
    throw new PawlError("PAWL_MISSING_FIELD", {
      message: `node "${id}" has no agent;${meant}`,
      next: `add agent: NAME or workflow: NAME; or make it one of ${NODE_KEYS.join(", ")}`,
      at: this.#around.place(at),
    });
  }

  #writeNode(id: string, kind: WrittenKind, written: unknown, at: FieldPath): void {
    this.#stand(at, kind, written);
    const builder = this.#builder!;
    const { place } = this.#around;
    switch (kind) {
      case "call": {
        const { agent, workflow, input = {}, ...options } = written as WrittenNode<"call">;
        const callee = this.#callee(id, agent, workflow, at);
        if ("plan" in callee) builder.run(id, callee, input, optionsOf(options));
        else builder.node(id, callee, input, optionsOf(options));
        return;
      }
      case "map": {
        const { map, agent, workflow, input = {}, ...options } = written as WrittenNode<"map">;
        return void builder.map(id, map, this.#callee(id, agent, workflow, at), () => input, optionsOf(options));
      }
      case "repeat": {
        const { repeat, agent, workflow, input = {}, ...options } = written as WrittenNode<"repeat">;
        const { max, until, next } = repeat;
        const loop = { max, ...(until !== undefined && { until: () => until }), ...(next !== undefined && { next: () => next }) };
        return void builder.repeat(id, this.#callee(id, agent, workflow, at), input, { ...optionsOf(options), ...loop });
      }
      case "when": {
        const { when, then, else: otherwise, ...options } = written as WrittenNode<"when">;
        const taken = otherwise && (() => this.#way(otherwise, [...at, "else"]));
        return void builder.when(id, when, () => this.#way(then, [...at, "then"]), taken, optionsOf(options));
      }
      case "route":
        return this.#route(id, written as WrittenNode<"route">, at);
      case "event": {
        const { event, ...options } = written as WrittenNode<"event">;
        return void builder.event(
          id,
          writtenSchemaOf(event, (path) => place([...at, ...path]), ["event"]),
          optionsOf(options),
        );
      }
      case "resultOf": {
        const { resultOf, workflow, ...options } = written as WrittenNode<"resultOf">;
        return void builder.resultOf(id, this.#around.workflows.get(workflow)!, resultOf, optionsOf(options));
      }
    }
  }

  #stand(path: FieldPath, kind: WrittenKind, written: unknown): void {
    this.#path = path;
    this.#kind = kind;
    this.#hasNext = kind === "repeat" && (written as WrittenNode<"repeat">).repeat.next !== undefined;
  }

  #route(id: string, { route, ways, otherwise, ...options }: WrittenNode<"route">, at: FieldPath): void {
    const written = Object.entries(ways).map(([name, way]) => {
      if (name === "" || name === "__proto__")
        throw new PawlError("PAWL_INVALID_ID", { message: `a way of "${id}" cannot be named "${name}"`, at: this.#around.place([...at, "ways", name]) });
      return [name, () => this.#way(way, [...at, "ways", name])] as const;
    });
    const taken = otherwise && (() => this.#way(otherwise, [...at, "otherwise"]));
    this.#builder!.route(id, route, Object.fromEntries(written), taken, optionsOf(options));
  }

  #way({ nodes = {}, result }: Way, path: FieldPath): unknown {
    this.write(this.#builder!, nodes, [...path, "nodes"]);
    return result;
  }

  #callee(id: string, agent: string | undefined, workflow: string | undefined, at: FieldPath): Callable {
    if (agent !== undefined && workflow !== undefined)
      throw this.#wrong(`node "${id}" names an agent and a workflow`, "leave one of them out", [...at, "workflow"]);
    if (workflow !== undefined) return this.#around.workflows.get(workflow)!;
    if (agent !== undefined) return findAgent(agent, this.#around.agents, (path) => this.#around.place([...at, ...path]));
    throw new PawlError("PAWL_MISSING_FIELD", {
      message: `node "${id}" names no agent and no workflow to call`,
      next: "add agent: NAME or workflow: NAME",
      at: this.#around.place(at),
    });
  }

  #wrong(message: string, next: string, path: FieldPath): PawlError {
    return new PawlError("PAWL_INVALID_VALUE", { message, next, at: this.#around.place(path) });
  }
}

type Written = Readonly<Record<string, unknown>> & { readonly after?: readonly string[] | undefined; readonly stage?: string | undefined };

/** What a node says beside what it is; other nodes are known by their ids. */
function optionsOf({ after, stage: _, ...options }: Written): object {
  return { ...defined(options), ...(after !== undefined && { after: after.map((id) => ({ id }) as NodeHandle<any>) }) };
}

/** Where a part that the plan knows by this path is written in the node. */
function writtenAt(kind: WrittenKind, hasNext: boolean, path: FieldPath): FieldPath {
  const [part, ...rest] = path;
  if (part === "input" && (kind === "map" || kind === "when" || kind === "route")) return [kind, ...rest];
  if (part === "input" && kind === "resultOf") return ["resultOf"];
  if (part === "each" && (kind === "map" || !hasNext)) return ["input", ...rest];
  if (part === "each") return ["repeat", "next", ...rest];
  if (part === "until" || part === "max") return ["repeat", part];
  if (part !== "branches") return path;
  const [name, ...within] = rest;
  return kind === "when" ? [name!, "result", ...within] : [...(name === "" ? ["otherwise"] : ["ways", name!]), "result", ...within];
}
