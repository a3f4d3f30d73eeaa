/**
 * Sleeping runs in a process of its own: `sleepers-child.ts fill|wake FILE RUNS [WARM_UP_RUNS]`. Says as JSON what it took.
 * 1. `fill` starts machine runs of which each second waits for a timer of a day, the others for an event.
 * 2. `wake` opens the file, sends to a run, then to some drawn at random, and waits for a timer.
 * NOT measured: the start of Node itself; a cold disk cache.
 */
import { join } from "node:path";
import { type Pawl, open } from "pawl";
import { inLanes, inTemporaryFolder, median, quantile, seededRandom, timed } from "./harness.ts";
import { counter, sleeper } from "./machine-definitions.ts";
import type { FillAnswer, WakeAnswer } from "./sleepers.ts";

const workflows = [counter, sleeper];
const [what, file, runsText, warmUpText] = process.argv.slice(2);
const runs = Number(runsText);
const IN_FLIGHT = 500;
const SAMPLES = 200;
const DAY_MS = 86_400_000;
const TIMERS = 20;
const SOON_MS = 1_000;
const APART_MS = 20;
const rssMb = (): number => {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1_048_576;
};

console.log(JSON.stringify(what === "fill" ? await fill() : await wake()));

async function fill(): Promise<FillAnswer> {
  const pawl = await open(file!);
  const rssMbs: number[] = [];
  let started = 0;
  const startOne = async (index: number): Promise<void> => {
    await (index % 2 === 0 ? pawl.start(counter, { id: `run-${index}` }) : pawl.start(sleeper, { id: `run-${index}`, input: { ms: DAY_MS } }));
    if (++started % Math.max(1, Math.floor(runs / 10)) === 0) rssMbs.push(rssMb());
  };
  const tookMs = await timed(() => inLanes(runs, IN_FLIGHT, startOne));
  await pawl.close();
  return { tookMs, rssMbs };
}

async function wake(): Promise<WakeAnswer> {
  const rssBeforeMb = rssMb();
  const openedAt = performance.now();
  const cold = await open(file!, { workflows });
  const openMs = performance.now() - openedAt;
  await sendTo(cold, "run-0");
  const firstWakeMs = performance.now() - openedAt;
  const rssOpenMb = rssMb();
  await cold.close();
  await warmUp(Number(warmUpText));
  const warm = await open(file!, { workflows });
  const sendMs = await wakeAll(warm, drawn());
  const due = await startTimers(warm);
  await warm.close();
  const last = await open(file!, { workflows });
  const lateMs = await Promise.all(due.map(([id, dueAt]) => lateBy(last, id, dueAt)));
  await last.close();
  return { openMs, firstWakeMs, rssBeforeMb, rssOpenMb, sendMs: median(sendMs), sendP99Ms: quantile(sendMs, 0.99), timerMs: median(lateMs) };
}

/** Runs that wake by their timer, and when: soon, but not before the file is open again. */
async function startTimers(pawl: Pawl): Promise<[id: string, dueAt: number][]> {
  const due: [string, number][] = [];
  for (let i = 0; i < TIMERS; i++) {
    const ms = SOON_MS + i * APART_MS;
    const run = await pawl.start(sleeper, { id: `soon-${i}`, input: { ms } });
    for await (const { commitNo, at } of run.history()) if (commitNo === 1) due.push([run.id, at + ms]);
  }
  return due;
}

async function sendTo(pawl: Pawl, id: string): Promise<void> {
  await (await pawl.run(id, counter)).send({ type: "add", by: 1, note: "wake up" });
}

/** The ms of each wake, one after the other. */
async function wakeAll(pawl: Pawl, ids: Iterable<string>): Promise<number[]> {
  const tookMs: number[] = [];
  for (const id of ids) tookMs.push(await timed(() => sendTo(pawl, id)));
  return tookMs;
}

/** Runs that wait for an event, each once: none of them is in memory. */
function drawn(): Set<string> {
  const random = seededRandom(runs);
  const ids = new Set<string>();
  while (ids.size < Math.min(SAMPLES, runs / 2)) ids.add(`run-${2 * Math.floor((random() * runs) / 2)}`);
  return ids;
}

async function warmUp(count: number): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, "warm.db");
    const ids = Array.from({ length: count }, (_, index) => `warm-${index}`);
    const before = await open(path);
    await Promise.all(ids.map((id) => before.start(counter, { id })));
    await before.close();
    const after = await open(path, { workflows });
    await wakeAll(after, ids);
    await after.close();
  });
}

/** From the instant at which a run was to wake until it has ended. */
async function lateBy(pawl: Pawl, id: string, dueAt: number): Promise<number> {
  await (await pawl.run(id, sleeper)).result();
  return Date.now() - dueAt;
}
