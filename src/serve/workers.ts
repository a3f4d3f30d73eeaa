/**
 * The workers on a store, as the commands speak of them.
 */
import { type Pawl, type Run, type WorkerView, checkDefinition } from "../index.ts";
import { type Offered, versionsOf } from "./definition-file.ts";

/** What is said of a run when no worker can take it on. */
export const NO_WORKER = "it goes on when one has its definition: `pawl work FILE`";

/** The one that has this run; else those that were given its definition. */
export async function workersOf(pawl: Pawl, run: Run<unknown>): Promise<WorkerView[]> {
  const [{ hash }, { epoch }, workers] = await Promise.all([run.definition(), run.status(), pawl.workers()]);
  const owner = workers.find((worker) => worker.epoch === epoch);
  return owner !== undefined ? [owner] : workers.filter(({ definitions }) => definitions.includes(hash));
}

/** Those in other processes that were given one of these definitions; none when nobody can be asked any more. */
export async function otherWorkers(pawl: Pawl, given: readonly Offered[]): Promise<WorkerView[]> {
  const hashes = given.flatMap(versionsOf).map((definition) => checkDefinition(definition).hash);
  const workers = await pawl.workers().catch(() => []);
  return workers.filter(({ pid, definitions }) => pid !== process.pid && definitions.some((hash) => hashes.includes(hash)));
}

/** `worker 412`, `one of the workers 412, 413`; undefined when there is none. */
export function workersText(workers: readonly WorkerView[]): string | undefined {
  const pids = workers.map(({ pid }) => pid).join(", ");
  if (workers.length === 0) return undefined;
  return workers.length === 1 ? `worker ${pids}` : `one of the workers ${pids}`;
}

/** Who will do what was left for a worker. */
export function takerText(workers: readonly WorkerView[], file = "FILE"): string {
  const text = workersText(workers);
  return text === undefined ? `no worker has its definition now: it is done when one does, with \`pawl work ${file}\`` : `${text} does it`;
}
