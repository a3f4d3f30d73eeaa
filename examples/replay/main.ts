/**
 * Replays a recorded workload in scaled time, durably: kill it when you like, and say the same again.
 *
 *   node --conditions=pawl-source examples/replay/main.ts examples/replay/survey.json --scale 0.1
 *
 * `--scale` 0.001 makes a second a millisecond. `--id` names the run, `--store` its file, `--log` a file in which the
 * agents write what they do.
 */
import { parseArgs } from "node:util";
import { type Run, open } from "pawl";
import { replayWorkflow } from "./workflow.ts";
import { criticalPathSeconds, readWorkload } from "./workload.ts";

const PROGRESS_STEPS = 10;
/** The recorded machine had many cores: what may run at the same time should not be the bound here. */
const ATTEMPTS_MAX = 1_000;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: "string", default: "0.001" },
    id: { type: "string" },
    store: { type: "string", default: ".pawl/replay.db" },
    log: { type: "string" },
  },
});
const [file] = positionals;
const scale = Number(flags.scale);
if (file === undefined || !(scale >= 0)) {
  console.error("usage: replay/main.ts FILE [--scale 0.001] [--id ID] [--store PATH] [--log FILE]");
  process.exit(64);
}

const workload = readWorkload(file);
const workflow = replayWorkflow(workload, { scale, log: flags.log });
const id = flags.id ?? `${workload.name}-${new Date().toISOString().replace(/\D/g, "").slice(0, 17)}`;
console.log(`${workload.name}: ${workload.tasks.length} tasks, run ${id} in ${flags.store}`);

await using pawl = await open(flags.store, { maxConcurrentAttempts: ATTEMPTS_MAX });
const done = new Set<string>();
let isReporting = false;
const startedAt = performance.now();
pawl.subscribe(({ runId, events }) => {
  if (runId !== id) return;
  const before = done.size;
  for (const { type, node } of events) if (type === "node.completed") done.add(node!);
  if (isReporting) report(before, done.size);
});
const run = await pawl.start(workflow, { id, input: {} });
const kept = (await run.nodes()).filter(({ status }) => status === "completed");
for (const node of kept) done.add(node.id);
if (kept.length > 0) console.log(`  ${kept.length} nodes are on the disk already and do not run again`);
isReporting = true;
await run.result();
await summarise(run);

/** A line for each step that was passed. */
function report(before: number, now: number): void {
  const step = (count: number): number => Math.floor((count / workload.tasks.length) * PROGRESS_STEPS);
  if (step(now) === step(before)) return;
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(2);
  console.log(`  ${String(step(now) * (100 / PROGRESS_STEPS)).padStart(3)} %  ${now} of ${workload.tasks.length} nodes, ${seconds} s`);
}

/** The makespan, from the first commit to the last, against what no schedule can beat. */
async function summarise(run: Run<unknown>): Promise<void> {
  const { status, createdAt, updatedAt } = await run.status();
  let resumed = 0;
  for await (const { events } of run.history()) resumed += events.filter(({ type }) => type === "run.recovered").length;
  const seconds = (updatedAt - createdAt) / 1_000;
  const bound = criticalPathSeconds(workload) * scale;
  console.log(`${status}: ${seconds.toFixed(2)} s; the critical path alone takes ${bound.toFixed(2)} s`);
  if (resumed > 0) console.log(`it was cut off ${resumed} time${resumed === 1 ? "" : "s"}, and the time until it went on is counted`);
}
