/**
 * Metrics as text, read by a reader of its own that goes by the format's specification:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { expect, test } from "vitest";
import { AgentError, type Metrics } from "../../src/index.ts";
import { metricsText } from "../../src/watch/metrics-text.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"`;
const LINES = {
  help: new RegExp(`^# HELP (${NAME}) (.+)$`),
  type: new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`),
  sample: new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? ([+-]?Inf|NaN|[-+0-9.e]+)$`),
};

/** Reads it as the specification says; throws on anything else. */
function readText(text: string): Map<string, Family> {
  expect(text.endsWith("\n")).toBe(true);
  const families = new Map<string, Family>();
  let [current, help] = ["", ""];
  const seen = new Set<string>();
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const [helped, typed, sampled] = [LINES.help.exec(line), LINES.type.exec(line), LINES.sample.exec(line)];
    if (helped !== null) [, current = "", help = ""] = helped;
    else if (typed !== null) {
      expect([typed[1], families.has(current)], "help and type once, before the samples").toEqual([current, false]);
      families.set(current, { type: typed[2]!, help, samples: [] });
    } else if (sampled !== null) {
      const { type, samples } = families.get(current)!;
      const sample = sampleOf(sampled);
      expect(type === "histogram" ? sample.name.replace(/_(bucket|sum|count)$/, "") : sample.name, line).toBe(current);
      if (type === "counter") expect(current, "counters end in _total").toMatch(/_total$/);
      const names = Object.keys(sample.labels).toSorted();
      const series = JSON.stringify([sample.name, ...names.flatMap((name) => [name, sample.labels[name]])]);
      expect(seen.has(series), `${line} twice`).toBe(false);
      seen.add(series);
      samples.push(sample);
    } else throw new Error(`no line of the format: ${line}`);
  }
  return families;
}

function sampleOf(line: RegExpExecArray): Sample {
  const unescaped = (text: string): string => text.replaceAll(/\\(.)/g, (_, of: string) => (of === "n" ? "\n" : of));
  const labels = [...(line[2] ?? "").matchAll(new RegExp(LABEL, "g"))].map(([, label, value]) => [label!, unescaped(value!)] as const);
  expect(new Set(labels.map(([label]) => label)).size, "a label once").toBe(labels.length);
  return { name: line[1]!, labels: Object.fromEntries(labels), value: Number(line.at(-1)!.replace("Inf", "Infinity")) };
}

/** Of a process in which a bit of everything has happened. */
async function eventful(): Promise<Metrics> {
  const room = new MachineRoom();
  const once = { retry: { maxAttempts: 1 } };
  const works = anyAgent("works", () => new Promise<void>((resolve) => room.clock.after(200, resolve)), { uses: { tokens: 5 }, concurrency: 1 });
  const broken = anyAgent("broken", () => Promise.reject(new AgentError("no", { kind: "transient" })), once);
  const slow = anyAgent("slow", never, { ...once, timeout: "1m" });
  const flow = anyWorkflow("flow", (wf) => {
    for (const id of ["a", "b"]) wf.node(id, works, {});
    wf.node("c", slow, wf.node("d", broken, {}, { onFail: { use: works } }).result);
  });
  const { pawl } = await room.boot([flow], { limits: { tokens: { max: 10, per: "60s" } }, breaker: { rate: {} }, notify: () => {} });
  await room.settled((await room.settled(pawl.start(flow, { id: "r", input: {} }))).ended());
  await room.settled(pawl.health());
  return pawl.metrics();
}

test("the text is of the format, each quantity under its name, its histograms cumulative", async () => {
  const families = readText(await metricsText(await eventful()));
  for (const [name, { type, samples }] of families) {
    if (type !== "histogram") continue;
    const series = Map.groupBy(samples, ({ labels: { le: _le, ...labels } }) => JSON.stringify(labels));
    for (const all of series.values()) {
      const buckets = all.filter((sample) => sample.name === `${name}_bucket`);
      const bounds = buckets.map(({ labels }) => Number(labels["le"]!.replace("Inf", "Infinity")));
      expect(bounds.at(-1)).toBe(Infinity);
      for (const values of [bounds, buckets.map(({ value }) => value)]) expect(values).toEqual(values.toSorted((a, b) => a - b));
      expect(all.find((sample) => sample.name === `${name}_count`)?.value).toBe(buckets.at(-1)!.value);
      expect(all.filter((sample) => sample.name === `${name}_sum`)).toHaveLength(1);
    }
  }
  const value = (name: string, labels: object = {}): unknown =>
    families.get(name)?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value;
  expect(value("pawl_runs_ended_total", { workflow: "flow", status: "failed" })).toBe(1);
  expect(value("pawl_attempts_failed_total", { agent: "slow", kind: "timeout" })).toBe(1);
  expect(value("pawl_nodes_ended_total", { workflow: "flow", node: "a", status: "completed" })).toBe(1);
  expect(value("pawl_limit_waits_total", { limit: "agent:works", kind: "concurrency" })).toBeGreaterThan(0);
  expect(value("pawl_limit_max", { limit: "tokens", kind: "window" })).toBe(10);
  expect(value("pawl_breaker_state", { breaker: "works", state: "closed" })).toBe(1);
  expect(value("pawl_breaker_calls_total", { breaker: "broken", outcome: "failed" })).toBe(1);
  expect(value("pawl_health", { check: "store" })).toBe(0);
  const told = [...families].map(([name, { type }]) => `${type} ${name.replace("pawl_", "")}`);
  expect(told.toSorted()).toEqual(NAMES.toSorted());
});

/** What dashboards and alerts go by. */
const NAMES = [
  ...["runs_started", "runs_ended", "runs_compensated", "runs_blocked", "runs_revived", "runs_unblocked", "runs_recovered", "runs_quarantined"],
  ...["runs_stalled", "nodes_ended", "nodes_completed_seconds", "attempts_started", "attempts_succeeded", "attempts_failed", "attempts_cancelled"],
  ...["attempts_retried", "attempts_compensating", "attempts_needed", "limit_granted", "limit_refused", "limit_waits", "limit_waits_seconds"],
  ...["limit_swept", "breaker_openings", "breaker_calls", "notices", "commits", "process_cpu_seconds"],
]
  .map((name) => `counter ${name}_total`)
  .concat(
    ["run_duration_seconds", "attempt_duration_seconds", "commit_duration_seconds"].map((name) => `histogram ${name}`),
    [
      ...["calls_running", "limit_held", "limit_used", "limit_waiting", "limit_max", "limit_utilization_ratio", "breaker_state", "breaker_failures"],
      ...[
        "breaker_successes",
        "breaker_failure_ratio",
        "workflows",
        "runs_in_memory",
        "runs_active",
        "runs_active_max",
        "runs_pending",
        "attempts_queued",
        "attempts_parked",
        "attempts_running",
      ],
      ...["permits_held", "permits_max", "health", "process_resident_bytes", "process_heap_used_bytes", "process_heap_limit_bytes"],
    ].map((name) => `gauge ${name}`),
  );

test("odd names and values are read as they were", async () => {
  const metrics = await eventful();
  const odd = 'a "b"\\c\nd,e="f"}';
  const limits = { [odd]: { ...metrics.limits["tokens"]!, utilization: Infinity } };
  const families = readText(await metricsText({ ...metrics, workflows: { [odd]: metrics.workflows["flow"]! }, limits }));
  expect(families.get("pawl_runs_started_total")!.samples).toEqual([{ name: "pawl_runs_started_total", labels: { workflow: odd }, value: 1 }]);
  expect(families.get("pawl_limit_utilization_ratio")!.samples).toMatchObject([{ labels: { limit: odd }, value: Infinity }]);
});
