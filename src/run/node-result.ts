/**
 * What a node of a run gave, as its rows tell it: also of a run that failed, or has not ended.
 */
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { decode } from "./codec.ts";
import { READABLE, isMachineRun } from "./machine-view.ts";
import { Progress } from "./progress.ts";
import { BESIDE } from "./row.ts";
import { readNodes } from "./stored-nodes.ts";
import { readPlan, requireRun } from "./view.ts";

/** Undefined when it has not completed. A map gives those of its items, a loop that of its last round, unless it was set. */
export async function readNodeResult(store: Store, runId: string, nodeId: string): Promise<unknown> {
  const record = await requireRun(store, runId);
  if (isMachineRun(record)) throw new PawlError("PAWL_NOT_A_WORKFLOW", { message: `run "${runId}" is one of a machine, which has no nodes` });
  const rows = await store.readActorRange(runId, "", BESIDE);
  const { graph, nodes } = readNodes(record, rows, await readPlan(store, record.definition));
  const index = graph.find(nodeId);
  if (index === undefined)
    throw new PawlError("PAWL_UNKNOWN_REFERENCE", { message: `run "${runId}" has no node "${nodeId}"${didYouMean(nodeId, graph.plan.indexOf.keys())}` });
  const progress = new Progress(graph, nodes);
  const outputs = new Map(rows.map(({ key, output }) => [key, output]));
  const resultOf = (of: number | undefined): unknown => {
    const output = of === undefined || progress.status(of) !== "completed" ? undefined : outputs.get(graph.node(of).id);
    return output == null ? undefined : decode(output, READABLE);
  };
  if (progress.status(index) !== "completed") return undefined;
  const { kind } = graph.node(index);
  if (outputs.get(nodeId) != null) return resultOf(index);
  if (kind === "map") return Array.from(graph.itemsOf(index), resultOf);
  return resultOf(kind === "repeat" ? graph.lastOf(index) : index);
}
