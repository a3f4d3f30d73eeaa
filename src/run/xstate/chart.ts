/**
 * The one file that knows xstate's inside: turns of a machine as data.
 * 1. A turn is pure: `machine.transition(snapshot, event, scope)` with a scope that records instead of acting.
 * 2. Effects come in xstate's own order: its built-ins defer, and the deferred functions run against the recorder.
 * 3. Because turns are pure, the turn of one snapshot by one frozen event (a fact without a payload) is computed once
 *    and shared by all actors that make it.
 * What xstate must keep for this to hold is pinned in test/run/xstate.test.ts.
 */
import type { AnyStateMachine, AnyActorScope, SnapshotFrom, EventFromLogic, InputFrom } from "xstate";

export type { SnapshotFrom as SnapshotOf } from "xstate";

/** What a turn asks for. Nothing of it has happened yet. */
export type Effect =
  | { readonly kind: "action"; readonly type: string }
  | { readonly kind: "schedule"; readonly id: string; readonly delayMs: number; readonly event: { readonly type: string } }
  | { readonly kind: "cancel"; readonly id: string };

export interface Turn<Snapshot> {
  readonly snapshot: Snapshot;
  readonly effects: readonly Effect[];
}

/** An `always` loop ends with an error after so many microsteps of one macrostep. */
const MICROSTEPS_MAX = 1_000;

class Recorder {
  effects: Effect[] = [];
  readonly #deferred: (() => void)[] = [];
  readonly scope: AnyActorScope;

  constructor() {
    const scheduler = {
      schedule: (source: unknown, target: unknown, event: { type: string }, delayMs: number, id: string) =>
        source === target ? void this.effects.push({ kind: "schedule", id, delayMs, event }) : refuse(),
      cancel: (_source: unknown, id: string) => void this.effects.push({ kind: "cancel", id }),
      cancelAll: () => {},
    };
    const system = { scheduler, _bookId: refuse, _register() {}, _unregister() {}, _set() {}, get() {}, _relay: refuse, _sendInspectionEvent() {} };
    const self = { id: "self", sessionId: "self", system, _parent: undefined, send: refuse, getSnapshot: refuse };
    this.scope = {
      self,
      id: "self",
      sessionId: "self",
      system,
      logger: () => {},
      defer: (work: () => void) => void this.#deferred.push(work),
      stopChild: refuse,
      emit: refuse,
      actionExecutor: (action: { type: string; exec?: (info: unknown, params: unknown) => void; info: unknown; params: unknown }) => {
        if (action.type.startsWith("xstate.")) action.exec?.(action.info, action.params);
        else this.effects.push({ kind: "action", type: action.type });
      },
    } as unknown as AnyActorScope;
  }

  /** What the turn in `work` gives and asks for. */
  record<Snapshot>(work: () => Snapshot): Turn<Snapshot> {
    this.effects = [];
    try {
      const snapshot = work();
      for (const deferred of this.#deferred) deferred();
      const status = (snapshot as { status?: string; error?: unknown }).status;
      if (status === "error") throw (snapshot as { error?: unknown }).error;
      return { snapshot, effects: this.effects };
    } finally {
      this.#deferred.length = 0;
    }
  }
}

function refuse(): never {
  throw new Error("this machine may not spawn, send or emit");
}

const recorder = new Recorder();

/** A machine of pawl's own, driven turn by turn. */
export class Chart<Machine extends AnyStateMachine> {
  readonly #machine: Machine;
  readonly #initial = new WeakMap<object, Turn<SnapshotFrom<Machine>>>();
  readonly #shared = new WeakMap<object, Map<object, Turn<SnapshotFrom<Machine>>>>();

  constructor(machine: Machine) {
    this.#machine = machine;
    Object.assign(machine.options ?? {}, { maxIterations: MICROSTEPS_MAX });
  }

  /** The first turn of an actor. The same `input` object gives the very same turn. */
  initial(input: InputFrom<Machine> & object): Turn<SnapshotFrom<Machine>> {
    const known = this.#initial.get(input);
    if (known !== undefined) return known;
    const turn = recorder.record(() => this.#machine.getInitialSnapshot(recorder.scope, input) as SnapshotFrom<Machine>);
    this.#initial.set(input, turn);
    return turn;
  }

  /** What the event makes of the snapshot. */
  turn(snapshot: SnapshotFrom<Machine>, event: EventFromLogic<Machine>): Turn<SnapshotFrom<Machine>> {
    if (!Object.isFrozen(event)) return this.#compute(snapshot, event);
    let turns = this.#shared.get(snapshot);
    if (turns === undefined) this.#shared.set(snapshot, (turns = new Map<object, Turn<SnapshotFrom<Machine>>>()));
    let turn = turns.get(event);
    if (turn === undefined) turns.set(event, (turn = this.#compute(snapshot, event)));
    return turn;
  }

  #compute(snapshot: SnapshotFrom<Machine>, event: EventFromLogic<Machine>): Turn<SnapshotFrom<Machine>> {
    return recorder.record(() => this.#machine.transition(snapshot as never, event as never, recorder.scope) as SnapshotFrom<Machine>);
  }

  /** The snapshot of a stored state; runs nothing. Throws when the machine has no such state. */
  restore(value: string, context: SnapshotFrom<Machine>["context"]): SnapshotFrom<Machine> {
    if (!Object.hasOwn(this.#machine.states, value)) throw new Error(`the machine "${this.#machine.id}" has no state "${value}"`);
    const status = this.#machine.states[value]?.type === "final" ? "done" : "active";
    const snapshot = this.#machine.restoreSnapshot({ status, value, children: {}, historyValue: {} } as never, recorder.scope);
    return Object.assign(snapshot, { context }) as unknown as SnapshotFrom<Machine>;
  }
}

/** The event of a state's `after`, for a timer that a row remembers. */
export function afterEvent(delay: string, stateId: string): { readonly type: string } {
  return { type: `xstate.after.${delay}.${stateId}` };
}
