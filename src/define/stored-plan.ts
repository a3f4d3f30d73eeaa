/**
 * Plans of stored structures.
 */
import type { Agent } from "./agent.ts";
import { type JsonSchema, schemaOf } from "./document-check.ts";
import { type NodeDefinition, placeholder } from "./node-definition.ts";
import type { OnFail } from "./on-fail.ts";
import { type Plan, makePlan } from "./plan.ts";
import type { PlanStructure } from "./plan-structure.ts";
import { type Schema, validate } from "./schema.ts";

/** The graph of a stored structure: enough to show its runs, and to check the events that are sent to them, without their code. */
export function planOfStructure(structureText: string): Plan {
  const { name, nodes, output } = JSON.parse(structureText) as PlanStructure;
  const agents = new Map<string, Agent>();
  const agentOf = (agent: string): Agent => {
    if (!agents.has(agent)) agents.set(agent, placeholder(agent));
    return agents.get(agent)!;
  };
  const definitions = nodes.map(({ agent: name, alternatives = [], onFail = "block", compensate, schema, ...node }): NodeDefinition => {
    const agent = node.kind === "event" ? placeholder(name, storedSchema(schema)) : agentOf(name);
    const chain = alternatives.reduceRight<OnFail>((next, use) => ({ use: agentOf(use), onFail: next }), onFail);
    const undo = compensate === undefined ? {} : { compensate: agentOf(compensate) };
    return { ...node, agent, onFail: chain, ...undo, place: () => `node "${node.id}"` };
  });
  return makePlan({ name, nodes: definitions, output, timeoutMs: 1, onTimeout: "partial", place: () => `workflow "${name}"` });
}

/** Takes what the JSON Schema takes; all where it is none that can be checked: whoever has the code checks again. Made when it is used. */
function storedSchema(json: unknown): Schema {
  let made: Schema | undefined;
  const make = (): Schema => {
    try {
      return schemaOf(json as JsonSchema | undefined, ["schema"], () => "");
    } catch {
      return placeholder("anything").output;
    }
  };
  return { "~standard": { version: 1, vendor: "pawl", validate: (value) => validate((made ??= make()), value) } };
}
