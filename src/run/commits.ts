/**
 * Group commit: what is to be written at the same moment shares a transaction, one at a time.
 * Rows that workers share are written along.
 * 1. A commit whose outcome is unknown is looked up. 2. While the disk is full what waits is kept and tried again.
 */
import type { Clock } from "../clock.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { Amendment, Commit, Outcome, Store } from "../store/store.ts";
import type { AttemptSeams } from "./attempt.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { SharedRows } from "./shared-rows.ts";

/** The first and the longest wait before a commit that found the disk full is tried again. */
const FULL_WAIT_MS = 250;
const FULL_WAIT_MAX_MS = 5_000;

export interface PendingCommit {
  readonly run: HostedRun;
  readonly commit: Commit;
}

export interface CommitHooks {
  /** A group is about to be written: what belongs to it of the rows that workers share is to be changed now. */
  isAboutToWrite(): void;
  /** Is the run still the one in memory? */
  isHosted(run: HostedRun): boolean;
  committed(pending: PendingCommit): void;
  /** The run exists, or is another worker's. */
  fenced(pending: PendingCommit): void;
  /** There was no space for a new run. */
  refused(pending: PendingCommit): void;
  /** The store failed. */
  failed(error: PawlError): void;
  /** All is written that was to be. */
  rests(): void;
  /** There is space again. */
  hasSpace(): void;
}

export class Commits {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #seams: AttemptSeams;
  readonly #hooks: CommitHooks;
  readonly #shared: SharedRows;
  #pending: PendingCommit[] = [];
  #isWriting = false;
  #isStopped = false;
  #fullWaitMs = 0;
  #cancelFullWait: (() => void) | undefined;

  constructor(store: Store, clock: Clock, seams: AttemptSeams, shared: SharedRows, hooks: CommitHooks) {
    this.#store = store;
    this.#shared = shared;
    this.#clock = clock;
    this.#seams = seams;
    this.#hooks = hooks;
  }

  get isFull(): boolean {
    return this.#fullWaitMs > 0;
  }

  get isBusy(): boolean {
    return this.#isWriting || this.#hasMore;
  }

  get #hasMore(): boolean {
    return this.#pending.length > 0 || this.#shared.isDirty;
  }

  add(pending: PendingCommit): void {
    this.#pending.push(pending);
  }

  /** Forgets what waits. */
  clear(): void {
    this.#pending = [];
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelFullWait?.();
  }

  /** Writes what waits, unless that is under way. */
  async write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (!this.#isStopped) {
      this.#hooks.isAboutToWrite();
      if (!this.#hasMore) break;
      const group = this.#pending.filter(({ run }) => this.#hooks.isHosted(run));
      this.#pending = [];
      const amendments = this.#shared.take();
      if (group.length + amendments.length === 0) break;
      try {
        if (group.length === 0) await this.#writeShared(amendments);
        else {
          const outcomes = await this.#write(group, amendments);
          if (this.#isStopped) return;
          await this.#settle(group, outcomes);
        }
      } catch (error) {
        return this.#hooks.failed(isPawlError(error, "PAWL_STORE_FAILED") ? error : new PawlError("PAWL_STORE_FAILED", { cause: error }));
      }
      if (this.isFull) break;
    }
    this.#isWriting = false;
    this.#hooks.rests();
  }

  async #write(group: readonly PendingCommit[], amendments: readonly Amendment[]): Promise<Outcome[]> {
    const commits = group.map(({ commit }) => commit);
    const since = this.#clock.mono();
    const outcomes = await this.#store.commit(commits, amendments);
    this.#seams.meter?.commits(group.length, this.#clock.mono() - since);
    // what is unknown is tried again, and counts once
    if (outcomes.some((outcome) => outcome === "full" || outcome === "unknown")) this.#shared.notWritten();
    else this.#shared.written();
    return outcomes;
  }

  async #writeShared(amendments: readonly Amendment[]): Promise<void> {
    try {
      await this.#store.amend(amendments);
      this.#shared.written();
      this.#fullWaitMs = 0;
    } catch (error) {
      if (!isPawlError(error, "PAWL_STORE_FULL")) throw error;
      this.#shared.notWritten();
      this.#waitForSpace();
    }
  }

  async #settle(group: readonly PendingCommit[], outcomes: readonly Outcome[]): Promise<void> {
    let isFull = false;
    for (const [i, pending] of group.entries()) {
      const answer = outcomes[i]!;
      const outcome = answer === "unknown" ? await this.#resolveUnknown(pending.commit) : answer;
      if (outcome === "committed") this.#hooks.committed(pending);
      else if (outcome === "fenced") this.#hooks.fenced(pending);
      else if (outcome === "full" && pending.commit.from === 0) this.#hooks.refused(pending);
      else this.#pending.push(pending);
      isFull ||= outcome === "full";
    }
    if (isFull) this.#waitForSpace();
    else this.#fullWaitMs = 0;
  }

  /** Only the owner writes a run: its commit number tells whether this commit was applied. */
  async #resolveUnknown(commit: Commit): Promise<"committed" | "fenced" | "again"> {
    const row = await this.#store.readRun(commit.runId);
    const isOwn = commit.from > 0 || (row?.createdAt === commit.at && row.checksum === commit.run.checksum);
    if (row?.epoch === commit.epoch && row.commitNo === commit.from + 1) return isOwn ? "committed" : "fenced";
    return (row?.commitNo ?? 0) === commit.from && (row === undefined || row.epoch === commit.epoch) ? "again" : "fenced";
  }

  /** Finished results stay in memory; what waits is tried again, at growing intervals. */
  #waitForSpace(): void {
    this.#fullWaitMs = Math.min(FULL_WAIT_MAX_MS, Math.max(FULL_WAIT_MS, this.#fullWaitMs * 2));
    this.#seams.log.error({ waitMs: this.#fullWaitMs }, "the disk is full; nothing new starts");
    this.#cancelFullWait = this.#clock.after(this.#fullWaitMs, () => {
      if (!this.#hasMore) this.#fullWaitMs = 0;
      void this.write().then(() => this.isFull || this.#hooks.hasSpace());
    });
  }
}
