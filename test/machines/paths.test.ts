/**
 * Every way through every machine, run three ways that must agree: live, as a chart, and restored after every step.
 * The last tests break a copy of a machine or of a driver, and expect these checks to say so.
 */
import { deepStrictEqual } from "node:assert/strict";
import * as graphOfCore from "xstate/graph";
import { type AnyStateMachine, createMachine } from "xstate";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { findMachines, transitionsOf } from "./definition.ts";
import { type AnyEvent, ChartDriver, DRIVERS, TICK, agreedMoments, driversOf, tell } from "./drivers.ts";
import { INVARIANTS, checkInvariants } from "./invariants.ts";
import { FINDER, type Path, type PathFinder, findPaths, missedBy, pathText, timerEvents } from "./paths.ts";
import { SCRIPTS } from "./scripts.ts";
import { cases } from "../sim/cases.ts";
import { Chart } from "../../src/run/xstate/chart.ts";

const machines = (await findMachines()).map(({ machine }) => machine);
const HOW: (keyof PathFinder)[] = ["getShortestPaths", "getSimplePaths"];

// xstate's development build, which vitest loads, warns of each event that an ended actor is told
beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));

test("every machine has a script and invariants", () => {
  const ids = machines.map(({ id }) => id).toSorted();
  expect(Object.keys(SCRIPTS).toSorted()).toEqual(ids);
  expect(Object.keys(INVARIANTS).toSorted()).toEqual(ids);
});

const scripted = machines.filter(({ id }) => id in SCRIPTS);

describe.each(scripted.map((machine) => [machine.id, machine] as const))("%s", (id, machine) => {
  const script = SCRIPTS[id]!;

  describe.each(Object.entries(script.inputs))("that %s", (_, input) => {
    test.each(HOW)("goes the same way live, as a chart and restored, and keeps its invariants (%s)", (how) => {
      const paths = findPaths(how, machine, script, input);
      expect(paths).not.toEqual([]);
      for (const path of paths) follow(machine, input, path);
    });

    test("has the same paths in xstate/graph and @xstate/graph", () => {
      for (const how of HOW) deepStrictEqual(findPaths(how, machine, script, input, graphOfCore as PathFinder), findPaths(how, machine, script, input, FINDER));
    });

    test("is left as it is by an event that its state does not take", () => {
      // an error that its state does not take ends an actor: xstate's own rule
      const transitions = transitionsOf(machine);
      const told = [...script.events, ...timerEvents(machine)].filter(({ type }) => !type.startsWith("xstate.error."));
      for (const path of findPaths("getShortestPaths", machine, script, input))
        for (const make of Object.values(driversOf(machine))) {
          const driver = make(machine, input);
          tell(driver, path.events);
          const before = { ...driver.moment(), actions: [] };
          const taken = new Set(transitions.flatMap(({ state, event }) => (state === before.value ? [event] : [])));
          const where = pathText(path);
          for (const event of told.filter(({ type }) => !taken.has(type))) {
            driver.send(event);
            deepStrictEqual(driver.moment(), before, `${where}, then ${event.type}`);
          }
        }
    });
  });

  test.each(script.isEndless === true ? HOW.slice(0, 1) : HOW)("has no transition that lies on no path (%s)", (how) => {
    const paths = Object.values(script.inputs).flatMap((input) => findPaths(how, machine, script, input));
    expect(missedBy(paths, machine)).toEqual([]);
  });

  test("agrees and keeps its invariants through random events", () => {
    const input = fc.constantFrom(...Object.values(script.inputs));
    const events = fc.array(fc.constantFrom(TICK, ...script.events), { maxLength: 30 });
    fc.assert(
      fc.property(input, events, (input, events) => checkInvariants(id, agreedMoments(machine, input, events))),
      cases({ short: 200, long: 5_000 }),
    );
  });
});

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> => fc.record(model, { noNullPrototype: true });

test("a node keeps its invariants under every policy and every failure", () => {
  const node = machines.find(({ id }) => id === "node")!;
  const policy = record({
    maxAttempts: fc.integer({ min: 1, max: 12 }),
    initialIntervalMs: fc.double({ min: 0.001, max: 1e9, noNaN: true }),
    backoffCoefficient: fc.double({ min: 1, max: 1e300, noNaN: true }),
    maxIntervalMs: fc.double({ min: 0.001, max: 1e9, noNaN: true }),
    jitter: fc.constantFrom("full", "none"),
    timeoutMs: fc.integer({ min: 1, max: 1e9 }),
    onFail: fc.constantFrom("block", "skip"),
  });
  const plain = { kind: fc.constant("transient"), code: fc.string(), message: fc.string(), retryable: fc.boolean() };
  const failure = fc.oneof(record(plain), record({ ...plain, retryAfterMs: fc.nat() }));
  const failed = record({ type: fc.constant("attempt.failed"), failure, jitter: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) });
  const event = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(TICK, { type: "node.granted" }) }, { weight: 3, arbitrary: failed });
  const rare = fc.oneof({ weight: 30, arbitrary: event }, fc.constantFrom<AnyEvent>({ type: "attempt.succeeded" }, { type: "node.cancelled" }));
  fc.assert(
    fc.property(policy, fc.array(rare, { maxLength: 60 }), (policy, events) => checkInvariants("node", agreedMoments(node, policy, events))),
    cases({ short: 400, long: 10_000 }),
  );
});

describe("these checks catch", () => {
  const node = machines.find(({ id }) => id === "node")!;
  const script = SCRIPTS["node"]!;
  const { inputs } = script;
  const input = inputs["blocks its dependents"]!;
  const followAll = (machine: AnyStateMachine): void => findPaths("getShortestPaths", machine, script, input).forEach((path) => follow(machine, input, path));

  test("a guard that retries once too often", () => {
    const broken = node.provide({ guards: { mayRetry: ({ context }: any) => context.attempt <= context.policy.maxAttempts } });
    expect(() => followAll(broken)).toThrow("backsOffToRetry does not hold");
  });

  test("a backoff that is not the one that was drawn", () => {
    const broken = node.provide({ delays: { backoff: 1 } });
    expect(() => followAll(broken)).toThrow("backsOffToRetry does not hold");
  });

  const broken = (id: string, change: (config: any) => void): AnyStateMachine =>
    copyOf(
      machines.find((machine) => machine.id === id)!,
      change,
    );
  const followEach = (machine: AnyStateMachine): void => {
    const script = SCRIPTS[machine.id]!;
    for (const input of Object.values(script.inputs)) findPaths("getSimplePaths", machine, script, input).forEach((path) => follow(machine, input, path));
  };

  test.each([
    ["opensOnce", "group", "that is never opened", (config: any) => delete config.states.opening.entry],
    ["opensOnce", "group", "that is opened again for a round", (config: any) => (config.states.open.entry = "openGroup")],
    ["closesWhatSettled", "group", "that makes no result", (config: any) => delete config.states.closing.entry],
    ["completesInOrder", "group", "that closes before its members settled", (config: any) => (config.states.open.on["group.closed"] = "completed")],
    ["groupEndsWithReason", "group", "that is skipped though it blocks", (config: any) => (config.states.closing.on["group.refused"] = "skipped")],
    ["groupEndsWithReason", "group", "that forgets its failure", (config: any) => delete config.states.opening.on["group.refused"][1].actions],
    ["changesOneAtATime", "limiter", "that asks for nothing", (config: any) => (config.states.short.on["limit.wanting"] = "writing")],
    ["writesToTheEnd", "limiter", "that does not wait for what it writes", (config: any) => (config.states.writing.on["limit.over"] = "over")],
    [
      "givesBackWhatIsTooMuch",
      "limiter",
      "that leaves while somebody waits",
      (config: any) => (config.states.short.on["limit.idle"] = { target: "writing", actions: "leave" }),
    ],
    ["waitsAsLongAsSaid", "event", "that has no timer", (config: any) => delete config.states.awaited.after],
    [
      "lateIsAFailure",
      "event",
      "that is skipped though it blocks",
      (config: any) => (config.states.awaited.after.eventTimeout = config.states.awaited.after.eventTimeout.toReversed()),
    ],
    ["lateIsAFailure", "event", "that completes when it is late", (config: any) => (config.states.awaited.after.eventTimeout[1].target = "completed")],
  ])("%s: a %s %s", (name, id, _, change) => {
    expect(() => followEach(broken(id, change))).toThrow(`${name} does not hold of ${id}`);
  });

  /** A breaker has no end, and one that is broken has more ways than can be counted: each is shown by one of them. */
  const failed = { type: "call.failed", at: 5, durationMs: 5 };
  const asked = (at: number, id: string): AnyEvent => ({ type: "probe.asked", at, lease: { id, owner: 1, lapsesAt: at + 100 } }) as AnyEvent;
  const ended = (type: string, probe: string): AnyEvent => ({ type, at: 16, durationMs: 1, probe }) as AnyEvent;
  const forcedOpen = { type: "breaker.forcedOpen", at: 20 };
  test.each<[string, string, (config: any) => unknown, AnyEvent[]]>([
    ["probesHavePlaces", "lets all try", ({ states }) => delete states.halfOpen.on["probe.asked"].guard, [failed, asked(15, "a"), asked(16, "b")]],
    ["staysOpenLongEnough", "is tried too soon", ({ states }) => delete states.open.on["probe.asked"].guard, [failed, asked(14, "a")]],
    [
      "opensForAReason",
      "opens for late failures",
      ({ states }) => delete states.halfOpen.on["call.failed"].guard,
      [failed, asked(15, "a"), ended("call.failed", "b")],
    ],
    [
      "closesByProbes",
      "the first probe closes",
      ({ states }) => (states.halfOpen.on["call.succeeded"][0].guard = "isProbe"),
      [failed, asked(15, "a"), ended("call.succeeded", "a")],
    ],
    ["countsBelowThresholds", "never opens", ({ states }) => states.closed.on["call.failed"].shift(), [failed]],
    ["staysForced", "calls set free", ({ states }) => (states.forcedOpen.on["call.failed"] = "forcedClosed"), [forcedOpen, { ...failed, at: 25 }]],
    ["knowsSinceWhen", "forgets when it was forced", ({ states }) => (states.closed.on["breaker.forcedOpen"] = "forcedOpen"), [forcedOpen]],
  ])("%s: a breaker that %s", (name, _, change, events) => {
    const input = { at: 0, policy: { failureThreshold: 1, openForMs: 10, halfOpenMax: 1, successThreshold: 2 } };
    const play = (machine: AnyStateMachine): void => checkInvariants("breaker", agreedMoments(machine, input, events));
    expect(() => play(broken("breaker", change))).toThrow(`${name} does not hold of breaker`);
    play(machines.find((machine) => machine.id === "breaker")!);
  });

  test("an action that was forgotten", () => {
    const broken = copyOf(node, (config) => delete config.states.running.entry);
    expect(() => followAll(broken)).toThrow("callsPerAttempt does not hold");
  });

  test("a transition that no path takes", () => {
    const broken = copyOf(node, (config) => (config.states.backingOff.on["node.hurried"] = "queued"));
    const paths = Object.values(inputs).flatMap((input) => findPaths("getShortestPaths", broken, script, input));
    expect(missedBy(paths, broken)).toEqual(["backingOff on node.hurried -> queued"]);
  });

  test("an adapter that loses a part of the context", () => {
    class Forgetful extends ChartDriver {
      protected override take(turn: any): void {
        super.take({ ...turn, snapshot: Object.assign(Object.create(turn.snapshot), turn.snapshot, { context: { ...turn.snapshot.context, attempt: 0 } }) });
      }
    }
    const drivers = { live: DRIVERS["live"]!, forgetful: (machine: AnyStateMachine, input: object) => new Forgetful(new Chart(machine), input) };
    expect(() => agreedMoments(node, input, [{ type: "node.granted" }], drivers)).toThrow("forgetful differs from live");
  });

  test("an adapter that forgets to cancel a timer", () => {
    class Late extends ChartDriver {
      protected override take(turn: any): void {
        super.take({ ...turn, effects: turn.effects.filter(({ kind }: any) => kind !== "cancel") });
      }
    }
    const drivers = { live: DRIVERS["live"]!, late: (machine: AnyStateMachine, input: object) => new Late(new Chart(machine), input) };
    expect(() => agreedMoments(node, input, [{ type: "node.granted" }, { type: "attempt.succeeded" }], drivers)).toThrow("late differs from live");
  });
});

/** Runs the path in all drivers; they must agree with each other, with the graph, and with the invariants. */
function follow(machine: AnyStateMachine, input: object, path: Path): void {
  try {
    const moments = agreedMoments(machine, input, path.events);
    checkInvariants(machine.id, moments);
    deepStrictEqual(
      moments.slice(1).map(({ value, context }) => ({ value, context })),
      path.states,
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}\non the path ${pathText(path)}`, { cause: error });
  }
}

/** A machine of the same parts whose states were changed. */
function copyOf(machine: AnyStateMachine, change: (config: any) => void): AnyStateMachine {
  const config = { ...machine.config, states: structuredClone(machine.config.states) };
  change(config);
  return createMachine(config as any, machine.implementations as any);
}
