/**
 * What a DAG run in memory is made of, and what happens to it.
 */
import type { NodeEvent } from "../../machines/node.ts";
import type { UpstreamFailure } from "../define/agent.ts";
import { Attempt, type Outcome, childRunId } from "./attempt.ts";
import { CANCEL_BODY, type RunSeams } from "./hosted-run.ts";
import { type NodeSnapshot, TIMER, nodeChart } from "./charts.ts";
import type { NodeStatus } from "./progress.ts";
import type { InboxItem } from "./requests.ts";
import type { Texts } from "./results.ts";
import type { ErrorCode } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Plan, PlanNode } from "../define/plan.ts";
import type { ActorRecord, Post } from "../store/store.ts";
import { type NodeBody, type RunBody, actorRow, nodeBodyText } from "./row.ts";

/** A timer that an actor's state asked for. */
export interface Timer {
  readonly delayMs: number;
  readonly event: NodeEvent;
}

/** A node in memory: only those that run, are queued again, or back off. */
export interface NodeActor {
  readonly index: number;
  snapshot: NodeSnapshot;
  attempt: Attempt | undefined;
  /** It holds one of the worker's permits. */
  hasPermit: boolean;
  /** When its attempt was granted, or its backoff began. */
  since: number;
  /** A timer that its state asked for: set once the commit is durable. */
  timer: Timer | undefined;
  cancelTimer: (() => void) | undefined;
}

/** Something that happened to a run, to be applied in order. */
export type Stimulus =
  | { readonly kind: "attempt"; readonly node: NodeActor; readonly attempt: Attempt; readonly outcome: Outcome }
  | { readonly kind: "timer"; readonly node: NodeActor; readonly timer: Timer }
  | { readonly kind: "timeout" }
  | { readonly kind: "begin" }
  | { readonly kind: "cancel"; readonly now: boolean }
  | { readonly kind: "item"; readonly item: InboxItem }
  | { readonly kind: "exhausted" }
  | { readonly kind: "outputs"; readonly texts: Texts };

/** A run as rows tell it. */
export interface StoredRun {
  readonly body: RunBody;
  readonly commitNo: number;
  readonly wakeAt: number | null;
  readonly nodes: readonly { readonly index: number; readonly status: NodeStatus; readonly body: NodeBody; readonly commitNo: number }[];
}

export function newNode(index: number, snapshot: NodeSnapshot): NodeActor {
  return { index, snapshot, attempt: undefined, hasPermit: false, since: 0, timer: undefined, cancelTimer: undefined };
}

/**
 * Those that backed off when they were stored, in the order of their instants, each with what is left of it. `now` in
 * steady time. When the clock was set back since, a node begins its backoff anew, with a row that says so: else it would
 * begin it each time that it comes back.
 */
export function restoredBackoffs(
  runId: string,
  plan: Plan,
  nodes: StoredRun["nodes"],
  now: number,
): { readonly node: NodeActor; readonly row?: ActorRecord }[] {
  const endsAt = ({ endedAt = 0, backoffMs = 0 }: NodeBody): number => endedAt + backoffMs;
  const backingOff = nodes.filter(({ status }) => status === "backingOff").toSorted((a, b) => endsAt(a.body) - endsAt(b.body));
  return backingOff.map(({ index, body }) => {
    const { attempt, failure, startedAt, endedAt = 0, backoffMs = 0 } = body;
    const { id, policy } = plan.nodes[index]!;
    const node = newNode(index, nodeChart.restore("backingOff", { policy, attempt, failure, backoffMs }));
    node.timer = { delayMs: Math.max(0, backoffMs - Math.max(0, now - endedAt)), event: TIMER.backedOff };
    if (endedAt <= now) return { node };
    const anew: NodeBody = { ...body, startedAt: Math.min(startedAt, now), endedAt: now };
    return { node, row: actorRow(runId, id, "backingOff", nodeBodyText(anew), null) };
  });
}

/** A timer's event with a draw for the backoff that it may lead to. */
export function withDraw(event: NodeEvent, random: Random): NodeEvent {
  return event.type === TIMER.backedOff.type ? event : ({ ...event, jitter: random.next() } as NodeEvent);
}

/** The attempt that the node was granted. */
export function attemptOf(
  runId: string,
  { id, policy }: PlanNode,
  { snapshot, since }: NodeActor,
  upstreamFailures: readonly UpstreamFailure[],
  { attempts, services }: Pick<RunSeams, "attempts" | "services">,
): Attempt {
  return new Attempt({ runId, nodeId: id, attempt: snapshot.context.attempt, deadlineAt: since + policy.timeoutMs, upstreamFailures }, attempts, services);
}

/** The row of a node that has ended, or backs off, at this instant. */
export function nodeRow(runId: string, id: string, { snapshot, since }: NodeActor, endedAt: number, output: string | null): ActorRecord {
  const { attempt, failure, backoffMs } = snapshot.context;
  const body: NodeBody = {
    attempt,
    startedAt: since,
    endedAt,
    ...(failure !== undefined && { failure }),
    ...(snapshot.value === "backingOff" && { backoffMs }),
  };
  return actorRow(runId, id, snapshot.value, nodeBodyText(body), output);
}

/** Attempts that are no longer wanted: told once that is durable, or the run leaves memory. */
export class Abandoned {
  #attempts: (readonly [Attempt, ErrorCode])[] = [];
  #posts: Post[] = [];

  /** A run of the node's own is told by its inbox, too: a crash must not leave it behind. */
  add(runId: string, { id, agent }: PlanNode, node: NodeActor, code: ErrorCode): void {
    if (agent.work.kind === "machine") this.#posts.push({ runId: childRunId(runId, id, node.snapshot.context.attempt), body: CANCEL_BODY });
    if (node.attempt !== undefined) this.#attempts.push([node.attempt, code]);
    node.attempt = undefined;
  }

  /** Runs that nobody here has heard of, if they are there. */
  addChildren(runIds: readonly string[]): void {
    for (const runId of runIds) this.#posts.push({ runId, body: CANCEL_BODY });
  }

  /** What is to be written with the next commit. */
  takePosts(): { readonly posts?: readonly Post[] } {
    if (this.#posts.length === 0) return {};
    const posts = this.#posts;
    this.#posts = [];
    return { posts };
  }

  tell(): void {
    const attempts = this.#attempts;
    this.#attempts = [];
    for (const [attempt, code] of attempts) attempt.abandon(code);
  }
}
