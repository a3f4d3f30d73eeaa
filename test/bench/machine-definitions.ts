/**
 * The machines that are run, as users would write them. NOT measured: making them.
 */
import { assign, fromPromise, setup } from "xstate";
import { SEED, step } from "./durable.ts";

/** Counts what it is told; ends when it is told to. */
export const counter = setup({
  types: { context: {} as { count: number; last: string }, events: {} as { type: "add"; by: number; note: string } | { type: "finish" }, output: {} as number },
}).createMachine({
  id: "counter",
  context: { count: 0, last: "" },
  initial: "counting",
  output: ({ context }) => context.count,
  states: {
    counting: {
      on: {
        add: { actions: assign({ count: ({ context, event }) => context.count + event.by, last: ({ event }) => event.note }) },
        finish: "done",
      },
    },
    done: { type: "final" },
  },
});

/** Goes to and fro between two states; one has a time-out, so that each second event makes a timer or voids one. */
export const door = setup({
  types: { context: {} as { opened: number }, events: {} as { type: "push" } },
  guards: { mayOpen: ({ context }) => context.opened >= 0 },
}).createMachine({
  id: "door",
  context: { opened: 0 },
  initial: "shut",
  states: {
    shut: { on: { push: { guard: "mayOpen", target: "open", actions: assign({ opened: ({ context }) => context.opened + 1 }) } } },
    open: { after: { 86_400_000: "shut" }, on: { push: "shut" } },
  },
});

/** A row of states; each invokes a promise and hands its result on. */
export function invokeChain(length: number) {
  const next = (index: number): string => (index + 1 === length ? "completed" : `step${index + 1}`);
  const states = Object.fromEntries(
    Array.from({ length }, (_, index) => [
      `step${index}`,
      {
        invoke: {
          src: "agent" as const,
          input: ({ context }: { context: { value: number } }) => ({ values: [context.value] }),
          onDone: { target: next(index), actions: assign({ value: ({ event }: { event: { output: { value: number } } }) => event.output.value }) as never },
          onError: "failed",
        },
      },
    ]),
  );
  return setup({
    types: { context: {} as { value: number }, output: {} as { value: number } },
    actors: { agent: fromPromise(({ input }: { input: { values: number[] } }) => step(input)) },
  }).createMachine({
    id: "invokeChain",
    context: () => ({ value: SEED }),
    initial: "step0",
    output: ({ context }) => ({ value: context.value }),
    states: { ...states, completed: { type: "final" }, failed: { type: "final" } },
  });
}

const child = setup({ types: { context: {} as { number: number }, input: {} as { number: number } } }).createMachine({
  id: "child",
  context: ({ input }) => ({ number: input.number }),
  initial: "waiting",
  states: { waiting: { on: { go: "gone" } }, gone: { type: "final" } },
});

/** Spawns a child for each `one`, or so many for one `many`; each has its own name. */
export const family = setup({
  types: { context: {} as { born: number }, events: {} as { type: "one" } | { type: "many"; count: number } },
  actors: { child },
}).createMachine({
  id: "family",
  context: { born: 0 },
  on: {
    one: {
      actions: assign(({ context, spawn }) => {
        spawn("child", { id: `child-${context.born}`, input: { number: context.born } });
        return { born: context.born + 1 };
      }),
    },
    many: {
      actions: assign(({ context, event, spawn }) => {
        for (let number = 0; number < event.count; number++) spawn("child", { id: `child-${context.born + number}`, input: { number } });
        return { born: context.born + event.count };
      }),
    },
  },
});

/** Sleeps so long, then ends. */
export const sleeper = setup({
  types: { context: {} as { ms: number }, input: {} as { ms: number } },
  delays: { rest: ({ context }) => context.ms },
}).createMachine({
  id: "sleeper",
  context: ({ input }) => ({ ms: input.ms }),
  initial: "asleep",
  states: { asleep: { after: { rest: "awake" } }, awake: { type: "final" } },
});
