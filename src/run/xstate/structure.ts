/**
 * A machine's structure as data: what is stored beside its runs, to tell later what has changed.
 * 1. It says which states, transitions, timers, invokes and actors there are; what functions do is no part of it.
 * 2. Machines among the actors are in it once each, so that machines may contain each other.
 * 3. Equal structures have equal texts.
 */
import {
  type AnyStateMachine,
  type AnyStateNode,
  type AnyTransitionDefinition,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
} from "xstate";
import { canonicalJson } from "../../define/canonical.ts";
import type { Agent } from "../../define/agent.ts";
import type { Workflow } from "../../define/workflow.ts";
import type { DurableMachine } from "./durable.ts";
import { isMachine } from "./actor.ts";
import { agentCalled, childRunOf, isStep } from "./step.ts";
import { guardText, historyTargets, invokesOf, statesOf, timersOf } from "./state-nodes.ts";

export { structureHash } from "../../define/plan-structure.ts";

/** A machine and all machines among its actors. */
export interface MachineStructure {
  /** The machine itself comes first. */
  readonly machines: readonly OneMachine[];
}

export interface OneMachine {
  readonly id: string;
  readonly version?: string;
  /** In document order, the root first. */
  readonly states: readonly StateStructure[];
  /** By the name that invokes and spawns use: registered logic, and invoked logic without a name as xstate names it. */
  readonly actors: Readonly<Record<string, ActorStructure>>;
}

export interface StateStructure {
  readonly id: string;
  readonly key: string;
  /** The id of the state it is in. */
  readonly parent?: string;
  readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
  /** The key of the child it begins in. */
  readonly initial?: string;
  readonly history?: "shallow" | "deep";
  /** Where a history state leads that remembers nothing. */
  readonly targets?: readonly string[];
  readonly on: Readonly<Record<string, readonly TransitionStructure[]>>;
  readonly always: readonly TransitionStructure[];
  /** `id` is the name of the timer in a run; `delay` a name or ms. */
  readonly after: readonly { readonly id: string; readonly delay: string | number; readonly transitions: readonly TransitionStructure[] }[];
  readonly invokes: readonly { readonly id: string; readonly src: string }[];
  readonly tags: readonly string[];
}

export interface TransitionStructure {
  /** Ids of states; none: the state stays. */
  readonly targets: readonly string[];
  readonly guard?: string;
  readonly reenter?: true;
}

/** `machine` is an index in `machines`. */
export type ActorStructure = { readonly kind: "machine"; readonly machine: number } | { readonly kind: LogicKind };
type LogicKind = "step" | "promise" | "callback" | "observable" | "transition" | "other";

/** The structure of a machine and of the machines among its actors. */
export function machineStructure(machine: AnyStateMachine): MachineStructure {
  const found = [machine];
  const machines: OneMachine[] = [];
  for (let i = 0; i < found.length; i++) machines.push(oneMachine(found[i]!, found));
  return { machines };
}

/** One text for equal structures. */
export function structureText(structure: MachineStructure): string {
  return canonicalJson(structure);
}

/** Logic by name: what is registered, and what is invoked without a name. */
export function actorsOf(machine: AnyStateMachine): Map<string, unknown> {
  const inline = statesOf(machine)
    .flatMap(invokesOf)
    .filter(({ logic }) => logic !== undefined);
  const registered = Object.entries(machine.implementations.actors as Record<string, unknown>).filter(([, logic]) => logic !== undefined);
  return new Map([...registered.toSorted(([a], [b]) => (a < b ? -1 : 1)), ...inline.map(({ src, logic }) => [src, logic] as const)]);
}

/** What kind of logic this is. xstate keeps no mark of it, so it is told by the code that its creators give it. */
export function logicKind(logic: unknown): "machine" | LogicKind {
  if (isStep(logic)) return "step";
  if (isMachine(logic)) return "machine";
  return KINDS.get(String((logic as { transition?: unknown } | null)?.transition)) ?? "other";
}

const none = (): never => undefined as never;
const KINDS: ReadonlyMap<string, LogicKind> = new Map(
  (
    [
      [fromPromise(none), "promise"],
      [fromCallback(none), "callback"],
      [fromObservable(none), "observable"],
      [fromEventObservable(none), "observable"],
      [fromTransition(none, undefined), "transition"],
    ] as const
  ).map(([{ transition }, kind]) => [String(transition), kind]),
);

function oneMachine(machine: AnyStateMachine, found: AnyStateMachine[]): OneMachine {
  const indexOf = (child: AnyStateMachine): number => {
    if (!found.includes(child)) found.push(child);
    return found.indexOf(child);
  };
  const actors = [...actorsOf(machine)].map(([name, logic]): [string, ActorStructure] => {
    const kind = logicKind(logic);
    return [name, kind === "machine" ? { kind, machine: indexOf(logic as AnyStateMachine) } : { kind }];
  });
  return {
    id: machine.id,
    ...(machine.version !== undefined && { version: machine.version }),
    states: statesOf(machine).map(stateStructure),
    actors: Object.fromEntries(actors),
  };
}

function stateStructure(node: AnyStateNode): StateStructure {
  const timers = timersOf(node);
  const transitions = (type: string): TransitionStructure[] => (node.transitions.get(type) ?? []).map(transitionStructure);
  const events = [...node.transitions.keys()].filter((type) => !timers.some(({ id }) => id === type));
  const initial = node.initial.target[0]?.key;
  const targets = historyTargets(node).map(({ id }) => id);
  return {
    id: node.id,
    key: node.key,
    ...(node.parent !== undefined && { parent: node.parent.id }),
    type: node.type,
    ...(node.type === "compound" && initial !== undefined && { initial }),
    ...(node.type === "history" && { history: node.history === "deep" ? ("deep" as const) : ("shallow" as const) }),
    ...(targets.length > 0 && { targets }),
    on: Object.fromEntries(events.map((type) => [type, transitions(type)])),
    always: (node.always ?? []).map(transitionStructure),
    after: timers.map(({ id, delay }) => ({ id, delay, transitions: transitions(id) })),
    invokes: invokesOf(node).map(({ id, src }) => ({ id, src })),
    tags: node.tags.toSorted(),
  };
}

function transitionStructure({ target, guard, reenter }: AnyTransitionDefinition): TransitionStructure {
  return {
    targets: (target ?? []).map(({ id }) => id),
    ...(guard !== undefined && { guard: guardText(guard) }),
    ...(reenter && { reenter }),
  };
}

/** Names of delays, and ms as text, of a machine and the machines among its actors. */
export function delaysOf(machine: AnyStateMachine): Set<string> {
  const delays = new Set<string>();
  for (const each of machinesIn(machine)) {
    for (const name of Object.keys(each.implementations.delays)) delays.add(name);
    for (const node of statesOf(each)) for (const { delay } of timersOf(node)) delays.add(String(delay));
  }
  return delays;
}

/** The source of everything that a machine and the machines among its actors implement. What closures hold is not seen. */
export function implementationText(machine: AnyStateMachine): string {
  const texts = machinesIn(machine).flatMap(({ implementations }) =>
    Object.entries(implementations).flatMap(([kind, named]) => Object.entries(named as object).map(([name, value]) => `${kind} ${name}: ${sourceOf(value)}`)),
  );
  return texts.join("\n");
}

/** What the steps of a machine, and of the machines among its actors, run as runs of their own. */
export function childRunsOf(machine: AnyStateMachine): (Workflow | AnyStateMachine | DurableMachine)[] {
  return machinesIn(machine).flatMap((each) => [...actorsOf(each).values()].flatMap((logic) => childRunOf(logic as object) ?? []));
}

/** The agents that the steps of a machine, and of the machines among its actors, call. */
export function agentsIn(machine: AnyStateMachine): Agent[] {
  return machinesIn(machine).flatMap((each) => [...actorsOf(each).values()].flatMap((logic) => agentCalled(logic as object) ?? []));
}

function machinesIn(machine: AnyStateMachine): AnyStateMachine[] {
  const machines = new Set([machine]);
  for (const each of machines) for (const logic of actorsOf(each).values()) if (isMachine(logic)) machines.add(logic);
  return [...machines];
}

/** A function's source, with what xstate's own actions carry; of other logic, what it was made of. */
function sourceOf(value: unknown): string {
  if (isMachine(value)) return "machine";
  if (typeof value !== "function") return typeof value === "object" && value !== null && "config" in value ? sourceOf(value.config) : String(value);
  return [String(value), ...Object.entries(value).map(([key, part]) => `${key}=${partText(part)}`)].join(" ");
}

function partText(part: unknown): string {
  if (typeof part !== "object" || part === null) return String(part);
  return JSON.stringify(part, (_key, inner: unknown) => (typeof inner === "function" ? String(inner) : inner));
}
