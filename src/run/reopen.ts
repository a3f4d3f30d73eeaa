/**
 * Takes up an ended run of a workflow again, in place: `retry` what failed, or `resume` what a cancel or timeout cut off.
 * 1. Results that were reached stay. What runs again does so under its old idempotency key, with a fresh count of attempts.
 * 2. The run is nobody's then: any worker that has its definition takes it on. 3. Of two at once only one does it.
 */
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { type ActorRecord, type Commit, NOBODY, type RunRecord, type Store } from "../store/store.ts";
import { childRunId } from "./attempt.ts";
import { isMachineRun } from "./machine-view.ts";
import { Progress } from "./progress.ts";
import { BESIDE, OUTPUT_KEY, SUPERVISOR_KEY, actorRow, nodeBodyText, openRunRow, runRow } from "./row.ts";
import { isOver, readPlan, requireRun } from "./view.ts";
import type { Graph } from "./graph.ts";
import { type StoredNode, type StoredNodes, readNodes } from "./stored-nodes.ts";

export interface RetryOptions {
  /** Of the failed nodes only these; the others stay failed, and the run will. What was cut off runs again in any case. */
  readonly nodes?: readonly string[] | undefined;
  /** The instant, in ms since 1970. */
  readonly at: number;
}

/** What runs again. */
export interface Reopened {
  readonly runId: string;
  /** The commit that did it. */
  readonly commitNo: number;
  /** Nodes that run again, or for the first time, unless one before them fails; in the order of the definition. */
  readonly runsAgain: readonly string[];
}

/**
 * Runs again what failed or was cut off in an ended run, and what was blocked by it.
 *
 * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_NOT_RETRYABLE, PAWL_INVALID_VALUE (`nodes` names one that did not fail),
 * PAWL_RUN_QUARANTINED
 */
export async function retryRun(store: Store, runId: string, { nodes, at }: RetryOptions): Promise<Reopened> {
  const record = await requireRun(store, runId);
  refuseUnlessEnded(record);
  const plan = await readPlan(store, record.definition);
  const { graph, nodes: stored } = readNodes(record, await store.readActorRange(runId, "", BESIDE), plan);
  const wanted = nodes === undefined ? undefined : checkedNodes(record, nodes, graph, stored);
  const again = stored.filter(({ index, status }) => status === "cancelled" || (status === "failed" && wanted?.has(index) !== false));
  const isUndone = record.status !== "failed" || again.length > 0 || unfinished(graph, stored).length > 0;
  if (!isUndone) throw notRetryable(record, "failed, though none of its nodes did", "see `pawl show RUN` for the reason; fork it with other values");
  return reopen(store, record, { graph, nodes: stored }, { again, at, event: "run.retried" });
}

/**
 * Continues a run that was cancelled or reached its timeout: nodes that were cut off run again, those that failed stay
 * failed.
 *
 * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_NOT_RETRYABLE, PAWL_RUN_QUARANTINED
 */
export async function resumeRun(store: Store, runId: string, { at }: { readonly at: number }): Promise<Reopened> {
  const record = await requireRun(store, runId);
  refuseUnlessEnded(record);
  const isTimeout = openRunRow(record).failure?.code === "PAWL_RUN_TIMED_OUT";
  if (record.status === "failed" && !isTimeout) throw notRetryable(record, "failed; it was neither cancelled nor timed out", "retry it: `pawl retry RUN`");
  const plan = await readPlan(store, record.definition);
  const { graph, nodes: stored } = readNodes(record, await store.readActorRange(runId, "", BESIDE), plan);
  const again = stored.filter(({ status }) => status === "cancelled");
  return reopen(store, record, { graph, nodes: stored }, { again, at, event: "run.continued" });
}

// ---- what can be taken up again

function refuseUnlessEnded(record: RunRecord): void {
  const { id, status, reason } = record;
  if (status === "quarantined")
    throw new PawlError("PAWL_RUN_QUARANTINED", { message: `run "${id}" cannot be taken up again: it was set aside, ${reason ?? "for an unknown reason"}` });
  if (isMachineRun(record))
    throw notRetryable(record, "is one of a machine, which cannot be taken up where it ended", "fork it from a checkpoint; see `pawl show RUN --checkpoints`");
  if (!isOver(status)) throw notRetryable(record, `is ${status}`, "wait for its end, or cancel it first");
  if (openRunRow(record).unwinds !== undefined)
    throw notRetryable(record, "was undone: what it had done is not there any more", "start it again under another id");
  if (status !== "completed") return;
  const skips = openRunRow(record).degraded ? ", though nodes were skipped: none is left to be tried again" : "";
  throw notRetryable(record, `is completed${skips}`, "fork it from the node that is to run again");
}

function notRetryable({ id, status }: RunRecord, what: string, next: string): PawlError {
  return new PawlError("PAWL_RUN_NOT_RETRYABLE", { message: `run "${id}" ${what}`, next, data: { status } });
}

/** The indices of failed or cancelled nodes that are named. */
function checkedNodes({ id: runId }: RunRecord, nodes: readonly string[], graph: Graph, stored: readonly StoredNode[]): Set<number> {
  const endings = new Map(stored.map(({ index, status }) => [index, status]));
  const failed = stored.filter(({ status }) => status === "failed").map(({ index }) => index);
  const names = failed.sort((a, b) => a - b).map((index) => graph.node(index).id);
  const next = failed.length === 0 ? "leave `nodes` out" : `those that failed are ${names.join(", ")}`;
  if (nodes.length === 0) throw new PawlError("PAWL_INVALID_VALUE", { message: "`nodes` names none", next });
  const progress = new Progress(graph, stored);
  return new Set(
    nodes.map((node) => {
      const index = graph.find(node);
      if (index === undefined)
        throw new PawlError("PAWL_INVALID_VALUE", { message: `run "${runId}" has no node "${node}"${didYouMean(node, graph.plan.indexOf.keys())}`, next });
      const ending = endings.get(index);
      if (ending === "failed" || ending === "cancelled") return index;
      const is = ending ?? (progress.status(index) === "blocked" ? "blocked by one that did" : "not started");
      throw new PawlError("PAWL_INVALID_VALUE", { message: `node "${node}" of run "${runId}" did not fail: it is ${is}`, next });
    }),
  );
}

/** Nodes that have not ended and are not blocked. */
function unfinished(graph: Graph, stored: readonly StoredNode[]): string[] {
  const progress = new Progress(graph, stored);
  const open: string[] = [];
  for (let index = 0; index < graph.size; index++) if (UNFINISHED.has(progress.status(index))) open.push(graph.node(index).id);
  return open;
}

const UNFINISHED: ReadonlySet<string> = new Set(["waiting", "backingOff", "running"]);

// ---- the commit

interface Reopening {
  readonly again: readonly StoredNode[];
  readonly at: number;
  readonly event: "run.retried" | "run.continued";
}

async function reopen(store: Store, record: RunRecord, { graph, nodes: stored }: StoredNodes, { again, at, event }: Reopening): Promise<Reopened> {
  const goesOn = await Promise.all(again.map((node) => nextAttempt(store, record.id, graph, node, at)));
  const rows = goesOn.filter((row) => row !== undefined);
  const counted = new Set(rows.map(({ key }) => key));
  const gone = again.map(({ index }) => graph.node(index).id).filter((id) => !counted.has(id));
  const { id, workflow: name, definition: hash, commitNo: from } = record;
  const commit: Commit = {
    runId: id,
    from,
    epoch: NOBODY,
    at,
    run: runRow(id, from + 1, { name, hash }, { status: "running", finished: false, wakeAt: null }, { state: "running", workedMs: 0, degraded: false }),
    actors: [actorRow(id, SUPERVISOR_KEY, "running", "{}", null), ...rows],
    gone: [...gone, OUTPUT_KEY],
    // who follows the history learns which nodes lost what they had come to
    history: JSON.stringify([[event], ...again.map(({ index }) => [event, graph.node(index).id])]),
  };
  await write(store, commit);
  const isAgain = new Set(again);
  // groups that were opened stay so
  const kept = stored.flatMap((node) => (!isAgain.has(node) ? [node] : node.opened === undefined ? [] : [{ ...node, status: "running" as const }]));
  return { runId: id, commitNo: from + 1, runsAgain: unfinished(graph, kept) };
}

/**
 * A node whose attempts were runs of their own goes on counting: the run of an old number has ended, and stays so. It is
 * written as one whose backoff is over. A group that was opened stays so. Any other begins anew, without a row.
 */
async function nextAttempt(store: Store, runId: string, graph: Graph, { index, body }: StoredNode, at: number): Promise<ActorRecord | undefined> {
  const { id } = graph.node(index);
  if (body.opened !== undefined) return actorRow(runId, id, "running", nodeBodyText({ attempt: 0, startedAt: body.startedAt, opened: body.opened }), null);
  for (let attempt = 1; attempt <= body.attempt; attempt++) {
    if ((await store.readRun(childRunId(runId, id, attempt))) === undefined) continue;
    return actorRow(runId, id, "backingOff", nodeBodyText({ ...body, endedAt: at, backoffMs: 0 }), null);
  }
  return undefined;
}

async function write(store: Store, commit: Commit): Promise<void> {
  const outcome = await store.reopen(commit);
  if (outcome === "committed") return;
  if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
  const [entry] = outcome === "unknown" ? await store.readHistory(commit.runId, commit.from, 1) : [];
  if (entry?.commitNo === commit.from + 1 && entry.at === commit.at && entry.body === commit.history) return;
  const record = await requireRun(store, commit.runId);
  if (outcome === "unknown" && record.commitNo === commit.from)
    throw new PawlError("PAWL_STORE_FAILED", { message: `run "${record.id}" was not taken up again`, next: "try it again" });
  throw notRetryable(
    record,
    `was taken up again by somebody else at the same moment; it is ${record.status}`,
    "nothing is left to be done; see `pawl show RUN`",
  );
}
