/**
 * Metrics as text that Prometheus reads. What stands here is what each quantity is called; the text itself is prom-client's. Each
 * quantity once, with its help and type, its samples together; one without samples is left out.
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { HealthStatus } from "../index.ts";
import type { AgentMetrics, BreakerMetrics, Distribution, LimitMetrics, Metrics, NodeMetrics, WorkflowMetrics } from "../run/metering.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];
type Measured = readonly [labels: Labels, of: Distribution];

export async function metricsText(metrics: Metrics): Promise<string> {
  const registry = new Registry();
  const sheet = new Sheet(registry);
  writeRuns(sheet, metrics);
  writeNodes(sheet, metrics);
  writeAttempts(sheet, metrics);
  writeLimits(sheet, metrics);
  writeBreakers(sheet, metrics);
  writeWorker(sheet, metrics);
  writeProcess(sheet, metrics);
  return registry.metrics();
}

function writeRuns(sheet: Sheet, { workflows, quarantined, stalls }: Metrics): void {
  const all = Object.entries(workflows);
  const of = (count: (workflow: WorkflowMetrics) => number): Sample[] => all.map(([workflow, metrics]) => [{ workflow }, count(metrics)]);
  const ends = all.flatMap(([workflow, metrics]) =>
    (["completed", "failed", "timedOut", "cancelled"] as const).map((status): Sample => [{ workflow, status }, metrics[status]]),
  );
  const started = of((workflow) => workflow.started);
  sheet.counter("pawl_runs_started_total", "Runs that were started.", started);
  sheet.counter("pawl_runs_ended_total", "Runs that ended, by how.", ends);
  const compensated = of((workflow) => workflow.compensated);
  sheet.counter("pawl_runs_compensated_total", "Runs that began to be undone.", compensated);
  const blocked = of((workflow) => workflow.blocked);
  sheet.counter("pawl_runs_blocked_total", "Runs that failed with nodes that could never start.", blocked);
  const revived = of((workflow) => workflow.revived);
  sheet.counter("pawl_runs_revived_total", "Runs that completed after they had failed or timed out and were retried or continued.", revived);
  const unblocked = of((workflow) => workflow.unblocked);
  sheet.counter("pawl_runs_unblocked_total", "Revived runs that had nodes which could never start.", unblocked);
  const recovered = of((workflow) => workflow.recovered);
  sheet.counter("pawl_runs_recovered_total", "Runs that were taken up after a crash, a restart or a retry.", recovered);
  sheet.counter("pawl_runs_quarantined_total", "Runs that were set aside.", [[{}, quarantined]]);
  sheet.counter("pawl_runs_stalled_total", "Runs that committed nothing for too long.", [[{}, stalls]]);
  const lengths = all.map(([workflow, { seconds }]): Measured => [{ workflow }, seconds]);
  sheet.histogram("pawl_run_duration_seconds", "From the start of a run to its end.", lengths);
}

function writeNodes(sheet: Sheet, { workflows }: Metrics): void {
  const all = Object.entries(workflows).flatMap(([workflow, { nodes }]) =>
    Object.entries(nodes).map(([node, of]): [Labels, NodeMetrics] => [{ workflow, node }, of]),
  );
  const ends = all.flatMap(([labels, of]) =>
    (["completed", "failed", "skipped", "cancelled"] as const).map((status): Sample => [{ ...labels, status }, of[status]]),
  );
  const lengths = all.map(([labels, { seconds }]): Sample => [labels, seconds.sum]);
  sheet.counter("pawl_nodes_ended_total", "Nodes and steps that ended, by how.", ends);
  sheet.counter("pawl_nodes_completed_seconds_total", "What the last attempts of completed nodes took.", lengths);
}

function writeAttempts(sheet: Sheet, { agents }: Metrics): void {
  const all = Object.entries(agents);
  const of = (count: (agent: AgentMetrics) => number): Sample[] => all.map(([agent, metrics]) => [{ agent }, count(metrics)]);
  const failed = all.flatMap(([agent, metrics]) => Object.entries(metrics.failed).map(([kind, count]): Sample => [{ agent, kind }, count]));
  const refused = all.flatMap(([agent, metrics]) => Object.entries(metrics.refused).map(([code, count]): Sample => [{ agent, code }, count]));
  const needed = all.flatMap(([agent, { attempts }]) => Object.entries(attempts).map(([attempt, count]): Sample => [{ agent, attempt }, count]));
  const started = of((agent) => agent.started);
  sheet.counter("pawl_attempts_started_total", "Attempts that were started.", started);
  const succeeded = of((agent) => agent.succeeded);
  sheet.counter("pawl_attempts_succeeded_total", "Attempts that succeeded.", succeeded);
  sheet.counter("pawl_attempts_failed_total", "Attempts that failed, by the kind of the failure.", failed);
  sheet.counter("pawl_attempts_refused_total", "Attempts that a limit or a circuit breaker refused, by the code; they have failed, too.", refused);
  const cancelled = of((agent) => agent.cancelled);
  sheet.counter("pawl_attempts_cancelled_total", "Attempts that were given up.", cancelled);
  const retries = of((agent) => agent.retries);
  sheet.counter("pawl_attempts_retried_total", "Failed attempts after which there is another.", retries);
  const compensations = of((agent) => agent.compensations);
  sheet.counter("pawl_attempts_compensating_total", "Attempts that undid something.", compensations);
  sheet.counter("pawl_attempts_needed_total", "Successes, by the number of the attempt.", needed);
  const running = of((agent) => agent.running);
  sheet.gauge("pawl_calls_running", "Calls under way, with those that were given up and have not returned.", running);
  const lengths = all.map(([agent, { seconds }]): Measured => [{ agent }, seconds]);
  sheet.histogram("pawl_attempt_duration_seconds", "Of attempts that succeeded or failed.", lengths);
}

function writeLimits(sheet: Sheet, { limits }: Metrics): void {
  const all = Object.entries(limits);
  const of = (value: (limit: LimitMetrics) => number): Sample[] =>
    all.map(([limit, metrics]) => [{ limit, kind: metrics.perMs === undefined ? "concurrency" : "window" }, value(metrics)]);
  const granted = of((limit) => limit.granted);
  sheet.counter("pawl_limit_granted_total", "Attempts that were given of the limit.", granted);
  const refused = of((limit) => limit.refused);
  sheet.counter("pawl_limit_refused_total", "Attempts that asked for more than there ever is, or waited for too long.", refused);
  const waits = of((limit) => limit.waits.count);
  sheet.counter("pawl_limit_waits_total", "Attempts that waited for the limit for 0.1 s or longer; those of a window have hit a rate limit.", waits);
  const waitSeconds = of((limit) => limit.waits.sum);
  sheet.counter("pawl_limit_waits_seconds_total", "How long they have waited.", waitSeconds);
  const swept = of((limit) => limit.swept);
  sheet.counter("pawl_limit_swept_total", "Shares of workers that were gone, which were taken back.", swept);
  const held = of((limit) => limit.held);
  sheet.gauge("pawl_limit_held", "Attempts of this process that have something of the limit.", held);
  const used = of((limit) => limit.used);
  sheet.gauge("pawl_limit_used", "What all workers use.", used);
  const waiting = of((limit) => limit.waiting);
  sheet.gauge("pawl_limit_waiting", "What waits with all workers, in the limit's own unit.", waiting);
  const max = of((limit) => limit.max);
  sheet.gauge("pawl_limit_max", "The limit; of one for each tenant that of the tenant who uses the greatest part.", max);
  const utilization = of((limit) => limit.utilization);
  sheet.gauge("pawl_limit_utilization_ratio", "How much of it is used.", utilization);
}

const BREAKER_STATES = Object.keys({ closed: 0, open: 0, halfOpen: 0, forcedOpen: 0, forcedClosed: 0 } satisfies Record<BreakerMetrics["state"], 0>);
const HEALTH_LEVELS: Readonly<Record<HealthStatus, number>> = { HEALTHY: 0, WARNING: 1, DEGRADED: 2, CRITICAL: 3, FAILED: 4 };

function writeBreakers(sheet: Sheet, { breakers }: Metrics): void {
  const all = Object.entries(breakers);
  const of = (value: (breaker: BreakerMetrics) => number): Sample[] => all.map(([breaker, metrics]) => [{ breaker }, value(metrics)]);
  const states = all.flatMap(([breaker, metrics]) => BREAKER_STATES.map((state): Sample => [{ breaker, state }, Number(metrics.state === state)]));
  const calls = all.flatMap(([breaker, metrics]) => Object.entries(metrics.calls).map(([outcome, count]): Sample => [{ breaker, outcome }, count]));
  const rates = all.flatMap(([breaker, { failureRate }]): Sample[] => (failureRate === null ? [] : [[{ breaker }, failureRate]]));
  sheet.gauge("pawl_breaker_state", "1 for the state that the circuit breaker is in.", states);
  const openings = of((breaker) => breaker.openings);
  sheet.counter("pawl_breaker_openings_total", "How often it has ceased to let calls through, in any process.", openings);
  const failures = of((breaker) => breaker.failures);
  sheet.gauge("pawl_breaker_failures", "Failures without a success between them.", failures);
  const successes = of((breaker) => breaker.successes);
  sheet.gauge("pawl_breaker_successes", "While it is half open: probes that succeeded.", successes);
  sheet.gauge("pawl_breaker_failure_ratio", "Of the calls of its window.", rates);
  sheet.counter("pawl_breaker_calls_total", "Attempts of this process that it let through, by what it makes of their end.", calls);
}

function writeWorker(sheet: Sheet, { worker, store, notices, health }: Metrics): void {
  sheet.gauge("pawl_workflows", "Workflows and machines that this process was given.", [[{}, worker.workflows]]);
  sheet.gauge("pawl_runs_in_memory", "Runs in memory.", [[{}, worker.runsInMemory]]);
  sheet.gauge("pawl_runs_active", "Runs that are worked on.", [[{}, worker.runsActive]]);
  sheet.gauge("pawl_runs_active_max", "Runs that may be worked on at the same time.", [[{}, worker.runsActiveMax]]);
  sheet.gauge("pawl_runs_pending", "Runs that have not begun and wait for a place.", [[{}, worker.runsPending]]);
  sheet.gauge("pawl_attempts_queued", "Attempts that wait for a permit.", [[{}, worker.attemptsQueued]]);
  sheet.gauge("pawl_attempts_parked", "Attempts that wait for a limit or a circuit breaker.", [[{}, worker.attemptsParked]]);
  sheet.gauge("pawl_attempts_running", "Attempts that run.", [[{}, worker.attemptsRunning]]);
  sheet.gauge("pawl_permits_held", "Permits that are held.", [[{}, worker.permitsHeld]]);
  sheet.gauge("pawl_permits_max", "Attempts that may run at the same time.", [[{}, worker.permitsMax]]);
  const told = Object.entries(notices).map(([type, count]): Sample => [{ type }, count]);
  sheet.counter("pawl_notices_total", "Notices that were delivered.", told);
  const checks = Object.entries(health).map(([check, status]): Sample => [{ check }, HEALTH_LEVELS[status]]);
  sheet.gauge("pawl_health", "What each check found last: 0 HEALTHY, 1 WARNING, 2 DEGRADED, 3 CRITICAL, 4 FAILED.", checks);
  sheet.counter("pawl_commits_total", "Commits.", [[{}, store.commits]]);
  sheet.histogram("pawl_commit_duration_seconds", "Of groups of commits, which share one write.", [[{}, store.seconds]]);
  if (store.sizeBytes !== undefined) sheet.gauge("pawl_store_size_bytes", "Size of the store's files.", [[{}, store.sizeBytes]]);
}

function writeProcess(sheet: Sheet, { process: { cpuSeconds, residentBytes, heapUsedBytes, heapLimitBytes, loopDelaySeconds } }: Metrics): void {
  sheet.counter("pawl_process_cpu_seconds_total", "CPU time of the process.", [[{}, cpuSeconds]]);
  sheet.gauge("pawl_process_resident_bytes", "Memory of the process.", [[{}, residentBytes]]);
  sheet.gauge("pawl_process_heap_used_bytes", "Memory of its objects.", [[{}, heapUsedBytes]]);
  sheet.gauge("pawl_process_heap_limit_bytes", "What its objects may take.", [[{}, heapLimitBytes]]);
  const delays = Object.entries(loopDelaySeconds ?? {}).map(([of, seconds]): Sample => [{ of }, seconds]);
  sheet.gauge("pawl_event_loop_delay_seconds", "How late the event loop was since the last look.", delays);
}

// ---- the library

/** What was counted elsewhere, as families of the library. */
class Sheet {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  counter(name: string, help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return;
    const counter = new Counter({ name, help, labelNames: labelsOf(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) counter.inc(labels, value);
  }

  gauge(name: string, help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return;
    const gauge = new Gauge({ name, help, labelNames: labelsOf(samples), registers: [this.#registry] });
    for (const [labels, value] of samples) gauge.set(labels, value);
  }

  histogram(name: string, help: string, all: readonly Measured[]): void {
    if (all.length > 0) this.#registry.registerMetric(new CountedHistogram(name, help, all));
  }
}

function labelsOf(samples: readonly (readonly [labels: Labels, ...unknown[]])[]): string[] {
  return Object.keys(samples[0]![0]);
}

/** The library's own is told each length by itself; this one gives away those that were counted already. */
class CountedHistogram extends Gauge {
  readonly #all: readonly Measured[];

  constructor(name: string, help: string, all: readonly Measured[]) {
    super({ name, help, labelNames: [...labelsOf(all), "le"], registers: [] });
    this.#all = all;
  }

  override async get(): ReturnType<Gauge["get"]> {
    const { name, ...family } = await super.get();
    const values = this.#all.flatMap(([labels, { count, sum, buckets }]) => [
      ...buckets.map((bucket) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: bucket.atMost }, value: bucket.count })),
      { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ]);
    // the library's types call numbers what are words
    return { ...family, name, type: "histogram" as never, values };
  }
}
