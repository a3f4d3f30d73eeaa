/**
 * No node may wait for itself. A member of a choice waits for what the choice waits for, and the choice's end for its members.
 */
import { PawlError } from "../errors.ts";
import type { PlanDefinition, PlanNode } from "./plan.ts";

/** Throws PAWL_DEFINITION_CYCLE with the nodes that wait for each other. */
export function refuseCycles(definition: PlanDefinition, nodes: readonly PlanNode[], members: ReadonlyMap<number, readonly number[]>): void {
  const waitsFor = nodes.map(({ index, dependencies, within }) => [...dependencies, ...(members.get(index) ?? []), ...opening(nodes, within)]);
  const waiting = waitsFor.map(({ length }) => length);
  const heldUp: number[][] = nodes.map(() => []);
  waitsFor.forEach((others, index) => others.forEach((other) => heldUp[other]!.push(index)));
  const free = nodes.filter(({ index }) => waiting[index] === 0).map(({ index }) => index);
  for (let i = 0; i < free.length; i++) for (const other of heldUp[free[i]!]!) if (--waiting[other]! === 0) free.push(other);
  if (free.length === nodes.length) return;
  const cycle = findCycle(waitsFor, waiting);
  const shown = [...cycle, cycle[0]!].map((index) => nodes[index]!.id).join(" → ");
  throw new PawlError("PAWL_DEFINITION_CYCLE", {
    message: `nodes wait for each other in a circle: ${shown}`,
    data: { cycle: cycle.map((index) => nodes[index]!.id) },
    at: definition.nodes[cycle[0]!]!.place([]),
  });
}

/** What the choices around a node wait for before one of them can be gone. */
function opening(nodes: readonly PlanNode[], within: PlanNode["within"]): readonly number[] {
  const found: number[] = [];
  for (let choice = within?.choice; choice !== undefined; choice = nodes[choice]!.within?.choice) found.push(...nodes[choice]!.dependencies);
  return found;
}

/** Every node that still waits has one to wait for that still waits: following those must come back. */
function findCycle(waitsFor: readonly (readonly number[])[], waiting: readonly number[]): number[] {
  const seenAt = new Map<number, number>();
  const trail: number[] = [];
  let current = waiting.findIndex((count) => count > 0);
  while (!seenAt.has(current)) {
    seenAt.set(current, trail.length);
    trail.push(current);
    current = waitsFor[current]!.find((other) => waiting[other]! > 0)!;
  }
  return trail.slice(seenAt.get(current));
}
