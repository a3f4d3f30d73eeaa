/**
 * Who owns a run. One whose epoch is not open can be claimed: it is looked for definition by definition, so that the
 * runs of others, and those that sleep, are never walked through; and first without locking the file. Of those that are ready
 * the first are found by an index, however many there are.
 */
import type { SqliteConnection } from "./sqlite-connection.ts";
import { writeNotice } from "./sqlite-notices.ts";
import { type Calls, READY, RUN_COLUMNS, type RunRow, runOf, WAITING } from "./sqlite-rows.ts";
import { NOBODY, type RunRecord, SUSPICION_WINDOW_MS, SUSPICIONS_MAX } from "./store.ts";

const OPEN_EPOCHS = "SELECT id FROM epoch ORDER BY id";
const IS_OF = "definition = wanted.value AND suspicion = level.value";
/** Epochs that are not open, as ranges between those that are: an index of runs by epoch is sought, not walked. */
const IN_GAP = "epoch > gap.value ->> 0 AND epoch < gap.value ->> 1";
const ANY_READY = `SELECT 1 FROM json_each(?1) AS level CROSS JOIN json_each(?2) AS wanted CROSS JOIN json_each(?3) AS gap CROSS JOIN run
  WHERE ${READY} AND ${IS_OF} AND ${IN_GAP} LIMIT 1`;
/** The plus keeps SQLite from seeking by owner: that would walk through all that closed epochs left asleep. */
const NOT_OPEN = "+epoch NOT IN (SELECT value FROM json_each(?4))";
const ANY_DUE = `SELECT 1 FROM json_each(?1) AS level CROSS JOIN json_each(?2) AS wanted CROSS JOIN run
  WHERE ${WAITING} AND ${IS_OF} AND ${NOT_OPEN} AND wake_at <= ?3 LIMIT 1`;
/** The owners, not open, that ready runs of these definitions have: one step into the index for each, however many runs there are. */
const nextOwner = (definition: string, above: string, below: string): string => `(SELECT epoch FROM run WHERE ${READY}
    AND definition = ${definition} AND suspicion = ?2 AND epoch > ${above} AND epoch < ${below} ORDER BY epoch LIMIT 1)`;
const FREE_OWNERS = `WITH RECURSIVE free (definition, owner, below) AS (
    SELECT wanted.value, ${nextOwner("wanted.value", "gap.value ->> 0", "gap.value ->> 1")}, gap.value ->> 1
      FROM json_each(?1) AS wanted CROSS JOIN json_each(?3) AS gap
    UNION ALL SELECT definition, ${nextOwner("free.definition", "free.owner", "free.below")}, below FROM free WHERE owner IS NOT NULL)
  SELECT definition, owner FROM free WHERE owner IS NOT NULL`;
const FREE_READY = `SELECT id, rank FROM run WHERE ${READY} AND definition = ?1 AND suspicion = ?2 AND epoch = ?3 AND rank <= ?4 ORDER BY rank, id LIMIT ?5`;
const FREE_DUE = `SELECT id, wake_at AS wakeAt FROM run WHERE ${WAITING} AND definition = ?1 AND suspicion = ?2 AND ${NOT_OPEN} AND wake_at <= ?3
  ORDER BY wake_at LIMIT ?5`;
const UNOWNED = `SELECT 1 FROM json_each(?1) AS level CROSS JOIN json_each(?2) AS wanted CROSS JOIN run
  WHERE ${READY} AND ${IS_OF} AND epoch = ${NOBODY} LIMIT 1`;
const IS_FREE = "finished = 0 AND epoch NOT IN (SELECT id FROM epoch)";
const TAKE_OVER = `UPDATE run SET epoch = ?1, suspected_at = ?2,
  suspicion = CASE WHEN ?2 - suspected_at > ${SUSPICION_WINDOW_MS} THEN 1 ELSE min(suspicion + 1, ${SUSPICIONS_MAX + 1}) END
  WHERE id = ?3 AND ${IS_FREE} AND ?1 IN (SELECT id FROM epoch) RETURNING ${RUN_COLUMNS}`;
const READ_OWNED = `SELECT ${RUN_COLUMNS} FROM run WHERE id = ?1 AND epoch = ?2 AND finished = 0 AND ?2 IN (SELECT id FROM epoch)`;
const IS_RUN_FREE = `SELECT 1 FROM run WHERE id = ? AND ${IS_FREE}`;
const RELEASE = `UPDATE run SET epoch = ${NOBODY} WHERE id = ? AND epoch = ? AND finished = 0`;
const ABSOLVE = "UPDATE run SET suspicion = iif(epoch = ?2, 0, suspicion - 1) WHERE id = ?1 AND suspicion > 0 AND finished = 0";
const QUARANTINE = `UPDATE run SET status = 'quarantined', finished = 1, wake_at = NULL, reason = ?, updated_at = ?
  WHERE id = ? AND epoch = ? AND finished = 0`;

/** From the innocent to those that are set aside at their next load. */
export const SUSPICIONS = Array.from({ length: SUSPICIONS_MAX + 2 }, (_, suspicion) => suspicion);
const LEVELS = JSON.stringify(SUSPICIONS);

type Method = "claim" | "claimRun" | "hasUnowned" | "release" | "absolve" | "quarantine";

export function sqliteClaims(connection: SqliteConnection): Calls<Method> {
  const updateEach = (sql: string, epoch: number, runIds: readonly string[]): void => {
    if (runIds.length > 0) connection.write(() => runIds.forEach((id) => connection.run(sql, id, epoch)));
  };
  return {
    claim: (epoch, definitions, at, now, limit) => {
      if (!connection.read(() => isAnyFree(connection, epoch, JSON.stringify(definitions), now))) return [];
      return connection.write(() => claimSome(connection, epoch, definitions, at, now, limit));
    },
    claimRun: (epoch, runId, at) => {
      const owned = connection.read(() => connection.get(READ_OWNED, runId, epoch)) as RunRow | undefined;
      if (owned !== undefined) return runOf(owned);
      if (connection.read(() => connection.get(IS_RUN_FREE, runId)) === undefined) return undefined;
      return connection.write(() => takeOver(connection, epoch, runId, at));
    },
    hasUnowned: (definitions) => connection.read(() => connection.get(UNOWNED, LEVELS, JSON.stringify(definitions))) !== undefined,
    release: (epoch, runIds) => updateEach(RELEASE, epoch, runIds),
    absolve: (epoch, runIds) => updateEach(ABSOLVE, epoch, runIds),
    quarantine: (epoch, runId, reason, at, notice) =>
      connection.write(() => {
        if (connection.changed(QUARANTINE, reason, at, runId, epoch) && notice !== undefined) writeNotice(connection, notice);
      }),
  };
}

interface OpenEpochs {
  readonly ids: string;
  /** What is between them, from the lowest epoch to the highest there can be. */
  readonly gaps: string;
}

/** undefined when this one is not among them. */
function openEpochs(connection: SqliteConnection, epoch: number): OpenEpochs | undefined {
  const ids = connection.all<{ id: number }>(OPEN_EPOCHS).map(({ id }) => id);
  if (!ids.includes(epoch)) return undefined;
  const edges = [NOBODY - 1, ...ids, Number.MAX_SAFE_INTEGER];
  const gaps = edges.slice(1).map((edge, i) => [edges[i]!, edge] as const);
  return { ids: JSON.stringify(ids), gaps: JSON.stringify(gaps.filter(([low, high]) => high - low > 1)) };
}

function isAnyFree(connection: SqliteConnection, epoch: number, definitions: string, now: number): boolean {
  const open = openEpochs(connection, epoch);
  if (open === undefined) return false;
  if (connection.get(ANY_READY, LEVELS, definitions, open.gaps) !== undefined) return true;
  return connection.get(ANY_DUE, LEVELS, definitions, now, open.ids) !== undefined;
}

/** Runs under suspicion come last and one at a time, so that the innocent are loaded before the culprit strikes. */
function claimSome(connection: SqliteConnection, epoch: number, definitions: readonly string[], at: number, now: number, limit: number): RunRecord[] {
  const open = openEpochs(connection, epoch);
  if (open === undefined) return [];
  for (const suspicion of SUSPICIONS) {
    const ids = freeRuns(connection, open, definitions, suspicion, now, suspicion > 0 ? 1 : limit);
    if (ids.length > 0) return ids.flatMap((id) => takeOver(connection, epoch, id, at) ?? []);
  }
  return [];
}

function freeRuns(connection: SqliteConnection, open: OpenEpochs, definitions: readonly string[], suspicion: number, now: number, limit: number): string[] {
  const ids = freeReady(connection, open, definitions, suspicion, limit);
  if (ids.length === limit) return ids;
  const due = definitions.flatMap((definition) =>
    connection.all<{ id: string; wakeAt: number }>(FREE_DUE, definition, suspicion, now, open.ids, limit - ids.length),
  );
  due.sort((a, b) => a.wakeAt - b.wakeAt);
  return [...ids, ...due.map(({ id }) => id)].slice(0, limit);
}

/** The first of each owner's, and of these the first. */
function freeReady(connection: SqliteConnection, { gaps }: OpenEpochs, definitions: readonly string[], suspicion: number, limit: number): string[] {
  let first: { id: string; rank: number }[] = [];
  const owners = connection.all<{ definition: string; owner: number }>(FREE_OWNERS, JSON.stringify(definitions), suspicion, gaps);
  for (const { definition, owner } of owners) {
    const last = first.length < limit ? Number.MAX_SAFE_INTEGER : first.at(-1)!.rank;
    first.push(...connection.all<{ id: string; rank: number }>(FREE_READY, definition, suspicion, owner, last, limit));
    first = first.sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1)).slice(0, limit);
  }
  return first.map(({ id }) => id);
}

function takeOver(connection: SqliteConnection, epoch: number, runId: string, at: number): RunRecord | undefined {
  const row = connection.get(TAKE_OVER, epoch, at, runId) as RunRow | undefined;
  return row === undefined ? undefined : runOf(row);
}
