/**
 * The empty board of a run that is there: of a workflow with its nodes, of a machine with nothing but the machine. That of a
 * fork has what was kept.
 */
import type { NodeStatus, NodeView, Run, RunView } from "../index.ts";
import { Board, type GraphNode } from "./board.ts";
import { MachineBoard } from "./machine-board.ts";
import type { Standing } from "./reporter.ts";

const KEPT: ReadonlySet<NodeStatus> = new Set(["completed", "skipped"]);

export async function standingOf(run: Run<unknown>, kind: RunView["kind"]): Promise<Standing> {
  const { forkedFrom } = await run.status();
  if (kind === "machine") return { kind, board: new MachineBoard(forkedFrom === undefined ? [] : await run.actors()) };
  const nodes = await run.nodes();
  return { kind, board: new Board(forkedFrom === undefined ? nodes : await withKept(run, nodes)) };
}

/** What has a result that the history does not tell of was kept from the run that was forked. */
async function withKept(run: Run<unknown>, nodes: readonly NodeView[]): Promise<GraphNode[]> {
  const told = new Set<string | undefined>();
  for await (const { events } of run.history()) for (const { node } of events) told.add(node);
  return nodes.map((node) => ({ ...node, ...(!told.has(node.id) && KEPT.has(node.status) && { kept: node.status }) }));
}
