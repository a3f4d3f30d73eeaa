/**
 * A process of the inbox benchmark: a worker with runs that wait, or a client beside it. Each latency is in ms.
 * NOT measured here: anything before the file is open.
 */
import { type MachineHandle, type Pawl, agent, open, workflow } from "pawl";
import { z } from "zod";
import { inLanes, timed } from "./harness.ts";
import { counter } from "./machine-definitions.ts";
import { instant, serve } from "./servant.ts";

const EVENT = { type: "add", by: 1, note: "a note" } as const;

let pawl: Pawl;
const beganAts = new Map<string, number>();

const step = agent({
  name: "step",
  input: z.object({ value: z.number() }),
  output: z.object({ value: z.number() }),
  run: async ({ value }, { runId }) => {
    beganAts.set(runId, instant());
    return { value };
  },
});

const single = workflow({ name: "single", input: z.object({ seed: z.number() }) }, (wf) => wf.node("only", step, { value: wf.input.seed }).result);

const orders = { openFile, startCounters, sendEach, sendAtOnce, cancelEach, startEach, beganAt, idle };
export type InboxOrders = typeof orders;
serve(orders);

async function openFile(file: string, execute: boolean): Promise<void> {
  pawl = await open(file, { workflows: [counter, single], execute });
}

async function startCounters(name: string, count: number): Promise<void> {
  await inLanes(count, count, (i) => pawl.start(counter, { id: `${name}-${i}` }));
}

function runOf(name: string, i: number): Promise<MachineHandle<typeof counter>> {
  return pawl.run(`${name}-${i}`, counter);
}

/** To one run, one after the other. */
async function sendEach(name: string, count: number): Promise<number[]> {
  const run = await runOf(name, 0);
  const tookMs: number[] = [];
  for (let i = 0; i < count; i++) tookMs.push(await timed(() => run.send(EVENT)));
  return tookMs;
}

/** To so many runs, one event each, again and again. */
async function sendAtOnce(name: string, count: number, times: number): Promise<number[]> {
  const runs = await Promise.all(Array.from({ length: count }, (_, i) => runOf(name, i)));
  const tookMs: number[] = [];
  for (let i = 0; i < times; i++) tookMs.push(...(await Promise.all(runs.map((run) => timed(() => run.send(EVENT))))));
  return tookMs;
}

/** From the call until it is known to be cancelled. */
async function cancelEach(name: string, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let i = 0; i < count; i++) {
    const run = await runOf(name, i);
    tookMs.push(await timed(() => run.cancel()));
  }
  return tookMs;
}

/** Answers at which instants `start` was called; each run is waited for. */
async function startEach(name: string, count: number): Promise<number[]> {
  const calledAts: number[] = [];
  for (let i = 0; i < count; i++) {
    calledAts.push(instant());
    await (await pawl.start(single, { id: `${name}-${i}`, input: { seed: i } })).result();
  }
  return calledAts;
}

/** When the first node of each began. */
function beganAt(name: string, count: number): number[] {
  return Array.from({ length: count }, (_, i) => beganAts.get(`${name}-${i}`)!);
}

/** The share of one processor that this process takes while nothing happens. */
async function idle(ms: number): Promise<number> {
  const before = process.cpuUsage();
  const tookMs = await timed(() => new Promise((resolve) => setTimeout(resolve, ms)));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / tookMs;
}
