/**
 * Where commits should run: on the thread that runs everything else, as src/store/sqlite.ts has it, or on one of its own.
 * A model of the engine in bare node:sqlite: 100 chains, 20 µs of work per commit, three rows per commit, commits of one
 * moment share a transaction, at most one is under way. On this disk, and on one whose commits take 5 ms more.
 * NOT measured: pawl itself; reads; memory. The 5 ms are slept in the committing thread, not spent in the kernel.
 */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type Benchmark, type Contender, type Row, inTemporaryFolder, medianRatio, race, rowOf } from "./harness.ts";
import { type Group, openGroupWriter } from "./disk-writer.ts";

const CHAINS = 100;
const WORK_US = 20;
const SLOW_MS = 5;

type Open = (path: string, delayMs: number) => Writer | Promise<Writer>;

interface Writer {
  /** Calls back when the group is durable. */
  write(group: Group, durable: () => void): void;
  close(): Promise<unknown> | void;
}

export const disk: Benchmark = {
  name: "disk",
  title: "disk: commits on the caller's thread, or on one of their own (a model)",
  async run(settings) {
    const rows: Row[] = [];
    for (const delayMs of [0, SLOW_MS]) {
      const commits = (settings.quick ? 1_000 : 10_000) / (delayMs === 0 ? 1 : 2);
      const gaps = new Map<string, number[]>([
        ["caller", []],
        ["thread", []],
      ]);
      const contender = (name: string, open: Open): Contender => ({
        name,
        run: () => model(open, delayMs, commits, gaps.get(name)!),
      });
      const times = await race([contender("caller", openHere), contender("thread", openThread)], settings);
      const where = delayMs === 0 ? "this disk" : `+${delayMs} ms per fsync`;
      for (const name of ["caller", "thread"]) {
        const row = rowOf(`${where}: ${name}`, "µs/commit", times.get(name)!, 1_000 / commits);
        rows.push(name === "caller" ? row : { ...row, ratio: medianRatio(times.get("caller")!, times.get("thread")!) });
        rows.push(rowOf(`${where}: ${name}: longest event-loop delay`, "ms", gaps.get(name)!.slice(-settings.rounds)));
      }
    }
    return rows;
  },
};

/** Runs all chains to their end; answers the ms and notes the longest gap between two turns of the loop. */
function model(open: Open, delayMs: number, commits: number, gaps: number[]): Promise<number> {
  return inTemporaryFolder(async (folder) => {
    const writer = await open(join(folder, "model.db"), delayMs);
    const state: State = { left: Array.from({ length: CHAINS }, () => commits / CHAINS), ready: [...Array(CHAINS).keys()], pending: [], writing: false };
    let gapMaxMs = 0;
    const startedAt = performance.now();
    for (let lastAt = startedAt; state.ready.length > 0 || state.pending.length > 0 || state.writing; lastAt = performance.now()) {
      turn(state, writer);
      await new Promise((resolve) => setImmediate(resolve));
      gapMaxMs = Math.max(gapMaxMs, performance.now() - lastAt);
    }
    const tookMs = performance.now() - startedAt;
    await writer.close();
    gaps.push(gapMaxMs);
    return tookMs;
  });
}

interface State {
  /** Commits that each chain still has to make. */
  readonly left: number[];
  /** Chains with work to do. */
  ready: number[];
  /** Chains whose commit waits for the one under way. */
  pending: number[];
  writing: boolean;
}

/** What one turn of the loop does: the work of all chains that are ready, then a commit unless one is under way. */
function turn(state: State, writer: Writer): void {
  for (const _ of state.ready) spin(WORK_US);
  const chains = [...state.pending, ...state.ready];
  state.ready = [];
  state.pending = chains;
  if (state.writing || chains.length === 0) return;
  state.pending = [];
  state.writing = true;
  writer.write(groupOf(chains, state.left), () => {
    state.writing = false;
    for (const index of chains) if (--state.left[index]! > 0) state.ready.push(index);
  });
}

function groupOf(chains: readonly number[], left: readonly number[]): Group {
  return chains.map((chain) => ({ run: `run-${chain}`, commitNo: left[chain]!, text: `{"attempt":1,"startedAt":1792999999999,"endedAt":1792999999999}` }));
}

function spin(us: number): void {
  const until = performance.now() + us / 1_000;
  while (performance.now() < until);
}

function openHere(path: string, delayMs: number): Writer {
  const writer = openGroupWriter(path, delayMs);
  const write = (group: Group, durable: () => void): void => {
    writer.write(group);
    durable();
  };
  return { write, close: () => writer.close() };
}

async function openThread(path: string, delayMs: number): Promise<Writer> {
  const worker = new Worker(new URL("disk-writer.ts", import.meta.url), { workerData: { path, delayMs } });
  await once(worker, "message");
  const write = (group: Group, durable: () => void): void => {
    worker.once("message", durable);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.postMessage(group);
  };
  return { write, close: () => worker.terminate() };
}
