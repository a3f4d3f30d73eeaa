/**
 * The floor `bare` for machine runs: the commits of a recorded run, with every text of every row, written again by
 * node:sqlite alone, in the same groups, to the same tables and indexes, in WAL with synchronous=FULL.
 * NOT part of it: making the rows, checksums, fences, and reading.
 */
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { Pawl } from "pawl";
import { systemClock } from "../../src/clock.ts";
import { openOn } from "../../src/open.ts";
import { systemRandom } from "../../src/random.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Commit } from "../../src/store/store.ts";
import { inTemporaryFolder, timed } from "./harness.ts";

type Groups = readonly (readonly Commit[])[];
type Work = (pawl: Pawl, begin: () => void) => Promise<void>;

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: console.error };

/** The groups of commits that this work made since it said `begin`, and those before. */
export interface Recorded {
  readonly before: Groups;
  readonly groups: Groups;
}

/** Does the work once and takes down its commits. */
export function recordCommits(work: Work): Promise<Recorded> {
  return inTemporaryFolder(async (folder) => {
    const store = openSqliteStore(join(folder, "pawl.db"), { mustExist: false });
    let groups: (readonly Commit[])[] = [];
    let before: Groups = [];
    const commit = store.commit.bind(store);
    store.commit = (group) => (groups.push(group), commit(group));
    const onFatal = (error: Error): never => {
      throw error;
    };
    const pawl = await openOn(store, { store, clock: systemClock, random: systemRandom, attempts: { log, environment: () => undefined }, onFatal }, {});
    await work(pawl, () => {
      before = groups;
      groups = [];
    });
    await pawl.close();
    return { before, groups };
  });
}

const RUN = "id, workflow, definition, status, body, checksum, wake_at, created_at, updated_at, commit_no, epoch, finished";
const ACTOR = "run_id, key, commit_no, status, body, output, checksum";
const ACTOR_SET = ["commit_no", "status", "body", "output", "checksum"].map((column) => `${column} = excluded.${column}`).join(", ");
const places = (columns: string): string => columns.replaceAll(/\w+/g, "?");
const INSERT_RUN = `INSERT INTO run (${RUN}) VALUES (${places(RUN)})`;
const UPDATE_RUN = "UPDATE run SET status = ?, body = ?, checksum = ?, updated_at = ?, commit_no = ? WHERE id = ?";
const UPDATE_INDEXED = "UPDATE run SET status = ?, body = ?, checksum = ?, updated_at = ?, commit_no = ?, wake_at = ?, finished = ? WHERE id = ?";
const WRITE_ACTOR = `INSERT INTO actor (${ACTOR}) VALUES (${places(ACTOR)}) ON CONFLICT (run_id, key) DO UPDATE SET ${ACTOR_SET}`;
const DELETE_ACTOR = "DELETE FROM actor WHERE run_id = ? AND key = ?";
const WRITE_HISTORY = "INSERT INTO history (run_id, commit_no, at, body) VALUES (?, ?, ?, ?)";

type Writes = readonly (readonly [sql: string, values: readonly SQLInputValue[]])[];

/** What a commit writes. Indexes are touched when the run's place in them changes. */
function writesOf({ runId, from, epoch, at, run, actors, gone = [], history }: Commit, wakeAt: Map<string, number | null>): Writes {
  const finished = Number(run.finished);
  const common = [run.status, run.body, run.checksum, at, from + 1];
  const isIndexed = run.finished || wakeAt.get(runId) !== run.wakeAt;
  wakeAt.set(runId, run.wakeAt);
  const row: Writes[number] =
    from === 0
      ? [INSERT_RUN, [runId, run.workflow, run.definition, run.status, run.body, run.checksum, run.wakeAt, at, at, 1, epoch, finished]]
      : isIndexed
        ? [UPDATE_INDEXED, [...common, run.wakeAt, finished, runId]]
        : [UPDATE_RUN, [...common, runId]];
  return [
    row,
    ...actors.map(({ key, status, body, output, checksum }) => [WRITE_ACTOR, [runId, key, from + 1, status, body, output, checksum]] as const),
    ...gone.map((key) => [DELETE_ACTOR, [runId, key]] as const),
    [WRITE_HISTORY, [runId, from + 1, at, history]],
  ];
}

/** The ms that writing it again takes; what came before is there already. */
export function bareCommitsMs({ before, groups }: Recorded): Promise<number> {
  return inTemporaryFolder(async (folder) => {
    const database = new DatabaseSync(join(folder, "bare.db"));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    for (const sql of MIGRATIONS) database.exec(sql);
    const wakeAt = new Map<string, number | null>();
    const prepare = (list: Groups): Writes[] => list.map((group) => group.flatMap((commit) => writesOf(commit, wakeAt)));
    const statements = new Map([INSERT_RUN, UPDATE_RUN, UPDATE_INDEXED, WRITE_ACTOR, DELETE_ACTOR, WRITE_HISTORY].map((sql) => [sql, database.prepare(sql)]));
    const begin = database.prepare("BEGIN IMMEDIATE");
    const commit = database.prepare("COMMIT");
    const write = (list: readonly Writes[]): void => {
      for (const group of list) {
        begin.run();
        for (const [sql, values] of group) statements.get(sql)!.run(...values);
        commit.run();
      }
    };
    write(prepare(before));
    const timedGroups = prepare(groups);
    const tookMs = await timed(() => write(timedGroups));
    database.close();
    return tookMs;
  });
}
