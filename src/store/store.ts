/**
 * The store: rows, commits and epochs. It knows bytes, not workflows.
 * 1. A commit is applied whole or not at all, and is durable before it is answered.
 * 2. A commit is conditional on its run: `from` is the run's commit number and `epoch` its owner, else it is `fenced`
 *    and the others of its group are not harmed.
 * 3. After a failure of the disk every call rejects with PAWL_STORE_FAILED.
 */

/**
 * The `wakeAt` of a run that waits for an event only: it sleeps like one with an instant, but no instant wakes it.
 * The next instant that `dueRuns` answers is never this one.
 */
export const WAITS_FOR_EVENT = Number.MAX_SAFE_INTEGER;

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

/**
 * Everything that changes in one run at one instant. `from: 0` creates the run. A commit that finishes the run empties
 * its inbox.
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
}

/**
 * committed: durable. fenced: the run is not as the commit expects (for a create: it exists). full: not applied, no
 * space. unknown: applied or not; `readRun` tells.
 */
export type Outcome = "committed" | "fenced" | "full" | "unknown";

export interface RunFilter {
  readonly status?: string | undefined;
  readonly workflow?: string | undefined;
  /** true: only unfinished runs. */
  readonly unfinished?: boolean | undefined;
  /** Only runs that come after this id in the order of the list. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A place in the order of due runs. */
export interface DueCursor {
  readonly wakeAt: number;
  readonly id: string;
}

export interface Store {
  /** Becomes the one executing process; answers its epoch. Throws PAWL_STORE_LOCKED. */
  openEpoch(at: number): Promise<number>;
  commit(group: readonly Commit[]): Promise<Outcome[]>;
  /**
   * Takes over unfinished runs of earlier epochs that have one of these definitions and are ready (no `wakeAt`) or due
   * (`wakeAt` <= `now`); counts a suspicion for each. Suspects come last and one at a time. Sleeping runs stay as they are.
   */
  claim(epoch: number, definitions: readonly string[], at: number, now: number, limit: number): Promise<RunRecord[]>;
  /** Takes over one unfinished run, even a sleeping one, as `claim` does; one that this epoch owns already is only answered. */
  claimRun(epoch: number, runId: string, at: number): Promise<RunRecord | undefined>;
  /** These loads ended well. */
  absolve(epoch: number, runIds: readonly string[]): Promise<void>;
  quarantine(epoch: number, runId: string, reason: string, at: number): Promise<void>;
  readRun(runId: string): Promise<RunRecord | undefined>;
  readActors(runId: string, keys?: readonly string[]): Promise<StoredActor[]>;
  readHistory(runId: string, afterCommitNo: number, limit: number): Promise<HistoryRecord[]>;
  /** In the order of arrival. */
  readInbox(runId: string): Promise<InboxRecord[]>;
  /** Unfinished runs that have something in their inbox, by id, after this one. */
  inboxRuns(after: string, limit: number): Promise<string[]>;
  /** The number of the commit that consumed the event. */
  readEvent(runId: string, eventId: string): Promise<number | undefined>;
  /** Newest first. */
  listRuns(filter: RunFilter): Promise<RunRecord[]>;
  /**
   * Owned unfinished runs whose `wakeAt` is there, the longest due first, after this one; and the next instant that is
   * not there yet, of all unfinished runs of these definitions, whoever owns them.
   */
  dueRuns(epoch: number, definitions: readonly string[], now: number, after: DueCursor, limit: number): Promise<{ due: RunRecord[]; nextAt: number | null }>;
  /** Owned unfinished runs that do not wait for an instant, by id, after this one. */
  readyRuns(epoch: number, after: string, limit: number): Promise<RunRecord[]>;
  writeDefinition(hash: string, workflow: string, body: string): Promise<void>;
  readDefinition(hash: string): Promise<string | undefined>;
  /** The hashes of all definitions of this workflow. */
  definitionsOf(workflow: string): Promise<string[]>;
  close(): Promise<void>;
}

/** How many loads that did not end make a run a suspect that is set aside, and within which time. */
export const SUSPICIONS_MAX = 3;
export const SUSPICION_WINDOW_MS = 600_000;
