/**
 * The store: rows, commits and epochs. It knows bytes, not workflows. Any number of processes may use it at once.
 * 1. A commit is applied whole or not at all, and is durable before it is answered.
 * 2. A commit is conditional on its run: `from` is the run's commit number and `epoch` its owner, else it is `fenced`
 *    and the others of its group are not harmed.
 * 3. After a failure of the disk every call rejects with PAWL_STORE_FAILED.
 * 4. A run whose epoch is not open belongs to nobody, and can be claimed. No epoch is given twice.
 */

import type { Amendment, SharedChanges, SharedRecord } from "./shared-record.ts";

export type { Amendment, SharedChanges } from "./shared-record.ts";

/**
 * The `wakeAt` of a run that waits for an event only: it sleeps like one with an instant, but no instant wakes it.
 * The next instant that `dueRuns` answers is never this one.
 */
export const WAITS_FOR_EVENT = Number.MAX_SAFE_INTEGER;

/** The epoch of a run that nobody has taken on yet. */
export const NOBODY = 0;

/** What a run is looked up by. Given when it is created, and never changed. */
export interface RunFacts {
  /** What or whom it is about. */
  readonly subject?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Of a fork: where it came from. Opaque here. */
  readonly origin?: string | undefined;
}

/** A run as it is stored. `body` is opaque here; the checksum is the writer's. */
export interface RunRecord {
  readonly id: string;
  readonly workflow: string;
  readonly definition: string;
  readonly status: string;
  readonly body: string;
  readonly checksum: number;
  /** The instant at which it wants to be loaded again, in ms since 1970; null while it has work to do, or none for ever. */
  readonly wakeAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly commitNo: number;
  readonly epoch: number;
  /** Loads in a row that were not seen to end: the run may be what crashes its worker. */
  readonly suspicion: number;
  /** Why it was set aside, when it is quarantined. */
  readonly reason: string | null;
  readonly subject: string | null;
  readonly tags: readonly string[];
  readonly origin: string | null;
}

/** A process that executes, or did: its epoch is open until it closes it, or another does because it is gone. */
export interface EpochRecord {
  readonly id: number;
  readonly openedAt: number;
  /** Grows with each beat. */
  readonly beat: number;
  /** What it says of itself. Opaque here. */
  readonly facts: string;
}

/** One actor of a run, or one of its large values. */
export interface ActorRecord {
  readonly key: string;
  readonly status: string;
  readonly body: string;
  readonly output: string | null;
  readonly checksum: number;
}

/** An actor's row with the commit that wrote it. */
export interface StoredActor extends ActorRecord {
  readonly commitNo: number;
}

export interface HistoryRecord {
  readonly commitNo: number;
  readonly at: number;
  readonly body: string;
}

/** An entry of some run's history. Sequence numbers grow in the order of the commits; none is given twice. */
export interface ChangeRecord extends HistoryRecord {
  readonly sequence: number;
  readonly runId: string;
}

/** What people are to be told of a run. Opaque here, but for its id: while one of this id waits no other is added. */
export interface Notice {
  readonly id: string;
  readonly runId: string;
  readonly at: number;
  readonly body: string;
}

/** A notice that waits to be told. Numbers grow in the order of the commits. */
export interface NoticeRecord extends Notice {
  readonly number: number;
}

/** What one run says to another: a row in the inbox of that run, if it exists and is unfinished; else nothing. */
export interface Post {
  readonly runId: string;
  readonly body: string;
}

/** A row of an inbox. Numbers grow in the order of arrival; a file gives none twice. */
export interface InboxRecord {
  readonly number: number;
  readonly body: string;
}

/** What became of a row of an inbox. */
export interface ReplyRecord {
  readonly number: number;
  readonly body: string | undefined;
  /** Is the row still there? */
  readonly isPosted: boolean;
}

/** What is said to whoever put this row into an inbox. */
export interface Answer {
  readonly number: number;
  readonly body: string;
}

/**
 * Everything that changes in one run at one instant. `from: 0` creates the run, for this epoch or for NOBODY. A commit
 * that finishes the run empties its inbox.
 */
export interface Commit {
  readonly runId: string;
  readonly from: number;
  readonly epoch: number;
  readonly at: number;
  readonly run: Pick<RunRecord, "workflow" | "definition" | "status" | "body" | "checksum" | "wakeAt"> & { readonly finished: boolean };
  readonly actors: readonly ActorRecord[];
  readonly history: string;
  /** Keys of actors whose rows are deleted, if they are there; none of them is also among `actors`. */
  readonly gone?: readonly string[];
  readonly posts?: readonly Post[];
  /** Numbers of rows of this run's inbox, which are deleted. */
  readonly consumed?: readonly number[];
  /** Events that this commit consumed; of an id that was consumed before, the first commit is kept. */
  readonly eventIds?: readonly string[];
  /** Answers to rows of this run's inbox that asked for one. They stay until they are taken, or forgotten. */
  readonly answers?: readonly Answer[];
  readonly notices?: readonly Notice[];
  /** Of a commit that creates the run. */
  readonly facts?: RunFacts;
  /** Of a commit that creates the run: the less, the sooner it is claimed. Default: `at`. */
  readonly rank?: number;
  /** Nothing is kept when it is left out: of the commits before, none can be read. */
  readonly keepPast?: KeepPast;
}

/**
 * Of the commits before this one whose number is a multiple of `every`, the last so many can be read: the rows that it
 * changes or deletes are kept if they stood at such a commit. When `every` is another than before, earlier commits cannot
 * be read any more.
 */
export interface KeepPast {
  readonly commits: number;
  readonly every: number;
}

/**
 * committed: durable. fenced: the run is not as the commit expects (for a create: it exists, or its epoch is closed).
 * full: not applied, no space. unknown: applied or not; `readRun` tells.
 */
export type Outcome = "committed" | "fenced" | "full" | "unknown";

export interface RunFilter {
  readonly status?: string | undefined;
  readonly workflow?: string | undefined;
  readonly subject?: string | undefined;
  readonly tag?: string | undefined;
  /** Only runs created at this instant or later, and before that one, in ms since 1970. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** true: only unfinished runs. */
  readonly unfinished?: boolean | undefined;
  /** Only runs that come after this id in the order of the list. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Rows that may wait in the inbox of a run before it is sent no more events. Requests of other kinds come in even so. */
export const INBOX_MAX = 10_000;

/** A place in the order of due runs. */
export interface DueCursor {
  readonly wakeAt: number;
  readonly id: string;
}

/** Ended runs that are to go. */
export interface PruneFilter {
  readonly status: string;
  /** Only runs that ended before, in ms since 1970. */
  readonly endedBefore: number;
  readonly workflow?: string | undefined;
}

/** A schedule: the instant at which it starts its next run. `body` is opaque here; the checksum is the writer's. */
export interface ScheduleRecord {
  readonly name: string;
  /** How often it was written. */
  readonly revision: number;
  /** In ms since 1970; null when there is none. */
  readonly nextAt: number | null;
  readonly body: string;
  readonly checksum: number;
}

/**
 * A schedule as it becomes, conditional on its revision; `from: 0` creates it. The runs are created with it, or nothing
 * is done; one whose id is taken is left as it is.
 */
export interface ScheduleChange extends Omit<ScheduleRecord, "revision"> {
  readonly from: number;
  readonly runs?: readonly Commit[];
}

export interface Store {
  // ---- epochs

  /** Opens an epoch for this process, beside any others, and holds it until it is closed or the process dies. */
  openEpoch(at: number, facts: string): Promise<number>;
  /** A sign of life, with what there is to say. false: the epoch is not open any more. */
  beat(epoch: number, facts: string): Promise<boolean>;
  /** The open epochs, oldest first. */
  readEpochs(): Promise<EpochRecord[]>;
  /** Is nobody there who holds this open epoch? */
  isAbandoned(epoch: number): Promise<boolean>;
  /**
   * From now on the runs of this epoch can be claimed; of an epoch of this process also the hold ends. With `beat` only
   * when its beat is that still. Answers whether it is closed now.
   */
  closeEpoch(epoch: number, beat?: number): Promise<boolean>;
  /**
   * Calls back, within 100 ms, after another process has written; several writes may be told at once. Sooner for a
   * second after replies were read, and after something was found in an inbox by `inboxSince`. Answers what ends it.
   */
  watch(listener: () => void): () => void;

  // ---- commits and ownership

  /** The shared rows are amended in the same transaction, after the commits, whatever becomes of those. */
  commit(group: readonly Commit[], amendments?: readonly Amendment[]): Promise<Outcome[]>;
  /** Makes an ended run one that is unfinished and nobody's: conditional on its commit number and that it has ended. */
  reopen(commit: Commit): Promise<Outcome>;
  /**
   * Takes over unfinished runs whose epoch is not open, that have one of these definitions and are ready (no `wakeAt`)
   * or due (`wakeAt` <= `now`); counts a suspicion for each. Those that are ready come first, by rank and id, whosever
   * they were; then those that are due, by their instants. Suspects come last and one at a time. Sleeping runs stay as they
   * are. An epoch that is not open gets none.
   */
  claim(epoch: number, definitions: readonly string[], at: number, now: number, limit: number): Promise<RunRecord[]>;
  /**
   * Takes over one unfinished run whose epoch is not open, even a sleeping one, as `claim` does; one that this epoch owns
   * already is only answered.
   */
  claimRun(epoch: number, runId: string, at: number): Promise<RunRecord | undefined>;
  /** Is there a ready run of one of these definitions that is NOBODY's? */
  hasUnowned(definitions: readonly string[]): Promise<boolean>;
  /** Gives runs of this epoch to NOBODY. */
  release(epoch: number, runIds: readonly string[]): Promise<void>;
  /**
   * These loads ended well: nothing is suspected of runs of this epoch. A run that another took over meanwhile, because
   * this one did not show itself, is suspected of one load less: what holds up its worker for good never says this.
   */
  absolve(epoch: number, runIds: readonly string[]): Promise<void>;
  /** The notice is added if the run is set aside with this call. */
  quarantine(epoch: number, runId: string, reason: string, at: number, notice?: Notice): Promise<void>;

  // ---- runs and their rows

  readRun(runId: string): Promise<RunRecord | undefined>;
  /** All, or those with these keys, in the order of the keys. */
  readActors(runId: string, keys?: readonly string[]): Promise<StoredActor[]>;
  /** Those whose key is not less than the first and less than the second, by the bytes of the keys; in that order. */
  readActorRange(runId: string, from: string, below: string): Promise<StoredActor[]>;
  /** The rows as they were after this commit; undefined when they were not kept. The newest commit can always be read. */
  readPast(runId: string, commitNo: number): Promise<StoredActor[] | undefined>;
  /** The first commit that can be read by `readPast`; undefined when nothing was kept. */
  firstPast(runId: string): Promise<number | undefined>;
  /** All commits that can be read by `readPast`, oldest first; none of an unknown run. */
  pastCommits(runId: string): Promise<number[]>;
  readHistory(runId: string, afterCommitNo: number, limit: number): Promise<HistoryRecord[]>;
  /** Of all runs, after this number, in the order of the commits; of runs that were discarded some may be missing. */
  readChanges(after: number, limit: number): Promise<ChangeRecord[]>;
  /** The greatest sequence number that was given; 0 when none was. */
  readLastChange(): Promise<number>;
  /** Newest first. */
  listRuns(filter: RunFilter): Promise<RunRecord[]>;
  /** The statuses of the runs of this definition that ended last, newest first. */
  endedStatuses(definition: string, limit: number): Promise<string[]>;
  /**
   * Owned unfinished runs whose `wakeAt` is there, the longest due first, after this one; and the next instant that is
   * not there yet, of all unfinished runs of these definitions, whoever owns them.
   */
  dueRuns(epoch: number, definitions: readonly string[], now: number, after: DueCursor, limit: number): Promise<{ due: RunRecord[]; nextAt: number | null }>;
  /** Owned unfinished runs that do not wait for an instant, by id, after this one. */
  readyRuns(epoch: number, after: string, limit: number): Promise<RunRecord[]>;
  /** Looks at so many runs by id, after this one: those that sleep until an instant, and the last id that was looked at. */
  walkSleepers(after: string, limit: number): Promise<{ sleepers: RunRecord[]; last: string | undefined }>;

  // ---- inboxes

  /**
   * Puts a row into the inbox of a run, and answers its number; undefined when the run is unknown or has ended. Throws
   * PAWL_MAILBOX_FULL when there are `limit` rows.
   */
  post(post: Post, limit?: number): Promise<number | undefined>;
  /** In the order of arrival, those with a greater number than `after`. */
  readInbox(runId: string, after: number, limit: number): Promise<InboxRecord[]>;
  /** Unfinished runs that have something in their inbox, by id, after this one. */
  inboxRuns(after: string, limit: number): Promise<string[]>;
  /** Which runs got something after this number, and the greatest number there is, in one look; at most so many rows. */
  inboxSince(number: number, limit: number): Promise<{ runIds: string[]; number: number }>;
  /** Of each of these rows: its answer, and whether it is still in its inbox; all as they were at one instant. */
  readReplies(numbers: readonly number[]): Promise<ReplyRecord[]>;
  /** Deletes the answers to these rows. */
  takeAnswers(numbers: readonly number[]): Promise<void>;
  /** Deletes answers that nobody took, of commits before this instant; at most so many. */
  forgetAnswers(before: number, limit: number): Promise<void>;
  /** The number of the commit that consumed the event. */
  readEvent(runId: string, eventId: string): Promise<number | undefined>;

  // ---- notices

  addNotice(notice: Notice): Promise<void>;
  /** Those with a greater number, in order. They outlive their runs. */
  readNotices(after: number, limit: number): Promise<NoticeRecord[]>;
  /** They were told. */
  forgetNotices(numbers: readonly number[]): Promise<void>;

  // ---- shared rows

  /** Throws PAWL_STORE_FULL when there is no space: then none was amended. */
  amend(amendments: readonly Amendment[]): Promise<void>;
  /** By key. */
  readShared(): Promise<SharedRecord[]>;
  /** What became of them after the change of this number; 0: since there are any. */
  readSharedSince(number: number): Promise<SharedChanges>;

  // ---- schedules

  /** By name. */
  readSchedules(): Promise<ScheduleRecord[]>;
  /** fenced: it was written since this revision, and is as it was. */
  writeSchedule(change: ScheduleChange): Promise<Outcome>;

  // ---- definitions, and what is no longer needed

  writeDefinition(hash: string, workflow: string, body: string): Promise<void>;
  readDefinition(hash: string): Promise<string | undefined>;
  /** The hashes of all definitions of this workflow. */
  definitionsOf(workflow: string): Promise<string[]>;
  /** How many runs `discard` would take. */
  countEnded(filter: PruneFilter): Promise<number>;
  /**
   * Takes ended runs out of sight, the longest ended first; answers how many. Their rows stay until they are swept. Both
   * take fewer than they may rather than hold the store for more than some ms.
   */
  discard(filter: PruneFilter, limit: number): Promise<number>;
  /** Deletes at most so many rows of runs that were discarded; answers how many. */
  sweep(limit: number): Promise<number>;
  close(): Promise<void>;
}

/** How many loads that did not end make a run a suspect that is set aside, and within which time. */
export const SUSPICIONS_MAX = 3;
export const SUSPICION_WINDOW_MS = 600_000;
