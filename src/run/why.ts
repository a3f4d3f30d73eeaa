/**
 * Why a run stands where it does, and what to do about it: derived from its rows, its stored definition and the workers
 * of the store, so that it can be asked from any process, also where the workflow's code is not.
 * Dependencies that do not exist and circles of nodes are no causes: definitions with them are refused.
 */
import type { Clock } from "../clock.ts";
import type { RunRecord, Store } from "../store/store.ts";
import { isMachineRun } from "./machine-view.ts";
import { isOrphan, parentOf } from "./orphans.ts";
import { type RunStatus, isOver, requireRun } from "./view.ts";
import { type Asking, Bounds, type Cause, type Draft, grown, instantText } from "./why-cause.ts";
import { endedDrafts, isRetryable } from "./why-ended.ts";
import { machineDrafts } from "./why-machine.ts";
import { compensatingDrafts, nodeDrafts } from "./why-nodes.ts";
import { type Crew, handDrafts, isOwned, placeDraft, readCrew } from "./why-worker.ts";
import { CLOCK_TOLERANCE_MS, type Worker } from "./worker.ts";

/** Why a run stands where it does. */
export interface Why {
  readonly runId: string;
  readonly status: RunStatus;
  /** Those first that others follow from; none of a run that completed. With all beneath them at most 100. */
  readonly causes: readonly Cause[];
  /** So many more causes there are, of those that were looked at. */
  readonly leftOut: number;
  /** It can still come to its end: of itself, or by what `next` says, in the same run. */
  readonly recoverable: boolean;
  /** What to do first, with a command to copy. */
  readonly next: string;
}

/** Runs that wait for each other are followed so far. */
const RUNS_DEEP_MAX = 5;
/** A run at work that writes nothing for so long is called quiet. */
export const QUIET_AFTER_MS = 600_000;

/** Never to go on in this run, whatever is done. */
const FINAL: ReadonlySet<string> = new Set(["quarantined", "deadlock", "parentEnded"]);

/** Throws PAWL_RUN_NOT_FOUND. */
export async function whyRun(store: Store, clock: Clock, runId: string, worker?: Worker): Promise<Why> {
  const record = await requireRun(store, runId);
  const bounds = new Bounds();
  const causes = await grown(await draftsOf({ store, clock, worker, crew: await readCrew(store) }, record, [runId]), bounds);
  const status = record.status as RunStatus;
  const root = rootOf(causes);
  const recoverable = isOver(status) ? await isRetryable(store, record) : root === undefined || !FINAL.has(root.kind);
  return { runId, status, causes, leftOut: bounds.leftOut, recoverable, next: nextOf(causes) ?? withoutRemedy(status) };
}

interface Looking {
  readonly store: Store;
  readonly clock: Clock;
  readonly worker: Worker | undefined;
  readonly crew: Crew;
}

/** `path`: the runs that led to this one, which is the last of them. */
async function draftsOf(looking: Looking, record: RunRecord, path: readonly string[]): Promise<Draft[]> {
  const asking: Asking = { ...looking, record, about: (other) => aboutOther(looking, other, path) };
  if (isOver(record.status)) return endedDrafts(asking);
  const now = looking.clock.now();
  const wakeAt = record.wakeAt ?? 0;
  const hands = await handDrafts(asking, wakeAt > now);
  if (record.status === "pending")
    return [...startDrafts(record, now), ...hands, ...(wakeAt > now || hands.length > 0 ? [] : [placeDraft(record, looking.crew)])];
  const hasHand = isOwned(record, looking.crew);
  const own = await ownDrafts(asking, hasHand);
  const around = [...(await orphanDrafts(asking)), ...pausedDrafts(record), ...clockDrafts(record, now)];
  const all = [...hands, ...own, ...around, ...(hasHand ? quietDrafts(record, now) : [])];
  return all.length > 0 ? all : [{ kind: "running", message: "it is at work", next: null }];
}

function ownDrafts(asking: Asking, hasHand: boolean): Promise<Draft[]> {
  if (isMachineRun(asking.record)) return machineDrafts(asking, hasHand);
  return asking.record.status === "compensating" ? compensatingDrafts(asking, hasHand) : nodeDrafts(asking, hasHand);
}

/** What a run waits for that is waited for: once around a circle, and not too deep. */
async function aboutOther(looking: Looking, runId: string, path: readonly string[]): Promise<readonly Draft[]> {
  const circle = path.indexOf(runId);
  if (circle !== -1) return [deadlockDraft(path.slice(circle))];
  const record = await looking.store.readRun(runId);
  if (record === undefined) return [missingDraft(runId)];
  if (path.length >= RUNS_DEEP_MAX) return [{ kind: "waitsForRun", message: `run ${runId} is ${record.status}`, run: runId, next: `\`pawl why ${runId}\`` }];
  return draftsOf(looking, record, [...path, runId]);
}

function deadlockDraft(runs: readonly string[]): Draft {
  return {
    kind: "deadlock",
    message: `runs wait for each other in a circle: ${[...runs, runs[0]].join(" → ")}`,
    run: runs[0],
    next: `\`pawl cancel ${runs[0]}\` ends the circle: the other runs see that it was cancelled`,
  };
}

function missingDraft(runId: string): Draft {
  return { kind: "runMissing", message: `there is no run "${runId}", or not any more`, run: runId, next: `start it: \`pawl start FILE --id ${runId}\`` };
}

function startDrafts({ id, wakeAt }: RunRecord, now: number): Draft[] {
  if (wakeAt === null || wakeAt <= now) return [];
  return [{ kind: "pendingStart", message: `it was started for ${instantText(wakeAt)}`, until: wakeAt, next: `wait, or \`pawl cancel ${id}\`` }];
}

/** A run that belongs to another one is told when that one ends: one that was not is waited for by nobody. */
async function orphanDrafts({ store, record: { id } }: Asking): Promise<Draft[]> {
  const parent = parentOf(id);
  if (parent === undefined || !(await isOrphan(store, id))) return [];
  const message = `the run that it belongs to has ended (${parent}): nobody waits for it, or sends it anything, any more`;
  return [{ kind: "parentEnded", message, run: parent, next: `\`pawl cancel ${id} --now\`` }];
}

function pausedDrafts({ id, status }: RunRecord): Draft[] {
  return status === "paused" ? [{ kind: "paused", message: "it is paused: nothing more is started", next: `\`pawl resume ${id}\`` }] : [];
}

function clockDrafts({ updatedAt }: RunRecord, now: number): Draft[] {
  if (updatedAt <= now + CLOCK_TOLERANCE_MS) return [];
  const message = `the clock was set back: it reads ${instantText(now)}, and the run was last written at ${instantText(updatedAt)}`;
  return [{ kind: "clockSetBack", message, since: updatedAt, next: "set the clock right; instants that people named are waited for, lengths are not longer" }];
}

function quietDrafts({ id, wakeAt, updatedAt, status }: RunRecord, now: number): Draft[] {
  if (wakeAt !== null || status === "paused" || now - updatedAt < QUIET_AFTER_MS) return [];
  return [
    {
      kind: "quiet",
      message: `nothing was written since ${instantText(updatedAt)}`,
      since: updatedAt,
      next: `see the log of its worker; an agent with a \`heartbeat\` fails when it is silent; \`pawl cancel ${id}\``,
    },
  ];
}

/** The cause that the first one follows from. */
function rootOf(causes: readonly Cause[]): Cause | undefined {
  const [first] = causes;
  return first === undefined ? undefined : (rootOf(first.causes) ?? first);
}

/** The remedy of what the first of them follows from, or else of the first that has one. */
function nextOf(causes: readonly Cause[]): string | undefined {
  for (const { next, causes: beneath } of causes) {
    const remedy = nextOf(beneath) ?? next;
    if (remedy !== null) return remedy;
  }
  return undefined;
}

function withoutRemedy(status: RunStatus): string {
  return isOver(status) ? "nothing is to be done: it has ended" : "nothing is to be done but wait: it goes on by itself";
}
