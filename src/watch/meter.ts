/**
 * The meter: counters of what was committed, and what is looked up when somebody asks. In memory only; it begins at zero
 * with the process. Its names are those of definitions: as many as there are workflows, agents and nodes, and no more than
 * a bound.
 */
import type { FailureKind } from "../index.ts";
import type {
  AgentMetrics,
  AttemptMark,
  BreakerCounts,
  BreakerOutcome,
  Distribution,
  Leave,
  LimitCounts,
  Meter,
  Metrics,
  NodeMetrics,
  Now,
  ProcessFacts,
  RunMark,
  Total,
  WorkflowMetrics,
} from "../run/metering.ts";

/** Different workflows, agents, limits and breakers that are counted by name; those that come later are counted as this. */
const NAMES_MAX = 1_000;
const OTHER = "(other)";
/** Nodes that are counted by name, of all workflows together: each is some lines of text. */
const NODES_MAX = 2_000;
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

class Sum {
  #count = 0;
  #sum = 0;

  add(ms: number): void {
    this.#count++;
    this.#sum += Math.max(0, ms) / 1_000;
  }

  read(): Total {
    return { count: this.#count, sum: this.#sum };
  }
}

/** How many names there may still be. */
interface Room {
  left: number;
}

/** One for each name, while there is room. */
class Named<T> {
  readonly #all = new Map<string, T>();
  readonly #make: () => T;
  readonly #room: Room;

  constructor(make: () => T, room: Room = { left: NAMES_MAX }) {
    this.#make = make;
    this.#room = room;
  }

  of(name: string): T {
    const known = this.#all.get(name);
    if (known !== undefined) return known;
    if (name !== OTHER && this.#room.left-- <= 0) return this.of(OTHER);
    const made = this.#make();
    this.#all.set(name, made);
    return made;
  }

  read<R>(read: (one: T) => R): Record<string, R> {
    return Object.fromEntries([...this.#all].map(([name, one]) => [name, read(one)]));
  }
}

class OfWorkflow {
  readonly counts = { started: 0, completed: 0, failed: 0, timedOut: 0, cancelled: 0, compensated: 0, blocked: 0, revived: 0, unblocked: 0, recovered: 0 };
  readonly lengths = new Lengths(WORK_BOUNDS);
  readonly nodes: Named<OfNode>;
  readonly attempt: (mark: AttemptMark) => void;

  constructor(room: Room, attempt: (mark: AttemptMark, of: OfWorkflow) => void) {
    this.nodes = new Named(() => new OfNode(), room);
    this.attempt = (mark) => attempt(mark, this);
  }

  read(): WorkflowMetrics {
    return { ...this.counts, seconds: this.lengths.read(), nodes: this.nodes.read((of) => of.read()) };
  }
}

class OfNode {
  readonly counts = { completed: 0, failed: 0, skipped: 0, cancelled: 0 };
  readonly lengths = new Sum();

  read(): NodeMetrics {
    return { ...this.counts, seconds: this.lengths.read() };
  }
}

class OfAgent {
  readonly counts = { started: 0, succeeded: 0, running: 0, cancelled: 0, retries: 0, compensations: 0 };
  readonly failed: Partial<Record<FailureKind, number>> = {};
  readonly refused: Record<string, number> = {};
  readonly attempts: Record<number, number> = {};
  readonly lengths = new Lengths(WORK_BOUNDS);

  read(): AgentMetrics {
    const { counts, failed, refused, attempts, lengths } = this;
    return { ...counts, failed: { ...failed }, refused: { ...refused }, attempts: { ...attempts }, seconds: lengths.read() };
  }
}

class OfLimit {
  readonly counts = { granted: 0, refused: 0, swept: 0 };
  readonly waits = new Sum();

  read(): LimitCounts {
    return { ...this.counts, waits: this.waits.read() };
  }
}

class OfBreaker {
  readonly calls = { succeeded: 0, failed: 0 };

  read(): BreakerCounts {
    return { calls: { ...this.calls } };
  }
}

const NO_LIMIT_COUNTS = new OfLimit().read();
const NO_BREAKER_COUNTS = new OfBreaker().read();

export class CountingMeter implements Meter {
  readonly #facts: ProcessFacts;
  readonly #room: Room = { left: NODES_MAX };
  readonly #workflows = new Named(() => new OfWorkflow(this.#room, (mark, of) => this.#attempt(mark, of)));
  readonly #agents = new Named(() => new OfAgent());
  readonly #limits = new Named(() => new OfLimit());
  readonly #breakers = new Named(() => new OfBreaker());
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

  attempts(workflow: string): (mark: AttemptMark) => void {
    return this.#workflows.of(workflow).attempt;
  }

  #attempt(mark: AttemptMark, { nodes }: OfWorkflow): void {
    if (mark.kind === "ended") {
      const of = nodes.of(mark.node);
      of.counts[mark.as]++;
      if (mark.as === "completed") of.lengths.add(mark.ms);
      return;
    }
    const of = this.#agents.of(mark.agent);
    if (mark.kind === "started") {
      of.counts.started++;
      if (mark.leave !== undefined) this.#left(of, mark.leave);
    } else if (mark.kind === "cancelled") of.counts.cancelled++;
    else this.#ended(of, mark);
  }

  #left({ refused }: OfAgent, { takes, waitedFor, waitedMs, refusedBy, refusal }: Leave): void {
    for (const limit of takes) this.#limits.of(limit).counts.granted++;
    if (waitedFor !== undefined) this.#limits.of(waitedFor).waits.add(waitedMs);
    if (refusedBy !== undefined) this.#limits.of(refusedBy).counts.refused++;
    if (refusal !== undefined) refused[refusal] = (refused[refusal] ?? 0) + 1;
  }

  #ended(of: OfAgent, mark: AttemptMark & { readonly kind: "succeeded" | "failed" }): void {
    if (mark.ms !== undefined) of.lengths.add(mark.ms);
    if (mark.undoes) of.counts.compensations++;
    if (mark.through !== undefined) this.#through(mark.through);
    if (mark.kind === "failed") {
      of.counts.retries += Number(mark.isRetried);
      of.failed[mark.failure] = (of.failed[mark.failure] ?? 0) + 1;
    } else {
      const attempt = Math.min(mark.attempt, ATTEMPTS_MAX);
      of.counts.succeeded++;
      of.attempts[attempt] = (of.attempts[attempt] ?? 0) + 1;
    }
  }

  #through({ breaker, succeeded }: BreakerOutcome): void {
    this.#breakers.of(breaker).calls[succeeded ? "succeeded" : "failed"]++;
  }

  run({ runId, workflow, at, started, recovered, compensates, ended, isBlocked, endedBefore }: RunMark): void {
    const { counts, lengths } = this.#workflows.of(workflow);
    if (started) this.#started(runId, at);
    counts.started += Number(started);
    counts.recovered += Number(recovered);
    counts.compensated += Number(compensates);
    counts.blocked += Number(isBlocked);
    if (ended === "completed" && endedBefore !== undefined && endedBefore.as !== "cancelled") {
      counts.revived++;
      counts.unblocked += Number(endedBefore.isBlocked);
    }
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

  swept(limit: string, count: number): void {
    this.#limits.of(limit).counts.swept += count;
  }

  calls(agent: string, by: 1 | -1): void {
    this.#agents.of(agent).counts.running += by;
  }

  async look({ at, worker, limits, breakers, health }: Now): Promise<Metrics> {
    const facts = this.#facts;
    const { residentBytes, heapUsedBytes, heapLimitBytes } = facts.memory();
    const delay = facts.loopDelay("metrics");
    return {
      at,
      workflows: this.#workflows.read((of) => of.read()),
      agents: this.#agents.read((of) => of.read()),
      limits: joined(
        limits,
        this.#limits.read((of) => of.read()),
        NO_LIMIT_COUNTS,
      ),
      breakers: joined(
        breakers,
        this.#breakers.read((of) => of.read()),
        NO_BREAKER_COUNTS,
      ),
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
      health,
    };
  }

  /** The library is loaded when text is asked for: it takes more time than a worker to begin. */
  async text(metrics: Metrics): Promise<string> {
    const { metricsText } = await import("./metrics-text.ts");
    return metricsText(metrics);
  }
}

/** What is now, with what was counted; of too many the first by their names. */
function joined<A, B>(now: Readonly<Record<string, A>>, counted: Readonly<Record<string, B>>, none: B): Record<string, A & B> {
  const names = Object.keys(now).toSorted().slice(0, NAMES_MAX);
  return Object.fromEntries(names.map((name) => [name, { ...now[name]!, ...(counted[name] ?? none) }]));
}
