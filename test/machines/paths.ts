/**
 * All ways through a machine, as lists of events, from @xstate/graph: with a key that tells states apart by the transition
 * that led to them, so that every transition lies on some path.
 */
import { getShortestPaths, getSimplePaths } from "@xstate/graph";
import type { AnyStateMachine } from "xstate";
import { type Transition, transitionText, transitionsOf } from "./definition.ts";
import { type AnyEvent } from "./drivers.ts";
import { type Script } from "./scripts.ts";

/** Traversals before a machine is held to be endless. */
const TRAVERSALS_MAX = 100_000;

export interface Path {
  readonly events: readonly AnyEvent[];
  /** After each event. */
  readonly states: readonly { readonly value: string; readonly context: object }[];
  /** What each event took. */
  readonly taken: readonly string[];
}

/** How paths are found; `xstate/graph` and `@xstate/graph` offer the same. */
export interface PathFinder {
  getShortestPaths: (machine: any, options: any) => readonly FoundPath[];
  getSimplePaths: (machine: any, options: any) => readonly FoundPath[];
}

interface FoundPath {
  readonly steps: readonly { readonly event: AnyEvent; readonly state: any }[];
}

export const FINDER: PathFinder = { getShortestPaths, getSimplePaths };

/** The paths that `how` finds, the shortest ones by their `via` key or all simple ones. */
export function findPaths(how: keyof PathFinder, machine: AnyStateMachine, script: Script, input: object, finder = FINDER): readonly Path[] {
  const asked = found.get(machine) ?? [];
  found.set(machine, asked);
  const isSame = (one: Asked): boolean => one.how === how && one.script === script && one.input === input && one.finder === finder;
  let known = asked.find(isSame);
  if (known === undefined) asked.push((known = { how, script, input, finder, paths: seekPaths(how, machine, script, input, finder) }));
  return known.paths;
}

interface Asked {
  readonly how: keyof PathFinder;
  readonly script: Script;
  readonly input: object;
  readonly finder: PathFinder;
  readonly paths: readonly Path[];
}

/** What was found, for those who ask again: it takes long. */
const found = new WeakMap<AnyStateMachine, Asked[]>();

function seekPaths(how: keyof PathFinder, machine: AnyStateMachine, script: Script, input: object, finder: PathFinder): Path[] {
  // @xstate/graph 3.0.4 takes a `filterEvents` and ignores it: events that a state does not take are left out here
  const told = [...(script.only?.get(input) ?? script.events), ...timerEvents(machine)].filter((event) => script.tells?.(input, event) ?? true);
  const found = finder[how](machine, {
    input,
    events: (snapshot: any) => told.filter((event) => snapshot.can(event)),
    serializeState: (snapshot: any, event: any, before: any) =>
      how === "getSimplePaths" && script.isEndless === true
        ? stateText(snapshot)
        : `${stateText(snapshot)} via ${JSON.stringify(event)} from ${before ? stateText(before) : ""}`,
    limit: TRAVERSALS_MAX,
    ...(script.stopWhen !== undefined && { stopWhen: script.stopWhen }),
  });
  const transitions = new Map(transitionsOf(machine).map((transition) => [transition.definition, transition]));
  return found.map(({ steps }) => pathOf(machine, steps, transitions));
}

/** The events of the machine's own timers, which no script lists. */
export function timerEvents(machine: AnyStateMachine): AnyEvent[] {
  const types = transitionsOf(machine).flatMap(({ event, delay }) => (delay === undefined ? [] : [event]));
  return [...new Set(types)].map((type) => Object.freeze({ type }));
}

/** Finders ask for the same ones thousands of times. */
const texts = new WeakMap<object, string>();

function stateText(snapshot: any): string {
  let text = texts.get(snapshot);
  if (text === undefined) texts.set(snapshot, (text = JSON.stringify([snapshot.value, snapshot.context, snapshot.status])));
  return text;
}

/** A found path begins with the start of the actor, which is no event of ours. */
function pathOf(machine: AnyStateMachine, [start, ...steps]: FoundPath["steps"], known: ReadonlyMap<unknown, Transition>): Path {
  const before = [start, ...steps].map((step) => step!.state);
  return {
    events: steps.map(({ event }) => event),
    states: steps.map(({ state }) => ({ value: state.value, context: state.context })),
    taken: steps.flatMap(({ event }, i) => machine.getTransitionData(before[i], event).map((definition: any) => transitionText(known.get(definition)!))),
  };
}

/** Transitions of the machine that lie on none of these paths. */
export function missedBy(paths: readonly Path[], machine: AnyStateMachine): string[] {
  const taken = new Set(paths.flatMap((path) => path.taken));
  return transitionsOf(machine)
    .map((transition: Transition) => transitionText(transition))
    .filter((text) => !taken.has(text));
}

export const pathText = ({ events }: Path): string => events.map((event) => JSON.stringify(event)).join(" → ") || "(no event)";
