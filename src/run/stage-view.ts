/**
 * The stages of a run, as people see them: of those with a timeout or warning their rows tell, of others their nodes.
 */
import type { Store } from "../store/store.ts";
import { isSpan, stageOf } from "./graph.ts";
import { openActorRow } from "./row.ts";
import type { StageBody } from "./stages.ts";
import { type NodeView, viewNodes } from "./view.ts";

/** A stage of a run. */
export interface StageView {
  readonly name: string;
  /** `warned`: it takes longer than its `warnAfter`; `timedOut`: what had not ended failed; `cancelled`: the run ended before it did. */
  readonly status: "waiting" | "running" | "warned" | "timedOut" | "completed" | "cancelled";
  /** When the first of its nodes began and the last one ended, in ms since 1970. */
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** Its nodes, those of them that have ended, and that failed. */
  readonly nodes: number;
  readonly ended: number;
  readonly failed: number;
  /** Recovery actions that were called for it. */
  readonly recoveries: number;
}

const OPEN: ReadonlySet<string> = new Set(["waiting", "queued", "running", "backingOff", "recovering", "compensating"]);
const BEGUN: ReadonlySet<string> = new Set(["running", "backingOff", "recovering", "compensating"]);

/** In the order of the definition. Throws PAWL_NOT_A_WORKFLOW for a run of a machine. */
export async function viewStages(store: Store, runId: string): Promise<StageView[]> {
  const views = (await viewNodes(store, runId)).filter(({ stage, memberOf }) => stage !== undefined && !(memberOf !== undefined && "position" in memberOf));
  const rows = (await store.readActorRange(runId, "[", "\\")).filter(({ key }) => isSpan(key));
  const stored = new Map(rows.map((row) => [stageOf(row.key), { status: row.status as StageView["status"], body: openActorRow(runId, row) as StageBody }]));
  return [...Map.groupBy(views, ({ stage }) => stage!)].map(([name, nodes]) => {
    const { status, body } = stored.get(name) ?? {};
    const ended = nodes.filter((node) => !OPEN.has(node.status));
    return {
      name,
      status: isLeft(status, nodes) ? "cancelled" : (status ?? statusOf(nodes)),
      startedAt: body?.startedAt ?? least(nodes.map(({ startedAt }) => startedAt)),
      endedAt: body?.endedAt ?? (ended.length === nodes.length ? greatest(nodes.map(({ endedAt }) => endedAt)) : undefined),
      nodes: nodes.length,
      ended: ended.length,
      failed: nodes.filter((node) => node.status === "failed").length,
      recoveries: body?.recoveries ?? 0,
    };
  });
}

/** The run ended before the stage did. */
function isLeft(status: StageView["status"] | undefined, nodes: readonly NodeView[]): boolean {
  return status !== "timedOut" && status !== "completed" && nodes.some((node) => node.status === "cancelled") && !nodes.some((node) => OPEN.has(node.status));
}

function statusOf(nodes: readonly NodeView[]): StageView["status"] {
  if (!nodes.some(({ status }) => OPEN.has(status))) return "completed";
  return nodes.some(({ status, startedAt }) => BEGUN.has(status) || (startedAt !== undefined && !OPEN.has(status))) ? "running" : "waiting";
}

function least(instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((instant) => instant !== undefined);
  return known.length === 0 ? undefined : known.reduce((a, b) => Math.min(a, b));
}

function greatest(instants: readonly (number | undefined)[]): number | undefined {
  const known = instants.filter((instant) => instant !== undefined);
  return known.length === 0 ? undefined : known.reduce((a, b) => Math.max(a, b));
}
