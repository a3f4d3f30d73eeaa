/**
 * Schedules, each one row. The runs that one starts are created in the transaction that moves it on: no instant is lost
 * between the two, and none starts twice.
 */
import { applyCommit } from "./sqlite-commit.ts";
import { isFull, type SqliteConnection } from "./sqlite-connection.ts";
import { LeftRowsError } from "./sqlite-prune.ts";
import type { Calls } from "./sqlite-rows.ts";
import type { Outcome, ScheduleChange, ScheduleRecord } from "./store.ts";

const READ = "SELECT name, revision, next_at AS nextAt, body, checksum FROM schedule ORDER BY name";
const CREATE = "INSERT INTO schedule (name, revision, next_at, body, checksum) VALUES (?1, ?2 + 1, ?3, ?4, ?5) ON CONFLICT (name) DO NOTHING";
const MOVE_ON = "UPDATE schedule SET revision = revision + 1, next_at = ?3, body = ?4, checksum = ?5 WHERE name = ?1 AND revision = ?2";

export function sqliteSchedules(connection: SqliteConnection): Calls<"readSchedules" | "writeSchedule"> {
  return {
    readSchedules: () => connection.read(() => connection.all<ScheduleRecord>(READ)),
    writeSchedule: (change) => {
      try {
        return connection.transaction(() => write(connection, change));
      } catch (error) {
        if (error instanceof LeftRowsError) throw error;
        if (isFull(error)) return "full";
        throw connection.failUnlessBusy(error);
      }
    },
  };
}

function write(connection: SqliteConnection, { name, from, nextAt, body, checksum, runs = [] }: ScheduleChange): Outcome {
  if (!connection.changed(from === 0 ? CREATE : MOVE_ON, name, from, nextAt, body, checksum)) return "fenced";
  for (const commit of runs) applyCommit(connection, commit);
  return "committed";
}
