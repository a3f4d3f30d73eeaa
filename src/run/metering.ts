/**
 * What those who watch are told, and what they tell: the meter's seam, and the types of what it measures. Counts are of what
 * was committed by this process since it was opened; lengths are in seconds, sizes in bytes.
 */
import type { FailureKind } from "../errors.ts";

/** How long something took, over many times. */
export interface Distribution {
  readonly count: number;
  /** Of all lengths, in seconds; divided by `count` it is their mean. */
  readonly sum: number;
  /** For each bound in seconds how many lengths were not longer; the longest are only in `count`. */
  readonly buckets: readonly { readonly atMost: number; readonly count: number }[];
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
  /** Runs that were taken up after a crash or a restart. */
  readonly recovered: number;
  /** From the start to the end, of runs that did both in this process. */
  readonly seconds: Distribution;
}

/** What became of the attempts of an agent. */
export interface AgentMetrics {
  readonly started: number;
  readonly succeeded: number;
  /** By the kind of the failure; `timeout` among them. */
  readonly failed: Readonly<Partial<Record<FailureKind, number>>>;
  /** Given up: the run was cancelled, timed out or is unwound. */
  readonly cancelled: number;
  /** Failed attempts after which there is another. */
  readonly retries: number;
  /** Attempts that undid something; counted above, too. */
  readonly compensations: number;
  /** By the number of the attempt that succeeded: how many nodes needed so many. Those beyond 10 count as 10. */
  readonly attempts: Readonly<Record<number, number>>;
  /** Of attempts that succeeded or failed. */
  readonly seconds: Distribution;
}

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

/** A measured quantity that another part of pawl adds: a name as Prometheus has it, and its values. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly values: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

/** What a process has done since it was opened, and how it is. */
export interface Metrics {
  /** When, in ms since 1970. */
  readonly at: number;
  readonly workflows: Readonly<Record<string, WorkflowMetrics>>;
  readonly agents: Readonly<Record<string, AgentMetrics>>;
  readonly worker: WorkerMetrics;
  readonly store: StoreMetrics;
  readonly process: ProcessMetrics;
  /** Runs that were set aside. */
  readonly quarantined: number;
  /** Runs that were found to stall, where `stallAfter` is given. */
  readonly stalls: number;
  /** Notices that this process has delivered, by type. */
  readonly notices: Readonly<Record<string, number>>;
  /** What breakers, limits and the like measure of themselves. */
  readonly others: readonly MetricFamily[];
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

/** Something that happened to an attempt. */
export type AttemptMark =
  | { readonly kind: "started"; readonly agent: string }
  | { readonly kind: "succeeded"; readonly agent: string; readonly ms: number; readonly attempt: number; readonly undoes: boolean }
  | {
      readonly kind: "failed";
      readonly agent: string;
      readonly ms: number;
      readonly failure: FailureKind;
      readonly isRetried: boolean;
      readonly undoes: boolean;
    }
  | { readonly kind: "cancelled"; readonly agent: string };

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
}

/** Counts what was committed. Told after the commit, in its order. */
export interface Meter {
  attempt(mark: AttemptMark): void;
  run(mark: RunMark): void;
  /** A group was written. */
  commits(count: number, ms: number): void;
  quarantined(): void;
  stalled(): void;
  noticed(type: string): void;
  /** Other parts add themselves here; each is asked when somebody looks. */
  readonly sources: (() => readonly MetricFamily[])[];
  look(at: number, worker: WorkerMetrics): Promise<Metrics>;
  /** The same as text, as Prometheus reads it. */
  text(metrics: Metrics): string;
}
