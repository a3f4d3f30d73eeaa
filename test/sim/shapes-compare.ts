/**
 * A random workflow's run as it ended, held against the model.
 */
import { decode } from "../../src/run/codec.ts";
import type { NodeView, RunView } from "../../src/run/view.ts";
import type { Spec } from "./shapes.ts";
import { type Fate, type Told, dependenciesOf, expectedOf, indexOf } from "./shapes-model.ts";
import type { ShapeWatch } from "./shapes-watch.ts";

const marked = (data: unknown): string => JSON.stringify(data, (_, value: unknown) => (value === undefined ? "~" : value)) ?? "~";

/** Which events came, as the run's rows have it. */
export function toldBy(spec: Spec, statusOf: (id: string) => { readonly status: string; readonly output: string | null } | undefined): Told["events"] {
  const events = new Map<string, { came: boolean; data?: unknown }>();
  spec.forEach(({ kind }, index) => {
    if (kind !== "event") return;
    const row = statusOf(`n${index}`);
    events.set(`n${index}`, row?.status === "completed" ? { came: true, data: decode(row.output!) } : { came: false });
  });
  return events;
}

/** Tells the watch when a run that ended of itself is not what the model says. Attempts are compared where they count. */
export function compareRun(
  spec: Spec,
  run: RunView,
  nodes: readonly NodeView[],
  watch: ShapeWatch,
  told: Omit<Told, "events"> = {},
  isCounted: (id: string) => boolean = () => true,
): void {
  const events = toldBy(spec, (id) => watch.row(run.id, id));
  for (const [id, { came }] of events) {
    const node = spec[indexOf(id)]!;
    const view = nodes.find((other) => other.id === id);
    if (!came && node.kind === "event" && !node.hasTimeout && (view?.status === "failed" || view?.status === "skipped"))
      watch.violations.push(`${id} has no timeout, and timed out`);
  }
  const expected = expectedOf(spec, { events, ...told });
  const differences: string[] = [];
  if (run.status !== expected.status) differences.push(`the run is ${run.status}, not ${expected.status} (${run.failure?.message})`);
  if (run.status === "completed" && run.degraded !== expected.degraded) differences.push(`degraded is ${run.degraded}`);
  differences.push(...nodesDiffer(spec, expected.nodes, nodes, isCounted));
  const output = marked(expected.status === "completed" ? expected.output : undefined);
  if (marked(run.output) !== output) differences.push(`the output is ${marked(run.output)}, not ${output}`);
  watch.violations.push(...differences);
}

/** How the nodes differ from their fates; `origins` has the fates of those that were undone since. */
export function nodesDiffer(
  spec: Spec,
  fates: ReadonlyMap<string, Fate>,
  nodes: readonly NodeView[],
  isCounted: (id: string) => boolean,
  origins: ReadonlyMap<string, Fate> = fates,
): string[] {
  const differences: string[] = [];
  const wanted = [...fates].map(([id, { status, attempt }]) => `${id} ${status} ${isCounted(id) ? attempt : ""}`);
  const found = nodes.map(({ id, status, attempt }) => `${id} ${status} ${isCounted(id) ? attempt : ""}`);
  for (const line of wanted)
    if (!found.includes(line))
      differences.push(`${nodes.filter(({ id }) => line.startsWith(`${id} `)).map((node) => `${node.status} ${node.attempt}`)} instead of ${line}`);
  for (const line of found) if (!wanted.includes(line)) differences.push(`found ${line}`);
  for (const { id, failure, status, upstreamFailures, stage, branch } of nodes) {
    const { code, opened } = fates.get(id) ?? {};
    const node = spec[indexOf(id)]!;
    const taken = "branches" in node ? node.branches[opened ?? -1]?.name : undefined;
    if (branch !== taken) differences.push(`${id} took ${branch}, not ${taken}`);
    if (code !== undefined && failure?.code !== code) differences.push(`${id} is ${status} for ${failure?.code}, not ${code}`);
    const failed = status === "blocked" ? failedBefore(id, spec, origins) : [];
    if (upstreamFailures.toSorted().join() !== failed.join()) differences.push(`${id} is blocked by ${upstreamFailures.join()}, not ${failed.join()}`);
    if (stage !== node.stage) differences.push(`${id} is in stage ${stage}`);
  }
  if (differences.length === 0 && found.join() !== wanted.join()) differences.push(`the order of the nodes is ${found.join()}`);
  return differences;
}

/** The failed nodes, items and rounds for which a node is blocked: of those that it waits for, and of what it is made of or lies in. */
function failedBefore(id: string, spec: Spec, fates: ReadonlyMap<string, Fate>): string[] {
  const seen = new Set([id]);
  const failed: string[] = [];
  for (const current of seen) {
    const status = fates.get(current)?.status;
    if (status === "failed") failed.push(current);
    if (status !== "blocked") continue;
    const index = indexOf(current);
    const members = spec.flatMap(({ within }, member) => (within?.choice === index ? member : []));
    const { within } = spec[index]!;
    const isChosen = within === undefined || fates.get(`n${within.choice}`)!.opened !== undefined;
    for (const other of [...dependenciesOf(spec[index]!, spec), ...members, ...(isChosen ? [] : [within.choice])]) seen.add(`n${other}`);
    for (const other of fates.keys()) if (other.startsWith(`${current}[`)) seen.add(other);
  }
  return failed.toSorted();
}

/** Nodes of a run that was cut off: what had ended is as the model says, and nothing is left open. */
export function consistentWhenCut(spec: Spec, nodes: readonly NodeView[], watch: ShapeWatch, runId: string): void {
  const { nodes: expected } = expectedOf(spec, { events: toldBy(spec, (id) => watch.row(runId, id)) });
  for (const { id, status, attempt } of nodes) {
    const fate = expected.get(id);
    if (["waiting", "queued", "running", "backingOff"].includes(status)) watch.violations.push(`${id} is ${status} though the run was cut off`);
    if (status === "cancelled" || spec[indexOf(id)]!.kind === "event") continue;
    if (status === "blocked" && fate?.status !== "notTaken") continue;
    if (fate === undefined || fate.status !== status || fate.attempt !== attempt)
      watch.violations.push(`${id} is ${status} after ${attempt}, not ${fate?.status} after ${fate?.attempt}`);
  }
}
