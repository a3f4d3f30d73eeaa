/**
 * A store in memory: for tests, simulations and `open(':memory:')`. Outlives the workers that use it, so that a crash
 * can be played by dropping a worker and abandoning its epoch.
 */
import { PawlError } from "../errors.ts";
import { type MemoryRecord, type StoredRun, claimOrder, emptyRun, takeOver } from "./memory-run.ts";
import { due, lastEnded, listed } from "./memory-list.ts";
import { MemoryNotices } from "./memory-notices.ts";
import { MemorySchedules } from "./memory-schedules.ts";
import { MemoryShared } from "./memory-shared.ts";
import type { Amendment, SharedChanges, SharedRecord } from "./shared-record.ts";
import {
  type ActorRecord,
  type ChangeRecord,
  type Commit,
  type EpochRecord,
  type HistoryRecord,
  type InboxRecord,
  NOBODY,
  type Notice,
  type NoticeRecord,
  type Outcome,
  type Post,
  type PruneFilter,
  type ReplyRecord,
  type RunFilter,
  type RunRecord,
  type ScheduleChange,
  type ScheduleRecord,
  type Store,
  type StoredActor,
  WAITS_FOR_EVENT,
} from "./store.ts";

export class MemoryStore implements Store {
  readonly #runs = new Map<string, StoredRun>();
  readonly #definitions = new Map<string, { workflow: string; body: string }>();
  readonly #epochs = new Map<number, EpochRecord & { readonly isHeld: boolean }>();
  /** The rows of all inboxes, with their runs. */
  readonly #posted = new Map<number, string>();
  readonly #answers = new Map<number, { readonly at: number; readonly body: string }>();
  /** Discarded runs, with how many rows each has left. */
  readonly #trash = new Map<string, number>();
  readonly #notices = new MemoryNotices();
  readonly #schedules = new MemorySchedules();
  readonly #shared = new MemoryShared();
  #epoch = NOBODY;
  #number = 0;

  async openEpoch(at: number, facts: string): Promise<number> {
    this.#epochs.set(++this.#epoch, { id: this.#epoch, openedAt: at, beat: 0, facts, isHeld: true });
    return this.#epoch;
  }

  async beat(epoch: number, facts: string): Promise<boolean> {
    const open = this.#epochs.get(epoch);
    if (open !== undefined) this.#epochs.set(epoch, { ...open, beat: open.beat + 1, facts });
    return open !== undefined;
  }

  async readEpochs(): Promise<EpochRecord[]> {
    return [...this.#epochs.values()].map(({ id, openedAt, beat, facts }) => ({ id, openedAt, beat, facts }));
  }

  async isAbandoned(epoch: number): Promise<boolean> {
    return this.#epochs.get(epoch)?.isHeld !== true;
  }

  async closeEpoch(epoch: number, beat?: number): Promise<boolean> {
    const open = this.#epochs.get(epoch);
    if (open !== undefined && beat !== undefined && open.beat !== beat) return false;
    this.#epochs.delete(epoch);
    return true;
  }

  /** For tests: the process that holds this epoch is dead. */
  abandon(epoch: number): void {
    const open = this.#epochs.get(epoch);
    if (open !== undefined) this.#epochs.set(epoch, { ...open, isHeld: false });
  }

  /** Nobody else can write here. */
  watch(): () => void {
    return () => {};
  }

  async commit(group: readonly Commit[], amendments: readonly Amendment[] = []): Promise<Outcome[]> {
    const outcomes = group.map((commit) => this.#apply(commit));
    this.#shared.amend(amendments, (epoch) => this.#epochs.has(epoch));
    return outcomes;
  }

  async amend(amendments: readonly Amendment[]): Promise<void> {
    this.#shared.amend(amendments, (epoch) => this.#epochs.has(epoch));
  }

  async readShared(): Promise<SharedRecord[]> {
    return this.#shared.read();
  }

  async readSharedSince(number: number): Promise<SharedChanges> {
    return this.#shared.since(number);
  }

  #apply(commit: Commit): Outcome {
    const known = this.#runs.get(commit.runId);
    if (commit.from === 0) {
      if (known !== undefined || (commit.epoch !== NOBODY && !this.#epochs.has(commit.epoch))) return "fenced";
      this.#trash.delete(commit.runId);
      this.#write(commit, emptyRun(commit));
      return "committed";
    }
    if (known?.record.commitNo !== commit.from || known.record.epoch !== commit.epoch || known.record.finished) return "fenced";
    this.#write(commit, known);
    return "committed";
  }

  async reopen(commit: Commit): Promise<Outcome> {
    const known = this.#runs.get(commit.runId);
    if (known === undefined || known.record.commitNo !== commit.from || !known.record.finished) return "fenced";
    this.#write({ ...commit, run: { ...commit.run, finished: false } }, known);
    known.record = { ...known.record, epoch: NOBODY, suspicion: 0, reason: null };
    return "committed";
  }

  #write(commit: Commit, run: StoredRun): void {
    const commitNo = commit.from + 1;
    run.past.keep(commit, run.actors);
    run.record = { ...run.record, ...commit.run, commitNo, updatedAt: commit.at };
    for (const actor of commit.actors) run.actors.set(actor.key, { ...actor, commitNo });
    for (const key of commit.gone ?? []) run.actors.delete(key);
    run.history.push({ commitNo, at: commit.at, body: commit.history });
    this.#notices.changed({ runId: commit.runId, commitNo, at: commit.at, body: commit.history });
    for (const notice of commit.notices ?? []) this.#notices.add(notice);
    this.#runs.set(commit.runId, run);
    const consumed = new Set(commit.consumed);
    if (consumed.size > 0) this.#takeOut(run, ({ number }) => consumed.has(number));
    for (const post of commit.posts ?? []) this.#post(post);
    for (const id of commit.eventIds ?? []) if (!run.events.has(id)) run.events.set(id, commitNo);
    for (const { number, body } of commit.answers ?? []) if (!this.#answers.has(number)) this.#answers.set(number, { at: commit.at, body });
    if (commit.run.finished) this.#takeOut(run, () => true);
  }

  #takeOut(run: StoredRun, isTaken: (row: InboxRecord) => boolean): void {
    for (const row of run.inbox) if (isTaken(row)) this.#posted.delete(row.number);
    run.inbox = run.inbox.filter((row) => !isTaken(row));
  }

  #post({ runId, body }: Post): number | undefined {
    const run = this.#runs.get(runId);
    if (run === undefined || run.record.finished) return undefined;
    const number = ++this.#number;
    run.inbox.push({ number, body });
    this.#posted.set(number, runId);
    return number;
  }

  async claim(epoch: number, definitions: readonly string[], at: number, now: number, limit: number): Promise<RunRecord[]> {
    if (!this.#epochs.has(epoch)) return [];
    const isFree = ({ record }: StoredRun): boolean =>
      !record.finished && !this.#epochs.has(record.epoch) && (record.wakeAt ?? 0) <= now && definitions.includes(record.definition);
    const free = [...this.#runs.values()].filter(isFree);
    free.sort(({ record: a }, { record: b }) => a.suspicion - b.suspicion || claimOrder(a, b));
    const batch = free.slice(0, free[0]?.record.suspicion ? 1 : limit).filter((run, _, [first]) => run.record.suspicion === first!.record.suspicion);
    return batch.map((run) => takeOver(run, epoch, at));
  }

  async claimRun(epoch: number, runId: string, at: number): Promise<RunRecord | undefined> {
    const run = this.#runs.get(runId);
    if (run === undefined || run.record.finished || !this.#epochs.has(epoch)) return undefined;
    if (run.record.epoch === epoch) return run.record;
    return this.#epochs.has(run.record.epoch) ? undefined : takeOver(run, epoch, at);
  }

  async hasUnowned(definitions: readonly string[]): Promise<boolean> {
    const isUnowned = ({ record }: StoredRun): boolean =>
      !record.finished && record.epoch === NOBODY && record.wakeAt === null && definitions.includes(record.definition);
    return [...this.#runs.values()].some(isUnowned);
  }

  async release(epoch: number, runIds: readonly string[]): Promise<void> {
    for (const id of runIds) {
      const run = this.#runs.get(id);
      if (run?.record.epoch === epoch && !run.record.finished) run.record = { ...run.record, epoch: NOBODY };
    }
  }

  async absolve(epoch: number, runIds: readonly string[]): Promise<void> {
    for (const id of runIds) {
      const run = this.#runs.get(id);
      if (run === undefined || run.record.finished || run.record.suspicion === 0) continue;
      run.record = { ...run.record, suspicion: run.record.epoch === epoch ? 0 : run.record.suspicion - 1 };
    }
  }

  async quarantine(epoch: number, runId: string, reason: string, at: number, notice?: Notice): Promise<void> {
    const run = this.#runs.get(runId);
    if (run?.record.epoch !== epoch || run.record.finished) return;
    run.record = { ...run.record, status: "quarantined", finished: true, reason, wakeAt: null, updatedAt: at };
    if (notice !== undefined) this.#notices.add(notice);
  }

  async addNotice(notice: Notice): Promise<void> {
    this.#notices.add(notice);
  }

  async readNotices(after: number, limit: number): Promise<NoticeRecord[]> {
    return this.#notices.read(after, limit);
  }

  async forgetNotices(numbers: readonly number[]): Promise<void> {
    this.#notices.forget(numbers);
  }

  async readRun(runId: string): Promise<RunRecord | undefined> {
    return this.#runs.get(runId)?.record;
  }

  async readActors(runId: string, keys?: readonly string[]): Promise<StoredActor[]> {
    const actors = this.#runs.get(runId)?.actors ?? new Map<string, StoredActor>();
    if (keys === undefined) return [...actors.values()];
    return keys.flatMap((key) => actors.get(key) ?? []);
  }

  async readActorRange(runId: string, from: string, below: string): Promise<StoredActor[]> {
    const rows = [...(this.#runs.get(runId)?.actors.values() ?? [])].filter(({ key }) => key >= from && key < below);
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async readPast(runId: string, commitNo: number): Promise<StoredActor[] | undefined> {
    const run = this.#runs.get(runId);
    return run?.past.read(commitNo, run.actors.values());
  }

  async firstPast(runId: string): Promise<number | undefined> {
    return this.#runs.get(runId)?.past.first();
  }

  async pastCommits(runId: string): Promise<number[]> {
    return this.#runs.get(runId)?.past.commits() ?? [];
  }

  async readHistory(runId: string, afterCommitNo: number, limit: number): Promise<HistoryRecord[]> {
    return (this.#runs.get(runId)?.history ?? []).slice(afterCommitNo, afterCommitNo + limit);
  }

  async readChanges(after: number, limit: number): Promise<ChangeRecord[]> {
    return this.#notices.changes(after, limit);
  }

  async readLastChange(): Promise<number> {
    return this.#notices.last;
  }

  async readInbox(runId: string, after: number, limit: number): Promise<InboxRecord[]> {
    const inbox = this.#runs.get(runId)?.inbox ?? [];
    const first = inbox.findIndex(({ number }) => number > after);
    return first === -1 ? [] : inbox.slice(first, first + limit);
  }

  async inboxRuns(after: string, limit: number): Promise<string[]> {
    const addressed = [...this.#runs.values()].filter(({ record, inbox }) => !record.finished && inbox.length > 0 && record.id > after);
    return addressed
      .map(({ record }) => record.id)
      .sort()
      .slice(0, limit);
  }

  async post(post: Post, limit = Infinity): Promise<number | undefined> {
    const waiting = this.#runs.get(post.runId)?.inbox.length ?? 0;
    if (waiting >= limit) throw new PawlError("PAWL_MAILBOX_FULL", { message: `too much waits for run "${post.runId}"` });
    return this.#post(post);
  }

  async inboxSince(number: number, limit: number): Promise<{ runIds: string[]; number: number }> {
    const rows = [...this.#posted].filter(([posted]) => posted > number).slice(0, limit);
    return { runIds: [...new Set(rows.map(([, runId]) => runId))], number: rows.at(-1)?.[0] ?? number };
  }

  async readReplies(numbers: readonly number[]): Promise<ReplyRecord[]> {
    return numbers.map((number) => ({ number, body: this.#answers.get(number)?.body, isPosted: this.#posted.has(number) }));
  }

  async takeAnswers(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) this.#answers.delete(number);
  }

  async forgetAnswers(before: number, limit: number): Promise<void> {
    const old = [...this.#answers].filter(([, { at }]) => at < before).sort(([, a], [, b]) => a.at - b.at);
    for (const [number] of old.slice(0, limit)) this.#answers.delete(number);
  }

  async readEvent(runId: string, eventId: string): Promise<number | undefined> {
    return this.#runs.get(runId)?.events.get(eventId);
  }

  async listRuns(filter: RunFilter): Promise<RunRecord[]> {
    return listed(this.#records, filter);
  }

  async endedStatuses(definition: string, limit: number): Promise<string[]> {
    return lastEnded(this.#records, definition, limit).map(({ status }) => status);
  }

  get #records(): MemoryRecord[] {
    return [...this.#runs.values()].map(({ record }) => record);
  }

  async dueRuns(...[epoch, definitions, now, after, limit]: Parameters<Store["dueRuns"]>): Promise<{ due: RunRecord[]; nextAt: number | null }> {
    return due(this.#records, epoch, definitions, now, after, limit);
  }

  async readyRuns(epoch: number, after: string, limit: number): Promise<RunRecord[]> {
    const ready = [...this.#runs.values()]
      .map(({ record }) => record)
      .filter((run) => !run.finished && run.epoch === epoch && run.wakeAt === null && run.id > after);
    return ready.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  async walkSleepers(after: string, limit: number): Promise<{ sleepers: RunRecord[]; last: string | undefined }> {
    const ids = [...this.#runs.keys()].filter((id) => id > after).sort();
    const records = ids.slice(0, limit).map((id) => this.#runs.get(id)!.record);
    const sleepers = records.filter(({ finished, wakeAt }) => !finished && wakeAt !== null && wakeAt < WAITS_FOR_EVENT);
    return { sleepers, last: records.at(-1)?.id };
  }

  async readSchedules(): Promise<ScheduleRecord[]> {
    return this.#schedules.read();
  }

  async writeSchedule(change: ScheduleChange): Promise<Outcome> {
    return this.#schedules.write(change, (commit) => this.#apply(commit));
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

  async countEnded(filter: PruneFilter): Promise<number> {
    return this.#ended(filter).length;
  }

  #ended(filter: PruneFilter): StoredRun[] {
    return [...this.#runs.values()].filter(
      ({ record }) =>
        record.finished && record.status === filter.status && record.updatedAt < filter.endedBefore && (filter.workflow ?? record.workflow) === record.workflow,
    );
  }

  async discard(filter: PruneFilter, limit: number): Promise<number> {
    const ended = this.#ended(filter);
    ended.sort((a, b) => a.record.updatedAt - b.record.updatedAt || (a.record.id < b.record.id ? -1 : 1));
    for (const run of ended.slice(0, limit)) {
      this.#runs.delete(run.record.id);
      this.#trash.set(run.record.id, run.actors.size + run.history.length + run.events.size + run.past.size + run.inbox.length + 1);
      this.#takeOut(run, () => true);
    }
    this.#notices.keepChanges((runId) => this.#runs.has(runId));
    return Math.min(ended.length, limit);
  }

  async sweep(limit: number): Promise<number> {
    let swept = 0;
    for (const [runId, rows] of this.#trash) {
      const taken = Math.min(rows, limit - swept);
      if (taken === rows) this.#trash.delete(runId);
      else this.#trash.set(runId, rows - taken);
      swept += taken;
    }
    return swept;
  }

  async close(): Promise<void> {
    this.#epochs.clear();
  }

  /** For tests: changes a stored row behind everybody's back. */
  tamper(runId: string, change: (rows: { run: RunRecord; actors: Map<string, ActorRecord> }) => void): void {
    const run = this.#runs.get(runId)!;
    const rows = { run: { ...run.record }, actors: run.actors as Map<string, ActorRecord> };
    change(rows);
    Object.assign(run.record, rows.run);
  }
}
