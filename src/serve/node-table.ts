/**
 * The nodes of a run as a table: a group is one row with how far it is, with those of its items or rounds beneath it that
 * failed, back off or run. Of too many rows those come first that need attention.
 */
import type { NodeStatus, NodeView } from "../index.ts";
import { type NodeRow, headCells, noteCell, rowsOf } from "./node-rows.ts";
import { groupText, noteOf } from "./node-text.ts";
import { Tally } from "./tally.ts";
import { type Cell, alignColumns, durationText, listText } from "./text.ts";

/** More rows than these are for programs: `--json` has all. */
const ROWS_SHOWN_MAX = 100;
const NAMED_MAX = 8;
/** The order in which nodes need attention. */
const URGENCY: readonly NodeStatus[] = [
  "compensationFailed",
  "failed",
  "running",
  "compensating",
  "recovering",
  "backingOff",
  "queued",
  "skipped",
  "blocked",
  "cancelled",
  "compensated",
  "waiting",
  "completed",
  "notTaken",
];
const SETTLED_WELL: ReadonlySet<NodeStatus> = new Set(["completed", "skipped", "notTaken"]);

type NodesById = ReadonlyMap<string, NodeView>;

export function nodeLines(views: readonly NodeView[], stream: NodeJS.WriteStream): string[] {
  const byId = new Map(views.map((view) => [view.id, view]));
  const tallies = talliesOf(views);
  const rows = rowsOf(
    views.filter((view) => !isPart(view)),
    ({ id }) => tallies.get(id),
  );
  const shown = rows.length > ROWS_SHOWN_MAX ? rows.toSorted((a, b) => urgencyOf(a) - urgencyOf(b)).slice(0, ROWS_SHOWN_MAX) : rows;
  const heads = headCells(shown);
  const titles = ["NODE", "STATUS", "ATTEMPT", "TIME", "AGENT", "WHY"];
  const cells = shown.map((row, i) => [...heads[i]!, ...(row.kind === "node" ? cellsOf(row.node, tallies, byId) : ["", "", "", noteCell(row.text)])]);
  const lines = alignColumns([(cells[0]?.length ?? 0) > titles.length ? ["STAGE", ...titles] : titles, ...cells], stream);
  return shown.length < rows.length ? [...lines, `… and ${rows.length - shown.length} more nodes (--json has all of them)`] : lines;
}

/** Is it an item of a map, or a round of a loop? */
export function isPart({ memberOf }: NodeView): boolean {
  return memberOf !== undefined && "position" in memberOf;
}

/** How many items or rounds of each map or loop there are of each status. */
export function talliesOf(views: readonly NodeView[]): Map<string, Tally<NodeView>> {
  const tallies = new Map<string, Tally<NodeView>>();
  for (const view of views) {
    if (view.memberOf === undefined || !isPart(view)) continue;
    const { group } = view.memberOf;
    const tally = tallies.get(group) ?? new Tally();
    tallies.set(group, tally);
    tally.add(view, view.status);
  }
  return tallies;
}

function urgencyOf(row: NodeRow<NodeView>): number {
  return row.kind === "node" ? URGENCY.indexOf(row.node.status) : URGENCY.length;
}

function cellsOf(node: NodeView, tallies: ReadonlyMap<string, Tally<NodeView>>, byId: NodesById): (string | Cell)[] {
  const { attempt, startedAt, endedAt, agent, kind, id } = node;
  const time = startedAt === undefined || endedAt === undefined ? "" : durationText(endedAt - startedAt);
  return [attempt === 0 ? "" : String(attempt), time, kind === agent ? "" : agent, whyText(node, tallies.get(id), byId)];
}

function whyText(node: NodeView, tally: Tally<NodeView> | undefined, byId: NodesById): string {
  const { status, upstreamFailures } = node;
  if (status !== "blocked") return noteOf(node, tally, status === "waiting" ? awaitedBy(node, byId) : [], new Date().getTime());
  return [groupText(node, tally), `failed before it: ${listText(upstreamFailures, NAMED_MAX)}`].filter((text) => text !== "").join("; ");
}

/** What a node that waits still waits for. */
function awaitedBy({ dependencies, memberOf }: NodeView, byId: NodesById): string[] {
  const choice = memberOf !== undefined && "branch" in memberOf ? byId.get(memberOf.group) : undefined;
  const isMade = choice === undefined || choice.branch !== undefined;
  const open = dependencies.filter((id) => !SETTLED_WELL.has(byId.get(id)?.status ?? "completed"));
  return isMade ? open : [choice.id, ...open];
}
