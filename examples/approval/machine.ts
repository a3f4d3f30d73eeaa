/**
 * The approval of a document: an agent reads it, then a person has until the deadline to decide.
 */
import { setTimeout as passes } from "node:timers/promises";
import { agent, step } from "pawl";
import { assign, setup } from "xstate";
import { z } from "zod";

const READING_MS = 500;

const reader = agent({
  name: "reader",
  input: z.object({ document: z.string() }),
  output: z.object({ risk: z.string() }),
  run: async ({ document }, { signal }) => {
    await passes(READING_MS, undefined, { signal });
    return { risk: document.includes("contract") ? "high" : "low" };
  },
});

export const approval = setup({
  types: {
    input: {} as { document: string; minutes: number },
    context: {} as { document: string; minutes: number; risk: string; by: string },
    events: {} as { type: "approve"; by: string } | { type: "reject"; by: string },
    output: {} as { by: string },
  },
  actors: { read: step(reader) },
  actions: { noteWho: assign({ by: ({ event }) => event.by }) },
  delays: { deadline: ({ context }) => context.minutes * 60_000 },
}).createMachine({
  id: "approval",
  context: ({ input }) => ({ ...input, risk: "unknown", by: "nobody" }),
  initial: "reading",
  states: {
    reading: {
      invoke: {
        src: "read",
        input: ({ context }) => ({ document: context.document }),
        onDone: { target: "waiting", actions: assign({ risk: ({ event }) => event.output.risk }) },
        onError: "waiting",
      },
    },
    waiting: {
      on: { approve: { target: "approved", actions: "noteWho" }, reject: { target: "rejected", actions: "noteWho" } },
      after: { deadline: "lapsed" },
    },
    approved: { type: "final" },
    rejected: { type: "final" },
    lapsed: { type: "final" },
  },
  output: ({ context }) => ({ by: context.by }),
});
