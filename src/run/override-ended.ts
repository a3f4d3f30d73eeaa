/**
 * Sets how a node of a run that has ended ends, and takes the run up again, in one commit. The run is nobody's then: any
 * worker that has its definition goes on with it. A result is checked here, so this process must have the definition.
 */
import type { RunRecord, Store } from "../store/store.ts";
import { isGroup } from "../define/node-definition.ts";
import { PawlError } from "../errors.ts";
import type { Definition } from "./definition.ts";
import type { Graph, RunNode } from "./graph.ts";
import { isMachineRun } from "./machine-view.ts";
import { type Override, type OverriddenNode, checkedOverride, notChosen, noteOf, overridable, overrideFailure, settledError } from "./override.ts";
import { Progress } from "./progress.ts";
import { type SetNodes, readEnded, reopen } from "./reopen.ts";
import { type NodeBody, actorRow, nodeBodyText } from "./row.ts";
import type { StoredNode } from "./stored-nodes.ts";

/** Of these it is said how they end; one that failed can fail no more. */
const ENDED: ReadonlySet<string> = new Set(["completed", "skipped", "notTaken"]);

/**
 * `record` is as it was read when it was decided that the run has ended: who is faster wins.
 *
 * @throws PAWL_RUN_NOT_RETRYABLE, PAWL_RUN_QUARANTINED, PAWL_NOT_A_WORKFLOW, PAWL_NODE_SETTLED,
 * PAWL_OUTPUT_INVALID, PAWL_INVALID_VALUE, PAWL_DEFINITION_MISSING (a result is set that cannot be checked here)
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
  const known = await readEnded(store, record);
  const { graph, nodes } = known;
  const node = overridable(graph, runId, asked.node);
  const stored = nodes.find(({ index }) => index === node.index);
  const status = stored?.status ?? new Progress(graph, nodes).status(node.index);
  if (ENDED.has(status) || (status === "failed" && asked.outcome === "failed")) throw settledError(runId, asked.node, status);
  const choice = node.within?.choice;
  if (choice !== undefined && nodes.find(({ index }) => index === choice)?.opened === undefined) throw notChosen(runId, node.id, graph.node(choice).id);
  const checked = await checkedHere(record, asked, findDefinition(record.definition));
  const parts = new Set(isGroup(node.kind) ? graph.partsOf(node.index) : []);
  const again = nodes.filter((each) => each.status === "cancelled" && each.index !== node.index && !parts.has(each.index));
  const unfinished = asked.outcome === "failed" ? [] : nodes.filter(({ index, status: of }) => parts.has(index) && !ENDED.has(of));
  const set = setOf(runId, node, stored, checked, at);
  const commit = { again, at, event: "run.retried", set: withParts(set, runId, graph, unfinished, at) } as const;
  const { runId: id, commitNo } = await reopen(store, record, known, commit);
  return { runId: id, node: node.id, commitNo };
}

/** What is stored unchecked would break those that read it later. */
async function checkedHere({ id, workflow }: RunRecord, asked: Override, definition: Definition | undefined): Promise<Override> {
  if (asked.outcome !== "completed") return asked;
  if (definition?.kind === "dag") return checkedOverride(definition.workflow.plan, asked);
  throw new PawlError("PAWL_DEFINITION_MISSING", {
    message: `run "${id}" has ended, and this process was not given "${workflow}", which the result is to be checked by`,
    next: "name the file: `pawl override RUN NODE --result JSON --definition FILE`; or give it to open(url, { workflows })",
  });
}

function setOf(runId: string, { index, id }: RunNode, stored: StoredNode | undefined, asked: Override, at: number): SetNodes {
  const { outcome, result } = asked;
  const { attempt = 0, startedAt = at, generation, input, opened }: Partial<NodeBody> = stored?.body ?? {};
  const note = noteOf(asked);
  const failure = outcome === "completed" ? undefined : overrideFailure(asked);
  const edited = generation === undefined || input === undefined ? {} : { generation, input };
  const body: NodeBody = {
    attempt,
    startedAt,
    endedAt: at,
    ...(failure !== undefined && { failure }),
    overridden: note,
    ...edited,
    ...(opened !== undefined && { opened }),
  };
  const why = failure === undefined ? [] : [failure.code, failure.message];
  return {
    nodes: [{ index, status: outcome, opened, body, commitNo: 0 }],
    rows: [actorRow(runId, id, outcome, nodeBodyText(body), result ?? null)],
    history: [
      ["node.overridden", id, 0, note],
      [`node.${outcome}`, id, attempt, ...why],
    ],
  };
}

/** What a group is made of and has not ended well is not waited for any more. */
function withParts(set: SetNodes, runId: string, graph: Graph, parts: readonly StoredNode[], at: number): SetNodes {
  const status = "notTaken";
  const left = parts.map((node): StoredNode => ({ ...node, status, body: { ...node.body, endedAt: at }, commitNo: 0 }));
  const idOf = ({ index }: StoredNode): string => graph.node(index).id;
  return {
    nodes: [...set.nodes, ...left],
    rows: [...set.rows, ...left.map((node) => actorRow(runId, idOf(node), status, nodeBodyText(node.body), null))],
    history: [...left.map((node) => ["node.notTaken", idOf(node), node.body.attempt]), ...set.history],
  };
}
