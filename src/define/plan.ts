/**
 * A plan: a definition, checked. Which nodes there are, what each is given, who waits for whom.
 * 1. Every reference names a node of the plan. 2. There is no cycle. 3. Equal structures have equal hashes;
 * how often something is tried, or how long it may take, is no part of the structure.
 */
import { createHash } from "node:crypto";
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import { canonicalJson } from "./canonical.ts";
import { checkName, didYouMean } from "./name.ts";
import { type AttemptOptions, type OnFail, type Policy, oneOf, policyOf } from "./policy.ts";
import { withReferenceTexts } from "./reference.ts";
import type { Schema } from "./schema.ts";
import { type Place, type Template, eachReference, parseTemplate } from "./template.ts";

/** A node as it is written down. */
export interface NodeDefinition extends AttemptOptions {
  readonly id: string;
  readonly agent: Agent;
  /** Data with references in it, as text or as reference objects. */
  readonly input: unknown;
  /** Nodes to wait for without using their result. */
  readonly after?: readonly string[];
  readonly onFail?: OnFail;
  /** Where it, or a part of it, is written, for errors. */
  readonly place: Place;
}

export interface PlanDefinition {
  readonly name: string;
  readonly input?: Schema;
  readonly nodes: readonly NodeDefinition[];
  readonly output: unknown;
  readonly timeoutMs: number;
  readonly onTimeout: "partial" | "abort";
  readonly place: Place;
}

export interface PlanNode {
  readonly index: number;
  readonly id: string;
  readonly agent: Agent;
  readonly input: Template;
  /** Indices of the nodes it waits for. */
  readonly dependencies: readonly number[];
  /** Indices of the nodes whose results it reads, a part of `dependencies`. */
  readonly reads: readonly number[];
  /** Indices of the nodes that it names in `after`. */
  readonly after: readonly number[];
  readonly policy: Policy;
}

/** The part of a plan that is stored with its runs: enough to show them, and to tell what changed. */
interface PlanStructure {
  readonly name: string;
  readonly nodes: readonly {
    readonly id: string;
    readonly agent: string;
    readonly input: unknown;
    readonly after?: readonly string[];
    readonly onFail?: OnFail;
  }[];
  readonly output: unknown;
}

export interface Plan {
  readonly name: string;
  readonly inputSchema: Schema | undefined;
  readonly nodes: readonly PlanNode[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** Who waits for a node, by its index. */
  readonly dependents: readonly (readonly number[])[];
  readonly output: Template;
  /** Indices of the nodes that the output reads. */
  readonly outputReads: readonly number[];
  readonly timeoutMs: number;
  readonly onTimeout: "partial" | "abort";
  /** Its `PlanStructure` as canonical JSON: what is stored with its runs. */
  readonly structureText: string;
  readonly hash: string;
}

/** Checks a definition and makes its plan. Throws a PawlError that says where what is wrong. */
export function makePlan(definition: PlanDefinition): Plan {
  checkName(definition.name, "workflow name", definition.place(["name"]));
  const onTimeout = oneOf(definition.onTimeout, ["partial", "abort"], "onTimeout", definition.place(["onTimeout"]));
  const indexOf = indexById(definition.nodes);
  const policies = new Map<Agent, Policy>();
  const written = definition.nodes.map((node) => withReferenceTexts(node.input));
  const nodes = definition.nodes.map((node, index) => planNode(node, index, written[index], indexOf, policies));
  const dependents = invert(nodes);
  refuseCycles(definition, nodes, dependents);
  const writtenOutput = withReferenceTexts(definition.output);
  const output = parseTemplate(writtenOutput, { find: (id) => indexOf.get(id), ids: indexOf.keys(), place: definition.place, path: ["output"] });
  const structureText = canonicalJson(structureOf(definition, written, writtenOutput));
  return {
    name: definition.name,
    inputSchema: definition.input,
    nodes,
    indexOf,
    dependents,
    output,
    outputReads: readsOf(output),
    timeoutMs: definition.timeoutMs,
    onTimeout,
    structureText,
    hash: structureHash(structureText),
  };
}

/** 32 hexadecimal digits that stand for a structure's text. */
export function structureHash(structureText: string): string {
  return createHash("sha256").update(structureText).digest("hex").slice(0, 32);
}

function indexById(nodes: readonly NodeDefinition[]): Map<string, number> {
  const indexOf = new Map<string, number>();
  nodes.forEach((node, index) => {
    checkName(node.id, "node id", node.place([]));
    if (indexOf.has(node.id)) throw new PawlError("PAWL_DUPLICATE_ID", { message: `there are two nodes "${node.id}"`, at: node.place([]) });
    indexOf.set(node.id, index);
  });
  return indexOf;
}

function planNode(node: NodeDefinition, index: number, written: unknown, indexOf: ReadonlyMap<string, number>, policies: Map<Agent, Policy>): PlanNode {
  const input = parseTemplate(written, { find: (id) => indexOf.get(id), ids: indexOf.keys(), place: node.place, path: ["input"] });
  const reads = readsOf(input);
  const after: number[] = [];
  for (const [i, id] of (node.after ?? []).entries()) {
    const found = indexOf.get(id);
    if (found === undefined)
      throw new PawlError("PAWL_UNKNOWN_REFERENCE", { message: `no node "${id}" in after;${didYouMean(id, indexOf.keys())}`, at: node.place(["after", i]) });
    after.push(found);
  }
  return { index, id: node.id, agent: node.agent, input, dependencies: [...new Set([...reads, ...after])], reads, after, policy: nodePolicy(node, policies) };
}

/** Nodes that say nothing of their own share the policy object of their agent. */
function nodePolicy(node: NodeDefinition, policies: Map<Agent, Policy>): Policy {
  if (node.retry !== undefined || node.timeout !== undefined || (node.onFail ?? "block") !== "block") return policyOf(node, node.place([]), node.agent.policy);
  const known = policies.get(node.agent);
  if (known !== undefined) return known;
  policies.set(node.agent, node.agent.policy);
  return node.agent.policy;
}

function readsOf(template: Template): number[] {
  const reads = new Set<number>();
  eachReference(template, ({ node }) => node !== "input" && reads.add(node));
  return [...reads];
}

function invert(nodes: readonly PlanNode[]): number[][] {
  const dependents: number[][] = nodes.map(() => []);
  for (const node of nodes) for (const dependency of node.dependencies) dependents[dependency]!.push(node.index);
  return dependents;
}

function refuseCycles(definition: PlanDefinition, nodes: readonly PlanNode[], dependents: readonly (readonly number[])[]): void {
  const waiting = nodes.map((node) => node.dependencies.length);
  const free = nodes.filter((node) => node.dependencies.length === 0).map((node) => node.index);
  for (let i = 0; i < free.length; i++) for (const dependent of dependents[free[i]!]!) if (--waiting[dependent]! === 0) free.push(dependent);
  if (free.length === nodes.length) return;
  const cycle = findCycle(nodes, waiting);
  const shown = [...cycle, cycle[0]!].map((index) => nodes[index]!.id).join(" → ");
  throw new PawlError("PAWL_DEFINITION_CYCLE", {
    message: `nodes wait for each other in a circle: ${shown}`,
    data: { cycle: cycle.map((index) => nodes[index]!.id) },
    at: definition.nodes[cycle[0]!]!.place([]),
  });
}

/** Every node that still waits has a dependency that still waits: following those must come back. */
function findCycle(nodes: readonly PlanNode[], waiting: readonly number[]): number[] {
  const seenAt = new Map<number, number>();
  const trail: number[] = [];
  let current = waiting.findIndex((count) => count > 0);
  while (!seenAt.has(current)) {
    seenAt.set(current, trail.length);
    trail.push(current);
    current = nodes[current]!.dependencies.find((dependency) => waiting[dependency]! > 0)!;
  }
  return trail.slice(seenAt.get(current));
}

function structureOf(definition: PlanDefinition, written: readonly unknown[], output: unknown): PlanStructure {
  const nodes = definition.nodes.map((node, index) => ({
    id: node.id,
    agent: node.agent.name,
    input: written[index],
    ...(node.after !== undefined && node.after.length > 0 && { after: node.after }),
    ...(node.onFail === "skip" && { onFail: node.onFail }),
  }));
  return { name: definition.name, nodes, output };
}

/** The graph of a stored structure: enough to show its runs without their code. */
export function planOfStructure(structureText: string): Plan {
  const structure = JSON.parse(structureText) as PlanStructure;
  const schema: Schema = { "~standard": { version: 1, vendor: "pawl", validate: (value) => ({ value }) } };
  const agentOf = (name: string): Agent => ({
    name,
    input: schema,
    output: schema,
    work: { kind: "function", run: () => undefined },
    policy: policyOf({}, "stored"),
  });
  const agents = new Map<string, Agent>();
  const nodes = structure.nodes.map((node): NodeDefinition => {
    if (!agents.has(node.agent)) agents.set(node.agent, agentOf(node.agent));
    return { ...node, agent: agents.get(node.agent)!, place: () => `node "${node.id}"` };
  });
  return makePlan({ name: structure.name, nodes, output: structure.output, timeoutMs: 1, onTimeout: "partial", place: () => `workflow "${structure.name}"` });
}

/** What is different between two structures, a line each; at most 20 lines. */
export function planChanges(beforeText: string, afterText: string): string[] {
  const [before, after] = [beforeText, afterText].map((text) => JSON.parse(text) as PlanStructure) as [PlanStructure, PlanStructure];
  const old = new Map(before.nodes.map((node) => [node.id, node]));
  const now = new Set(after.nodes.map((node) => node.id));
  const changes = before.nodes.filter((node) => !now.has(node.id)).map((node) => `node "${node.id}" is gone`);
  for (const node of after.nodes) {
    const was = old.get(node.id);
    if (was === undefined) changes.push(`node "${node.id}" is new`);
    else
      for (const field of ["agent", "input", "after", "onFail"] as const)
        if (canonicalJson(was[field]) !== canonicalJson(node[field])) changes.push(`node "${node.id}": ${field} changed`);
  }
  if (canonicalJson(before.output) !== canonicalJson(after.output)) changes.push("the output changed");
  return changes.slice(0, 20);
}
