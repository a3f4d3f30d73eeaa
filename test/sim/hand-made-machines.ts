/**
 * Machines made by hand for the comparison of live and durable traces: each is built around one thing that a host can easily get wrong.
 */
import { type AnyActorLogic, assign, cancel, enqueueActions, forwardTo, raise, sendParent, sendTo, spawnChild } from "xstate";
import { fromCallback, fromEventObservable, fromObservable, fromPromise, fromTransition } from "xstate";
import { FAMILIES } from "./hand-made-families.ts";
import { FOUND } from "./hand-made-found.ts";
import { type HandMadeCase, advance, append, countIn, machine, marks, ofContext, send, valuesAtOnce } from "./hand-made-parts.ts";

const outsideLogicCases: HandMadeCase[] = [
  {
    name: "promises: input, done, failed, aborted",
    build: ({ record }) => {
      const actors = {
        doubles: fromPromise<number, { x: number }>(async ({ input }) => input.x * 2),
        fails: fromPromise(async () => {
          throw Object.assign(new Error("no"), { code: 7 });
        }),
        hangs: fromPromise(() => new Promise(() => {})),
      };
      const failed = assign({ error: ({ event }: any) => event.error.message + event.error.code });
      return machine(
        {
          context: { result: 0, error: "" },
          initial: "a",
          states: {
            a: { invoke: { src: "doubles", input: { x: 21 }, onDone: { target: "b", actions: assign({ result: ({ event }: any) => event.output }) } } },
            b: { invoke: { id: "p", src: "fails", onError: { target: "c", actions: failed } } },
            c: { invoke: { src: "hangs" }, on: { GO: "d" } },
            d: { entry: () => record("aborted") },
          },
        },
        { actors },
      );
    },
    steps: [send("GO")],
  },
  {
    name: "a callback that answers",
    build: ({ record }) => {
      const echo: AnyActorLogic = fromCallback(({ sendBack, receive }) => receive((event: any) => sendBack({ type: "ECHO", v: event.v + 1 })));
      const on = {
        invoke: { id: "c", src: "echo" },
        on: {
          SAY: { actions: sendTo("c", ({ event }: any) => ({ type: "X", v: event.v })) },
          ECHO: { actions: [assign({ v: ({ event }: any) => event.v }), () => record("heard")] },
          OFF: "off",
        },
      };
      return machine({ context: { v: 0 }, initial: "on", states: { on, off: {} } }, { actors: { echo } });
    },
    steps: [send("SAY", { v: 1 }), send("SAY", { v: 10 }), send("OFF"), send("SAY", { v: 3 })],
    restarts: "a message to a callback dies with its process",
  },
  {
    name: "streams of values and of events that end",
    build: () => {
      const actors = { values: fromObservable(() => valuesAtOnce([1, 2, 3])), events: fromEventObservable(() => valuesAtOnce([{ type: "EV", v: 1 }])) };
      const onSnapshot = { actions: append("values", ({ snapshot }) => snapshot.context) };
      return machine(
        {
          context: { values: [], events: [] },
          initial: "a",
          states: {
            a: { invoke: { src: "values", id: "o", onSnapshot, onDone: "b" } },
            b: { invoke: { src: "events", id: "e", onDone: "c" }, on: { EV: { actions: append("events", ({ v }) => v) } } },
            c: {},
          },
        },
        { actors },
      );
    },
    steps: [],
    restarts: "a stream starts from its beginning",
  },
  {
    name: "transition logic whose snapshots the parent follows",
    build: () => {
      const counter = fromTransition(
        (state: any, event: any) => (event.type === "INC" ? { n: state.n + 1 } : state),
        ({ input }: any) => ({ n: input }),
      );
      const onSnapshot = { actions: append("seen", ({ snapshot }) => snapshot.context.n) };
      return machine(
        { context: { seen: [] }, invoke: { src: "counter", id: "t", input: 4, onSnapshot }, on: { INC: { actions: forwardTo("t") } } },
        { actors: { counter } },
      );
    },
    steps: [send("INC"), send("INC"), send("NOTHING")],
  },
  {
    name: "machine snapshots as events, asked what they match",
    build: () => {
      const child = machine({ initial: "x", states: { x: { on: { N: "y" } }, y: { on: { N: "x" } } } });
      const seen = append("seen", ({ snapshot }) => snapshot.value);
      return machine(
        {
          context: { seen: [], ys: 0 },
          entry: spawnChild("child" as never, { id: "child", syncSnapshot: true }),
          on: {
            N: { actions: sendTo("child", { type: "N" }) },
            "xstate.snapshot.child": [{ guard: ({ event }: any) => event.snapshot.matches("y"), actions: [countIn("ys"), seen] }, { actions: seen }],
          },
        },
        { actors: { child } },
      );
    },
    steps: [send("N"), send("N"), send("N")],
  },
  {
    name: "a callback that speaks at once",
    build: () => {
      const speaker: AnyActorLogic = fromCallback(({ sendBack }) => sendBack({ type: "NOW" }));
      return machine(
        {
          context: { order: [] },
          entry: sendTo(({ self }) => self, { type: "SELF" }),
          invoke: { src: "speaker" },
          on: { NOW: { actions: append("order", () => "now") }, SELF: { actions: append("order", () => "self") } },
        },
        { actors: { speaker } },
      );
    },
    steps: [send("X")],
    restarts: "a callback starts again, and speaks again",
    differs: "live starts the callback inside the cascade, the host after its commit",
  },
];

const alone: HandMadeCase[] = [
  {
    name: "timers: after, re-entry, delayed raise and sends, cancel, a dynamic delay",
    build: ({ record }) => {
      const child = machine({ on: { TICK: { actions: [() => record("tick"), sendParent({ type: "TOCK" })] } } });
      const a = {
        entry: [
          raise({ type: "LATE" }, { delay: 40, id: "late" }),
          sendTo("child", { type: "TICK" }, { delay: 60 }),
          sendTo(({ self }) => self, { type: "SELF" }, { delay: 20 }),
        ],
        exit: cancel("late"),
        after: { dynamic: "b" },
        on: {
          AGAIN: { target: "a", reenter: true },
          STOP: { actions: cancel("late") },
          LATE: { actions: () => record("late") },
          SELF: { actions: () => record("self") },
        },
      };
      const states = {
        a,
        b: { after: { 30: [{ guard: ({ context }: any) => context.n > 99, target: "a" }, { target: "c" }] } },
        c: { always: { target: "d" } },
        d: { entry: () => record("d") },
      };
      return machine(
        { context: { delay: 70, n: 0 }, invoke: { src: "child", id: "child" }, initial: "a", on: { TOCK: { actions: countIn("n") } }, states },
        { actors: { child }, delays: { dynamic: ofContext("delay") } },
      );
    },
    steps: [advance(30), send("AGAIN"), advance(30), send("STOP"), advance(30), advance(30), advance(50)],
  },
  {
    name: "history, shallow and deep",
    build: () => {
      const l = {
        initial: "l1",
        states: { l1: { on: { L: "l2" } }, l2: { initial: "x", states: { x: { on: { X: "y" } }, y: {} } }, h: { type: "history" } },
      };
      const r = { initial: "r1", states: { r1: { on: { R: "r2" } }, r2: {} } };
      const on = { type: "parallel", states: { l, r, deep: { type: "history", history: "deep" } }, on: { OFF: "off" } };
      return machine({ initial: "on", states: { on, off: { on: { DEEP: "on.deep", SHALLOW: "on.l.h" } } } });
    },
    steps: [send("L"), send("X"), send("R"), send("OFF"), send("DEEP"), send("OFF"), send("SHALLOW")],
  },
  {
    name: "a custom action that sends to itself, guards asked in enqueueActions, always",
    build: (outside) => {
      const mark = marks(outside);
      const more = enqueueActions(({ enqueue, check }: any) => {
        enqueue(countIn("n"));
        if (check("isBig")) enqueue.raise({ type: "BIG" });
      });
      const on = {
        GO: { actions: [mark("before"), ({ self }: any) => self.send({ type: "INC" }), more, mark("after")] },
        INC: { actions: countIn("n") },
        BIG: { actions: mark("big") },
      };
      const a = { on, always: { guard: ({ context }: any) => context.n >= 6, target: "b" } };
      return machine({ context: { n: 0 }, initial: "a", states: { a, b: { entry: mark("b") } } }, { guards: { isBig: ({ context }: any) => context.n > 2 } });
    },
    steps: [send("GO"), send("GO"), send("GO")],
  },
  {
    name: "values of all kinds, and refs to self, parent and sibling, in context",
    build: ({ record }) => {
      const child = machine({
        context: {},
        on: {
          MEET: { actions: assign({ peer: ({ event }: any) => event.peer, me: ({ self }: any) => self, boss: ({ event }: any) => event.boss }) },
          TELL: { actions: ["peer", "boss", "me"].map((whom) => sendTo(ofContext(whom), { type: `TO_${whom}` })) },
          TO_peer: { actions: () => record("peer") },
          TO_me: { actions: () => record("me") },
        },
      });
      const kept = ({ date, map, set, nan, big, error, a, ...rest }: any): unknown[] => [
        date instanceof Date && date.getTime() === 5,
        map.get(1) !== undefined && "inner" in map.get(1),
        set.has("x"),
        "nothing" in rest && rest.nothing === undefined,
        Number.isNaN(nan) && big === 12n,
        error instanceof Error && error.name === "TypeError" && (error as any).code === "E",
        a.id,
      ];
      return machine(
        {
          context: ({ spawn }: any) => ({
            ...{ date: new Date(5), map: new Map([[1, { inner: undefined }]]), set: new Set(["x"]), nothing: undefined, nan: NaN, big: 12n },
            ...{ error: Object.assign(new TypeError("t"), { code: "E" }), told: 0, kept: [] },
            ...{ a: spawn("child", { id: "a" }), b: spawn("child", { id: "b" }) },
          }),
          on: {
            MEET: { actions: sendTo("a", ({ context, self }) => ({ type: "MEET", peer: context["b"], boss: self })) },
            TELL: { actions: sendTo("a", { type: "TELL" }) },
            TO_boss: { actions: countIn("told") },
            CHECK: { actions: assign({ kept: ({ context }: any) => kept(context) }) },
          },
        },
        { actors: { child } },
      );
    },
    steps: [send("MEET"), send("TELL"), send("CHECK")],
  },
  {
    name: "an action that throws",
    build: ({ record }) => {
      const fails = (): never => {
        throw new Error("act");
      };
      const GO = { target: "b", actions: [() => record("one"), fails, () => record("two")] };
      return machine({ context: { n: 0 }, initial: "a", states: { a: { on: { GO } }, b: {} } });
    },
    steps: [send("GO"), send("GO")],
    differs: "live rolls the state back, the host has committed it",
  },
  {
    name: "two delayed events under one id",
    build: ({ record }) =>
      machine({
        entry: [raise({ type: "A" }, { delay: 10, id: "x" }), raise({ type: "B" }, { delay: 20, id: "x" })],
        on: { A: { actions: () => record("A") }, B: { actions: () => record("B") }, C: { actions: cancel("x") } },
      }),
    steps: [advance(10), send("C"), advance(10)],
    differs: "stock xstate forgets the second timer when the first goes off, and cannot cancel it any more; the host can",
  },
];

export const HAND_MADE_CASES: readonly HandMadeCase[] = [...FAMILIES, ...outsideLogicCases, ...alone, ...FOUND];
