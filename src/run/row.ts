/**
 * Rows of a run: what each holds, and the checksum that stands over it.
 * 1. A row that does not check never reaches a machine. 2. The checksum covers the row's place, so that swapped rows
 * do not check.
 */
import { crc32 } from "node:zlib";
import type { Failure } from "../../machines/node.ts";
import { PawlError } from "../errors.ts";
import type { ActorRecord, Commit, RunRecord, StoredActor } from "../store/store.ts";
import { decode, encode } from "./codec.ts";
import type { Lane } from "./lane.ts";
import type { Action } from "./recovery-action.ts";

/** Grows when the layout of a row's body changes. */
const CODEC_VERSION = 1;

/** Keys of a run's rows that are no nodes; `~` cannot stand in a node's id. */
export const INPUT_KEY = "input~1";
export const OUTPUT_KEY = "output~1";
export const SUPERVISOR_KEY = "supervisor~1";
/** Keys of what belongs to a node beside its own row begin with this, which comes after all that ids are made of. */
export const BESIDE = "~";
/** What a step of an agent gave is kept under this and its own key; see `stepRange`. */
export function stepKey(nodeId: string, key: string): string {
  return `${BESIDE}${nodeId}/s/${key}`;
}
/** Keys of all steps of a node: from the first of these, below the second. */
export function stepRange(nodeId: string): readonly [from: string, below: string] {
  return [`${BESIDE}${nodeId}/s/`, `${BESIDE}${nodeId}/s0`];
}
/** Where the progress that an attempt reported last is kept. */
export function progressKey(nodeId: string): string {
  return `${BESIDE}${nodeId}/p`;
}
/** Of machine runs: a cascade that does not rest yet, and what computes again the acts that may not have been done. */
export const CASCADE_KEY = "cascade~1";
export const REDO_KEY = "redo~1";

/** That somebody said how a node ends: how, who, and why. */
export interface OverrideNote {
  readonly outcome: "completed" | "skipped" | "failed";
  readonly by?: string;
  readonly reason?: string;
}

/** What a node's row holds beside its status. Instants in ms since 1970. */
export interface NodeBody {
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly failure?: Failure;
  /** While it backs off: how long from `endedAt`. */
  readonly backoffMs?: number;
  /** How many alternatives have taken over, and the attempts of the agents before the one that is called now. */
  readonly alternative?: number;
  readonly attemptsBefore?: number;
  /** How many recovery actions have begun. */
  readonly recoveries?: number;
  /** Of a recovery action: what it is. */
  readonly recovers?: Action;
  /** Of a group that was opened: how many items, or the number of the branch that was taken. */
  readonly opened?: number;
  /** Of an event that is awaited: when its timeout strikes. */
  readonly dueAt?: number;
  /** While it waits for a length of time: the epoch of the worker whose steady time these instants are of. */
  readonly epoch?: number;
  /** Of a call that is a run of its own: that run's id. */
  readonly childRun?: string;
  /** Somebody said how it ends. */
  readonly overridden?: OverrideNote;
  /** It has completed as a run that is degraded. */
  readonly degraded?: true;
  /** Of a node that was given another input than its definition says: that input as text, and which one it is, from 2 on. */
  readonly generation?: number;
  readonly input?: string;
}

/** What a run's row holds beside its status. */
export interface RunBody {
  readonly state: string;
  /** Time in which the run could work, in ms. */
  readonly workedMs: number;
  readonly degraded: boolean;
  readonly failure?: (Failure & { readonly node?: string | undefined }) | undefined;
  /** For whom it works, and how urgent it is, when that was said. */
  readonly lane?: Lane | undefined;
  /** Of machine runs: the greatest number that was given to an actor or timer. */
  readonly sequence?: number;
  /** It was cancelled at once: nothing that would undo what was done was run. */
  readonly terminated?: true | undefined;
  /** What was done is, or was, undone, because a node failed or the run was cancelled. */
  readonly unwinds?: "failed" | "cancelled" | undefined;
  /** The commit with which that began. */
  readonly unwindsFrom?: number | undefined;
  /** Nodes that could not be undone. */
  readonly undoFailed?: readonly string[];
  /** How it had ended before it was retried or continued, and whether nodes could never start. */
  readonly endedBefore?: { readonly as: string; readonly isBlocked: boolean } | undefined;
}

export function actorRow(runId: string, key: string, status: string, body: string, output: string | null): ActorRecord {
  return { key, status, body, output, checksum: actorChecksum(runId, key, status, body, output) };
}

/** The row of a stage. */
export function stageRow(runId: string, key: string, status: string, body: object): ActorRecord {
  return actorRow(runId, key, status, encode(body), null);
}

/** A row that holds one value. */
export function valueRow(runId: string, key: string, value: string): ActorRecord {
  return actorRow(runId, key, "value", "{}", value);
}

export function runChecksum(runId: string, definition: string, status: string, commitNo: number, body: string): number {
  return crc32(`${CODEC_VERSION}|${runId}|${definition}|${status}|${commitNo}|${body}`);
}

/** Where an id falls in 0 to 100, evenly: the same everywhere and always. */
export function partOfHundred(id: string): number {
  return (crc32(id) / 2 ** 32) * 100;
}

function actorChecksum(runId: string, key: string, status: string, body: string, output: string | null): number {
  return crc32(`${CODEC_VERSION}|${runId}|${key}|${status}|${body}|${output ?? ""}`);
}

/** The run's own row in its commit of this number. */
export function runRow(
  id: string,
  commitNo: number,
  { name, hash }: { readonly name: string; readonly hash: string },
  { status, finished, wakeAt }: { readonly status: string; readonly finished: boolean; readonly wakeAt: number | null },
  body: RunBody,
): Commit["run"] {
  const text = runBodyText(body);
  return { workflow: name, definition: hash, status, body: text, checksum: runChecksum(id, hash, status, commitNo, text), wakeAt, finished };
}

/** A node's body as text; the common case without a walk over it. */
export function nodeBodyText(body: NodeBody): string {
  if (
    body.failure !== undefined ||
    body.childRun !== undefined ||
    body.overridden !== undefined ||
    body.degraded !== undefined ||
    body.generation !== undefined ||
    body.recoveries !== undefined ||
    body.recovers !== undefined ||
    body.backoffMs !== undefined
  )
    return encode(body);
  const opened =
    (body.opened === undefined ? "" : `,"opened":${body.opened}`) +
    (body.dueAt === undefined ? "" : `,"dueAt":${body.dueAt}`) +
    (body.epoch === undefined ? "" : `,"epoch":${body.epoch}`);
  return `{"attempt":${body.attempt},"startedAt":${body.startedAt}${body.endedAt === undefined ? "" : `,"endedAt":${body.endedAt}`}${opened}}`;
}

/** A run's body as text; the common case without a walk over it. */
export function runBodyText(body: RunBody): string {
  if (body.failure !== undefined || body.unwinds !== undefined || body.lane !== undefined || body.endedBefore !== undefined) return encode(body);
  const sequence = body.sequence === undefined ? "" : `,"sequence":${body.sequence}`;
  const terminated = body.terminated === undefined ? "" : ',"terminated":true';
  return `{"state":"${body.state}","workedMs":${body.workedMs},"degraded":${body.degraded}${sequence}${terminated}}`;
}

/** A row's body, when the row is what was written. Throws PAWL_ROW_CORRUPT. */
export function openActorRow(runId: string, row: StoredActor): unknown {
  if (row.checksum !== actorChecksum(runId, row.key, row.status, row.body, row.output)) throw corrupt(runId, row.key);
  return decode(row.body);
}

export function openRunRow(row: RunRecord): RunBody {
  if (row.checksum !== runChecksum(row.id, row.definition, row.status, row.commitNo, row.body)) throw corrupt(row.id, "run");
  return decode(row.body) as RunBody;
}

function corrupt(runId: string, key: string): PawlError {
  return new PawlError("PAWL_ROW_CORRUPT", { message: `the row "${key}" of run "${runId}" is damaged` });
}
