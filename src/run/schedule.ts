/**
 * Schedules as people write them: a workflow or machine that is started at each instant of a cron expression.
 */
import { checkName } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import type { InputOfStartable, Startable } from "./startable.ts";

/** What happens at an instant while the schedule's former run is unfinished: it is passed over, or starts a run beside it. */
export type Overlap = "skip" | "allow";
/** Of instants that passed while no worker was there: the last one starts a run, or each, or none. */
export type CatchUp = "last" | "all" | "none";

export type ScheduleOptions<S extends Startable> = {
  /** Names the schedule, of 1 to 100 characters; its runs are called after it: `nightly-20261121T030000Z`. */
  readonly name: string;
  /** What is started. */
  readonly workflow: S;
  /** Five fields (minute hour day month weekday), or six with seconds first: `'0 3 * * *'` is 3:00 every day. */
  readonly cron: string;
  /** The time zone in which the expression is read, such as `'Europe/Berlin'`. Default `'UTC'`. */
  readonly timeZone?: string;
  /** Default `'skip'`: an instant is passed over while the run before it is unfinished. */
  readonly overlap?: Overlap;
  /**
   * What is started for instants that passed while no worker was there. Default `'last'`: one run, for the last of them.
   * `'all'`: one each, for the last 100; `'none'`: nothing, unless the last was no more than a minute ago.
   */
  readonly catchUp?: CatchUp;
} & (undefined extends InputOfStartable<S> ? { readonly input?: InputOfStartable<S> } : { readonly input: InputOfStartable<S> });

/** A schedule, to be given to `open`. Made by `schedule()`. */
export interface Schedule<S extends Startable = Startable> {
  readonly name: string;
  readonly workflow: S;
  readonly input: unknown;
  readonly cron: string;
  readonly timeZone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
}

/** The rest of a run's id is the instant. */
const NAME_LENGTH_MAX = 100;
const OVERLAPS: readonly unknown[] = ["skip", "allow"] satisfies Overlap[];
const CATCH_UPS: readonly unknown[] = ["last", "all", "none"] satisfies CatchUp[];

/**
 * Starts a workflow or machine at each instant of a cron expression, once, however many workers were given the schedule and
 * whichever of them dies. Its next instant is kept in the store, so that those that pass while nobody is there are known.
 *
 * Where clocks are put forward, a time of day that does not exist comes at the first instant after the gap; where they are
 * put back, one that comes twice counts once. An expression with a list, range, step or `*` in its hour, minute or second
 * means lengths of time instead: what falls into the gap is left out, and what comes twice counts twice.
 *
 * @example
 * ```ts
 * const nightly = schedule({ name: 'nightly', workflow: report, input: { days: 1 }, cron: '0 3 * * *', timeZone: 'Europe/Berlin' });
 * await using pawl = await open('pawl.db', { schedules: [nightly] });
 * const [{ nextAt }] = await pawl.schedules();
 * ```
 * @throws PAWL_INVALID_ID, PAWL_INVALID_VALUE; of the expression and the input it is told by `open`
 */
export function schedule<S extends Startable>(options: ScheduleOptions<S>): Schedule<S> {
  const { name, workflow, input, cron, timeZone = "UTC", overlap = "skip", catchUp = "last" } = options;
  checkName(name, "schedule name");
  if (name.length > NAME_LENGTH_MAX) throw invalid(name, `its name has ${name.length} characters, but may have ${NAME_LENGTH_MAX}`);
  if (!isTimeZone(timeZone)) throw invalid(name, `timeZone is ${JSON.stringify(timeZone)}, which is none`, "write it as 'Europe/Berlin', or 'UTC'");
  if (!OVERLAPS.includes(overlap)) throw invalid(name, `overlap is ${JSON.stringify(overlap)}`, "write 'skip' or 'allow'");
  if (!CATCH_UPS.includes(catchUp)) throw invalid(name, `catchUp is ${JSON.stringify(catchUp)}`, "write 'last', 'all' or 'none'");
  return Object.freeze({ name, workflow, input, cron, timeZone, overlap, catchUp });
}

function isTimeZone(timeZone: unknown): boolean {
  try {
    return typeof timeZone === "string" && new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

function invalid(name: string, message: string, next?: string): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", { message: `schedule "${name}": ${message}`, ...(next !== undefined && { next }) });
}

/** The run of an instant: `nightly-20261121T030000Z`. */
export function runIdAt(name: string, at: number): string {
  return `${name}-${new Date(at).toISOString().replace(/[-:]|\.\d+/g, "")}`;
}

/** Runs of a schedule are found by it. */
export function tagOf(name: string): string {
  return `schedule:${name}`;
}
