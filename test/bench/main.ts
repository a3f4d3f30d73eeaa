/**
 * `npm run bench -- [names...] [--quick] [--json] [--rounds n] [--seed n] [--million]`: one table of what pawl takes, with floors
 * taken in the same run beside it. Each benchmark runs in a process of its own.
 * Ratios are shares of the floor's time (live 20 µs, pawl 25 µs: 0.8). NOT measured: networks, agents, other machines.
 */
import { parseArgs } from "node:util";
import { chains, layers } from "./chains.ts";
import { children } from "./children.ts";
import { cold } from "./cold.ts";
import { disk } from "./disk.ts";
import { environmentLine } from "./environment.ts";
import { fans } from "./fan.ts";
import { type Benchmark, FROM_SOURCE, type Row, type Settings, runChild } from "./harness.ts";
import { inbox } from "./inbox.ts";
import { machines } from "./machines.ts";
import { protection } from "./protection.ts";
import { health } from "./health.ts";
import { metering } from "./metering.ts";
import { overhead } from "./overhead.ts";
import { prunes } from "./prune.ts";
import { resume } from "./resume.ts";
import { rows } from "./rows.ts";
import { scaling } from "./scaling.ts";
import { sends } from "./sends.ts";
import { shapes } from "./shapes.ts";
import { shared } from "./shared.ts";
import { sleepers } from "./sleepers.ts";
import { stream } from "./stream.ts";
import { tableOf } from "./table.ts";
import { takeover } from "./takeover.ts";

const BENCHMARKS: readonly Benchmark[] = [
  chains,
  layers,
  fans,
  rows,
  cold,
  resume,
  scaling,
  machines,
  sends,
  children,
  sleepers,
  takeover,
  inbox,
  shared,
  prunes,
  shapes,
  stream,
  protection,
  metering,
  health,
  overhead,
  disk,
];
const ROUNDS = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: String(ROUNDS) },
    seed: { type: "string", default: "1" },
    million: { type: "boolean", default: false },
    here: { type: "boolean", default: false },
  },
});

const settings: Settings = {
  quick: values.quick,
  rounds: values.quick ? 1 : Number(values.rounds),
  warmUp: !values.quick,
  seed: Number(values.seed),
  million: values.million,
};

if (values.here) console.log(JSON.stringify(await chosen()[0]!.run(settings)));
else await runEach();

function chosen(): readonly Benchmark[] {
  for (const name of positionals) {
    if (BENCHMARKS.some((benchmark) => benchmark.name === name)) continue;
    console.error(`there is no benchmark "${name}"; there are: ${BENCHMARKS.map((known) => known.name).join(", ")}`);
    process.exit(1);
  }
  return positionals.length === 0 ? BENCHMARKS : BENCHMARKS.filter(({ name }) => positionals.includes(name));
}

/** One process after another, or all at once in this one where no time counts; one that fails makes the whole fail. */
async function runEach(): Promise<void> {
  const results: { title: string; rows: readonly Row[] }[] = [];
  if (settings.quick) results.push(...(await Promise.all(chosen().map(runOne))));
  else for (const benchmark of chosen()) results.push(await runOne(benchmark));
  const environment = environmentLine(settings);
  console.log(values.json ? JSON.stringify({ settings, results, environment }, undefined, 2) : `${tableOf(results)}\n${environment}`);
}

async function runOne(benchmark: Benchmark): Promise<{ name: string; title: string; rows: readonly Row[] }> {
  const { name, title } = benchmark;
  const startedAt = performance.now();
  try {
    const rows = settings.quick ? await benchmark.run(settings) : await runApart(name);
    console.error(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    return { name, title, rows };
  } catch (error) {
    process.exitCode = 1;
    console.error(`${name} failed:`, error);
    return { name, title: `${title}: FAILED`, rows: [] };
  }
}

async function runApart(name: string): Promise<Row[]> {
  const own = [name, "--here", "--rounds", values.rounds, "--seed", values.seed, ...(values.million ? ["--million"] : [])];
  return (await runChild(import.meta.url, own, { flags: FROM_SOURCE })).answer as Row[];
}
