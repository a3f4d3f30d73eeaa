/**
 * What those who watch are told, and what they tell: the meter's seam, and the types of what it measures. Counts are of what
 * was committed by this process since it was opened; lengths are in seconds, sizes in bytes.
 */
import type { HealthStatus } from "../define/health-check.ts";
import type { FailureKind } from "../errors.ts";
import type { BreakerState } from "./breaker-row.ts";

/** How long something took, over many times. */
export interface Distribution {
  readonly count: number;
  /** Of all lengths, in seconds; divided by `count` it is their mean. */
  readonly sum: number;
  /** For each bound in seconds how many lengths were not longer; the longest are only in `count`. */
  readonly buckets: readonly { readonly atMost: number; readonly count: number }[];
}

/** How long something took, many times, in seconds. */
export interface Total {
  readonly count: number;
  /** Divided by `count` it is their mean. */
  readonly sum: number;
}

/** What became of the runs of a workflow or machine. */
export interface WorkflowMetrics {
  readonly started: number;
  readonly completed: number;
  readonly failed: number;
  readonly timedOut: number;
  readonly cancelled: number;
  /** Runs that began to be undone. */
  readonly compensated: number;
  /** Runs that failed with nodes that could never start. */
  readonly blocked: number;
  /** Runs that completed after they had failed or timed out and were retried or continued. */
  readonly revived: number;
  /** Those of them that had nodes which could never start. */
  readonly unblocked: number;
  /** Runs that were taken up by this process: after a crash, a restart or a retry. */
  readonly recovered: number;
  /** From the start to the end, of runs that did both in this process. */
  readonly seconds: Distribution;
  /** What became of its nodes, by their ids: those that call something, with the steps of a machine. Those of a map's items together. */
  readonly nodes: Readonly<Record<string, NodeMetrics>>;
}

/** How a node that calls something has ended, in all runs of its workflow. What an operator set is not counted. */
export interface NodeMetrics {
  readonly completed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cancelled: number;
  /** From the last attempt's grant to its end, of those that completed. */
  readonly seconds: Total;
}

/** What became of the attempts of an agent. */
export interface AgentMetrics {
  readonly started: number;
  readonly succeeded: number;
  /** Calls under way now, with those that were given up and have not returned. */
  readonly running: number;
  /** By the kind of the failure; `timeout` among them. */
  readonly failed: Readonly<Partial<Record<FailureKind, number>>>;
  /** Refused by a limit or a circuit breaker, by the code: PAWL_LIMIT_EXCEEDED, PAWL_QUEUE_TIMEOUT, PAWL_CIRCUIT_OPEN. Counted in `failed`, too. */
  readonly refused: Readonly<Record<string, number>>;
  /** Given up: the run was cancelled, timed out or is unwound. */
  readonly cancelled: number;
  /** Failed attempts after which there is another. */
  readonly retries: number;
  /** Attempts that undid something; counted above, too. */
  readonly compensations: number;
  /** By the number of the attempt that succeeded: how many nodes needed so many. Those beyond 10 count as 10. */
  readonly attempts: Readonly<Record<number, number>>;
  /** Of attempts that succeeded or failed, and were not refused. */
  readonly seconds: Distribution;
}

/** A limit as this worker knows it; what other workers use is at most about a second old. In the limit's own unit. */
export interface LimitNow {
  /** Where it is one for each tenant: that of the tenant who uses the greatest part. */
  readonly max: number;
  /** The length of its window in ms; undefined when attempts hold what they use until they end. */
  readonly perMs: number | undefined;
  /** By all workers of the store, for all tenants together; so is `waiting`. */
  readonly used: number;
  readonly waiting: number;
  /** How much of `max` is used, from 0 to 1, and more after attempts that used more than was estimated. */
  readonly utilization: number;
  /** Attempts of this process that have something of it. */
  readonly held: number;
}

/** What a limit has done in this process. */
export interface LimitCounts {
  /** Attempts that were given of it. */
  readonly granted: number;
  /** Attempts that were refused: they asked for more than there ever is, or waited for too long. */
  readonly refused: number;
  /** Of attempts that waited for it for 0.1 s or longer, and then were granted or refused. Where there is a window, these have hit a rate limit. */
  readonly waits: Total;
  /** Shares of workers that were gone and held something of it, which this process has taken back. */
  readonly swept: number;
}

export type LimitMetrics = LimitNow & LimitCounts;

/** A circuit breaker as all workers of the store share it. */
export interface BreakerNow {
  readonly state: BreakerState;
  /** How often it has ceased to let calls through, since there is this breaker. */
  readonly openings: number;
  /** Failures without a success between them; while it is half open, probes that succeeded. */
  readonly failures: number;
  readonly successes: number;
  /** Of the calls of its window, from 0 to 1; null without a `rate`, or a call. */
  readonly failureRate: number | null;
}

/** Attempts of this process that a circuit breaker let through, and how they ended as far as it is concerned. */
export interface BreakerCounts {
  readonly calls: { readonly succeeded: number; readonly failed: number };
}

export type BreakerMetrics = BreakerNow & BreakerCounts;

/** What is now. */
export interface WorkerMetrics {
  /** Workflows and machines that this process was given. */
  readonly workflows: number;
  readonly runsInMemory: number;
  /** Runs that are worked on, of how many at most; and those here that have not begun and wait for a place. */
  readonly runsActive: number;
  readonly runsActiveMax: number;
  readonly runsPending: number;
  /** Attempts that wait for a permit; the items of a map count as one. */
  readonly attemptsQueued: number;
  /** Attempts that wait for a limit or a circuit breaker. */
  readonly attemptsParked: number;
  readonly attemptsRunning: number;
  readonly permitsHeld: number;
  readonly permitsMax: number;
}

export interface StoreMetrics {
  readonly commits: number;
  /** Of groups of commits, which share one write. */
  readonly seconds: Distribution;
  /** Of the file and those beside it; undefined in memory. */
  readonly sizeBytes: number | undefined;
}

export interface ProcessMetrics {
  /** CPU time of the process. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  /** How late the event loop was; undefined where nobody measures it. */
  readonly loopDelaySeconds: { readonly mean: number; readonly p99: number; readonly max: number } | undefined;
}

/** What a process has done since it was opened, and how it is. */
export interface Metrics {
  /** When, in ms since 1970. */
  readonly at: number;
  readonly workflows: Readonly<Record<string, WorkflowMetrics>>;
  readonly agents: Readonly<Record<string, AgentMetrics>>;
  /**
   * By the resource, or `agent:<name>` for the `concurrency` of an agent; tenants are in `pawl.limits()`. What is used is of the
   * store: the same with each worker. Empty in a process that executes nothing.
   */
  readonly limits: Readonly<Record<string, LimitMetrics>>;
  /** Their states are of the store: the same with each worker. Empty in a process that executes nothing. */
  readonly breakers: Readonly<Record<string, BreakerMetrics>>;
  readonly worker: WorkerMetrics;
  readonly store: StoreMetrics;
  readonly process: ProcessMetrics;
  /** Runs that were set aside. */
  readonly quarantined: number;
  /** Runs that were found to stall, where `stallAfter` is given. */
  readonly stalls: number;
  /** Notices that this process has delivered, by type. */
  readonly notices: Readonly<Record<string, number>>;
  /** What each check found when health was looked at last; empty before. */
  readonly health: Readonly<Record<string, HealthStatus>>;
}

// ---- seams

/** What the process and the machine say of themselves; the simulator gives others. */
export interface ProcessFacts {
  /** Cores that the process may use. */
  readonly cores: number;
  /** CPU time of the process so far, in ms. */
  cpuMs(): number;
  memory(): { readonly residentBytes: number; readonly heapUsedBytes: number; readonly heapLimitBytes: number; readonly totalBytes: number };
  /** Since it was asked last for this, in ms. */
  loopDelay(asker: "metrics" | "health"): { readonly meanMs: number; readonly p99Ms: number; readonly maxMs: number } | undefined;
  /** Of the disk with the store; undefined in memory. */
  disk(): Promise<{ readonly freeBytes: number; readonly totalBytes: number } | undefined>;
  /** Of the store's files; undefined in memory. */
  storeBytes(): Promise<number | undefined>;
  stop(): void;
}

export type NodeEnd = "completed" | "failed" | "skipped" | "cancelled";

/** Something that happened to an attempt, or the end of the node that it was of. */
export type AttemptMark =
  | { readonly kind: "started"; readonly agent: string; readonly leave?: Leave | undefined }
  | {
      readonly kind: "succeeded";
      readonly agent: string;
      readonly ms: number;
      readonly attempt: number;
      readonly undoes: boolean;
      readonly through?: BreakerOutcome | undefined;
    }
  | {
      readonly kind: "failed";
      readonly agent: string;
      /** undefined: it was refused, and has not begun. */
      readonly ms: number | undefined;
      readonly failure: FailureKind;
      readonly isRetried: boolean;
      readonly undoes: boolean;
      readonly through?: BreakerOutcome | undefined;
    }
  | { readonly kind: "cancelled"; readonly agent: string }
  /** `ms` is of those that completed. */
  | { readonly kind: "ended"; readonly node: string; readonly as: NodeEnd; readonly ms: number };

/** With what an attempt began, or was refused: names of limits. */
export interface Leave {
  readonly takes: readonly string[];
  readonly waitedFor?: string | undefined;
  readonly waitedMs: number;
  readonly refusedBy?: string | undefined;
  readonly refusal?: string | undefined;
}

/** The circuit breaker that let an attempt through, and what it makes of its end. */
export interface BreakerOutcome {
  readonly breaker: string;
  readonly succeeded: boolean;
}

/** What a commit says of its run. */
export interface RunMark {
  readonly runId: string;
  readonly workflow: string;
  readonly at: number;
  readonly started: boolean;
  readonly recovered: boolean;
  readonly compensates: boolean;
  /** How the run ended with it; undefined while it goes on. */
  readonly ended: string | undefined;
  readonly isBlocked: boolean;
  /** How it had ended before it was taken up again, and whether nodes of it could never have started. */
  readonly endedBefore?: { readonly as: string; readonly isBlocked: boolean } | undefined;
}

/** What is now, as others than the meter know it. */
export interface Now {
  readonly at: number;
  readonly worker: WorkerMetrics;
  readonly limits: Readonly<Record<string, LimitNow>>;
  readonly breakers: Readonly<Record<string, BreakerNow>>;
  readonly health: Readonly<Record<string, HealthStatus>>;
}

/** Counts what was committed. Told after the commit, in its order. */
export interface Meter {
  /** Counts what happens to the attempts of a workflow or machine. */
  attempts(workflow: string): (mark: AttemptMark) => void;
  run(mark: RunMark): void;
  /** A group was written. */
  commits(count: number, ms: number): void;
  quarantined(): void;
  stalled(): void;
  noticed(type: string): void;
  /** So many shares of workers that are gone were taken back. */
  swept(limit: string, count: number): void;
  /** A call of this agent began, or returned: no commit says so. */
  calls(agent: string, by: 1 | -1): void;
  look(now: Now): Promise<Metrics>;
  /** The same as text, as Prometheus reads it. */
  text(metrics: Metrics): Promise<string>;
}
