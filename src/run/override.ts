/**
 * What an operator says of how a node ends: read, checked by the schema of what the node gives, and told in words.
 */
import type { Failure } from "../../machines/node.ts";
import type { Duration } from "../define/duration.ts";
import { didYouMean } from "../define/name.ts";
import { isGroup } from "../define/node-definition.ts";
import type { Plan } from "../define/plan.ts";
import { describeIssues, validate } from "../define/schema.ts";
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
  const { node, result } = asked;
  const base = node.replace(/\[\d+\]$/, "");
  const schema = plan.nodes[plan.indexOf.get(node) ?? plan.indexOf.get(base) ?? -1]?.agent.output;
  if (result === undefined || schema === undefined) return asked;
  const checked = await validate(schema, decode(result));
  if (checked.issues === undefined) return { ...asked, result: encode(checked.value) };
  const message = `the result that is set for node "${node}" does not fit its schema: ${describeIssues(checked.issues)}`;
  throw new PawlError("PAWL_OUTPUT_INVALID", { message, next: "correct the result" });
}

/**
 * The node whose outcome can be set.
 *
 * @throws PAWL_INVALID_VALUE when there is none, or it is not one of those that have an outcome of their own
 */
export function overridable(graph: Graph, runId: string, id: string): RunNode {
  const index = isDerivedId(id) ? undefined : graph.find(id);
  if (index === undefined)
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `run "${runId}" has no node "${id}"${didYouMean(id, graph.plan.indexOf.keys())}`,
      next: "see `pawl show RUN`; an item of a map is there once the map was opened",
    });
  const node = graph.node(index);
  if (!isGroup(node.kind)) return node;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `node "${id}" of run "${runId}" is a ${node.kind}, which ends as its parts do`,
    next: `set the outcome of those, such as "${id}[0]"`,
  });
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
