/**
 * The nodes of a document, written down with the same builder as those of TypeScript: so the plans are the same. What is
 * particular to documents is where each part is written: a part of a node has another place there than its name says.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import { Builder } from "./builder.ts";
import { agentOf } from "./callable.ts";
import { checkPart, writtenSchemaOf } from "./document-check.ts";
import { type InnerShape, NODE_KEYS, NODE_SHAPES, type Way, type WrittenKind, type WrittenNode, type WrittenOnFail } from "./document-shape.ts";
import { checkName, didYouMean } from "./name.ts";
import type { OnFail } from "./on-fail.ts";
import type { FieldPath, Place } from "./template.ts";
import type { NodeHandle, Workflow } from "./workflow.ts";

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
  for (const [id, node] of Object.entries(dataOf(nodes))) {
    const { workflow, ways, ...others } = dataOf(node);
    if (typeof workflow === "string") yield [workflow, [...path, id, "workflow"]];
    for (const key of ["then", "else", "otherwise"]) yield* workflowsNamed(dataOf(others[key])["nodes"], [...path, id, key, "nodes"]);
    for (const [name, way] of Object.entries(dataOf(ways))) yield* workflowsNamed(dataOf(way)["nodes"], [...path, id, "ways", name, "nodes"]);
  }
}

function dataOf(value: unknown): Data {
  return typeof value === "object" && value !== null ? (value as Data) : {};
}

// ---- nodes

/** What is at hand while nodes are written down. */
interface Desk extends NodeSurroundings {
  readonly builder: Builder;
  readonly stages: NonNullable<InnerShape["stages"]>;
  /** Where the parts of each node are written, by its id. */
  readonly places: Map<string, Place>;
}

/** The nodes of a workflow, those within choices, too, and its stages that have limits or recovery actions. */
export function writtenNodes(
  workflow: string,
  { nodes, stages = {} }: Pick<InnerShape, "nodes" | "stages">,
  around: NodeSurroundings,
): Pick<Builder, "nodes" | "stages"> {
  const places = new Map<string, Place>();
  const builder = new Builder(`workflow "${workflow}"`, (id) => places.get(id)!);
  for (const [name, { healthCheck, ...limits }] of Object.entries(stages)) {
    const path = ["stages", name];
    if (healthCheck === undefined || Object.keys(limits).length > 0)
      builder.limit(name, { ...limits, recovery: recoveryNamed(around, limits.recovery, path) }, (part) => around.place([...path, ...part]));
  }
  writeNodes({ ...around, builder, places, stages }, nodes, ["nodes"]);
  for (const name of Object.keys(stages))
    if (!builder.nodes.some(({ stage }) => stage === name))
      throw new PawlError("PAWL_UNKNOWN_REFERENCE", {
        message: `no node is of stage "${name}"${didYouMean(name, stagesIn(builder))}`,
        at: around.place(["stages", name]),
      });
  return { nodes: builder.nodes, stages: builder.stages };
}

function stagesIn({ nodes }: Builder): string[] {
  return nodes.flatMap(({ stage }) => stage ?? []);
}

function writeNodes(desk: Desk, nodes: Data, path: FieldPath): void {
  for (const [id, node] of Object.entries(nodes)) {
    const at = [...path, id];
    checkName(id, "node id", desk.place(at));
    const kind = kindOf(id, node, at, desk.place);
    const written = checkPart(NODE_SHAPES[kind], node, at, desk.place) as Written;
    const write = (): void => {
      desk.places.set(id, (part) => desk.place([...at, ...writtenAt(kind, written, part)]));
      (WRITERS[kind] as (sheet: Sheet, node: Written) => void)({ ...desk, id, at }, written);
    };
    if (written.stage === undefined) write();
    else {
      checkName(written.stage, "stage name", desk.place([...at, "stage"]));
      const { healthCheck } = Object.hasOwn(desk.stages, written.stage) ? desk.stages[written.stage]! : {};
      desk.builder.stage(written.stage, { ...(healthCheck !== undefined && { healthCheck }) }, write);
    }
  }
}

function kindOf(id: string, node: unknown, at: FieldPath, place: Place): WrittenKind {
  const data = dataOf(node);
  const [kind, other] = NODE_KEYS.filter((key) => Object.hasOwn(data, key));
  if (other !== undefined)
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `node "${id}" has both \`${kind}\` and \`${other}\``,
      next: "make two nodes of it, one of which reads the result of the other",
      at: place([...at, other]),
    });
  if (kind !== undefined) return kind;
  if (Object.hasOwn(data, "agent") || Object.hasOwn(data, "workflow") || typeof node !== "object" || node === null) return "call";
  const hints = Object.keys(data).map((key) => didYouMean(key, ["agent", "workflow", ...NODE_KEYS]));
  throw new PawlError("PAWL_MISSING_FIELD", {
    message: `node "${id}" has no agent${hints.find((hint) => hint !== "") ?? ""}`,
    next: `add agent: NAME or workflow: NAME; or make it one of ${NODE_KEYS.join(", ")}`,
    at: place(at),
  });
}

// ---- each kind of node

/** What is at hand for one node. */
interface Sheet extends Desk {
  readonly id: string;
  readonly at: FieldPath;
}

const WRITERS: { readonly [K in WrittenKind]: (sheet: Sheet, node: WrittenNode<K>) => void } = {
  call(sheet, { agent, workflow, input = {}, ...options }) {
    sheet.builder.node(sheet.id, calleeOf(sheet, agent, workflow), input, optionsOf(sheet, options));
  },
  map(sheet, { map, agent, workflow, input = {}, ...options }) {
    sheet.builder.map(sheet.id, map, calleeOf(sheet, agent, workflow), () => input, optionsOf(sheet, options));
  },
  repeat(sheet, { repeat: { max, until, next }, agent, workflow, input = {}, ...options }) {
    const loop = { max, ...(until !== undefined && { until: () => until }), ...(next !== undefined && { next: () => next }) };
    sheet.builder.repeat(sheet.id, calleeOf(sheet, agent, workflow), input, { ...optionsOf(sheet, options), ...loop });
  },
  when(sheet, { when, then, else: otherwise, ...options }) {
    sheet.builder.when(sheet.id, when, wayOf(sheet, then, ["then"]), otherwise && wayOf(sheet, otherwise, ["else"]), optionsOf(sheet, options));
  },
  route(sheet, { route, ways, otherwise, ...options }) {
    const written = Object.entries(ways).map(([name, way]) => {
      if (name === "" || name === "__proto__")
        throw new PawlError("PAWL_INVALID_ID", { message: `a way of "${sheet.id}" cannot be named "${name}"`, at: sheet.place([...sheet.at, "ways", name]) });
      return [name, wayOf(sheet, way, ["ways", name])] as const;
    });
    sheet.builder.route(sheet.id, route, Object.fromEntries(written), otherwise && wayOf(sheet, otherwise, ["otherwise"]), optionsOf(sheet, options));
  },
  event(sheet, { event, ...options }) {
    sheet.builder.event(sheet.id, writtenSchemaOf(event, [...sheet.at, "event"], sheet.place), optionsOf(sheet, options));
  },
  resultOf(sheet, { resultOf, workflow, ...options }) {
    sheet.builder.resultOf(sheet.id, sheet.workflows.get(workflow)!, resultOf, optionsOf(sheet, options));
  },
};

/** Writes down the nodes of a way when it is asked for; answers its result. */
function wayOf(sheet: Sheet, way: Way, within: FieldPath): () => unknown {
  return () => {
    writeNodes(sheet, way.nodes ?? {}, [...sheet.at, ...within, "nodes"]);
    return way.result;
  };
}

function calleeOf(sheet: Sheet, agent: string | undefined, workflow: string | undefined): Agent {
  const { id, at, workflows, place } = sheet;
  if (agent !== undefined && workflow !== undefined)
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `node "${id}" has an agent and a workflow`,
      next: "keep one of them",
      at: place([...at, "workflow"]),
    });
  if (workflow !== undefined) return agentOf(workflows.get(workflow)!);
  if (agent === undefined)
    throw new PawlError("PAWL_MISSING_FIELD", {
      message: `node "${id}" names no agent and no workflow to call`,
      next: "add agent: NAME or workflow: NAME",
      at: place(at),
    });
  return agentNamed(sheet, agent, [...at, "agent"]);
}

/** What is at hand to find agents. */
type Agents = Pick<NodeSurroundings, "agents" | "place">;

/** `path`: where it is named. */
function agentNamed({ agents, place }: Agents, name: string, path: FieldPath): Agent {
  const found = agents.get(name);
  if (found !== undefined) return found;
  throw new PawlError("PAWL_UNKNOWN_AGENT", {
    message: `no agent "${name}"${didYouMean(name, agents.keys())}   agents: ${[...agents.keys()].join(", ") || "none"}`,
    at: place(path),
  });
}

/** The recovery actions of what is written at this path, if it has any. */
export function recoveryNamed(around: Agents, written: Readonly<Record<string, string>> | undefined, path: FieldPath): Record<string, Agent> | undefined {
  return written && Object.fromEntries(Object.entries(written).map(([name, agent]) => [name, agentNamed(around, agent, [...path, "recovery", name])]));
}

type Written = Data & {
  readonly after?: readonly string[] | undefined;
  readonly stage?: string | undefined;
  readonly onFail?: WrittenOnFail | undefined;
  readonly compensate?: string | undefined;
  readonly recovery?: Readonly<Record<string, string>> | undefined;
};

/** What a node says beside what it is; other nodes are known by their ids. */
function optionsOf(sheet: Sheet, { after, stage: _stage, onFail, compensate, recovery, ...options }: Written): object {
  const { at } = sheet;
  return {
    ...options,
    ...(after !== undefined && { after: after.map((id) => ({ id }) as NodeHandle<any>) }),
    ...(onFail !== undefined && { onFail: onFailOf(sheet, onFail, [...at, "onFail"]) }),
    ...(compensate !== undefined && { compensate: agentNamed(sheet, compensate, [...at, "compensate"]) }),
    ...(recovery !== undefined && { recovery: recoveryNamed(sheet, recovery, at) }),
  };
}

function onFailOf(sheet: Sheet, written: WrittenOnFail, path: FieldPath): OnFail {
  if (typeof written === "string") return written;
  const { use, onFail, ...options } = written;
  return { ...options, use: agentNamed(sheet, use, [...path, "use"]), ...(onFail !== undefined && { onFail: onFailOf(sheet, onFail, [...path, "onFail"]) }) };
}

/** Where a part that the plan knows by this path is written in the node. */
function writtenAt(kind: WrittenKind, node: Written, [part, ...rest]: FieldPath): FieldPath {
  const isNamed = part === "input" && (kind === "map" || kind === "when" || kind === "route" || kind === "resultOf");
  if (isNamed) return [kind, ...rest];
  if (part === "each") return dataOf(node["repeat"])["next"] === undefined ? ["input", ...rest] : ["repeat", "next", ...rest];
  if (part === "until" || part === "max") return ["repeat", part];
  if (part !== "branches") return part === undefined ? [] : [part, ...rest];
  const [name, ...within] = rest;
  return kind === "when" ? [name!, "result", ...within] : [...(name === "" ? ["otherwise"] : ["ways", name!]), "result", ...within];
}
