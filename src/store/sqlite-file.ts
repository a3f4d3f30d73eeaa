/**
 * One SQLite file, spoken to synchronously: commits, runs, their rows, and definitions; what concerns epochs, claims,
 * lists, inboxes, the past and pruning has files of its own. WAL with synchronous=FULL, so that what is answered is on
 * the disk. A full disk is an outcome; any other failure makes the file *failed* for good.
 */
import { applyCommit, applyReopen } from "./sqlite-commit.ts";
import { sqliteClaims, SUSPICIONS } from "./sqlite-claims.ts";
import { isFull, type SqliteConnection } from "./sqlite-connection.ts";
import { sqliteEpochs } from "./sqlite-epochs.ts";
import { type PostAll, sqliteInbox } from "./sqlite-inbox.ts";
import { sqliteList } from "./sqlite-list.ts";
import { sqliteNotices } from "./sqlite-notices.ts";
import { sqlitePast } from "./sqlite-past.ts";
import { LeftRowsError, sqlitePrune, type SweepRun } from "./sqlite-prune.ts";
import { applyAmendments, sqliteShared } from "./sqlite-shared.ts";
import { sqliteSchedules } from "./sqlite-schedules.ts";
import { ACTOR_COLUMNS, type Calls, READY, RUN_COLUMNS, type RunRow, runOf, WAITING } from "./sqlite-rows.ts";
import { type HistoryRecord, type Outcome, type Store, type StoredActor, WAITS_FOR_EVENT } from "./store.ts";

const READ_RUN = `SELECT ${RUN_COLUMNS} FROM run WHERE id = ?`;
const READ_ACTOR = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ? AND key = ?`;
const READ_ACTOR_RANGE = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ? AND key >= ? AND key < ? ORDER BY key`;
const READ_ACTORS = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ?`;
const READ_HISTORY = "SELECT commit_no AS commitNo, at, body FROM history WHERE run_id = ? AND commit_no > ? ORDER BY commit_no LIMIT ?";
const OWNED_DUE = `SELECT ${RUN_COLUMNS} FROM run WHERE ${WAITING} AND epoch = ? AND wake_at <= ? AND (wake_at, id) > (?, ?) ORDER BY wake_at, id LIMIT ?`;
const OWNED_READY = `SELECT ${RUN_COLUMNS} FROM run WHERE ${READY} AND epoch = ? AND id > ? ORDER BY id LIMIT ?`;
const WALK_TO = "SELECT max(id) AS last FROM (SELECT id FROM run WHERE id > ? ORDER BY id LIMIT ?)";
/** `+`: by the ids alone, not by an index of all that is unfinished. */
const SLEEPERS = `SELECT ${RUN_COLUMNS} FROM run WHERE id > ? AND id <= ? AND +finished = 0 AND +wake_at < ${WAITS_FOR_EVENT}`;
/** One step into the index for each definition and suspicion, however many runs sleep. */
const NEXT_WAKE = `SELECT min((SELECT wake_at FROM run WHERE ${WAITING} AND definition = wanted.value AND suspicion = level.value
    AND wake_at > ? AND wake_at < ${WAITS_FOR_EVENT} ORDER BY wake_at LIMIT 1)) AS nextAt
  FROM json_each(?) AS wanted, json_each(?) AS level`;
const WRITE_DEFINITION = "INSERT INTO definition (hash, workflow, body) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING";
const READ_DEFINITION = "SELECT body FROM definition WHERE hash = ?";
const DEFINITIONS_OF = "SELECT hash FROM definition WHERE workflow = ? ORDER BY hash";

/** Everything that a store is asked, but to be watched and closed; posts together. */
export function sqliteFile(connection: SqliteConnection): Calls<Exclude<keyof Store, "watch" | "close" | "post">> & PostAll & SweepRun {
  return {
    ...sqliteCommits(connection),
    ...sqliteRuns(connection),
    ...sqliteDefinitions(connection),
    ...sqliteEpochs(connection),
    ...sqliteClaims(connection),
    ...sqliteList(connection),
    ...sqliteNotices(connection),
    ...sqliteInbox(connection),
    ...sqlitePast(connection),
    ...sqlitePrune(connection),
    ...sqliteSchedules(connection),
    ...sqliteShared(connection),
  };
}

function sqliteCommits(connection: SqliteConnection): Calls<"commit" | "reopen"> {
  const outcomes = (count: number, work: () => Outcome[]): Outcome[] => {
    try {
      return connection.transaction(work);
    } catch (error) {
      if (error instanceof LeftRowsError) throw error;
      if (isFull(error)) return Array.from({ length: count }, () => "full");
      throw connection.failUnlessBusy(error);
    }
  };
  return {
    commit: (group, amendments = []) =>
      outcomes(group.length, () => {
        const answers = group.map((commit) => applyCommit(connection, commit));
        applyAmendments(connection, amendments);
        return answers;
      }),
    reopen: (commit) => outcomes(1, () => [applyReopen(connection, commit)])[0]!,
  };
}

function sqliteRuns(
  connection: SqliteConnection,
): Calls<"readRun" | "readActors" | "readActorRange" | "readHistory" | "dueRuns" | "readyRuns" | "walkSleepers"> {
  return {
    readRun: (runId) => {
      const row = connection.read(() => connection.get(READ_RUN, runId)) as RunRow | undefined;
      return row === undefined ? undefined : runOf(row);
    },
    readActors: (runId, keys) =>
      connection.read(() => {
        if (keys === undefined) return connection.all<StoredActor>(READ_ACTORS, runId);
        return keys.flatMap((key) => (connection.get(READ_ACTOR, runId, key) as StoredActor | undefined) ?? []);
      }),
    readActorRange: (runId, from, below) => connection.read(() => connection.all<StoredActor>(READ_ACTOR_RANGE, runId, from, below)),
    readHistory: (runId, afterCommitNo, limit) => connection.read(() => connection.all<HistoryRecord>(READ_HISTORY, runId, afterCommitNo, limit)),
    dueRuns: (epoch, definitions, now, after, limit) =>
      connection.read(() => {
        const due = connection.all<RunRow>(OWNED_DUE, epoch, now, after.wakeAt, after.id, limit).map(runOf);
        const { nextAt } = connection.get(NEXT_WAKE, now, JSON.stringify(definitions), JSON.stringify(SUSPICIONS)) as { nextAt: number | null };
        return { due, nextAt };
      }),
    walkSleepers: (after, limit) =>
      connection.read(() => {
        const { last } = connection.get(WALK_TO, after, limit) as { last: string | null };
        return last === null ? { sleepers: [], last: undefined } : { sleepers: connection.all<RunRow>(SLEEPERS, after, last).map(runOf), last };
      }),
    readyRuns: (epoch, after, limit) => connection.read(() => connection.all<RunRow>(OWNED_READY, epoch, after, limit)).map(runOf),
  };
}

function sqliteDefinitions(connection: SqliteConnection): Calls<"writeDefinition" | "readDefinition" | "definitionsOf"> {
  return {
    writeDefinition: (hash, workflow, body) => {
      if (connection.read(() => connection.get(READ_DEFINITION, hash)) === undefined)
        connection.write(() => connection.run(WRITE_DEFINITION, hash, workflow, body));
    },
    readDefinition: (hash) => (connection.read(() => connection.get(READ_DEFINITION, hash)) as { body: string } | undefined)?.body,
    definitionsOf: (workflow) => connection.read(() => connection.all<{ hash: string }>(DEFINITIONS_OF, workflow)).map(({ hash }) => hash),
  };
}
