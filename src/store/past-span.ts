/**
 * Which commits of a run can be read although others came after them: its checkpoints, which are the commits whose number
 * is a multiple of an interval, from one of them on. The newest commit can always be read.
 */
import type { KeepPast } from "./store.ts";

export interface PastSpan {
  /** The newest commit. */
  readonly last: number;
  /** No commit before this one can be read; null when nothing is kept. */
  readonly from: number | null;
  readonly every: number | null;
}

/** Once a commit is made on top of `from`, no checkpoint before this one is kept any more. */
export function keptFrom({ commits, every }: KeepPast, from: number): number {
  return lastCheckpoint(every, from) - (commits - 1) * every;
}

/** The last checkpoint until this commit, which may be one itself; 0 when there is none. */
export function lastCheckpoint(every: number, commitNo: number): number {
  return commitNo - (commitNo % every);
}

export function isReadable({ last, from, every }: PastSpan, commitNo: number): boolean {
  if (commitNo === last) return true;
  return from !== null && every !== null && commitNo >= from && commitNo < last && commitNo % every === 0;
}

/** Oldest first. */
export function readableCommits(span: PastSpan): number[] {
  const readable: number[] = [];
  const { last, every } = span;
  for (let commitNo = firstReadable(span) ?? last; commitNo < last; commitNo += every ?? last) readable.push(commitNo);
  return [...readable, last];
}

/** Undefined when nothing is kept. */
export function firstReadable({ last, from, every }: PastSpan): number | undefined {
  if (from === null || every === null) return undefined;
  return Math.min(Math.ceil(from / every) * every, last);
}
