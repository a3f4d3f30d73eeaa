/**
 * The row of a schedule: all that is needed to start its next run, by whoever does it, and what became of the last ones.
 * A row that does not check is not used: a worker that is given the schedule writes it anew.
 */
import { crc32 } from "node:zlib";
import { structureHash } from "../define/plan-structure.ts";
import type { Commit, ScheduleChange, ScheduleRecord } from "../store/store.ts";
import type { Definition } from "./definition.ts";
import { pendingCommit } from "./pending.ts";
import { type CatchUp, type Overlap, tagOf } from "./schedule.ts";

/** What a schedule was given as. */
export interface ScheduleSpec extends Pick<Definition, "kind"> {
  /** The name of the workflow or machine, and the hash of its definition. */
  readonly workflow: string;
  readonly definition: string;
  /** Checked, as it is stored. */
  readonly input: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
}

/** Instants in ms since 1970. */
export interface ScheduleState {
  readonly spec: ScheduleSpec;
  /** The last instant that started a run, and the run that was started last. */
  readonly lastAt: number | null;
  readonly lastRunId: string | null;
  /** Instants that were passed over because the former run was unfinished, and the last of them. */
  readonly skipped: number;
  readonly skippedAt: number | null;
}

/** A schedule as it is stored. */
export interface StoredSchedule extends ScheduleState {
  readonly name: string;
  readonly revision: number;
  readonly nextAt: number | null;
}

export const NOTHING_YET = { lastAt: null, lastRunId: null, skipped: 0, skippedAt: null };

/** The schedule in a row; undefined when the row is damaged. */
export function readSchedule({ name, revision, nextAt, body, checksum }: ScheduleRecord): StoredSchedule | undefined {
  if (checksum !== checksumOf(name, revision, nextAt, body)) return undefined;
  return { ...(JSON.parse(body) as ScheduleState), name, revision, nextAt };
}

/** The change that makes it so; `from` is the revision that it goes by. */
export function scheduleChange(name: string, from: number, nextAt: number | null, state: ScheduleState): ScheduleChange {
  const { spec, lastAt, lastRunId, skipped, skippedAt } = state;
  const body = JSON.stringify({ spec, lastAt, lastRunId, skipped, skippedAt });
  return { name, from, nextAt, body, checksum: checksumOf(name, from + 1, nextAt, body) };
}

/** The first commit of a run of a schedule. */
export function scheduledCommit(name: string, { kind, workflow, definition, input }: ScheduleSpec, id: string, at: number): Commit {
  return pendingCommit({ kind, name: workflow, hash: definition }, id, input, at, { tags: [tagOf(name)] });
}

function checksumOf(name: string, revision: number, nextAt: number | null, body: string): number {
  return crc32(`${name}|${revision}|${nextAt}|${body}`);
}

/** How workers tell each other which schedules they were given, each as what. */
export function specText(name: string, spec: ScheduleSpec): string {
  const { kind, workflow, definition, input, cron, timeZone, overlap, catchUp } = spec;
  return `${name}@${structureHash(JSON.stringify([kind, workflow, definition, input, cron, timeZone, overlap, catchUp]))}`;
}
