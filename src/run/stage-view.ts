/**
 * The stages of a run, as people see them: of those with a timeout or warning their rows tell, of others their nodes.
 */
import type { Store } from "../store/store.ts";
import { RUN_SPAN, isSpan, recoveryId, spanOf, stageOf } from "./graph.ts";
import { OPEN } from "./node-status.ts";
import { openActorRow } from "./row.ts";
import type { StageBody } from "./stages.ts";
import { type NodeView, readRunning, viewNodes } from "./view.ts";

/** A stage of a run. */
export interface StageView {
  readonly name: string;
  /** `warned`: it takes longer than its `warnAfter`; `timedOut`: what had not ended failed; `cancelled`: the run ended before it did. */
  readonly status: "waiting" | "running" | "warned" | "timedOut" | "completed" | "cancelled";
  /** When the first of its nodes began and the last one ended, in ms since 1970. */
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** When people were warned that it takes longer than its `warnAfter`. */
  readonly warnedAt: number | undefined;
  /** Its nodes, those of them that have ended, and that failed. */
  readonly nodes: number;
  readonly ended: number;
  readonly failed: number;
  /** Recovery actions that were called for it. */
  readonly recoveries: number;
  /** The one that runs beside it, by its name. */
  readonly action: string | undefined;
}

/** What takes longer than its `warnAfter`: a stage, or the run. */
export interface WarnedSpan {
  readonly stage: string | undefined;
  readonly startedAt: number;
  readonly warnedAt: number | undefined;
  /** The recovery action that runs beside it, by its name. */
  readonly action: string | undefined;
}

/** A stage as its row tells it, or the run's warning. */
interface StoredSpan {
  readonly status: StageView["status"];
  readonly body: StageBody;
  readonly action: string | undefined;
}

const UNENDED: ReadonlySet<string> = new Set([...OPEN, "compensating"]);
const BEGUN: ReadonlySet<string> = new Set(["running", "backingOff", "recovering", "compensating"]);

/** In the order of the definition. Throws PAWL_NOT_A_WORKFLOW for a run of a machine. */
export async function viewStages(store: Store, runId: string): Promise<StageView[]> {
  const views = (await viewNodes(store, runId)).filter(({ stage, memberOf }) => stage !== undefined && !(memberOf !== undefined && "position" in memberOf));
  const stored = views.length === 0 ? new Map<string, StoredSpan>() : await readSpans(store, runId);
  return [...Map.groupBy(views, ({ stage }) => stage!)].map(([name, nodes]) => {
    const { status, body, action } = stored.get(spanOf(name)) ?? {};
    const ended = nodes.filter((node) => !UNENDED.has(node.status));
    const cancelled = isLeft(status, nodes);
    return {
      name,
      status: cancelled ? "cancelled" : (status ?? statusOf(nodes)),
      startedAt: body?.startedAt ?? outermost(nodes, "startedAt", Math.min),
      endedAt: body?.endedAt ?? (ended.length === nodes.length ? outermost(nodes, "endedAt", Math.max) : undefined),
      warnedAt: body?.warnedAt,
      nodes: nodes.length,
      ended: ended.length,
      failed: nodes.filter((node) => node.status === "failed").length,
      recoveries: body?.recoveries ?? 0,
      action: cancelled ? undefined : action,
    };
  });
}

/** Of a run that is under way: what takes longer than it should, the run first. */
export async function warnedSpans(store: Store, runId: string): Promise<WarnedSpan[]> {
  const warned = [...(await readSpans(store, runId))].filter(([, { status }]) => status === "warned");
  return warned
    .toSorted(([a], [b]) => Number(b === RUN_SPAN) - Number(a === RUN_SPAN))
    .map(([span, { body, action }]) => ({ stage: stageOf(span), startedAt: body.startedAt, warnedAt: body.warnedAt, action }));
}

/** By the keys of their rows; which action runs, the history tells. */
async function readSpans(store: Store, runId: string): Promise<Map<string, StoredSpan>> {
  const rows = (await store.readActorRange(runId, "[", "\\")).filter(({ key }) => isSpan(key));
  const stored = rows.map(({ key, ...row }) => ({ key, status: row.status as StageView["status"], body: openActorRow(runId, { key, ...row }) as StageBody }));
  const running = stored.some(({ body }) => body.acting) ? await readRunning(store, runId) : undefined;
  return new Map(
    stored.map(({ key, status, body }) => [key, { status, body, action: body.acting ? running?.get(recoveryId(key, body.recoveries))?.action : undefined }]),
  );
}

/** The run ended before the stage did. */
function isLeft(status: StageView["status"] | undefined, nodes: readonly NodeView[]): boolean {
  return (
    status !== "timedOut" && status !== "completed" && nodes.some((node) => node.status === "cancelled") && !nodes.some((node) => UNENDED.has(node.status))
  );
}

function statusOf(nodes: readonly NodeView[]): StageView["status"] {
  if (!nodes.some(({ status }) => UNENDED.has(status))) return "completed";
  return nodes.some(({ status, startedAt }) => BEGUN.has(status) || (startedAt !== undefined && !UNENDED.has(status))) ? "running" : "waiting";
}

/** The first or the last of these instants that is known. */
function outermost(nodes: readonly NodeView[], instant: "startedAt" | "endedAt", of: (a: number, b: number) => number): number | undefined {
  const known = nodes.map((node) => node[instant]).filter((at) => at !== undefined);
  return known.length === 0 ? undefined : known.reduce((a, b) => of(a, b));
}
