/**
 * A prune of ended runs beside a busy worker in another process: what the worker loses, and how long the file is held.
 * The worker's rate is taken before, during and after, in each round. `--million` prunes a million runs, once.
 * A hold is taken with the fsync, with what SQLite writes back of the log after it, and with what the machine did meanwhile.
 * NOT measured: the start of Node; a disk other than that of the temporary folder.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { type Benchmark, FROM_SOURCE, type Row, inTemporaryFolder, judged, limited, median, rowOf, runChild } from "./harness.ts";

/** What the child says that prunes. */
export interface PruneAnswer {
  readonly discarded: number;
  readonly rows: number;
  readonly tookMs: number;
  readonly holds: number;
  readonly longestHoldMs: number;
  readonly heldMs: number;
}

interface Answer extends PruneAnswer {
  readonly eventsPerSecond: number;
  /** The worker's rate while pruned, by that before and after. */
  readonly share: number;
  readonly longestMs: number;
  readonly longestAloneMs: number;
}

const RUNS = 5_000;
const MILLION = 1_000_000;
const SHARE_MIN = 0.9;
const HOLD_MAX_MS = 20;
/** How long the worker is watched without a prune. */
const ALONE_MS = 3_000;

export const prunes: Benchmark = {
  name: "prune",
  title: "prune: ended runs go, beside a busy worker in another process",
  async run({ quick, rounds, million }) {
    const answers: Answer[] = [];
    const runs = million === true ? MILLION : quick ? 200 : RUNS;
    for (let round = 0; round < (million === true ? 1 : Math.min(rounds, 3)); round++) answers.push(await measure(runs, quick ? 100 : ALONE_MS));
    return rowsOf(runs, answers);
  },
};

const CHILD = import.meta.resolve("./prune-child.ts");

function measure(runs: number, aloneMs: number): Promise<Answer> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, "pawl.db");
    await runChild(CHILD, ["fill", file, String(runs)], { flags: FROM_SOURCE });
    const worker = await startWorker(file);
    try {
      await worker.watch(aloneMs);
      const before = await worker.watch(aloneMs);
      const [during, { answer }] = await worker.watchWhile(runChild(CHILD, ["prune", file], { flags: FROM_SOURCE }));
      const after = await worker.watch(aloneMs);
      const eventsPerSecond = (before.perSecond + after.perSecond) / 2;
      return {
        ...(answer as PruneAnswer),
        eventsPerSecond,
        share: during.perSecond / eventsPerSecond,
        longestMs: during.longestMs,
        longestAloneMs: Math.max(before.longestMs, after.longestMs),
      };
    } finally {
      await worker.kill();
    }
  });
}

interface Watched {
  readonly perSecond: number;
  readonly longestMs: number;
}

interface BusyWorker {
  watch(ms: number): Promise<Watched>;
  watchWhile<T>(work: Promise<T>): Promise<[Watched, T]>;
  kill(): Promise<void>;
}

async function startWorker(file: string): Promise<BusyWorker> {
  const child = spawn(process.execPath, [...FROM_SOURCE, fileURLToPath(CHILD), "busy", file], { stdio: ["ignore", "pipe", "inherit"] });
  const told: { readonly at: number; readonly events: number; readonly longestMs: number }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => told.push(JSON.parse(line) as (typeof told)[number]));
  await once(child.stdout, "data");
  const watchWhile = async <T>(work: Promise<T>): Promise<[Watched, T]> => {
    const first = told.length - 1;
    const result = await work;
    const seen = told.slice(first);
    const [start, end] = [seen[0]!, seen.at(-1)!];
    return [
      { perSecond: ((end.events - start.events) * 1_000) / (end.at - start.at), longestMs: Math.max(...seen.slice(1).map(({ longestMs }) => longestMs)) },
      result,
    ];
  };
  return {
    watchWhile,
    watch: async (ms) => (await watchWhile(new Promise((resolve) => setTimeout(resolve, ms))))[0],
    kill: async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

function rowsOf(runs: number, answers: readonly Answer[]): Row[] {
  const of = (read: (answer: Answer) => number): number[] => answers.map(read);
  const name = (what: string): string => `${runs} runs: ${what}`;
  return [
    judged(
      rowOf(
        name("events of the worker in a second, without"),
        "/s",
        of(({ eventsPerSecond }) => eventsPerSecond),
      ),
      median(of(({ share }) => share)),
      { atLeast: SHARE_MIN, of: "it beside the prune" },
    ),
    limited(
      rowOf(
        name("longest hold of the file"),
        "ms",
        of(({ longestHoldMs }) => longestHoldMs),
      ),
      HOLD_MAX_MS,
    ),
    rowOf(
      name("mean hold"),
      "ms",
      of(({ heldMs, holds }) => heldMs / holds),
    ),
    rowOf(
      name("longest event of the worker, without"),
      "ms",
      of(({ longestAloneMs }) => longestAloneMs),
    ),
    rowOf(
      name("longest event of the worker, beside"),
      "ms",
      of(({ longestMs }) => longestMs),
    ),
    rowOf(
      name("runs gone in a second"),
      "/s",
      of(({ discarded, tookMs }) => (discarded * 1_000) / tookMs),
    ),
    rowOf(
      name("rows gone in a second"),
      "/s",
      of(({ rows, tookMs }) => (rows * 1_000) / tookMs),
    ),
  ];
}
