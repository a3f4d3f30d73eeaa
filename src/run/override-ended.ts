/**
 * Sets how a node of a run that has ended ends, and takes the run up again, in one commit. The run is nobody's then: any
 * worker that has its definition goes on with it. The result is checked where the definition is known.
 */
import type { RunRecord, Store } from "../store/store.ts";
import type { Definition } from "./definition.ts";
import { isMachineRun } from "./machine-view.ts";
import { type Override, type OverriddenNode, checkedOverride, notChosen, overridable, overrideFailure, settledError } from "./override.ts";
import { type SetNode, readEnded, reopen } from "./reopen.ts";
import { Progress } from "./progress.ts";
import { type NodeBody, actorRow, nodeBodyText } from "./row.ts";
import type { StoredNode } from "./stored-nodes.ts";
import { PawlError } from "../errors.ts";

/** Of these it is said how they end; one that failed can fail no more. */
const ENDED: ReadonlySet<string> = new Set(["completed", "skipped", "notTaken"]);

/**
 * `record` is as it was read when it was decided that the run has ended: who is faster wins.
 *
 * @throws PAWL_RUN_NOT_RETRYABLE, PAWL_RUN_QUARANTINED, PAWL_NOT_A_WORKFLOW, PAWL_NODE_SETTLED,
 * PAWL_OUTPUT_INVALID, PAWL_INVALID_VALUE
 */
export async function overrideEnded(
  store: Store,
  record: RunRecord,
  asked: Override,
  at: number,
  findDefinition: (hash: string) => Definition | undefined,
): Promise<OverriddenNode> {
  const runId = record.id;
  if (isMachineRun(record)) throw new PawlError("PAWL_NOT_A_WORKFLOW", { message: `run "${runId}" is one of a machine, which has no nodes` });
  const definition = findDefinition(record.definition);
  const checked = definition?.kind === "dag" ? await checkedOverride(definition.workflow.plan, asked) : asked;
  const known = await readEnded(store, record);
  const { graph, nodes } = known;
  const node = overridable(graph, runId, asked.node);
  const stored = nodes.find(({ index }) => index === node.index);
  const status = stored?.status ?? new Progress(graph, nodes).status(node.index);
  if (ENDED.has(status) || (status === "failed" && asked.outcome === "failed")) throw settledError(runId, asked.node, status);
  const choice = node.within?.choice;
  if (choice !== undefined && nodes.find(({ index }) => index === choice)?.opened === undefined) throw notChosen(runId, node.id, graph.node(choice).id);
  const again = nodes.filter((each) => each.status === "cancelled" && each.index !== node.index);
  const { runId: id, commitNo } = await reopen(store, record, known, { again, at, event: "run.retried", set: setOf(runId, node, stored, checked, at) });
  return { runId: id, node: node.id, commitNo };
}

function setOf(
  runId: string,
  { index, id }: { readonly index: number; readonly id: string },
  stored: StoredNode | undefined,
  asked: Override,
  at: number,
): SetNode {
  const { outcome, by, reason, result } = asked;
  const { attempt = 0, startedAt = at, generation, input }: Partial<NodeBody> = stored?.body ?? {};
  const note = { outcome, ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) };
  const failure = outcome === "completed" ? undefined : overrideFailure(asked);
  const edited = generation === undefined || input === undefined ? {} : { generation, input };
  const body: NodeBody = { attempt, startedAt, endedAt: at, ...(failure !== undefined && { failure }), overridden: note, ...edited };
  const why = failure === undefined ? [] : [failure.code, failure.message];
  return {
    node: { index, status: outcome, body, commitNo: 0 },
    row: actorRow(runId, id, outcome, nodeBodyText(body), result ?? null),
    history: [
      ["node.overridden", id, 0, note],
      [`node.${outcome}`, id, attempt, ...why],
    ],
  };
}
