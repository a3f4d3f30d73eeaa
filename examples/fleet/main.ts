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
import { begin, line, say, table } from "./tell.ts";

/** What each tenant asks for. */
const TENANTS = { acme: 80, bolt: 30, coil: 30 };

const LOOK_EVERY_MS = 10;
/** At least half a minute. */
const LOOKS_MAX = 3_000;
/** The length of the window of `searches`. */
const PER_MS = 500;

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
  begin(`tickets of ${tenantsText()}; workers ${workers.map(({ pid }) => pid).join(" and ")}; providers search, models and backup`);
  const runs = await startAll(pawl);
  await until(() => models.answered >= 10);
  line("before", `models has answered ${models.answered} calls: ${await howItIs(pawl)}`);

  models.isDown = true;
  const opened = await breakerWhen(pawl, ({ state }) => state === "open");
  line("outage", `models answers 503, ${models.refused} calls have failed: ${await howItIs(pawl)}; backup is asked instead`);

  await breakerWhen(pawl, ({ state, since }) => state === "open" && since > opened.since);
  line("probe", `a call has tried, and failed: for another second none is made; backup has answered ${backup.answered}`);

  models.isDown = false;
  const known = models.answered;
  await breakerWhen(pawl, ({ state }) => state === "closed");
  line("recovery", `models answers again, first ${models.answered - known} probes: ${await howItIs(pawl)}`);

  await killOne(pawl);
  await Promise.all(runs.map((run) => run.ended()));
  line("end", `all ${runs.length} runs have ended; ${search.cutOff + models.cutOff + backup.cutOff} calls were cut off by the kill, and made again`);
  const counted = await recount(runs, TENANTS);
  tell(counted);
  await tellMetrics();
  return isKept(counted, runs.length) ? 0 : 1;
}

/** Each tenant's runs one after the other, those of all tenants in the same time. */
async function startAll(pawl: Pawl): Promise<Run<string>[]> {
  const tickets = Object.entries(TENANTS).flatMap(([tenant, count]) => Array.from({ length: count }, (_, n) => ({ tenant, n, at: n / count })));
  const runs: Run<string>[] = [];
  for (const { tenant, n } of tickets.toSorted((a, b) => a.at - b.at))
    runs.push(await pawl.start(support, { id: `${tenant}-${n}`, tenant, input: { text: `ticket ${n} of ${tenant}` } }));
  return runs;
}

function tenantsText(): string {
  return Object.entries(TENANTS)
    .map(([tenant, count]) => `${tenant} (${count})`)
    .join(", ");
}

/** The breaker that the agents of models share, as soon as it is so. */
async function breakerWhen(pawl: Pawl, isSo: (breaker: BreakerView) => boolean): Promise<BreakerView> {
  let found: BreakerView | undefined;
  await until(async () => (found = (await pawl.breakers()).find(isSo)) !== undefined);
  return found!;
}

async function howItIs(pawl: Pawl): Promise<string> {
  const [breaker] = await pawl.breakers();
  const { checks } = await pawl.health();
  return `its breaker is ${breaker?.state}, its health ${checks["models"]?.status}`;
}

/** Kills a worker in the middle of its calls of models; what it held is the other's then. */
async function killOne(pawl: Pawl): Promise<void> {
  const areAllTaken = (): boolean => models.running === limits.modelCalls.max;
  await until(areAllTaken);
  const [victim] = (await holders(pawl)).toSorted((a, b) => b.share - a.share);
  await until(areAllTaken);
  const killedAt = performance.now();
  workers.find(({ pid }) => pid === victim!.pid)!.kill("SIGKILL");
  await until(async () => (await holders(pawl)).every(({ pid }) => pid !== victim!.pid));
  const seconds = ((performance.now() - killedAt) / 1_000).toFixed(2);
  line("kill -9", `worker ${victim!.pid}, which may make ${victim!.share} of ${limits.modelCalls.max} modelCalls: ${seconds} s later they are the other's`);
}

/** Which worker may make how many calls of models. */
async function holders(pawl: Pawl): Promise<{ readonly pid: number; readonly share: number }[]> {
  const [all, there] = [await pawl.limits(), await pawl.workers()];
  const shares = all.find(({ name }) => name === "modelCalls")?.shares ?? [];
  return shares.flatMap(({ epoch, share }) => there.filter((worker) => worker.epoch === epoch).map(({ pid }) => ({ pid, share })));
}

function tell({ answers, spared, fair, searches, searchingMs }: Recount): void {
  table("calls (spared: not made, because the breaker was open)", [
    ["", "CALLS", "ANSWERED", "REFUSED", "CUT OFF", "SPARED"],
    ["search", search.calls, search.answered, search.refused, search.cutOff, 0],
    ["models", models.calls, models.answered, models.refused, models.cutOff, spared],
    ["backup", backup.calls, backup.answered, backup.refused, backup.cutOff, 0],
  ]);
  table("limits", [
    ["", "LIMIT", "USED", "OF AT MOST"],
    ["searches", `${limits.searches.max} in ${limits.searches.per}`, `${searches} in ${(searchingMs / 1_000).toFixed(1)} s`, mostSearches(searchingMs)],
    ["modelCalls", `${limits.modelCalls.max} at once`, `${models.most} at once`, limits.modelCalls.max],
  ]);
  table("tenants take turns: what each had when the first one had all its searches", [
    ["", "ASKED FOR", "HAD"],
    ...Object.entries(TENANTS).map(([tenant, count]) => [tenant, count, fair[tenant]!]),
  ]);
  table("answers", [
    ["answerer", answers.asPlanned, "by models"],
    ["writer", answers.instead, "by backup, in its place"],
  ]);
}

/** What the limit allows in so long a time. */
function mostSearches(ms: number): number {
  return limits.searches.max * (Math.floor(ms / PER_MS) + 1);
}

/** What the worker counts that is left. */
async function tellMetrics(): Promise<void> {
  const worker = workers.find(({ connected }) => connected)!;
  worker.send("metrics");
  say(`\nworker ${worker.pid} has counted\n${String(await answerOf(worker))}\n`);
}

/** Was everything done, once, within the limits? */
function isKept({ completed, repeated, searches, searchingMs }: Recount, count: number): boolean {
  say(`${completed} of ${count} tickets are answered and filed; ${repeated} steps that were done were done again`);
  return completed === count && repeated === 0 && searches <= mostSearches(searchingMs) && models.most <= limits.modelCalls.max;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await condition()); looks++) {
    if (looks === LOOKS_MAX) throw new Error(`what should happen does not: ${String(condition)}`);
    await passes(LOOK_EVERY_MS);
  }
}
