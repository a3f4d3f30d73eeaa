/**
 * What a DAG run in memory is made of, and what happens to it.
 */
import type { NodeContext, NodeEvent } from "../../machines/node.ts";
import { type Attempt, type Outcome, childRunId } from "./attempt.ts";
import type { KeptStep } from "./attempt-line.ts";
import { cancelBody } from "./hosted-run.ts";
import { type NodeSnapshot, TIMER, nodeChart } from "./charts.ts";
import type { Agent } from "../define/agent.ts";
import type { Policy } from "../define/policy.ts";
import type { EditedInput } from "./edited-inputs.ts";
import type { Pass } from "./pass.ts";
import type { Graph, RunNode } from "./graph.ts";
import type { Timed, Timer } from "./node-timers.ts";
import type { CancelManner, InboxItem } from "./requests.ts";
import type { Texts } from "./results.ts";
import type { StoredStage } from "./stages.ts";
import type { StoredNode } from "./stored-nodes.ts";
import type { ErrorCode } from "../errors.ts";
import type { Random } from "../random.ts";
import type { ActorRecord, Post } from "../store/store.ts";
import { type NodeBody, type OverrideNote, type RunBody, actorRow, nodeBodyText } from "./row.ts";

/** A node in memory: only those that run, are queued again, or back off. */
export interface NodeActor extends Timed {
  readonly kind: "call";
  readonly node: RunNode;
  snapshot: NodeSnapshot;
  attempt: Attempt | undefined;
  /** It holds one of the worker's permits. */
  hasPermit: boolean;
  /** With what leave its last attempt began. */
  pass?: Pass | undefined;
  /** An attempt of it was counted as started, and not yet as ended. */
  isCounted?: boolean;
  /** Its attempt was under way when the run left another process: it may have done something. */
  wasCutOff?: boolean;
  /** Somebody said how it ends. */
  overridden?: OverrideNote;
  /** It has completed as a run that is degraded. */
  isDegraded?: boolean;
  /** The recovery action under way. */
  action?: number | undefined;
}

/** Something that happened to a run, to be applied in order. */
export type Stimulus =
  | { readonly kind: "attempt"; readonly node: NodeActor; readonly attempt: Attempt; readonly outcome: Outcome }
  | { readonly kind: "timer"; readonly node: Timed; readonly timer: Timer }
  | { readonly kind: "step"; readonly node: NodeActor; readonly attempt: Attempt; readonly step: KeptStep }
  | { readonly kind: "silent"; readonly node: NodeActor; readonly attempt: Attempt }
  /** The run has worked so long. */
  | { readonly kind: "alarm"; readonly workedMs: number }
  | { readonly kind: "cancel"; readonly manner: CancelManner }
  | { readonly kind: "item"; readonly item: InboxItem }
  | { readonly kind: "exhausted" }
  | { readonly kind: "group"; readonly group: number; readonly texts: Texts }
  | { readonly kind: "outputs"; readonly texts: Texts };

/** A run as rows tell it. */
export interface StoredRun {
  readonly body: RunBody;
  readonly commitNo: number;
  readonly wakeAt: number | null;
  readonly graph: Graph;
  readonly nodes: readonly StoredNode[];
  readonly stages: readonly StoredStage[];
}

/** One whose attempt was cut off, and is to end now: that attempt may have done something, and counts. */
export function countCutOff(actor: NodeActor): void {
  if (actor.wasCutOff !== true) return;
  const { context } = actor.snapshot;
  actor.snapshot = nodeChart.restore("running", { ...context, attempt: context.attempt + 1 });
}

/** Was its agent called, and has not answered? */
export function isCalling({ snapshot }: Pick<NodeActor, "snapshot">): boolean {
  return CALLING.has(snapshot.value);
}

const CALLING: ReadonlySet<string> = new Set(["running", "warned", "stopping"]);

/** The agent that it calls now. */
export function agentOf({ node, snapshot }: Pick<NodeActor, "node" | "snapshot">): Agent {
  const { alternative } = snapshot.context;
  return alternative === 0 ? node.agent : node.alternatives[alternative - 1]!;
}

/** Its attempt is a run of its own, which goes on when its process is gone. */
export function isOwnRun(actor: Pick<NodeActor, "node" | "snapshot">): boolean {
  return agentOf(actor).work.kind === "run";
}

/** The name of the recovery action that it waits for, or that runs beside its attempt. */
export function actionOf({ snapshot: { value, context } }: Pick<NodeActor, "snapshot">): string {
  return (value === "recovering" ? context.failure?.recover : context.policy.onWarn?.[context.warned - 1]) ?? "";
}

/** The policy of the agent that it calls now. */
export function policyOf({ node, snapshot }: Pick<NodeActor, "node" | "snapshot">): Policy {
  return policyAt(node.policy, snapshot.context.alternative);
}

/** The policy of the agent that is called after so many alternatives have taken over. */
export function policyAt(policy: Policy, alternative: number): Policy {
  return alternative === 0 ? policy : policyAt(policy.alternative!, alternative - 1);
}

export function newNode(node: RunNode, snapshot: NodeSnapshot): NodeActor {
  return { kind: "call", index: node.index, node, snapshot, attempt: undefined, hasPermit: false, since: 0, timer: undefined, cancelTimer: undefined };
}

/** Those that backed off when they were stored, in the order of their instants, each with what is left of it. `now` in steady time. */
export function restoredBackoffs(graph: Graph, nodes: StoredRun["nodes"], now: number): NodeActor[] {
  const endsAt = ({ endedAt = 0, backoffMs = 0 }: NodeBody): number => endedAt + backoffMs;
  const backingOff = nodes.filter(({ status }) => status === "backingOff").toSorted((a, b) => endsAt(a.body) - endsAt(b.body));
  return backingOff.map(({ index, body }) => {
    const { startedAt, backoffMs = 0, endedAt = 0 } = body;
    const of = graph.node(index);
    const node = newNode(of, nodeChart.restore("backingOff", contextOf(of, body)));
    node.since = startedAt;
    node.timer = { delayMs: Math.max(0, endedAt + backoffMs - now), event: TIMER.backedOff };
    return node;
  });
}

/** The context of a node whose row holds this. */
export function contextOf({ policy }: RunNode, body: NodeBody): NodeContext {
  const { attempt, failure, alternative = 0, attemptsBefore = 0, recoveries = 0, backoffMs = 0 } = body;
  return { policy: policyAt(policy, alternative), alternative, attempt, attemptsBefore, recoveries, warned: 0, failure, backoffMs };
}

/** What its row remembers of its alternatives and recovery actions. */
export function countsOf({ alternative, attemptsBefore, recoveries }: NodeContext): Pick<NodeBody, "alternative" | "attemptsBefore" | "recoveries"> {
  return { ...(alternative > 0 && { alternative }), ...(attemptsBefore > 0 && { attemptsBefore }), ...(recoveries > 0 && { recoveries }) };
}

/** A timer's event with a draw for the backoff that it may lead to. */
export function withDraw(event: Timer["event"], random: Random): NodeEvent {
  return (event.type === TIMER.backedOff.type ? event : { ...event, jitter: random.next() }) as NodeEvent;
}

/** The run that an attempt of this node is, if it is one. */
export function childRunOf(runId: string, actor: NodeActor): { readonly childRun?: string } {
  return isOwnRun(actor) ? { childRun: childRunId(runId, actor.node.id, actor.snapshot.context.attempt) } : {};
}

/** What an attempt of this node begins with. */
export function openingOf(runId: string, actor: NodeActor): { readonly childRun?: string; readonly awaitsRun?: true; readonly action?: string } {
  const { recovers } = actor.node;
  const opening = agentOf(actor).work.kind === "wait" ? ({ awaitsRun: true } as const) : childRunOf(runId, actor);
  return recovers === undefined ? opening : { ...opening, action: recovers.action };
}

/** The row of a node that has ended, or backs off, at this instant. */
export function nodeRow(
  runId: string,
  actor: NodeActor,
  { endedAt, epoch }: { readonly endedAt: number; readonly epoch: number },
  output: string | null,
  edited: EditedInput | undefined,
): ActorRecord {
  const { node, snapshot, since, overridden } = actor;
  const { attempt, failure, backoffMs } = snapshot.context;
  const { recovers } = node;
  const body: NodeBody = {
    attempt,
    startedAt: since,
    endedAt,
    ...(failure !== undefined && { failure }),
    ...countsOf(snapshot.context),
    ...(recovers !== undefined && { recovers: { action: recovers.action, alternative: recovers.alternative } }),
    ...((snapshot.value === "backingOff" || snapshot.value === "recovering") && { backoffMs }),
    ...(snapshot.value === "backingOff" && { epoch }),
    ...childRunOf(runId, actor),
    ...(overridden !== undefined && { overridden }),
    ...(actor.isDegraded && { degraded: true }),
    ...edited,
  };
  return actorRow(runId, node.id, snapshot.value, nodeBodyText(body), output);
}

/** Attempts that are no longer wanted: told once that is durable, or the run leaves memory. */
export class Abandoned {
  #attempts: (readonly [Attempt, ErrorCode])[] = [];
  readonly #stopped: Attempt[] = [];
  #posts: Post[] = [];
  /** How the run was cancelled: runs of its own are so, too. */
  manner: CancelManner = {};

  /** A run of the node's own is told by its inbox, too: a crash must not leave it behind. */
  add(runId: string, node: NodeActor, agent: Agent, code: ErrorCode): void {
    if (agent.work.kind === "run") this.#posts.push({ runId: childRunId(runId, node.node.id, node.snapshot.context.attempt), body: cancelBody(this.manner) });
    if (node.attempt !== undefined) this.#attempts.push([node.attempt, code]);
    node.attempt = undefined;
  }

  /** Runs that nobody here has heard of, if they are there. */
  addChildren(runIds: readonly string[]): void {
    for (const runId of runIds) this.#posts.push({ runId, body: cancelBody(this.manner) });
  }

  /** What is to be written with the next commit. */
  takePosts(): { readonly posts?: readonly Post[] } {
    if (this.#posts.length === 0) return {};
    const posts = this.#posts;
    this.#posts = [];
    return { posts };
  }

  /** One that is asked to stop, and whose end is waited for. */
  stop({ attempt }: NodeActor): void {
    if (attempt !== undefined) this.#stopped.push(attempt);
  }

  /** One that ended without being told. */
  tellLater(attempt: Attempt, code: ErrorCode): void {
    this.#attempts.push([attempt, code]);
  }

  tell(): void {
    const attempts = this.#attempts;
    this.#attempts = [];
    for (const [attempt, code] of attempts) attempt.abandon(code, this.manner);
    for (const attempt of this.#stopped.splice(0)) attempt.stop("PAWL_RUN_CANCELLED");
  }
}
