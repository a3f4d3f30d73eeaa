/**
 * A machine's state nodes in document order, and its guards and actions in words.
 */
import type { AnyStateMachine, AnyStateNode } from "xstate";

/** What stands for a function without a name of its own. */
export const INLINE = "(inline)";

/** xstate's built-in actions and guards are functions with fields. */
export interface BuiltIn {
  readonly name: string;
  readonly type?: string;
  readonly resolve?: unknown;
  readonly guards?: readonly unknown[];
  readonly stateValue?: unknown;
  readonly id?: unknown;
  readonly sendId?: unknown;
  readonly delay?: unknown;
  readonly src?: unknown;
}

/** A delay of a state's `after`. */
interface Timer {
  /** The name under which xstate schedules it, and the type of its event. */
  readonly id: string;
  /** A name, or ms. */
  readonly delay: string | number;
}

export interface Invoke {
  readonly id: string;
  readonly src: string;
  readonly logic: unknown;
}

/** All state nodes, the root first. */
export function statesOf(machine: AnyStateMachine): AnyStateNode[] {
  const from = (node: AnyStateNode): AnyStateNode[] => [node, ...Object.values(node.states).flatMap(from)];
  return from(machine.root);
}

/** A state as people say it: its place below the root; the root by the machine's id. */
export function stateName(node: AnyStateNode): string {
  return node.path.join(".") || node.key;
}

/** Its timers, also those that no transition takes. */
export function timersOf(node: AnyStateNode): Timer[] {
  return Object.keys((node.config.after as object | undefined) ?? {}).map((written) => {
    const delay = Number.isNaN(Number(written)) ? written : Number(written);
    return { id: `xstate.after.${delay}.${node.id}`, delay };
  });
}

/** What it invokes. Logic without a name has the one that xstate gives it, and is here itself. */
export function invokesOf(node: AnyStateNode): Invoke[] {
  const configs = [(node.config.invoke ?? []) as { src: unknown } | { src: unknown }[]].flat();
  return node.invoke.map(({ id, src }, i) => ({ id, src: src as string, logic: typeof configs[i]!.src === "string" ? undefined : configs[i]!.src }));
}

/** Where a history state leads that remembers nothing, when it says so. */
export function historyTargets(node: AnyStateNode): AnyStateNode[] {
  const { target } = node.config as { target?: string | readonly string[] };
  const targets = node.type !== "history" || target === undefined ? [] : [target].flat();
  return targets.flatMap((text) => (text.startsWith("#") ? node.machine.getStateNodeById(text) : below(node.parent!, text.split("."))) ?? []);
}

function below(node: AnyStateNode, path: readonly string[]): AnyStateNode | undefined {
  return path.reduce<AnyStateNode | undefined>((at, key) => at?.states[key], node);
}

/** A guard as written: its name, `and(a, not(b))`, or what `functionName` gives for a function. */
export function guardText(guard: unknown, functionName: (named: BuiltIn) => string = () => INLINE): string {
  if (typeof guard === "string") return guard;
  if (typeof guard !== "function") return (guard as { type: string }).type;
  const { name, guards, stateValue } = guard as BuiltIn;
  if (guards !== undefined) return `${name}(${guards.map((inner) => guardText(inner, functionName)).join(", ")})`;
  if (stateValue !== undefined) return `${name}(${typeof stateValue === "string" ? stateValue : JSON.stringify(stateValue)})`;
  return functionName(guard);
}

/** An action by its name: `notify`, `assign`, the name of a function. */
export function actionText(action: unknown): string {
  if (typeof action === "string") return action;
  if (typeof action !== "function") return (action as { type: string }).type;
  const { type, resolve } = action as BuiltIn;
  return resolve === undefined ? functionName(action) : type!.replace(/^xstate\./, "");
}

/** Names that functions get from the field they are written in say nothing. */
const FIELDS = new Set(["", "actions", "entry", "exit", "guard"]);

export function functionName({ name }: BuiltIn): string {
  return FIELDS.has(name) ? INLINE : name;
}

/** The actions that are written in the machine, without those that xstate adds for timers. */
export function writtenActions(actions: readonly unknown[]): unknown[] {
  return actions.filter((action) => {
    const { type, id, sendId } = action as BuiltIn;
    return !((type === "xstate.raise" || type === "xstate.cancel") && String(id ?? sendId).startsWith("xstate.after."));
  });
}
