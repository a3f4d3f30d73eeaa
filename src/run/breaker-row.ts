/**
 * The row of a breaker: what its machine is in, and what is counted beside it. Pure: what an event makes of a row.
 * 1. Instants of a row do not go back, whoever writes it by whatever clock. 2. The numbers it goes by are those of who
 * writes. 3. A row that cannot be read is one that was never written: the breaker is closed.
 */
import { type BreakerContext, type BreakerEvent, type Lease, isCounted } from "../../machines/breaker.ts";
import type { BreakerPolicy } from "../define/breaker.ts";
import { type CallWindow, tallyOf, withCall } from "./breaker-window.ts";
import { breakerChart } from "./charts.ts";

export const BREAKER_STATES = ["closed", "open", "halfOpen", "forcedOpen", "forcedClosed"] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

/**
 * Why it changed: failures in a row, or the rate of failures or slow calls; it was open for long enough; a probe failed, or
 * enough succeeded; somebody forced it, or reset it.
 */
export type BreakerReason = "failures" | "rate" | "waited" | "probeFailed" | "probesSucceeded" | "forced" | "reset";

export interface BreakerRow extends Omit<BreakerContext, "policy"> {
  readonly state: BreakerState;
  readonly policy: BreakerPolicy;
  /** The newest instant that somebody wrote. */
  readonly at: number;
  readonly window?: CallWindow | undefined;
  /** How often it changed its state, and how often it opened when it was closed. */
  readonly changes: number;
  readonly openings: number;
  readonly reason?: BreakerReason | undefined;
  readonly lastFailure?: CountedFailure | undefined;
  /** The last time it began or ceased to let calls through, as the number of that change, and up to which people were told. */
  readonly turned?: Turn | undefined;
  readonly toldTo?: number | undefined;
}

/** A failure that a breaker counted. */
export interface CountedFailure {
  readonly code: string;
  /** At most 200 characters of it. */
  readonly message: string;
  /** In ms since 1970. */
  readonly at: number;
}

/** It began or ceased to let calls through. */
export interface Turn {
  readonly change: number;
  readonly to: "opened" | "closed";
  readonly at: number;
  readonly reason: BreakerReason;
}

/** The row is written with each failure. */
const MESSAGE_LENGTH_MAX = 200;

/** It came from one state into another. */
export interface BreakerTransition {
  readonly name: string;
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** In ms since 1970. */
  readonly at: number;
  readonly reason: BreakerReason;
}

export const breakerKey = (name: string): string => `breaker:${name}`;
export const isBreakerKey = (key: string): boolean => key.startsWith("breaker:");

export function isWell(state: BreakerState): boolean {
  return state === "closed" || state === "forcedClosed";
}

/** What people are to be told of it, if anything. */
export function untoldTurn({ turned, toldTo = 0 }: BreakerRow): Turn | undefined {
  return turned !== undefined && turned.change > toldTo ? turned : undefined;
}

export function countedFailure({ code, message }: { readonly code: string; readonly message: string }, at: number): CountedFailure {
  return { code, message: message.slice(0, MESSAGE_LENGTH_MAX), at: Math.round(at) };
}

/** A breaker that nothing is known of. */
export function freshRow(policy: BreakerPolicy, at: number): BreakerRow {
  return { state: "closed", policy, at, since: at, failures: 0, successes: 0, leases: [], changes: 0, openings: 0 };
}

/** What another version of this program, or a broken disk, may have written. */
export function readBreakerRow(value: unknown): BreakerRow | undefined {
  const row = value as BreakerRow | undefined;
  const isRow = typeof row === "object" && row !== null && BREAKER_STATES.includes(row.state) && Array.isArray(row.leases);
  const numbers = isRow ? [row.at, row.since, row.failures, row.successes, row.changes, row.openings] : [undefined];
  return numbers.every((number) => Number.isFinite(number)) ? row : undefined;
}

/** What the event makes of the row, and the transition, if it is one. Leases of workers that are gone are returned before. */
export function nextRow(
  value: unknown,
  policy: BreakerPolicy,
  event: BreakerEvent,
  isOpen: (epoch: number) => boolean,
): { readonly row: BreakerRow; readonly transition?: BreakerTransition | undefined } {
  const before = readBreakerRow(value) ?? freshRow(policy, event.at);
  const at = Math.max(before.at, event.at);
  const row = { ...before, policy, at };
  const owners = [...new Set(row.leases.map(({ owner }: Lease) => owner))].filter((owner) => !isOpen(owner));
  const swept = owners.length > 0 ? turned(row, { type: "owners.gone", at, owners }) : row;
  const after = turned(swept, { ...event, at });
  if (after.state === row.state && event.type !== "breaker.reset") return { row: after };
  return changed(row, after, reasonOf(row, after, event));
}

/** The row by the machine. */
function turned(row: BreakerRow, event: BreakerEvent): BreakerRow {
  const { state, policy, since, failures, successes, leases } = row;
  const window = row.state === "closed" ? windowWith(row, event) : undefined;
  const told = window === undefined || !("durationMs" in event) ? event : { ...event, tally: tallyOf(window) };
  const { snapshot } = breakerChart.turn(breakerChart.restore(state, { policy, since, failures, successes, leases }), told);
  const { policy: _, ...context } = snapshot.context;
  const next = { ...row, ...context, state: snapshot.value };
  return { ...next, window: next.state === "closed" && event.type !== "breaker.reset" ? window : undefined };
}

function windowWith({ policy: { rate }, window, since }: BreakerRow, event: BreakerEvent): CallWindow | undefined {
  if (rate === undefined) return undefined;
  if (!("durationMs" in event) || !isCounted({ since }, event)) return window;
  return withCall(rate, window, { at: event.at, failed: event.type === "call.failed", durationMs: event.durationMs });
}

function changed(before: BreakerRow, after: BreakerRow, reason: BreakerReason): { row: BreakerRow; transition?: BreakerTransition } {
  const { state: from, policy } = before;
  const { state: to, at } = after;
  if (from === to) return { row: after };
  const change = before.changes + 1;
  const turn: Turn = { change, to: isWell(to) ? "closed" : "opened", at, reason };
  const openings = before.openings + (isWell(from) && !isWell(to) ? 1 : 0);
  const row = { ...after, changes: change, openings, reason, ...(isWell(from) !== isWell(to) && { turned: turn }) };
  return { row, transition: { name: policy.name, from, to, at, reason } };
}

function reasonOf(before: BreakerRow, after: BreakerRow, event: BreakerEvent): BreakerReason {
  if (event.type === "breaker.reset") return "reset";
  if (event.type === "breaker.forcedOpen" || event.type === "breaker.forcedClosed") return "forced";
  if (after.state === "halfOpen") return "waited";
  if (after.state === "closed") return "probesSucceeded";
  if (before.state === "halfOpen") return "probeFailed";
  return after.failures >= after.policy.failureThreshold ? "failures" : "rate";
}
