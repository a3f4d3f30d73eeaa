/**
 * The health of what a store holds: its workers, runs that do not move and why, and rows that are not what was written.
 * Only reads. What looks stuck is looked at again a moment later: beside workers, much is just about to move.
 */
import type { Clock } from "../clock.ts";
import { type Finding, isPawlError } from "../errors.ts";
import type { EpochRecord, RunRecord, Store } from "../store/store.ts";
import { readFacts } from "./peers.ts";
import { openActorRow, openRunRow } from "./row.ts";
import { readSchedule } from "./schedule-row.ts";

const PAGE = 1_000;
/** Runs whose rows are checked, the newest, unless it is full. */
const SAMPLE = 200;
/** Unfinished runs that are looked at, the newest. */
const UNFINISHED_MAX = 100_000;
/** Of what may be stuck so much is looked at again. */
const AGAIN_MAX = 100;
const AGAIN_AFTER_MS = 1_000;
/** A notice that waits for so long is late. */
const NOTICE_LATE_MS = 60_000;
/** So many ids are named in one line. */
const NAMED_MAX = 5;

const fine = (code: string, message: string): Finding => ({ severity: "ok", code, message, next: null });
const warning = (code: string, message: string, next: string): Finding => ({ severity: "warning", code, message, next });
const problem = (code: string, message: string, next: string): Finding => ({ severity: "problem", code, message, next });

interface Crew {
  readonly live: ReadonlySet<number>;
  readonly definitions: ReadonlySet<string>;
  /** Definitions of which some worker would take on more runs. */
  readonly wanted: ReadonlySet<string>;
  /** Was some worker given who is to be told? */
  readonly notifies: boolean;
  readonly findings: readonly Finding[];
}

/** Looks at the rows of every run when it `isFull`; else at those of the newest. */
export async function examineRuns(store: Store, clock: Clock, { isFull }: { readonly isFull: boolean }): Promise<Finding[]> {
  const crew = await readCrew(store);
  const unfinished = await readUnfinished(store);
  return [
    ...examineWorkers(crew, unfinished),
    ...examineDefinitions(crew, unfinished),
    ...(await examineStuck(store, clock, crew, unfinished)),
    await examineQuarantined(store),
    await examineChecksums(store, clock, isFull ? Number.POSITIVE_INFINITY : SAMPLE),
    ...(await examineSchedules(store)),
    ...(await examineNotices(store, clock, crew)),
  ];
}

async function readCrew(store: Store): Promise<Crew> {
  const [live, definitions, wanted] = [new Set<number>(), new Set<string>(), new Set<string>()];
  const findings: Finding[] = [];
  let notifies = false;
  for (const epoch of await store.readEpochs()) {
    const facts = readFacts(epoch);
    if (await store.isAbandoned(epoch.id)) findings.push(abandoned(epoch, facts.pid));
    else {
      const has = counted(facts.definitions.length, "definition");
      findings.push(fine("worker", `worker ${epoch.id}: process ${facts.pid}, since ${instant(epoch.openedAt)}, with ${has}`));
      live.add(epoch.id);
      notifies ||= facts.notifies;
      for (const hash of facts.definitions) {
        definitions.add(hash);
        if (facts.wants > 0) wanted.add(hash);
      }
    }
  }
  return { live, definitions, wanted, notifies, findings };
}

/** That there is none is told once: here, or with the runs that need one. */
function examineWorkers({ findings }: Crew, unfinished: readonly RunRecord[]): readonly Finding[] {
  return findings.length === 0 && unfinished.length === 0 ? [fine("worker", "no worker is there, and no run needs one")] : findings;
}

function abandoned({ id }: EpochRecord, pid: number): Finding {
  return warning(
    "worker",
    `worker ${id}: process ${pid} ended without closing its epoch`,
    "the next worker takes its runs over; `pawl doctor --fix` closes it now",
  );
}

async function readUnfinished(store: Store): Promise<RunRecord[]> {
  const runs: RunRecord[] = [];
  for (let after: string | undefined; runs.length < UNFINISHED_MAX;) {
    const page = await store.listRuns({ unfinished: true, limit: PAGE, after });
    runs.push(...page);
    after = page.at(-1)?.id;
    if (page.length < PAGE) break;
  }
  return runs;
}

/** Unfinished runs that no worker could take on. */
function examineDefinitions({ live, definitions }: Crew, unfinished: readonly RunRecord[]): Finding[] {
  if (unfinished.length === 0) return [fine("definitions", "no run is unfinished")];
  if (live.size === 0) {
    const workflows = [...new Set(unfinished.map(({ workflow }) => workflow))].toSorted();
    const named = workflows.slice(0, NAMED_MAX).join(", ") + more(workflows);
    return [warning("definitions", `${runsText(unfinished)} unfinished, and there is no worker`, `start one with \`pawl work FILE\`, for: ${named}`)];
  }
  const missing = Map.groupBy(
    unfinished.filter(({ definition }) => !definitions.has(definition)),
    ({ workflow, definition }) => `${workflow}, definition ${definition.slice(0, 12)}`,
  );
  if (missing.size === 0) return [fine("definitions", `${runsText(unfinished)} unfinished; workers have their definitions`)];
  const next = "give a worker this version in open(url, { workflows }), or a `migrate` to the new one";
  return [...missing].map(([what, runs]) => problem("definitions", `no worker has ${what}: ${runsText(runs)} waiting for it`, next));
}

/** Which runs, by what should have happened to them, and did not for a moment. */
async function examineStuck(store: Store, clock: Clock, crew: Crew, unfinished: readonly RunRecord[]): Promise<Finding[]> {
  const unclaimed = unfinished.filter((run) => isUnclaimed(run, crew)).slice(0, AGAIN_MAX);
  const suspects = unfinished.filter(({ suspicion }) => suspicion > 0).slice(0, AGAIN_MAX);
  const unheard = await readUnheard(store, crew);
  if (unclaimed.length + suspects.length + unheard.length > 0) await new Promise<void>((resolve) => clock.after(AGAIN_AFTER_MS, resolve));
  const again = async (runs: readonly RunRecord[], isStill: (run: RunRecord) => boolean): Promise<RunRecord[]> => {
    const records = await Promise.all(runs.map(({ id }) => store.readRun(id)));
    return records.filter((run) => run !== undefined && isStill(run)) as RunRecord[];
  };
  const stillUnclaimed = await again(unclaimed, (run) => isUnclaimed(run, crew));
  const stillSuspects = await again(suspects, (run) => run.suspicion > 0 && run.reason === null);
  const rows = await store.readReplies(unheard.map(({ number }) => number));
  const stillUnheard = rows.flatMap(({ isPosted, number }) => (isPosted ? unheard.filter((row) => row.number === number).map(({ runId }) => runId) : []));
  const underSuspicion = listed(stillSuspects, "suspects", "no run is under suspicion", (runs) =>
    warning("suspects", `a worker ended while it had just loaded: ${runs}`, "see what ended the worker; a run that does so three times is set aside"),
  );
  if (crew.live.size === 0) return [underSuspicion];
  return [
    listed(stillUnclaimed, "claims", "every run that is ready has a worker", (runs) =>
      problem("claims", `ready, and no worker takes it on: ${runs}`, "see the log of the workers; a new worker tries again"),
    ),
    underSuspicion,
    listed(stillUnheard, "inbox", "what was sent was taken", (runs) =>
      warning("inbox", `its worker does not take what was sent to it: ${runs}`, "see whether the worker is stopped or busy, and its log"),
    ),
  ];
}

/** It could go on, nobody has it, and a worker would take it. */
function isUnclaimed({ epoch, wakeAt, definition, reason }: RunRecord, { live, wanted }: Crew): boolean {
  return wakeAt === null && reason === null && !live.has(epoch) && wanted.has(definition);
}

/** The oldest row of each inbox whose run has a worker and is not paused. */
async function readUnheard(store: Store, { live }: Crew): Promise<{ runId: string; number: number }[]> {
  const rows: { runId: string; number: number }[] = [];
  for (const runId of await store.inboxRuns("", AGAIN_MAX)) {
    const [run, [oldest]] = [await store.readRun(runId), await store.readInbox(runId, 0, 1)];
    if (run !== undefined && oldest !== undefined && live.has(run.epoch) && run.status !== "paused") rows.push({ runId, number: oldest.number });
  }
  return rows;
}

async function examineQuarantined(store: Store): Promise<Finding> {
  const runs = await store.listRuns({ status: "quarantined", limit: AGAIN_MAX });
  const reasons = runs.slice(0, NAMED_MAX).map(({ id, reason }) => `${id} (${reason ?? "no reason is known"})`);
  return listed(runs, "quarantined", "no run was set aside", () =>
    warning("quarantined", `${runsText(runs)} set aside: ${reasons.join("; ")}${more(runs)}`, "see `pawl show` of each; their rows are kept as they are"),
  );
}

/** Rows that are not what was written. */
async function examineChecksums(store: Store, clock: Clock, runsMax: number): Promise<Finding> {
  const damaged: string[] = [];
  let checked = 0;
  for (let after: string | undefined; checked < runsMax;) {
    const page = await store.listRuns({ limit: Math.min(PAGE, runsMax - checked), after });
    for (const run of page) if (!(await isIntact(store, run))) damaged.push(run.id);
    checked += page.length;
    after = page.at(-1)?.id;
    if (after === undefined) break;
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  const runs = `${checked < runsMax ? "all" : "the newest"} ${checked} runs`;
  const calm = checked === 0 ? "there are no runs" : `the rows of ${checked === 1 ? "the only run" : runs} are as they were written`;
  return listed(damaged, "checksums", calm, (runs) =>
    problem("checksums", `rows that are not what was written: ${runs}`, "`pawl restore` a backup; or leave them: each such run is set aside when it is loaded"),
  );
}

/** Told of only when one is damaged: most stores have none. */
async function examineSchedules(store: Store): Promise<Finding[]> {
  const damaged = (await store.readSchedules()).filter((record) => readSchedule(record) === undefined).map(({ name }) => name);
  if (damaged.length === 0) return [];
  const next = "start a worker with them: it begins them anew, with their next instant from now on";
  return [problem("schedules", `schedules whose rows are not what was written: ${damaged.join(", ")}`, next)];
}

/** Told of only when some wait: most are delivered within a second. */
async function examineNotices(store: Store, clock: Clock, { notifies }: Crew): Promise<Finding[]> {
  const notices = await store.readNotices(0, PAGE);
  const [oldest] = notices;
  if (oldest === undefined) return [];
  const amount = `${notices.length === PAGE ? "at least " : ""}${counted(notices.length, "notice")}`;
  const text = `${amount} not delivered yet, the oldest since ${instant(oldest.at)}: ${oldest.id}`;
  if (clock.now() - oldest.at < NOTICE_LATE_MS) return [fine("notices", text)];
  const next = notifies ? "its receiver does not take them: see the log of the worker that notifies" : "start a worker with `notify`: it delivers them";
  return [warning("notices", text, next)];
}

async function isIntact(store: Store, run: RunRecord): Promise<boolean> {
  try {
    if (run.status !== "quarantined") openRunRow(run);
    for (const actor of await store.readActors(run.id)) openActorRow(run.id, actor);
    return true;
  } catch (error) {
    if (isPawlError(error, "PAWL_ROW_CORRUPT")) return false;
    throw error;
  }
}

/** What is fine when there are none, else what is not, with some of them by name. */
function listed(found: readonly (RunRecord | string)[], code: string, calm: string, tell: (runs: string) => Finding): Finding {
  if (found.length === 0) return fine(code, calm);
  const ids = found.slice(0, NAMED_MAX).map((run) => (typeof run === "string" ? run : run.id));
  return tell(ids.join(", ") + more(found));
}

function more(found: readonly unknown[]): string {
  return found.length > NAMED_MAX ? ` and ${found.length - NAMED_MAX} more` : "";
}

function runsText(runs: readonly unknown[]): string {
  return runs.length === 1 ? "1 run is" : `${runs.length} runs are`;
}

function counted(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

function instant(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}
