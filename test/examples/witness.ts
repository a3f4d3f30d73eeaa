/**
 * The witness of a killed run: what its agents wrote down, cut into the lives between the kills, against what was
 * durable at each kill.
 */
import { existsSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

export interface Line {
  readonly what: "start" | "end";
  readonly node: string;
}

/** A moment without a worker: what the store holds, and how many lines there were. */
export interface Moment {
  readonly durable: ReadonlySet<string>;
  readonly lines: number;
}

/** The agents' lines; others, and one that a kill cut short, are left out. */
export function readLines(file: string): Line[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => line.split(" ")).flatMap(([what, ...rest]) => (what === "start" || what === "end" ? [{ what, node: nodeOf(what, rest) }] : []));
}

/** `start <node> <attempt>` and `end <node>` of the replay, or `start <agent> <run>/<node>#1` of the services. */
function nodeOf(what: string, rest: readonly string[]): string {
  const key = rest.at(-1)!;
  if (key.includes("/")) return key.slice(key.indexOf("/") + 1, key.indexOf("#"));
  return what === "start" ? rest.slice(0, -1).join(" ") : rest.join(" ");
}

/** Nodes whose end, with a result or skipped, the store holds, read as rows, without pawl. Rows with `~` are no nodes. */
export function durableNodes(store: string, runId: string): Set<string> {
  return new Set(keysOf(store, runId, "'completed', 'skipped'").filter((key) => !key.includes("~")));
}

/** Steps of agents that the store holds, each as `<node> <step>`. */
export function durableSteps(store: string, runId: string): Set<string> {
  return new Set(keysOf(store, runId, "'step'").map((key) => key.replace(/^~(.+)\/s\/(.+)$/, "$1 $2")));
}

function keysOf(store: string, runId: string, statuses: string): string[] {
  return readRows(store, `SELECT key FROM actor WHERE run_id = ? AND status IN (${statuses})`, runId).map(({ key }) => String(key));
}

/** How many commits the store holds, of all runs. */
export function commitsIn(store: string): number {
  return Number(readRows(store, "SELECT sum(commit_no) AS commits FROM run")[0]?.["commits"] ?? 0);
}

/** What breaks the promise "nothing that was durable runs again, and nothing runs twice in one life". */
export function ranAgain(lines: readonly Line[], moments: readonly Moment[]): string[] {
  const starts = (from: number, to?: number): string[] =>
    lines
      .slice(from, to)
      .filter(({ what }) => what === "start")
      .map(({ node }) => node);
  const durable = moments.flatMap((moment) => starts(moment.lines).filter((node) => moment.durable.has(node)));
  const cuts = [0, ...moments.map((moment) => moment.lines), lines.length];
  const twice = cuts.slice(1).flatMap((to, i) => repeated(starts(cuts[i]!, to)));
  return [...durable.map((node) => `${node} was durable and started again`), ...twice.map((node) => `${node} started twice in one life`)];
}

function repeated(nodes: readonly string[]): string[] {
  return nodes.filter((node, i) => nodes.indexOf(node) < i);
}

/** What breaks the promise "a node starts when all it waits for has ended". */
export function startedTooEarly(lines: readonly Line[], dependencies: ReadonlyMap<string, readonly string[]>): string[] {
  const ended = new Set<string>();
  const broken: string[] = [];
  for (const { what, node } of lines) {
    if (what === "end") ended.add(node);
    else for (const dependency of dependencies.get(node) ?? []) if (!ended.has(dependency)) broken.push(`${node} started before ${dependency} ended`);
  }
  return broken;
}

/** The state value of a machine's run as the store holds it, read as a row, without pawl. */
export function storedState(store: string, runId: string): unknown {
  const [row] = readRows(store, "SELECT output FROM actor WHERE run_id = ? AND key = 'machine~1'", runId);
  return row === undefined ? undefined : (JSON.parse(String(row["output"])) as { value?: unknown }).value;
}

/** None while there is no store, or no table in it. */
function readRows(store: string, query: string, ...values: string[]): Record<string, unknown>[] {
  if (!existsSync(store)) return [];
  const database = new DatabaseSync(store, { timeout: 5_000 });
  try {
    if (database.prepare("SELECT name FROM sqlite_schema WHERE name = 'actor'").all().length === 0) return [];
    return database.prepare(query).all(...values);
  } finally {
    database.close();
  }
}
