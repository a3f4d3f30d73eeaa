/**
 * Do memory and store say the same of the runs that this worker has? Looked at now and then, some runs at a time, all in turn.
 */
import type { RunRecord, Store } from "../store/store.ts";
import type { HostedRun } from "./hosted-run.ts";
import { isOver } from "./view.ts";
import type { Worker } from "./worker.ts";

/** Runs that are compared at once. */
const PAGE = 200;
/** So many are named. */
const NAMED_MAX = 10;

export class Consistency {
  readonly #store: Store;
  readonly #worker: Worker;
  #walkedTo = "";
  #disagreeing = new Set<string>();

  constructor(store: Store, worker: Worker) {
    this.#store = store;
    this.#worker = worker;
  }

  /** Those of which memory and store said different things when they were compared last. */
  get disagreeing(): readonly string[] {
    return [...this.#disagreeing].slice(0, NAMED_MAX);
  }

  async look(): Promise<void> {
    const { runs } = this.#worker;
    for (const id of this.#disagreeing) if (!runs.has(id)) this.#disagreeing.delete(id);
    const ids = [...runs.keys()].toSorted();
    const next = ids.findIndex((id) => id > this.#walkedTo);
    const page = ids.slice(Math.max(0, next), Math.max(0, next) + PAGE);
    this.#walkedTo = page.at(-1) ?? "";
    for (const id of page) {
      const run = runs.get(id);
      if (run === undefined || run.commitNo === 0) continue;
      const before = run.commitNo;
      const record = await this.#store.readRun(id);
      if (this.#worker.stopped !== undefined) return;
      if (runs.get(id) !== run || run.inFlight) continue;
      if (this.#agree(run, before, record)) this.#disagreeing.delete(id);
      else {
        if (!this.#disagreeing.has(id)) this.#worker.attempts.health?.troubled();
        this.#disagreeing.add(id);
      }
    }
  }

  /** The run may have gone on while it was read. */
  #agree(run: HostedRun, before: number, record: RunRecord | undefined): boolean {
    if (record === undefined || record.epoch !== this.#worker.epoch) return false;
    if (record.commitNo < before || record.commitNo > run.commitNo) return false;
    return run.commitNo !== record.commitNo || isOver(record.status) === run.finished;
  }
}
