/**
 * What src/run/xstate/chart.ts relies on in xstate, under its production and its development build. A new version of xstate that
 * changes any of it fails here, not in a run.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import { Chart, type Effect, afterEvent } from "../../src/run/xstate/chart.ts";
import { type AnyEvent } from "../machines/drivers.ts";
import { findMachines, invokes } from "../machines/definition.ts";
import { timerEvents } from "../machines/paths.ts";
import { SCRIPTS } from "../machines/scripts.ts";

const root = new URL("../../", import.meta.url);
const BUILDS = { production: "xstate.cjs.mjs", development: "xstate.development.cjs.mjs" };
const builds = await Promise.all(
  Object.entries(BUILDS).map(async ([build, file]) => {
    const xstate = (await import(new URL(`node_modules/xstate/dist/${file}`, root).href)) as Xstate;
    return [build, xstate] as const;
  }),
);

type Xstate = typeof import("xstate");
const on = { type: "on" };

describe("the version", () => {
  const versionIn = async (path: string): Promise<string> => {
    const content = JSON.parse(await readFile(new URL(path, root), "utf8")) as { version: string; dependencies: Record<string, string> };
    return path === "package.json" ? content.dependencies["xstate"]! : content.version;
  };

  test("of xstate is exact, and is the one that these tests were written for", async () => {
    expect(await versionIn("package.json")).toBe("5.33.3");
    expect(await versionIn("node_modules/xstate/package.json")).toBe("5.33.3");
  });
});

describe("pawl's machines", () => {
  test("go the same way under both builds, which have nothing to warn of", async () => {
    const [production, development] = await Promise.all([walk([]), walk(["--conditions=development"])]);
    expect(production.build).toMatch(/xstate\.cjs\.mjs$/);
    expect(development.build).toMatch(/xstate\.development\.cjs\.mjs$/);
    expect(development.seen).toEqual(production.seen);
  });

  test("give the same turns whether these are shared or not", async () => {
    const charts = (await findMachines()).filter(({ machine }) => !invokes(machine));
    for (const { machine } of charts) {
      const { inputs, events } = SCRIPTS[machine.id]!;
      const shared = new Chart(machine);
      const told = fc.array(fc.constantFrom<AnyEvent>(...events, ...timerEvents(machine)), { maxLength: 20 });
      fc.assert(
        fc.property(fc.constantFrom(...Object.values(inputs)), told, (input, told) => {
          const unshared = new Chart(machine);
          let one = shared.initial(input);
          let other = unshared.initial({ ...input });
          for (const event of told) {
            expect(shared.turn(one.snapshot, event)).toBe(shared.turn(one.snapshot, event));
            one = shared.turn(one.snapshot, event);
            other = unshared.turn(other.snapshot, { ...event });
            expect(visible(one.snapshot)).toEqual(visible(other.snapshot));
            expect(one.effects).toEqual(other.effects);
          }
        }),
      );
    }
  });
});

describe.each(builds)("turns under the %s build", (_, xstate) => {
  const { cancel, raise, setup } = xstate;

  test("a turn gives its effects as data, in xstate's order, and runs none of them", () => {
    const chart = new Chart(lamp(xstate));
    const turn = chart.turn(chart.initial({}).snapshot, on);
    expect(turn.effects).toEqual([
      ...["leave", "switchOn", "light", "glow"].map((type) => ({ kind: "action", type })),
      { kind: "schedule", id: "xstate.after.burn.lamp.lit", delayMs: 100, event: { type: "xstate.after.burn.lamp.lit" } },
    ]);
    expect(turn.snapshot).toMatchObject({ value: "lit", status: "active", context: { times: 2 } });
  });

  test("xstate hands actions of the host to the executor, with all that the adapter reads, and defers its own", () => {
    const machine = lamp(xstate);
    const seen: string[] = [];
    const deferred: unknown[] = [];
    const scope = refusingScope({
      actionExecutor: ({ type, exec, info, params }: any) => {
        seen.push(type);
        if (type.startsWith("xstate.")) exec(info, params);
      },
      defer: (work: unknown) => deferred.push(work),
    });
    machine.transition(machine.getInitialSnapshot(scope, {}), on, scope);
    expect(seen).toEqual(["leave", "switchOn", "xstate.raise", "light", "xstate.raise", "glow"]);
    expect(deferred).toHaveLength(1);
  });

  test("a timer is cancelled under the id it was scheduled with when its state is left, and not when it stays", () => {
    const chart = new Chart(lamp(xstate));
    const lit = chart.turn(chart.initial({}).snapshot, on).snapshot;
    const id = "xstate.after.burn.lamp.lit";
    expect(afterEvent("burn", "lamp.lit")).toEqual({ type: id });
    expect(chart.turn(lit, { type: "off" }).effects).toEqual([{ kind: "cancel", id }]);
    expect(chart.turn(lit, { type: "warm" }).effects).toEqual([{ kind: "action", type: "glow" }]);
    expect(chart.turn(lit, { type: id })).toMatchObject({ effects: [{ kind: "cancel", id }], snapshot: { value: "dead", status: "done" } });
  });

  test("an event that no transition takes gives an equal snapshot and no effects", () => {
    const chart = new Chart(lamp(xstate));
    const { snapshot } = chart.initial({});
    const turn = chart.turn(snapshot, { type: "off" });
    expect(turn.effects).toEqual([]);
    expect(visible(turn.snapshot)).toEqual(visible(snapshot));
  });

  test("a delayed raise with an id of its own, and its cancel, are effects like those of a timer", () => {
    const machine = setup({ delays: { wait: 7 } }).createMachine({
      on: { begin: { actions: raise({ type: "ring" }, { id: "alarm", delay: "wait" }) }, end: { actions: cancel("alarm") } },
    }) as unknown as AnyStateMachine;
    const chart = new Chart(machine);
    const { snapshot } = chart.initial({});
    const scheduled: Effect = { kind: "schedule", id: "alarm", delayMs: 7, event: { type: "ring" } };
    expect(chart.turn(snapshot, { type: "begin" }).effects).toEqual([scheduled]);
    expect(chart.turn(snapshot, { type: "end" }).effects).toEqual([{ kind: "cancel", id: "alarm" }]);
  });

  test("a frozen event has one turn for all actors in the same snapshot, any other event has its own", () => {
    const chart = new Chart(lamp(xstate));
    const input = {};
    const { snapshot } = chart.initial(input);
    const frozen = Object.freeze({ type: "on" });
    expect(chart.initial(input).snapshot).toBe(snapshot);
    expect(chart.turn(snapshot, frozen)).toBe(chart.turn(snapshot, frozen));
    expect(chart.turn(snapshot, on)).not.toBe(chart.turn(snapshot, on));
    expect(chart.turn(snapshot, on).effects).toEqual(chart.turn(snapshot, frozen).effects);
    expect(chart.initial({}).snapshot).not.toBe(snapshot);
  });
});

describe.each(builds)("restoring under the %s build", (_, xstate) => {
  test("a restored snapshot is equal to the one that was stored, in every state, and restoring runs nothing", () => {
    const machine = lamp(xstate);
    const chart = new Chart(machine);
    const off = chart.initial({}).snapshot;
    const lit = chart.turn(off, on).snapshot;
    const dead = chart.turn(lit, afterEvent("burn", "lamp.lit")).snapshot;
    for (const stored of [off, lit, dead]) {
      const restored = chart.restore(stored.value, stored.context);
      expect(visible(restored)).toEqual(visible(stored));
      expect(machine.getPersistedSnapshot(restored)).toEqual(machine.getPersistedSnapshot(stored));
      for (const type of ["on", "off", "warm", "touch", "xstate.after.burn.lamp.lit"]) {
        expect(restored.can({ type })).toBe(stored.can({ type }));
        expect(chart.turn(restored, { type }).effects).toEqual(chart.turn(stored, { type }).effects);
      }
    }
    expect(() => machine.restoreSnapshot({ status: "active", value: "lit", children: {}, historyValue: {} } as never, refusingScope())).not.toThrow();
  });

  test("a state that the machine does not have is not restored", () => {
    const chart = new Chart(lamp(xstate));
    for (const value of ["nowhere", "", "lit.deep", "toString"]) expect(() => chart.restore(value, { times: 0 }), value).toThrow();
  });
});

describe.each(builds)("faults under the %s build", (_, xstate) => {
  const { assign, raise, setup } = xstate;

  test("a guard, an assign or a delay that throws is thrown by the turn, and harms no other turn", () => {
    const fault = (): never => {
      throw new Error("at fault");
    };
    const parts = { guard: { guards: { g: fault } }, assign: { actions: { a: assign(fault) } }, delay: { delays: { d: fault } } };
    for (const [name, broken] of Object.entries(parts)) {
      const machine = setup({ actions: { a: assign({}), host: () => {} }, guards: { g: () => true }, delays: { d: 1, early: 5 } }).createMachine({
        initial: "one",
        states: {
          one: { on: { go: { guard: "g", target: "two", actions: ["host", raise({ type: "later" }, { delay: "early" }), "a"] } } },
          two: { after: { d: "one" } },
        },
      });
      const chart = new Chart(machine.provide(broken as never));
      const { snapshot } = chart.initial({});
      expect(() => chart.turn(snapshot, { type: "go" }), name).toThrow("at fault");
      expect(chart.turn(snapshot, { type: "other" }).effects, name).toEqual([]);
    }
  });

  test("an endless loop ends with an error after 1,000 microsteps, and a loop below that does not", () => {
    const counted = (last: number): AnyStateMachine =>
      setup({ types: { context: {} as { n: number } } }).createMachine({
        context: { n: 0 },
        initial: "still",
        states: {
          still: { on: { go: "turning" } },
          turning: {
            always: { guard: ({ context }) => context.n < last, target: "turning", reenter: true, actions: assign({ n: ({ context }) => context.n + 1 }) },
          },
        },
      });
    const go = (machine: AnyStateMachine): number => {
      const chart = new Chart(machine);
      return chart.turn(chart.initial({}).snapshot, { type: "go" }).snapshot.context.n;
    };
    expect(go(counted(990))).toBe(990);
    expect(() => go(counted(Infinity))).toThrow(/[Ii]nfinite loop/);
    const pingPong = setup({}).createMachine({ context: { n: 0 }, on: { go: { actions: raise({ type: "go" }) } } });
    expect(() => go(pingPong as unknown as AnyStateMachine)).toThrow(/[Ii]nfinite loop/);
  });
});

describe.each(builds)("refusals under the %s build", (_, xstate) => {
  const { assign, emit, fromPromise, sendParent, sendTo, setup, spawnChild } = xstate;
  const child = fromPromise(async () => started.push("child"));
  const other = xstate.createActor(setup({}).createMachine({}));
  const entering: Record<string, object> = {
    "spawns a child": { entry: spawnChild(child) },
    "spawns in an assign": { entry: assign(({ spawn }) => ({ ref: spawn(child) })) },
    "invokes a child": { invoke: { src: child } },
    "sends to its parent": { entry: sendParent({ type: "hello" }) },
    "sends to itself": { entry: sendTo(({ self }) => self, { type: "hello" }) },
    "sends to another": { entry: sendTo(() => other, { type: "hello" }) },
    "sends to another later": { entry: sendTo(() => other, { type: "hello" }, { delay: 10 }) },
    emits: { entry: emit({ type: "hello" }) },
  };

  test.each(Object.entries(entering))("a machine that %s is refused, and nothing of it happens", (_, state) => {
    started.length = 0;
    const machine = setup({}).createMachine({ initial: "one", states: { one: { on: { go: "two" } }, two: state } } as never) as unknown as AnyStateMachine;
    const chart = new Chart(machine);
    const { snapshot } = chart.initial({});
    expect(() => chart.turn(snapshot, { type: "go" })).toThrow(/may not spawn, send or emit|Unable to send event/);
    expect(started).toEqual([]);
    expect(chart.turn(snapshot, { type: "none" }).effects).toEqual([]);
  });
});

/** Off, lit until it has burned down, dead. */
const lamp = ({ assign, raise, setup }: Xstate): AnyStateMachine =>
  setup({
    types: { context: {} as { times: number } },
    actions: { leave: refuse, switchOn: refuse, light: refuse, glow: refuse, count: assign({ times: ({ context }) => context.times + 1 }) },
    guards: { always: () => true },
    delays: { burn: ({ context }) => 100 * context.times },
  }).createMachine({
    context: { times: 0 },
    id: "lamp",
    initial: "off",
    states: {
      off: { exit: "leave", on: { on: { target: "lit", actions: ["count", "switchOn", raise({ type: "warm" })] } } },
      lit: { entry: "light", after: { burn: "dead" }, on: { warm: { actions: ["count", "glow"] }, off: "off", touch: {} } },
      dead: { type: "final" },
    },
  });

/** What children did that should never have been started. */
const started: string[] = [];

function refuse(): never {
  throw new Error("an action of the host was run");
}

/** A scope of which only these parts may be used. */
function refusingScope(parts: object = {}): never {
  const refusing: ProxyHandler<object> = {
    get: (target, key) => {
      if (!(key in target)) throw new Error(`xstate used ${String(key)}`);
      return Reflect.get(target, key);
    },
  };
  return new Proxy({ self: {}, system: { _sendInspectionEvent() {} }, ...parts }, refusing) as never;
}

/** All of a snapshot that can be observed. */
function visible(snapshot: AnyMachineSnapshot): object {
  const { value, status, context, output, error, historyValue, children, tags, _nodes } = snapshot;
  return { value, status, context, output, error, historyValue, children, tags: [...tags], nodes: _nodes.map(({ id }: { id: string }) => id).toSorted() };
}

/** The shortest paths of all machines, walked in a process of its own. */
async function walk(conditions: string[]): Promise<{ build: string; seen: unknown }> {
  const program = new URL("test/machines/walk.ts", root).pathname;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--conditions=pawl-source", ...conditions, program], { maxBuffer: 2 ** 28 });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as { build: string; seen: unknown };
}
