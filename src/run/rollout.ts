/**
 * Two versions of a workflow side by side: new runs get the new one by percentage, and none any more when too many of its
 * last runs failed. Unfinished runs stay on the version that they were started with. Everything is counted from the runs
 * in the store, so that every process decides alike and a restart forgets nothing.
 */
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { type Definition, definitionOf } from "./definition.ts";
import { partOfHundred } from "./row.ts";
import type { Startable } from "./startable.ts";

/** When the new version is no longer started. */
export interface FallbackOptions {
  /** How many of its last ended runs are counted; fewer are no reason yet. Default 20. */
  readonly runs?: number;
  /** The part of them, above 0 up to 1, that may fail, time out or be set aside; more than that is too many. Default 0.2. */
  readonly failureRate?: number;
}

export interface RolloutOptions<S extends Startable> {
  /** The version that is known to work. */
  readonly stable: S;
  /** The new version, of the same name. */
  readonly candidate: S;
  /** Of 100 new runs so many get the new version; 0 to 100. */
  readonly percent: number;
  readonly fallback?: FallbackOptions;
}

/** Two versions of a workflow or machine, to be opened and started as if they were one. */
export interface Rollout<S extends Startable = Startable> {
  readonly stable: S;
  readonly candidate: S;
  readonly percent: number;
  readonly fallback: Required<FallbackOptions>;
}

/** How the new version does. */
export interface RolloutView {
  /** So many of its last ended runs were counted, and so many of them failed, timed out or were set aside. */
  readonly ended: number;
  readonly failed: number;
  /** New runs get the old version only. */
  readonly hasFallenBack: boolean;
}

const RUNS_DEFAULT = 20;
const RATE_DEFAULT = 0.2;
const RUNS_MAX = 10_000;
const BAD: ReadonlySet<string> = new Set(["failed", "timedOut", "quarantined"]);

/**
 * Puts two versions of a workflow side by side. Which one a new run gets depends on its id alone, so that starting it
 * again finds the same one.
 *
 * @example
 * ```ts
 * const research = rollout({ stable: researchV1, candidate: researchV2, percent: 10, fallback: { runs: 50, failureRate: 0.1 } });
 * await using pawl = await open('pawl.db', { workflows: [research] });
 * await pawl.start(research, { input: { topic: 'ratchets' } });
 * ```
 * @throws PAWL_INVALID_VALUE
 */
export function rollout<S extends Startable>({ stable, candidate, percent, fallback = {} }: RolloutOptions<S>): Rollout<S> {
  const [old, young] = [definitionOf(stable), definitionOf(candidate)];
  const { runs = RUNS_DEFAULT, failureRate = RATE_DEFAULT } = fallback;
  if (old.name !== young.name) throw invalid(`"${old.name}" and "${young.name}" are no two versions of one workflow: they have two names`);
  if (old.hash === young.hash)
    throw invalid(`both versions of "${old.name}" are the same`, "give the machine of one another `version`, or change its structure");
  if (!(percent >= 0 && percent <= 100)) throw invalid(`percent is ${percent}, but must be from 0 to 100`);
  if (!Number.isInteger(runs) || runs < 1 || runs > RUNS_MAX) throw invalid(`fallback.runs is ${runs}, but must be a whole number from 1 to ${RUNS_MAX}`);
  if (!(failureRate > 0 && failureRate <= 1)) throw invalid(`fallback.failureRate is ${failureRate}, but must be above 0 and at most 1`);
  return { stable, candidate, percent, fallback: { runs, failureRate } };
}

function invalid(message: string, next?: string): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", { message, ...(next !== undefined && { next }) });
}

export function isRollout(given: Startable | Rollout): given is Rollout {
  return "stable" in given && "candidate" in given && "percent" in given;
}

/** Every version of what was given. */
export function versionsOf(given: Startable | Rollout): Startable[] {
  return isRollout(given) ? [given.stable, given.candidate] : [given];
}

export async function viewRollout(store: Store, { candidate, fallback }: Rollout): Promise<RolloutView> {
  const statuses = await store.endedStatuses(definitionOf(candidate).hash, fallback.runs);
  const failed = statuses.filter((status) => BAD.has(status)).length;
  const hasFallenBack = statuses.length === fallback.runs && failed / statuses.length > fallback.failureRate;
  return { ended: statuses.length, failed, hasFallenBack };
}

/** The version of the run with this id: the one that it has, or that it gets. */
export async function versionFor(store: Store, given: Startable | Rollout, runId: string): Promise<Definition> {
  if (!isRollout(given)) return definitionOf(given);
  const [old, young] = [definitionOf(given.stable), definitionOf(given.candidate)];
  const record = await store.readRun(runId);
  if (record !== undefined) return record.definition === young.hash ? young : old;
  if (partOfHundred(runId) >= given.percent) return old;
  return (await viewRollout(store, given)).hasFallenBack ? old : young;
}
