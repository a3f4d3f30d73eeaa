/**
 * The stored structure of a machine as the configuration that Stately's viewer draws: plain JSON of which createMachine
 * makes the same states and transitions. What functions do is not stored, so actions are not in it.
 */
import type { MachineStructure } from "../index.ts";

type OneMachine = MachineStructure["machines"][number];
type State = OneMachine["states"][number];
type Transition = State["always"][number];
type Ids = ReadonlyMap<string, State>;

/** The configuration as JSON; undefined for what is no machine. */
export function configText(machine: OneMachine | undefined): string | undefined {
  return machine === undefined ? undefined : JSON.stringify(configOf(machine));
}

function configOf({ states, version }: OneMachine): object {
  const ids = new Map(states.map((state) => [state.id, state]));
  const below = Map.groupBy(states, ({ parent }) => parent);
  const [root] = below.get(undefined) ?? [];
  return root === undefined ? {} : { ...given({ version }), ...stateConfig(root, below, ids) };
}

function stateConfig(state: State, below: ReadonlyMap<string | undefined, readonly State[]>, ids: Ids): object {
  const { id, type, initial, history, targets, on, always, after, invokes, tags } = state;
  const children = below.get(id) ?? [];
  const transitions = (list: readonly Transition[]): object[] => list.map((one) => transitionConfig(one, ids));
  return given({
    id: isNamedByPath(state, ids) ? undefined : id,
    type: type === "atomic" || type === "compound" ? undefined : type,
    initial,
    history,
    target: targets?.map((target) => address(target, ids)),
    tags: tags.length > 0 ? tags : undefined,
    invoke: invokes.length > 0 ? invokes : undefined,
    on: filled(Object.entries(on).map(([event, list]) => [event, transitions(list)])),
    after: filled(after.map(({ delay, transitions: list }) => [String(delay), transitions(list)])),
    always: always.length > 0 ? transitions(always) : undefined,
    states: filled(children.map((child) => [child.key, stateConfig(child, below, ids)])),
  });
}

function transitionConfig({ targets, guard, reenter }: Transition, ids: Ids): object {
  return given({ target: targets.length > 0 ? targets.map((target) => address(target, ids)) : undefined, guard, reenter });
}

/** Did the state get its id from xstate: that of its parent and its key? */
function isNamedByPath({ id, parent, key }: State, ids: Ids): boolean {
  return parent !== undefined && ids.has(parent) && id === `${parent}.${key}`;
}

/** A target by id. A dot within an id or key is no step on the path. */
function address(id: string, ids: Ids): string {
  const state = ids.get(id);
  if (state === undefined || !isNamedByPath(state, ids)) return `#${escaped(id)}`;
  return `${address(state.parent!, ids)}.${escaped(state.key)}`;
}

function escaped(text: string): string {
  return text.replaceAll(".", String.raw`\.`);
}

function filled(entries: [string, unknown][]): object | undefined {
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function given(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
