/**
 * A run of the store in memory, with all that belongs to it.
 */
import { MemoryPast } from "./memory-past.ts";
import { type Commit, type HistoryRecord, type InboxRecord, type RunRecord, type StoredActor, SUSPICION_WINDOW_MS, SUSPICIONS_MAX } from "./store.ts";

export type MemoryRecord = RunRecord & { readonly finished: boolean; readonly suspectedAt: number; readonly rank: number };

export interface StoredRun {
  record: MemoryRecord;
  readonly actors: Map<string, StoredActor>;
  readonly history: HistoryRecord[];
  /** Event ids with the commits that consumed them. */
  readonly events: Map<string, number>;
  inbox: InboxRecord[];
  readonly past: MemoryPast;
}

export function emptyRun({ runId, epoch, at, facts, rank = at }: Commit): StoredRun {
  const looked = { subject: facts?.subject ?? null, tags: [...new Set(facts?.tags)], origin: facts?.origin ?? null };
  const record = { id: runId, createdAt: at, epoch, suspicion: 0, suspectedAt: 0, rank, reason: null, ...looked };
  return {
    record: record as unknown as MemoryRecord,
    actors: new Map(),
    history: [],
    events: new Map(),
    inbox: [],
    past: new MemoryPast(),
  };
}

/** Those that are ready come first, by their ranks; then those that are due, by their instants. */
export function claimOrder(a: MemoryRecord, b: MemoryRecord): number {
  const [of, other] = [a.wakeAt ?? 0, b.wakeAt ?? 0];
  return of - other || (a.wakeAt === null ? a.rank - b.rank : 0) || (a.id < b.id ? -1 : 1);
}

export function takeOver(run: StoredRun, epoch: number, at: number): RunRecord {
  const { suspicion, suspectedAt } = run.record;
  const grown = at - suspectedAt > SUSPICION_WINDOW_MS ? 1 : Math.min(suspicion + 1, SUSPICIONS_MAX + 1);
  run.record = { ...run.record, epoch, suspicion: grown, suspectedAt: at };
  return run.record;
}
