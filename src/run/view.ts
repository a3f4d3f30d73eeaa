/**
 * What people see of a run: derived from its rows and its stored definition, without its code, in any process.
 */
import type { Failure } from "../../machines/node.ts";
import type { NodeKind } from "../define/node-definition.ts";
import type { PlanStructure as WorkflowStructure } from "../define/plan-structure.ts";
import type { Plan } from "../define/plan.ts";
import { planOfStructure } from "../define/stored-plan.ts";
import { PawlError } from "../errors.ts";
import { type RunRecord, type Store, WAITS_FOR_EVENT } from "../store/store.ts";
import { viewAwaited } from "./awaited.ts";
import { decode } from "./codec.ts";
import { type HistoryEntry, readHistoryEntry } from "./history.ts";
import { READABLE, type WaitingFor, isMachineRun, readStructure, viewMachine } from "./machine-view.ts";
import { type Lane, NO_LANE } from "./lane.ts";
import { type ForkOrigin, readOrigin } from "./origin.ts";
import { type Graph, type RunNode, recoveryId } from "./graph.ts";
import type { NodeStatus as Standing } from "./node-status.ts";
import { Progress } from "./progress.ts";
import { BESIDE, INPUT_KEY, OUTPUT_KEY, type OverrideNote, openActorRow, openRunRow, progressKey } from "./row.ts";
import { type StoredNode, readNodes } from "./stored-nodes.ts";
import type { MachineStructure } from "./xstate/structure.ts";

export type RunStatus = "pending" | "running" | "paused" | "compensating" | "completed" | "failed" | "timedOut" | "cancelled" | "quarantined";

/** A run at a glance. Instants in ms since 1970. */
export interface RunSummary {
  readonly id: string;
  /** What it is a run of: a workflow of nodes, or a machine. */
  readonly kind: "workflow" | "machine";
  /** The name of the workflow or machine. */
  readonly workflow: string;
  readonly status: RunStatus;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** The worker that has it, or had it last, by its epoch; 0 when none ever had. */
  readonly epoch: number;
  /** Its newest checkpoint. */
  readonly commitNo: number;
  /** When it goes on, if it has nothing to do before; null while it works, has ended, or waits for an event only. */
  readonly wakeAt: number | null;
  /** What or whom it is about, and its tags, as they were given when it was started. */
  readonly subject: string | undefined;
  readonly tags: readonly string[];
  /** Of a fork: where it came from. */
  readonly forkedFrom: ForkOrigin | undefined;
  /** For whom it works, and how urgent it is among the runs of the same, as it was said when it was started. */
  readonly tenant: string | undefined;
  readonly priority: number;
}

/** A run with what it was given and gave. */
export interface RunView extends RunSummary {
  /** It completed though nodes were skipped, or alternatives took over: its own, or those of runs whose results it took. */
  readonly degraded: boolean;
  /** It was cancelled at once: nothing that would undo what was done was run. */
  readonly terminated: boolean;
  /** What it had done was undone, all of it. */
  readonly compensated: boolean;
  /** Nodes that could not be undone; at most 100. */
  readonly compensationFailed: readonly string[];
  readonly input: unknown;
  readonly output: unknown;
  readonly failure: (Failure & { readonly node?: string | undefined }) | undefined;
  /** Why it was quarantined. */
  readonly reason: string | null;
  /** Of a machine's run: the machine's state value. */
  readonly state: unknown;
  /** What it waits for; undefined while it waits for nothing. */
  readonly waitingFor: WaitingFor | undefined;
}

export type { PlanStructure as WorkflowStructure } from "../define/plan-structure.ts";

/** What a run was defined as, as data. The structure of a workflow has its nodes, that of a machine its states. */
export type RunDefinition =
  | { readonly kind: "workflow"; readonly name: string; readonly hash: string; readonly structure: WorkflowStructure }
  | { readonly kind: "machine"; readonly name: string; readonly hash: string; readonly structure: MachineStructure };

/** A node of a run. */
export interface NodeView {
  readonly id: string;
  readonly agent: string;
  readonly kind: NodeKind;
  readonly stage: string | undefined;
  /** The map or loop of which it is an item or round, or the choice of which it is a member, of this branch. */
  readonly memberOf: MemberOf | undefined;
  readonly status: NodeStatus;
  readonly dependencies: readonly string[];
  readonly attempt: number;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  readonly failure: Failure | undefined;
  /** While it backs off: when the next attempt is due. */
  readonly retryAt: number | undefined;
  /** How many recovery actions were called for it. */
  readonly recoveries: number;
  /** The recovery action that it waits for, or that runs beside its attempt, by its name. */
  readonly action: string | undefined;
  /** Of an attempt that takes longer than its `warnAfter`: since when. */
  readonly warnedAt: number | undefined;
  /** What its attempt reported last; see `ctx.heartbeat`. */
  readonly progress: unknown;
  /** Of a call of a workflow or machine: the id of the run that its newest attempt is. */
  readonly childRun: string | undefined;
  /** It waits for the end of a run that was started elsewhere. */
  readonly awaitsRun?: true | undefined;
  /** Of an event that is awaited: when its timeout strikes; undefined when it has none. */
  readonly dueAt: number | undefined;
  /** Of a map or loop that was opened: how many items, or rounds, it has; they come after it. */
  readonly items: number | undefined;
  /** Of a choice that was made: the branch that was taken; undefined when none was. */
  readonly branch: string | undefined;
  /** Somebody said how it ends: how, who, and why. */
  readonly overridden: OverrideNote | undefined;
  /** Which input it was given: 1 is that of its definition; it grows when it is tried again with another one. */
  readonly generation: number;
  /** For a blocked node: the failed nodes that it, directly or not, depends on. */
  readonly upstreamFailures: readonly string[];
}

/** How far the undoing of a node is. */
export type UndoStatus = "compensating" | "compensated" | "compensationFailed";
export type NodeStatus = Standing | UndoStatus;

/** Where a node belongs that is a part of another one. */
export type MemberOf = { readonly group: string; readonly position: number } | { readonly group: string; readonly branch: string };

const OVER: ReadonlySet<string> = new Set(["completed", "failed", "timedOut", "cancelled", "quarantined"]);

/** Has a run of this status ended? */
export function isOver(status: string): boolean {
  return OVER.has(status);
}

const UNDER_WAY: ReadonlySet<string> = new Set(["running", "paused", "compensating"]);
const HISTORY_PAGE = 1_000;
const ENDED_EARLY: ReadonlySet<string> = new Set(["failed", "timedOut", "cancelled"]);

export function summaryOf(record: RunRecord): RunSummary {
  const { id, workflow, createdAt, updatedAt, commitNo, tags } = record;
  return {
    id,
    kind: isMachineRun(record) ? "machine" : "workflow",
    workflow,
    status: record.status as RunStatus,
    createdAt,
    updatedAt,
    epoch: record.epoch,
    commitNo,
    wakeAt: record.wakeAt === WAITS_FOR_EVENT ? null : record.wakeAt,
    subject: record.subject ?? undefined,
    tags,
    forkedFrom: readOrigin(record.origin),
    ...laneOfRow(record),
  };
}

/** A row that is damaged says nothing of it. */
function laneOfRow(record: RunRecord): { readonly tenant: string | undefined; readonly priority: number } {
  const { tenant, priority } = readLane(record) ?? NO_LANE;
  return { tenant, priority };
}

function readLane(record: RunRecord): Lane | undefined {
  try {
    return record.body.includes('"lane"') ? openRunRow(record).lane : undefined;
  } catch {
    return undefined;
  }
}

export async function requireRun(store: Store, runId: string): Promise<RunRecord> {
  const record = await store.readRun(runId);
  if (record === undefined) throw new PawlError("PAWL_RUN_NOT_FOUND", { message: `there is no run "${runId}"` });
  return record;
}

export async function viewRun(store: Store, record: RunRecord): Promise<RunView> {
  const runId = record.id;
  const { reason } = record;
  const nothing = {
    degraded: false,
    terminated: false,
    compensated: false,
    compensationFailed: [],
    input: undefined,
    output: undefined,
    failure: undefined,
    state: undefined,
    waitingFor: undefined,
  };
  if (record.status === "quarantined") return { ...summaryOf(record), ...nothing, reason };
  const values = await store.readActors(runId, [INPUT_KEY, OUTPUT_KEY]);
  const valueOf = (key: string): unknown => {
    const row = values.find((candidate) => candidate.key === key);
    if (row?.output == null) return undefined;
    openActorRow(runId, row);
    return decode(row.output, READABLE);
  };
  const { degraded, terminated = false, failure, unwinds, undoFailed: compensationFailed = [] } = openRunRow(record);
  const compensated = unwinds !== undefined && isOver(record.status) && !terminated && compensationFailed.length === 0;
  const waits = isMachineRun(record) ? await viewMachine(store, record) : { waitingFor: await viewAwaited(store, record) };
  return {
    ...summaryOf(record),
    ...nothing,
    ...waits,
    degraded,
    terminated,
    compensated,
    compensationFailed,
    input: valueOf(INPUT_KEY),
    output: valueOf(OUTPUT_KEY),
    failure,
    reason,
  };
}

/** What a run was defined as when it started, or last taken over by another definition. */
export async function viewDefinition(store: Store, record: RunRecord): Promise<RunDefinition> {
  const { workflow: name, definition: hash } = record;
  const structure: object = await readStructure(store, record);
  if (isMachineRun(record)) return { kind: "machine", name, hash, structure: structure as MachineStructure };
  return { kind: "workflow", name, hash, structure: structure as WorkflowStructure };
}

/** The graph of a run, as it was defined when it started. */
export async function readPlan(store: Store, definition: string): Promise<Plan> {
  const body = await store.readDefinition(definition);
  if (body === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: "the definition of this run is missing" });
  return planOfStructure(body);
}

export async function viewNodes(store: Store, runId: string, known?: Plan): Promise<NodeView[]> {
  const record = await requireRun(store, runId);
  if (isMachineRun(record)) throw new PawlError("PAWL_NOT_A_WORKFLOW", { message: `run "${runId}" is one of a machine, which has no nodes` });
  const plan = known ?? (await readPlan(store, record.definition));
  const { graph, nodes } = readNodes(record, await store.readActorRange(runId, "", BESIDE), plan);
  const stored = new Map(nodes.map((node) => [node.index, node]));
  const isUnderWay = UNDER_WAY.has(record.status);
  const running = isUnderWay ? await readRunning(store, runId) : new Map<string, StartedAttempt>();
  for (const id of running.keys()) growTo(graph, id);
  const progress = new Progress(graph, nodes);
  if (record.status === "running" || record.status === "paused") progress.queueReady();
  const reported = await readProgress(store, runId, running);
  const isOver = ENDED_EARLY.has(record.status);
  return [...inOrder(graph)].map((index) => {
    const node = graph.node(index);
    const { body, opened } = stored.get(index) ?? {};
    const started = node.kind === "call" ? running.get(node.id) : undefined;
    // an item waits for nothing but its turn
    const derived = node.of !== undefined && progress.status(index) === "waiting" ? "queued" : progress.status(index);
    const backsOff = derived === "backingOff" && started === undefined;
    return {
      id: node.id,
      agent: (body?.alternative === undefined ? node.agent : node.alternatives[body.alternative - 1]!).name,
      kind: node.kind,
      stage: (node.of === undefined ? node : plan.nodes[node.of.group]!).stage,
      memberOf: memberOf(node, plan),
      status: undoStatus(graph, stored, index, started) ?? statusOf(derived, started !== undefined, isOver),
      dependencies: node.dependencies.map((dependency) => plan.nodes[dependency]!.id),
      attempt: started?.attempt ?? body?.attempt ?? 0,
      startedAt: started?.at ?? body?.startedAt,
      endedAt: started === undefined ? body?.endedAt : undefined,
      failure: body?.failure,
      retryAt: backsOff ? (body?.endedAt ?? 0) + (body?.backoffMs ?? 0) : undefined,
      recoveries: body?.recoveries ?? 0,
      action: running.get(recoveryId(node.id, body?.recoveries))?.action ?? (derived === "recovering" ? body?.failure?.recover : undefined),
      warnedAt: started?.warnedAt,
      progress: reported.get(node.id),
      childRun: started === undefined ? body?.childRun : started.childRun,
      awaitsRun: started?.awaitsRun,
      dueAt: derived === "running" ? body?.dueAt : undefined,
      items: opened === undefined || node.branches !== undefined ? undefined : graph.countOf(index),
      branch: opened === undefined ? undefined : node.branches?.[opened]?.name,
      overridden: body?.overridden,
      generation: body?.generation ?? 1,
      upstreamFailures: derived === "blocked" ? failedUpstream(graph, progress, index, (choice) => stored.get(choice)?.opened !== undefined) : [],
    };
  });
}

/** The nodes as they were defined, each group followed by its items. */
function* inOrder(graph: Graph): Generator<number> {
  for (const { index } of graph.plan.nodes) {
    yield index;
    yield* graph.itemsOf(index);
  }
}

function memberOf({ of, within }: RunNode, { nodes }: Plan): MemberOf | undefined {
  if (of !== undefined) return { group: nodes[of.group]!.id, position: of.position };
  if (within === undefined) return undefined;
  const { id, branches } = nodes[within.choice]!;
  return { group: id, branch: branches![within.branch]!.name };
}

const ROUND = /^(.+)\[(\d+)\]$/;

/** The newest round of a loop has no row before its first attempt has ended: that it runs, the history tells. */
function growTo(graph: Graph, id: string): void {
  const [, loop, position] = ROUND.exec(id) ?? [];
  const index = loop === undefined ? undefined : graph.plan.indexOf.get(loop);
  if (index === undefined || graph.plan.nodes[index]!.kind !== "repeat") return;
  const lacking = Number(position) + 1 - graph.countOf(index);
  if (lacking > 0) graph.grow(index, lacking);
}

/** What those that run have reported, in the attempt that runs. */
async function readProgress(store: Store, runId: string, running: ReadonlyMap<string, { readonly attempt: number }>): Promise<Map<string, unknown>> {
  const rows = await store.readActors(runId, [...running.keys()].map(progressKey));
  const reported = new Map<string, unknown>();
  for (const row of rows) {
    const { attempt } = openActorRow(runId, row) as { readonly attempt: number };
    const node = row.key.slice(BESIDE.length, -2);
    if (running.get(node)!.attempt === attempt) reported.set(node, decode(row.output!, READABLE));
  }
  return reported;
}

/** How far the undoing of a node is, if it has begun. */
function undoStatus(graph: Graph, stored: ReadonlyMap<number, StoredNode>, index: number, started: StartedAttempt | undefined): UndoStatus | undefined {
  if (started?.undoes === true) return "compensating";
  const status = graph.node(index).compensate === undefined ? undefined : stored.get(graph.undo(index))?.status;
  if (status === undefined) return undefined;
  return status === "completed" ? "compensated" : status === "backingOff" ? "compensating" : "compensationFailed";
}

const SETTLED: ReadonlySet<Standing> = new Set(["completed", "skipped", "failed", "blocked", "cancelled", "notTaken"]);

/** A run that ended while nobody worked on it has rows that say that nodes run. */
function statusOf(derived: Standing, isStarted: boolean, isOver: boolean): NodeStatus {
  if (isStarted) return "running";
  return isOver && !SETTLED.has(derived) ? "cancelled" : derived;
}

/** An attempt that is under way. */
interface StartedAttempt {
  readonly attempt: number;
  readonly at: number;
  readonly childRun: string | undefined;
  readonly awaitsRun?: true | undefined;
  /** It undoes what the node has done. */
  readonly undoes: boolean;
  /** It is of this recovery action. */
  readonly action?: string | undefined;
  readonly warnedAt?: number;
}

/** Nodes whose last word in the history is that an attempt started. */
export async function readRunning(store: Store, runId: string): Promise<Map<string, StartedAttempt>> {
  const running = new Map<string, StartedAttempt>();
  for await (const { at, events } of readHistory(store, runId)) {
    for (const { type, node, attempt, childRun, awaitsRun, action } of events) {
      if (type === "run.recovered") running.clear();
      else if (type === "node.started") running.set(node!, { attempt: attempt!, at, undoes: false, childRun, awaitsRun, action });
      else if (type === "node.compensating") running.set(node!, { attempt: attempt!, at, undoes: true, childRun });
      else if (type === "node.warned") Object.assign(running.get(node!) ?? {}, { warnedAt: at });
      else if (node !== undefined && type !== "node.recovered") running.delete(node);
    }
  }
  return running;
}

/** A member of a choice that could not be made is blocked by what blocks the choice. */
function failedUpstream(graph: Graph, progress: Progress, index: number, isMade: (choice: number) => boolean): string[] {
  const seen = new Set<number>([index]);
  const failed: string[] = [];
  for (const current of seen) {
    const { id, dependencies, within } = graph.node(current);
    const around = within === undefined || isMade(within.choice) ? [] : [within.choice];
    if (progress.status(current) === "failed") failed.push(id);
    else
      for (const other of [...dependencies, ...around, ...(graph.plan.members.get(current) ?? []), ...graph.itemsOf(current)])
        if (progress.status(other) === "blocked" || progress.status(other) === "failed") seen.add(other);
  }
  return failed;
}

/** The history after this commit, page by page. */
export async function* readHistory(store: Store, runId: string, afterCommitNo = 0): AsyncGenerator<HistoryEntry> {
  for (let after = afterCommitNo; ;) {
    const page = await store.readHistory(runId, after, HISTORY_PAGE);
    for (const record of page) yield readHistoryEntry(record);
    if (page.length < HISTORY_PAGE) return;
    after = page.at(-1)!.commitNo;
  }
}
