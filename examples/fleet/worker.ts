/**
 * A worker, until its parent ends: `worker.ts STORE`. Asked for it, it tells what it has counted.
 */
import { type Pawl, open } from "pawl";
import { limits, modelsAnswer, support } from "./fleet.ts";

const pawl = await open(process.argv[2]!, { workflows: [support], limits, health: { checks: { models: modelsAnswer } } });
process.once("disconnect", () => void pawl.close());
process.on("message", () => void tellMetrics(pawl));
process.send?.("ready");

async function tellMetrics(pawl: Pawl): Promise<void> {
  const { agents, workflows, store } = await pawl.metrics();
  const lines = Object.entries(agents).map(([name, { succeeded, retries, failed }]) => {
    const failures = Object.entries(failed).map(([kind, count]) => `${count} ${kind}`);
    return `  ${name.padEnd(8)}  ${succeeded} attempts succeeded${failures.length === 0 ? "" : `, ${failures.join(" and ")} failed`}; ${retries} retries`;
  });
  const { completed = 0, recovered = 0 } = workflows["support"] ?? {};
  process.send?.([...lines, `  runs      ${completed} completed, ${recovered} taken over from the other; ${store.commits} commits`].join("\n"));
}
