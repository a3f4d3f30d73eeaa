/**
 * A random workflow's run as it ended, held against the model.
 */
import { decode } from "../../src/run/codec.ts";
import type { NodeView, RunView } from "../../src/run/view.ts";
import type { Spec } from "./shapes.ts";
import { type Fate, type Told, expectedOf } from "./shapes-model.ts";
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
  kept?: ReadonlyMap<string, Fate>,
  isCounted: (id: string) => boolean = () => true,
): void {
  const events = toldBy(spec, (id) => watch.row(run.id, id));
  for (const [id, { came }] of events) {
    const node = spec[Number(id.slice(1))]!;
    const view = nodes.find((other) => other.id === id);
    if (!came && node.kind === "event" && !node.hasTimeout && (view?.status === "failed" || view?.status === "skipped"))
      watch.violations.push(`${id} has no timeout, and timed out`);
  }
  const expected = expectedOf(spec, { events, ...(kept !== undefined && { kept }) });
  const differences: string[] = [];
  if (run.status !== expected.status) differences.push(`the run is ${run.status}, not ${expected.status} (${run.failure?.message})`);
  if (run.status === "completed" && run.degraded !== expected.degraded) differences.push(`degraded is ${run.degraded}`);
  const wanted = [...expected.nodes].map(([id, { status, attempt }]) => `${id} ${status} ${isCounted(id) ? attempt : ""}`);
  const found = nodes.map(({ id, status, attempt }) => `${id} ${status} ${isCounted(id) ? attempt : ""}`);
  for (const line of wanted)
    if (!found.includes(line))
      differences.push(`${nodes.filter(({ id }) => line.startsWith(`${id} `)).map((node) => `${node.status} ${node.attempt}`)} instead of ${line}`);
  for (const line of found) if (!wanted.includes(line)) differences.push(`found ${line}`);
  if (differences.length === 0 && found.join() !== wanted.join()) differences.push(`the order of the nodes is ${found.join()}`);
  const output = marked(expected.status === "completed" ? expected.output : undefined);
  if (marked(run.output) !== output) differences.push(`the output is ${marked(run.output)}, not ${output}`);
  watch.violations.push(...differences);
}

/** Nodes of a run that was cut off: what had ended is as the model says, and nothing is left open. */
export function consistentWhenCut(spec: Spec, nodes: readonly NodeView[], watch: ShapeWatch, runId: string): void {
  const { nodes: expected } = expectedOf(spec, { events: toldBy(spec, (id) => watch.row(runId, id)) });
  for (const { id, status, attempt } of nodes) {
    const fate = expected.get(id);
    if (["waiting", "queued", "running", "backingOff"].includes(status)) watch.violations.push(`${id} is ${status} though the run was cut off`);
    if (status === "cancelled" || spec[Number(/^n(\d+)/.exec(id)![1])]!.kind === "event") continue;
    if (status === "blocked" && fate?.status !== "notTaken") continue;
    if (fate === undefined || fate.status !== status || fate.attempt !== attempt)
      watch.violations.push(`${id} is ${status} after ${attempt}, not ${fate?.status} after ${fate?.attempt}`);
  }
}
