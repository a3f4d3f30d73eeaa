/**
 * What of a machine cannot be hosted is refused when the machine is registered, wherever in the machine it is.
 */
import { describe, expect, test } from "vitest";
import { type AnyStateMachine, and, assign, createMachine, fromCallback, fromPromise, not, or, raise, sendTo, setup, spawnChild } from "xstate";
import { PawlError } from "../../src/errors.ts";
import { checkMachine } from "../../src/run/xstate/check-machine.ts";
import { findMachines } from "../machines/definition.ts";

const work = fromPromise(async () => 1);
const implementations = {
  actions: { notify: () => {}, count: assign({}) },
  guards: { isPaid: () => true },
  delays: { patience: 5 },
  actors: { charge: work },
};

/** A delay's name where no setup() declares it. */
const delay = (name: string): number => name as unknown as number;

/** The error of a machine of two states whose first has these fields. */
function refusal(state: object, given: object = implementations): { code: string; message: string; at: string | undefined; next: string } | undefined {
  return refusalOf(createMachine({ id: "m", initial: "a", states: { a: state, b: {} } } as never, given));
}

function refusalOf(machine: unknown): PawlError | undefined {
  try {
    checkMachine(machine as AnyStateMachine);
  } catch (error) {
    if (error instanceof PawlError) return error;
    throw error;
  }
}

test("a machine that names only what it implements passes: xstate's own actions, inline functions, inline invokes", () => {
  const state = {
    entry: ["notify", { type: "count" }, () => {}, raise({ type: "X" }, { delay: delay("patience") }), spawnChild("charge"), spawnChild(work)],
    invoke: [{ src: "charge" }, { src: fromCallback(() => {}), onDone: "b" }],
    after: { patience: "b", 1000: "b" },
    on: { GO: { guard: and(["isPaid", not(() => true)]), target: "b" }, "xstate.done.actor.charge": "b", "xstate.error.actor.*": "b" },
    always: { guard: { type: "isPaid" }, target: "b" },
  };
  expect(refusal(state)).toBeUndefined();
});

test("pawl's own machines pass", async () => {
  for (const { machine } of await findMachines()) expect(refusalOf(machine), machine.id).toBeUndefined();
});

test("a machine needs no id, nor do the machines that it invokes", () => {
  expect(refusalOf(createMachine({}))).toBeUndefined();
  expect(refusal({ invoke: { src: createMachine({}) } })).toBeUndefined();
});

const UNKNOWN_ACTION = ["action", "notfy", '; did you mean "notify"?'] as const;
const UNKNOWN_GUARD = ["guard", "isPayed", '; did you mean "isPaid"?'] as const;
const UNKNOWN_DELAY = ["delay", "patiense", '; did you mean "patience"?'] as const;
const UNKNOWN_ACTOR = ["actor", "charje", '; did you mean "charge"?'] as const;

describe("a name without an implementation is refused", () => {
  test.each([
    ["on entry", UNKNOWN_ACTION, { entry: "notfy" }],
    ["on entry, with parameters", UNKNOWN_ACTION, { entry: [{ type: "notfy", params: { n: 1 } }] }],
    ["on exit", UNKNOWN_ACTION, { exit: ["count", "notfy"] }],
    ["of an event", UNKNOWN_ACTION, { on: { GO: [{ guard: "isPaid" }, { actions: "notfy" }] } }],
    ["of always", UNKNOWN_ACTION, { always: { guard: "isPaid", actions: "notfy" } }],
    ["of a timer", UNKNOWN_ACTION, { after: { 1000: { actions: "notfy" } } }],
    ["of onDone", UNKNOWN_ACTION, { invoke: { src: "charge", onDone: { actions: "notfy" } } }],
    ["of onError", UNKNOWN_ACTION, { invoke: { src: "charge", onError: { actions: "notfy" } } }],
    ["of a state's onDone", UNKNOWN_ACTION, { initial: "c", states: { c: { type: "final" } }, onDone: { actions: "notfy" } }],
    ["of an initial transition", UNKNOWN_ACTION, { initial: { target: "c", actions: "notfy" }, states: { c: {} } }],
    ["of a guard", UNKNOWN_GUARD, { on: { GO: { guard: "isPayed", target: "b" } } }],
    ["of a guard with parameters", UNKNOWN_GUARD, { on: { GO: { guard: { type: "isPayed", params: {} }, target: "b" } } }],
    ["in and, or, not", UNKNOWN_GUARD, { always: { guard: and([() => true, or(["isPaid", not("isPayed")])]), target: "b" } }],
    ["of a timer's delay", UNKNOWN_DELAY, { after: { patiense: "b" } }],
    ["of a raise", UNKNOWN_DELAY, { entry: raise({ type: "X" }, { delay: delay("patiense") }) }],
    ["of a send", UNKNOWN_DELAY, { on: { GO: { actions: sendTo("k", { type: "X" }, { delay: delay("patiense") }) } } }],
    ["of an invoke", UNKNOWN_ACTOR, { invoke: { src: "charje" } }],
    ["of a spawn", UNKNOWN_ACTOR, { entry: spawnChild("charje") }],
  ])("%s", (_, [kind, name, meant], state) => {
    expect(refusal(state)).toMatchObject({
      code: "PAWL_UNKNOWN_IMPLEMENTATION",
      message: `${kind} "${name}" is not implemented${meant}`,
      at: 'machine "m", state "a"',
      next: `implement it: setup({ ${kind}s: { ${name}: ... } }), or correct its name`,
    });
  });

  test("at the root and deep inside", () => {
    expect(refusalOf(createMachine({ id: "m", entry: "notfy" }))).toMatchObject({ at: 'machine "m", state "m"' });
    const nested = { type: "parallel", states: { c: { initial: "d", states: { d: { entry: "notfy" } } } } };
    expect(refusal(nested)).toMatchObject({ at: 'machine "m", state "a.c.d"' });
  });

  test("within what setup() registers", () => {
    const given = { ...implementations, actions: { ...implementations.actions, later: raise({ type: "X" }, { delay: delay("patiense") }) } };
    expect(refusal({}, given)).toMatchObject({ code: "PAWL_UNKNOWN_IMPLEMENTATION", at: 'machine "m", action "later"' });
    expect(refusal({}, { guards: { both: and(["isPayed"]) } })).toMatchObject({ code: "PAWL_UNKNOWN_IMPLEMENTATION", at: 'machine "m", guard "both"' });
  });

  test("with all names that there are, when none is near", () => {
    expect(refusal({ entry: "zzz" })).toMatchObject({
      message: 'action "zzz" is not implemented; actions: notify, count',
      data: { known: ["notify", "count"] },
    });
    expect(refusal({ entry: "toString" }, {})).toMatchObject({ message: 'action "toString" is not implemented; actions: none' });
    expect(refusal({ entry: "empty" }, { actions: { empty: undefined } })).toMatchObject({ code: "PAWL_UNKNOWN_IMPLEMENTATION" });
  });

  test("in machines that it invokes or registers, also when these contain it", () => {
    const wrong = createMachine({ id: "child", initial: "c", states: { c: { entry: "notfy" } } } as never);
    const expected = { code: "PAWL_UNKNOWN_IMPLEMENTATION", at: 'machine "child", state "c"' };
    expect(refusal({ invoke: { src: wrong } })).toMatchObject(expected);
    const between = createMachine({ id: "between" }, { actors: { wrong } });
    expect(refusal({}, { actors: { between } })).toMatchObject(expected);
    const actors: Record<string, unknown> = {};
    const circular = createMachine({ id: "circular" }, { actors: actors as never });
    actors["self"] = circular;
    expect(refusalOf(circular)).toBeUndefined();
  });
});

describe("spawned logic", () => {
  test("that is not registered is refused, with how to register it", () => {
    const spawning = { on: { GO: { actions: spawnChild(fromPromise(async () => 1)) } } };
    expect(refusal(spawning)).toMatchObject({
      code: "PAWL_INLINE_SPAWN",
      at: 'machine "m", state "a"',
      next: expect.stringContaining("setup({ actors:") as string,
    });
  });

  test("that is only invoked somewhere counts as not registered", () => {
    const own = fromPromise(async () => 1);
    expect(refusal({ invoke: { src: own }, entry: spawnChild(own) })).toMatchObject({ code: "PAWL_INLINE_SPAWN" });
  });

  test("in an action of setup() is looked at, too", () => {
    const machine = setup({ actions: { begin: spawnChild(work) as never } }).createMachine({ id: "m" });
    expect(refusalOf(machine)).toMatchObject({ code: "PAWL_INLINE_SPAWN", at: 'machine "m", action "begin"' });
  });
});

describe("names that begin with xstate. are refused", () => {
  test.each([
    ["an action that is named", { entry: "xstate.send" }, 'action "xstate.send"'],
    ["an action by its function's name", { entry: { "xstate.go": () => {} }["xstate.go"] }, 'action "xstate.go"'],
    ["an event", { on: { "xstate.stop": "b" } }, 'event "xstate.stop"'],
    ["a timer's event", { on: { "xstate.after.1000.m.a": "b" } }, 'event "xstate.after.1000.m.a"'],
  ])("%s", (_, state, what) => {
    expect(refusal(state)).toMatchObject({
      code: "PAWL_INVALID_ID",
      message: `${what} begins with "xstate.", which is reserved`,
      at: 'machine "m", state "a"',
    });
  });

  test("an action of setup()", () => {
    expect(refusal({}, { actions: { "xstate.send": () => {} } })).toMatchObject({ code: "PAWL_INVALID_ID", at: 'machine "m"' });
  });
});
