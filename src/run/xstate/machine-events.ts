/**
 * Which events a machine takes: those that it declares anywhere, and those of its present states. Events of xstate's own
 * are not among them; nobody but the host may send these.
 */
import { type AnyStateMachine, getStateNodes } from "xstate";
import { statesOf } from "./state-nodes.ts";

const isOwn = (descriptor: string): boolean => !descriptor.startsWith("xstate.");

/** Types of events that some state of the machine names, `*` and `order.*` as they are written. */
export function declaredEvents(machine: AnyStateMachine): Set<string> {
  return new Set(statesOf(machine).flatMap((node) => [...node.transitions.keys()].filter(isOwn)));
}

/** Is an event of this type among those declared? `order.*` is `order` and all that begins with `order.`. */
export function isDeclared(declared: Iterable<string>, type: string): boolean {
  if (!isOwn(type)) return false;
  for (const descriptor of declared) {
    if (descriptor === "*" || descriptor === type) return true;
    if (descriptor.endsWith(".*") && `${type}.`.startsWith(descriptor.slice(0, -1))) return true;
  }
  return false;
}

/** What a machine with this state value takes, as it is written; guards may still say no. Throws when it has no such state. */
export function eventsOf(machine: AnyStateMachine, value: unknown): string[] {
  const active = getStateNodes(machine.root, value as never);
  return [...new Set(active.flatMap((node) => node.ownEvents as string[]))].filter(isOwn);
}
