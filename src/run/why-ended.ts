/**
 * Why a run ended as it did, and whether it can be taken up again.
 */
import type { RunRecord, Store } from "../store/store.ts";
import { isMachineRun } from "./machine-view.ts";
import { openRunRow } from "./row.ts";
import { type NodeView, viewNodes } from "./view.ts";
import { type Asking, type Draft, named } from "./why-cause.ts";
import { failedActorDrafts } from "./why-machine.ts";
import { failureDrafts, undoFailedDrafts, undoneNext } from "./why-nodes.ts";

/** Of a run that has ended. */
export async function endedDrafts(asking: Asking): Promise<Draft[]> {
  const { record } = asking;
  const { id, status, reason } = record;
  if (status === "completed") return [];
  if (status === "quarantined")
    return [
      {
        kind: "quarantined",
        message: `it was set aside: ${reason ?? "no reason is known"}`,
        code: /^PAWL_[A-Z_]+/.exec(reason ?? "")?.[0],
        next: "`pawl doctor --full` says what is damaged; its rows are kept as they are; start it again under another id",
      },
    ];
  const isMachine = isMachineRun(record);
  const nodes = isMachine ? [] : await viewNodes(asking.store, id);
  const below = isMachine ? await failedActorDrafts(asking) : failureDrafts(asking, nodes);
  const { failure } = openRunRow(record);
  if (status === "cancelled") return [cancelledDraft(asking, nodes), ...(await undoFailedDrafts(asking, nodes, status)), ...below];
  if (failure?.code === "PAWL_RUN_TIMED_OUT") return [timedOutDraft(asking, nodes), ...below];
  const own: Draft[] =
    below.length > 0 ? [] : [{ kind: "failed", message: `it failed: ${failure?.code} ${failure?.message}`, code: failure?.code, next: await ownNext(asking) }];
  return [...own, ...below, ...(await undoFailedDrafts(asking, nodes, status))];
}

function cancelledDraft({ record }: Asking, nodes: readonly NodeView[]): Draft {
  const { unwinds, terminated } = openRunRow(record);
  const how = terminated ? "at once, nothing was undone" : unwinds === undefined ? "" : "what it had done was undone";
  return {
    kind: "cancelled",
    message: `it was cancelled${how === "" ? "" : `: ${how}`}${cutOff(nodes)}`,
    since: record.updatedAt,
    next: continueNext(record, unwinds !== undefined),
  };
}

function timedOutDraft({ record }: Asking, nodes: readonly NodeView[]): Draft {
  return {
    kind: "timedOut",
    message: `it reached its timeout${cutOff(nodes)}`,
    code: "PAWL_RUN_TIMED_OUT",
    since: record.updatedAt,
    next: continueNext(record, false),
  };
}

/** What ran when it ended. */
function cutOff(nodes: readonly NodeView[]): string {
  const cut = nodes.filter(({ status, startedAt }) => status === "cancelled" && startedAt !== undefined).map(({ id }) => id);
  return cut.length === 0 ? "" : `; cut off: ${named(cut)}`;
}

function continueNext(record: RunRecord, isUndone: boolean): string {
  if (isMachineRun(record)) return `\`pawl show ${record.id} --checkpoints\` says from where it can be forked`;
  return isUndone ? undoneNext(record) : `\`pawl resume ${record.id}\` goes on with it`;
}

async function ownNext({ record }: Asking): Promise<string> {
  if (isMachineRun(record)) return `\`pawl show ${record.id} --checkpoints\` says from where it can be forked`;
  return `see \`pawl show ${record.id}\`; fork it with other values`;
}

/** Can an ended run of a workflow be taken up again in place? */
export async function isRetryable(store: Store, record: RunRecord): Promise<boolean> {
  const { status, id } = record;
  if (status === "completed" || status === "quarantined" || isMachineRun(record)) return false;
  const { failure, unwinds } = openRunRow(record);
  if (unwinds !== undefined) return false;
  if (status !== "failed" || failure?.code === "PAWL_RUN_TIMED_OUT") return true;
  return (await viewNodes(store, id)).some((node) => node.status === "failed" || node.status === "cancelled");
}
