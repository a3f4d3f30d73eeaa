/**
 * What an operator says of how a node ends: read, checked by the schema of what the node gives, and told in words.
 */
import type { Failure } from "../../machines/node.ts";
import type { Duration } from "../define/duration.ts";
import { didYouMean } from "../define/name.ts";
import { isChoice } from "../define/node-definition.ts";
import type { Plan } from "../define/plan.ts";
import { type Schema, describeIssues, validate } from "../define/schema.ts";
import { PawlError } from "../errors.ts";
import { decode, encode } from "./codec.ts";
import { makeFailure } from "./failure.ts";
import { type Graph, type RunNode, isDerivedId } from "./graph.ts";
import type { OverrideNote } from "./row.ts";

const BY_LENGTH_MAX = 200;
const REASON_LENGTH_MAX = 2_000;

/** How a node is to end: with this result; without one, and those that depend on it go on; or as failed. */
export type OverrideOutcome = { readonly result: unknown } | "skip" | "fail";

/** Who sets the outcome of a node, and why. */
export interface OverrideOptions {
  /** Who does it; at most 200 characters. Nobody is named by default. */
  readonly by?: string;
  /** Why; at most 2,000 characters. */
  readonly reason?: string;
  /** How long another process may take to answer. Default '30s'. */
  readonly timeout?: Duration;
}

/** What was done. */
export interface OverriddenNode {
  readonly runId: string;
  readonly node: string;
  /** The commit that did it. */
  readonly commitNo: number;
}

/** An override as it is asked for; the result as text. */
export interface Override extends OverrideNote {
  readonly node: string;
  readonly result?: string;
}

/**
 * The override as it is asked for.
 *
 * @throws PAWL_INVALID_VALUE, PAWL_VALUE_NOT_STORABLE, PAWL_VALUE_TOO_LARGE
 */
export function readOverride(node: string, outcome: OverrideOutcome, { by, reason }: OverrideOptions): Override {
  const note = { ...bounded("by", by, BY_LENGTH_MAX), ...bounded("reason", reason, REASON_LENGTH_MAX) };
  if (outcome === "skip") return { node, outcome: "skipped", ...note };
  if (outcome === "fail") return { node, outcome: "failed", ...note };
  if (typeof outcome === "object" && outcome !== null && "result" in outcome) return { node, outcome: "completed", result: encode(outcome.result), ...note };
  throw new PawlError("PAWL_INVALID_VALUE", { message: `node "${node}" cannot end so`, next: "give { result }, 'skip' or 'fail'" });
}

function bounded(name: "by" | "reason", text: unknown, lengthMax: number): { readonly [N in "by" | "reason"]?: string } {
  if (text === undefined) return {};
  if (typeof text === "string" && text.length <= lengthMax) return { [name]: text };
  throw new PawlError("PAWL_INVALID_VALUE", { message: `\`${name}\` of override() is no text of at most ${lengthMax} characters` });
}

/**
 * The override with its result as the node's schema gives it back.
 *
 * @throws PAWL_OUTPUT_INVALID
 */
export async function checkedOverride(plan: Plan, asked: Override): Promise<Override> {
  const { node: id, result } = asked;
  const base = id.replace(/\[\d+\]$/, "");
  const node = plan.nodes[plan.indexOf.get(id) ?? plan.indexOf.get(base) ?? -1];
  // what a choice gives is made by its branches, and has no schema
  if (result === undefined || node === undefined || isChoice(node.kind)) return asked;
  const value = decode(result);
  if (node.kind !== "map" || id !== node.id) return { ...asked, result: encode(await fitting(node.agent.output, value, `node "${id}"`)) };
  if (!Array.isArray(value)) throw unfit(`map "${id}"`, "it is no list");
  const isMissing = (item: unknown): boolean => item === undefined && node.policy.onFail === "skip";
  const items = value.map((item, i) => (isMissing(item) ? item : fitting(node.agent.output, item, `node "${id}[${i}]"`)));
  return { ...asked, result: encode(await Promise.all(items)) };
}

async function fitting(schema: Schema, value: unknown, of: string): Promise<unknown> {
  const checked = await validate(schema, value);
  if (checked.issues === undefined) return checked.value;
  throw unfit(of, describeIssues(checked.issues));
}

function unfit(of: string, why: string): PawlError {
  return new PawlError("PAWL_OUTPUT_INVALID", { message: `the result that is set for ${of} does not fit its schema: ${why}`, next: "correct the result" });
}

/**
 * The node whose outcome can be set.
 *
 * @throws PAWL_INVALID_VALUE when there is none, or it is a compensation
 */
export function overridable(graph: Graph, runId: string, id: string): RunNode {
  if (isDerivedId(id))
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `"${id}" undoes what a node has done, or is to recover one: its outcome cannot be set`,
      next: "wait for its end, or `pawl cancel RUN --now`, which cuts it off",
    });
  const index = graph.find(id);
  if (index === undefined)
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `run "${runId}" has no node "${id}"${didYouMean(id, graph.plan.indexOf.keys())}`,
      next: "see `pawl show RUN`; an item of a map is there once the map was opened",
    });
  return graph.node(index);
}

/** What is kept of it. */
export function noteOf({ outcome, by, reason }: Override): OverrideNote {
  return { outcome, ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) };
}

/** What is said of a node of a branch that is not chosen. */
export function notChosen(runId: string, id: string, choice: string): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", {
    message: `node "${id}" of run "${runId}" is in a branch that "${choice}" has not taken`,
    next: "wait until the branch is taken",
  });
}

/** What is said when the node has ended already. `how` tells by whom, if it is known. */
export function settledError(runId: string, id: string, status: string, how = "", data: unknown = { status }): PawlError {
  return new PawlError("PAWL_NODE_SETTLED", { message: `node "${id}" of run "${runId}" is ${status}${how}: its outcome stands`, data });
}

/** Who did it, and why: ` by ana: the service is gone`. */
export function noteText({ by, reason }: Pick<OverrideNote, "by" | "reason">): string {
  return `${by === undefined ? "" : ` by ${by}`}${reason === undefined ? "" : `: ${reason}`}`;
}

/** Why a node ended that somebody passed over or gave up. */
export function overrideFailure(note: OverrideNote): Failure {
  const what = note.outcome === "skipped" ? "it was passed over" : "it was given up";
  return makeFailure("cancelled", "PAWL_NODE_OVERRIDDEN", `${what}${noteText(note)}`);
}
