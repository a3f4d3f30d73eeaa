/**
 * The meter: counters of what was committed, and what is looked up when somebody asks. In memory only; it begins at zero
 * with the process. Its names are those of definitions: as many as there are workflows and agents, and no more than a bound.
 */
import type { FailureKind } from "../index.ts";
import type {
  AgentMetrics,
  AttemptMark,
  Distribution,
  Meter,
  MetricFamily,
  Metrics,
  ProcessFacts,
  RunMark,
  WorkerMetrics,
  WorkflowMetrics,
} from "../run/metering.ts";
import { metricsText } from "./metrics-text.ts";

/** Different workflows, and agents, that are counted by name; those that come later are counted as this. */
const NAMES_MAX = 1_000;
const OTHER = "(other)";
/** Runs whose start is remembered for the length that they took. */
const STARTS_MAX = 10_000;
/** Attempts that are told apart in the distribution of attempts. */
const ATTEMPTS_MAX = 10;
/** Bounds in seconds: from what a step inside takes to the longest run. */
const WORK_BOUNDS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800, 3_600];
const COMMIT_BOUNDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];

class Lengths {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  add(ms: number): void {
    const seconds = Math.max(0, ms) / 1_000;
    this.#count++;
    this.#sum += seconds;
    let at = 0;
    while (at < this.#bounds.length && seconds > this.#bounds[at]!) at++;
    if (at < this.#bounds.length) this.#counts[at]!++;
  }

  read(): Distribution {
    let count = 0;
    const buckets = this.#bounds.map((atMost, i) => ({ atMost, count: (count += this.#counts[i]!) }));
    return { count: this.#count, sum: this.#sum, buckets };
  }
}

class OfWorkflow {
  readonly counts = { started: 0, completed: 0, failed: 0, timedOut: 0, cancelled: 0, compensated: 0, blocked: 0, recovered: 0 };
  readonly lengths = new Lengths(WORK_BOUNDS);

  read(): WorkflowMetrics {
    return { ...this.counts, seconds: this.lengths.read() };
  }
}

class OfAgent {
  readonly counts = { started: 0, succeeded: 0, cancelled: 0, retries: 0, compensations: 0 };
  readonly failed: Partial<Record<FailureKind, number>> = {};
  readonly attempts: Record<number, number> = {};
  readonly lengths = new Lengths(WORK_BOUNDS);

  read(): AgentMetrics {
    return { ...this.counts, failed: { ...this.failed }, attempts: { ...this.attempts }, seconds: this.lengths.read() };
  }
}

/** One for each name, up to a bound. */
class Named<T> {
  readonly #all = new Map<string, T>();
  readonly #make: () => T;

  constructor(make: () => T) {
    this.#make = make;
  }

  of(name: string): T {
    const known = this.#all.get(name);
    if (known !== undefined) return known;
    if (this.#all.size >= NAMES_MAX && name !== OTHER) return this.of(OTHER);
    const made = this.#make();
    this.#all.set(name, made);
    return made;
  }

  read<R>(read: (one: T) => R): Record<string, R> {
    return Object.fromEntries([...this.#all].map(([name, one]) => [name, read(one)]));
  }
}

export class CountingMeter implements Meter {
  readonly sources: (() => readonly MetricFamily[])[] = [];
  readonly #facts: ProcessFacts;
  readonly #workflows = new Named(() => new OfWorkflow());
  readonly #agents = new Named(() => new OfAgent());
  readonly #starts = new Map<string, number>();
  readonly #commitLengths = new Lengths(COMMIT_BOUNDS);
  readonly #notices: Record<string, number> = {};
  #commits = 0;
  #slowestCommitMs = 0;
  #quarantined = 0;
  #stalls = 0;

  constructor(facts: ProcessFacts) {
    this.#facts = facts;
  }

  attempt(mark: AttemptMark): void {
    const of = this.#agents.of(mark.agent);
    of.counts[mark.kind === "failed" ? "retries" : mark.kind] += mark.kind === "failed" && !mark.isRetried ? 0 : 1;
    if (mark.kind === "started" || mark.kind === "cancelled") return;
    of.lengths.add(mark.ms);
    if (mark.undoes) of.counts.compensations++;
    if (mark.kind === "failed") of.failed[mark.failure] = (of.failed[mark.failure] ?? 0) + 1;
    else {
      const attempt = Math.min(mark.attempt, ATTEMPTS_MAX);
      of.attempts[attempt] = (of.attempts[attempt] ?? 0) + 1;
    }
  }

  run({ runId, workflow, at, started, recovered, compensates, ended, isBlocked }: RunMark): void {
    const { counts, lengths } = this.#workflows.of(workflow);
    if (started) this.#started(runId, at);
    counts.started += Number(started);
    counts.recovered += Number(recovered);
    counts.compensated += Number(compensates);
    counts.blocked += Number(isBlocked);
    if (ended === undefined) return;
    if (ended === "completed" || ended === "failed" || ended === "timedOut" || ended === "cancelled") counts[ended]++;
    const startedAt = this.#starts.get(runId);
    if (startedAt !== undefined) lengths.add(at - startedAt);
    this.#starts.delete(runId);
  }

  #started(runId: string, at: number): void {
    const [oldest] = this.#starts.keys();
    if (this.#starts.size >= STARTS_MAX) this.#starts.delete(oldest!);
    this.#starts.set(runId, at);
  }

  commits(count: number, ms: number): void {
    this.#commits += count;
    this.#commitLengths.add(ms);
    this.#slowestCommitMs = Math.max(this.#slowestCommitMs, ms);
  }

  /** The slowest group since this was asked last, in ms. */
  takeSlowestCommitMs(): number {
    const ms = this.#slowestCommitMs;
    this.#slowestCommitMs = 0;
    return ms;
  }

  quarantined(): void {
    this.#quarantined++;
  }

  stalled(): void {
    this.#stalls++;
  }

  noticed(type: string): void {
    this.#notices[type] = (this.#notices[type] ?? 0) + 1;
  }

  async look(at: number, worker: WorkerMetrics): Promise<Metrics> {
    const facts = this.#facts;
    const { residentBytes, heapUsedBytes, heapLimitBytes } = facts.memory();
    const delay = facts.loopDelay("metrics");
    return {
      at,
      workflows: this.#workflows.read((of) => of.read()),
      agents: this.#agents.read((of) => of.read()),
      worker,
      store: { commits: this.#commits, seconds: this.#commitLengths.read(), sizeBytes: await facts.storeBytes() },
      process: {
        cpuSeconds: facts.cpuMs() / 1_000,
        ...{ residentBytes, heapUsedBytes, heapLimitBytes },
        loopDelaySeconds: delay && { mean: delay.meanMs / 1_000, p99: delay.p99Ms / 1_000, max: delay.maxMs / 1_000 },
      },
      quarantined: this.#quarantined,
      stalls: this.#stalls,
      notices: { ...this.#notices },
      others: this.sources.flatMap((source) => source()),
    };
  }

  text(metrics: Metrics): string {
    return metricsText(metrics);
  }
}
