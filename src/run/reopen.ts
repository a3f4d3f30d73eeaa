/**
 * Takes up an ended run of a workflow again, in place: `retry` what failed, or `resume` what a cancel or timeout cut off.
 * 1. Results that were reached stay. What runs again does so under its old idempotency key, with a fresh count of attempts.
 * 2. The run is nobody's then: any worker that has its definition takes it on. 3. Of two at once only one does it.
 */
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { type ActorRecord, type Commit, NOBODY, type RunRecord, type Store } from "../store/store.ts";
import { childRunId } from "./attempt.ts";
import type { EditedInput } from "./edited-inputs.ts";
import { readHistoryEntry } from "./history.ts";
import { isMachineRun } from "./machine-view.ts";
import { OPEN } from "./node-status.ts";
import { Progress } from "./progress.ts";
import { BESIDE, type NodeBody, OUTPUT_KEY, SUPERVISOR_KEY, actorRow, nodeBodyText, openRunRow, runRow, stepRange } from "./row.ts";
import { isOver, readPlan, requireRun } from "./view.ts";
import { type Graph, isSpan } from "./graph.ts";
import { type StoredNode, type StoredNodes, readNodes } from "./stored-nodes.ts";

export interface RetryOptions {
  /** Of the failed nodes only these; the others stay failed, and the run will. What was cut off runs again in any case. */
  readonly nodes?: readonly string[] | undefined;
  /** Inputs, as text, that failed nodes are given from now on instead of their own. */
  readonly inputs?: ReadonlyMap<string, string> | undefined;
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
export async function retryRun(store: Store, runId: string, { nodes, inputs = new Map(), at }: RetryOptions): Promise<Reopened> {
  const record = await requireRun(store, runId);
  const { graph, nodes: stored } = await readEnded(store, record);
  const wanted = nodes === undefined ? undefined : checkedNodes(record, nodes, graph, stored);
  const edited = inputs.size === 0 ? new Map<number, string>() : checkedInputs(record, inputs, wanted, graph, stored);
  const again = stored.filter(({ index, status }) => status === "cancelled" || (status === "failed" && wanted?.has(index) !== false));
  const isUndone = record.status !== "failed" || again.length > 0 || unfinished(graph, stored).length > 0;
  if (!isUndone) throw notRetryable(record, "failed, though none of its nodes did", "see `pawl show RUN` for the reason; fork it with other values");
  return reopen(store, record, { graph, nodes: stored }, { again, at, event: "run.retried", edited });
}

/**
 * Continues a run that was cancelled or reached its timeout: nodes that were cut off run again, those that failed stay
 * failed.
 *
 * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_NOT_RETRYABLE, PAWL_RUN_QUARANTINED
 */
export async function resumeRun(store: Store, runId: string, { at }: { readonly at: number }): Promise<Reopened> {
  const record = await requireRun(store, runId);
  const { graph, nodes: stored } = await readEnded(store, record);
  const isTimeout = openRunRow(record).failure?.code === "PAWL_RUN_TIMED_OUT";
  if (record.status === "failed" && !isTimeout) throw notRetryable(record, "failed; it was neither cancelled nor timed out", "retry it: `pawl retry RUN`");
  const again = stored.filter(({ status }) => status === "cancelled");
  return reopen(store, record, { graph, nodes: stored }, { again, at, event: "run.continued" });
}

// ---- what can be taken up again

/** The nodes of a run that can be taken up again. */
export async function readEnded(store: Store, record: RunRecord): Promise<StoredNodes> {
  refuseUnlessEnded(record);
  const plan = await readPlan(store, record.definition);
  return readNodes(record, await store.readActorRange(record.id, "", BESIDE), plan);
}

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

function notRetryable({ id, status }: RunRecord, what: string, next: string, data: object = {}): PawlError {
  return new PawlError("PAWL_RUN_NOT_RETRYABLE", { message: `run "${id}" ${what}`, next, data: { status, ...data } });
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

/** The inputs by the indices of their nodes, which are calls that run again. */
function checkedInputs(
  record: RunRecord,
  inputs: ReadonlyMap<string, string>,
  wanted: ReadonlySet<number> | undefined,
  graph: Graph,
  stored: readonly StoredNode[],
): Map<number, string> {
  const edited = new Map<number, string>();
  checkedNodes(record, [...inputs.keys()], graph, stored);
  for (const [id, input] of inputs) {
    const index = graph.find(id)!;
    if (graph.node(index).kind !== "call")
      throw new PawlError("PAWL_INVALID_VALUE", {
        message: `node "${id}" of run "${record.id}" calls no agent: it is given no input`,
        next: "leave its input out",
      });
    const isFailed = stored.find((node) => node.index === index)?.status === "failed";
    if (isFailed && wanted?.has(index) === false)
      throw new PawlError("PAWL_INVALID_VALUE", { message: `node "${id}" is given an input, and is not among \`nodes\``, next: "name it there, too" });
    edited.set(index, input);
  }
  return edited;
}

/** Nodes that have not ended and are not blocked. */
function unfinished(graph: Graph, stored: readonly StoredNode[]): string[] {
  const progress = new Progress(graph, stored);
  const open: string[] = [];
  for (let index = 0; index < graph.size; index++) if (OPEN.has(progress.status(index))) open.push(graph.node(index).id);
  return open;
}

// ---- the commit

export interface Reopening {
  readonly again: readonly StoredNode[];
  readonly at: number;
  readonly event: "run.retried" | "run.continued";
  /** Inputs that were given to some of them, as text. */
  readonly edited?: ReadonlyMap<number, string>;
  /** A node that ends with this commit, because somebody says so, and what it is made of. */
  readonly set?: SetNodes;
}

/** Nodes as they end, their rows, and what history says of them. */
export interface SetNodes {
  readonly nodes: readonly StoredNode[];
  readonly rows: readonly ActorRecord[];
  readonly history: readonly (readonly unknown[])[];
}

/** One commit takes the run up again. */
export async function reopen(
  store: Store,
  record: RunRecord,
  { graph, nodes: stored }: StoredNodes,
  { again, at, event, edited = new Map(), set }: Reopening,
): Promise<Reopened> {
  const goesOn = await Promise.all(again.map((node) => nextAttempt(store, record.id, graph, node, at, edited.get(node.index))));
  const rows = goesOn.filter((row) => row !== undefined);
  const counted = new Set(rows.map(({ key }) => key));
  const gone = again.map(({ index }) => graph.node(index).id).filter((id) => !counted.has(id));
  // what an agent kept of its steps was of another input
  for (const index of edited.keys()) gone.push(...(await store.readActorRange(record.id, ...stepRange(graph.node(index).id))).map(({ key }) => key));
  // their time begins anew with the run's
  const stages = (await store.readActorRange(record.id, "[", "\\")).map(({ key }) => key).filter(isSpan);
  const { id, workflow: name, definition: hash, commitNo: from } = record;
  // for whom it works stays, and how urgent it is
  const { lane } = openRunRow(record);
  const endedBefore = { as: record.status, isBlocked: new Progress(graph, stored).hasBlocked };
  const body = { state: "running", workedMs: 0, degraded: false, ...(lane !== undefined && { lane }), endedBefore };
  const commit: Commit = {
    runId: id,
    from,
    epoch: NOBODY,
    at,
    run: runRow(id, from + 1, { name, hash }, { status: "running", finished: false, wakeAt: null }, body),
    actors: [actorRow(id, SUPERVISOR_KEY, "running", "{}", null), ...rows, ...(set?.rows ?? [])],
    gone: [...gone, ...stages, OUTPUT_KEY],
    // who follows the history learns which nodes lost what they had come to
    history: JSON.stringify([[event], ...again.map((node) => retriedEntry(event, graph, node, edited.has(node.index))), ...(set?.history ?? [])]),
  };
  await write(store, commit);
  const isAgain = new Set(again);
  const isSet = new Set(set?.nodes.map(({ index }) => index));
  // groups that were opened stay so
  const others = stored.filter(({ index }) => !isSet.has(index));
  const kept = others.flatMap((node) => (!isAgain.has(node) ? [node] : node.opened === undefined ? [] : [{ ...node, status: "running" as const }]));
  return { runId: id, commitNo: from + 1, runsAgain: unfinished(graph, [...kept, ...(set?.nodes ?? [])]) };
}

function retriedEntry(event: Reopening["event"], graph: Graph, { index, body }: StoredNode, isEdited: boolean): unknown[] {
  const entry = [event, graph.node(index).id];
  return isEdited ? [...entry, 0, { generation: (body.generation ?? 1) + 1 }] : entry;
}

/**
 * A node whose attempts were runs of their own goes on counting: the run of an old number has ended, and stays so. It is
 * written as one whose backoff is over, and so is one whose input is not that of its definition, or that had recovery actions. A group that was opened
 * stays so. Any other begins anew, without a row.
 */
async function nextAttempt(
  store: Store,
  runId: string,
  graph: Graph,
  { index, body: before }: StoredNode,
  at: number,
  edited: string | undefined,
): Promise<ActorRecord | undefined> {
  const { id } = graph.node(index);
  // it begins with its own agent again, however many had taken over
  const { overridden: _overridden, alternative: _alternative, ...body } = before;
  if (body.opened !== undefined) return actorRow(runId, id, "running", nodeBodyText({ attempt: 0, startedAt: body.startedAt, opened: body.opened }), null);
  const given = inputAgain(body, edited);
  for (let attempt = 1; attempt <= body.attempt; attempt++) {
    if ((await store.readRun(childRunId(runId, id, attempt))) === undefined) continue;
    return actorRow(runId, id, "backingOff", nodeBodyText({ ...body, ...given, attemptsBefore: body.attempt, endedAt: at, backoffMs: 0 }), null);
  }
  // the rows of its recovery actions stay: their numbers are used up
  const { recoveries } = body;
  if (given === undefined && recoveries === undefined) return undefined;
  const anew = { attempt: 0, startedAt: at, endedAt: at, backoffMs: 0, ...given, ...(recoveries !== undefined && { recoveries }) };
  return actorRow(runId, id, "backingOff", nodeBodyText(anew), null);
}

/** The input that a node is given instead of its own: a new one, or the one that it was given before. */
function inputAgain({ generation = 1, input: before }: NodeBody, edited: string | undefined): EditedInput | undefined {
  if (edited !== undefined) return { generation: generation + 1, input: edited };
  return before === undefined ? undefined : { generation, input: before };
}

async function write(store: Store, commit: Commit): Promise<void> {
  const outcome = await store.reopen(commit);
  if (outcome === "committed") return;
  if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
  const [entry] = outcome === "unknown" ? await store.readHistory(commit.runId, commit.from, 1) : [];
  if (entry?.commitNo === commit.from + 1 && entry.at === commit.at && entry.body === commit.history) return;
  const record = await requireRun(store, commit.runId);
  const won = await winnerOf(store, commit);
  if (outcome === "unknown" && record.commitNo === commit.from)
    throw new PawlError("PAWL_STORE_FAILED", { message: `run "${record.id}" was not taken up again`, next: "try it again" });
  throw notRetryable(
    record,
    `was taken up again by somebody else at the same moment${won === undefined ? "" : ` (commit ${won.commitNo}: ${won.what})`}; it is ${record.status}`,
    "see `pawl show RUN` for what was done, then decide again",
    { won },
  );
}

/** What the commit did that was faster, and who did it if it says so. */
interface Winner {
  readonly commitNo: number;
  readonly at: number;
  readonly what: string;
  readonly by?: string | undefined;
}

async function winnerOf(store: Store, { runId, from }: Commit): Promise<Winner | undefined> {
  const [entry] = await store.readHistory(runId, from, 1);
  if (entry === undefined) return undefined;
  const { commitNo, at, events } = readHistoryEntry(entry);
  const told = events.find(({ type }) => type === "node.overridden") ?? events[0];
  const of = told?.node === undefined ? "" : ` ${told.node}`;
  return { commitNo, at, what: `${told?.type ?? "nothing"}${of}${told?.by === undefined ? "" : ` by ${told.by}`}`, by: told?.by };
}
