/**
 * A node as it is written down, in whatever language: what plans are made of.
 */
import type { Agent } from "./agent.ts";
import type { OnFail } from "./on-fail.ts";
import { type AttemptOptions, policyOf } from "./policy.ts";
import type { RecoveryActions } from "./recovery.ts";
import type { Schema } from "./schema.ts";
import type { Place } from "./template.ts";

/**
 * call: one call of an agent · map: one for each item of a list · repeat: one after the other, until it is enough · when,
 * route: nodes of one of some branches · event: what somebody outside sends.
 */
export const NODE_KINDS = ["call", "map", "repeat", "when", "route", "event"] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

export interface NodeDefinition extends AttemptOptions {
  readonly id: string;
  /** Default 'call'. */
  readonly kind?: NodeKind | undefined;
  readonly agent: Agent;
  /** Data with references in it, as text or as reference objects. */
  readonly input: unknown;
  /** Of a map or loop: what its items, or further rounds, are given. */
  readonly each?: unknown;
  readonly until?: unknown;
  readonly max?: number | undefined;
  readonly concurrency?: number | undefined;
  /** Of a choice: its branches, and the result of each. */
  readonly branches?: readonly { readonly name: string; readonly result: unknown }[];
  /** The choice that it belongs to, and the number of the branch. */
  readonly within?: { readonly choice: string; readonly branch: number } | undefined;
  readonly stage?: string | undefined;
  /** Nodes to wait for without using their result. */
  readonly after?: readonly string[];
  readonly onFail?: OnFail | undefined;
  /** Undoes what the node has done. */
  readonly compensate?: Agent | undefined;
  /** What is asked before each attempt: the check of its agent, or that of this name. */
  readonly healthCheck?: true | string | undefined;
  readonly recovery?: RecoveryActions | undefined;
  /** Where it, or a part of it, is written, for errors. */
  readonly place: Place;
}

/** Is it made of other nodes? */
export function isGroup(kind: NodeKind): boolean {
  return kind !== "call" && kind !== "event";
}

/** Is its result that of one of some branches? */
export function isChoice(kind: NodeKind): boolean {
  return kind === "when" || kind === "route";
}

const anything: Schema = { "~standard": { version: 1, vendor: "pawl", validate: (value) => ({ value }) } };

/** What stands in the place of an agent where none is called. */
export function placeholder(name: string, output: Schema = anything): Agent {
  return Object.freeze({
    name,
    input: anything,
    output,
    work: { kind: "none" as const },
    policy: policyOf({ timeout: "36500d", retry: { maxAttempts: 1 } }, name),
  });
}
