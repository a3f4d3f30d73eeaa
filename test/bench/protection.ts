/**
 * What limits and circuit breakers cost: per node when all are on and nobody waits, and per grant when many wait with
 * different priorities. NOT measured: several workers, agents that take time.
 */
import { agent, workflow } from "pawl";
import { z } from "zod";
import { runAll, step, withPawl, workflowOf } from "./durable.ts";
import { chain, layered } from "./graphs.ts";
import { type Benchmark, type Contender, type Row, type Settings, judged, medianRatio, race, rowOf, timed } from "./harness.ts";

/** How much dearer a node may be with breaker and limits than without. */
const COST_MAX = 1.15;
/** How much dearer a grant may be when many wait than when few do. */
const GROWTH_MAX = 1.5;

const shape = { input: z.object({ values: z.array(z.number()) }), output: z.object({ value: z.number() }), run: step };
const bare = agent({ name: "bare", ...shape });
const limited = agent({ name: "limited", ...shape, concurrency: 50, uses: { tokens: 10 } });
const guarded = agent({ name: "guarded", ...shape, concurrency: 50, uses: { tokens: 10 }, breaker: true });
const limits = { tokens: { max: 1_000_000_000, per: "60s" } } as const;

const waiting = agent({ name: "waiting", input: z.any(), output: z.any(), concurrency: 10, run: () => 1 });

export const protection: Benchmark = {
  name: "protection",
  title: "protection: limits and circuit breakers",
  async run(settings) {
    return [...(await costs(settings)), ...(await grants(settings))];
  },
};

/** Wide graphs and chains, with and without. */
async function costs(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  const size = settings.quick ? 50 : 1_000;
  for (const [shape, graph] of [
    ["chain", chain(size)],
    ["layers", layered(size / 10, 10, 2, 1)],
  ] as const) {
    const contenders = [bare, limited, guarded].map((by): Contender => {
      const flow = workflowOf(graph, by);
      return { name: by.name, run: () => withPawl((pawl) => timed(() => runAll(pawl, flow, 5, 5)), { limits }) };
    });
    const times = await race(contenders, settings);
    for (const { name } of contenders) {
      const row = rowOf(`${shape} of ${size}, ${name}`, "µs/node", times.get(name)!, 1_000 / size / 5);
      rows.push(name === "bare" ? row : judged(row, medianRatio(times.get(name)!, times.get("bare")!), { atMost: COST_MAX, of: "bare" }));
    }
  }
  return rows;
}

/** Nodes of ten runs, each with a priority of its own, that all wait for ten places. */
async function grants(settings: Settings): Promise<Row[]> {
  const sizes = settings.quick ? [100, 1_000] : [1_000, 10_000, 100_000];
  const contenders = sizes.map((size): Contender => {
    const flow = workflow({ name: "queue", input: z.object({ items: z.array(z.number()) }) }, (wf) => {
      wf.map("items", wf.input.items, waiting, (item) => item);
    });
    const input = { items: Array.from({ length: size / 10 }, (_, n) => n) };
    const run = (): Promise<number> =>
      withPawl((pawl) =>
        timed(async () => {
          const runs = await Promise.all(Array.from({ length: 10 }, (_, priority) => pawl.start(flow, { id: `r${priority}`, input, priority })));
          await Promise.all(runs.map((each) => each.result()));
        }),
      );
    return { name: String(size), run };
  });
  const times = await race(contenders, settings);
  const rows = sizes.map((size) => rowOf(`${size} that wait, ten at once`, "µs/node", times.get(String(size))!, 1_000 / size));
  const last = rows.at(-1)!;
  return [...rows.slice(0, -1), judged(last, last.median! / rows[0]!.median!, { atMost: GROWTH_MAX, of: `that at ${sizes[0]}` })];
}
