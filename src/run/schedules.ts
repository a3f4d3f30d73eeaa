/**
 * The schedules of a worker: at each instant of one of them a run is started, by whichever worker is there first.
 * 1. The schedule moves on and its run is created in one write, conditional on the row being as it was read: an instant
 * starts one run, whoever dies when. 2. The next instant only grows: none comes twice, whatever is done to the clock.
 * 3. A schedule that was given otherwise by a worker that opened later is that one's, as long as it is there.
 */
import type { Clock } from "../clock.ts";
import { type Cron, cronOf } from "../cron.ts";
import type { Log } from "../define/agent.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { Commit, ScheduleChange, ScheduleRecord, Store } from "../store/store.ts";
import { definitionOf, inputText } from "./definition.ts";
import { type Schedule, runIdAt } from "./schedule.ts";
import {
  NOTHING_YET,
  type ScheduleSpec,
  type ScheduleState,
  type StoredSchedule,
  readSchedule,
  scheduleChange,
  scheduledCommit,
  specText,
} from "./schedule-row.ts";
import { specsServed } from "./schedule-view.ts";
import { isOver } from "./view.ts";

/** However far off the next instant is, and after a failure: the clock may be put forward, and the row may be changed. */
const LOOK_EVERY_MS = 30_000;
/** More instants that passed are not caught up with: runs are worth something because they are recent. */
const CATCH_UP_MAX = 100;
/** An instant that is found no later than this was not missed: a worker may have been replaced meanwhile. */
const ON_TIME_MS = 60_000;

/** A schedule that can be served: checked, and with what its row says of it. */
export interface ServedSchedule {
  readonly name: string;
  readonly spec: ScheduleSpec;
  readonly text: string;
  readonly cron: Cron;
}

export interface ScheduleSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Calls the store; a failure of it stops the worker. */
  readonly attempt: <T>(call: () => Promise<T>) => Promise<T>;
  /** Runs were created that are nobody's. */
  readonly offered: () => void;
}

/** Throws PAWL_DUPLICATE_ID, PAWL_INVALID_VALUE, PAWL_INPUT_INVALID, and what a definition can be refused for. */
export async function checkSchedules(given: readonly Schedule[]): Promise<ServedSchedule[]> {
  const served = new Map<string, ServedSchedule>();
  for (const { name, workflow, input, cron, timeZone, overlap, catchUp } of given) {
    if (served.has(name)) throw new PawlError("PAWL_DUPLICATE_ID", { message: `there are two schedules "${name}"` });
    const definition = definitionOf(workflow);
    const { kind, name: workflowName, hash } = definition;
    const text = await inputText(definition, input);
    const spec: ScheduleSpec = { kind, workflow: workflowName, definition: hash, input: text, cron, timeZone, overlap, catchUp };
    served.set(name, { name, spec, text: specText(name, spec), cron: await cronOf(cron, timeZone, `schedule "${name}"`) });
  }
  return [...served.values()];
}

export class Schedules {
  readonly #seams: ScheduleSeams;
  readonly #served: readonly ServedSchedule[];
  /** Those whose row says what this worker was given, or has said so. */
  readonly #given = new Set<ServedSchedule>();
  #cancelLook: (() => void) | undefined;
  #isStopped = false;

  constructor(seams: ScheduleSeams, served: readonly ServedSchedule[]) {
    this.#seams = seams;
    this.#served = served;
  }

  /** Writes what is new of them, starts what is due, and goes on doing so. */
  async begin(): Promise<void> {
    const waitMs = await this.#look().catch((error: unknown) => this.#failed(error));
    if (!this.#isStopped) this.#cancelLook = this.#seams.clock.after(Math.max(0, waitMs), () => void this.begin());
  }

  /** Starts nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelLook?.();
  }

  #failed(error: unknown): number {
    if (isPawlError(error, "PAWL_STORE_FAILED") || isPawlError(error, "PAWL_CLOSED")) this.stop();
    if (!this.#isStopped) this.#seams.log.warn({ error }, "schedules will be looked at again");
    return LOOK_EVERY_MS;
  }

  /** Moves on what can be; answers how long there is nothing to do. */
  async #look(): Promise<number> {
    const { store, clock, attempt } = this.#seams;
    const records = new Map((await attempt(() => store.readSchedules())).map((record) => [record.name, record]));
    let waitMs = LOOK_EVERY_MS;
    for (const served of this.#served) {
      const nextAt = await this.#moveOn(served, records.get(served.name));
      waitMs = Math.min(waitMs, nextAt === null ? LOOK_EVERY_MS : nextAt - clock.now());
    }
    return waitMs;
  }

  /** Until nothing is to be done now; answers the next instant. */
  async #moveOn(served: ServedSchedule, found: ScheduleRecord | undefined): Promise<number | null> {
    const { store, log, attempt } = this.#seams;
    for (let record = found; !this.#isStopped;) {
      const row = record === undefined ? undefined : readSchedule(record);
      const change = await this.#changeOf(served, record, row);
      if (change === undefined) return isGivenAs(served, row) ? row.nextAt : null;
      const outcome = await attempt(() => store.writeSchedule(change));
      if (outcome === "full") {
        log.warn({ schedule: served.name }, "the disk is full: the schedule is tried again until there is space");
        return null;
      }
      if (outcome === "committed" && (change.runs?.length ?? 0) > 0) this.#seams.offered();
      record = (await attempt(() => store.readSchedules())).find(({ name }) => name === served.name);
    }
    return null;
  }

  /** What is to be written now; undefined when nothing is. */
  async #changeOf(served: ServedSchedule, record: ScheduleRecord | undefined, row: StoredSchedule | undefined): Promise<ScheduleChange | undefined> {
    if (isGivenAs(served, row)) {
      this.#given.add(served);
      return this.#dueChange(served, row);
    }
    if (row !== undefined && this.#given.has(served) && (await this.#isServed(row))) return undefined;
    if (record !== undefined && row === undefined) this.#seams.log.error({ schedule: served.name }, "the row of a schedule is damaged; it begins anew");
    return this.#adopted(served, record?.revision ?? 0, row);
  }

  /** Is there a worker that was given it as its row says? */
  async #isServed(row: StoredSchedule): Promise<boolean> {
    const { store, attempt } = this.#seams;
    return (await attempt(() => specsServed(store))).has(specText(row.name, row.spec));
  }

  /** The schedule as this worker was given it; when its instants are others, they are those from now on. */
  #adopted({ name, spec, cron }: ServedSchedule, from: number, row: StoredSchedule | undefined): ScheduleChange {
    const isSameTime = row?.spec.cron === spec.cron && row.spec.timeZone === spec.timeZone;
    const nextAt = isSameTime ? row.nextAt : cron.next(Math.max(this.#seams.clock.now(), row?.lastAt ?? 0));
    return scheduleChange(name, from, nextAt, { ...NOTHING_YET, ...row, spec });
  }

  async #dueChange({ name, spec, cron }: ServedSchedule, row: StoredSchedule): Promise<ScheduleChange | undefined> {
    const now = this.#seams.clock.now();
    const { nextAt, revision } = row;
    if (nextAt === null || nextAt > now) return undefined;
    const hasPassedMore = (cron.next(nextAt) ?? Infinity) <= now;
    const passed = hasPassedMore ? cron.last(now, CATCH_UP_MAX + 1).filter((at) => at >= nextAt) : [nextAt];
    const chosen = chosenOf(passed, spec, now);
    if (passed.length > chosen.length) this.#tellMissed(row, passed, chosen);
    const { state, runs } = await this.#started(row, chosen, now);
    return { ...scheduleChange(name, revision, cron.next(now), state), runs };
  }

  #tellMissed({ name, nextAt, spec }: StoredSchedule, passed: readonly number[], chosen: readonly number[]): void {
    const count = passed.length > CATCH_UP_MAX ? `more than ${CATCH_UP_MAX}` : String(passed.length);
    const facts = { schedule: name, since: new Date(nextAt!).toISOString(), catchUp: spec.catchUp, caughtUp: chosen.length };
    this.#seams.log.warn(facts, `${count} instants passed; ${chosen.length} of them are caught up with`);
  }

  /** One run for each of these instants, unless the former one is in the way. */
  async #started(row: StoredSchedule, instants: readonly number[], now: number): Promise<{ state: ScheduleState; runs: Commit[] }> {
    const { name, spec } = row;
    const runs: Commit[] = [];
    let state: ScheduleState = row;
    let isInTheWay = spec.overlap === "skip" && (await this.#isUnfinished(row.lastRunId));
    for (const at of instants) {
      const id = runIdAt(name, at);
      if (isInTheWay) {
        this.#seams.log.info({ schedule: name, runId: id, former: state.lastRunId }, "an instant is passed over: the former run is unfinished");
        state = { ...state, skipped: state.skipped + 1, skippedAt: at };
      } else {
        runs.push(scheduledCommit(name, spec, id, now));
        state = { ...state, lastAt: at, lastRunId: id };
        isInTheWay = spec.overlap === "skip";
      }
    }
    return { state, runs };
  }

  async #isUnfinished(runId: string | null): Promise<boolean> {
    const { store, attempt } = this.#seams;
    const record = runId === null ? undefined : await attempt(() => store.readRun(runId));
    return record !== undefined && !isOver(record.status);
  }
}

/** Is the schedule in the store as this worker was given it? */
function isGivenAs({ text }: ServedSchedule, row: StoredSchedule | undefined): row is StoredSchedule {
  return row !== undefined && specText(row.name, row.spec) === text;
}

function chosenOf(passed: readonly number[], { catchUp }: ScheduleSpec, now: number): readonly number[] {
  if (catchUp === "all") return passed.slice(-CATCH_UP_MAX);
  const last = passed.slice(-1);
  return catchUp === "last" ? last : last.filter((at) => now - at <= ON_TIME_MS);
}
