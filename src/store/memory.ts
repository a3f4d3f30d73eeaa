/**
 * A store in memory: for tests, simulations and `open(':memory:')`. Outlives the worker that used it, so that a
 * crash can be played by dropping the worker and opening the store again.
 */
import { PawlError } from "../errors.ts";
import {
  type ActorRecord,
  type Commit,
  type DueCursor,
  type HistoryRecord,
  type InboxRecord,
  type Outcome,
  type RunFilter,
  type RunRecord,
  type Store,
  type StoredActor,
  SUSPICION_WINDOW_MS,
  SUSPICIONS_MAX,
  WAITS_FOR_EVENT,
} from "./store.ts";

interface StoredRun {
  record: RunRecord & { finished: boolean; suspectedAt: number };
  order: number;
  readonly actors: Map<string, StoredActor>;
  readonly history: HistoryRecord[];
  /** Event ids with the commits that consumed them. */
  readonly events: Map<string, number>;
  inbox: InboxRecord[];
}

export class MemoryStore implements Store {
  readonly #runs = new Map<string, StoredRun>();
  readonly #definitions = new Map<string, { workflow: string; body: string }>();
  #epoch = 0;
  #posted = 0;
  #executing = false;

  async openEpoch(_at: number): Promise<number> {
    if (this.#executing) throw new PawlError("PAWL_STORE_LOCKED");
    this.#executing = true;
    return ++this.#epoch;
  }

  async commit(group: readonly Commit[]): Promise<Outcome[]> {
    return group.map((commit) => this.#apply(commit));
  }

  #apply(commit: Commit): Outcome {
    const known = this.#runs.get(commit.runId);
    if (commit.from === 0 ? known !== undefined : known?.record.commitNo !== commit.from || known.record.epoch !== commit.epoch || known.record.finished)
      return "fenced";
    const commitNo = commit.from + 1;
    const { finished, ...columns } = commit.run;
    const before = known?.record ?? { id: commit.runId, createdAt: commit.at, epoch: commit.epoch, suspicion: 0, suspectedAt: 0, reason: null };
    const stored = known ?? emptyRun(this.#runs.size);
    stored.record = { ...before, ...columns, finished, commitNo, updatedAt: commit.at };
    for (const actor of commit.actors) stored.actors.set(actor.key, { ...actor, commitNo });
    for (const key of commit.gone ?? []) stored.actors.delete(key);
    stored.history.push({ commitNo, at: commit.at, body: commit.history });
    this.#runs.set(commit.runId, stored);
    if (commit.consumed !== undefined) stored.inbox = stored.inbox.filter(({ number }) => !commit.consumed!.includes(number));
    for (const { runId, body } of commit.posts ?? []) this.#post(runId, body);
    for (const id of commit.eventIds ?? []) if (!stored.events.has(id)) stored.events.set(id, commitNo);
    if (finished) stored.inbox = [];
    return "committed";
  }

  #post(runId: string, body: string): void {
    const run = this.#runs.get(runId);
    if (run !== undefined && !run.record.finished) run.inbox = [...run.inbox, { number: ++this.#posted, body }];
  }

  async claim(epoch: number, definitions: readonly string[], at: number, now: number, limit: number): Promise<RunRecord[]> {
    const isOpen = ({ record }: StoredRun): boolean =>
      !record.finished && record.epoch < epoch && (record.wakeAt ?? 0) <= now && definitions.includes(record.definition);
    const open = [...this.#runs.values()].filter(isOpen);
    open.sort((a, b) => a.record.suspicion - b.record.suspicion || (a.record.wakeAt ?? 0) - (b.record.wakeAt ?? 0) || a.order - b.order);
    const batch = open.slice(0, open[0]?.record.suspicion ? 1 : limit).filter((run, _, [first]) => run.record.suspicion === first!.record.suspicion);
    return batch.map((run) => takeOver(run, epoch, at));
  }

  async claimRun(epoch: number, runId: string, at: number): Promise<RunRecord | undefined> {
    const run = this.#runs.get(runId);
    if (run === undefined || run.record.finished || run.record.epoch > epoch) return undefined;
    return run.record.epoch === epoch ? run.record : takeOver(run, epoch, at);
  }

  async absolve(epoch: number, runIds: readonly string[]): Promise<void> {
    for (const id of runIds) {
      const run = this.#runs.get(id);
      if (run?.record.epoch === epoch) run.record = { ...run.record, suspicion: 0 };
    }
  }

  async quarantine(epoch: number, runId: string, reason: string, at: number): Promise<void> {
    const run = this.#runs.get(runId);
    if (run?.record.epoch === epoch && !run.record.finished)
      run.record = { ...run.record, status: "quarantined", finished: true, reason, wakeAt: null, updatedAt: at };
  }

  async readRun(runId: string): Promise<RunRecord | undefined> {
    return this.#runs.get(runId)?.record;
  }

  async readActors(runId: string, keys?: readonly string[]): Promise<StoredActor[]> {
    const actors = this.#runs.get(runId)?.actors ?? new Map<string, StoredActor>();
    if (keys === undefined) return [...actors.values()];
    return keys.flatMap((key) => actors.get(key) ?? []);
  }

  async readHistory(runId: string, afterCommitNo: number, limit: number): Promise<HistoryRecord[]> {
    return (this.#runs.get(runId)?.history ?? []).slice(afterCommitNo, afterCommitNo + limit);
  }

  async readInbox(runId: string): Promise<InboxRecord[]> {
    return [...(this.#runs.get(runId)?.inbox ?? [])];
  }

  async inboxRuns(after: string, limit: number): Promise<string[]> {
    const addressed = [...this.#runs.values()].filter(({ record, inbox }) => !record.finished && inbox.length > 0 && record.id > after);
    return addressed
      .map(({ record }) => record.id)
      .sort()
      .slice(0, limit);
  }

  async readEvent(runId: string, eventId: string): Promise<number | undefined> {
    return this.#runs.get(runId)?.events.get(eventId);
  }

  async listRuns(filter: RunFilter): Promise<RunRecord[]> {
    const newestFirst = [...this.#runs.values()].sort((a, b) => b.record.createdAt - a.record.createdAt || (a.record.id < b.record.id ? 1 : -1));
    const from = filter.after === undefined ? 0 : newestFirst.findIndex(({ record }) => record.id === filter.after) + 1;
    return newestFirst
      .slice(from)
      .map(({ record }) => record)
      .filter((run) => (filter.status ?? run.status) === run.status && (filter.workflow ?? run.workflow) === run.workflow)
      .filter((run) => filter.unfinished !== true || !run.finished)
      .slice(0, filter.limit);
  }

  async dueRuns(
    epoch: number,
    definitions: readonly string[],
    now: number,
    after: DueCursor,
    limit: number,
  ): Promise<{ due: RunRecord[]; nextAt: number | null }> {
    const waiting = [...this.#runs.values()].map(({ record }) => record).filter((run) => !run.finished && run.wakeAt !== null);
    waiting.sort((a, b) => a.wakeAt! - b.wakeAt! || (a.id < b.id ? -1 : 1));
    const isAfter = (run: RunRecord): boolean => run.wakeAt! > after.wakeAt || (run.wakeAt === after.wakeAt && run.id > after.id);
    const isNext = (run: RunRecord): boolean => run.wakeAt! > now && run.wakeAt! < WAITS_FOR_EVENT && definitions.includes(run.definition);
    return {
      due: waiting.filter((run) => run.epoch === epoch && run.wakeAt! <= now && isAfter(run)).slice(0, limit),
      nextAt: waiting.find(isNext)?.wakeAt ?? null,
    };
  }

  async readyRuns(epoch: number, after: string, limit: number): Promise<RunRecord[]> {
    const ready = [...this.#runs.values()]
      .map(({ record }) => record)
      .filter((run) => !run.finished && run.epoch === epoch && run.wakeAt === null && run.id > after);
    return ready.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  async writeDefinition(hash: string, workflow: string, body: string): Promise<void> {
    if (!this.#definitions.has(hash)) this.#definitions.set(hash, { workflow, body });
  }

  async readDefinition(hash: string): Promise<string | undefined> {
    return this.#definitions.get(hash)?.body;
  }

  async definitionsOf(workflow: string): Promise<string[]> {
    const hashes = [...this.#definitions].flatMap(([hash, definition]) => (definition.workflow === workflow ? [hash] : []));
    return hashes.sort();
  }

  async close(): Promise<void> {
    this.#executing = false;
  }

  /** For tests: changes a stored row behind everybody's back. */
  tamper(runId: string, change: (rows: { run: RunRecord; actors: Map<string, ActorRecord> }) => void): void {
    const run = this.#runs.get(runId)!;
    const rows = { run: { ...run.record }, actors: run.actors as Map<string, ActorRecord> };
    change(rows);
    Object.assign(run.record, rows.run);
  }
}

function emptyRun(order: number): StoredRun {
  return { record: undefined as never, order, actors: new Map(), history: [], events: new Map(), inbox: [] };
}

function takeOver(run: StoredRun, epoch: number, at: number): RunRecord {
  const { suspicion, suspectedAt } = run.record;
  const grown = at - suspectedAt > SUSPICION_WINDOW_MS ? 1 : Math.min(suspicion + 1, SUSPICIONS_MAX + 1);
  run.record = { ...run.record, epoch, suspicion: grown, suspectedAt: at };
  return run.record;
}
