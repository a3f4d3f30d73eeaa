/**
 * What the processes of a test run: workflows whose agents write a line for each call, and a machine that notes what it is
 * told. The test's own process has the same definitions, and executes none.
 */
import { existsSync } from "node:fs";
import { assign, setup } from "xstate";
import { z } from "zod";
import { journeyOf } from "../sim/journey.ts";
import { type AgentContext, type Workflow, agent, durable, workflow } from "../../src/index.ts";

/** What is written down of a call. */
export type Happened = "start" | "end" | "fail" | "abort";
export type Note = (what: Happened, context: Pick<AgentContext, "runId" | "nodeId" | "attempt">) => void;

/** The nodes of a mill, with those that each waits for. */
export const MILL: Readonly<Record<string, readonly string[]>> = {
  first: [],
  left: ["first"],
  right: ["first"],
  flaky: ["first"],
  last: ["left", "right", "flaky"],
};
export const MILL_OUTPUT = { n: 7 };
/** The attempt in which each node completes. */
export const attemptsOf = (node: string): number => (node === "flaky" ? 2 : 1);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Some ms of work that fails once where it should. */
function millAgent(note: Note) {
  return agent({
    name: "stone",
    input: z.object({ from: z.array(z.number()) }),
    output: z.object({ n: z.number() }),
    retry: { initialInterval: 2 },
    run: async ({ from }, context) => {
      note("start", context);
      await pause(2 + ((context.runId.length + context.nodeId.length * 3) % 9));
      if (context.nodeId === "flaky" && context.attempt === 1) {
        note("fail", context);
        throw new Error("once");
      }
      note("end", context);
      return { n: from.reduce((sum, n) => sum + n, 1) };
    },
  });
}

function millOf(name: string, note: Note): Workflow<{}, { n: number }> {
  const stone = millAgent(note);
  return workflow({ name, input: z.object({}) }, (wf) => {
    const first = wf.node("first", stone, { from: [] });
    const left = wf.node("left", stone, { from: [first.result.n] });
    const right = wf.node("right", stone, { from: [first.result.n] });
    const flaky = wf.node("flaky", stone, { from: [first.result.n] });
    const last = wf.node("last", stone, { from: [left.result.n, right.result.n, flaky.result.n] });
    return { n: last.result.n };
  });
}

/** What all attempts of a tap may use, of all processes, and of it at once. */
export const TAP = { limits: { drops: { max: 8, per: "500ms" } }, perMs: 500, concurrency: 2, nodes: 6 } as const;

/** So many nodes beside each other whose agent is limited. */
function tapOf(note: Note): Workflow<{}, unknown> {
  const tap = agent({
    name: "tap",
    input: z.null(),
    output: z.null(),
    concurrency: TAP.concurrency,
    uses: { drops: 1 },
    run: async (_, context) => {
      note("start", context);
      await pause(5 + ((context.runId.length * 5 + context.nodeId.charCodeAt(1) * 7) % 30));
      note("end", context);
      return null;
    },
  });
  return workflow({ name: "taps", input: z.object({}) }, (wf) => {
    for (let n = 0; n < TAP.nodes; n++) wf.node(`n${n}`, tap, null);
  });
}

/** One node that waits until a file is there, and one after it. */
function heldOf(note: Note): Workflow<{ gate: string }, string> {
  const held = agent({
    name: "held",
    input: z.object({ gate: z.string() }),
    output: z.string(),
    run: async ({ gate }, context) => {
      note("start", context);
      while (!existsSync(gate)) {
        if (context.signal.aborted) {
          note("abort", context);
          throw new Error("aborted");
        }
        await pause(3);
      }
      note("end", context);
      return context.nodeId;
    },
  });
  return workflow({ name: "held", input: z.object({ gate: z.string() }) }, (wf) => {
    const before = wf.node("before", held, { gate: wf.input.gate });
    return wf.node("after", held, { gate: wf.input.gate }, { after: [before] }).result;
  });
}

/** One call of a service that may be down, by as many attempts as it takes; it waits while its breaker is open. */
export const BREAKER = { failureThreshold: 3, openFor: 150, successThreshold: 2 } as const;
export const CALLS_MAX = 3;
function callsOf(note: Note): Workflow<{ url: string }, number> {
  const caller = agent({
    name: "caller",
    input: z.object({ url: z.string() }),
    output: z.number(),
    breaker: { ...BREAKER, onOpen: "wait" },
    concurrency: CALLS_MAX,
    retry: { maxAttempts: 10_000, initialInterval: 1, maxInterval: 5 },
    run: async ({ url }, context) => {
      note("start", context);
      const { status } = await fetch(`${url}/${process.pid}/${context.runId}`, { signal: context.signal });
      note(status === 200 ? "end" : "fail", context);
      if (status !== 200) throw new Error(`the service answered ${status}`);
      return status;
    },
  });
  return workflow({ name: "calls", input: z.object({ url: z.string() }) }, (wf) => wf.node("call", caller, { url: wf.input.url }).result);
}

const journalMachine = setup({
  types: {
    context: {} as { items: number[] },
    events: {} as { type: "NOTE"; item: number } | { type: "END" },
    output: {} as { items: number[] },
  },
}).createMachine({
  id: "journal",
  context: { items: [] },
  initial: "open",
  states: {
    open: {
      on: {
        NOTE: { actions: assign({ items: ({ context, event }) => [...context.items, event.item] }) },
        END: "done",
      },
    },
    done: { type: "final" },
  },
  output: ({ context }) => ({ items: context.items }),
});

export const journal = durable(journalMachine);

export function flowsOf(note: Note) {
  const { journey, parts } = journeyOf({ note, pause });
  const [policy, tour] = parts as [Workflow<any, unknown>, Workflow<any, unknown>];
  return {
    mill: millOf("mill", note),
    foreign: millOf("foreign", note),
    held: heldOf(note),
    calls: callsOf(note),
    taps: tapOf(note),
    journal,
    journey,
    policy,
    tour,
  };
}

export type FlowName = keyof ReturnType<typeof flowsOf>;

/** For a process that calls no agent. */
export const flows = flowsOf(() => {});
