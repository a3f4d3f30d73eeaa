/**
 * Builds the machines of a random system from its spec. Nothing in them can fail but what is meant to: a message to a child that is not
 * there goes to the sender, a second child under a living child's id is not spawned, a timer's id is cancelled before it is used again.
 */
import { type AnyActorLogic, type AnyStateMachine, and, assign, enqueueActions, not, setup, spawnChild, stateIn } from "xstate";
import type { Outside } from "./outside-world.ts";
import { type Compiler, SOON, actionsOf, describe, isAlive, setAlive } from "./statechart-actions.ts";
import { type ChildInput, outsideLogic } from "./statechart-actors.ts";
import {
  EVENTS,
  type GuardSpec,
  type InvokeSpec,
  type MachineSpec,
  type SlotSpec,
  type StateSpec,
  type SystemSpec,
  type TransitionSpec,
} from "./statechart-spec.ts";

const ROOT_BUDGET = 14;
const CHILD_BUDGETS = [0, 6, 4, 3];
/** A fragile child that is born of this count dies at once. */
const BROKEN_INPUT = 3;

/** The root machine of the system, with its children inside. */
export function buildMachine(spec: SystemSpec, outside: Outside): AnyStateMachine {
  const built: AnyStateMachine[] = [];
  for (let index = spec.machines.length - 1; index >= 0; index--) {
    built[index] = new MachineBuilder(spec.machines[index]!, index, built, spec.machines[0]!.slots, outside).build();
  }
  return built[0]!;
}

/** A state of the machine, with the number that its id is made of. */
interface Place {
  readonly spec: StateSpec;
  readonly id: string;
  readonly ancestors: readonly Place[];
}

class MachineBuilder implements Compiler {
  readonly outside: Outside;
  readonly index: number;
  readonly slots: readonly SlotSpec[];
  readonly systemSlots: readonly SlotSpec[];
  readonly #spec: MachineSpec;
  readonly #logic: readonly AnyActorLogic[];
  readonly #places: Place[] = [];
  /** Which states invoke a slot: never two that may be active together. */
  readonly #invokers = new Map<number, Place[]>();

  constructor(spec: MachineSpec, index: number, later: readonly AnyStateMachine[], systemSlots: readonly SlotSpec[], outside: Outside) {
    this.outside = outside;
    this.index = index;
    this.slots = spec.slots;
    this.systemSlots = systemSlots;
    this.#spec = spec;
    const others = outsideLogic(outside);
    const machines = later.slice(index + 1);
    this.#logic = spec.slots.map(({ source }) => {
      if (typeof source === "string") return others[source]!;
      return machines.length === 0 ? others["counts"]! : machines[source % machines.length]!;
    });
    this.#number(spec.top, []);
  }

  get #isFragile(): boolean {
    return this.#spec.isFragile && this.slots.length === 0 && this.index > 0;
  }

  build(): AnyStateMachine {
    const source = setup({
      actors: Object.fromEntries(this.#logic.map((logic, slot) => [`child${slot}`, logic])),
      actions: { mark: (_, { tag }: { tag: string }) => this.outside.record(tag) },
      guards: { isEven: ({ context }: any) => context.n % 2 === 0 },
      delays: { [SOON]: ({ context }: any) => 10 + 10 * (context.n % 4) },
    });
    return source.createMachine(this.#top() as any);
  }

  #top(): object {
    const { on, entry, ...rest } = this.#state(this.#places[0]!) as any;
    const starters = this.slots.flatMap(({ start }, slot) => (start === "entry" ? [this.spawnUnlessAlive(slot)] : []));
    return {
      ...rest,
      context: ({ input, spawn }: any) => this.#firstContext(input, spawn),
      entry: [
        ...(this.#isFragile ? [assign(({ context, event }: any) => this.#breakIf(event.type === "xstate.init" && context.n === BROKEN_INPUT))] : []),
        ...starters,
        ...entry,
      ],
      on: { ...this.#lastResorts(), ...on },
      output: ({ context, event }: any) => {
        this.outside.hit(this.index === 0 ? "root output" : "child output");
        if (this.slots.some((_, slot) => isAlive(context, slot))) this.outside.hit("done with live children");
        return { n: context.n, left: context.left, by: event.type, inner: event.output };
      },
    };
  }

  /** Handlers of the machine as a whole: errors of children, snapshots of spawned ones, and a declaration of each event. */
  #lastResorts(): object {
    const spend = (construct: string): object => ({ actions: this.#spend(construct) });
    return {
      ...Object.fromEntries(EVENTS.map((event) => [event, { guard: () => false }])),
      ...(this.#spec.catches && { "xstate.error.actor.*": spend("error caught by wildcard") }),
      ...(this.#isFragile && { BOOM: { actions: assign(() => this.#breakIf(true)) } }),
      ...Object.fromEntries(
        this.slots.flatMap(({ isWatched, start }, slot) =>
          isWatched && start !== "invoke" ? [[`xstate.snapshot.k${slot}`, { guard: hasBudget, ...spend("snapshot of a spawned child") }]] : [],
        ),
      ),
    };
  }

  #breakIf(isBroken: boolean): object {
    if (!isBroken) return {};
    this.outside.hit("throws");
    throw new TypeError(`m${this.index} broke`);
  }

  #firstContext(input: ChildInput | undefined, spawn: any): object {
    const { path, n, left } = input ?? { path: "run", n: 0, left: ROOT_BUDGET };
    const context = { path, n, left, alive: {} as any, refs: {} as any, peer: undefined, bag: undefined, last: null, seen: [] };
    this.slots.forEach(({ start }, slot) => {
      if (start !== "factory") return;
      this.outside.hit("spawn in the context factory");
      context.alive[`k${slot}`] = true;
      context.refs[`k${slot}`] = spawn(`child${slot}`, { ...this.childOptions(slot), input: this.childInput(slot, context) });
    });
    return context;
  }

  childOptions(slot: number): { id: string; syncSnapshot: boolean; systemId?: string } {
    const { isWatched, start } = this.slots[slot]!;
    const systemId = this.hasSystemId(slot) && { systemId: `sys${slot}` };
    return { id: `k${slot}`, syncSnapshot: isWatched && start !== "invoke", ...systemId };
  }

  /** Only a child that is never replaced: in its first step live xstate gives a system id free too late for the next one. */
  hasSystemId(slot: number): boolean {
    const { start, hasSystemId } = this.slots[slot]!;
    return this.index === 0 && hasSystemId && (start === "factory" || start === "entry");
  }

  childInput(slot: number, { path, n }: { path: string; n: number }): ChildInput {
    return { path: `${path}/k${slot}`, n, left: CHILD_BUDGETS[path.split("/").length] ?? 2 };
  }

  spawnUnlessAlive(slot: number): any {
    return enqueueActions(({ context, enqueue }: any) => {
      if (isAlive(context, slot)) return;
      this.outside.hit("spawnChild");
      enqueue(spawnChild(`child${slot}` as never, { ...this.childOptions(slot), input: this.childInput(slot, context) }));
      enqueue(setAlive(slot, true, () => undefined));
    });
  }

  #number(spec: StateSpec, ancestors: readonly Place[]): void {
    const place: Place = { spec, id: ancestors.length === 0 ? `m${this.index}` : `s${this.#places.length}`, ancestors };
    this.#places.push(place);
    spec.invokes.forEach(({ slot }) => this.#claim(slot % Math.max(1, this.slots.length), place));
    spec.states.forEach((inner) => this.#number(inner, [...ancestors, place]));
  }

  /** The state may invoke the slot if no state does that may be active at the same time. */
  #claim(slot: number, place: Place): void {
    const invokers = this.#invokers.get(slot) ?? [];
    if (this.slots[slot]?.start !== "invoke" || !invokers.every((other) => areExclusive(place, other))) return;
    this.#invokers.set(slot, [...invokers, place]);
  }

  invokes(place: Place): { invoke: InvokeSpec; slot: number }[] {
    const claimed = place.spec.invokes.map((invoke) => ({ invoke, slot: invoke.slot % Math.max(1, this.slots.length) }));
    return claimed.filter(({ slot }, i) => this.#invokers.get(slot)?.includes(place) && claimed.findIndex((other) => other.slot === slot) === i);
  }

  #state(place: Place): object {
    const { spec, id } = place;
    if (isHistory(place)) return { id, type: "history", history: spec.kind };
    const invokes = this.invokes(place);
    const slots = invokes.map(({ slot }) => slot);
    const flow = {
      id,
      entry: [...actionsOf(this, spec.entry, slots), ...slots.map((slot) => setAlive(slot, true, () => undefined))],
      exit: [...actionsOf(this, spec.exit), ...slots.map((slot) => setAlive(slot, false))],
    };
    if (spec.kind === "final") return { ...flow, type: "final", output: ({ context, event }: any) => ({ n: context.n, event: event.type }) };
    return {
      ...flow,
      ...this.#inside(place),
      invoke: invokes.map(({ invoke, slot }) => this.#invoke(place, invoke, slot)),
      on: this.#on(place),
      after: this.#after(place),
      always: spec.always.map((transition) => this.#always(place, transition)),
    };
  }

  #inside(place: Place): object {
    const inner = this.#places.filter(({ ancestors }) => ancestors.at(-1) === place);
    const first = inner.find((child) => !isHistory(child));
    if (first === undefined) return {};
    const onDone = place.spec.onDone !== null && place.ancestors.length > 0 && { onDone: this.#transition(place, place.spec.onDone, "state done") };
    const states = { states: Object.fromEntries(inner.map((child) => [child.id, this.#state(child)])), ...onDone };
    return place.spec.kind === "parallel" ? { type: "parallel", ...states } : { initial: first.id, ...states };
  }

  /** A fragile machine has no wildcard: whatever ran beside the action that throws, live xstate would have done. */
  #on(place: Place): object {
    const handlers = place.spec.on.filter(({ event }) => event !== "*" || !this.#isFragile);
    const byEvent = Map.groupBy(handlers, ({ event }) => event);
    return Object.fromEntries(
      [...byEvent].map(([event, all]) => [event, all.map((transition) => this.#transition(place, transition, event === "*" ? "wildcard" : "transition"))]),
    );
  }

  #after(place: Place): object {
    const byDelay = Map.groupBy(place.spec.after, ({ delay }) => (delay === "dynamic" ? SOON : delay));
    return Object.fromEntries(
      [...byDelay].map(([delay, all]) => [delay, all.map((transition) => this.#transition(place, transition, delay === SOON ? "after dynamic" : "after"))]),
    );
  }

  /** An `always` needs an odd count, or the like, and changes it: it does not go round in circles until the budget is spent. */
  #always(place: Place, transition: TransitionSpec): object {
    const guard: GuardSpec = transition.guard.kind === "none" ? { kind: "odd" } : transition.guard;
    return this.#transition(place, { ...transition, guard, actions: [{ kind: "count" }, ...transition.actions] }, "always");
  }

  #invoke(place: Place, { onDone, onError, onSnapshot }: InvokeSpec, slot: number): object {
    const { source, isInline } = this.slots[slot]!;
    const isShared = this.#invokers.get(slot)!.length > 1;
    return {
      id: `k${slot}`,
      src: isInline ? this.#logic[slot] : `child${slot}`,
      input: ({ context }: any) => {
        this.outside.hit(`invoke ${typeof source === "number" ? "machine" : source}`);
        if (isInline) this.outside.hit("invoke inline");
        if (isShared) this.outside.hit("invoke with the id of a sibling's");
        return this.childInput(slot, context);
      },
      ...(onDone !== null && { onDone: this.#transition(place, onDone, "onDone") }),
      ...(onError !== null && { onError: this.#transition(place, onError, "onError") }),
      ...(onSnapshot !== null && { onSnapshot: this.#transition(place, onSnapshot, "onSnapshot") }),
    };
  }

  #transition(source: Place, { target, reenter, guard, actions }: TransitionSpec, construct = "transition"): object {
    const place = target === null ? undefined : this.#targetOf(source, target);
    const constructs = [
      construct,
      ...(place !== undefined && isHistory(place) ? [`${place.spec.kind} history`] : []),
      ...(reenter && place !== undefined ? ["reenter"] : []),
    ];
    return {
      ...(place !== undefined && { target: `#${place.id}`, reenter }),
      guard: this.guardOf(guard),
      actions: [...this.#spend(...constructs), ...actionsOf(this, actions)],
    };
  }

  /** History is rare among the states, and is aimed at more often than its number. */
  #targetOf(source: Place, target: number): Place {
    const history = this.#places.filter((place) => isHistory(place) && areExclusive(source, place.ancestors.at(-1)!));
    if (target % 2 === 0 && history.length > 0) return history[(target / 2) % history.length]!;
    const place = this.#places[1 + (target % (this.#places.length - 1))]!;
    if (!isHistory(place) || history.includes(place)) return place;
    // The history of a state that is active: stock xstate would enter that again without leaving it, and set its timers twice.
    return this.#places.find(({ ancestors }) => ancestors.at(-1) === place.ancestors.at(-1))!;
  }

  /** Takes one from the budget and notes what happened. */
  #spend(...constructs: string[]): any[] {
    return [
      assign(({ context, event }: any) => {
        for (const construct of constructs) this.outside.hit(construct);
        if (event.type.startsWith("xstate.error.actor.")) this.outside.hit("error handled");
        return { left: context.left - 1, last: describe(event), seen: [...context.seen, event.type].slice(-3) };
      }),
    ];
  }

  guardOf(guard: GuardSpec): any {
    const { outside } = this;
    const told = (construct: string, test: (args: any) => boolean) => (args: any) => {
      outside.hit(construct);
      return test(args);
    };
    switch (guard.kind) {
      case "none":
        return hasBudget;
      case "even":
        return and([hasBudget, "isEven"] as never[]);
      case "odd":
        return and([hasBudget, not("isEven" as never)] as never[]);
      case "bagIsUndefined":
        return told("guard on context", ({ context }) => context.left > 0 && "bag" in context && context.bag === undefined);
      case "event":
        return told("guard on event", ({ context, event }) => context.left > 0 && (event.v ?? 0) > guard.above);
      case "in":
      case "notIn": {
        const inside = stateIn(`#${this.#places[guard.state % this.#places.length]!.id}` as never);
        const check = guard.kind === "in" ? inside : not(inside as never);
        return and([told("guard stateIn", hasBudget), check] as never[]);
      }
    }
  }
}

function isHistory({ spec }: Place): boolean {
  return spec.kind === "shallow" || spec.kind === "deep";
}

function hasBudget({ context }: any): boolean {
  return context.left > 0;
}

/** Whether two states are never active together: they part at a compound state. */
function areExclusive(one: Place, other: Place): boolean {
  const [first, second] = [
    [...one.ancestors, one],
    [...other.ancestors, other],
  ];
  const parting = first.findIndex((place, depth) => place !== second[depth]);
  return parting > 0 && parting < second.length && first[parting - 1]!.spec.kind === "compound";
}
