/**
 * The nodes of a run as rows tell them, and the graph that has grown to them.
 */
import { isChoice } from "../define/node-definition.ts";
import type { Plan } from "../define/plan.ts";
import { PawlError } from "../errors.ts";
import type { RunRecord, StoredActor } from "../store/store.ts";
import { Graph, isSpan, readRecoveryId } from "./graph.ts";
import { type KnownNode, NODE_STATUSES } from "./node-status.ts";
import type { StageBody, StoredStage } from "./stages.ts";
import { BESIDE, INPUT_KEY, type NodeBody, OUTPUT_KEY, SUPERVISOR_KEY, openActorRow } from "./row.ts";

export interface StoredNode extends KnownNode {
  readonly body: NodeBody;
  readonly commitNo: number;
  /** Of an event that came early: what it was. */
  readonly early?: string;
}

export interface StoredNodes {
  readonly graph: Graph;
  readonly nodes: readonly StoredNode[];
}

const OTHER_KEYS: ReadonlySet<string> = new Set([INPUT_KEY, OUTPUT_KEY, SUPERVISOR_KEY]);

export function isNodeRow({ key }: StoredActor): boolean {
  return !OTHER_KEYS.has(key) && !key.startsWith(BESIDE) && !isSpan(key);
}

/** The nodes that have a row, checked. */
export function readNodes(record: RunRecord, rows: readonly StoredActor[], plan: Plan): StoredNodes {
  const graph = new Graph(plan);
  const nodeRows = rows.filter(isNodeRow);
  const named = nodeRows.filter(({ key }) => plan.indexOf.has(key)).map((row) => read(record, row, plan.indexOf.get(row.key)!));
  const others = nodeRows.filter((row) => !plan.indexOf.has(row.key) && !isEndedAction(row));
  const rounds = roundsIn(others);
  for (const { index, opened } of named) {
    const { kind, id } = plan.nodes[index]!;
    if (opened !== undefined && !isChoice(kind)) graph.grow(index, kind === "map" ? opened : Math.max(opened, rounds.get(id) ?? 0));
  }
  const items = others.map((row) => {
    const index = indexOf(record, row, graph);
    if (index === undefined)
      throw new PawlError("PAWL_ROW_CORRUPT", { message: `run "${record.id}" has a row "${row.key}" that its definition does not know` });
    return read(record, row, index);
  });
  return { graph, nodes: [...named, ...items] };
}

/** The stages that have a row, checked. */
export function readStages(record: RunRecord, rows: readonly StoredActor[]): StoredStage[] {
  return rows.filter(({ key }) => isSpan(key)).map((row) => ({ span: row.key, status: row.status, body: openActorRow(record.id, row) as StageBody }));
}

/** A recovery action that has ended is history, and no node. */
function isEndedAction({ key, status }: StoredActor): boolean {
  return status !== "backingOff" && readRecoveryId(key) !== undefined;
}

function indexOf(record: RunRecord, row: StoredActor, graph: Graph): number | undefined {
  const recovery = readRecoveryId(row.key);
  if (recovery === undefined) return graph.find(row.key);
  const { recovers } = openActorRow(record.id, row) as NodeBody;
  const of = isSpan(recovery.of) ? recovery.of : graph.find(recovery.of);
  return of === undefined || recovers === undefined ? undefined : graph.recovery({ ...recovers, of, number: recovery.number });
}

/** How many rounds have a row, by their loop: those of a loop follow each other. */
function roundsIn(rows: readonly StoredActor[]): Map<string, number> {
  const rounds = new Map<string, number>();
  for (const { key } of rows) {
    const group = key.slice(0, key.lastIndexOf("["));
    rounds.set(group, (rounds.get(group) ?? 0) + 1);
  }
  return rounds;
}

function read(record: RunRecord, row: StoredActor, index: number): StoredNode {
  const status = NODE_STATUSES.find((known) => known === row.status);
  if (status === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: `node "${row.key}" of run "${record.id}" is "${row.status}"` });
  const body = openActorRow(record.id, row) as NodeBody;
  const { commitNo, output } = row;
  return { index, status, body, opened: body.opened, commitNo, ...(status === "waiting" && output !== null && { early: output }) };
}
