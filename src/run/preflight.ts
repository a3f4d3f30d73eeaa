/**
 * Which health checks there are for the work of a definition, also of workflows that it runs.
 */
import type { Agent } from "../define/agent.ts";
import { agentsOf } from "../define/plan.ts";
import { type Definition, definitionOf } from "./definition.ts";
import type { Startable } from "./startable.ts";

/** Of a machine none: what it calls is known only when it calls. */
export function healthChecksOf(definition: Definition): { readonly agents: readonly Agent[]; readonly names: readonly string[] } {
  const agents = new Set<Agent>();
  const names = new Set<string>();
  const seen = new Set<Definition>();
  const visit = (of: Definition): void => {
    if (of.kind !== "dag" || seen.has(of)) return;
    seen.add(of);
    for (const node of of.workflow.plan.nodes) {
      if (typeof node.healthCheck === "string") names.add(node.healthCheck);
      for (const agent of agentsOf(node))
        if (agent.work.kind === "run") visit(definitionOf(agent.work.of as Startable));
        else if (agent.healthCheck !== undefined) agents.add(agent);
    }
  };
  visit(definition);
  return { agents: [...agents], names: [...names] };
}
