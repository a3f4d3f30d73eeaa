/**
 * What is different between two structures of a machine, and what of a live run has no place in a structure.
 * States are called by their place below the root, as in `a.b`; a line about another machine begins with its actor.
 */
import { canonicalJson } from "../../define/canonical.ts";
import type { ActorStructure, MachineStructure, OneMachine, StateStructure } from "./structure.ts";

const LINES_MAX = 20;

/** What a live machine has. */
export interface ActiveMachine {
  /** The state value, as in a snapshot. */
  readonly value: unknown;
  /** Ids of the timers that it has set. */
  readonly timers: readonly string[];
  /** Ids of the states that its history remembers. */
  readonly remembered: readonly string[];
  readonly invoked: readonly ActiveActor[];
  readonly spawned: readonly ActiveActor[];
}

export interface ActiveActor {
  readonly id: string;
  readonly src: string;
  /** Set when it is a machine. */
  readonly machine?: ActiveMachine;
}

/** What is different between two structures' texts, a line each; at most 20 lines. */
export function structureChanges(fromText: string, toText: string): string[] {
  const [from, to] = [fromText, toText].map((text) => JSON.parse(text) as MachineStructure) as [MachineStructure, MachineStructure];
  const pairs = [{ before: 0, after: 0, place: "" }];
  const changes: string[] = [];
  for (const { before, after, place } of pairs) {
    const [was, is] = [from.machines[before]!, to.machines[after]!];
    changes.push(...machineChanges(was, is).map((change) => place + change));
    for (const [name, actor, now] of inBoth(was.actors, is.actors)) {
      if (!("machine" in actor) || !("machine" in now)) continue;
      if (pairs.some((pair) => pair.before === actor.machine && pair.after === now.machine)) continue;
      pairs.push({ before: actor.machine, after: now.machine, place: `${place}actor "${name}": ` });
    }
  }
  return changes.slice(0, LINES_MAX);
}

/** What of a live run is not there in a structure, or is something else; empty when the run can go on with it. */
export function stateProblems(structure: MachineStructure, active: ActiveMachine): string[] {
  return machineProblems(structure, 0, active, "");
}

/** Ids of the states that a state value says to be active; undefined when no machine of this structure can be in it. */
export function selectableStates(structure: MachineStructure, value: unknown): string[] | undefined {
  const { ids, problems } = configuration(structure.machines[0]!, value);
  return problems.length === 0 ? ids : undefined;
}

/** What states that are active in the new structure begin with, and a run that never entered them there would miss. */
export function missedBeginnings(old: MachineStructure, oldValue: unknown, structure: MachineStructure, value: unknown): string[] {
  const [before, machine] = [old.machines[0]!, structure.machines[0]!];
  const wasActive = new Set(configuration(before, oldValue).ids);
  const isActive = new Set(configuration(machine, value).ids);
  const names = [...statesByName(machine)];
  return names.flatMap(([name, state]) => {
    if (!isActive.has(state.id)) return [];
    const had = wasActive.has(state.id) ? before.states.find(({ id }) => id === state.id) : undefined;
    const invokes = state.invokes.filter(({ id }) => !had?.invokes.some((known) => known.id === id));
    const timers = state.after.filter(({ id }) => !had?.after.some((known) => known.id === id));
    return [
      ...invokes.map(({ id }) => `invoke "${id}" of state "${name}" would not be started`),
      ...timers.map(({ delay }) => `timer ${delay} of state "${name}" would not be set`),
    ];
  });
}

// ---- changes

function machineChanges(from: OneMachine, to: OneMachine): string[] {
  if (from.id !== to.id) return [`machine "${from.id}" is now "${to.id}", and so are the ids of its states`];
  const changes: string[] = [];
  if (from.version !== to.version) changes.push(`version ${from.version ?? "(none)"} is now ${to.version ?? "(none)"}`);
  const [before, after] = [statesByName(from), statesByName(to)];
  for (const name of before.keys()) if (!after.has(name)) changes.push(`state "${name}" is gone`);
  for (const [name, state] of after) {
    const was = before.get(name);
    changes.push(...(was === undefined ? [`state "${name}" is new`] : stateChanges(was, state, name)));
  }
  changes.push(...keyChanges(from.actors, to.actors, (name) => `actor "${name}"`, actorChange));
  return changes;
}

const actorChange = (was: ActorStructure, is: ActorStructure): string | undefined =>
  was.kind === is.kind ? undefined : `is now of kind ${is.kind}, was ${was.kind}`;

function stateChanges(was: StateStructure, is: StateStructure, name: string): string[] {
  const of = `of state "${name}"`;
  const changes: string[] = [];
  if (was.id !== is.id) changes.push(`the id ${of} is now "${is.id}", was "${was.id}"`);
  if (was.type !== is.type) changes.push(`state "${name}" is now ${is.type}, was ${was.type}`);
  if (was.initial !== is.initial && was.type === is.type) changes.push(`state "${name}" now begins in "${is.initial}", not in "${was.initial}"`);
  const rest = ({ history, targets }: StateStructure): string => canonicalJson([history, targets]);
  if (rest(was) !== rest(is) && was.type === is.type) changes.push(`the history ${of} changed`);
  if (canonicalJson(was.tags) !== canonicalJson(is.tags)) changes.push(`the tags ${of} changed`);
  const isOther = (a: unknown, b: unknown): string | undefined => (canonicalJson(a) === canonicalJson(b) ? undefined : "changed");
  const calls = (a: string, b: string): string | undefined => (a === b ? undefined : `now calls "${b}"`);
  const srcs = ({ invokes }: StateStructure) => Object.fromEntries(invokes.map(({ id, src }) => [id, src]));
  const timers = ({ after }: StateStructure) => Object.fromEntries(after.map(({ delay, transitions }) => [String(delay), transitions]));
  changes.push(...keyChanges(srcs(was), srcs(is), (id) => `invoke "${id}" ${of}`, calls));
  changes.push(...keyChanges(timers(was), timers(is), (delay) => `timer ${delay} ${of}`, isOther));
  changes.push(...keyChanges(was.on, is.on, (type) => `event "${type}" ${of}`, isOther));
  if (isOther(was.always, is.always) !== undefined) changes.push(`the always transitions ${of} changed`);
  return changes;
}

function keyChanges<T>(
  was: Readonly<Record<string, T>>,
  is: Readonly<Record<string, T>>,
  words: (key: string) => string,
  change: (was: T, is: T) => string | undefined,
): string[] {
  const gone = Object.keys(was).filter((key) => !Object.hasOwn(is, key));
  const added = Object.keys(is).filter((key) => !Object.hasOwn(was, key));
  const changed = inBoth(was, is).flatMap(([key, a, b]) => change(a, b)?.replace(/^/, `${words(key)} `) ?? []);
  return [...gone.map((key) => `${words(key)} is gone`), ...changed, ...added.map((key) => `${words(key)} is new`)];
}

function inBoth<T>(was: Readonly<Record<string, T>>, is: Readonly<Record<string, T>>): [string, T, T][] {
  return Object.entries(was).flatMap(([key, value]): [string, T, T][] => (Object.hasOwn(is, key) ? [[key, value, is[key]!]] : []));
}

/** The root has no place below itself. */
const ROOT_NAME = "(root)";

function statesByName({ states }: OneMachine): Map<string, StateStructure> {
  const places = new Map<string, string>();
  return new Map(
    states.map((state) => {
      if (state.parent === undefined) return [ROOT_NAME, state];
      const above = places.get(state.parent);
      const name = above === undefined ? state.key : `${above}.${state.key}`;
      places.set(state.id, name);
      return [name, state];
    }),
  );
}

// ---- problems

function machineProblems(structure: MachineStructure, index: number, active: ActiveMachine, place: string): string[] {
  const machine = structure.machines[index]!;
  const { ids, problems } = configuration(machine, active.value);
  const states = machine.states.filter(({ id }) => ids.includes(id));
  const lines = [...problems];
  const timers = new Set(states.flatMap(({ after }) => after.map(({ id }) => id)));
  for (const timer of active.timers) if (timer.startsWith("xstate.after.") && !timers.has(timer)) lines.push(`timer "${timer}" is gone`);
  for (const id of active.remembered) if (!machine.states.some((state) => state.id === id)) lines.push(`state "${id}", which its history remembers, is gone`);
  const invokes = new Map(states.flatMap(({ invokes }) => invokes.map(({ id, src }) => [id, src])));
  for (const { id, src } of active.invoked) {
    const now = invokes.get(id);
    if (now === undefined) lines.push(`invoke "${id}" is gone`);
    else if (now !== src) lines.push(`invoke "${id}" now calls "${now}", not "${src}"`);
  }
  const still = active.invoked.filter(({ id, src }) => invokes.get(id) === src);
  const below = [...still, ...active.spawned].flatMap((actor) => actorProblems(structure, machine, actor, place));
  return [...lines.map((line) => place + line), ...below];
}

function actorProblems(structure: MachineStructure, { actors }: OneMachine, actor: ActiveActor, place: string): string[] {
  const { id, src, machine } = actor;
  const now = Object.hasOwn(actors, src) ? actors[src]! : undefined;
  if (now === undefined) return [`${place}actor "${src}", which "${id}" runs, is gone`];
  if (now.kind === "step") return [];
  if ("machine" in now && machine !== undefined) return machineProblems(structure, now.machine, machine, `${place}"${id}": `);
  if ("machine" in now) return [`${place}actor "${src}", which "${id}" runs, is now a machine`];
  return machine === undefined ? [] : [`${place}actor "${src}", which "${id}" runs, is no machine now`];
}

interface Configuration {
  /** Of the active states that there are. */
  readonly ids: string[];
  readonly problems: string[];
}

/** Follows a state value down from the root. */
function configuration(machine: OneMachine, value: unknown): Configuration {
  const result: Configuration = { ids: [], problems: [] };
  const names = new Map([...statesByName(machine)].map(([name, { id }]) => [id, name]));
  const refuse = (problem: string): void => void result.problems.push(problem);
  const enter = (state: StateStructure, below: unknown): void => {
    result.ids.push(state.id);
    const name = names.get(state.id)!;
    const children = machine.states.filter(({ parent, type }) => parent === state.id && type !== "history");
    const isInto = typeof below === "object" && below !== null;
    const keys = typeof below === "string" ? [below] : isInto ? Object.keys(below) : [];
    const unknown = keys.filter((key) => !children.some((child) => child.key === key));
    for (const key of unknown) refuse(`state "${state.parent === undefined ? key : `${name}.${key}`}" is gone`);
    if (state.type === "compound" && keys.length !== 1) refuse(`state "${name}" must be in one of its states, not in ${keys.length}`);
    const missing = state.type === "parallel" ? children.filter(({ key }) => !keys.includes(key)) : [];
    for (const child of missing) refuse(`state "${names.get(child.id)}" is a region that the run is not in`);
    for (const child of children.filter(({ key }) => keys.includes(key))) enter(child, isInto ? (below as Record<string, unknown>)[child.key] : undefined);
  };
  enter(machine.states[0]!, value);
  return result;
}
