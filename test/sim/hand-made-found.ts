/**
 * What random machines that failed were shrunk to, told by hand: each was once a bug of the host.
 */
import { assign, sendParent, sendTo, spawnChild, stopChild } from "xstate";
import { type HandMadeCase, advance, append, countIn, machine, marks, ofContext, send } from "./hand-made-parts.ts";

export const FOUND: readonly HandMadeCase[] = [
  {
    name: "a child that is stopped with its children and theirs",
    build: (outside) => {
      const mark = marks(outside);
      const leaf = machine({ entry: mark("leaf"), after: { 20: { actions: mark("too late") } } });
      const orphan = machine({ entry: mark("orphan") });
      const orphans = [spawnChild("orphan" as never), spawnChild("orphan" as never)];
      const middle = machine(
        {
          entry: orphans,
          invoke: [
            { src: "leaf", id: "l" },
            { src: "leaf", id: "m" },
          ],
        },
        { actors: { leaf, orphan } },
      );
      const top = machine(
        {
          invoke: [
            { src: "middle", id: "a" },
            { src: "middle", id: "b" },
          ],
        },
        { actors: { middle } },
      );
      return machine({ entry: spawnChild("top" as never, { id: "t" }), on: { STOP: { actions: [stopChild("t"), mark("stopped")] } } }, { actors: { top } });
    },
    steps: [advance(10), send("STOP"), advance(20)],
  },
  {
    name: "a way through history that leaves state nodes out",
    build: (outside) => {
      const mark = marks(outside);
      const region = { exit: mark("leaves"), initial: "x", states: { x: {} } };
      const inner = {
        type: "parallel",
        states: {
          a: { on: { B: { target: "#deep", reenter: true, actions: countIn("n") } }, after: { 30: "#region" } },
          b: {},
          deep: { id: "deep", type: "history", history: "deep" },
        },
      };
      return machine({ context: { n: 0 }, type: "parallel", states: { inner, region: { id: "region", ...region }, other: { exit: mark("other leaves") } } });
    },
    steps: [send("B"), send("B"), advance(30), send("B"), advance(30), send("B")],
  },
  {
    name: "eventless transitions of parallel states of unlike depth",
    build: (outside) => {
      const mark = marks(outside);
      const always = (name: string): object => ({
        on: { GO: { actions: countIn("n") } },
        always: { guard: ({ context }: any) => context.n > 0 && !context.done.includes(name), actions: [append("done", () => name), mark(name)] },
      });
      const deep = { initial: "x", states: { x: always("deep") } };
      return machine({
        context: { n: 0, done: [] },
        type: "parallel",
        states: { deep, flat: always("flat"), deeper: { type: "parallel", states: { one: deep, two: always("two") } } },
      });
    },
    steps: [send("NOTHING"), send("GO"), send("GO")],
  },
  {
    name: "a child that fails at the first event after it was read back",
    build: () => {
      const fails = assign(() => {
        throw new Error("boom");
      });
      const child = machine({ context: { n: 1 }, initial: "x", states: { x: { on: { BOOM: { actions: fails } } } } });
      const noted = assign({ message: ({ event }: any) => event.error.message });
      const on = { BOOM: { actions: sendTo("k", { type: "BOOM" }) } };
      return machine(
        { context: { message: "" }, initial: "a", states: { a: { on, invoke: { src: "child", id: "k", onError: { actions: noted } } } } },
        { actors: { child } },
      );
    },
    steps: [send("WAIT"), send("BOOM"), send("WAIT")],
  },
  {
    name: "a child that fails before it has a state",
    build: () => {
      const child = machine({
        context: () => {
          throw new Error("no context");
        },
      });
      const noted = assign({ message: ({ event }: any) => event.error.message });
      return machine(
        { context: { message: "" }, initial: "a", states: { a: { invoke: { src: "child", id: "k", onError: { actions: noted } } } } },
        { actors: { child } },
      );
    },
    steps: [send("WAIT")],
  },
  {
    name: "a watched grandchild whose mother was born in a context factory",
    build: () => {
      const leaf = machine({ context: { n: 3 } });
      const born = ({ spawn }: any): object => ({ heard: 0, leaf: spawn("leaf", { id: "leaf", syncSnapshot: true }) });
      const middle = machine(
        { context: born, on: { "xstate.snapshot.leaf": { actions: [countIn("heard"), sendParent({ type: "HEARD" })] } } },
        { actors: { leaf } },
      );
      return machine(
        { context: ({ spawn }: any) => ({ n: 0, k: spawn("middle", { id: "k" }) }), on: { HEARD: { actions: countIn("n") } } },
        { actors: { middle } },
      );
    },
    steps: [send("NOTHING")],
  },
  {
    name: "a snapshot that outlives its actor, in the context",
    build: () => {
      const leaf = machine({ context: { n: 3 }, initial: "x", states: { x: { on: { N: "y" } }, y: {} } });
      const last = { actions: assign({ last: ({ event }: any) => event.snapshot }) };
      const asked = ({ context }: any): unknown => context.last.matches("x");
      return machine(
        {
          context: { last: null, seen: [] },
          entry: spawnChild("leaf" as never, { id: "k", syncSnapshot: true }),
          on: { "xstate.snapshot.k": last, STOP: { actions: stopChild("k") }, LOOK: { guard: asked, actions: append("seen", () => "x") } },
        },
        { actors: { leaf } },
      );
    },
    steps: [send("STOP"), send("LOOK"), send("LOOK")],
  },
  {
    name: "children that are born, speak and are stopped in one cascade, again and again",
    build: (outside) => {
      const leaf = machine({ context: { n: 1 } });
      const child = machine(
        { context: ({ spawn }: any) => ({ n: 0, leaf: spawn("leaf", { id: "leaf" }) }), entry: [marks(outside)("in"), sendParent({ type: "AGAIN" })] },
        { actors: { leaf } },
      );
      const again = { guard: ({ context }: any) => context.n < 12, target: "a", reenter: true, actions: countIn("n") };
      const a = { invoke: { src: "child", id: "k", onSnapshot: again }, on: { AGAIN: again, ASK: { actions: sendTo(ofContext("me"), { type: "NOTHING" }) } } };
      return machine({ context: ({ self }: any) => ({ n: 0, me: self }), initial: "a", states: { a } }, { actors: { child } });
    },
    steps: [send("ASK"), advance(10)],
  },
  {
    name: "a ref to a child that is gone",
    build: () => {
      const child = machine({ context: { v: 7 } });
      const seen = ({ context }: any): unknown => [...context.seen, context.ref.getSnapshot().status, context.ref.getSnapshot().context?.v ?? "nothing"];
      const on = { STOP: { actions: stopChild("k") }, LOOK: { actions: assign({ seen }) } };
      return machine({ context: ({ spawn }: any) => ({ ref: spawn("child", { id: "k" }), seen: [] }), on }, { actors: { child } });
    },
    steps: [send("STOP"), send("LOOK"), send("LOOK")],
    differs: "of what was stopped the host keeps nothing, whether the process lives on or not",
  },
];
