/**
 * A machine as one finds it in plain xstate code: a timer, a promise, a child that it spawns. It knows nothing of pawl.
 */
import { setTimeout as passes } from "node:timers/promises";
import { type ActorRefFrom, assign, fromPromise, sendParent, setup } from "xstate";

const oven = fromPromise(async ({ input }: { input: { minutes: number } }) => {
  await passes(input.minutes * 50);
  return { crust: "crisp" };
});

const rider = setup({ delays: { ride: 400 } }).createMachine({
  id: "rider",
  initial: "riding",
  states: { riding: { after: { ride: "there" } }, there: { type: "final", entry: sendParent({ type: "DELIVERED" }) } },
});

export const pizza = setup({
  types: { context: {} as { crust: string; rider?: ActorRefFrom<typeof rider> }, events: {} as { type: "ORDER" } | { type: "DELIVERED" } },
  actors: { oven, rider },
  delays: { rising: 400 },
}).createMachine({
  id: "pizza",
  context: { crust: "raw" },
  initial: "open",
  states: {
    open: { on: { ORDER: "dough" } },
    dough: { after: { rising: "oven" } },
    oven: {
      invoke: { src: "oven", input: { minutes: 8 }, onDone: { target: "onTheWay", actions: assign({ crust: ({ event }) => event.output.crust }) } },
    },
    onTheWay: { entry: assign({ rider: ({ spawn }) => spawn("rider") }), on: { DELIVERED: "eaten" } },
    eaten: { type: "final" },
  },
});
