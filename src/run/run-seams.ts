/**
 * What a run in memory is made of, what happens to it, and what it needs from the worker that hosts it.
 */
import type { NodeEvent } from "../../machines/node.ts";
import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { Attempt, AttemptSeams, Outcome } from "./attempt.ts";
import type { NodeSnapshot } from "./charts.ts";
import type { NodeStatus } from "./progress.ts";
import type { Texts } from "./results.ts";
import type { NodeBody, RunBody } from "./row.ts";

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

/** What a run needs from the worker that hosts it. */
export interface RunSeams<R> {
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: AttemptSeams;
  /** Wall time as it was at the start, grown by monotonic time: for lengths that rows remember. Never jumps. */
  steadyNow(): number;
  /** A stimulus is in the inbox. */
  wake(run: R): void;
  /** A node no longer holds its permit. */
  released(): void;
  /** Reads the results of these nodes. */
  readOutputs(run: R, indices: readonly number[]): Promise<string[]>;
  /** The run cannot go on. */
  broken(run: R, error: unknown): void;
}
