/**
 * Sets how a node ends, wherever its run is: whoever has the run is asked; one that has ended is taken up again. Of two who say
 * so at once the second is told what the first one did.
 */
import { isPawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Again } from "./again.ts";
import type { Answered } from "./asks.ts";
import { type OverriddenNode, type OverrideOptions, type OverrideOutcome, noteText, readOverride, settledError } from "./override.ts";
import type { Request } from "./requests.ts";
import { type NodeBody, openActorRow } from "./row.ts";
import { isOver, requireRun } from "./view.ts";

interface OverrideSeams {
  readonly store: Store;
  readonly again: Again;
  ask(request: Request): Promise<Answered>;
}

export async function overrideNode(
  seams: OverrideSeams,
  runId: string,
  node: string,
  outcome: OverrideOutcome,
  options: OverrideOptions,
): Promise<OverriddenNode> {
  const { store, again } = seams;
  const asked = readOverride(node, outcome, options);
  try {
    const record = await requireRun(store, runId);
    if (isOver(record.status)) return await again.override(record, asked);
    const answer = await seams.ask({ kind: "override", ...asked });
    return { runId, node, commitNo: "sent" in answer ? answer.sent.commitNo : answer.commitNo };
  } catch (error) {
    throw isPawlError(error, "PAWL_NODE_SETTLED") ? await whoSettled(store, runId, node, error) : error;
  }
}

/** The error, with how the node has ended, and who said so if anybody did. */
async function whoSettled(store: Store, runId: string, node: string, error: unknown): Promise<unknown> {
  const [row] = await store.readActors(runId, [node]);
  if (row === undefined) return error;
  const { overridden } = openActorRow(runId, row) as NodeBody;
  const how = overridden === undefined ? "" : `, as it was set${noteText(overridden)}`;
  return settledError(runId, node, row.status, how, { status: row.status, commitNo: row.commitNo, ...(overridden !== undefined && { overridden }) });
}
