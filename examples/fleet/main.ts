/**
 * A fleet of agents for three tenants, in two worker processes, while a provider is down for a while and a worker is killed:
 * what was protected, by what, and what it cost.
 *
 *   node --conditions=pawl-source examples/fleet/main.ts
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { type BreakerView, type Pawl, type Run, open } from "pawl";
import { limits, modelsAnswer, support } from "./fleet.ts";
import { Provider } from "./provider.ts";
import { type Recount, recount } from "./recount.ts";
import { line, say, table } from "./tell.ts";

/** What each tenant asks for; the first one asks for most, and first. */
const TENANTS = { acme: 60, bolt: 20, coil: 20 };

const LOOK_EVERY_MS = 10;

const [folder = ".pawl/fleet"] = process.argv.slice(2);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const store = join(folder, "pawl.db");

const [search, models, backup] = [new Provider(20), new Provider(80), new Provider(60)];
process.env["SEARCH_URL"] = await search.start();
process.env["MODELS_URL"] = await models.start();
process.env["BACKUP_URL"] = await backup.start();
const workers = [await startWorker(), await startWorker()];
try {
  await using pawl = await open(store, { execute: false, health: { checks: { models: modelsAnswer } } });
  process.exitCode = await story(pawl);
} finally {
  for (const worker of workers) if (worker.connected) worker.disconnect();
  for (const provider of [search, models, backup]) provider.stop();
}

async function startWorker(): Promise<ChildProcess> {
  const worker = fork(new URL("worker.ts", import.meta.url), [store]);
  if ((await answerOf(worker)) !== "ready") throw new Error(`worker ${worker.pid} ended early`);
  return worker;
}

async function answerOf(worker: ChildProcess): Promise<unknown> {
  const [said] = await Promise.race([once(worker, "message"), once(worker, "exit")]);
  return said;
}

/** Answers the exit code. */
async function story(pawl: Pawl): Promise<number> {
  say(`100 tickets of ${Object.keys(TENANTS).join(", ")}; workers ${workers.map(({ pid }) => pid).join(" and ")}; one provider, models, will be down\n`);
  const runs: Run<string>[] = [];
  for (const [tenant, count] of Object.entries(TENANTS))
    for (let n = 1; n <= count; n++) runs.push(await pawl.start(support, { id: `${tenant}-${n}`, tenant, input: { text: `ticket ${n} of ${tenant}` } }));

  await until(() => models.answered >= 20);
  line("before", `models has answered ${models.answered} calls; ${await howItIs(pawl)}`);

  models.isDown = true;
  await until(async () => (await breaker(pawl)).state === "open");
  line("outage", `models answers 503; after ${models.refused} calls that failed no more are made: ${await howItIs(pawl)}`);
  const opened = await breaker(pawl);
  const beforeProbes = models.refused + models.running;
  await until(async () => (await breaker(pawl)).since > opened.since && models.refused > beforeProbes);
  const probes = models.refused - beforeProbes;
  line("probe", `a second later ${probes === 1 ? "one call tries" : `${probes} calls try`}, and ${probes === 1 ? "fails" : "fail"}; meanwhile writer has answered ${backup.answered} tickets by backup`);

  models.isDown = false;
  const answeredBefore = models.answered;
  await until(async () => (await breaker(pawl)).state === "closed");
  line("recovery", `models is back, and ${models.answered - answeredBefore} probes succeeded: ${await howItIs(pawl)}`);

  await until(() => models.running === limits.modelCalls.max);
  await killOne(pawl);
  await Promise.all(runs.map((run) => run.ended()));
  line("end", `all ${runs.length} tickets are done`);
  return told(await recount(runs, TENANTS), probes);
}

async function breaker(pawl: Pawl): Promise<BreakerView> {
  const [view] = await pawl.breakers();
  if (view === undefined) throw new Error("there is no breaker");
  return view;
}

async function howItIs(pawl: Pawl): Promise<string> {
  const { checks } = await pawl.health();
  return `its breaker is ${(await breaker(pawl)).state}, its health ${checks["models"]?.status}`;
}

/** The worker that has the most calls of models under way; what it held is anybody's then. */
async function killOne(pawl: Pawl): Promise<void> {
  const [victim] = (await holders(pawl)).toSorted((a, b) => b.share - a.share);
  const worker = workers.find(({ pid }) => pid === victim!.pid)!;
  const killedAt = performance.now();
  worker.kill("SIGKILL");
  await until(async () => (await holders(pawl)).every(({ pid }) => pid !== victim!.pid));
  const seconds = ((performance.now() - killedAt) / 1_000).toFixed(2);
  line("kill -9", `worker ${victim!.pid}, which held ${victim!.share} of ${limits.modelCalls.max} modelCalls; ${seconds} s later they are the other's`);
}

/** Which worker may make how many calls of models. */
async function holders(pawl: Pawl): Promise<{ readonly pid: number; readonly share: number }[]> {
  const [all, there] = [await pawl.limits(), await pawl.workers()];
  const shares = all.find(({ name }) => name === "modelCalls")?.shares ?? [];
  return shares.flatMap(({ epoch, share }) => there.filter((worker) => worker.epoch === epoch).map(({ pid }) => ({ pid, share })));
}

/** Prints the sums. Answers the exit code. */
async function told({ completed, answers, spared, repeated, mostInASecond, fair }: Recount, probes: number): Promise<number> {
  table("calls", [
    ["PROVIDER", "CALLS", "ANSWERED", "REFUSED", "CUT OFF", "SPARED", "AT ONCE"],
    ["search", search.calls, search.answered, search.refused, search.cutOff, 0, search.most],
    ["models", models.calls, models.answered, models.refused, models.cutOff, spared, models.most],
    ["backup", backup.calls, backup.answered, backup.refused, backup.cutOff, 0, backup.most],
  ]);
  return 0;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await passes(LOOK_EVERY_MS);
}
