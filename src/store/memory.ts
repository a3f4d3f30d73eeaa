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
  type Outcome,
  type RunFilter,
  type RunRecord,
  type Store,
  type StoredActor,
  SUSPICION_WINDOW_MS,
} from "./store.ts";

interface StoredRun {
  record: RunRecord & { finished: boolean; suspectedAt: number };
  order: number;
  readonly actors: Map<string, StoredActor>;
  readonly history: HistoryRecord[];
}

export class MemoryStore implements Store {
  readonly #runs = new Map<string, StoredRun>();
  readonly #definitions = new Map<string, string>();
  #epoch = 0;
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
    const stored = known ?? { record: undefined as never, order: this.#runs.size, actors: new Map<string, StoredActor>(), history: [] };
    stored.record = { ...before, ...columns, finished, commitNo, updatedAt: commit.at };
    for (const actor of commit.actors) stored.actors.set(actor.key, { ...actor, commitNo });
    stored.history.push({ commitNo, at: commit.at, body: commit.history });
    this.#runs.set(commit.runId, stored);
    return "committed";
  }

  async claim(epoch: number, definitions: readonly string[], at: number, limit: number): Promise<RunRecord[]> {
    const open = [...this.#runs.values()].filter(({ record }) => !record.finished && record.epoch < epoch && definitions.includes(record.definition));
    open.sort((a, b) => a.record.suspicion - b.record.suspicion || a.order - b.order);
    const batch = open.slice(0, open[0]?.record.suspicion ? 1 : limit).filter((run, _, [first]) => run.record.suspicion === first!.record.suspicion);
    return batch.map((run) => {
      const suspicion = at - run.record.suspectedAt > SUSPICION_WINDOW_MS ? 1 : run.record.suspicion + 1;
      run.record = { ...run.record, epoch, suspicion, suspectedAt: at };
      return run.record;
    });
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

  async listRuns(filter: RunFilter): Promise<RunRecord[]> {
    const newestFirst = [...this.#runs.values()].sort((a, b) => b.record.createdAt - a.record.createdAt || (a.record.id < b.record.id ? 1 : -1));
    const from = filter.after === undefined ? 0 : newestFirst.findIndex(({ record }) => record.id === filter.after) + 1;
    return newestFirst
      .slice(from)
      .map(({ record }) => record)
      .filter((run) => (filter.status ?? run.status) === run.status && (filter.workflow ?? run.workflow) === run.workflow)
      .slice(0, filter.limit);
  }

  async dueRuns(epoch: number, now: number, after: DueCursor, limit: number): Promise<{ due: RunRecord[]; nextAt: number | null }> {
    const waiting = [...this.#runs.values()].map(({ record }) => record).filter((run) => !run.finished && run.epoch === epoch && run.wakeAt !== null);
    waiting.sort((a, b) => a.wakeAt! - b.wakeAt! || (a.id < b.id ? -1 : 1));
    const isAfter = (run: RunRecord): boolean => run.wakeAt! > after.wakeAt || (run.wakeAt === after.wakeAt && run.id > after.id);
    return {
      due: waiting.filter((run) => run.wakeAt! <= now && isAfter(run)).slice(0, limit),
      nextAt: waiting.find((run) => run.wakeAt! > now)?.wakeAt ?? null,
    };
  }

  async readyRuns(epoch: number, after: string, limit: number): Promise<RunRecord[]> {
    const ready = [...this.#runs.values()]
      .map(({ record }) => record)
      .filter((run) => !run.finished && run.epoch === epoch && run.wakeAt === null && run.id > after);
    return ready.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  async writeDefinition(hash: string, _workflow: string, body: string): Promise<void> {
    if (!this.#definitions.has(hash)) this.#definitions.set(hash, body);
  }

  async readDefinition(hash: string): Promise<string | undefined> {
    return this.#definitions.get(hash);
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
