/**
 * Chains in a process that may be killed: `resume-child.mjs begin|stuck|resume FILE RUNS LENGTH KILL_AFTER`.
 * begin: starts all runs; after KILL_AFTER nodes (unless 0) it kills itself. stuck: starts all runs with an agent that
 * never answers, then kills itself. resume: opens the file and starts nothing. The clock starts before pawl is imported.
 * NOT measured here: the start of Node.
 */
const startedAt = performance.now();
const { agent, open, workflow } = await import("pawl");
const { z } = await import("zod");

const [mode, file, runs, length, killAfter] = process.argv.slice(2).map((value, i) => (i < 2 ? value : Number(value)));
let nodes = 0;
let firstNodeAt = 0;
let firstCompletedAt = 0;

const step = agent({
  name: "step",
  input: z.object({ values: z.array(z.number()) }),
  output: z.object({ value: z.number() }),
  run: async ({ values }) => {
    if (mode === "stuck") return new Promise(() => {});
    if (nodes++ === 0) firstNodeAt = performance.now();
    if (nodes === killAfter) process.kill(process.pid, "SIGKILL");
    return { value: values.length + 1 };
  },
});

const chain = workflow({ name: "chain", input: z.object({ seed: z.number() }) }, (wf) => {
  let value = wf.input.seed;
  for (let place = 0; place < length; place++) value = wf.node(`step-${place}`, step, { values: [value] }).result.value;
  return { value };
});

const pawl = await open(file, { workflows: [chain] });
/** Runs that had ended before the kill say nothing any more. */
let completed = mode === "resume" ? (await pawl.list({ status: "completed", limit: 1_000 })).length : 0;
const all = new Promise((resolve) => {
  pawl.subscribe(({ events }) => {
    if (!events.some(({ type }) => type === "run.completed")) return;
    firstCompletedAt ||= performance.now();
    if (++completed === runs) resolve();
  });
});

if (mode !== "resume") await Promise.all(Array.from({ length: runs }, (_, run) => pawl.start(chain, { id: `run-${run}`, input: { seed: run } })));
if (mode === "stuck") process.kill(process.pid, "SIGKILL");
await all;
const restMs = performance.now() - firstNodeAt;
console.log(JSON.stringify({ firstNodeMs: firstNodeAt - startedAt, firstCompletedMs: firstCompletedAt - startedAt, nodes, restMs }));
await pawl.close();
