/**
 * Traces of a system of actors through a script, live and durable, and how they are compared. A trace is what can be seen after each step
 * (status, state values, contexts, outputs, errors, the children), and the ordered list of what was done: custom actions, `log`, `emit`.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import { type AnyMachineSnapshot, type AnyStateMachine, SimulatedClock, createActor } from "xstate";
import { type Outside, OutsideWorld } from "./outside-world.ts";
import { buildMachine } from "./statechart-machine.ts";
import type { Step, SystemSpec } from "./statechart-spec.ts";

/** Time passes in steps of this length; all delays are multiples of it. */
export const TICK_MS = 10;
/** More promises, echoes and values than this after one step mean that the system never rests. */
const WISHES_MAX = 500;
/** Machines made of one subject. */
const MACHINES_MAX = 3;

/** A machine and what happens to it. */
export interface Subject {
  readonly name: string;
  build(outside: Outside): AnyStateMachine;
  readonly steps: readonly Step[];
  readonly input?: unknown;
}

export interface Trace {
  /** What could be seen after the start, and after each step. */
  readonly states: readonly unknown[];
  readonly actions: readonly string[];
  /** How often each construct was put to work; empty for hand-made machines. */
  readonly hits: ReadonlyMap<string, number>;
  readonly crashes: number;
}

/** A machine as one process has it, and where its `log` and `emit` go. `emitted` takes what any actor of the system emits. */
export interface Program {
  readonly machine: AnyStateMachine;
  log(...values: unknown[]): void;
  emitted(event: { type: string }): void;
}

/** What runs a machine durably, through crashes of its own choice. Each promise resolves when the system is at rest again. */
export interface DurableDriver {
  /** `boot` is called once for each process, the first and those that come after a crash; the one before is then dead to the world. */
  start(boot: () => Program, input: unknown): Promise<void>;
  send(event: { type: string }): Promise<void>;
  advance(ms: number): Promise<void>;
  /** Something came from the outside (a promise settled, a callback spoke): resolves when all that follows from it is done. */
  settled(): Promise<void>;
  /** The root's snapshot as xstate gives it, from which the children can be reached; `undefined` if it is gone. */
  snapshot(): AnyMachineSnapshot | undefined;
  /** Called after each action that was executed: the process may die of it. */
  acted?(): void;
  /** Called after the last step. */
  end?(): Promise<void>;
  readonly crashes: number;
}

export function subjectOf(spec: SystemSpec): Subject {
  return { name: "random", build: (outside) => buildMachine(spec, outside), steps: spec.steps };
}

/** The trace of a plain actor under simulated time. */
export async function liveTrace(subject: Subject): Promise<Trace> {
  return follow(subject, new LiveDriver());
}

/** The trace of the same under a durable driver. */
export async function durableTrace(subject: Subject, driver: DurableDriver): Promise<Trace> {
  return follow(subject, driver);
}

async function follow(subject: Subject, driver: DurableDriver): Promise<Trace> {
  const world = new OutsideWorld(() => driver.acted?.());
  const programs = new Programs(subject, world);
  const states: unknown[] = [];
  const look = async (): Promise<void> => {
    await rest(world, driver);
    states.push(visible(driver.snapshot()));
  };
  await driver.start(() => programs.next(), subject.input);
  await look();
  for (const step of subject.steps) {
    if (step.kind === "send") await driver.send(step.event);
    else await pass(step.ms, world, driver);
    await look();
  }
  await driver.end?.();
  for (const state of states) countShapes(state, world.hits);
  return { states, actions: world.actions, hits: world.hits, crashes: driver.crashes };
}

async function pass(ms: number, world: OutsideWorld, driver: DurableDriver): Promise<void> {
  for (let passed = 0; passed < ms; passed += TICK_MS) {
    await driver.advance(TICK_MS);
    await rest(world, driver);
  }
}

async function rest(world: OutsideWorld, driver: DurableDriver): Promise<void> {
  await driver.settled();
  for (let wishes = 0; world.fulfilOne(); wishes++) {
    if (wishes === WISHES_MAX) throw new Error("the system never rests");
    await driver.settled();
  }
}

interface Made {
  readonly machine: AnyStateMachine;
  readonly outside: { life: Outside };
}

/** What processes run: a few machines of the same make, which then serve again. Making one takes as long as a life. */
class Programs {
  readonly #subject: Subject;
  readonly #world: OutsideWorld;
  readonly #made: Made[] = [];
  #count = 0;

  constructor(subject: Subject, world: OutsideWorld) {
    this.#subject = subject;
    this.#world = world;
  }

  next(): Program {
    const life = this.#world.newLife();
    const made = (this.#made[this.#count++ % MACHINES_MAX] ??= this.#make());
    made.outside.life = life;
    return {
      machine: made.machine,
      log: (...values) => life.record(`log ${values.join(" ")}`),
      emitted: ({ type }) => life.record(`emit ${type}`),
    };
  }

  #make(): Made {
    const outside = OutsideWorld.relay();
    return { machine: this.#subject.build(outside), outside };
  }
}

class LiveDriver implements DurableDriver {
  readonly crashes = 0;
  readonly #clock = new SimulatedClock();
  #actor: any;

  async start(boot: () => Program, input: unknown): Promise<void> {
    const { machine, log, emitted } = boot();
    const hear = (event: any): void => void (event.type === "@xstate.actor" && event.actorRef.on("*", emitted));
    this.#actor = createActor(machine, { id: "run", clock: this.#clock, logger: log, inspect: hear, input } as any);
    this.#actor.subscribe({ error() {} });
    this.#actor.start();
    await this.settled();
  }

  async send(event: { type: string }): Promise<void> {
    this.#actor.send(event);
    await this.settled();
  }

  async advance(ms: number): Promise<void> {
    this.#clock.increment(ms);
    await this.settled();
  }

  async settled(): Promise<void> {
    await nextLoop();
  }

  snapshot(): AnyMachineSnapshot {
    return this.#actor.getSnapshot();
  }
}

/** What can be seen of an actor and its children, as plain JSON. */
export function visible(snapshot: any): unknown {
  if (snapshot === undefined) return "gone";
  const { status, value, context, output, error, children } = snapshot;
  const family = Object.entries<any>((status === "active" && children) || {}).map(([key, child]) => [nameless(key), visible(child.getSnapshot())]);
  return { status, value: plain(value), context: plain(context), output: plain(output), error: error?.message, children: Object.fromEntries(family) };
}

/** Ids that xstate makes up count the actors of the process: they mean nothing. */
function nameless(id: string): string {
  return id.replace(/^x:\d+$/, "x");
}

function plain(value: any): unknown {
  if (value === undefined) return "<undefined>";
  if (typeof value === "bigint") return `<bigint ${value}>`;
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) return `<number ${Object.is(value, -0) ? "-0" : value}>`;
  if (value === null || typeof value !== "object") return value;
  if ("sessionId" in value && "send" in value) return `<ref ${nameless(value.id)}>`;
  if ("machine" in value && "_nodes" in value) return { snapshotOf: value.machine.id, value: plain(value.value), context: plain(value.context) };
  if (value instanceof Date) return `<date ${value.getTime()}>`;
  if (value instanceof Error) return { error: value.name, message: value.message, own: plain(Object.fromEntries(Object.entries(value))) };
  if (value instanceof Map) return { map: [...value].map(plain) };
  if (value instanceof Set) return { set: [...value].map(plain) };
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** Counts the shapes of state values, and how actors ended. */
function countShapes(state: any, hits: Map<string, number>): void {
  if (state === null || typeof state !== "object") return;
  const count = (construct: string): void => void hits.set(construct, (hits.get(construct) ?? 0) + 1);
  const depthOf = (value: any): number => {
    if (value === null || typeof value !== "object") return 0;
    const regions = Object.values(value);
    if (regions.length > 1) count("parallel states");
    return 1 + Math.max(0, ...regions.map(depthOf));
  };
  if (depthOf(state.value) > 1) count("nested states");
  count(`actor ${state.status}`);
  Object.values(state.children ?? {}).forEach((child) => countShapes(child, hits));
}
