/**
 * The part of a plan that is stored with its runs: enough to show them without their code, and to tell what changed.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "./canonical.ts";
import type { NodeDefinition, NodeKind } from "./node-definition.ts";
import { alternativesOf, finalWordOf } from "./on-fail.ts";
import type { FinalWord } from "./policy.ts";
import { jsonSchemaOf } from "./schema.ts";

interface StoredNode {
  readonly id: string;
  readonly kind?: NodeKind;
  readonly agent: string;
  readonly input: unknown;
  readonly each?: unknown;
  readonly until?: unknown;
  readonly max?: number;
  readonly branches?: readonly { readonly name: string; readonly result: unknown }[];
  readonly within?: { readonly choice: string; readonly branch: number };
  readonly stage?: string;
  readonly after?: readonly string[];
  /** What follows when nobody takes over, unless that is 'block'. */
  readonly onFail?: FinalWord;
  /** Names of the agents that take over. */
  readonly alternatives?: readonly string[];
  /** Name of the agent that undoes what it has done. */
  readonly compensate?: string;
  /** Of an event: what is to be sent, as JSON Schema, where its schema can say that. */
  readonly schema?: unknown;
}

export interface PlanStructure {
  readonly name: string;
  readonly nodes: readonly StoredNode[];
  readonly output: unknown;
}

/** 32 hexadecimal digits that stand for a structure's text. */
export function structureHash(structureText: string): string {
  return createHash("sha256").update(structureText).digest("hex").slice(0, 32);
}

/** `nodes` with references as text. */
export function structureOf(name: string, nodes: readonly NodeDefinition[], output: unknown): PlanStructure {
  return { name, nodes: nodes.map(storedNode), output };
}

function storedNode(node: NodeDefinition): StoredNode {
  const { id, kind = "call", agent, input, each, until, max, branches, within, stage, after = [], onFail, compensate } = node;
  const [finalWord, alternatives] = [finalWordOf(onFail), alternativesOf(onFail)];
  const schema = kind === "event" ? jsonSchemaOf(agent.output) : undefined;
  return {
    id,
    agent: agent.name,
    input,
    ...(kind !== "call" && { kind }),
    ...(each !== undefined && { each }),
    ...(until !== undefined && { until }),
    ...(max !== undefined && { max }),
    ...(branches !== undefined && { branches }),
    ...(within !== undefined && { within }),
    ...(stage !== undefined && { stage }),
    ...(after.length > 0 && { after }),
    ...(finalWord !== "block" && { onFail: finalWord }),
    ...(alternatives.length > 0 && { alternatives: alternatives.map(({ name }) => name) }),
    ...(compensate !== undefined && { compensate: compensate.name }),
    ...(schema !== undefined && { schema }),
  };
}

/** The JSON Schemas of the events that a stored structure waits for, by their nodes. */
export function eventSchemas(structureText: string): Map<string, unknown> {
  const { nodes } = JSON.parse(structureText) as PlanStructure;
  return new Map(nodes.filter(({ kind }) => kind === "event").map(({ id, schema }) => [id, schema]));
}

const COMPARED = [
  "kind",
  "agent",
  "input",
  "each",
  "until",
  "max",
  "branches",
  "within",
  "stage",
  "after",
  "onFail",
  "alternatives",
  "compensate",
  "schema",
] as const;

/** What is different between two structures, a line each; at most 20 lines. */
export function planChanges(beforeText: string, afterText: string): string[] {
  const [before, after] = [beforeText, afterText].map((text) => JSON.parse(text) as PlanStructure) as [PlanStructure, PlanStructure];
  const old = new Map(before.nodes.map((node) => [node.id, node]));
  const now = new Set(after.nodes.map((node) => node.id));
  const changes = before.nodes.filter((node) => !now.has(node.id)).map((node) => `node "${node.id}" is gone`);
  for (const node of after.nodes) {
    const was = old.get(node.id);
    if (was === undefined) changes.push(`node "${node.id}" is new`);
    else for (const field of COMPARED) if (canonicalJson(was[field]) !== canonicalJson(node[field])) changes.push(`node "${node.id}": ${field} changed`);
  }
  if (canonicalJson(before.output) !== canonicalJson(after.output)) changes.push("the output changed");
  return changes.slice(0, 20);
}
