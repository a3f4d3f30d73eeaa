/**
 * A process to be killed: runs a small workflow to its end and prints the result. Its agents write a line for each
 * call. With KILL_AT=n it kills itself at the n-th statement that it gives to SQLite.
 */
import { appendFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { open, workflow, agent } from "pawl";
import { z } from "zod";

const [file, log, pauseMs] = process.argv.slice(2) as [string, string, string];
const killAt = Number(process.env["KILL_AT"] ?? 0);

let statements = 0;
function count(): void {
  if (++statements === killAt) process.kill(process.pid, "SIGKILL");
}
const { prepare, exec } = DatabaseSync.prototype;
DatabaseSync.prototype.prepare = function (sql) {
  const statement = prepare.call(this, sql);
  const run = statement.run.bind(statement);
  statement.run = (...values: never[]) => (count(), run(...values));
  return statement;
};
DatabaseSync.prototype.exec = function (sql) {
  count();
  return exec.call(this, sql);
};

const pause = (): Promise<void> => (pauseMs === "0" ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, Number(pauseMs))));
const step = agent({
  name: "step",
  input: z.object({ from: z.array(z.number().optional()) }),
  output: z.object({ n: z.number() }),
  retry: { initialInterval: 1 },
  run: async ({ from }, { nodeId, attempt }) => {
    appendFileSync(log, `start ${nodeId}\n`);
    await pause();
    if (nodeId === "flaky" && attempt === 1) throw new Error("once");
    if (nodeId === "lost") throw new TypeError("always");
    appendFileSync(log, `end ${nodeId}\n`);
    return { n: from.reduce<number>((sum, n) => sum + (n ?? 100), 1) };
  },
});
const flow = workflow({ name: "small", input: z.object({}) }, (wf) => {
  const a = wf.node("a", step, { from: [] });
  const flaky = wf.node("flaky", step, { from: [a.result.n] });
  const lost = wf.node("lost", step, { from: [] }, { onFail: "skip", retry: { nonRetryable: ["TypeError"] } });
  const join = wf.node("join", step, { from: [a.result.n, flaky.result.n, lost.result.n] });
  return { n: join.result.n };
});

const pawl = await open(file, { workflows: [flow] });
const run = await pawl.start(flow, { id: "small", input: {} });
console.log(JSON.stringify(await run.result()));
await pawl.close();
console.log(`${statements} statements`);
