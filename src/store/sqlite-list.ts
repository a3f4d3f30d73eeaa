/**
 * Lists of runs. Each filter has an index that has its runs in the order of the list; which statement is made depends
 * on the filter, and there are only so many. Runs by their state or workflow are kept in parts, of which there are few:
 * each part is asked for its newest runs.
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
  state: "run INDEXED BY run_state",
  all: "run INDEXED BY run_created",
};
/** One step into the index each, however many runs there are. */
const NEXT_STATUS = "SELECT min(status) AS next FROM run INDEXED BY run_state WHERE finished = ? AND status > ?";
const NEXT_WORKFLOW = "SELECT min(workflow) AS next FROM run INDEXED BY run_state WHERE finished = ? AND status = ? AND workflow > ?";
const ENDED_STATUSES = "SELECT status FROM run WHERE finished = 1 AND definition = ? ORDER BY updated_at DESC, id DESC LIMIT ?";

interface Place {
  readonly createdAt: number;
}

/** Runs that have this in common. */
interface Part {
  readonly finished: number;
  readonly status: string;
  readonly workflow: string;
}

/** A filter that one statement answers. */
type Asked = RunFilter & { readonly finished?: number };
type Condition = readonly [text: string, ...values: SQLInputValue[]];

export function sqliteList(connection: SqliteConnection): Calls<"listRuns" | "endedStatuses"> {
  return {
    listRuns: (filter) =>
      connection.snapshot(() => {
        const place = filter.after === undefined ? undefined : (connection.get(CREATED_AT, filter.after) as Place | undefined);
        if (filter.after !== undefined && place === undefined) return [];
        const rows = sourceOf(filter) === "state" ? newestOfParts(connection, filter, place) : newest(connection, filter, place);
        return rows.map(runOf);
      }),
    endedStatuses: (definition, limit) =>
      connection.read(() => connection.all<{ status: string }>(ENDED_STATUSES, definition, limit)).map(({ status }) => status),
  };
}

function sourceOf({ tag, subject, status, workflow, unfinished }: RunFilter): keyof typeof SOURCES {
  if (tag !== undefined) return "tag";
  if (subject !== undefined) return "subject";
  return status === undefined && workflow === undefined && unfinished !== true ? "all" : "state";
}

/** When there are enough, the parts that are left are asked only for runs that are not older than the last of them. */
function newestOfParts(connection: SqliteConnection, filter: RunFilter, place: Place | undefined): RunRow[] {
  let rows: RunRow[] = [];
  for (const part of partsOf(connection, filter)) {
    const since = rows[filter.limit - 1]?.createdAt ?? filter.since;
    rows = [...rows, ...newest(connection, { ...filter, ...part, since }, place)];
    rows = rows.sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1)).slice(0, filter.limit);
  }
  return rows;
}

function partsOf(connection: SqliteConnection, { status: onlyStatus, workflow: onlyWorkflow, unfinished }: RunFilter): Part[] {
  return (unfinished === true ? [0] : [0, 1]).flatMap((finished) => {
    const statuses = onlyStatus === undefined ? allOf(connection, NEXT_STATUS, finished) : [onlyStatus];
    return statuses.flatMap((status) => {
      const workflows = onlyWorkflow === undefined ? allOf(connection, NEXT_WORKFLOW, finished, status) : [onlyWorkflow];
      return workflows.map((workflow) => ({ finished, status, workflow }));
    });
  });
}

/** Each different value, which the statement answers after the one before. */
function allOf(connection: SqliteConnection, sql: string, ...given: SQLInputValue[]): string[] {
  const values: string[] = [];
  for (let last: string | null = ""; last !== null;) {
    last = (connection.get(sql, ...given, last) as { next: string | null }).next;
    if (last !== null) values.push(last);
  }
  return values;
}

function newest(connection: SqliteConnection, asked: Asked, place: Place | undefined): RunRow[] {
  const conditions = conditionsOf(asked, place);
  const values = conditions.flatMap(([, ...given]) => given);
  return connection.all<RunRow>(textOf(asked, conditions), ...values, asked.limit);
}

/** Where a run stands in the list: a tag has that in its own rows. */
function orderOf({ tag }: RunFilter): readonly [at: string, id: string] {
  return tag === undefined ? ["created_at", "id"] : ["tag.at", "tag.run_id"];
}

function conditionsOf(asked: Asked, place: Place | undefined): Condition[] {
  const { tag, subject, status, workflow, unfinished, since, until, after } = asked;
  const finished = asked.finished ?? (unfinished === true ? 0 : undefined);
  const [at, id] = orderOf(asked);
  const conditions: (Condition | undefined)[] = [
    tag === undefined ? undefined : ["tag.tag = ?", tag],
    subject === undefined ? undefined : ["subject = ?", subject],
    finished === undefined ? undefined : ["finished = ?", finished],
    status === undefined ? undefined : ["status = ?", status],
    workflow === undefined ? undefined : ["workflow = ?", workflow],
    since === undefined ? undefined : [`${at} >= ?`, since],
    until === undefined ? undefined : [`${at} < ?`, until],
    after === undefined || place === undefined ? undefined : [`(${at}, ${id}) < (?, ?)`, place.createdAt, after],
  ];
  return conditions.filter((condition) => condition !== undefined);
}

function textOf(asked: Asked, conditions: readonly Condition[]): string {
  const [at, id] = orderOf(asked);
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.map(([text]) => text).join(" AND ")}`;
  return `SELECT ${RUN_COLUMNS} FROM ${SOURCES[sourceOf(asked)]} ${where} ORDER BY ${at} DESC, ${id} DESC LIMIT ?`;
}
