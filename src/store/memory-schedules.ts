/**
 * Schedules of the store in memory.
 */
import type { Commit, Outcome, ScheduleChange, ScheduleRecord } from "./store.ts";

export class MemorySchedules {
  readonly #schedules = new Map<string, ScheduleRecord>();

  read(): ScheduleRecord[] {
    return [...this.#schedules.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** `create` makes a run, unless there is one of its id. */
  write({ from, runs = [], name, nextAt, body, checksum }: ScheduleChange, create: (commit: Commit) => void): Outcome {
    if ((this.#schedules.get(name)?.revision ?? 0) !== from) return "fenced";
    this.#schedules.set(name, { name, nextAt, body, checksum, revision: from + 1 });
    for (const commit of runs) create(commit);
    return "committed";
  }
}
