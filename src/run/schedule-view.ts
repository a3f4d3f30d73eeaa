/**
 * Schedules as people see them, and what they ask of one, in any process: what is needed for it is in its row.
 */
import { cronOf } from "../cron.ts";
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { type Random, newRunId } from "../random.ts";
import type { ScheduleChange, Store } from "../store/store.ts";
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
  /** When it starts the next run; null while it is paused, or when its expression has no further instant. */
  readonly nextAt: number | null;
  /** The instant of the last run, and its id; null before the first. */
  readonly lastAt: number | null;
  readonly lastRunId: string | null;
  /** How many instants were passed over because the run before was unfinished, and the last of them. */
  readonly skipped: number;
  readonly skippedAt: number | null;
  readonly isPaused: boolean;
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
    const { name, nextAt, lastAt, lastRunId, skipped, skippedAt, isPaused } = row;
    const { workflow, cron, timeZone, overlap, catchUp } = row.spec;
    const isServed = served.has(specText(name, row.spec));
    return { name, workflow, cron, timeZone, overlap, catchUp, nextAt, lastAt, lastRunId, skipped, skippedAt, isPaused, isServed };
  });
}

/** Starts a run of it now, which counts as its last one; answers its id. */
export async function runSchedule(store: Store, name: string, now: number, random: Random): Promise<string> {
  const id = newRunId(name, now, random);
  await change(store, name, async (row) => {
    const runs = [scheduledCommit(name, row.spec, id, now)];
    return { ...scheduleChange(name, row.revision, row.nextAt, { ...row, lastAt: now, lastRunId: id }), runs };
  });
  return id;
}

/** It starts nothing until it is resumed; what passes meanwhile is not caught up with. */
export function pauseSchedule(store: Store, name: string): Promise<void> {
  return change(store, name, async (row) => (row.isPaused ? undefined : scheduleChange(name, row.revision, null, { ...row, isPaused: true })));
}

/** It goes on with the next instant from now. */
export function resumeSchedule(store: Store, name: string, now: number): Promise<void> {
  return change(store, name, async (row) => {
    if (!row.isPaused) return undefined;
    const cron = await cronOf(row.spec.cron, row.spec.timeZone, `schedule "${name}"`);
    return scheduleChange(name, row.revision, cron.next(Math.max(now, row.lastAt ?? 0)), { ...row, isPaused: false });
  });
}

/** Writes the change of the row as it is, however often it is written by others meanwhile; nothing when there is none. */
async function change(store: Store, name: string, changeOf: (row: StoredSchedule) => Promise<ScheduleChange | undefined>): Promise<void> {
  for (;;) {
    const records = await store.readSchedules();
    const record = records.find((candidate) => candidate.name === name);
    if (record === undefined)
      throw notFound(
        name,
        records.map((known) => known.name),
      );
    const row = readSchedule(record);
    if (row === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: `the row of schedule "${name}" is damaged` });
    const wanted = await changeOf(row);
    const outcome = wanted === undefined ? "committed" : await store.writeSchedule(wanted);
    if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
    if (outcome === "unknown") throw new PawlError("PAWL_OUTCOME_UNKNOWN", { message: `it is not known whether schedule "${name}" was changed` });
    if (outcome === "committed") return;
  }
}

function notFound(name: string, known: readonly string[]): PawlError {
  return new PawlError("PAWL_SCHEDULE_NOT_FOUND", { message: `there is no schedule "${name}"${didYouMean(name, known)}` });
}
