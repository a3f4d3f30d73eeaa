/**
 * Circuit breakers as people see them, and what they ask of one, in any process: what is needed for it is in its row.
 */
import type { BreakerEvent } from "../../machines/breaker.ts";
import type { Failure } from "../../machines/node.ts";
import type { BreakerPolicy } from "../define/breaker.ts";
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import {
  type BreakerReason,
  type BreakerRow,
  type BreakerState,
  type CountedFailure,
  breakerKey,
  isBreakerKey,
  nextRow,
  readBreakerRow,
} from "./breaker-row.ts";
import { tallyOf } from "./breaker-window.ts";
import { makeFailure } from "./failure.ts";
import { changeShared, readSharedValues } from "./shared-rows.ts";

/** A circuit breaker at a glance. Instants in ms since 1970. */
export interface BreakerView {
  readonly name: string;
  /**
   * `closed`: calls are made · `open`: none is · `halfOpen`: a few try · `forcedOpen`, `forcedClosed`: somebody says so, until
   * it is reset.
   */
  readonly state: BreakerState;
  /** When it came into this state, and why; null when it was never in another. */
  readonly since: number;
  readonly reason: BreakerReason | null;
  /** While it is open: when the next call may try. */
  readonly halfOpensAt: number | null;
  /** The newest that it counted, whatever came after it; null when there was none. */
  readonly lastFailure: CountedFailure | null;
  /** Failures without a success between them: those that opened it, when it is not closed. */
  readonly failures: number;
  /** While it is half open: probes that succeeded, and those under way. */
  readonly successes: number;
  readonly probes: number;
  /** With a `rate`, while it is closed: the calls of its window. */
  readonly calls: { readonly calls: number; readonly failures: number; readonly slow: number } | null;
  /** How often it has ceased to let calls through. */
  readonly openings: number;
  readonly policy: BreakerPolicy;
}

export function breakerView(row: BreakerRow): BreakerView {
  const { policy, state, since, failures, successes, leases, openings, at } = row;
  return {
    name: policy.name,
    state,
    since: Math.round(since),
    reason: row.reason ?? null,
    lastFailure: row.lastFailure ?? null,
    halfOpensAt: state === "open" ? Math.round(since + policy.openForMs) : null,
    failures,
    successes,
    probes: leases.filter(({ lapsesAt }) => lapsesAt > at).length,
    calls: row.window === undefined ? null : tallyOf(row.window),
    openings,
    policy,
  };
}

/** Those of a store, by name. One whose row is damaged is left out: it is closed. */
export async function viewBreakers(store: Store): Promise<BreakerView[]> {
  const values = [...(await readSharedValues(store))].filter(([key]) => isBreakerKey(key));
  return values.flatMap(([, value]) => readBreakerRow(value) ?? []).map(breakerView);
}

/** Says how it is to be, at once, in whatever process. Throws PAWL_BREAKER_NOT_FOUND, PAWL_STORE_FULL. */
export async function forceBreaker(store: Store, name: string, to: "open" | "closed" | undefined, at: number): Promise<BreakerView> {
  const known = (await viewBreakers(store)).map((view) => view.name);
  if (!known.includes(name)) throw new PawlError("PAWL_BREAKER_NOT_FOUND", { message: `there is no breaker "${name}"${didYouMean(name, known)}` });
  const key = breakerKey(name);
  await changeShared(store, key, (value, isOpen) => {
    const row = readBreakerRow(value);
    return row === undefined ? value : nextRow(row, row.policy, forceEvent(to, at), isOpen).row;
  });
  return breakerView(readBreakerRow((await readSharedValues(store)).get(key))!);
}

/** The event of an operator's word; `undefined`: closed, as if nothing had happened. */
export function forceEvent(to: "open" | "closed" | undefined, at: number): BreakerEvent {
  const type = to === undefined ? "breaker.reset" : to === "open" ? "breaker.forcedOpen" : "breaker.forcedClosed";
  return { type, at };
}

/** What an attempt fails of that an open breaker does not let through. */
export function circuitOpenFailure(view: BreakerView): Failure {
  const { name, state, halfOpensAt } = view;
  const why = openedText(view);
  const until = state === "halfOpen" ? "; others try it now" : halfOpensAt === null ? "" : `; it is tried again from ${new Date(halfOpensAt).toISOString()}`;
  return makeFailure("circuitOpen", "PAWL_CIRCUIT_OPEN", `the circuit breaker "${name}" is open (${why})${until}`);
}

/** Why it is not closed: `5 failures in a row, the last of them PAWL_AGENT_HTTP the service answered with status 503`. */
export function openedText({ state, failures, policy, lastFailure }: BreakerView): string {
  if (state === "forcedOpen") return "somebody opened it";
  const many = failures >= policy.failureThreshold ? `${failures} ${failures === 1 ? "failure" : "failures in a row"}` : "too many calls failed or were slow";
  return lastFailure === null ? many : `${many}, the last of them ${lastFailure.code} ${lastFailure.message}`;
}
