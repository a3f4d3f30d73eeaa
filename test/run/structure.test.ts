/**
 * Machines as data and as drawings: what a structure says, what is different between two, whether a live run fits one.
 */
import { describe, expect, test } from "vitest";
import { type AnyStateMachine, and, assign, createActor, createMachine, fromCallback, fromPromise, fromTransition, not, raise, setup, stateIn } from "xstate";
import { PawlError } from "../../src/errors.ts";
import { type DrawingFormat, drawMachine } from "../../src/run/xstate/drawing.ts";
import { declaredEvents, eventsOf, isDeclared } from "../../src/run/xstate/machine-events.ts";
import { type ActiveMachine, selectableStates, stateProblems, structureChanges } from "../../src/run/xstate/structure-changes.ts";
import { machineStructure, structureHash, structureText } from "../../src/run/xstate/structure.ts";
import { findMachines } from "../machines/definition.ts";

const textOf = (machine: unknown): string => structureText(machineStructure(machine as AnyStateMachine));
const structureOf = (config: object, actors: object = {}) => machineStructure(createMachine(config as never, { actors }));

describe("the structure of a machine", () => {
  test("says of each state its type, transitions, timers, invokes and tags", () => {
    const { machines } = machineStructure(order());
    expect(machines).toHaveLength(1);
    const [machine] = machines;
    expect(machine!.states.map(({ id, type }) => `${id} ${type}`)).toEqual([
      "order compound",
      "order.end atomic",
      "order.work parallel",
      "order.work.pay compound",
      "order.work.pay.charging atomic",
      "order.work.pay.charged final",
      "order.work.pay.recent history",
      "order.work.log compound",
      "order.work.log.on atomic",
      "stopped final",
      "order.paused atomic",
      "order.gone final",
    ]);
    const state = (id: string) => machine!.states.find((each) => each.id === id);
    expect(state("order.end")).toEqual({
      id: "order.end",
      key: "end",
      parent: "order",
      type: "atomic",
      on: { GO: [{ targets: ["order.work"], guard: "and(isPaid, not((inline)))" }], NO: [{ targets: [] }] },
      always: [],
      after: [
        { id: "xstate.after.1000.order.end", delay: 1000, transitions: [{ targets: ["order.gone"] }] },
        { id: "xstate.after.patience.order.end", delay: "patience", transitions: [{ targets: ["order.end"], reenter: true }] },
      ],
      invokes: [],
      tags: ["idle", "quiet"],
    });
    expect(state("order.work.pay.recent")).toMatchObject({ history: "deep", targets: ["order.work.pay.charging"] });
    expect(state("order.work.pay")).toMatchObject({ initial: "charging" });
    expect(state("order.work.log")!.invokes).toEqual([{ id: "0.order.work.log", src: "xstate.invoke.0.order.work.log" }]);
    expect(state("order.work.pay.charging")!.on).toEqual({
      "xstate.done.actor.charge": [{ targets: ["order.work.pay.charged"] }],
      "xstate.error.actor.charge": [{ targets: ["order.work.pay.charging"], reenter: true }],
    });
    expect(state("order.paused")!.always).toEqual([{ targets: ["order.gone"], guard: "stateIn(#stopped)" }]);
    expect(machine!.actors).toEqual({ charge: { kind: "promise" }, "xstate.invoke.0.order.work.log": { kind: "callback" } });
  });

  test("names the timers and invokes that a live machine has", () => {
    const { machines } = machineStructure(order());
    const actor = createActor(order()).start();
    const scheduled = (actor.system.getSnapshot() as { _scheduledEvents: Record<string, { id: string }> })._scheduledEvents;
    expect(Object.values(scheduled).map(({ id }) => id)).toEqual(machines[0]!.states[1]!.after.map(({ id }) => id));
    const invoking = createActor(setup({ actors: { quiet: fromCallback(() => {}) } }).createMachine({ id: "m", invoke: [{ src: "quiet" }, { src: "quiet" }] }));
    const { children } = invoking.start().getSnapshot();
    expect(machineStructure(invoking.logic as AnyStateMachine).machines[0]!.states[0]!.invokes.map(({ id }) => id)).toEqual(Object.keys(children));
    actor.stop();
  });

  test("has the machines among the actors once each, in circles too, and the kind of other logic", () => {
    const leaf = createMachine({ id: "leaf" });
    const actors: Record<string, unknown> = { leaf, again: leaf, count: fromTransition((n: number) => n, 0), odd: { transition: (state: unknown) => state } };
    const machine = createMachine({ id: "top", invoke: { src: createMachine({ id: "inner" }) } }, { actors: actors as never });
    actors["self"] = machine;
    const { machines } = machineStructure(machine);
    expect(machines.map(({ id }) => id)).toEqual(["top", "leaf", "inner"]);
    expect(machines[0]!.actors).toEqual({
      again: { kind: "machine", machine: 1 },
      count: { kind: "transition" },
      leaf: { kind: "machine", machine: 1 },
      odd: { kind: "other" },
      self: { kind: "machine", machine: 0 },
      "xstate.invoke.0.top": { kind: "machine", machine: 2 },
    });
  });

  test("has one text whatever the order in which machines are registered", () => {
    const [one, two] = [createMachine({ id: "one" }), createMachine({ id: "two" })];
    const text = (actors: object): string => structureText(structureOf({ id: "m" }, actors));
    expect(text({ a: one, b: two })).toBe(text({ b: two, a: one }));
    expect(text({ a: one, b: two })).not.toBe(text({ a: two, b: one }));
  });

  test("has one text whatever the order of names, and whatever functions do; another text when a state is new", () => {
    const light = (on: object, extra: object = {}, guard = () => true): AnyStateMachine =>
      createMachine({ id: "light", initial: "off", states: { off: { on, entry: () => {} }, lit: {}, ...extra } } as never, { guards: { guard } });
    const text = textOf(light({ A: { target: "lit", guard: () => true }, B: "lit" }));
    expect(textOf(light({ B: "lit", A: { target: "lit", guard: () => false } }, {}, () => false))).toBe(text);
    expect(structureHash(text)).toMatch(/^[0-9a-f]{32}$/);
    expect(structureHash(textOf(light({ A: "lit", B: "lit" })))).not.toBe(structureHash(text));
    expect(textOf(light({ A: { target: "lit", guard: () => true }, B: "lit" }, { dim: {} }))).not.toBe(text);
    expect(JSON.parse(text)).toEqual(machineStructure(light({ A: { target: "lit", guard: () => true }, B: "lit" })));
  });
});

describe("changes between structures", () => {
  const before = { id: "m", initial: "a", states: { a: { on: { GO: "b" }, after: { 1000: "b" }, invoke: { id: "assess", src: "x" } }, b: {} } };
  const changes = (after: object, from: object = before): string[] => structureChanges(structureText(structureOf(from)), structureText(structureOf(after)));
  const withA = (a: object): object => ({ ...before, states: { ...before.states, a: { ...before.states.a, ...a } } });

  test.each([
    [["version (none) is now 2"], { ...before, version: "2" }],
    [['machine "m" is now "n", and so are the ids of its states'], { ...before, id: "n" }],
    [['state "b.c" is new', 'state "b" is now compound, was atomic'], { ...before, states: { ...before.states, b: { initial: "c", states: { c: {} } } } }],
    [['state "(root)" now begins in "b", not in "a"'], { ...before, initial: "b" }],
    [['timer 1000 of state "a" is gone'], withA({ after: {} })],
    [['timer 1000 of state "a" is gone', 'timer 2000 of state "a" is new'], withA({ after: { 2000: "b" } })],
    [['timer 1000 of state "a" changed'], withA({ after: { 1000: "a" } })],
    [['invoke "assess" of state "a" now calls "y"'], withA({ invoke: { id: "assess", src: "y" } })],
    [['invoke "assess" of state "a" is gone'], withA({ invoke: [] })],
    [['event "GO" of state "a" is gone', 'event "STOP" of state "a" is new'], withA({ on: { STOP: "b" } })],
    [['event "GO" of state "a" changed'], withA({ on: { GO: { target: "b", guard: "g" } } })],
    [['the always transitions of state "a" changed'], withA({ always: { target: "b", guard: "g" } })],
    [['the tags of state "a" changed'], withA({ tags: "t" })],
    [['the id of state "a" is now "own", was "m.a"'], withA({ id: "own" })],
    [[], { ...before }],
  ])("%j", (expected, after) => {
    expect(changes(after).toSorted()).toEqual(expected.toSorted());
  });

  test("a state that is gone, and the way to it", () => {
    expect(changes({ ...before, states: { a: { ...before.states.a, on: {}, after: {} } } })).toEqual([
      'state "b" is gone',
      'timer 1000 of state "a" is gone',
      'event "GO" of state "a" is gone',
    ]);
  });

  test("are told of machines among the actors, and of actors that come, go or become another kind", () => {
    const child = (states: object): AnyStateMachine => createMachine({ id: "child", initial: "one", states: { one: {}, ...states } } as never);
    const text = (actors: object): string => structureText(structureOf({ id: "m" }, actors));
    const run = fromPromise(async () => {});
    expect(structureChanges(text({ kid: child({ two: {} }), old: run, odd: run }), text({ kid: child({}), fresh: run, odd: fromCallback(() => {}) }))).toEqual([
      'actor "old" is gone',
      'actor "odd" is now of kind callback, was promise',
      'actor "fresh" is new',
      'actor "kid": state "two" is gone',
    ]);
  });

  test("are at most 20 lines", () => {
    const states = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`s${i}`, {}]));
    expect(changes({ ...before, states: { ...before.states, ...states } })).toHaveLength(20);
  });
});

describe("a live run and a structure", () => {
  const nothing = { timers: [], remembered: [], invoked: [], spawned: [] };
  const problems = (machine: unknown, active: Partial<ActiveMachine>): string[] =>
    stateProblems(machineStructure(machine as AnyStateMachine), { value: {}, ...nothing, ...active });

  test("fit when all that is active exists", () => {
    const working = { work: { pay: "charging", log: "on" } };
    const invoked = [
      { id: "charge", src: "charge" },
      { id: "0.order.work.log", src: "xstate.invoke.0.order.work.log" },
    ];
    expect(problems(order(), { value: working, invoked, remembered: ["order.work.pay.charging"] })).toEqual([]);
    expect(problems(order(), { value: "end", timers: ["xstate.after.1000.order.end", "reminder"] })).toEqual([]);
  });

  test("do not fit when a state, a region, a timer, an invoke, a remembered state or a spawned actor is missing", () => {
    expect(problems(order(), { value: "nowhere" })).toEqual(['state "nowhere" is gone']);
    expect(problems(order(), { value: { work: { pay: "lost", log: "on" } } })).toEqual(['state "work.pay.lost" is gone']);
    expect(problems(order(), { value: { work: { pay: "charging" } } })).toEqual(['state "work.log" is a region that the run is not in']);
    expect(problems(order(), { value: "work" })[0]).toBe('state "work.pay" is a region that the run is not in');
    expect(problems(order(), { value: "paused", timers: ["xstate.after.1000.order.end"] })).toEqual(['timer "xstate.after.1000.order.end" is gone']);
    expect(problems(order(), { value: "end", remembered: ["order.work.ship"] })).toEqual(['state "order.work.ship", which its history remembers, is gone']);
    expect(problems(order(), { value: "end", invoked: [{ id: "charge", src: "charge" }] })).toEqual(['invoke "charge" is gone']);
    const charging = { value: { work: { pay: "charging", log: "on" } } };
    expect(problems(order(), { ...charging, invoked: [{ id: "charge", src: "bill" }] })).toEqual(['invoke "charge" now calls "charge", not "bill"']);
    expect(problems(order(), { value: "end", spawned: [{ id: "k", src: "kid" }] })).toEqual(['actor "kid", which "k" runs, is gone']);
  });

  test("the machines that it runs are looked at, too", () => {
    const parent = createMachine({ id: "p" }, { actors: { kid: order(), run: fromPromise(async () => {}) } });
    const machine = { ...nothing, value: "nowhere" };
    expect(problems(parent, { spawned: [{ id: "k", src: "kid", machine }] })).toEqual(['"k": state "nowhere" is gone']);
    expect(problems(parent, { spawned: [{ id: "k", src: "run", machine }] })).toEqual(['actor "run", which "k" runs, is no machine now']);
    const invoking = createMachine({ id: "p", invoke: { id: "k", src: order() } });
    expect(problems(invoking, { invoked: [{ id: "k", src: "xstate.invoke.0.p", machine }] })).toEqual(['"k": state "nowhere" is gone']);
    expect(problems(parent, { spawned: [{ id: "k", src: "kid" }] })).toEqual(['actor "kid", which "k" runs, is now a machine']);
  });

  test("a state value is legal exactly when xstate itself could be in it", () => {
    const structure = machineStructure(order());
    const selected = (value: unknown): string[] | undefined => selectableStates(structure, value);
    expect(selected("end")).toEqual(["order", "order.end"]);
    expect(selected({ work: { pay: "charged", log: "off" } })).toEqual([
      "order",
      "order.work",
      "order.work.pay",
      "order.work.pay.charged",
      "order.work.log",
      "stopped",
    ]);
    for (const value of ["work", {}, "", { work: {} }, { work: { pay: "recent", log: "on" } }, { end: { deeper: "x" } }, { end: {}, gone: {} }, "toString"])
      expect(selected(value), JSON.stringify(value)).toBeUndefined();
    expect(selectableStates(structureOf({ id: "bare" }), {})).toEqual(["bare"]);
    expect(selectableStates(structureOf({ id: "p", type: "parallel", states: { a: {}, b: {} } }), { a: {}, b: {} })).toEqual(["p", "p.a", "p.b"]);
    for (const value of ["end", { work: { pay: "charged", log: "off" } }]) expect(selected(value)!.toSorted()).toEqual(nodesOf(order(), value).toSorted());
  });

  test("every state that pawl's own machines can begin in is legal in their structure", async () => {
    for (const { machine } of await findMachines()) {
      const first = machine.root.initial.target[0]!.key;
      expect(selectableStates(machineStructure(machine), first)).toEqual([machine.id, `${machine.id}.${first}`]);
      expect(selectableStates(machineStructure(machine), "nowhere")).toBeUndefined();
    }
  });
});

describe("events", () => {
  test("declared are all that any state names, but none of xstate's own", () => {
    expect([...declaredEvents(order())].toSorted()).toEqual(["BACK", "CANCEL", "GO", "NO", "PAUSE", "QUIT", "STOP", "info.*"]);
  });

  test.each([
    ["GO", true],
    ["info.price", true],
    ["info", true],
    ["information", false],
    ["go", false],
    ["xstate.stop", false],
  ])("%s is declared: %s", (type, expected) => {
    expect(isDeclared(declaredEvents(order()), type)).toBe(expected);
  });

  test("a wildcard takes every type but xstate's", () => {
    expect(isDeclared(["*"], "any.thing")).toBe(true);
    expect(isDeclared(["*"], "xstate.done.actor.x")).toBe(false);
  });

  test("of the present states are those of the active nodes and what is around them", () => {
    expect(eventsOf(order(), "end").toSorted()).toEqual(["CANCEL", "GO", "info.*"]);
    expect(eventsOf(order(), { work: { pay: "charging", log: "on" } }).toSorted()).toEqual(["CANCEL", "PAUSE", "QUIT", "STOP", "info.*"]);
    expect(() => eventsOf(order(), "nowhere")).toThrow("nowhere");
  });
});

describe("drawings", () => {
  const draw = (format: DrawingFormat): string => drawMachine(order(), format);

  test("as Mermaid: nested states, regions, history, timers, invokes, names that are reserved or have signs", () => {
    expect(draw("mermaid")).toBe(MERMAID);
  });

  test("as Graphviz: clusters, and arrows that end at their borders", () => {
    expect(draw("dot")).toBe(DOT);
  });

  test("a machine without transitions of its own is drawn without a frame", () => {
    const light = createMachine({ id: "light", initial: "off", states: { off: { on: { ON: "lit" } }, lit: { type: "final" } } });
    expect(drawMachine(light, "mermaid")).toBe(`---
title: "light"
---
stateDiagram-v2
  [*] --> s1
  state "off" as s1
  state "lit" as s2
  s2 --> [*]
  s1 --> s2 : ON
`);
    expect(drawMachine(light, "dot")).toContain('digraph "light" {\n  label="light"\n');
  });

  test("arrows into, out of and within a state that has states; history with a target by id; an invoke with a name of its own", () => {
    const inner = { initial: "deep", on: { IN: ".deep" }, states: { deep: { invoke: { id: "ask", src: "model" }, on: { UP: "#outer" } } } };
    const machine = createMachine({
      id: "nest",
      initial: "outer",
      states: { outer: { id: "outer", ...inner }, recent: { type: "history", target: "#outer" }, aside: { on: { BACK: "recent", INTO: "outer" } } },
    } as never);
    expect(drawMachine(machine, "dot").split("\n").slice(-13)).toEqual([
      '    s2 [label="deep\\ninvoke ask (model)"]',
      "    s1_initial -> s2",
      "  }",
      '  s3 [label="recent (H)", shape=circle]',
      '  s4 [label="aside"]',
      "  s0_initial -> s1 [lhead=cluster_s1]",
      '  s1 -> s2 [label="IN"]',
      '  s2 -> s1 [label="UP"]',
      "  s3 -> s1 [lhead=cluster_s1]",
      '  s4 -> s3 [label="BACK"]',
      '  s4 -> s1 [label="INTO", lhead=cluster_s1]',
      "}",
      "",
    ]);
    expect(drawMachine(machine, "mermaid")).toContain("    s2 : invoke ask (model)\n");
  });

  test("signs that a notation would read are escaped", () => {
    const machine = createMachine({ id: "signs", initial: 'a"b:c;{', states: { 'a"b:c;{': { on: { "*": { actions: function send() {} } } } } } as never);
    const mermaid = drawMachine(machine, "mermaid");
    expect(mermaid).toContain('state "a#34;b#58;c#59;#123;" as s1');
    expect(mermaid).toContain("s1 : #42; / send");
    expect(drawMachine(machine, "dot")).toContain(String.raw`s1 [label="a\"b:c;{\n* / send"]`);
  });

  test("as JSON: the structure", () => {
    expect(JSON.parse(draw("json"))).toEqual(machineStructure(order()));
  });

  test("for Stately Studio: a configuration of which createMachine makes the same states and transitions", async () => {
    const own = (await findMachines()).map(({ machine }) => machine);
    for (const machine of [order(), ...own]) {
      const text = drawMachine(machine, "stately");
      const copy = createMachine(JSON.parse(text) as never);
      const states = (each: AnyStateMachine) =>
        machineStructure(each).machines[0]!.states.map(({ invokes, ...rest }) => ({ ...rest, invokes: invokes.length }));
      expect(states(copy)).toEqual(states(machine));
    }
    const config = JSON.parse(draw("stately")) as { states: { end: { on: object }; work: { states: { log: object } } } };
    expect(config.states.end.on).toEqual({
      GO: { target: "work", guard: { type: "and(isPaid, not((inline)))" }, actions: ["notify", { type: "xstate.raise" }] },
      NO: {},
    });
    expect(config.states.work.states.log).toMatchObject({ invoke: [{ src: "(inline callback)" }], entry: [{ type: "remember" }] });
  });

  test("in another format are refused with the formats that there are", () => {
    expect(() => drawMachine(order(), "svg" as never)).toThrow(PawlError);
    expect(() => drawMachine(order(), "svg" as never)).toThrow("must be one of 'mermaid', 'dot', 'json', 'stately'");
  });
});

/** Ids of the state nodes that xstate makes active for a value. */
function nodesOf(machine: AnyStateMachine, value: unknown): string[] {
  const { _nodes } = machine.resolveState({ value: value as never, context: {} }) as unknown as { _nodes: readonly { id: string }[] };
  return _nodes.map(({ id }) => id);
}

/** A bit of everything: regions, history, timers, invokes with and without a name, and states called as notations call theirs. */
function order(): AnyStateMachine {
  return setup({
    types: { context: {} as { n: number } },
    actors: { charge: fromPromise(async () => 1) },
    guards: { isPaid: () => true },
    actions: { notify: () => {}, count: assign({ n: 1 }) },
    delays: { patience: 5 },
  }).createMachine({
    id: "order",
    context: { n: 0 },
    initial: "end",
    on: { CANCEL: ".gone", "info.*": { actions: "count" } },
    states: {
      end: {
        tags: ["quiet", "idle"],
        on: { GO: { target: "work", guard: and(["isPaid", not(() => false)]), actions: ["notify", raise({ type: "X" })] }, NO: undefined },
        after: { 1000: "gone", patience: { target: "end", reenter: true } },
      },
      work: {
        type: "parallel",
        onDone: "gone",
        on: { PAUSE: "paused", QUIT: [{ target: ["#stopped", "work.pay.charged"] }] },
        states: {
          pay: {
            initial: "charging",
            states: {
              charging: { invoke: { id: "charge", src: "charge", onDone: "charged", onError: { target: "charging", reenter: true } } },
              charged: { type: "final" },
              recent: { type: "history", history: "deep", target: "charging" },
            },
          },
          log: {
            invoke: { src: fromCallback(() => {}) },
            entry: function remember() {},
            initial: "on",
            states: { on: { on: { STOP: "off" } }, off: { id: "stopped", type: "final" } },
          },
        },
      },
      paused: { on: { BACK: "work.pay.recent" }, always: { guard: stateIn("#stopped"), target: "gone" } },
      gone: { type: "final" },
    },
  } as never) as unknown as AnyStateMachine;
}

const MERMAID = `---
title: "order"
---
stateDiagram-v2
  state "order" as s0 {
    [*] --> s1
    state "end" as s1
    s1 : NO / nothing
    state "work" as s2 {
      state "pay" as s3 {
        [*] --> s4
        state "charging" as s4
        s4 : invoke charge
        state "charged" as s5
        state "recent (H#42;)" as s6
        s5 --> [*]
      }
      --
      state "log" as s7 {
        [*] --> s8
        state "on" as s8
        state "off" as s9
        s9 --> [*]
      }
      note right of s7 : invoke (inline callback)<br/>entry / remember
    }
    state "paused" as s10
    state "gone" as s11
    s11 --> [*]
  }
  note right of s0 : info.#42; / count
  s0 --> s11 : CANCEL
  s1 --> s2 : GO [and(isPaid, not((inline)))] / notify, raise
  s1 --> s11 : after 1s
  s1 --> s1 : after patience
  s2 --> s10 : PAUSE
  s2 --> s9 : QUIT
  s2 --> s5 : QUIT
  s2 --> s11 : done
  s4 --> s5 : done charge
  s4 --> s4 : error charge
  s6 --> s4
  s8 --> s9 : STOP
  s10 --> s6 : BACK
  s10 --> s11 : always [stateIn(#35;stopped)]
`;

const DOT = String.raw`digraph "order" {
  compound=true
  node [shape=box, style=rounded]
  subgraph cluster_s0 {
    label="order\ninfo.* / count"
    style="rounded"
    s0 [shape=point, style=invis]
    s0_initial [shape=point]
    s1 [label="end\nNO / nothing"]
    subgraph cluster_s2 {
      label="work"
      style="rounded"
      s2 [shape=point, style=invis]
      subgraph cluster_s3 {
        label="pay"
        style="rounded,dashed"
        s3 [shape=point, style=invis]
        s3_initial [shape=point]
        s4 [label="charging\ninvoke charge"]
        s5 [label="charged", peripheries=2]
        s6 [label="recent (H*)", shape=circle]
        s3_initial -> s4
      }
      subgraph cluster_s7 {
        label="log\ninvoke (inline callback)\nentry / remember"
        style="rounded,dashed"
        s7 [shape=point, style=invis]
        s7_initial [shape=point]
        s8 [label="on"]
        s9 [label="off", peripheries=2]
        s7_initial -> s8
      }
    }
    s10 [label="paused"]
    s11 [label="gone", peripheries=2]
    s0_initial -> s1
  }
  s0 -> s11 [label="CANCEL"]
  s1 -> s2 [label="GO [and(isPaid, not((inline)))] / notify, raise", lhead=cluster_s2]
  s1 -> s11 [label="after 1s"]
  s1 -> s1 [label="after patience"]
  s2 -> s10 [label="PAUSE", ltail=cluster_s2]
  s2 -> s9 [label="QUIT"]
  s2 -> s5 [label="QUIT"]
  s2 -> s11 [label="done", ltail=cluster_s2]
  s4 -> s5 [label="done charge"]
  s4 -> s4 [label="error charge"]
  s6 -> s4
  s8 -> s9 [label="STOP"]
  s10 -> s6 [label="BACK"]
  s10 -> s11 [label="always [stateIn(#stopped)]"]
}
`;
