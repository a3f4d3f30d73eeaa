/**
 * Which runs are listed, and which are due, in memory.
 */
import type { MemoryRecord } from "./memory-run.ts";
import { type DueCursor, type RunFilter, WAITS_FOR_EVENT } from "./store.ts";

/** Newest first. */
export function listed(records: readonly MemoryRecord[], filter: RunFilter): MemoryRecord[] {
  const newestFirst = [...records].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
  const from = filter.after === undefined ? 0 : newestFirst.findIndex(({ id }) => id === filter.after) + 1;
  if (filter.after !== undefined && from === 0) return [];
  return newestFirst
    .slice(from)
    .filter((run) => (filter.status ?? run.status) === run.status && (filter.workflow ?? run.workflow) === run.workflow)
    .filter((run) => (filter.subject ?? run.subject) === run.subject && (filter.tag === undefined || run.tags.includes(filter.tag)))
    .filter((run) => run.createdAt >= (filter.since ?? run.createdAt) && run.createdAt < (filter.until ?? Infinity))
    .filter((run) => filter.unfinished !== true || !run.finished)
    .slice(0, filter.limit);
}

/** Those of this definition that ended last, newest first. */
export function lastEnded(records: readonly MemoryRecord[], definition: string, limit: number): MemoryRecord[] {
  const ended = records.filter((run) => run.finished && run.definition === definition);
  ended.sort((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1));
  return ended.slice(0, limit);
}

/** Owned runs that are due, the longest due first; and the next instant at which one of these definitions is. */
export function due(
  records: readonly MemoryRecord[],
  epoch: number,
  definitions: readonly string[],
  now: number,
  after: DueCursor,
  limit: number,
): { due: MemoryRecord[]; nextAt: number | null } {
  const waiting = records.filter((run) => !run.finished && run.wakeAt !== null);
  waiting.sort((a, b) => a.wakeAt! - b.wakeAt! || (a.id < b.id ? -1 : 1));
  const isAfter = (run: MemoryRecord): boolean => run.wakeAt! > after.wakeAt || (run.wakeAt === after.wakeAt && run.id > after.id);
  const isNext = (run: MemoryRecord): boolean => run.wakeAt! > now && run.wakeAt! < WAITS_FOR_EVENT && definitions.includes(run.definition);
  return {
    due: waiting.filter((run) => run.epoch === epoch && run.wakeAt! <= now && isAfter(run)).slice(0, limit),
    nextAt: waiting.find(isNext)?.wakeAt ?? null,
  };
}
