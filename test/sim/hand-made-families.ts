/**
 * Machines made by hand that have children: who hears what, in which order, and what becomes of a child whose parent goes on.
 */
import { assign, emit, enqueueActions, forwardTo, fromCallback, fromPromise, log, raise, sendParent, sendTo, spawnChild, stopChild } from "xstate";
import { type HandMadeCase, advance, append, countIn, machine, marks, ofContext, send } from "./hand-made-parts.ts";

export const FAMILIES: readonly HandMadeCase[] = [
  {
    name: "children spawned in the context factory, in assign and in enqueueActions",
    build: (outside) => {
      const child = machine({
        context: ({ input }: any) => ({ n: input }),
        on: { PING: { actions: [marks(outside)("child"), sendParent(({ context }) => ({ type: "PONG", n: context.n }))] } },
      });
      const both = enqueueActions(({ enqueue }: any) => {
        enqueue.spawnChild("child", { id: "c", input: 3 });
        enqueue.sendTo("c", { type: "PING" });
      });
      return machine(
        {
          context: ({ spawn }: any) => ({ heard: [], a: spawn("child", { id: "a", input: 1 }) }),
          on: {
            PONG: { actions: append("heard", ({ n }) => n) },
            MORE: { actions: [assign({ b: ({ spawn }: any) => spawn("child", { id: "b", input: 2 }) }), both] },
            ALL: { actions: [sendTo(ofContext("a"), { type: "PING" }), sendTo("b", { type: "PING" }), sendTo("c", { type: "PING" })] },
          },
        },
        { actors: { child } },
      );
    },
    steps: [send("MORE"), send("ALL"), send("ALL")],
  },
  {
    name: "a system id that a re-entered invoke takes over",
    build: ({ record }) => {
      const child = machine({
        entry: () => record("child in"),
        on: { HI: { actions: [() => record("hi"), sendTo(({ system }) => system.get("boss"), { type: "ACK" })] } },
      });
      const boss = machine({ on: { ACK: { actions: [() => record("ack"), sendParent({ type: "BOSSED" })] } } });
      const a = {
        invoke: { src: "child", id: "k", systemId: "k" },
        on: { AGAIN: { target: "a", reenter: true }, HI: { actions: sendTo(({ system }) => system.get("k"), { type: "HI" }) } },
      };
      const entry = spawnChild("boss" as never, { id: "b", systemId: "boss" });
      return machine({ context: { n: 0 }, initial: "a", entry, on: { BOSSED: { actions: countIn("n") } }, states: { a } }, { actors: { child, boss } });
    },
    steps: [send("HI"), send("AGAIN"), send("HI"), send("AGAIN"), send("HI")],
  },
  {
    name: "three levels that speak up and down, and end from the bottom",
    build: ({ record }) => {
      const leaf = machine({
        initial: "waits",
        output: { ok: 1 },
        states: { waits: { on: { F: { target: "ends", actions: sendParent({ type: "UP" }) } } }, ends: { type: "final" } },
      });
      const onDone = { target: "ends", actions: [() => record("leaf done"), assign({ out: ({ event }: any) => event.output })] };
      const middle = machine(
        {
          context: { ups: 0 },
          initial: "runs",
          output: ({ context }: any) => context,
          states: {
            runs: {
              invoke: { src: "leaf", id: "leaf", onDone },
              on: { F: { actions: forwardTo("leaf") }, UP: { actions: [countIn("ups"), sendParent({ type: "UP2" })] } },
            },
            ends: { type: "final" },
          },
        },
        { actors: { leaf } },
      );
      const runs = {
        invoke: { src: "middle", id: "middle", onDone: { target: "ends", actions: append("seen", ({ output }) => output) } },
        on: { F: { actions: forwardTo("middle") }, UP2: { actions: append("seen", ({ type }) => type) } },
      };
      const output = ({ context }: any): unknown => context.seen;
      return machine({ context: { seen: [] }, initial: "runs", output, states: { runs, ends: { type: "final" } } }, { actors: { middle } });
    },
    steps: [send("F")],
  },
  {
    name: "children stopped by id and by ref, emit and log",
    build: ({ record }) => {
      const child = machine({ invoke: { src: fromCallback(() => {}) }, entry: () => record("child in"), exit: () => record("never: a stop exits nothing") });
      return machine(
        {
          context: ({ spawn }: any) => ({ ref: spawn("child", { id: "r" }) }),
          entry: spawnChild("child" as never, { id: "s" }),
          on: {
            TELL: { actions: [emit({ type: "OUT" }), log("hello"), () => record("custom")] },
            STOP: { actions: [stopChild("s"), stopChild(({ context }: any) => context.ref)] },
          },
        },
        { actors: { child } },
      );
    },
    steps: [send("TELL"), send("STOP"), send("TELL")],
  },
  {
    name: "a child that fails: once handled, once not",
    build: () => {
      const fails = assign(() => {
        throw new Error("boom");
      });
      const child = machine({ on: { BOOM: { actions: fails } } });
      const noted = assign({ message: ({ event }: any) => event.error.message });
      const a = { invoke: { src: "child", id: "k", onError: { target: "b", actions: noted } }, on: { B: { actions: sendTo("k", { type: "BOOM" }) } } };
      const b = { invoke: { src: "child", id: "k2" }, on: { B: { actions: sendTo("k2", { type: "BOOM" }) } } };
      return machine({ initial: "a", context: { message: "" }, states: { a, b } }, { actors: { child } });
    },
    steps: [send("B"), send("B"), send("B")],
  },
  {
    name: "a parallel root that is done while a child lives",
    build: ({ record }) => {
      const child = machine({ invoke: { src: fromCallback(() => {}) }, exit: () => record("never: a stop exits nothing") });
      const p = { initial: "a", states: { a: { invoke: { src: "child", id: "k" }, on: { P: "b" } }, b: { type: "final" } } };
      const q = { initial: "a", entry: spawnChild("child" as never, { id: "q" }), states: { a: { on: { Q: "b" } }, b: { type: "final" } } };
      return machine({ type: "parallel", output: { out: "x" }, exit: () => record("root exit"), states: { p, q } }, { actors: { child } });
    },
    steps: [send("P"), send("Q"), send("P")],
  },
  {
    name: "an exit action that talks to the old child while the new one has its id",
    build: (outside) => {
      const mark = marks(outside);
      const child = machine({
        context: ({ input }: any) => ({ n: input }),
        entry: mark("in"),
        on: { BYE: { actions: [mark("bye"), sendParent({ type: "GONE" })] }, WHO: { actions: mark("who") } },
        after: { 50: { actions: mark("aged") } },
      });
      const a = {
        entry: countIn("born"),
        exit: sendTo("child", { type: "BYE" }),
        invoke: { src: "child", id: "child", input: ofContext("born") },
        on: { AGAIN: { target: "a", reenter: true }, WHO: { actions: sendTo("child", { type: "WHO" }) } },
      };
      return machine({ context: { born: 0, gone: 0 }, on: { GONE: { actions: countIn("gone") } }, initial: "a", states: { a } }, { actors: { child } });
    },
    steps: [send("WHO"), advance(30), send("AGAIN"), send("WHO"), advance(30), advance(30), send("AGAIN"), send("WHO")],
  },
  {
    name: "delivery goes depth first, and refs travel in events",
    build: ({ record }) => {
      const b = machine({
        on: { X: { actions: [() => record("b:X"), sendTo(({ event }: any) => event.peer, { type: "Z" }), sendParent({ type: "FROM_B" })] } },
      });
      const c = machine({
        context: {},
        on: {
          Y: { actions: () => record("c:Y") },
          Z: { actions: () => record("c:Z") },
          MEET: { actions: assign({ boss: ({ event }: any) => event.sender }) },
          BACK: { actions: sendTo(ofContext("boss"), { type: "BACKED" }) },
        },
      });
      const meet = sendTo("c", ({ self }) => ({ type: "MEET", sender: self }));
      return machine(
        {
          context: ({ spawn }: any) => ({ order: [], b: spawn("b", { id: "b" }), c: spawn("c", { id: "c" }) }),
          entry: meet,
          on: {
            GO: {
              actions: [
                sendTo("b", ({ context }) => ({ type: "X", peer: context["c"] })),
                sendTo("c", { type: "Y" }),
                raise({ type: "IN" }),
                sendTo("c", { type: "BACK" }),
              ],
            },
            IN: { actions: () => record("in") },
            FROM_B: { actions: append("order", () => "b") },
            BACKED: { actions: append("order", () => "c") },
          },
        },
        { actors: { b, c } },
      );
    },
    steps: [send("GO"), send("GO")],
  },
  {
    name: "logic in place: an invoke without an id, and machines spawned as objects",
    build: () => {
      const shared = machine({
        context: ({ input }: any) => ({ n: input ?? 0 }),
        on: { N: { actions: sendParent(({ context }) => ({ type: "GOT", n: context.n })) } },
      });
      const add = assign(({ context, spawn }: any) => ({ refs: [...context.refs, spawn(shared, { input: context.refs.length + 1 })] }));
      const ask = enqueueActions(({ context, enqueue }: any) => context.refs.forEach((ref: any) => enqueue.sendTo(ref, { type: "N" })));
      const answer = { src: fromPromise(async () => 8), onDone: { actions: assign({ answer: ({ event }: any) => event.output }) } };
      return machine({
        context: { refs: [], got: [], answer: 0 },
        initial: "a",
        on: { ADD: { actions: add }, ASK: { actions: ask }, GOT: { actions: append("got", ({ n }) => n) } },
        states: { a: { invoke: [answer, { src: shared }] } },
      });
    },
    steps: [send("ADD"), send("ADD"), send("ASK"), send("ASK")],
    differs: "logic that is spawned as an object cannot be found again: the host refuses it",
  },
  {
    name: "children spawned without an id",
    build: ({ record }) => {
      const child = machine({ entry: () => record("child"), after: { 10: { actions: sendParent({ type: "HEY" }) } } });
      return machine(
        { context: { hey: 0 }, entry: [spawnChild("child" as never), spawnChild("child" as never)], on: { HEY: { actions: countIn("hey") } } },
        { actors: { child } },
      );
    },
    steps: [advance(10), advance(10)],
  },
  {
    name: "a parent that reads its child's snapshot, even right after the spawn",
    build: ({ record }) => {
      const child = machine({ context: { v: 1 }, on: { V: { actions: countIn("v") } } });
      const valueOf = ({ context }: any): number => context.child.getSnapshot().context.v;
      return machine(
        {
          context: { first: 0 },
          entry: [assign({ child: ({ spawn }: any) => spawn("child", { id: "k" }) }), assign({ first: valueOf })],
          on: {
            V: { actions: sendTo("k", { type: "V" }) },
            LOOK: [{ guard: (args: any) => valueOf(args) >= 3, actions: () => record("three") }, { actions: () => record("less") }],
          },
        },
        { actors: { child } },
      );
    },
    steps: [send("LOOK"), send("V"), send("V"), send("LOOK")],
  },
  {
    name: "a long rally between two children",
    build: () => {
      const other = { p: "q", q: "p" } as any;
      const hit = sendTo(
        ({ system, event }: any) => system.get(event.to),
        ({ event }: any) => ({ type: "BALL", left: event.left - 1, to: other[event.to] }),
      );
      const player = machine({
        context: { n: 0 },
        on: { BALL: { guard: ({ event }: any) => event.left > 0, actions: [countIn("n"), hit] } },
      });
      const join = (id: string): any => spawnChild("player" as never, { id, systemId: id });
      return machine({ entry: [join("p"), join("q")], on: { SERVE: { actions: sendTo("p", { type: "BALL", left: 50, to: "q" }) } } }, { actors: { player } });
    },
    steps: [send("SERVE")],
  },
];
