/**
 * Causes of why a run stands where it does: their kinds, the order in which they are told, and how many are told at most.
 */
import type { Clock } from "../clock.ts";
import type { RunRecord, Store } from "../store/store.ts";
import type { Crew } from "./why-worker.ts";
import type { Worker } from "./worker.ts";

/** The kinds of causes, those first that others follow from. */
export const CAUSE_KINDS = [
  /** It was set aside: its rows cannot be used, or it crashed its worker repeatedly. */
  "quarantined",
  /** Runs wait for each other in a circle. */
  "deadlock",
  /** No worker is there. */
  "noWorker",
  /** Workers are there, and none was given its definition, or another version of it. */
  "definitionMissing",
  /** Workers were given another version of its definition, with which it cannot go on. */
  "definitionChanged",
  /** A run is waited for that does not exist, or not any more. */
  "runMissing",
  /** The run that it belongs to has ended, so that nobody is left who would send or take anything. */
  "parentEnded",
  /** Somebody holds it. */
  "paused",
  /** The run reached its timeout. */
  "timedOut",
  /** Somebody ended it. */
  "cancelled",
  /** A node, an actor or the run failed. */
  "failed",
  /** A node could not be undone. */
  "compensationFailed",
  /** What was done is being undone. */
  "compensating",
  /** It was started for later. */
  "pendingStart",
  "waitsForEvent",
  "waitsForRun",
  /** The last attempt failed, and the next one is not due. */
  "waitsForRetry",
  "waitsForTimer",
  /** The clock reads less than when the run was written last. */
  "clockSetBack",
  /** It waits until a circuit breaker lets calls through. */
  "circuitOpen",
  /** It waits for what is limited. */
  "limit",
  /** It waits for its turn: its worker, or every worker, is busy. */
  "queued",
  /** A recovery action says how the node goes on. */
  "recovering",
  /** A node, a stage or the run takes longer than its `warnAfter`. */
  "takesLong",
  /** Nothing was written for long, though it is at work. */
  "quiet",
  "running",
  /** It never starts, for something failed on which it depends. */
  "blocked",
] as const;
export type CauseKind = (typeof CAUSE_KINDS)[number];

/** One thing that keeps a run where it is. Instants in ms since 1970. */
export interface Cause {
  /** A stable name. */
  readonly kind: CauseKind;
  /** In a sentence. */
  readonly message: string;
  /** What to do, with a command to copy; null when there is nothing to be done but wait, or what is beneath says it. */
  readonly next: string | null;
  /** The node that it is about. */
  readonly node?: string | undefined;
  /** The stage that it is about. */
  readonly stage?: string | undefined;
  /** The actor of a machine's run that it is about, by its key. */
  readonly actor?: string | undefined;
  /** The other run that it is about. */
  readonly run?: string | undefined;
  /** The types of the events that would end it. */
  readonly events?: readonly string[] | undefined;
  /** Of a failure: its code. */
  readonly code?: string | undefined;
  /** Since when. */
  readonly since?: number | undefined;
  /** Until when, at most. */
  readonly until?: number | undefined;
  /** What it follows from. */
  readonly causes: readonly Cause[];
}

/** A cause of which it is not known yet what is beneath it. */
export interface Draft extends Omit<Cause, "causes"> {
  /** It does not matter before the others of the run have ended. */
  readonly isLater?: boolean | undefined;
  readonly beneath?: (() => Promise<readonly Draft[]>) | undefined;
}

/** What is known of the run that is asked about, and on behalf of which. */
export interface Asking {
  readonly store: Store;
  readonly clock: Clock;
  readonly record: RunRecord;
  readonly crew: Crew;
  /** Where this process executes. */
  readonly worker: Worker | undefined;
  /** Why of another run that this one waits for. */
  about(runId: string): Promise<readonly Draft[]>;
}

/** A node, or an attempt of a machine's step, that waits to call its agent. */
export interface Caller {
  readonly id: string;
  readonly agent: string;
  /** Of an attempt of a step: its key. */
  readonly actor?: string | undefined;
  /** Its row says as much while it waits as when it calls. */
  readonly mayHaveBegun?: boolean | undefined;
}

/** `a, b: wait for`, or else `a: waits, unless it has begun, for`. */
export function waitingText(callers: readonly Caller[]): string {
  const ids = named(
    callers.map(({ id }) => id),
    3,
  );
  const isOne = callers.length === 1;
  const unless = callers.some(({ mayHaveBegun }) => mayHaveBegun) ? `, unless ${isOne ? "it has" : "they have"} begun,` : "";
  return `${ids}: ${isOne ? "waits" : "wait"}${unless} for`;
}

/** Which node, or which actor, a cause is about: the first of these. */
export function aboutFirst([first]: readonly Caller[]): Pick<Cause, "node" | "actor"> {
  return first?.actor === undefined ? { node: first?.id } : { actor: first.actor };
}

/** Causes that are told of one run, with all beneath them. */
export const CAUSES_MAX = 100;
/** Of those beneath one. */
const BENEATH_MAX = 10;

/** Counts what is told, and what is not. */
export class Bounds {
  #left = CAUSES_MAX;
  leftOut = 0;

  /** As many of these as may be told. */
  take<T>(drafts: readonly T[], max: number): readonly T[] {
    const taken = drafts.slice(0, Math.min(max, this.#left));
    this.#left -= taken.length;
    this.leftOut += drafts.length - taken.length;
    return taken;
  }
}

/** Those that others follow from come first; what is beneath them is looked for while there is room. */
export async function grown(drafts: readonly Draft[], bounds: Bounds, max = CAUSES_MAX): Promise<Cause[]> {
  const taken = bounds.take(drafts.toSorted(byRank), max);
  const causes: Cause[] = [];
  for (const { beneath, isLater: _, ...cause } of taken)
    causes.push({ ...cause, causes: beneath === undefined ? [] : await grown(await beneath(), bounds, BENEATH_MAX) });
  return causes;
}

function byRank(a: Draft, b: Draft): number {
  return Number(a.isLater ?? false) - Number(b.isLater ?? false) || CAUSE_KINDS.indexOf(a.kind) - CAUSE_KINDS.indexOf(b.kind);
}

/** `a, b, c and 4 more`. */
export function named(names: readonly string[], max = 5): string {
  return names.slice(0, max).join(", ") + (names.length > max ? ` and ${names.length - max} more` : "");
}

/** An instant as everybody reads it. */
export function instantText(at: number): string {
  return new Date(at).toISOString();
}
