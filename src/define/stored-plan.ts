/**
 * Plans of stored structures.
 */
import type { Agent } from "./agent.ts";
import { type NodeDefinition, placeholder } from "./node-definition.ts";
import { type Plan, makePlan } from "./plan.ts";
import type { PlanStructure } from "./plan-structure.ts";

/** The graph of a stored structure: enough to show its runs without their code. */
export function planOfStructure(structureText: string): Plan {
  const { name, nodes, output } = JSON.parse(structureText) as PlanStructure;
  const agents = new Map<string, Agent>();
  const definitions = nodes.map((node): NodeDefinition => {
    if (!agents.has(node.agent)) agents.set(node.agent, placeholder(node.agent));
    return { ...node, agent: agents.get(node.agent)!, place: () => `node "${node.id}"` };
  });
  return makePlan({ name, nodes: definitions, output, timeoutMs: 1, onTimeout: "partial", place: () => `workflow "${name}"` });
}
