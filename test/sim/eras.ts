/**
 * The history of a run, read as what happened to it era by era (a retry, or going on after a cancel, begins a new one), and
 * what the model makes of each. The model is told what people and crashes did, in the order in which it was committed; all
 * else it works out.
 */
import type { HistoryEntry, HistoryEvent } from "../../src/run/history.ts";
import type { Spec } from "./shapes.ts";
import { type Expected, type Fate, type Told, expectedOf, indexOf } from "./shapes-model.ts";

/** What happened to a node, and in which commit. */
interface Happened extends HistoryEvent {
  readonly commitNo: number;
}

export interface Era {
  /** Nodes that had ended before it began, and stay so. */
  readonly carried: ReadonlyMap<string, Happened>;
  /** How nodes ended in it; the cancelled are not among them. */
  readonly ended: Map<string, Happened>;
  readonly cancelled: Map<string, Happened>;
  /** Attempts that began in it. */
  readonly started: Map<string, Happened>;
  /** Groups that are open, or were. */
  readonly opened: Set<string>;
  /** Nodes that were given another input than their own, and which one. */
  readonly generations: Map<string, number>;
  /** How operators said that nodes end. */
  readonly overridden: Map<string, Happened>;
  /** The commit since when what was done is undone, and the node whose failure was the reason; undefined for a cancel. */
  unwinds: { readonly commitNo: number; readonly cause: string | undefined } | undefined;
  /** What began though it was being undone. */
  readonly lateStarts: string[];
  /** How it ended: `run.failed` and so on. */
  end: Happened | undefined;
}

const ENDED: ReadonlySet<string> = new Set(["node.completed", "node.skipped", "node.failed"]);
const REOPENED: ReadonlySet<string> = new Set(["run.retried", "run.continued"]);
const ENDS: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.cancelled", "run.timedOut"]);

export function erasOf(history: readonly HistoryEntry[]): Era[] {
  const eras = [eraAfter(undefined, [])];
  for (const { commitNo, events } of history) {
    if (events.some(({ type, node }) => REOPENED.has(type) && node === undefined))
      eras.push(
        eraAfter(
          eras.at(-1),
          events.filter(({ type }) => REOPENED.has(type)),
        ),
      );
    for (const event of events) note(eras.at(-1)!, { ...event, commitNo });
  }
  return eras;
}

function eraAfter(before: Era | undefined, again: readonly HistoryEvent[]): Era {
  const carried = new Map([...(before?.carried ?? []), ...(before?.ended ?? [])]);
  const generations = new Map(before?.generations);
  for (const { node, generation } of again) {
    if (node !== undefined) carried.delete(node);
    if (node !== undefined && generation !== undefined) generations.set(node, generation);
  }
  const nothing = { ended: new Map(), cancelled: new Map(), started: new Map(), overridden: new Map(), lateStarts: [], unwinds: undefined, end: undefined };
  return { ...nothing, carried, generations, opened: new Set(before?.opened) };
}

function note(era: Era, event: Happened): void {
  const { type, node, attempt, commitNo } = event;
  if (ENDS.has(type)) era.end = event;
  else if (type === "run.compensating") era.unwinds = { commitNo, cause: event.code === undefined ? undefined : [...era.ended.keys()].at(-1)! };
  if (node === undefined) return;
  if (type === "node.overridden") era.overridden.set(node, event);
  else if (ENDED.has(type)) era.ended.set(node, event);
  else if (type === "node.cancelled") era.cancelled.set(node, event);
  else if (type === "node.started") {
    if (attempt === undefined) era.opened.add(node);
    else era.started.set(node, event);
    if (era.unwinds !== undefined) era.lateStarts.push(node);
  }
}

/** What operators asked for: results that nodes are given, and inputs; with them the events that came. */
export interface Asked {
  readonly events: Told["events"];
  /** The results that were asked for, by node. */
  readonly results: ReadonlyMap<string, unknown>;
  /** Inputs by node and generation. */
  readonly inputs: ReadonlyMap<string, unknown>;
}

/** A node that ended so, by what is said of it in the history. */
export function endedIn({ carried, ended }: Era): Map<string, Happened> {
  return new Map([...carried, ...ended]);
}

/** What the model makes of the last era. `isWhole`: it was not cut off, but ended of itself. */
export function expectedAtLast(
  spec: Spec,
  eras: readonly Era[],
  asked: Asked,
): { readonly expected: Expected; readonly isWhole: boolean; readonly told: Told } {
  let told: Told = { events: asked.events };
  let kept = new Map<string, Fate>();
  let expected!: Expected;
  let isWhole = false;
  for (const era of eras) {
    const ended = endedIn(era);
    kept = new Map([...kept].filter(([id]) => era.carried.has(id)));
    for (const [id, { outcome }] of era.overridden) kept.set(id, overriddenFate(id, outcome!, ended.get(id)?.attempt ?? 0, asked));
    isWhole = era.unwinds === undefined && (era.end?.type === "run.completed" || era.end?.type === "run.failed");
    const inputs = new Map([...era.generations].map(([id, generation]) => [id, asked.inputs.get(`${id}#${generation}`)]));
    const cut = isWhole ? undefined : { ended: new Set(ended.keys()), opened: era.opened, cancelled: new Set(era.cancelled.keys()) };
    told = { events: asked.events, kept: new Map(kept), inputs, cut };
    expected = expectedOf(spec, told);
    for (const id of ended.keys()) {
      const fate = expected.nodes.get(id);
      if (fate !== undefined && isOwn(spec, id)) kept.set(id, fate);
    }
  }
  return { expected, isWhole, told };
}

function overriddenFate(id: string, outcome: "completed" | "skipped" | "failed", attempt: number, { results }: Asked): Fate {
  if (outcome === "completed") return { status: outcome, attempt, value: results.get(id) };
  return { status: outcome, attempt, code: "PAWL_NODE_OVERRIDDEN" };
}

/** It is no group, which ends as its members do. */
export function isOwn(spec: Spec, id: string): boolean {
  return id.endsWith("]") || ["call", "event", "other"].includes(spec[indexOf(id)]!.kind);
}
