/**
 * The same done to many runs that a filter finds, a few at a time, newest first. What is refused of one run harms no other; who
 * stops in the middle does it again: runs to which it was done are not found any more.
 */
import type { Duration } from "../define/duration.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { Run } from "./handle.ts";
import { parentOf } from "./orphans.ts";
import type { ListOptions } from "./pawl.ts";
import type { RunStatus, RunSummary } from "./view.ts";

/** What is done to each run. */
export type BulkVerb = "cancel" | "pause" | "resume" | "retry";

/** Which runs are meant. Without a status those that it can be done to; runs that are parts of others are not meant. */
export type BulkFilter = Pick<ListOptions, "status" | "workflow" | "tag" | "subject" | "since" | "until">;

export interface BulkOptions {
  /** At least one field. */
  readonly where: BulkFilter;
  /** At most so many runs; default all. */
  readonly limit?: number;
  /** Only tells which runs are meant. Default false. */
  readonly dryRun?: boolean;
  /** Of `cancel`: as of `run.cancel()`. */
  readonly now?: boolean;
  readonly compensate?: boolean;
  /** How long another process may take to answer, for each run. Default '30s'. */
  readonly timeout?: Duration;
}

/** What became of one run. */
export interface BulkOutcome {
  readonly runId: string;
  readonly workflow: string;
  /** Its status before. */
  readonly status: RunStatus;
  /** `planned`: with `dryRun`. `recorded`: nobody could do it yet, and it will be done. */
  readonly did: "done" | "recorded" | "refused" | "planned";
  /** Why it was refused, or only recorded. */
  readonly error?: PawlError;
}

interface BulkSeams {
  list(options: ListOptions): Promise<RunSummary[]>;
  run(id: string): Promise<Run<unknown>>;
}

const AT_ONCE = 10;
const PAGE = 1_000;
/** To what it can be done, when no status is given. */
const STATUSES: Readonly<Record<BulkVerb, ReadonlySet<RunStatus>>> = {
  cancel: new Set(["pending", "running", "paused", "compensating"]),
  pause: new Set(["pending", "running"]),
  resume: new Set(["paused"]),
  retry: new Set(["failed", "timedOut"]),
};
/** After these nothing more can be done to any run. */
const STOPS: ReadonlySet<string> = new Set(["PAWL_CLOSED", "PAWL_STORE_FAILED", "PAWL_STORE_FULL", "PAWL_READ_ONLY"]);

export async function* bulk(seams: BulkSeams, verb: BulkVerb, options: BulkOptions): AsyncGenerator<BulkOutcome> {
  const { where, dryRun = false, limit = Number.POSITIVE_INFINITY } = options;
  checkOptions(verb, where, limit);
  let left = limit;
  for await (const batch of batchesOf(seams, verb, where)) {
    const meant = batch.slice(0, left);
    if (dryRun) yield* meant.map((run) => ({ ...factsOf(run), did: "planned" as const }));
    else yield* await Promise.all(meant.map((run) => doTo(seams, verb, run, options)));
    left -= meant.length;
    if (left <= 0) return;
  }
}

function checkOptions(verb: BulkVerb, where: BulkFilter, limit: number): void {
  if (!Object.hasOwn(STATUSES, verb))
    throw new PawlError("PAWL_INVALID_VALUE", { message: `bulk() cannot "${verb}"`, next: `it can ${Object.keys(STATUSES).join(", ")}` });
  if (Object.values(where).every((value) => value === undefined))
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: "`where` of bulk() says nothing: that would be all runs",
      next: "give a status, workflow, tag, subject or instant",
    });
  if (!(limit >= 1)) throw new PawlError("PAWL_INVALID_VALUE", { message: `\`limit\` of bulk() is ${limit}`, next: "give 1 or more" });
}

/** The runs that are meant, a few at a time. Pages are read before anything is done to their runs. */
async function* batchesOf(seams: BulkSeams, verb: BulkVerb, where: BulkFilter): AsyncGenerator<RunSummary[]> {
  let after: string | undefined;
  for (;;) {
    const page = await seams.list({ ...where, limit: PAGE, ...(after !== undefined && { after }) });
    const meant = page.filter(({ id, status }) => parentOf(id) === undefined && (where.status !== undefined || STATUSES[verb].has(status)));
    for (let at = 0; at < meant.length; at += AT_ONCE) yield meant.slice(at, at + AT_ONCE);
    if (page.length < PAGE) return;
    after = page.at(-1)!.id;
  }
}

function factsOf({ id, workflow, status }: RunSummary): Pick<BulkOutcome, "runId" | "workflow" | "status"> {
  return { runId: id, workflow, status };
}

async function doTo(seams: BulkSeams, verb: BulkVerb, run: RunSummary, { now, compensate, timeout }: BulkOptions): Promise<BulkOutcome> {
  const patience = timeout === undefined ? {} : { timeout };
  try {
    const handle = await seams.run(run.id);
    if (verb === "retry") await handle.retry();
    else if (verb === "cancel") await handle.cancel({ ...patience, ...(now !== undefined && { now }), ...(compensate !== undefined && { compensate }) });
    else await handle[verb](patience);
    return { ...factsOf(run), did: "done" };
  } catch (error) {
    if (!isPawlError(error) || STOPS.has(error.code)) throw error;
    return { ...factsOf(run), did: error.code === "PAWL_SEND_PENDING" ? "recorded" : "refused", error };
  }
}
