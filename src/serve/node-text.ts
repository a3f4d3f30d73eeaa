/**
 * Nodes in words: how far a group is, what an event waits for and how to send it, why a node stands where it does.
 */
import type { AwaitedEvent, NodeStatus, NodeView, OverrideNote } from "../index.ts";
import { toJson } from "./json.ts";
import type { Tally } from "./tally.ts";
import { commandLine, dateAndTime, durationText, oneLine, timeOfDay } from "./text.ts";

/** What is said of a node, on a board or as a view. */
export interface ToldNode {
  readonly id: string;
  readonly kind: NodeView["kind"];
  readonly status: NodeStatus;
  readonly startedAt: number | undefined;
  readonly failure: { readonly code: string; readonly message: string } | undefined;
  readonly retryAt: number | undefined;
  readonly progress: unknown;
  /** Of an attempt that takes longer than its warning says: since when. */
  readonly warnedAt?: number | undefined;
  /** The recovery action that it waits for, or that runs beside it. */
  readonly action?: string | undefined;
  readonly childRun: string | undefined;
  readonly dueAt: number | undefined;
  readonly branch: string | undefined;
  /** Somebody said how it ends. */
  readonly overridden?: Partial<OverrideNote> | undefined;
  /** From 2 on: it was given another input than its definition says. */
  readonly generation?: number | undefined;
}

/** How many parts there are, also of each status. */
export type Parts = Pick<Tally<unknown>, "counts" | "size">;

const PROGRESS_LENGTH_MAX = 60;
const REASON_LENGTH_MAX = 120;
const BRANCH_LENGTH_MAX = 40;
const WHO_LENGTH_MAX = 40;
const NAMED_MAX = 3;

/** Why it stands where it does: how far it is, how it failed, what it waits for: `awaited`. */
export function noteOf(node: ToldNode, parts: Parts | undefined, awaited: readonly string[], now: number): string {
  const { status, failure, childRun, overridden, generation = 1 } = node;
  const how = groupText(node, parts);
  const reason = failure === undefined || status === "completed" || overridden !== undefined ? "" : reasonText(failure);
  const set = joined(overridden === undefined ? "" : overrideText(overridden), generation > 1 ? "with another input" : "");
  const child = childRun === undefined ? "" : `run ${childRun}`;
  if (status === "waiting") return awaited.length === 0 ? "" : `waits for ${someText(awaited)}`;
  if (status === "blocked") return joined(how, awaited.length === 0 ? "" : `needs ${someText(awaited)}`);
  if (status === "backingOff") return joined([retryText(node.retryAt, now), reason].filter((text) => text !== "").join(" after "), child);
  if (status === "running" && node.kind === "event") return node.dueAt === undefined ? "" : `until ${dateAndTime(node.dueAt)}`;
  const action = node.action === undefined ? "" : `recovery action ${node.action}`;
  if (status === "running") return joined(how, progressText(node.progress), warnedText(node.warnedAt), action, reason === "" ? "" : `before: ${reason}`, child);
  if (status === "recovering") return joined([action, reason].filter((text) => text !== "").join(" after "), child);
  return joined(how, set, reason, child);
}

function warnedText(warnedAt: number | undefined): string {
  return warnedAt === undefined ? "" : `warned of at ${timeOfDay(warnedAt)}`;
}

const SET: Readonly<Record<string, string>> = { completed: "was given a result", skipped: "was passed over", failed: "was given up" };

/** `was given a result by ana: the service is gone`. */
export function overrideText({ outcome = "completed", by, reason }: Partial<OverrideNote>): string {
  const who = by === undefined ? "" : ` by ${oneLine(by, WHO_LENGTH_MAX)}`;
  return `${SET[outcome]}${who}${reason === undefined ? "" : `: ${oneLine(reason, REASON_LENGTH_MAX)}`}`;
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("; ");
}

function retryText(retryAt: number | undefined, now: number): string {
  return retryAt === undefined ? "" : `next attempt at ${timeOfDay(retryAt)} (in ${durationText(Math.max(0, retryAt - now))})`;
}

function reasonText({ code, message }: { readonly code: string; readonly message: string }): string {
  return oneLine(`${code} ${message}`, REASON_LENGTH_MAX);
}

/** The first of these ids. */
export function someText(ids: readonly string[]): string {
  return ids.slice(0, NAMED_MAX).join(", ") + (ids.length > NAMED_MAX ? ` and ${ids.length - NAMED_MAX} more` : "");
}

/** What an attempt has reported last. */
export function progressText(progress: unknown): string {
  if (progress === undefined) return "";
  return oneLine(typeof progress === "string" ? progress : toJson(progress), PROGRESS_LENGTH_MAX);
}

/** The order in which the parts of a map are counted, and what they are called. */
const COUNTED: readonly (readonly [NodeStatus, string])[] = [
  ["failed", "failed"],
  ["skipped", "skipped"],
  ["running", "running"],
  ["backingOff", "backing off"],
  ["recovering", "recovering"],
  ["compensating", "compensating"],
  ["compensated", "compensated"],
  ["compensationFailed", "not compensated"],
  ["cancelled", "cancelled"],
];

/** `12/10000 done, 1 failed, 3 running`; `round 3`; `took bug`. Empty of what is no group, or was not opened. */
export function groupText({ kind, branch, status }: Pick<ToldNode, "kind" | "branch" | "status">, parts: Parts | undefined): string {
  const size = parts?.size ?? 0;
  if (kind === "repeat") return size === 0 ? "" : `round ${size}`;
  if (kind === "when" || kind === "route") {
    if (branch !== undefined) return `took ${branchText(branch)}`;
    return status === "completed" ? "took no branch" : "";
  }
  if (kind !== "map") return "";
  if (parts === undefined || size === 0) return status === "completed" ? "no items" : "";
  const others = COUNTED.flatMap(([each, word]) => (parts.counts.has(each) ? [`${parts.counts.get(each)} ${word}`] : []));
  return [`${parts.counts.get("completed") ?? 0}/${size} done`, ...others].join(", ");
}

/** A branch by its name; that for all other names has none. */
export function branchText(name: string): string {
  return name === "" ? "otherwise" : oneLine(name, BRANCH_LENGTH_MAX);
}

/** `event approval, since 2026-01-15 14:02:11, until 2026-01-17 14:02:11`. */
export function awaitedText({ type, since, dueAt }: AwaitedEvent): string {
  return `event ${type}, since ${dateAndTime(since)}${dueAt === undefined ? "" : `, until ${dateAndTime(dueAt)}`}`;
}

const COMMAND_LENGTH_MAX = 160;

/** The command that sends an awaited event; `words` mean the run. What is to be filled in is no JSON, so that it cannot be sent as it is. */
export function sendCommand({ type, schema }: Pick<AwaitedEvent, "type" | "schema">, words: readonly string[]): string {
  const fields = fieldsOf(schema);
  const [run, ...store] = words;
  const line = (...data: string[]): string => commandLine(["pawl", "send", run!, type, ...data, ...store]);
  if (fields === undefined) return line("{…}");
  if (fields.length === 0) return line();
  const full = line(`{${fields.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(", ")}}`);
  return full.length <= COMMAND_LENGTH_MAX ? full : line("{…}");
}

interface Described {
  readonly type?: unknown;
  readonly enum?: unknown;
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

const VALUES_MAX = 4;

/** The fields that must be there, each with what it may be; undefined when that is not known. */
function fieldsOf(schema: unknown): [name: string, value: string][] | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  const { type, properties = {}, required = [] } = schema as Described;
  if (type !== "object") return undefined;
  return required.map((name) => [name, valueText(properties[name])]);
}

function valueText(schema: unknown): string {
  const { type, enum: values, const: only } = (schema ?? {}) as Described;
  if (only !== undefined) return oneLine(toJson(only), PROGRESS_LENGTH_MAX);
  if (Array.isArray(values))
    return `<${values
      .slice(0, VALUES_MAX)
      .map((value) => toJson(value))
      .join("|")}${values.length > VALUES_MAX ? "|…" : ""}>`;
  return typeof type === "string" ? `<${type}>` : "<any>";
}
