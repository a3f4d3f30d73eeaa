/**
 * A worker of the shared benchmark, or the client that records runs for it. An agent takes its time waiting, or computing.
 * NOT measured here: anything before the file is open.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { type Pawl, agent, open } from "pawl";
import { inLanes } from "./harness.ts";
import { pairOf, value } from "./pair.ts";
import { instant, serve } from "./servant.ts";

/** What an agent does with its time. */
export type Way = "waits" | "computes";

/** What a worker did. */
export interface Done {
  readonly completed: number;
  readonly nodes: number;
  readonly lastAt: number;
  readonly loopDelayMaxMs: number;
  readonly cpuMs: number;
}

const AGENT_MS = 5;
const ATTEMPTS = 10;
const IN_FLIGHT = 100;

let pawl: Pawl;
let loop: IntervalHistogram;
let [completed, nodes, lastAt] = [0, 0, 0];
let cpu = process.cpuUsage();

const waits = agent({
  name: "waits",
  input: value,
  output: value,
  run: async (input) => {
    nodes++;
    await new Promise((resolve) => setTimeout(resolve, AGENT_MS));
    return input;
  },
});
const computes = agent({
  name: "computes",
  input: value,
  output: value,
  run: async (input) => {
    nodes++;
    for (const before = process.threadCpuUsage(); processorMs(process.threadCpuUsage(before)) < AGENT_MS;);
    return input;
  },
});

/** So that a processor which others want, too, does not shorten the work. */
function processorMs({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1_000;
}

const flows = { waits: pairOf("waits", waits), computes: pairOf("computes", computes) };

const orders = { openFile, start, close, done };
export type SharedOrders = typeof orders;
serve(orders);

/** Answers when it was called. */
async function openFile(file: string, execute: boolean): Promise<number> {
  const at = instant();
  loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  cpu = process.cpuUsage();
  pawl = await open(file, { workflows: Object.values(flows), execute, maxConcurrentAttempts: ATTEMPTS });
  pawl.subscribe(({ events }) => {
    if (!events.some(({ type }) => type === "run.completed")) return;
    completed++;
    lastAt = instant();
  });
  return at;
}

/** Answers when the first was started. */
async function start(way: Way, runs: number): Promise<number> {
  const at = instant();
  await inLanes(runs, IN_FLIGHT, (run) => pawl.start(flows[way], { id: `run-${run}`, input: { seed: run } }));
  return at;
}

async function close(): Promise<void> {
  await pawl.close();
}

function done(): Done {
  return { completed, nodes, lastAt, loopDelayMaxMs: loop.max / 1e6, cpuMs: processorMs(process.cpuUsage(cpu)) };
}
