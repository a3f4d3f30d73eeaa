/**
 * What protection costs: per node when breaker and limits are on and nobody waits; per grant when many wait, each run with a
 * priority of its own, in one worker and in two; and what it asks of the store however many rows are there.
 * Judged by CPU time, of which waiting for the disk and for other work on the machine is no part; wall time stands beside it.
 * What a node costs is measured after as many runs that do not count: before each contender memory is swept, and with it goes
 * what was compiled for objects that are no more; to compile it again takes as long as thousands of nodes do.
 * NOT measured: agents that take time, of which `overhead` tells.
 */
import { join } from "node:path";
import { type Pawl, agent, open, workflow } from "pawl";
import { z } from "zod";
import { runAll, step, withPawl, workflowOf } from "./durable.ts";
import { chain, layered } from "./graphs.ts";
import { growths } from "./growth.ts";
import { type Benchmark, type Contender, type Row, type Settings, inTemporaryFolder, judged, medianRatio, race, rowOf, timed } from "./harness.ts";

/** How much dearer a node may be with breaker and limits than without. */
const COST_MAX = 1.15;
/** How much dearer a grant may be when a hundred times as many wait: the logarithm grows as much. */
const GROWTH_MAX = 1.5;

const shape = { input: z.object({ values: z.array(z.number()) }), output: z.object({ value: z.number() }), run: step };
const bare = agent({ name: "bare", ...shape });
const uses = { concurrency: 50, uses: { tokens: 10 } };
const guarded = agent({ name: "guarded", ...shape, ...uses, breaker: true });
const each = { limited: agent({ name: "limited", ...shape, ...uses }), broken: agent({ name: "broken", ...shape, breaker: true }) };
const limits = { tokens: { max: 1_000_000_000, per: "60s" } } as const;

export const protection: Benchmark = {
  name: "protection",
  title: "protection: limits and circuit breakers",
  async run(settings) {
    return [...(await costs(settings)), ...(await grants(settings, 1)), ...(await grants(settings, 2)), ...(await growths(settings))];
  },
};

interface Used {
  readonly wallMs: number;
  readonly cpuMs: number;
}

async function used(work: () => Promise<unknown>): Promise<Used> {
  const before = process.cpuUsage();
  const wallMs = await timed(work);
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1_000 };
}

/** Chains and wide graphs, with and without. */
async function costs(settings: Settings): Promise<Row[]> {
  const rows: Row[] = [];
  const [size, runs] = settings.quick ? [50, 5] : [500, 10];
  for (const [name, graph] of [
    ["chain", chain(size)],
    ["layers", layered(size / 10, 10, 2, 1)],
  ] as const) {
    const contenders = [bare, each.limited, each.broken, guarded].map((by): Contender<Used> => {
      const flow = workflowOf(graph, by);
      const ran = async (pawl: Pawl): Promise<Used> => {
        await runAll(pawl, flow, runs, 5, "warm-up");
        return used(() => runAll(pawl, flow, runs, 5));
      };
      return { name: by.name, run: () => withPawl(ran, { limits }) };
    });
    const times = await race(contenders, settings);
    const of = (by: string, figure: keyof Used): number[] => times.get(by)!.map((one) => one[figure]);
    const scale = 1_000 / size / runs;
    const row = (text: string, by: string): Row => rowOf(`${name} of ${size}: ${text}`, "µs CPU/node", of(by, "cpuMs"), scale);
    const against = (by: string, figure: keyof Used): number => medianRatio(of(by, figure), of("bare", figure));
    rows.push(
      row("nothing on", "bare"),
      { ...row("info: limits on", "limited"), ratio: against("limited", "cpuMs") },
      { ...row("info: breaker on", "broken"), ratio: against("broken", "cpuMs") },
      judged(row("breaker and limits on", "guarded"), against("guarded", "cpuMs"), { atMost: COST_MAX, of: "nothing on" }),
      { ...rowOf(`${name} of ${size}: info: the same in wall time`, "µs/node", of("guarded", "wallMs"), scale), ratio: against("guarded", "wallMs") },
    );
  }
  return rows;
}

const NODES = 100;
const AT_ONCE = 50;

/** Runs of a hundred nodes, each run with a priority of its own, of which fifty nodes may run at once: from when all wait. */
async function grants(settings: Settings, workers: 1 | 2): Promise<Row[]> {
  const sizes = settings.quick ? [200, 1_000] : workers === 1 ? [1_000, 10_000, 100_000] : [1_000, 10_000];
  const contenders = sizes.map((size): Contender<Used> => ({ name: String(size), run: () => granted(size, workers) }));
  const times = await race(contenders, { ...settings, rounds: Math.min(settings.rounds, 3) });
  const cpuOf = (size: number): number[] => times.get(String(size))!.map(({ cpuMs }) => cpuMs / size);
  const [least, most] = [sizes[0]!, sizes.at(-1)!];
  const rows = sizes.map((size) =>
    rowOf(`${size} wait, ${AT_ONCE} at once, ${workers === 1 ? "one worker" : "two workers"}`, "µs CPU/grant", cpuOf(size), 1_000),
  );
  return [...rows.slice(0, -1), judged(rows.at(-1)!, medianRatio(cpuOf(most), cpuOf(least)), { atMost: GROWTH_MAX, of: `that of ${least}` })];
}

function granted(size: number, workers: number): Promise<Used> {
  return inTemporaryFolder(async (folder) => {
    const { promise: allWait, resolve: go } = Promise.withResolvers<void>();
    const waits = agent({ name: "waits", input: z.any(), output: z.any(), concurrency: AT_ONCE, timeout: "1h", run: () => allWait });
    const flow = workflow({ name: "queue", input: z.any(), timeout: "2h" }, (wf) => {
      for (let n = 0; n < NODES; n++) wf.node(`n${n}`, waits, {});
    });
    const pawls: Pawl[] = [];
    for (let n = 0; n < workers; n++) pawls.push(await open(join(folder, "pawl.db"), { workflows: [flow] }));
    const starts = Array.from({ length: size / NODES }, (_, n) => pawls[n % workers]!.start(flow, { id: `r${n}`, input: 0, priority: (n % 1_000) - 500 }));
    const runs = await Promise.all(starts);
    let [before, now] = [-1, 0];
    while (now === 0 || now !== before) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      [before, now] = [now, await waitingAt(pawls)];
    }
    const times = await used(async () => {
      go();
      await Promise.all(runs.map((run) => run.result()));
    });
    for (const pawl of pawls) await pawl.close();
    return times;
  });
}

async function waitingAt(pawls: readonly Pawl[]): Promise<number> {
  let waiting = 0;
  for (const pawl of pawls) {
    const [limit] = await pawl.limits();
    waiting = Math.max(waiting, limit?.waiting ?? 0);
  }
  return waiting;
}
