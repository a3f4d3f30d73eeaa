/**
 * Plans of stored structures.
 */
import type { Agent } from "./agent.ts";
import { type NodeDefinition, placeholder } from "./node-definition.ts";
import type { OnFail } from "./on-fail.ts";
import { type Plan, makePlan } from "./plan.ts";
import type { PlanStructure } from "./plan-structure.ts";

/** The graph of a stored structure: enough to show its runs without their code. */
export function planOfStructure(structureText: string): Plan {
  const { name, nodes, output } = JSON.parse(structureText) as PlanStructure;
  const agents = new Map<string, Agent>();
  const agentOf = (agent: string): Agent => {
    if (!agents.has(agent)) agents.set(agent, placeholder(agent));
    return agents.get(agent)!;
  };
  const definitions = nodes.map(({ agent, alternatives = [], onFail = "block", compensate, ...node }): NodeDefinition => {
    const chain = alternatives.reduceRight<OnFail>((next, name) => ({ use: agentOf(name), onFail: next }), onFail);
    const undo = compensate === undefined ? {} : { compensate: agentOf(compensate) };
    return { ...node, agent: agentOf(agent), onFail: chain, ...undo, place: () => `node "${node.id}"` };
  });
  return makePlan({ name, nodes: definitions, output, timeoutMs: 1, onTimeout: "partial", place: () => `workflow "${name}"` });
}
