/**
 * Two workers share one file, and one of them is killed: the other goes on with its runs, and nothing that was done is
 * done again. The client that starts the runs executes nothing itself.
 *
 *   node --conditions=pawl-source examples/two-workers/main.ts
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Run, open } from "pawl";
import { report } from "./report.ts";

const RUNS = 10;
const STEPS = 3 * RUNS;

const [folder = ".pawl/two-workers"] = process.argv.slice(2);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const store = join(folder, "pawl.db");
const log = join(folder, "calls.log");

const workers = [await startWorker(), await startWorker()];
try {
  await using client = await open(store, { execute: false });
  const runs = await Promise.all(
    Array.from({ length: RUNS }, (_, i) => client.start(report, { id: `report-${i + 1}`, input: { topic: `topic ${i + 1}`, folder } })),
  );
  while (!(await isInTheMiddle(runs))) await new Promise(setImmediate);
  process.exitCode = await killOne(runs);
} finally {
  for (const worker of workers) if (worker.connected) worker.disconnect();
}

async function startWorker(): Promise<ChildProcess> {
  const worker = fork(new URL("worker.ts", import.meta.url), [store], { env: { ...process.env, CALLS_LOG: log } });
  const [said] = await Promise.race([once(worker, "message"), once(worker, "exit")]);
  if (said !== "ready") throw new Error(`worker ${worker.pid} ended early`);
  return worker;
}

async function isInTheMiddle(runs: readonly Run<unknown>[]): Promise<boolean> {
  const { size } = await stepsDone(runs);
  return size === STEPS || (size >= STEPS / 2 && workers.some((worker) => stepsUnderWay(worker) > 0));
}

/** Answers the exit code. */
async function killOne(runs: readonly Run<unknown>[]): Promise<number> {
  const [victim, other] = inOrderOfTheirSteps();
  victim!.kill("SIGKILL");
  await once(victim!, "exit");
  const done = await stepsDone(runs);
  const calls = readCalls();
  console.log(`worker ${victim!.pid} is killed; ${done.size} of ${STEPS} steps are done`);

  await Promise.all(runs.map((run) => run.result()));
  const all = readCalls();
  const cutOff = all.filter((step, i) => all.indexOf(step) < i);
  const again = all.slice(calls.length).filter((step) => done.has(step));
  console.log(`worker ${other!.pid} has finished all ${runs.length} runs`);
  console.log(`${cutOff.length} steps were cut off and ran again; ${again.length} of those that were done did`);
  return again.length === 0 ? 0 : 1;
}

/** The steps whose results are on the disk. */
async function stepsDone(runs: readonly Run<unknown>[]): Promise<Set<string>> {
  const done = new Set<string>();
  for (const run of runs) for (const { id, status } of await run.nodes()) if (status === "completed") done.add(`${run.id}/${id}`);
  return done;
}

/** The worker that has the most steps under way comes first. */
function inOrderOfTheirSteps(): ChildProcess[] {
  return workers.toSorted((a, b) => stepsUnderWay(b) - stepsUnderWay(a));
}

function stepsUnderWay({ pid }: ChildProcess): number {
  const lines = readLog().filter((line) => line.endsWith(` ${pid}`));
  return lines.filter((line) => line.startsWith("start ")).length - lines.filter((line) => line.startsWith("end ")).length;
}

/** The steps whose agents were called, in order. */
function readCalls(): string[] {
  return readLog()
    .filter((line) => line.startsWith("start "))
    .map((line) => line.slice("start ".length, line.lastIndexOf("#")));
}

function readLog(): string[] {
  return existsSync(log) ? readFileSync(log, "utf8").split("\n") : [];
}
