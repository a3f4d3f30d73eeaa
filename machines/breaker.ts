/**
 * A circuit breaker: what has failed too often is left alone for a while, then tried with a few calls.
 * Instants come with the events, as `at`, in ms on one time line that does not go back. A probe is a lease: it has an owner
 * and an instant at which it lapses, so that one that is lost gives its place back. It asks its host for nothing.
 */
import { assign, setup } from "xstate";

export interface BreakerMachinePolicy {
  /** So many failures without a success between them open it. */
  readonly failureThreshold: number;
  readonly openForMs: number;
  /** So many probes at the same time. */
  readonly halfOpenMax: number;
  /** So many probes that succeed close it. */
  readonly successThreshold: number;
  /** Opens it, too. Rates are parts of 1; without a `slowCallRate` it does not matter how slow calls are. */
  readonly rate?: { readonly minimumCalls: number; readonly failureRate: number; readonly slowCallRate?: number | undefined } | undefined;
}

/** The place of a probe. */
export interface Lease {
  readonly id: string;
  /** The epoch of the worker that has it. */
  readonly owner: number;
  readonly lapsesAt: number;
}

/** The calls of the rate's window, with the one that just ended. */
export interface Tally {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

export interface BreakerContext {
  readonly policy: BreakerMachinePolicy;
  /** When it came into its state. */
  readonly since: number;
  /** Failures since the last success. */
  readonly failures: number;
  /** Probes that succeeded since it is half open. */
  readonly successes: number;
  readonly leases: readonly Lease[];
}

/** A call has ended: one that was let through while it was closed, or the probe of this lease. */
export interface CallEnded {
  readonly at: number;
  readonly durationMs: number;
  readonly probe?: string | undefined;
  readonly tally?: Tally | undefined;
}

export type BreakerEvent =
  | ({ type: "call.succeeded" } & CallEnded)
  | ({ type: "call.failed" } & CallEnded)
  /** Somebody wants to try. */
  | { type: "probe.asked"; at: number; lease: Lease }
  /** A probe was not made, or nobody knows how it went. */
  | { type: "probe.dropped"; at: number; probe: string }
  /** These workers are no more. */
  | { type: "owners.gone"; at: number; owners: readonly number[] }
  /** Somebody says how it is to be, whatever calls do. */
  | { type: "breaker.forcedOpen"; at: number }
  | { type: "breaker.forcedClosed"; at: number }
  | { type: "breaker.reset"; at: number };

/** A call counts if it began in this state: those that are older say how it was before. */
export function isCounted({ since }: Pick<BreakerContext, "since">, { at, durationMs, probe }: CallEnded): boolean {
  return probe === undefined && at - durationMs >= since;
}

export function isOverRate({ rate }: BreakerMachinePolicy, tally: Tally | undefined): boolean {
  if (rate === undefined || tally === undefined || tally.calls < rate.minimumCalls) return false;
  return tally.failures / tally.calls >= rate.failureRate || (rate.slowCallRate !== undefined && tally.slow / tally.calls >= rate.slowCallRate);
}

const liveAt = (leases: readonly Lease[], at: number): Lease[] => leases.filter(({ lapsesAt }) => lapsesAt > at);
const without = (leases: readonly Lease[], probe: string | undefined): Lease[] => leases.filter(({ id }) => id !== probe);
const probeOf = (event: BreakerEvent): string | undefined => ("probe" in event ? event.probe : undefined);
const FRESH = { failures: 0, successes: 0, leases: [] };

export const breakerMachine = setup({
  types: {
    context: {} as BreakerContext,
    events: {} as BreakerEvent,
    input: {} as { readonly policy: BreakerMachinePolicy; readonly at: number },
  },
  actions: {
    beginAnew: assign(({ event }) => ({ since: event.at, ...FRESH })),
    /** The failures that opened it stay to be seen. */
    shut: assign(({ context, event }) => ({
      since: event.at,
      ...FRESH,
      failures: context.failures + (event.type === "call.failed" && event.probe === undefined ? 1 : 0),
    })),
    countFailure: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailures: assign({ failures: 0 }),
    beginProbing: assign(({ event }) => ({ since: event.at, leases: event.type === "probe.asked" ? [event.lease] : [] })),
    grantLease: assign({
      leases: ({ context, event }) => (event.type === "probe.asked" ? [...liveAt(context.leases, event.at), event.lease] : context.leases),
    }),
    returnLease: assign({ leases: ({ context, event }) => without(context.leases, probeOf(event)) }),
    countSuccess: assign({ successes: ({ context }) => context.successes + 1 }),
    returnTheirs: assign({
      leases: ({ context, event }) => (event.type === "owners.gone" ? context.leases.filter(({ owner }) => !event.owners.includes(owner)) : context.leases),
    }),
  },
  guards: {
    failsTooOften: ({ context, event }) =>
      event.type === "call.failed" &&
      isCounted(context, event) &&
      (context.failures + 1 >= context.policy.failureThreshold || isOverRate(context.policy, event.tally)),
    exceedsRate: ({ context, event }) => event.type === "call.succeeded" && isCounted(context, event) && isOverRate(context.policy, event.tally),
    counts: ({ context, event }) => "durationMs" in event && isCounted(context, event),
    hasWaited: ({ context, event }) => event.at - context.since >= context.policy.openForMs,
    hasPlace: ({ context, event }) => liveAt(context.leases, event.at).length < context.policy.halfOpenMax,
    isProbe: ({ context, event }) => context.leases.some(({ id }) => id === probeOf(event)),
    isTheirs: ({ context, event }) => event.type === "owners.gone" && context.leases.some(({ owner }) => event.owners.includes(owner)),
    isLastProbe: ({ context, event }) => context.leases.some(({ id }) => id === probeOf(event)) && context.successes + 1 >= context.policy.successThreshold,
  },
}).createMachine({
  id: "breaker",
  description: "A circuit breaker: what has failed too often is left alone for a while, then tried with a few calls.",
  initial: "closed",
  context: ({ input }) => ({ policy: input.policy, since: input.at, ...FRESH }),
  states: {
    closed: {
      description: "All calls are let through; failures without a success between them are counted.",
      on: {
        "call.failed": [
          { guard: "failsTooOften", target: "open", actions: "shut" },
          { guard: "counts", actions: "countFailure" },
        ],
        "call.succeeded": [
          { guard: "exceedsRate", target: "open", actions: "shut" },
          { guard: "counts", actions: "forgetFailures" },
        ],
        "breaker.forcedOpen": { target: "forcedOpen", actions: "beginAnew" },
        "breaker.forcedClosed": { target: "forcedClosed", actions: "beginAnew" },
        "breaker.reset": { actions: "beginAnew" },
      },
    },
    open: {
      description: "No call is let through until it has been open for long enough; what ends now began before, and does not matter.",
      on: {
        "probe.asked": { guard: "hasWaited", target: "halfOpen", actions: "beginProbing" },
        "breaker.forcedOpen": { target: "forcedOpen", actions: "beginAnew" },
        "breaker.forcedClosed": { target: "forcedClosed", actions: "beginAnew" },
        "breaker.reset": { target: "closed", actions: "beginAnew" },
      },
    },
    halfOpen: {
      description: "A few calls are let through as probes: enough that succeed close it, and one that fails opens it again.",
      on: {
        "probe.asked": { guard: "hasPlace", actions: "grantLease" },
        "call.succeeded": [
          { guard: "isLastProbe", target: "closed", actions: "beginAnew" },
          { guard: "isProbe", actions: ["countSuccess", "returnLease"] },
        ],
        "call.failed": { guard: "isProbe", target: "open", actions: "shut" },
        "probe.dropped": { guard: "isProbe", actions: "returnLease" },
        "owners.gone": { guard: "isTheirs", actions: "returnTheirs" },
        "breaker.forcedOpen": { target: "forcedOpen", actions: "beginAnew" },
        "breaker.forcedClosed": { target: "forcedClosed", actions: "beginAnew" },
        "breaker.reset": { target: "closed", actions: "beginAnew" },
      },
    },
    forcedOpen: {
      description: "Somebody has opened it: no call is let through until somebody says so.",
      on: {
        "breaker.forcedClosed": { target: "forcedClosed", actions: "beginAnew" },
        "breaker.reset": { target: "closed", actions: "beginAnew" },
      },
    },
    forcedClosed: {
      description: "Somebody has closed it: all calls are let through, however many fail, until somebody says otherwise.",
      on: {
        "breaker.forcedOpen": { target: "forcedOpen", actions: "beginAnew" },
        "breaker.reset": { target: "closed", actions: "beginAnew" },
      },
    },
  },
});
