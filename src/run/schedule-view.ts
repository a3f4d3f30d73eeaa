/**
 * Schedules as people see them, and what they ask of one, in any process: what is needed for it is in its row.
 */
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { type Random, newRunId } from "../random.ts";
import type { Store } from "../store/store.ts";
import { readFacts } from "./peers.ts";
import type { CatchUp, Overlap } from "./schedule.ts";
import { type StoredSchedule, readSchedule, scheduleChange, scheduledCommit, specText } from "./schedule-row.ts";

/** A schedule at a glance. Instants in ms since 1970. */
export interface ScheduleView {
  readonly name: string;
  /** The name of the workflow or machine that it starts. */
  readonly workflow: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  /** When it starts the next run; null when its expression has no further instant. */
  readonly nextAt: number | null;
  /** The last instant that started a run, and the run that was started last, also by hand; null before the first. */
  readonly lastAt: number | null;
  readonly lastRunId: string | null;
  /** How many instants were passed over because the run before was unfinished, and the last of them. */
  readonly skipped: number;
  readonly skippedAt: number | null;
  /** There is a worker that was given it. If not, it waits: what is due then is up to `catchUp`. */
  readonly isServed: boolean;
}

/** What workers that are there were given. */
export async function specsServed(store: Store): Promise<Set<string>> {
  const served = new Set<string>();
  for (const record of await store.readEpochs()) {
    const { schedules } = readFacts(record);
    if (schedules.length > 0 && !(await store.isAbandoned(record.id))) for (const text of schedules) served.add(text);
  }
  return served;
}

/** By name. One whose row is damaged is left out: a worker that is given it begins it anew. */
export async function viewSchedules(store: Store): Promise<ScheduleView[]> {
  const rows = (await store.readSchedules()).map(readSchedule).filter((row) => row !== undefined);
  const served = await specsServed(store);
  return rows.map((row) => {
    const { name, nextAt, lastAt, lastRunId, skipped, skippedAt } = row;
    const { workflow, cron, timeZone, overlap, catchUp } = row.spec;
    const isServed = served.has(specText(name, row.spec));
    return { name, workflow, cron, timeZone, overlap, catchUp, nextAt, lastAt, lastRunId, skipped, skippedAt, isServed };
  });
}

/** Starts a run of it now, however often the row is written by others meanwhile; answers its id. */
export async function runSchedule(store: Store, name: string, now: number, random: Random): Promise<string> {
  const id = newRunId(name, now, random);
  for (;;) {
    const row = await requireSchedule(store, name);
    const change = scheduleChange(name, row.revision, row.nextAt, { ...row, lastRunId: id });
    const outcome = await store.writeSchedule({ ...change, runs: [scheduledCommit(name, row.spec, id, now)] });
    if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
    if (outcome === "unknown") throw new PawlError("PAWL_OUTCOME_UNKNOWN", { message: `it is not known whether schedule "${name}" started run "${id}"` });
    if (outcome === "committed") return id;
  }
}

async function requireSchedule(store: Store, name: string): Promise<StoredSchedule> {
  const records = await store.readSchedules();
  const record = records.find((candidate) => candidate.name === name);
  const known = records.map((candidate) => candidate.name);
  if (record === undefined) throw new PawlError("PAWL_SCHEDULE_NOT_FOUND", { message: `there is no schedule "${name}"${didYouMean(name, known)}` });
  const row = readSchedule(record);
  if (row === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: `the row of schedule "${name}" is damaged` });
  return row;
}
