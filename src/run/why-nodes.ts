/**
 * Why the run of a workflow stands where it does: what its nodes wait for, and which of them failed.
 */
import type { RunRecord } from "../store/store.ts";
import { unwoundFrom } from "./checkpoints.ts";
import { breakerDrafts } from "./why-breakers.ts";
import { limitDrafts } from "./why-limits.ts";
import { awaitedRunOf } from "./why-awaited-run.ts";
import { warnedSpans } from "./stage-view.ts";
import { type NodeBody, openActorRow, openRunRow } from "./row.ts";
import { type NodeView, viewNodes } from "./view.ts";
import { type Asking, type Draft, instantText, named } from "./why-cause.ts";

/** A backoff that was over so long ago has become a wait for a permit. */
const PASSED_MS = 1_000;
/** What trying again as it is cannot help. */
const AS_IT_IS: ReadonlySet<string> = new Set(["configuration", "critical"]);

/** Of a run that is under way. `hasHand`: a worker has it. */
export async function nodeDrafts(asking: Asking, hasHand: boolean): Promise<Draft[]> {
  const nodes = await viewNodes(asking.store, asking.record.id);
  const isPaused = asking.record.status === "paused";
  const waits = nodes.filter(({ status }) => status !== "queued").flatMap((node) => waitDrafts(asking, node, hasHand));
  const atBreakers = await breakerDrafts(asking, hasHand && !isPaused ? nodes.filter((node) => isQueued(asking, node)) : []);
  const atLimits = await limitDrafts(asking, atBreakers.others);
  return [
    ...waits,
    ...atBreakers.drafts,
    ...atLimits.drafts,
    ...queuedDrafts(atLimits.others),
    ...(await spanDrafts(asking, nodes)),
    ...failureDrafts(asking, nodes),
  ];
}

/** The stages, and the run, that people were warned of. */
async function spanDrafts({ store, record: { id } }: Asking, nodes: readonly NodeView[]): Promise<Draft[]> {
  return (await warnedSpans(store, id)).map(({ stage, startedAt, warnedAt, action }) => {
    const what = stage === undefined ? "the run" : `stage "${stage}"`;
    const open = nodes.filter((node) => WORKS.has(node.status) && node.kind === "call" && (stage === undefined || node.stage === stage));
    const doing =
      open.length === 0
        ? ""
        : `: ${named(
            open.map((node) => node.id),
            3,
          )}`;
    return {
      kind: "takesLong",
      message: `${what} takes longer than its warning says: it began at ${instantText(startedAt)}${warnedText(warnedAt)}${besideText(action)}${doing}`,
      ...(stage !== undefined && { stage }),
      since: warnedAt,
      next: `wait: its timeout ends it; or \`pawl cancel ${id}\``,
    };
  });
}

const WORKS: ReadonlySet<string> = new Set(["running", "recovering", "backingOff"]);

function warnedText(warnedAt: number | undefined): string {
  return warnedAt === undefined ? "" : `, people were warned at ${instantText(warnedAt)}`;
}

function besideText(action: string | undefined): string {
  return action === undefined ? "" : `; recovery action "${action}" runs beside it`;
}

function isQueued({ clock }: Asking, { status, retryAt, kind }: NodeView): boolean {
  return status === "queued" ? kind === "call" : status === "backingOff" && retryAt !== undefined && retryAt < clock.now() - PASSED_MS;
}

/** What this node waits for, if it is under way. */
function waitDrafts(asking: Asking, node: NodeView, hasHand: boolean): Draft[] {
  const { id, status, kind, retryAt, dueAt, action } = node;
  const about = { node: id };
  if (status === "backingOff") {
    if (isQueued(asking, node)) return [];
    const message = `${id}: ${attempts(node)} failed${reason(node)}; the next one is due at ${instantText(retryAt!)}`;
    return [{ kind: "waitsForRetry", message, ...about, code: node.failure?.code, until: retryAt, next: null }];
  }
  if (status === "recovering") {
    const message = `${id}: ${attempts(node)} failed${reason(node)}; recovery action "${action}" says how it goes on`;
    return [{ kind: "recovering", message, ...about, code: node.failure?.code, since: node.endedAt, next: byHand(asking, node) }];
  }
  if (status !== "running") return [];
  if (kind === "event") {
    const until = dueAt === undefined ? "" : `, until ${instantText(dueAt)}`;
    const next = `\`pawl send ${asking.record.id} ${id}\` with its fields, which \`pawl show ${asking.record.id}\` names`;
    return [{ kind: "waitsForEvent", message: `${id}: the event has not come${until}`, ...about, events: [id], since: node.startedAt, until: dueAt, next }];
  }
  // what ran in a worker that is gone is cut off
  return kind === "call" && hasHand ? [runningDraft(asking, node)] : [];
}

/** What somebody can do who does not want to wait for it. */
function byHand({ record }: Asking, { id }: NodeView): string {
  return `wait; or say how it ends: \`pawl override ${record.id} ${id} --result '…'\`, or --skip`;
}

function runningDraft(asking: Asking, node: NodeView): Draft {
  const { id, agent, startedAt, childRun, awaitsRun, warnedAt, action } = node;
  const about = { node: id, since: startedAt };
  if (childRun !== undefined)
    return {
      kind: "waitsForRun",
      message: `${id}: its run of "${agent}" has not ended`,
      ...about,
      run: childRun,
      next: null,
      beneath: () => asking.about(childRun),
    };
  if (awaitsRun)
    return { kind: "waitsForRun", message: `${id}: a run of "${agent}" has not ended`, ...about, next: null, beneath: () => beneathAwaited(asking, id) };
  const ran = `${id}: ${attempts(node)} of agent "${agent}" has run since ${instantText(startedAt ?? 0)}`;
  if (warnedAt !== undefined) {
    const message = `${ran}, longer than its warning says${warnedText(warnedAt)}${besideText(action)}${progress(node)}`;
    return { kind: "takesLong", message, node: id, since: warnedAt, next: byHand(asking, node) };
  }
  return {
    kind: "running",
    message: `${ran}${progress(node)}`,
    ...about,
    next: null,
  };
}

/** Which run it is depends on what the node was given. */
async function beneathAwaited(asking: Asking, node: string): Promise<readonly Draft[]> {
  const runId = await awaitedRunOf(asking.store, asking.record, node);
  return runId === undefined ? [] : asking.about(runId);
}

/** Those that wait for a permit; the items of a map are one cause. */
function queuedDrafts(nodes: readonly NodeView[]): Draft[] {
  const groups = Map.groupBy(nodes, ({ id, memberOf }) => (memberOf !== undefined && "position" in memberOf ? memberOf.group : id));
  return [...groups].map(([id, members]) => ({
    kind: "queued",
    message: `${named(
      members.map((node) => node.id),
      3,
    )}: the worker is busy, no attempt starts until another has ended`,
    node: id,
    next: "start another worker: `pawl work FILE`; or raise maxConcurrentAttempts (`pawl work --max-concurrent-attempts`)",
  }));
}

// ---- failures

/** The nodes that failed, each with those that never start because of it; then these. */
export function failureDrafts(asking: Asking, nodes: readonly NodeView[]): Draft[] {
  const blocked = nodes.filter(({ status }) => status === "blocked");
  const blockedBy = new Map<string, string[]>();
  for (const { id, upstreamFailures } of blocked)
    for (const failed of upstreamFailures) blockedBy.set(failed, [...(blockedBy.get(failed)?.slice(0, BLOCKED_MAX) ?? []), id]);
  const { failure, unwinds } = openRunRow(asking.record);
  // what it had done may have been undone since
  const hasFailed = ({ id, status }: NodeView): boolean => status === "failed" || (unwinds === "failed" && failure?.node === id);
  const failed = new Map(nodes.filter(hasFailed).map((node) => [node.id, node]));
  // a group fails of one of its parts
  const roots = [...failed.values()].filter(({ upstreamFailures }) => upstreamFailures.length === 0);
  return [
    ...roots.map((node) => failedDraft(asking, node, blockedBy.get(node.id) ?? [])),
    ...blocked.map(({ id, upstreamFailures }) => blockedDraft(id, upstreamFailures, failed)),
  ];
}

/** Names of blocked nodes that are kept of one failed node. */
const BLOCKED_MAX = 100;

function failedDraft(asking: Asking, node: NodeView, blocks: readonly string[]): Draft {
  const { id, failure, childRun } = node;
  const isMissing = failure?.code === "PAWL_RUN_NOT_FOUND";
  const blocking = blocks.length === 0 ? "" : `; it blocks ${named(blocks)}`;
  return {
    kind: "failed",
    message: `${id} failed${reason(node)} (${attempts(node)}, agent "${node.agent}")${blocking}`,
    node: id,
    code: failure?.code,
    since: node.endedAt,
    next: failedNext(asking, node),
    ...(childRun !== undefined && { run: childRun, beneath: () => asking.about(childRun) }),
    ...(isMissing && { beneath: () => beneathAwaited(asking, id) }),
  };
}

function failedNext({ record }: Asking, { id: node, kind, failure }: NodeView): string {
  const { id, status } = record;
  if (openRunRow(record).unwinds !== undefined) return undoneNext(record);
  const first = AS_IT_IS.has(failure?.kind ?? "") ? "put right what it says, then " : "";
  const when = status === "failed" || status === "timedOut" ? "" : " once the run has ended";
  const other =
    kind === "call"
      ? `with another input: \`pawl retry ${id} --input '${node}=…'\``
      : `with other values: \`pawl fork ${id} --from ${node} --set 'input.…=…'\``;
  return `${first}\`pawl retry ${id}\`${when}; ${other}`;
}

/** What is left to do with a run of which what it had done was undone. */
export function undoneNext(record: RunRecord): string {
  const last = unwoundFrom(record) - 1;
  const fork = last > 0 ? `; or take up what it had before that: \`pawl fork ${record.id} --from ${last}\`` : "";
  return `start it again under another id: what it had done is undone${fork}`;
}

function blockedDraft(id: string, upstream: readonly string[], failed: ReadonlyMap<string, NodeView>): Draft {
  const beneath = upstream.map((node): Draft => ({
    kind: "failed",
    message: `${node} failed${reason(failed.get(node))}`,
    node,
    code: failed.get(node)?.failure?.code,
    next: null,
  }));
  return { kind: "blocked", message: `${id} never starts: ${named(upstream)} failed`, node: id, next: null, beneath: async () => beneath };
}

// ---- undoing

/** Of a run whose work is undone: what is undone now, and why. */
export async function compensatingDrafts(asking: Asking, hasHand: boolean): Promise<Draft[]> {
  const nodes = await viewNodes(asking.store, asking.record.id);
  const { id, status } = asking.record;
  const { failure, unwinds } = openRunRow(asking.record);
  const cause: Draft =
    unwinds === "cancelled"
      ? { kind: "cancelled", message: "it was cancelled", next: null }
      : {
          kind: "failed",
          message: `${failure?.node ?? "a node"} failed: ${failure?.code} ${failure?.message}`,
          node: failure?.node,
          code: failure?.code,
          next: null,
        };
  const beneath = async (): Promise<Draft[]> => [cause, ...(hasHand ? await undoDrafts(asking, nodes) : [])];
  const message = unwinds === "cancelled" ? "it was cancelled: what it had done is undone" : `${failure?.node ?? "a node"} failed: what was done is undone`;
  return [
    { kind: "compensating", message, next: `wait; or leave it as it is: \`pawl cancel ${id} --now\``, beneath },
    ...(await undoFailedDrafts(asking, nodes, status)),
  ];
}

async function undoDrafts({ store, clock, record }: Asking, nodes: readonly NodeView[]): Promise<Draft[]> {
  const under = nodes.filter(({ status }) => status === "compensating").slice(0, BLOCKED_MAX);
  const rows = new Map(
    (
      await store.readActors(
        record.id,
        under.map(({ id }) => undoKey(id)),
      )
    ).map((row) => [row.key, row]),
  );
  const stopping = nodes
    .filter(({ status, kind }) => status === "running" && kind === "call")
    .map((node): Draft => ({
      kind: "running",
      message: `${node.id}: its attempt was asked to stop and has not ended`,
      node: node.id,
      since: node.startedAt,
      next: null,
    }));
  return [
    ...stopping,
    ...under.map(({ id, startedAt }): Draft => {
      const row = rows.get(undoKey(id));
      const { failure, endedAt = 0, backoffMs = 0 } = row === undefined ? ({} as Partial<NodeBody>) : (openActorRow(record.id, row) as NodeBody);
      const dueAt = endedAt + backoffMs;
      if (row?.status !== "backingOff" || dueAt <= clock.now())
        return { kind: "running", message: `${id} is being undone`, node: id, since: startedAt, next: null };
      return {
        kind: "waitsForRetry",
        message: `undoing ${id} failed${reason({ failure })}; it is tried again at ${instantText(dueAt)}`,
        node: id,
        code: failure?.code,
        until: dueAt,
        next: null,
      };
    }),
  ];
}

/** Nodes that could not be undone. */
export async function undoFailedDrafts({ store, record }: Asking, nodes: readonly NodeView[], status: string): Promise<Draft[]> {
  const left = nodes.filter((node) => node.status === "compensationFailed").map(({ id }) => id);
  const rows = new Map((await store.readActors(record.id, left.slice(0, BLOCKED_MAX).map(undoKey))).map((row) => [row.key, row]));
  return left.map((node): Draft => {
    const row = rows.get(undoKey(node));
    const { failure } = row === undefined ? { failure: undefined } : (openActorRow(record.id, row) as NodeBody);
    const next = `undo by hand what ${node} has done; \`pawl show ${record.id} --json\` has its result`;
    return {
      kind: "compensationFailed",
      message: `${node} could not be undone${reason({ failure })}`,
      node,
      code: failure?.code,
      next: status === "compensating" ? null : next,
    };
  });
}

/** The key of the row of a node's compensation. */
const undoKey = (node: string): string => `${node}[undo]`;

// ---- words

function attempts({ attempt }: NodeView): string {
  return attempt > 1 ? `attempt ${attempt}` : "its attempt";
}

function reason(of: Pick<NodeView, "failure"> | { readonly failure?: NodeView["failure"] } | undefined): string {
  return of?.failure === undefined ? "" : `: ${of.failure.code} ${of.failure.message}`;
}

const PROGRESS_LENGTH_MAX = 100;

function progress({ progress: reported }: NodeView): string {
  if (reported === undefined) return "";
  const text =
    typeof reported === "string" ? reported : (JSON.stringify(reported, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)) ?? "");
  return `, and reported ${text.slice(0, PROGRESS_LENGTH_MAX)}`;
}
