/**
 * The contender: pawl, through its public API, with default options, on a fresh SQLite file.
 * Timed: from the first `start` to the last result. NOT measured: `open`, `close`, and making the definition.
 */
import { join } from "node:path";
import { type NodeHandle, type OpenOptions, type Pawl, type RunChange, type Workflow, agent, open, workflow } from "pawl";
import { z } from "zod";
import type { Graph } from "./graphs.ts";
import { inTemporaryFolder, timed } from "./harness.ts";

/** What every node does, for every contender: answers at once. */
export const step = async ({ values }: { values: number[] }): Promise<{ value: number }> => ({ value: values.length + 1 });

const input = z.object({ values: z.array(z.number()) });
const output = z.object({ value: z.number() });
const stepAgent = agent({ name: "step", input, output, run: step });
/** Runs are given a number that nodes without reads pass on. */
export const SEED = 7;

export type BenchWorkflow = Workflow<{ seed: number }, { value: number }>;

export function workflowOf(graph: Graph, by = stepAgent): BenchWorkflow {
  return workflow({ name: "bench", input: z.object({ seed: z.number() }) }, (wf) => {
    const handles: NodeHandle<{ value: number }>[] = [];
    for (const { id, reads, after } of graph.nodes) {
      const values = reads.length === 0 ? [wf.input.seed] : reads.map((place) => handles[place]!.result.value);
      const options = after.length === 0 ? {} : { after: after.map((place) => handles[place]!) };
      handles.push(wf.node(id, by, { values }, options));
    }
    return { value: handles.at(-1)!.result.value };
  });
}

/** Opens pawl on a fresh file in a folder that is removed afterwards. */
export function withPawl<T>(work: (pawl: Pawl, file: string) => Promise<T>, options: OpenOptions = {}): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, "pawl.db");
    const pawl = await open(file, options);
    try {
      return await work(pawl, file);
    } finally {
      await pawl.close();
    }
  });
}

/** Starts so many runs, so many at a time, and waits for their results. `ids` is how their ids begin. */
export async function runAll(pawl: Pawl, definition: BenchWorkflow, runs: number, inFlight: number, ids = "run"): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < runs) {
      const run = await pawl.start(definition, { id: `${ids}-${next++}`, input: { seed: SEED } });
      await run.result();
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, runs) }, lane));
}

/** The ms that these runs take. */
export function durableMs(definition: BenchWorkflow, runs: number, inFlight: number): Promise<number> {
  return withPawl((pawl) => timed(() => runAll(pawl, definition, runs, inFlight)));
}

/** Which commits shared a transaction: what is told in one go became durable together. */
export function watchGroups(pawl: Pawl): { readonly groups: readonly (readonly RunChange[])[]; stop: () => void } {
  const groups: RunChange[][] = [];
  let current: RunChange[] | undefined;
  const stop = pawl.subscribe((change) => {
    if (current === undefined) {
      groups.push((current = []));
      queueMicrotask(() => (current = undefined));
    }
    current.push(change);
  });
  return { groups, stop };
}
