/**
 * What people are told of a run without asking: that it ended badly, could not be undone, takes long, or does not move. A notice is
 * written in the commit that it is about, and waits in the store until its receiver has taken it.
 */
import type { Commit, Notice, NoticeRecord, RunRecord } from "../store/store.ts";
import { decode } from "./codec.ts";
import type { HealthStatus } from "../define/health-check.ts";
import type { HealthReport } from "./health.ts";
import { readHistoryEntry } from "./history.ts";
import type { RunBody } from "./row.ts";

/** What a notice can be about. */
export type NoticeType =
  | "run.failed"
  | "run.timedOut"
  | "run.quarantined"
  | "run.compensationFailed"
  | "run.stalled"
  | "run.warned"
  | "stage.warned"
  | "stage.timedOut"
  | "node.warned"
  | "breaker"
  | "health";

/** What happened to a run, for people. */
export interface RunNotice {
  /** `runId:commitNo:type`: the same whenever the notice is repeated, and no other's. */
  readonly id: string;
  readonly type: NoticeType;
  /** Empty in notices of type `breaker` and `health`, which are about a circuit breaker of the store, and a process. */
  readonly runId: string;
  readonly workflow: string;
  /** The newest commit of the run then; 0 in those. */
  readonly commitNo: number;
  /** When, in ms since 1970. */
  readonly at: number;
  /** Of a failure: its code, what it said, and the node that it came from. Of health: its status, and what to do. */
  readonly code?: string;
  readonly message?: string;
  readonly node?: string;
  /** Of compensations that failed: the nodes that are not undone; of warnings: those whose attempts take long. */
  readonly nodes?: readonly string[];
  /** The circuit breaker that opened, with the code PAWL_CIRCUIT_OPEN, or closed. */
  readonly breaker?: string;
}

const ENDS: Readonly<Record<string, NoticeType>> = { failed: "run.failed", timedOut: "run.timedOut" };
const SPANS = ["run.warned", "stage.warned", "stage.timedOut"] as const;
const WARNED = "node.warned";
const NAMED_MAX = 3;
const NOT_UNDONE = "node.compensationFailed";

/** What of this commit people are to be told, in order. */
export function noticesOf(commit: Commit): Notice[] {
  const { run } = commit;
  const notices: Notice[] = [];
  const facts = { runId: commit.runId, workflow: run.workflow, commitNo: commit.from + 1, at: commit.at };
  if (commit.history.includes(`"${NOT_UNDONE}"`)) {
    const failed = readHistoryEntry({ ...facts, body: commit.history }).events.filter(({ type }) => type === NOT_UNDONE);
    const [first] = failed;
    if (first !== undefined) notices.push(noticeOf("run.compensationFailed", facts, { ...reasonOf(first), nodes: failed.map(({ node }) => node!) }));
  }
  if (commit.history.includes(`"${WARNED}"`)) {
    const warned = readHistoryEntry({ ...facts, body: commit.history }).events.flatMap(({ type, node }) => (type === WARNED ? [node!] : []));
    const message = `an attempt takes longer than its warnAfter: ${warned.slice(0, NAMED_MAX).join(", ")}`;
    if (warned.length > 0) notices.push(noticeOf(WARNED, facts, { message, node: warned[0]!, nodes: warned }));
  }
  for (const type of SPANS) {
    if (!commit.history.includes(`"${type}"`)) continue;
    const events = readHistoryEntry({ ...facts, body: commit.history }).events.filter((event) => event.type === type);
    const what = events.map(({ stage }) => (stage === undefined ? "the run" : `stage "${stage}"`)).join(", ");
    const message = `${what}: ${type === "stage.timedOut" ? "the timeout was reached" : "it takes longer than its warnAfter"}`;
    if (events.length > 0) notices.push(noticeOf(type, facts, { message }));
  }
  const end = run.finished ? ENDS[run.status] : undefined;
  if (end !== undefined) notices.push(noticeOf(end, facts, reasonOf((decode(run.body) as RunBody).failure)));
  return notices;
}

/** The run is set aside. */
export function quarantineNotice({ id, workflow, commitNo }: RunRecord, reason: string, at: number): Notice {
  return noticeOf("run.quarantined", { runId: id, workflow, commitNo, at }, { code: "PAWL_RUN_QUARANTINED", message: reason });
}

/** Nothing was committed for this long, though the run has work to do. */
export function stallNotice({ id, workflow, commitNo }: RunRecord, silentMs: number, at: number): Notice {
  return noticeOf("run.stalled", { runId: id, workflow, commitNo, at }, { message: `nothing was committed for ${Math.round(silentMs / 1_000)} s` });
}

/** The health of the worker with this epoch has changed; `number` counts these notices. */
export function healthNotice(epoch: number, number: number, { at, status, checks, recommendations }: HealthReport, was: HealthStatus): Notice {
  const unwell = Object.entries(checks).flatMap(([name, found]) => (found.status === "HEALTHY" ? [] : [`${name} ${found.status}`]));
  const message = [`worker ${epoch} is ${status}, and was ${was}${unwell.length > 0 ? `: ${unwell.join(", ")}` : ""}`, ...recommendations].join("; ");
  const notice: RunNotice = { id: `health:${epoch}:${number}`, type: "health", runId: "", workflow: "", commitNo: 0, at, code: status, message };
  return { id: notice.id, runId: "", at, body: JSON.stringify(notice) };
}

export function readNotice({ body }: NoticeRecord): RunNotice {
  return JSON.parse(body) as RunNotice;
}

type Reason = Pick<RunNotice, "code" | "message" | "node">;

function noticeOf(type: NoticeType, facts: Pick<RunNotice, "runId" | "workflow" | "commitNo" | "at">, more: Reason & Pick<RunNotice, "nodes">): Notice {
  const { runId, workflow, commitNo, at } = facts;
  const notice: RunNotice = { id: `${runId}:${commitNo}:${type}`, type, runId, workflow, commitNo, at, ...more };
  return { id: notice.id, runId, at, body: JSON.stringify(notice) };
}

function reasonOf(failure: { readonly [field in keyof Reason]: Reason[field] | undefined } | undefined): Reason {
  const { code, message, node } = failure ?? {};
  return { ...(code !== undefined && { code }), ...(message !== undefined && { message }), ...(node !== undefined && { node }) };
}
