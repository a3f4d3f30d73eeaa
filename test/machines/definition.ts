/**
 * What machines there are and what they say of themselves, read from the machines: for drawings and for coverage.
 * Knows no machine by name, so that a new file, state or transition is seen without being listed.
 */
import { readFile, readdir } from "node:fs/promises";
import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from "xstate";

const FOLDER = new URL("../../machines/", import.meta.url);

export interface MachineFile {
  readonly file: string;
  readonly source: string;
  readonly machine: AnyStateMachine;
}

/** The machine of each file, by file name. Throws unless each file exports exactly one. */
export async function findMachines(): Promise<MachineFile[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".ts")).toSorted();
  return Promise.all(
    files.map(async (file) => {
      const url = new URL(file, FOLDER);
      const machines = Object.entries((await import(url.href)) as Record<string, AnyStateMachine>).filter(([name]) => name.endsWith("Machine"));
      if (machines.length !== 1) throw new Error(`machines/${file} exports ${machines.length} machines, not one`);
      return { file, source: await readFile(url, "utf8"), machine: machines[0]![1] };
    }),
  );
}

/** One branch of one event in one state. */
export interface Transition {
  readonly state: string;
  readonly event: string;
  /** Undefined: the state stays as it is. */
  readonly target: string | undefined;
  readonly guard: string | undefined;
  readonly actions: readonly string[];
  /** Of a timer: the name of its delay, or ms. */
  readonly delay: string | undefined;
  readonly definition: AnyTransitionDefinition;
}

/** All states below the root, in the order in which the machine names them. */
export function statesOf(machine: AnyStateMachine): AnyStateNode[] {
  const below = (node: AnyStateNode): AnyStateNode[] => Object.values(node.states).flatMap((child) => [child, ...below(child)]);
  return below(machine.root);
}

export function transitionsOf(machine: AnyStateMachine): Transition[] {
  return [machine.root, ...statesOf(machine)].flatMap((node) => {
    const delays = new Map(node.after.map(({ eventType, delay }) => [eventType, String(delay)]));
    const definitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
    return definitions.map((definition) => describe(node, definition, delays));
  });
}

function describe(node: AnyStateNode, definition: AnyTransitionDefinition, delays: ReadonlyMap<string, string>): Transition {
  return {
    state: nameOf(node),
    event: definition.eventType,
    target: definition.target?.map(nameOf).join(", "),
    guard: definition.guard === undefined ? undefined : wordFor(definition.guard),
    actions: wordsFor(definition.actions),
    delay: delays.get(definition.eventType),
    definition,
  };
}

/** A state as people say it: its place below the root. */
export const nameOf = (node: AnyStateNode): string => node.path.join(".") || node.key;

/** What a named or an inline guard or action is called. */
export function wordFor(named: unknown): string {
  if (typeof named === "string") return named;
  const { type, name } = named as { type?: string; name?: string };
  return type ?? (name || "(inline)");
}

/** Actions that the machine names, without what xstate adds for its timers. */
export const wordsFor = (actions: readonly unknown[]): string[] => actions.map(wordFor).filter((word) => !word.startsWith("xstate."));

/** How a transition is called where it is missed. */
export const transitionText = ({ state, event, guard, target }: Transition): string =>
  `${state} on ${event}${guard === undefined ? "" : ` [${guard}]`} -> ${target ?? state}`;

/** Actions that the host carries out: those that the machine does not carry out itself by `assign` and the like. */
export function hostActionsOf(machine: AnyStateMachine): string[] {
  return Object.entries(machine.implementations.actions as Record<string, object>)
    .filter(([, action]) => !("resolve" in action))
    .map(([name]) => name);
}

/** Does the machine invoke other actors? Then it is no chart: the host of users' machines runs it. */
export function invokes(machine: AnyStateMachine): boolean {
  return statesOf(machine).some(({ invoke }) => invoke.length > 0);
}
