/**
 * An event: a node that waits for what a person or a program sends.
 */
import { assign, setup } from "xstate";
import type { Failure } from "./node.ts";

export interface EventPolicy {
  readonly timeoutMs: number;
  readonly onFail: "block" | "skip" | "compensate";
}

export interface EventContext {
  readonly policy: EventPolicy;
  readonly failure: Failure | undefined;
}

export type EventEvent =
  | { type: "event.received" }
  | { type: "node.cancelled" }
  /** Somebody says how it ends. */
  | { type: "node.overridden"; outcome: "completed" }
  /** Somebody says how the choice ends that it is a member of. */
  | { type: "node.overridden"; outcome: "notTaken" }
  | { type: "node.overridden"; outcome: "skipped" | "failed"; failure: Failure };

const late: Failure = { kind: "timeout", code: "PAWL_EVENT_TIMEOUT", message: "the event did not come in time", retryable: false };

export const eventMachine = setup({
  types: { context: {} as EventContext, events: {} as EventEvent, input: {} as EventPolicy },
  actions: {
    keepFailure: assign({ failure: late }),
    keepReason: assign({ failure: ({ event }) => ("failure" in event ? event.failure : undefined) }),
  },
  guards: {
    maySkip: ({ context }) => context.policy.onFail === "skip",
    isGiven: ({ event }) => event.type === "node.overridden" && event.outcome === "completed",
    isPassedOver: ({ event }) => event.type === "node.overridden" && event.outcome === "skipped",
    isLeftOut: ({ event }) => event.type === "node.overridden" && event.outcome === "notTaken",
  },
  delays: {
    eventTimeout: ({ context }) => context.policy.timeoutMs,
  },
}).createMachine({
  id: "event",
  description: "A node that waits for what a person or a program sends.",
  initial: "awaited",
  context: ({ input }) => ({ policy: input, failure: undefined }),
  states: {
    awaited: {
      description: "What it depends on is there; the event has not come.",
      after: {
        eventTimeout: [
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
      },
      on: {
        "event.received": "completed",
        "node.cancelled": "cancelled",
        "node.overridden": [
          { guard: "isGiven", target: "completed" },
          { guard: "isLeftOut", target: "notTaken" },
          { guard: "isPassedOver", target: "skipped", actions: "keepReason" },
          { target: "failed", actions: "keepReason" },
        ],
      },
    },
    completed: { type: "final", description: "The event came, or somebody set its result, and that is stored." },
    skipped: { type: "final", description: "It did not come in time, or somebody passed over it; dependents go on without it." },
    failed: { type: "final", description: "It did not come in time, or somebody gave it up; dependents are blocked." },
    cancelled: { type: "final", description: "The run was cancelled or timed out before it came." },
    notTaken: { type: "final", description: "Somebody set how its choice ends: nobody waits for it any more." },
  },
});
