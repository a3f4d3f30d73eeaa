/**
 * The checks of the process itself: pure judgements of figures, each with the bounds at which it becomes a warning, works badly,
 * and should be given no work.
 */
import type { CheckResult, HealthCheck, HealthStatus } from "../index.ts";
import type { HealthSources } from "../run/health.ts";
import type { ProcessFacts } from "../run/metering.ts";

/** From which value on it is WARNING, DEGRADED and CRITICAL. */
type Bounds = readonly [warning: number, degraded: number, critical: number];

/** Share of the CPU time of all cores that the process may use, since the last look. */
export const CPU_BOUNDS: Bounds = [0.75, 0.9, 0.98];
/** Share of the machine's memory, or of what the objects may take, whichever is the larger. */
export const MEMORY_BOUNDS: Bounds = [0.75, 0.85, 0.95];
/** How late the event loop is in one turn of a hundred, in ms. */
export const LOOP_BOUNDS: Bounds = [100, 500, 2_000];
/** What is left of the disk, in bytes: WARNING only when it is also less than a tenth of the disk. */
export const DISK_BOUNDS: Bounds = [10 * 2 ** 30, 2 * 2 ** 30, 200 * 2 ** 20];
const DISK_WARNING_SHARE = 0.1;
/** How long a read takes, or the slowest group of commits since the last look, in ms. */
export const STORE_BOUNDS: Bounds = [200, 1_000, 5_000];
/** Attempts that wait for a permit, and runs that wait for a place. */
export const QUEUE_BOUNDS: Bounds = [1_000, 10_000, 100_000];

/** What else the checks go by. */
interface More {
  /** Reads the monotonic clock, in ms. */
  mono(): number;
  /** Of the groups of commits since it was asked last, in ms. */
  takeSlowestCommitMs(): number;
}

/** Those of a process that executes nothing are of the disk and the store alone. */
export function ownChecks(facts: ProcessFacts, more: More, sources: HealthSources): Record<string, HealthCheck> {
  const store = { disk: () => disk(facts), store: () => storeCheck(more, sources) };
  if (!sources.isExecuting) return store;
  let last = { cpuMs: facts.cpuMs(), at: more.mono() };
  return {
    cpu: () => {
      const now = { cpuMs: facts.cpuMs(), at: more.mono() };
      const share = now.at > last.at ? (now.cpuMs - last.cpuMs) / (now.at - last.at) / facts.cores : 0;
      last = now;
      return judged(share, CPU_BOUNDS, { share: rounded(share), cores: facts.cores }, "lower maxConcurrentAttempts, or move to a machine with more cores");
    },
    memory: () => memory(facts),
    eventLoop: () => {
      const delay = facts.loopDelay("health");
      return judged(delay?.p99Ms ?? 0, LOOP_BOUNDS, { ...delay }, "give agents that compute a thread: agent({ isolate })");
    },
    ...store,
    queue: () => {
      const { attemptsQueued, permitsMax, runsPending, runsActiveMax } = sources.worker();
      const details = { attemptsQueued, permitsMax, runsPending, runsActiveMax };
      return judged(
        attemptsQueued + runsPending,
        QUEUE_BOUNDS,
        details,
        "start another worker if CPU is free, or raise maxConcurrentAttempts or maxActiveRuns",
      );
    },
    consistency: () => {
      const runs = sources.disagreeing();
      if (runs.length === 0) return { status: "HEALTHY" };
      return { status: "CRITICAL", details: { runs }, recommendations: ["see `pawl doctor`: memory and store disagree about these runs"] };
    },
  };
}

function memory(facts: ProcessFacts): CheckResult {
  const { residentBytes, heapUsedBytes, heapLimitBytes, totalBytes } = facts.memory();
  const [ofMachine, ofHeap] = [residentBytes / totalBytes, heapUsedBytes / heapLimitBytes];
  const details = { residentBytes, heapUsedBytes, heapLimitBytes, totalBytes };
  return judged(Math.max(ofMachine, ofHeap), MEMORY_BOUNDS, details, "lower maxConcurrentAttempts, or give large values to a file and pass its address");
}

async function disk(facts: ProcessFacts): Promise<CheckResult> {
  const found = await facts.disk();
  if (found === undefined) return { status: "HEALTHY", details: { store: "in memory" } };
  const freeShare = found.freeBytes / found.totalBytes;
  const status = levelOf(-found.freeBytes, DISK_BOUNDS.map((bound) => -bound) as unknown as Bounds);
  const isAmple = status === "WARNING" && freeShare >= DISK_WARNING_SHARE;
  return result(isAmple ? "HEALTHY" : status, { ...found, freeShare: rounded(freeShare) }, "free some space; `pawl prune` deletes ended runs");
}

async function storeCheck(more: More, sources: HealthSources): Promise<CheckResult> {
  const since = more.mono();
  await sources.readStore();
  const [readMs, slowestCommitMs] = [more.mono() - since, more.takeSlowestCommitMs()];
  return judged(Math.max(readMs, slowestCommitMs), STORE_BOUNDS, { readMs: rounded(readMs), slowestCommitMs: rounded(slowestCommitMs) }, "use a faster disk");
}

function judged(value: number, bounds: Bounds, details: Readonly<Record<string, unknown>>, recommendation: string): CheckResult {
  return result(levelOf(value, bounds), details, recommendation);
}

function levelOf(value: number, [warning, degraded, critical]: Bounds): HealthStatus {
  return value >= critical ? "CRITICAL" : value >= degraded ? "DEGRADED" : value >= warning ? "WARNING" : "HEALTHY";
}

function result(status: HealthStatus, details: Readonly<Record<string, unknown>>, recommendation: string): CheckResult {
  return { status, details, recommendations: status === "HEALTHY" ? [] : [recommendation] };
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
