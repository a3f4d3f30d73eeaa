/**
 * What a DAG run in memory is made of, and what happens to it.
 */
import type { NodeEvent } from "../../machines/node.ts";
import { type Attempt, type Outcome, childRunId } from "./attempt.ts";
import { CANCEL_BODY } from "./hosted-run.ts";
import type { NodeSnapshot } from "./charts.ts";
import type { NodeStatus } from "./progress.ts";
import type { Texts } from "./results.ts";
import type { ErrorCode } from "../errors.ts";
import type { PlanNode } from "../define/plan.ts";
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
  | { readonly kind: "cancel" }
  | { readonly kind: "exhausted" }
  | { readonly kind: "outputs"; readonly texts: Texts };

/** A run as rows tell it. */
export interface StoredRun {
  readonly body: RunBody;
  readonly commitNo: number;
  readonly nodes: readonly { readonly index: number; readonly status: NodeStatus; readonly body: NodeBody; readonly commitNo: number }[];
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
