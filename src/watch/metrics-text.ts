/**
 * Metrics as text: the exposition format 0.0.4 of Prometheus. Each quantity once, with its help and type, its samples together.
 */
import type { AgentMetrics, Distribution, Metrics, WorkflowMetrics } from "../run/metering.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

export function metricsText(metrics: Metrics): string {
  return [...runLines(metrics), ...attemptLines(metrics), ...workerLines(metrics), ...storeLines(metrics), ...processLines(metrics), ...otherLines(metrics)]
    .map((line) => `${line}\n`)
    .join("");
}

function* runLines({ workflows, quarantined, stalls, notices }: Metrics): Generator<string> {
  const all = Object.entries(workflows);
  const of = (count: (workflow: WorkflowMetrics) => number): Sample[] => all.map(([workflow, metrics]) => [{ workflow }, count(metrics)]);
  const ends = all.flatMap(([workflow, metrics]) =>
    (["completed", "failed", "timedOut", "cancelled"] as const).map((status): Sample => [{ workflow, status }, metrics[status]]),
  );
  yield* family(
    "pawl_runs_started_total",
    "counter",
    "Runs that were started.",
    of(({ started }) => started),
  );
  yield* family("pawl_runs_ended_total", "counter", "Runs that ended, by how.", ends);
  yield* family(
    "pawl_runs_compensated_total",
    "counter",
    "Runs that began to be undone.",
    of(({ compensated }) => compensated),
  );
  yield* family(
    "pawl_runs_blocked_total",
    "counter",
    "Runs that failed with nodes that could never start.",
    of(({ blocked }) => blocked),
  );
  yield* family(
    "pawl_runs_recovered_total",
    "counter",
    "Runs that were taken up after a crash or a restart.",
    of(({ recovered }) => recovered),
  );
  yield* family("pawl_runs_quarantined_total", "counter", "Runs that were set aside.", [[{}, quarantined]]);
  yield* family("pawl_runs_stalled_total", "counter", "Runs that committed nothing for too long.", [[{}, stalls]]);
  yield* family(
    "pawl_notices_total",
    "counter",
    "Notices that were delivered.",
    Object.entries(notices).map(([type, count]): Sample => [{ type }, count]),
  );
  yield* histogram(
    "pawl_run_duration_seconds",
    "From the start of a run to its end.",
    all.map(([workflow, { seconds }]) => [{ workflow }, seconds] as const),
  );
}

function* attemptLines({ agents }: Metrics): Generator<string> {
  const all = Object.entries(agents);
  const of = (count: (agent: AgentMetrics) => number): Sample[] => all.map(([agent, metrics]) => [{ agent }, count(metrics)]);
  const failed = all.flatMap(([agent, metrics]) => Object.entries(metrics.failed).map(([kind, count]): Sample => [{ agent, kind }, count]));
  const needed = all.flatMap(([agent, { attempts }]) => Object.entries(attempts).map(([attempt, count]): Sample => [{ agent, attempt }, count]));
  yield* family(
    "pawl_attempts_started_total",
    "counter",
    "Attempts that were started.",
    of(({ started }) => started),
  );
  yield* family(
    "pawl_attempts_succeeded_total",
    "counter",
    "Attempts that succeeded.",
    of(({ succeeded }) => succeeded),
  );
  yield* family("pawl_attempts_failed_total", "counter", "Attempts that failed, by the kind of the failure.", failed);
  yield* family(
    "pawl_attempts_cancelled_total",
    "counter",
    "Attempts that were given up.",
    of(({ cancelled }) => cancelled),
  );
  yield* family(
    "pawl_attempts_retried_total",
    "counter",
    "Failed attempts after which there is another.",
    of(({ retries }) => retries),
  );
  yield* family(
    "pawl_attempts_compensating_total",
    "counter",
    "Attempts that undid something.",
    of(({ compensations }) => compensations),
  );
  yield* family("pawl_attempts_needed_total", "counter", "Successes, by the number of the attempt.", needed);
  yield* histogram(
    "pawl_attempt_duration_seconds",
    "Of attempts that succeeded or failed.",
    all.map(([agent, { seconds }]) => [{ agent }, seconds] as const),
  );
}

function* workerLines({ worker }: Metrics): Generator<string> {
  yield* gauge("pawl_workflows", "Workflows and machines that this process was given.", worker.workflows);
  yield* gauge("pawl_runs_in_memory", "Runs in memory.", worker.runsInMemory);
  yield* gauge("pawl_runs_active", "Runs that are worked on.", worker.runsActive);
  yield* gauge("pawl_runs_active_max", "Runs that may be worked on at the same time.", worker.runsActiveMax);
  yield* gauge("pawl_runs_pending", "Runs that have not begun and wait for a place.", worker.runsPending);
  yield* gauge("pawl_attempts_queued", "Attempts that wait for a permit.", worker.attemptsQueued);
  yield* gauge("pawl_attempts_running", "Attempts that run.", worker.attemptsRunning);
  yield* gauge("pawl_permits_held", "Permits that are held.", worker.permitsHeld);
  yield* gauge("pawl_permits_max", "Attempts that may run at the same time.", worker.permitsMax);
}

function* storeLines({ store }: Metrics): Generator<string> {
  yield* family("pawl_commits_total", "counter", "Commits.", [[{}, store.commits]]);
  yield* histogram("pawl_commit_duration_seconds", "Of groups of commits, which share one write.", [[{}, store.seconds]]);
  if (store.sizeBytes !== undefined) yield* gauge("pawl_store_size_bytes", "Size of the store's files.", store.sizeBytes);
}

function* processLines({ process: { cpuSeconds, residentBytes, heapUsedBytes, heapLimitBytes, loopDelaySeconds } }: Metrics): Generator<string> {
  yield* family("pawl_process_cpu_seconds_total", "counter", "CPU time of the process.", [[{}, cpuSeconds]]);
  yield* gauge("pawl_process_resident_bytes", "Memory of the process.", residentBytes);
  yield* gauge("pawl_process_heap_used_bytes", "Memory of its objects.", heapUsedBytes);
  yield* gauge("pawl_process_heap_limit_bytes", "What its objects may take.", heapLimitBytes);
  if (loopDelaySeconds === undefined) return;
  const delays = Object.entries(loopDelaySeconds).map(([of, seconds]): Sample => [{ of }, seconds]);
  yield* family("pawl_event_loop_delay_seconds", "gauge", "How late the event loop was since the last look.", delays);
}

function* otherLines({ others }: Metrics): Generator<string> {
  for (const { name, help, type, values } of others)
    yield* family(
      name,
      type,
      help,
      values.map(({ labels, value }): Sample => [labels, value]),
    );
}

// ---- the format

function* gauge(name: string, help: string, value: number): Generator<string> {
  yield* family(name, "gauge", help, [[{}, value]]);
}

function* family(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): Generator<string> {
  if (samples.length === 0) return;
  yield* head(name, type, help);
  for (const [labels, value] of samples) yield sample(name, labels, value);
}

function* histogram(name: string, help: string, all: readonly (readonly [labels: Labels, of: Distribution])[]): Generator<string> {
  if (all.length === 0) return;
  yield* head(name, "histogram", help);
  for (const [labels, { count, sum, buckets }] of all) {
    for (const bucket of buckets) yield sample(`${name}_bucket`, { ...labels, le: numberText(bucket.atMost) }, bucket.count);
    yield sample(`${name}_bucket`, { ...labels, le: "+Inf" }, count);
    yield sample(`${name}_sum`, labels, sum);
    yield sample(`${name}_count`, labels, count);
  }
}

function* head(name: string, type: string, help: string): Generator<string> {
  yield `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`;
  yield `# TYPE ${name} ${type}`;
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numberText(value)}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  return value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
