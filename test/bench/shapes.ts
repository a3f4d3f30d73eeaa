/**
 * Work whose size is known only when the run gets there: items of a map, rounds of a loop, steps within an agent.
 * NOT measured: large values, agents that take time.
 */
import { agent, workflow } from "pawl";
import { z } from "zod";
import { durableMs, withPawl, workflowOf } from "./durable.ts";
import { chain } from "./graphs.ts";
import { type Benchmark, type Contender, type Row, type Settings, judged, medianRatio, race, rowOf, timed } from "./harness.ts";

/** How much dearer an item or a round may be at the largest size than at the smallest. */
const GROWTH_MAX = 1.5;
/** Steps are to come so near to the nodes of a chain. */
const STEPS_SHARE = 0.8;

const size = z.object({ size: z.number() });
const lister = agent({ name: "lister", input: size, output: z.array(z.number()), run: ({ size }) => Array.from({ length: size }, (_, i) => i) });
const item = agent({ name: "item", input: z.object({ item: z.number() }), output: z.number(), run: ({ item }) => item + 1 });
const counter = agent({ name: "counter", input: z.object({ n: z.number() }), output: z.object({ n: z.number() }), run: ({ n }) => ({ n: n + 1 }) });
const stepper = agent({
  name: "stepper",
  input: size,
  output: z.number(),
  run: async ({ size }, ctx) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += await ctx.step(`step-${i}`, () => 1);
    return sum;
  },
});

const mapping = workflow({ name: "mapping", input: size }, (wf) => {
  const list = wf.node("list", lister, { size: wf.input.size });
  const items = wf.map("items", list.result, item, (item) => ({ item }));
  return { last: items.result[0] };
});
const looping = (max: number) =>
  workflow({ name: "looping", input: size }, (wf) => wf.repeat("count", counter, { n: 0 }, { next: (last) => ({ n: last.n }), max }).result);
const stepping = workflow({ name: "stepping", input: size }, (wf) => wf.node("steps", stepper, { size: wf.input.size }).result);

type Sized = typeof mapping | ReturnType<typeof looping> | typeof stepping;

/** Runs one after another; each is given the size. */
function sizedMs(flow: Sized, size: number, runs: number): Promise<number> {
  return withPawl((pawl) =>
    timed(async () => {
      for (let i = 0; i < runs; i++) await (await pawl.start(flow as typeof mapping, { input: { size } })).result();
    }),
  );
}

export const shapes: Benchmark = {
  name: "shapes",
  title: "shapes: maps, loops and steps",
  async run(settings) {
    return [
      ...(await growth("map of", "µs/item", settings.quick ? [10, 100] : [100, 10_000, 100_000], (size, runs) => sizedMs(mapping, size, runs), settings)),
      ...(await growth("loop of", "µs/round", settings.quick ? [10, 50] : [10, 100, 1_000], (size, runs) => sizedMs(looping(size), size, runs), settings)),
      ...(await steps(settings.quick ? 50 : 1_000, settings)),
    ];
  },
};

async function growth(
  what: string,
  unit: string,
  sizes: readonly number[],
  ms: (size: number, runs: number) => Promise<number>,
  settings: Settings,
): Promise<Row[]> {
  const runsOf = (size: number): number => Math.max(1, Math.min(20, sizes.at(-1)! / 5 / size));
  const contenders = sizes.map((size): Contender => ({ name: String(size), run: () => ms(size, runsOf(size)) }));
  const times = await race(contenders, settings);
  const rows = sizes.map((size) => rowOf(`${what} ${size} x ${runsOf(size)}`, unit, times.get(String(size))!, 1_000 / size / runsOf(size)));
  const last = rows.at(-1)!;
  return [...rows.slice(0, -1), judged(last, last.median! / rows[0]!.median!, { atMost: GROWTH_MAX, of: `that at ${sizes[0]}` })];
}

/** One agent with so many steps, against a chain of so many nodes: both commit one after the other. */
async function steps(size: number, settings: Settings): Promise<Row[]> {
  const nodes = workflowOf(chain(size));
  const times = await race(
    [
      { name: "steps", run: () => sizedMs(stepping, size, 1) },
      { name: "nodes", run: () => durableMs(nodes, 1, 1) },
    ],
    settings,
  );
  const row = (name: string, what: string): Row => rowOf(`${size} ${what}`, "µs each", times.get(name)!, 1_000 / size);
  const share = medianRatio(times.get("nodes")!, times.get("steps")!);
  return [judged(row("steps", "steps in an agent"), share, { atLeast: STEPS_SHARE, of: "the nodes" }), row("nodes", "nodes of a chain")];
}
