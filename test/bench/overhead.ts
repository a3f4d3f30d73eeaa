/**
 * What all of it costs beside the work itself: agents that take 100 ms each, in lanes side by side, with retries, timeouts, an
 * alternative, compensations, limits, circuit breakers, health checks, metrics, notices and subscribers, against the same
 * promises run bare. The floor is what cannot be had for less: the same promises, each with one commit and its fsync behind
 * it, as a result is durable before the next agent is called.
 * NOT measured: failures themselves; agents that take less, of which `chains` tells.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type AgentContext, type Pawl, agent, workflow } from "pawl";
import { z } from "zod";
import { withPawl } from "./durable.ts";
import { type Benchmark, type Row, type Settings, inTemporaryFolder, judged, medianRatio, race, rowOf, timed } from "./harness.ts";

const AGENT_MS = 100;
/** At most a fiftieth more than the work. */
const MORE_MOST = 1.02;

const value = z.object({ value: z.number() });
const work = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, AGENT_MS));
const options = {
  input: value,
  output: value,
  retry: { maxAttempts: 5 },
  timeout: "1m",
  run: async ({ value: before }: { value: number }, { signal }: AgentContext) => {
    signal.throwIfAborted();
    await work();
    return { value: before + 1 };
  },
} as const;
const plainly = agent({ ...options, name: "plainly" });
const guardedly = agent({
  ...options,
  name: "guardedly",
  concurrency: 50,
  uses: { tokens: 10 },
  breaker: true,
  healthCheck: () => ({ status: "HEALTHY" }),
});
const instead = agent({ name: "instead", input: value, output: value, run: (given) => given });
const undo = agent({ name: "undo", input: z.any(), output: z.any(), run: () => null });
const all = { limits: { tokens: { max: 1_000_000, per: "60s" } }, notify: () => {}, stallAfter: "1m" } as const;
const guards = { healthCheck: true, onFail: { use: instead, onFail: "compensate" }, compensate: undo, timeout: "30s", retry: { maxAttempts: 4 } } as const;

/** So many chains of so many nodes. */
const lanes = (width: number, length: number, isGuarded: boolean) =>
  workflow({ name: `lanes-${width}-${length}`, input: value, timeout: "10m" }, (wf) =>
    Array.from({ length: width }, (_, lane) => {
      let last: { readonly result: { readonly value: any } } = { result: wf.input };
      for (let i = 0; i < length; i++) last = wf.node(`n${lane}.${i}`, isGuarded ? guardedly : plainly, { value: last.result.value }, isGuarded ? guards : {});
      return last.result.value as number;
    }),
  );

export const overhead: Benchmark = {
  name: "overhead",
  title: "overhead: agents of 100 ms, with all that guards them, against the bare promises",
  async run(settings) {
    const sizes = settings.quick ? ([[1, 2]] as const) : ([[1, 50], [50, 10]] as const); // prettier-ignore
    const rows: Row[] = [];
    for (const [width, length] of sizes) rows.push(...(await compared(width, length, settings)));
    return rows;
  },
};

async function compared(width: number, length: number, settings: Settings): Promise<Row[]> {
  const [guarded, plain] = [lanes(width, length, true), lanes(width, length, false)];
  const ran = (pawl: Pawl, flow: typeof guarded): Promise<number> => timed(async () => (await pawl.start(flow, { input: { value: 1 } })).result());
  const heard = async (pawl: Pawl): Promise<number> => {
    pawl.on("*", () => {});
    pawl.subscribe(() => {});
    const took = await ran(pawl, guarded);
    await pawl.metrics();
    return took;
  };
  const bare = (each: () => void): Promise<unknown> => Promise.all(Array.from({ length: width }, () => lane(length, each)));
  const times = await race(
    [
      { name: "guarded", run: () => withPawl(heard, { workflows: [guarded], ...all }) },
      { name: "plain", run: () => withPawl((pawl) => ran(pawl, plain), { workflows: [plain] }) },
      { name: "bare", run: () => timed(() => bare(() => {})) },
      { name: "floor", run: () => withCommits((commit) => timed(() => bare(commit))) },
    ],
    settings,
  );
  const row = (name: string, text: string): Row => rowOf(`${width} side by side, ${length} in a row: ${text}`, "ms", times.get(name)!);
  const against = (name: string, other: string): number => medianRatio(times.get(name)!, times.get(other)!);
  return [
    judged(row("guarded", "pawl, all on"), against("guarded", "bare"), { atMost: MORE_MOST, of: "the bare promises" }),
    { ...row("plain", "info: pawl, nothing on"), ratio: against("plain", "bare") },
    { ...row("floor", "floor: bare promises and a commit each"), ratio: against("floor", "bare") },
    row("bare", "bare promises"),
  ];
}

async function lane(length: number, each: () => void): Promise<void> {
  for (let i = 0; i < length; i++) {
    await work();
    each();
  }
}

function withCommits(measure: (commit: () => void) => Promise<number>): Promise<number> {
  return inTemporaryFolder(async (folder) => {
    const database = new DatabaseSync(join(folder, "floor.db"));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE done (at INTEGER)");
    const insert = database.prepare("INSERT INTO done VALUES (1)");
    const tookMs = await measure(() => void insert.run());
    database.close();
    return tookMs;
  });
}
