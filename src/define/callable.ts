/**
 * Workflows in the place of agents: what runs one as a run of its own, and what waits for a run of others.
 */
import type { Agent } from "./agent.ts";
import { placeholder } from "./node-definition.ts";
import type { Callable, Workflow } from "./workflow.ts";

const agentsOf = new WeakMap<Workflow, Agent>();

/** The agent that runs a workflow as a run of its own: it may take its time, and one that failed has done what it has done. */
export function agentOf(call: Callable): Agent {
  if (!("plan" in call)) return call;
  const known = agentsOf.get(call);
  if (known !== undefined) return known;
  const { output, ...base } = placeholder(call.name);
  const made = Object.freeze({ ...base, input: call.plan.inputSchema ?? base.input, output, work: { kind: "run" as const, of: call } });
  agentsOf.set(call, made);
  return made;
}

/** What waits for the end of a run of this workflow that was started elsewhere. */
export function waitingAgent({ name }: { readonly name: string }): Agent {
  return Object.freeze({ ...placeholder(name), work: { kind: "wait" as const } });
}
