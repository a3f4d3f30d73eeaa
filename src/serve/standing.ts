/**
 * The empty board of a run that is there: of a workflow with its nodes, of a machine with nothing but the machine. That of a
 * fork has what was kept.
 */
import type { NodeStatus, NodeView, Run, RunView } from "../index.ts";
import { Board } from "./board.ts";
import type { GraphNode } from "./board-node.ts";
import { MachineBoard } from "./machine-board.ts";
import type { Standing } from "./reporter.ts";

const KEPT: ReadonlySet<NodeStatus> = new Set(["completed", "skipped"]);

export async function standingOf(run: Run<unknown>, kind: RunView["kind"]): Promise<Standing> {
  const { forkedFrom } = await run.status();
  if (kind === "machine") return { kind, board: new MachineBoard(forkedFrom === undefined ? [] : await run.actors()) };
  const nodes = await run.nodes();
  return { kind, board: new Board(forkedFrom === undefined ? graphOf(nodes) : await withKept(run, nodes)) };
}

/** The graph as it was defined: items and rounds come with the history. */
export function graphOf(nodes: readonly NodeView[]): GraphNode[] {
  return nodes
    .filter(({ memberOf }) => memberOf === undefined || "branch" in memberOf)
    .map(({ id, agent, dependencies, kind, stage, memberOf }) => ({ id, agent, dependencies, kind, stage, memberOf }));
}

/** What has a result that the history does not tell of was kept from the run that was forked; a group may have been open. */
async function withKept(run: Run<unknown>, nodes: readonly NodeView[]): Promise<GraphNode[]> {
  const told = new Set<string | undefined>();
  const begun = new Set<string | undefined>();
  for await (const { events } of run.history())
    for (const { node, type } of events) {
      told.add(node);
      if (type === "node.started") begun.add(node);
    }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const isKept = ({ id, status }: NodeView): boolean => !told.has(id) && KEPT.has(status);
  const parts = Map.groupBy(nodes, ({ memberOf }) => (memberOf !== undefined && "position" in memberOf ? memberOf.group : undefined));
  return graphOf(nodes).map((node): GraphNode => {
    const view = byId.get(node.id)!;
    const { branch } = view;
    const isOpen = !begun.has(node.id) && (view.items !== undefined || branch !== undefined || isKept(view));
    const keptItems = (parts.get(node.id) ?? []).flatMap((item, position) => (isKept(item) ? [{ position, status: item.status }] : []));
    const items = view.kind === "repeat" ? keptItems.length : view.items;
    return {
      ...node,
      ...(isOpen && { open: { ...(items !== undefined && { items }), ...(branch !== undefined && { branch }) }, keptItems }),
      ...(isKept(view) && { kept: view.status }),
    };
  });
}
