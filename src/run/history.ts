/**
 * The history of a run: what happened, commit by commit, as people read it. Compact as stored, objects as read.
 */
import type { HistoryRecord } from "../store/store.ts";

/** What a commit says happened, in order. */
export type HistoryType =
  | "run.started"
  | "run.resumed"
  | "run.completed"
  | "run.failed"
  | "run.timedOut"
  | "run.cancelled"
  | "node.started"
  | "node.completed"
  | "node.backingOff"
  | "node.failed"
  | "node.skipped"
  | "node.cancelled";

/** One thing that happened in a run. */
export interface HistoryEvent {
  readonly type: HistoryType;
  /** The node it is about. */
  readonly node?: string;
  readonly attempt?: number;
  /** Why, for failures. */
  readonly message?: string;
  readonly code?: string;
}

/** One commit: everything in it happened at once. */
export interface HistoryEntry {
  readonly commitNo: number;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  readonly events: readonly HistoryEvent[];
}

type Compact = [type: HistoryType, node?: string | 0, attempt?: number, code?: string, message?: string];

/** Collects the events of one commit. */
export class HistoryWriter {
  #events: Compact[] = [];

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  node(type: HistoryType, node: string, attempt: number, failure?: { code: string; message: string }): void {
    this.#events.push(failure === undefined ? [type, node, attempt] : [type, node, attempt, failure.code, failure.message]);
  }

  run(type: HistoryType, failure?: { code: string; message: string }): void {
    this.#events.push(failure === undefined ? [type] : [type, 0, 0, failure.code, failure.message]);
  }

  /** The text of the commit's row; begins anew. */
  take(): string {
    const text = JSON.stringify(this.#events);
    this.#events = [];
    return text;
  }
}

export function readHistoryEntry(record: HistoryRecord): HistoryEntry {
  const events = (JSON.parse(record.body) as Compact[]).map(([type, node, attempt, code, message]): HistoryEvent => ({
    type,
    ...(node && { node }),
    ...(attempt && { attempt }),
    ...(code !== undefined && { code }),
    ...(message !== undefined && { message }),
  }));
  return { commitNo: record.commitNo, at: record.at, events };
}
