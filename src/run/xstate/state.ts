/**
 * An actor's state as data, and back: what its row holds of it. Children are not in it, they have rows of their own.
 * 1. Nothing of a state is dropped silently: a name that the logic does not know is an error.
 * 2. The order in which parallel states were entered is kept, since xstate takes their transitions in that order.
 */
import type { AnyMachineSnapshot, AnyStateMachine, HistoryValue, StateNode } from "xstate";
import { PawlError } from "../../errors.ts";
import { type Actor, type AnySnapshot, isMachine, nodeNamed } from "./actor.ts";

/** A machine's state as stored. */
export interface StoredMachineState {
  readonly status: AnySnapshot["status"];
  readonly value: unknown;
  readonly context: unknown;
  /** Ids of the active state nodes in xstate's order, when they are not those of the value in the document's order. */
  readonly nodes?: readonly string[];
  readonly history?: Readonly<Record<string, readonly string[]>>;
  readonly output?: unknown;
  readonly error?: unknown;
}

/** The state of an actor as data. */
export function stateOf(actor: Actor): unknown {
  const { snapshot, logic } = actor;
  return isMachine(logic) ? machineState(snapshot as AnyMachineSnapshot) : logic.getPersistedSnapshot(snapshot);
}

export function machineState(snapshot: AnyMachineSnapshot): StoredMachineState {
  const { status, value, context, historyValue, output, error } = snapshot as AnyMachineSnapshot & { output?: unknown; error?: unknown };
  const nodes = nodesOf(snapshot) ?? [];
  const history = Object.entries((historyValue ?? {}) as Record<string, StateNode<any, any>[]>);
  return {
    status,
    value,
    context,
    ...(typeof value === "object" && !areRegular(nodes) && { nodes: nodes.map(({ id }) => id) }),
    ...(history.length > 0 && { history: Object.fromEntries(history.map(([key, list]) => [key, list.map(({ id }) => id)])) }),
    ...(output !== undefined && { output }),
    ...(error !== undefined && { error }),
  };
}

/** The snapshot of a stored state, without children. Throws when the logic has no such state. */
export function restoreState(actor: Actor, state: unknown): AnySnapshot {
  const { logic, scope } = actor;
  if (isMachine(logic)) return restoreMachine(logic, state as StoredMachineState, actor);
  return (logic.restoreSnapshot?.(state as never, scope) ?? state) as AnySnapshot;
}

export function restoreMachine(machine: AnyStateMachine, state: StoredMachineState, actor: Actor): AnySnapshot {
  // an actor that failed before it had a first state has none
  if (state.value === undefined) return { ...state, children: {} } as AnySnapshot;
  const known = (id: string): StateNode<any, any> => {
    const node = nodeNamed(machine, id);
    if (node === undefined) throw new PawlError("PAWL_DEFINITION_CHANGED", { message: `machine "${machine.id}" has no state "${id}"` });
    return node;
  };
  const historyValue: HistoryValue<any, any> = Object.fromEntries(Object.entries(state.history ?? {}).map(([key, ids]) => [key, ids.map(known)]));
  const { status, value, output, error } = state;
  const restored = machine.restoreSnapshot({ status, value, output, error, children: {}, historyValue } as never, actor.scope);
  const nodes = state.nodes?.map(known) ?? nodesOf(restored).toSorted((a, b) => a.order - b.order);
  return Object.assign(restored, { context: state.context, value, _nodes: nodes });
}

/** All that the state value says, in the document's order. After a way through history xstate may have less than the value says. */
function areRegular(nodes: readonly StateNode<any, any>[]): boolean {
  const active = new Set(nodes);
  const isComplete = ({ type, states }: StateNode<any, any>): boolean => {
    if (type !== "compound" && type !== "parallel") return true;
    const inner = Object.values(states).filter((child) => child.type !== "history");
    return type === "parallel" ? inner.every((child) => active.has(child)) : inner.some((child) => active.has(child));
  };
  const isOrdered = nodes.every((node, i) => i === 0 || node.order > nodes[i - 1]!.order);
  return isOrdered && nodes.every((node) => isComplete(node) && (node.parent === undefined || active.has(node.parent)));
}

/** A machine's snapshot again, sharing nothing with it but refs. */
export function copyOf(actor: Actor, snapshot: AnySnapshot, encode: (value: unknown) => string, decode: (text: string) => unknown): AnySnapshot {
  const machine = actor.logic as AnyStateMachine;
  const copy = restoreMachine(machine, decode(encode(machineState(snapshot as AnyMachineSnapshot))) as StoredMachineState, actor);
  return Object.assign(copy, { children: { ...(snapshot as unknown as AnyMachineSnapshot).children } });
}

function nodesOf(snapshot: AnyMachineSnapshot): readonly StateNode<any, any>[] {
  return (snapshot as unknown as { _nodes: readonly StateNode<any, any>[] })._nodes;
}
