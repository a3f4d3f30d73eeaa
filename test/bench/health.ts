/**
 * Health: how long one look takes, in a process that has many runs, with the checks of the process itself.
 * NOT measured: checks of one's own, and a machine that is out of memory or disk.
 */
import { join } from "node:path";
import { agent, open, workflow } from "pawl";
import { z } from "zod";
import { type Benchmark, inTemporaryFolder, limited, quantile, rowOf, timed } from "./harness.ts";

/** Short enough to be asked before each stage that matters. */
const LOOK_MAX_MS = 50;

export const health: Benchmark = {
  name: "health",
  title: "health: one look",
  async run({ quick }) {
    const [runs, looks] = quick ? [20, 3] : [10_000, 100];
    const tookMs = await inTemporaryFolder((folder) => lookOften(join(folder, "pawl.db"), runs, looks));
    const slowest = rowOf("info: 99 of 100 looks", "ms", [quantile(tookMs, 0.99)]);
    return [limited(rowOf(`${runs} runs in memory: a look`, "ms", tookMs), LOOK_MAX_MS), slowest];
  },
};

async function lookOften(file: string, runs: number, looks: number): Promise<number[]> {
  const waits = agent({ name: "waits", input: z.object({}), output: z.number(), timeout: "1h", run: (_, { signal }) => untilAborted(signal) });
  const flow = workflow({ name: "flow", input: z.object({}) }, (wf) => wf.node("n", waits, {}).result);
  const pawl = await open(file, { workflows: [flow] });
  try {
    for (let started = 0; started < runs; started += 500)
      await Promise.all(Array.from({ length: Math.min(500, runs - started) }, () => pawl.start(flow, { input: {} })));
    const tookMs: number[] = [];
    for (let look = 0; look < looks; look++) tookMs.push(await timed(() => pawl.health()));
    return tookMs;
  } finally {
    await pawl.close({ graceMs: 0 });
  }
}

function untilAborted(signal: AbortSignal): Promise<number> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}
