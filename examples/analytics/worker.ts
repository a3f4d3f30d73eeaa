/**
 * The process that executes: `worker.ts STORE RUN QUESTION`. Opens the store and starts the run, or goes on with it: the
 * same call, since a run's id is its identity. Tells its parent what became durable.
 */
import { type RunChange, isPawlError, open } from "pawl";
import { endWithParent, tellParent } from "./children.ts";
import { analytics } from "./workflow.ts";

/** What the worker tells its parent. */
export type WorkerMessage =
  | { readonly kind: "change"; readonly change: RunChange }
  | { readonly kind: "completed"; readonly output: Awaited<ReturnType<typeof result>> }
  | { readonly kind: "failed"; readonly code: string; readonly message: string; readonly next: string };

const [store = "", id = "", question = ""] = process.argv.slice(2);
endWithParent();
try {
  await tell({ kind: "completed", output: await result() });
} catch (error) {
  if (!isPawlError(error)) throw error;
  await tell({ kind: "failed", code: error.code, message: error.message, next: error.next });
}
process.disconnect();

async function result() {
  await using pawl = await open(store);
  pawl.subscribe((change) => change.runId === id && void tell({ kind: "change", change }));
  const run = await pawl.start(analytics, { id, input: { question } });
  return await run.result();
}

function tell(message: WorkerMessage): Promise<void> {
  return tellParent(message);
}
