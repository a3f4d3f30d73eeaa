/**
 * Random systems of statecharts as plain JSON: a root machine, the machines it may invoke or spawn, and a script of events and time.
 * Numbers that point at something (a target, a slot) are taken modulo what there is, so each spec is legal and shrinks freely.
 *
 * 1. A machine has children only of machines further down the list: no system is deeper than the list is long.
 * 2. Each transition costs its actor one of its budget: no system goes on for ever, whatever it sends, raises or invokes.
 */
import fc from "fast-check";

export type Step = { readonly kind: "send"; readonly event: { readonly type: string; readonly [field: string]: unknown } } | Advance;
interface Advance {
  readonly kind: "advance";
  readonly ms: number;
}

/** The first machine is the root; each may have children of the machines behind it. */
export interface SystemSpec {
  readonly machines: readonly MachineSpec[];
  readonly steps: readonly Step[];
}

export interface MachineSpec {
  readonly slots: readonly SlotSpec[];
  readonly top: StateSpec;
  /** May throw: when it hears `BOOM`, or at once when its input says so. Only honoured for a machine without children. */
  readonly isFragile: boolean;
  /** Handles the errors of all its children, whatever the invokes say. */
  readonly catches: boolean;
}

/** A child that a machine may have, under the id `k` and its number. */
export interface SlotSpec {
  /** A machine further down (counted from the next one) or other logic by its name. */
  readonly source: number | OutsideSource | "counts";
  /** Spawned in the context factory, by the first entry action, by an invoke, or by actions. */
  readonly start: "factory" | "entry" | "invoke" | "action";
  readonly isWatched: boolean;
  readonly isInline: boolean;
  readonly hasSystemId: boolean;
}
/** Settles a promise, speaks, or does nothing, when the outside world comes to it. Those that speak may speak twice after a crash. */
export type OutsideSource = "resolves" | "rejects" | "hangs" | "listens" | "echoes" | "observes" | "observesEvents";

export interface StateSpec {
  readonly kind: "atomic" | "compound" | "parallel" | "final" | "shallow" | "deep";
  readonly states: readonly StateSpec[];
  readonly entry: readonly ActionSpec[];
  readonly exit: readonly ActionSpec[];
  readonly invokes: readonly InvokeSpec[];
  readonly on: readonly ({ readonly event: string } & TransitionSpec)[];
  readonly after: readonly ({ readonly delay: number | "dynamic" } & TransitionSpec)[];
  readonly always: readonly TransitionSpec[];
  readonly onDone: TransitionSpec | null;
}

export interface InvokeSpec {
  readonly slot: number;
  readonly onDone: TransitionSpec | null;
  readonly onError: TransitionSpec | null;
  readonly onSnapshot: TransitionSpec | null;
}

export interface TransitionSpec {
  readonly target: number | null;
  readonly reenter: boolean;
  readonly guard: GuardSpec;
  readonly actions: readonly ActionSpec[];
}

export type GuardSpec =
  | { readonly kind: "none" | "even" | "odd" | "bagIsUndefined" }
  | { readonly kind: "event"; readonly above: number }
  | { readonly kind: "in" | "notIn"; readonly state: number };

export type Receiver =
  | { readonly kind: "child"; readonly slot: number }
  | { readonly kind: "system"; readonly slot: number }
  | { readonly kind: "parent" | "self" | "peer" };

/** What an event carries as `peer`: nothing, its sender, or a child of its sender. */
export type Carried = "nothing" | "self" | number;

export type KeptValue = "undefined" | "date" | "map" | "set" | "bigint" | "nan" | "error" | "refs" | "plain";

export type ActionSpec =
  | { readonly kind: "mark" | "log" | "emit" | "count" | "remember" }
  | { readonly kind: "keep"; readonly value: KeptValue }
  | { readonly kind: "raise"; readonly event: string }
  | { readonly kind: "raiseLater"; readonly event: string; readonly delayMs: number; readonly id: number | null }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "send"; readonly to: Receiver; readonly event: string; readonly carried: Carried }
  | { readonly kind: "sendLater"; readonly to: Receiver; readonly event: string; readonly delayMs: number; readonly id: number | null }
  | { readonly kind: "forward"; readonly slot: number }
  | { readonly kind: "spawn"; readonly slot: number; readonly isAssigned: boolean }
  | { readonly kind: "stop"; readonly slot: number; readonly isByRef: boolean }
  | { readonly kind: "enqueue"; readonly guard: GuardSpec; readonly actions: readonly ActionSpec[] };

export const EVENTS = ["A", "B", "C", "D"] as const;

const eventType = fc.constantFrom<string>(...EVENTS);
const pointer = fc.nat({ max: 11 });
const delayMs = fc.integer({ min: 1, max: 7 }).map((tens) => tens * 10);
const timerId = fc.option(fc.nat({ max: 2 }));

const guard: fc.Arbitrary<GuardSpec> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ kind: "none" as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("even" as const, "odd" as const, "bagIsUndefined" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("event" as const), above: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("in" as const, "notIn" as const), state: pointer }) },
);

const receiver: fc.Arbitrary<Receiver> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("child" as const), slot: pointer }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("parent" as const, "peer" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("self" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("system" as const), slot: pointer }) },
);

const sentType = fc.oneof({ weight: 9, arbitrary: eventType }, { weight: 1, arbitrary: fc.constant("BOOM") });
const carried: fc.Arbitrary<Carried> = fc.oneof(fc.constant("nothing" as const), fc.constant("self" as const), pointer);
const keptValue = fc.constantFrom<KeptValue>("undefined", "date", "map", "set", "bigint", "nan", "error", "refs", "plain");

const leafAction: fc.Arbitrary<ActionSpec> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("mark" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("count" as const, "remember" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("log" as const, "emit" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("keep" as const), value: keptValue }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("raise" as const), event: eventType }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("raiseLater" as const), event: eventType, delayMs, id: timerId }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), id: fc.nat({ max: 2 }) }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant("send" as const), to: receiver, event: sentType, carried }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sendLater" as const), to: receiver, event: sentType, delayMs, id: timerId }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forward" as const), slot: pointer }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("spawn" as const), slot: pointer, isAssigned: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stop" as const), slot: pointer, isByRef: fc.boolean() }) },
);
const action: fc.Arbitrary<ActionSpec> = fc.oneof(
  { weight: 9, arbitrary: leafAction },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("enqueue" as const), guard, actions: fc.array(leafAction, { minLength: 1, maxLength: 2 }) }) },
);
const actions = (max: number): fc.Arbitrary<ActionSpec[]> => fc.array(action, { maxLength: max });

const transition: fc.Arbitrary<TransitionSpec> = fc.record({
  target: fc.option(pointer, { freq: 3 }),
  reenter: fc.boolean(),
  guard,
  actions: actions(3),
});

const handler = fc.tuple(fc.oneof({ weight: 15, arbitrary: eventType }, { weight: 1, arbitrary: fc.constant("*") }), transition);
const delayed = fc.tuple(fc.oneof({ weight: 3, arbitrary: delayMs }, { weight: 1, arbitrary: fc.constant("dynamic" as const) }), transition);

const invoke: fc.Arbitrary<InvokeSpec> = fc.record({
  slot: pointer,
  onDone: fc.option(transition, { freq: 4 }),
  onError: fc.option(transition, { freq: 6 }),
  onSnapshot: fc.option(transition, { freq: 2 }),
});

const NOTHING = { states: [], entry: [], exit: [], invokes: [], on: [], after: [], always: [], onDone: null } as const;

const ending: fc.Arbitrary<StateSpec> = fc
  .record({ entry: actions(1), exit: actions(1) })
  .map(({ entry, exit }) => ({ ...NOTHING, kind: "final" as const, entry, exit }));
const history: fc.Arbitrary<StateSpec> = fc.constantFrom("shallow" as const, "deep" as const).map((kind) => ({ ...NOTHING, kind }));

/** A state with what belongs to any state, and these states inside. */
function state(kind: StateSpec["kind"], states: fc.Arbitrary<StateSpec[]>): fc.Arbitrary<StateSpec> {
  return fc.record({
    kind: fc.constant(kind),
    states,
    entry: actions(2),
    exit: actions(1),
    invokes: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 3, arbitrary: fc.array(invoke, { minLength: 1, maxLength: 2 }) }),
    on: fc.array(
      handler.map(([event, rest]) => ({ event, ...rest })),
      { minLength: kind === "atomic" ? 1 : 0, maxLength: 3 },
    ),
    after: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      {
        weight: 1,
        arbitrary: fc.array(
          delayed.map(([delay, rest]) => ({ delay, ...rest })),
          { minLength: 1, maxLength: 2 },
        ),
      },
    ),
    always: fc.oneof({ weight: 6, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(transition, { minLength: 1, maxLength: 1 }) }),
    onDone: fc.option(transition),
  });
}

function inner(depth: number): fc.Arbitrary<StateSpec> {
  const atomic = state("atomic", fc.constant([]));
  if (depth === 0) return fc.oneof({ weight: 5, arbitrary: atomic }, { weight: 2, arbitrary: ending }, { weight: 1, arbitrary: history });
  return fc.oneof(
    { weight: 5, arbitrary: atomic },
    { weight: 2, arbitrary: state("compound", inside("compound", depth, 3)) },
    { weight: 2, arbitrary: state("parallel", inside("parallel", depth, 3)) },
    { weight: 1, arbitrary: ending },
    { weight: 1, arbitrary: history },
  );
}

/** The states inside: the first is no history, since the way in leads to it. */
function inside(kind: "compound" | "parallel", depth: number, max: number): fc.Arbitrary<StateSpec[]> {
  const first = kind === "parallel" || depth > 1 ? inner(depth - 1) : state("atomic", fc.constant([]));
  return fc
    .tuple(first, fc.array(inner(depth - 1), { minLength: 1, maxLength: max - 1 }))
    .map(([head, rest]) => [head.kind === "shallow" || head.kind === "deep" ? { ...NOTHING, kind: "atomic" as const } : head, ...rest]);
}

/** Which logic a system may contain. Logic that speaks by itself speaks again after a crash: no comparison holds for it then. */
export interface SpecOptions {
  readonly speaks: boolean;
}

function slot({ speaks }: SpecOptions): fc.Arbitrary<SlotSpec> {
  const quiet = fc.constantFrom<SlotSpec["source"]>("resolves", "rejects", "rejects", "hangs", "listens", "counts");
  const speaking = fc.constantFrom<SlotSpec["source"]>("echoes", "observes", "observesEvents");
  return fc.record({
    source: fc.oneof({ weight: 6, arbitrary: fc.nat({ max: 2 }) }, { weight: 4, arbitrary: quiet }, ...(speaks ? [{ weight: 5, arbitrary: speaking }] : [])),
    start: fc.constantFrom("factory", "entry", "invoke", "invoke", "action"),
    isWatched: fc.nat({ max: 4 }).map((n) => n === 4),
    isInline: fc.nat({ max: 4 }).map((n) => n === 4),
    hasSystemId: fc.boolean(),
  });
}

function machine(options: SpecOptions, depth: number, slotsMax: number): fc.Arbitrary<MachineSpec> {
  const top = fc.oneof(
    { weight: 3, arbitrary: state("compound", inside("compound", depth, 4)) },
    { weight: 1, arbitrary: state("parallel", inside("parallel", depth, 3)) },
  );
  return fc.record({
    slots: fc.array(slot(options), { minLength: Math.min(1, slotsMax), maxLength: slotsMax }),
    top,
    isFragile: fc.boolean(),
    catches: fc.nat({ max: 3 }).map((n) => n < 3),
  });
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("send" as const), event: fc.record({ type: eventType, v: fc.nat({ max: 4 }) }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: delayMs }) },
);

/** A system of one to four machines, and a script of up to eight steps. */
export function statechartSpec(options: SpecOptions = { speaks: true }): fc.Arbitrary<SystemSpec> {
  return fc.record({
    machines: fc
      .tuple(machine(options, 2, 3), fc.array(machine(options, 1, 2), { maxLength: 2 }), fc.option(machine(options, 1, 0), { freq: 4 }))
      .map(([root, between, leaf]) => [root, ...between, ...(leaf === null ? [] : [leaf])]),
    steps: fc.array(step, { minLength: 3, maxLength: 8 }),
  });
}
