/**
 * Where a node stands in the queue before the gate, for people: how many have their turn before it, if nothing changes.
 */
import { type Flow, rankOf } from "./flow.ts";

/** Before the first node of this run that waits for this limit to call this agent; undefined when none does. */
export function turnsBefore(flows: readonly Flow[], runId: string, agent: string, key: string): number | undefined {
  const rivals = flows.filter(({ count, needs }) => count > 0 && needs.some(({ limit }) => limit.key === key));
  for (const flow of rivals) {
    if (flow.agent.name !== agent) continue;
    const own = [...flow.lines.values()].find(({ run, nodes }) => run.id === runId && nodes.length > 0);
    if (own === undefined) continue;
    const rank = rankOf(own.run, own.nodes.peek()!);
    let within = 0;
    for (const line of flow.lines.values()) if (line !== own) within += line.nodes.countWhile((node) => rankOf(line.run, node) < rank);
    return within + besides(flow, within, rivals);
  }
  return undefined;
}

/** How many nodes, or attempts of steps, of this run stand before the gate to call this agent. */
export function waitingOf(flows: readonly Flow[], runId: string, agent: string): number {
  const lines = flows.filter((flow) => flow.agent.name === agent).flatMap(({ lines }) => [...lines.values()]);
  return lines.filter(({ run }) => run.id === runId).reduce((sum, { nodes }) => sum + nodes.length, 0);
}

/** Flows take turns: those of others that come before, or with, this turn of the flow. */
function besides(flow: Flow, turn: number, rivals: readonly Flow[]): number {
  const before = (other: Flow): number => Math.min(other.count, Math.max(0, flow.tag + turn - other.tag + 1));
  return rivals.reduce((sum, other) => (other === flow ? sum : sum + before(other)), 0);
}
