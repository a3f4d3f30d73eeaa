/**
 * The floor `live`: one plain live xstate actor per node, and the plainest driver with ready counters.
 * Nothing is stored: after a crash all is lost. NOT part of it: schema checks, limits on attempts, history, run time-outs.
 * `natural` is the same with the machine that a user would write: an invoked promise and an `after`.
 */
import { assign, createActor, fromPromise, setup } from "xstate";
import { type NodePolicy, nodeMachine } from "../../machines/node.ts";
import { SEED, step } from "./durable.ts";
import type { Graph } from "./graphs.ts";
import { timed } from "./harness.ts";

type Result = { value: number };
type StartNode = (index: number, values: number[], settled: (index: number, result: Result) => void) => void;

const policy: NodePolicy = {
  maxAttempts: 3,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maxIntervalMs: 60_000,
  jitter: "full",
  timeoutMs: 300_000,
  onFail: "block",
};

/** Its input also says what the actor works for, as a user would pass it. */
interface Job extends NodePolicy {
  readonly work: () => void;
}

const liveMachine = nodeMachine.provide({ actions: { callAgent: ({ context }) => (context.policy as Job).work() } });

/** An actor of pawl's node machine; the agent's answer is sent back to it. */
const startLive: StartNode = (index, values, settled) => {
  const work = (): void =>
    void step({ values }).then((result) => {
      actor.send({ type: "attempt.succeeded" });
      settled(index, result);
    });
  const input: Job = { ...policy, work };
  const actor = createActor(liveMachine, { input });
  actor.start();
  actor.send({ type: "node.granted" });
};

const naturalMachine = setup({
  types: { input: {} as { values: number[] }, context: {} as { values: number[]; result: Result | undefined }, output: {} as Result },
  actors: { agent: fromPromise(({ input }: { input: { values: number[] } }) => step(input)) },
  delays: { timeout: 300_000 },
}).createMachine({
  initial: "running",
  context: ({ input }) => ({ values: input.values, result: undefined }),
  output: ({ context }) => context.result!,
  states: {
    running: {
      invoke: {
        src: "agent",
        input: ({ context }) => ({ values: context.values }),
        onDone: { target: "completed", actions: assign({ result: ({ event }) => event.output }) },
        onError: "failed",
      },
      after: { timeout: "failed" },
    },
    completed: { type: "final" },
    failed: { type: "final" },
  },
});

/** An actor of the machine that a user would write. */
export const startNatural: StartNode = (index, values, settled) => {
  const actor = createActor(naturalMachine, { input: { values } });
  actor.subscribe({ complete: () => settled(index, actor.getSnapshot().output!) });
  actor.start();
};

/** The ms that these runs of the graph take, so many at a time. */
export function liveMs(graph: Graph, runs: number, inFlight: number, start: StartNode = startLive): Promise<number> {
  const dependents = invert(graph);
  return timed(async () => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next++ < runs) await runGraph(graph, dependents, start);
    };
    await Promise.all(Array.from({ length: Math.min(inFlight, runs) }, lane));
  });
}

function invert(graph: Graph): number[][] {
  const dependents: number[][] = graph.nodes.map(() => []);
  graph.nodes.forEach(({ reads, after }, index) => {
    for (const place of reads) dependents[place]!.push(index);
    for (const place of after) dependents[place]!.push(index);
  });
  return dependents;
}

function runGraph({ nodes }: Graph, dependents: readonly (readonly number[])[], start: StartNode): Promise<void> {
  return new Promise((resolve) => {
    const left = nodes.map(({ reads, after }) => reads.length + after.length);
    const results: Result[] = [];
    let open = nodes.length;
    const begin = (index: number): void => {
      const { reads } = nodes[index]!;
      start(index, reads.length === 0 ? [SEED] : reads.map((place) => results[place]!.value), settled);
    };
    const settled = (index: number, result: Result): void => {
      results[index] = result;
      for (const dependent of dependents[index]!) if (--left[dependent]! === 0) begin(dependent);
      if (--open === 0) resolve();
    };
    left.forEach((count, index) => count === 0 && begin(index));
  });
}
