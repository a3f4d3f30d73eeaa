/**
 * The nodes of a run as rows of a table, however many items its maps have: a group is one row, with those of its parts
 * beneath it that failed, back off or run; members that a choice did not take are one row, too.
 */
import type { MemberOf } from "../index.ts";
import type { ToldNode } from "./node-text.ts";
import type { Tally } from "./tally.ts";
import { type Cell, listText, statusCell } from "./text.ts";

/** What of a node rows are made of. */
export interface RowNode extends ToldNode {
  readonly stage: string | undefined;
  readonly memberOf: MemberOf | undefined;
}

/** A row: a node, or something about those that are not shown one by one. */
export type NodeRow<N> =
  | { readonly kind: "node"; readonly node: N; readonly depth: number }
  | { readonly kind: "note"; readonly text: string; readonly depth: number };

/** So many parts of a group are shown, those that failed first. */
const PARTS_SHOWN_MAX = 5;
const NAMED_MAX = 8;

/** The rows of these nodes, which are in the order of the definition, without items and rounds: those `partsOf` a group tells. */
export function rowsOf<N extends RowNode>(nodes: readonly N[], partsOf: (group: N) => Tally<N> | undefined): NodeRow<N>[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const leftOut = Map.groupBy(
    nodes.filter(({ status }) => status === "notTaken"),
    (node) => chooserOf(node, byId),
  );
  const depths = new Map<string, number>();
  return nodes.flatMap((node): NodeRow<N>[] => {
    const depth = node.memberOf === undefined ? 0 : (depths.get(node.memberOf.group) ?? 0) + 1;
    depths.set(node.id, depth);
    if (node.status === "notTaken") {
      const ids = leftOut.get(chooserOf(node, byId))!.map(({ id }) => id);
      return ids[0] === node.id ? [{ kind: "note", text: `not taken: ${listText(ids, NAMED_MAX)}`, depth }] : [];
    }
    const { shown, more } = partsOf(node)?.notable(PARTS_SHOWN_MAX) ?? { shown: [], more: 0 };
    const parts = shown.map((part): NodeRow<N> => ({ kind: "node", node: part, depth: depth + 1 }));
    const note: NodeRow<N> = { kind: "note", text: `and ${more} more that failed, back off or run`, depth: depth + 1 };
    return [{ kind: "node", node, depth }, ...parts, ...(more > 0 ? [note] : [])];
  });
}

/** The choice that did not take the node, or what the node is a member of. */
function chooserOf<N extends RowNode>({ memberOf }: N, byId: ReadonlyMap<string, N>): string | undefined {
  const group = memberOf === undefined ? undefined : byId.get(memberOf.group);
  return group?.status === "notTaken" ? chooserOf(group, byId) : group?.id;
}

/** The first cells of a row: its stage where that changes, if there are stages at all, then its name and status. */
export function headCells<N extends RowNode>(rows: readonly NodeRow<N>[]): (string | Cell)[][] {
  const hasStages = rows.some((row) => row.kind === "node" && row.node.stage !== undefined);
  let last: string | undefined;
  return rows.map((row) => {
    const indent = "  ".repeat(row.depth);
    const stage = row.kind === "node" ? row.node.stage : last;
    const isNew = stage !== last;
    last = stage;
    const head: (string | Cell)[] = hasStages ? [{ text: isNew ? (stage ?? "") : "", style: "dim" }] : [];
    return row.kind === "note" ? [...head, `${indent}…`, ""] : [...head, `${indent}${row.node.id}`, statusOf(row.node)];
  });
}

/** An event that runs is awaited: nothing is done for it. */
function statusOf({ kind, status }: ToldNode): Cell {
  const cell = statusCell(status);
  return kind === "event" && status === "running" ? { ...cell, text: "awaited" } : cell;
}

export function noteCell(text: string): Cell {
  return { text, style: "dim" };
}
