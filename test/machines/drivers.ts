/**
 * Three ways to run a machine: live, as pawl's chart, and as a chart that is stored and restored after every step.
 * 1. All three are told the same and say the same: state, context, actions in order, timers that are armed.
 * 2. No driver knows a machine; time passes only when a timer is fired.
 * 3. A machine that invokes actors is no chart: it is run live here, and through crashes in test/machines/step.test.ts.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { type AnyActor, type AnyStateMachine, SimulatedClock, createActor, fromPromise } from "xstate";
import { decode, encode } from "../../src/run/codec.ts";
import { Chart, type Effect, type Turn } from "../../src/run/xstate/chart.ts";
import { hostActionsOf, invokes } from "./definition.ts";

export type AnyEvent = { readonly type: string };

/** What can be seen of an actor at rest, and what its last step asked for. */
export interface Moment {
  readonly value: string;
  readonly status: string;
  readonly context: any;
  readonly actions: readonly string[];
  /** Delays of the timers that are armed, in ms. */
  readonly timersMs: readonly number[];
  /** What it was told last. */
  readonly told?: AnyEvent;
}

/** One actor of a machine. The constructor starts it. */
export interface Driver {
  send(event: AnyEvent): void;
  /** The timer that is armed fires, as this event when it is given; false when none is armed. */
  fire(event?: AnyEvent): boolean;
  /** The invoked actor that this event tells of has ended, if it is there. */
  settle(event: AnyEvent): void;
  moment(): Moment;
}

export type DriverMaker = (machine: AnyStateMachine, input: object) => Driver;

export const DRIVERS: Readonly<Record<string, DriverMaker>> = {
  live: (machine, input) => new LiveDriver(machine, input),
  chart: (machine, input) => new ChartDriver(chartOf(machine), input),
  restored: (machine, input) => new RestoredDriver(chartOf(machine), input),
};

/** The drivers that can run the machine. */
export function driversOf(machine: AnyStateMachine): Readonly<Record<string, DriverMaker>> {
  return invokes(machine) ? { live: DRIVERS["live"]! } : DRIVERS;
}

/** A timer that fires, whichever is armed. */
export const TICK: AnyEvent = Object.freeze({ type: "tick" });

/** The moments of each driver through these events, the first included. Throws where the drivers differ. */
export function agreedMoments(machine: AnyStateMachine, input: object, events: readonly AnyEvent[], drivers = driversOf(machine)): Moment[] {
  const [first, ...others] = Object.entries(drivers).map(([name, make]) => ({ name, moments: play(make(machine, input), events) }));
  for (const { name, moments } of others) deepStrictEqual(moments, first!.moments, `${name} differs from ${first!.name}`);
  return first!.moments;
}

function play(driver: Driver, events: readonly AnyEvent[]): Moment[] {
  const first = driver.moment();
  return [first, ...tell(driver, events)];
}

/** Sends events and fires timers; what was to be seen after each. Throws when a timer that the events name is not armed. */
export function tell(driver: Driver, events: readonly AnyEvent[]): Moment[] {
  return events.map((event) => {
    if (event === TICK) driver.fire();
    else if (event.type.startsWith("xstate.after.")) ok(driver.fire(event), `no timer is armed for ${event.type}`);
    else if (SETTLED.test(event.type)) driver.settle(event);
    else driver.send(event);
    return { ...driver.moment(), told: event };
  });
}

/** What xstate tells a machine of an actor that it invoked. */
export const SETTLED = /^xstate\.(?:done|error)\.actor\.(.+)$/;

class RecordingClock extends SimulatedClock {
  readonly armed = new Map<number, number>();

  override setTimeout(callback: (...args: any[]) => void, delayMs: number): number {
    const id = super.setTimeout(() => {
      this.armed.delete(id);
      callback();
    }, delayMs);
    this.armed.set(id, delayMs);
    return id;
  }

  override clearTimeout(id: number): void {
    this.armed.delete(id);
    super.clearTimeout(id);
  }
}

/** To provide a machine with actions makes another machine, which takes long: it is done once. */
const heardMachines = new WeakMap<AnyStateMachine, AnyStateMachine>();
const hearers = new WeakMap<AnyActor, (action: string) => void>();

/** The machine with every action of the host provided: told to who listens to its actor. */
function heard(machine: AnyStateMachine): AnyStateMachine {
  let known = heardMachines.get(machine);
  if (known === undefined) {
    const spies = Object.fromEntries(hostActionsOf(machine).map((name) => [name, ({ self }: { self: AnyActor }) => hearers.get(self)!(name)]));
    const actors = Object.fromEntries(Object.keys(machine.implementations.actors).map((name) => [name, fromPromise(() => new Promise(() => {}))]));
    heardMachines.set(machine, (known = machine.provide({ actions: spies as any, actors })));
  }
  return known;
}

/** xstate's own actor. */
class LiveDriver implements Driver {
  readonly #clock = new RecordingClock();
  readonly #actor: AnyActor;
  #actions: string[] = [];

  constructor(machine: AnyStateMachine, input: object) {
    this.#actor = createActor(heard(machine), { clock: this.#clock, input });
    hearers.set(this.#actor, (action) => void this.#actions.push(action));
    // an actor that ends with an error throws it at nobody
    this.#actor.subscribe({ error: () => {} });
    this.#actor.start();
  }

  send(event: AnyEvent): void {
    this.#actions = [];
    this.#actor.send(event);
  }

  fire(): boolean {
    this.#actions = [];
    if (this.#clock.armed.size === 0) return false;
    strictEqual(this.#clock.armed.size, 1, "two timers are armed");
    this.#clock.increment([...this.#clock.armed.values()][0]!);
    return true;
  }

  settle(event: AnyEvent): void {
    this.#actions = [];
    const [, id = ""] = SETTLED.exec(event.type)!;
    if (id in this.#actor.getSnapshot().children) this.#actor.send(event);
  }

  moment(): Moment {
    const { value, status, context } = this.#actor.getSnapshot();
    return { value, status, context, actions: this.#actions, timersMs: [...this.#clock.armed.values()] };
  }
}

type AnyChart = Chart<AnyStateMachine>;
type AnyTurn = Turn<any>;

const charts = new WeakMap<AnyStateMachine, AnyChart>();

function chartOf(machine: AnyStateMachine): AnyChart {
  let chart = charts.get(machine);
  if (chart === undefined) charts.set(machine, (chart = new Chart(machine)));
  return chart;
}

/** Turns as data. Its events are frozen, so that turns are shared between the actors of all paths. */
export class ChartDriver implements Driver {
  protected readonly chart: AnyChart;
  protected snapshot: any;
  #actions: readonly string[] = [];
  readonly #timers = new Map<string, Extract<Effect, { kind: "schedule" }>>();

  constructor(chart: AnyChart, input: object) {
    this.chart = chart;
    this.take(chart.initial(input));
  }

  send(event: AnyEvent): void {
    this.take(this.chart.turn(this.snapshot, event));
  }

  fire(event?: AnyEvent): boolean {
    const [timer] = this.#timers.values();
    this.#actions = [];
    if (timer === undefined) return false;
    if (event !== undefined) strictEqual(timer.event.type, event.type);
    this.send(event ?? timer.event);
    return true;
  }

  settle({ type }: AnyEvent): void {
    throw new Error(`a chart invokes nothing that could say ${type}`);
  }

  protected take({ snapshot, effects }: AnyTurn): void {
    this.snapshot = snapshot;
    this.#actions = effects.filter((effect) => effect.kind === "action").map(({ type }) => type);
    for (const effect of effects) {
      if (effect.kind === "schedule") this.#timers.set(effect.id, effect);
      else if (effect.kind === "cancel") this.#timers.delete(effect.id);
    }
  }

  moment(): Moment {
    const { value, status, context } = this.snapshot;
    return { value, status, context, actions: this.#actions, timersMs: [...this.#timers.values()].map(({ delayMs }) => delayMs) };
  }
}

/** A chart whose actor goes through a row after every step, and whose events are never shared. */
export class RestoredDriver extends ChartDriver {
  override send(event: AnyEvent): void {
    super.send(structuredClone(event));
  }

  protected override take(turn: AnyTurn): void {
    super.take(turn);
    const { value, context } = decode(encode({ value: turn.snapshot.value, context: turn.snapshot.context })) as { value: string; context: object };
    this.snapshot = this.chart.restore(value, context);
  }
}
