/**
 * No work per event may grow with the number of nodes or runs: time per node of fans and of chains in one run at several
 * lengths, and time per commit beside many unfinished runs in memory.
 * NOT measured: the first run of a process (see fan); runs that sleep, which are not in memory.
 */
import { agent } from "pawl";
import { z } from "zod";
import { type BenchWorkflow, SEED, durableMs, runAll, withPawl, workflowOf } from "./durable.ts";
import { type Graph, chain, fan } from "./graphs.ts";
import { type Benchmark, type Contender, type Row, type Settings, judged, race, rowOf, timed } from "./harness.ts";

/** How much dearer an event may be at the largest size than at the smallest. */
const GROWTH_MAX = 1.5;
/** The smaller sizes have so much fewer nodes in all: enough to be compared. */
const SMALLER_SHARE = 5;

export const scaling: Benchmark = {
  name: "scaling",
  title: "scaling: no work per event that grows with the whole",
  async run(settings) {
    const sizes = settings.quick ? [10, 100] : [100, 1_000, 10_000];
    return [
      ...(await raceSizes("fan", fan, sizes, settings)),
      ...(await raceSizes("chain in one run", chain, sizes, settings)),
      ...(await besideUnfinished(sizes, settings)),
    ];
  },
};

/** So many runs of each size, one after another, that all sizes have about as many nodes. */
async function raceSizes(what: string, make: (size: number) => Graph, sizes: readonly number[], settings: Settings): Promise<Row[]> {
  const runsOf = (size: number): number => Math.max(1, sizes.at(-1)! / SMALLER_SHARE / size);
  const contenders = sizes.map((size): Contender => {
    const definition = workflowOf(make(size));
    return { name: String(size), run: () => durableMs(definition, runsOf(size), 1) };
  });
  const times = await race(contenders, settings);
  return withGrowth(sizes, (size) => rowOf(`${what} of ${size} x ${runsOf(size)}`, "µs/node", times.get(String(size))!, 1_000 / size / runsOf(size)));
}

/** The last row carries what it takes against the second: at the first, starting runs counts for more. */
function withGrowth(sizes: readonly number[], rowAt: (size: number) => Row): Row[] {
  const rows = sizes.map(rowAt);
  const last = rows.at(-1)!;
  const growth = last.median! / rows.at(-2)!.median!;
  return [...rows.slice(0, -1), judged(last, growth, { atMost: GROWTH_MAX, of: `that at ${sizes.at(-2)}` })];
}

/** Never answers, so that its run stays in memory; more attempts are allowed, or these would take all there are. */
const silent = agent({
  name: "silent",
  input: z.object({ values: z.array(z.number()) }),
  output: z.object({ value: z.number() }),
  run: () => {
    asked();
    return new Promise<never>(() => {});
  },
});
let asked = (): void => {};

/** Resolves when the silent agent was asked so often: then all its runs have come to rest. */
function askedTimes(times: number): Promise<void> {
  let left = times;
  return new Promise((resolve) => {
    asked = () => void (--left === 0 && resolve());
  });
}

async function besideUnfinished(sizes: readonly number[], settings: Settings): Promise<Row[]> {
  const runs = settings.quick ? 10 : 500;
  const busy = workflowOf(chain(10));
  const waiting = workflowOf({ ...chain(1), name: "waiting" }, silent);
  const contenders = sizes.map((size): Contender => ({ name: String(size), run: () => besideMs(size, waiting, busy, runs) }));
  const times = await race(contenders, settings);
  return withGrowth(sizes, (size) => {
    const perCommit = times.get(String(size))!.map((tookMs) => tookMs / (runs * 11));
    return rowOf(`beside ${size} unfinished runs: chains of 10 x ${runs}`, "µs/commit", perCommit, 1_000);
  });
}

function besideMs(unfinished: number, waiting: BenchWorkflow, busy: BenchWorkflow, runs: number): Promise<number> {
  return withPawl(
    async (pawl) => {
      const rest = askedTimes(unfinished);
      await Promise.all(Array.from({ length: unfinished }, (_, index) => pawl.start(waiting, { id: `waiting-${index}`, input: { seed: SEED } })));
      await rest;
      const tookMs = await timed(() => runAll(pawl, busy, runs, 100));
      await pawl.close({ graceMs: 0 });
      return tookMs;
    },
    { maxConcurrentAttempts: unfinished + 100 },
  );
}
