/**
 * The process that executes: `worker.ts STORE RUN QUESTION`. Opens the store and starts the run, or goes on with it: the
 * same call, since a run's id is its identity. Tells its parent what became durable.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Pawl, type RunChange, isPawlError, open } from "pawl";
import { endWithParent, tellParent } from "./children.ts";
import { analytics } from "./workflow.ts";

/** What the worker tells its parent. */
export type WorkerMessage =
  | { readonly kind: "change"; readonly change: RunChange }
  | { readonly kind: "completed"; readonly output: Awaited<ReturnType<typeof result>> }
  | { readonly kind: "failed"; readonly code: string; readonly message: string; readonly next: string };

/** For so long another process may still be dying with the lock of the file in its hand. */
const LOCK_WAIT_MS = 10_000;
const LOCK_POLL_MS = 50;

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
  await using pawl = await openPatiently();
  pawl.subscribe((change) => change.runId === id && void tell({ kind: "change", change }));
  const run = await pawl.start(analytics, { id, input: { question } });
  return await run.result();
}

async function openPatiently(): Promise<Pawl> {
  for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
    try {
      return await open(store);
    } catch (error) {
      if (!isPawlError(error, "PAWL_STORE_LOCKED") || waitedMs >= LOCK_WAIT_MS) throw error;
      await pause(LOCK_POLL_MS);
    }
  }
}

function tell(message: WorkerMessage): Promise<void> {
  return tellParent(message);
}
