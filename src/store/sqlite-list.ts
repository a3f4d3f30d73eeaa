/**
 * Lists of runs. Each filter has an index that has its runs in the order of the list; which statement is made depends
 * on the filter, and there are only so many.
 */
import type { SQLInputValue } from "node:sqlite";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { type Calls, RUN_COLUMNS, type RunRow, runOf } from "./sqlite-rows.ts";
import type { RunFilter } from "./store.ts";

const CREATED_AT = "SELECT created_at AS createdAt FROM run WHERE id = ?";
/** Without statistics SQLite cannot know which of two indexes is the better one. */
const SOURCES = {
  tag: "tag CROSS JOIN run ON run.id = tag.run_id",
  subject: "run INDEXED BY run_subject",
  status: "run INDEXED BY run_status",
  workflow: "run INDEXED BY run_workflow",
  all: "run INDEXED BY run_created",
};
const ENDED_STATUSES = "SELECT status FROM run WHERE finished = 1 AND definition = ? ORDER BY updated_at DESC, id DESC LIMIT ?";

interface Place {
  readonly createdAt: number;
}

type Condition = readonly [text: string, ...values: SQLInputValue[]];

export function sqliteList(connection: SqliteConnection): Calls<"listRuns" | "endedStatuses"> {
  return {
    listRuns: (filter) =>
      connection.read(() => {
        const place = filter.after === undefined ? undefined : (connection.get(CREATED_AT, filter.after) as Place | undefined);
        if (filter.after !== undefined && place === undefined) return [];
        const conditions = conditionsOf(filter, place);
        const values = conditions.flatMap(([, ...given]) => given);
        return connection.all<RunRow>(textOf(filter, conditions), ...values, filter.limit).map(runOf);
      }),
    endedStatuses: (definition, limit) =>
      connection.read(() => connection.all<{ status: string }>(ENDED_STATUSES, definition, limit)).map(({ status }) => status),
  };
}

/** Where a run stands in the list: a tag has that in its own rows. */
function orderOf({ tag }: RunFilter): readonly [at: string, id: string] {
  return tag === undefined ? ["created_at", "id"] : ["tag.at", "tag.run_id"];
}

function conditionsOf(filter: RunFilter, place: Place | undefined): Condition[] {
  const { tag, subject, status, workflow, unfinished, since, until, after } = filter;
  const [at, id] = orderOf(filter);
  const conditions: (Condition | undefined)[] = [
    tag === undefined ? undefined : ["tag.tag = ?", tag],
    subject === undefined ? undefined : ["subject = ?", subject],
    status === undefined ? undefined : ["status = ?", status],
    workflow === undefined ? undefined : ["workflow = ?", workflow],
    unfinished === true ? ["finished = 0"] : undefined,
    since === undefined ? undefined : [`${at} >= ?`, since],
    until === undefined ? undefined : [`${at} < ?`, until],
    after === undefined || place === undefined ? undefined : [`(${at}, ${id}) < (?, ?)`, place.createdAt, after],
  ];
  return conditions.filter((condition) => condition !== undefined);
}

function textOf(filter: RunFilter, conditions: readonly Condition[]): string {
  const [at, id] = orderOf(filter);
  const by = (["tag", "subject", "status", "workflow"] as const).find((name) => filter[name] !== undefined) ?? "all";
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.map(([text]) => text).join(" AND ")}`;
  return `SELECT ${RUN_COLUMNS} FROM ${SOURCES[by]} ${where} ORDER BY ${at} DESC, ${id} DESC LIMIT ?`;
}
