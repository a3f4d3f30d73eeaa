/**
 * What must have been undone when a run was unwound: which nodes, in what order, given what, and with what end.
 */
import type { NodeView, RunView } from "../../src/run/view.ts";
import { type Era, endedIn, isOwn } from "./eras.ts";
import { type Spec, type UndoSpec, hasRuns } from "./shapes.ts";
import { type Expected, type Fate, indexOf, triesOf } from "./shapes-model.ts";
import { nodesDiffer } from "./shapes-compare.ts";
import type { ShapeWatch } from "./shapes-watch.ts";

/** A call that undoes a node, as the world outside saw it. */
export interface UndoCall {
  readonly id: string;
  readonly attempt: number;
  readonly given: { readonly input: unknown; readonly result: unknown; readonly error: unknown };
}

const UNKNOWN: ReadonlySet<string> = new Set(["PAWL_AGENT_TIMEOUT", "PAWL_HEARTBEAT_TIMEOUT", "PAWL_NODE_OVERRIDDEN"]);

const marked = (data: unknown): string => JSON.stringify(data, (_, value: unknown) => (value === undefined ? "~" : value)) ?? "~";

/** Its compensation, if it has one. */
function undoOf(spec: Spec, id: string): UndoSpec | undefined {
  const node = spec[indexOf(id)]!;
  return "undo" in node && isOwn(spec, id) ? node.undo : undefined;
}

/** Nodes that have done something, or may have, in the order in which they are to be undone. */
export function toUndo(spec: Spec, era: Era, watch: ShapeWatch): string[] {
  const cause = era.unwinds?.cause;
  const ended = endedIn(era);
  const found: string[] = [];
  // runs of its own that an earlier era had cut off are remembered
  const remembered = [...era.cancelled].flatMap(([id, { attempt = 0 }]) => (attempt > 0 && hasRuns(spec[indexOf(id)]!) ? [id] : []));
  for (const id of new Set([...ended.keys(), ...era.started.keys(), ...remembered])) {
    if (undoOf(spec, id) === undefined) continue;
    const { type, attempt = 0, code } = ended.get(id) ?? { type: "node.cancelled", attempt: 1 };
    const mayHaveBeenDone = type === "node.completed" || type === "node.cancelled" || id === cause || UNKNOWN.has(code ?? "");
    if (attempt > 0 && mayHaveBeenDone) found.push(id);
  }
  const commitOf = (id: string): number => watch.row("run", id)?.commitNo ?? 0;
  return found.toSorted((a, b) => Number(b === cause) - Number(a === cause) || commitOf(b) - commitOf(a) || byDefinition(b, a));
}

function byDefinition(a: string, b: string): number {
  return indexOf(a) - indexOf(b) || positionOf(a) - positionOf(b);
}

function positionOf(id: string): number {
  return Number(/\[(\d+)\]$/.exec(id)?.[1] ?? 0);
}

/** Does its compensation succeed in the end? */
function isUndoable({ acts, maxAttempts, calls }: UndoSpec): boolean {
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const act = acts[(attempt - 1) % acts.length]!;
    if (act === "ok" || act === "okLater") return true;
    if (act === "fatal" && calls === "agent") return false;
  }
  return false;
}

interface Unwound {
  readonly spec: Spec;
  readonly era: Era;
  readonly expected: Expected;
  readonly run: RunView;
  readonly nodes: readonly NodeView[];
  readonly calls: readonly UndoCall[];
  readonly watch: ShapeWatch;
  /** Its attempts are those of the model. */
  readonly isCounted: (id: string) => boolean;
}

/** Tells how an era that was cut off, or unwound, is not as it must be. */
export function cutDiffers(unwound: Unwound): string[] {
  const { spec, era, expected, run, nodes, calls, watch } = unwound;
  const order = toUndo(spec, era, watch);
  const differences = era.lateStarts.map((id) => `${id} was started while the run was unwound`);
  const undone = era.unwinds === undefined ? [] : order;
  if (era.unwinds !== undefined && order.length === 0 && era.unwinds.cause === undefined) differences.push("it was unwound for nothing");
  const first = [...new Set(calls.map(({ id }) => id))];
  if (run.terminated ? !undone.join().startsWith(first.join()) : undone.join() !== first.join())
    differences.push(`undone were ${first.join()}, not ${undone.join()}`);
  differences.push(...unstopped(spec, era));
  for (const { id, given } of calls) differences.push(...givenDiffers(unwound, id, given));
  const fates = new Map<string, Omit<Fate, "status"> & { status: string }>([...expected.nodes].filter(([id]) => isSeen(id, spec, nodes)));
  const failed: string[] = [];
  for (const id of undone) {
    const row = watch.row("run", `${id}[undo]`);
    if (row === undefined && run.terminated) continue;
    const isDone = isUndoable(undoOf(spec, id)!);
    if (!isDone || (run.terminated && row?.status === "cancelled")) failed.push(id);
    fates.set(id, { ...fates.get(id)!, status: failed.includes(id) ? "compensationFailed" : "compensated" });
  }
  const counted = endedIn(era);
  differences.push(
    ...nodesDiffer(spec, fates as ReadonlyMap<string, Fate>, nodes, (id) => counted.has(id) && isOwn(spec, id) && unwound.isCounted(id), expected.nodes),
  );
  if (era.unwinds === undefined) return differences;
  if (!run.terminated && run.compensationFailed.toSorted().join() !== failed.toSorted().join())
    differences.push(`not undone are said to be ${run.compensationFailed.join()}, not ${failed.join()}`);
  if (run.compensated !== (!run.terminated && failed.length === 0)) differences.push(`compensated is ${run.compensated}`);
  const status = run.terminated || era.unwinds.cause === undefined ? "cancelled" : "failed";
  if (run.status !== status) differences.push(`the run is ${run.status}, not ${status}`);
  if (run.failure?.node !== era.unwinds.cause) differences.push(`it is said to have failed at ${run.failure?.node}, not ${era.unwinds.cause}`);
  return differences;
}

/** Agents that end when they are asked to stop, and did their work long after that. */
function unstopped(spec: Spec, { unwinds, ended }: Era): string[] {
  if (unwinds === undefined) return [];
  return [...ended].flatMap(([id, { type, attempt = 0, commitNo }]) => {
    const node = spec[indexOf(id)]!;
    const tried = "calls" in node ? triesOf(node, positionOf(id))[attempt - 1] : undefined;
    const isLate = type === "node.completed" && commitNo > unwinds.commitNo + 2;
    return isLate && tried?.act === "heeds" && tried.calls === "agent" ? [`${id} was not asked to stop`] : [];
  });
}

/** The next round of a loop is shown when it has begun. */
function isSeen(id: string, spec: Spec, nodes: readonly NodeView[]): boolean {
  return spec[indexOf(id)]!.kind !== "repeat" || nodes.some((node) => node.id === id);
}

function givenDiffers({ era, expected, run }: Unwound, id: string, given: UndoCall["given"]): string[] {
  const fate = expected.nodes.get(id);
  const cause = era.unwinds?.cause;
  const { code, message } = run.failure ?? {};
  const wanted = {
    input: expected.inputs.get(id),
    result: fate?.status === "completed" ? fate.value : undefined,
    error: cause === undefined ? undefined : { code, message, node: cause },
  };
  const text = ({ input, result, error }: UndoCall["given"]): string => marked([input, result, error]);
  return text(given) === text(wanted) ? [] : [`the compensation of ${id} was given ${text(given)}, not ${text(wanted)}`];
}
