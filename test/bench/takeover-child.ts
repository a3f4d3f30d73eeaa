/**
 * A process of the take-over benchmark: it fills a file with runs that wait, it stands by, or it opens the file of a dead
 * one, and tells at which instants what went on.
 * NOT measured here: anything before the file is open, but for the memory.
 */
import { type Pawl, agent, open } from "pawl";
import { inLanes } from "./harness.ts";
import { counter, sleeper } from "./machine-definitions.ts";
import { pairOf, value } from "./pair.ts";
import { instant, serve } from "./servant.ts";

/** Instants at which the first, the first hundred, and all runs had started a node. */
export interface Started {
  readonly firstAt: number;
  readonly hundredAt: number;
  readonly allAt: number;
}

export interface Opened {
  readonly at: number;
  readonly rssMb: number;
}

const IN_FLIGHT = 500;
const DAY_MS = 86_400_000;
const HUNDRED = 100;

let pawl: Pawl;
/** In the process that is to die, agents never answer. */
let isHanging = false;
const startedAts = new Map<string, number>();
let toldWhen: { readonly count: number; readonly resolve: () => void } | undefined;

const step = agent({
  name: "step",
  input: value,
  output: value,
  run: async ({ value }, { runId }) => {
    if (!startedAts.has(runId)) startedAts.set(runId, instant());
    if (startedAts.size === toldWhen?.count) toldWhen.resolve();
    return isHanging ? new Promise<never>(() => {}) : { value };
  },
});

const pair = pairOf("pair", step);

const orders = { fillWithWork, fillWithSleep, openFile, allStarted, sendTo, sendToEach, rssMb };
export type TakeoverOrders = typeof orders;
serve(orders);

async function openFile(file: string, attemptsMax: number): Promise<Opened> {
  const rssBeforeMb = rssMb();
  const at = instant();
  pawl = await open(file, { workflows: [pair, counter, sleeper], maxConcurrentAttempts: attemptsMax });
  return { at, rssMb: rssBeforeMb };
}

/** Each run has an attempt under way that does not end. */
async function fillWithWork(file: string, runs: number): Promise<void> {
  isHanging = true;
  await openFile(file, runs);
  const all = allStarted(runs);
  await inLanes(runs, IN_FLIGHT, (run) => pawl.start(pair, { id: `run-${run}`, input: { seed: run } }));
  await all;
}

/** Half of them wait for an event, half for a timer of a day. */
async function fillWithSleep(file: string, runs: number): Promise<void> {
  await openFile(file, HUNDRED);
  await inLanes(runs, IN_FLIGHT, (run) => {
    const id = `run-${run}`;
    return run % 2 === 0 ? pawl.start(counter, { id }) : pawl.start(sleeper, { id, input: { ms: DAY_MS } });
  });
}

async function allStarted(runs: number): Promise<Started> {
  const { promise, resolve } = Promise.withResolvers<void>();
  toldWhen = { count: runs, resolve };
  if (startedAts.size < runs) await promise;
  const ats = [...startedAts.values()];
  return { firstAt: ats[0]!, hundredAt: ats[Math.min(HUNDRED, runs) - 1]!, allAt: ats.at(-1)! };
}

/** Answers when the run had taken the event. */
async function sendTo(run: number): Promise<number> {
  await (await pawl.run(`run-${run}`, counter)).send({ type: "add", by: 1, note: "wake up" });
  return instant();
}

/** To all that wait for an event. */
async function sendToEach(runs: number): Promise<number> {
  await inLanes(runs / 2, HUNDRED, (run) => sendTo(2 * run));
  return instant();
}

function rssMb(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1_048_576;
}
