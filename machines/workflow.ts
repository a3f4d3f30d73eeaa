/**
 * The workflow: the life of a run. Its state is the run's status.
 * Nodes are started by the supervisor beneath it; the run's timeout counts only time in which the run could work,
 * which whoever hosts it measures.
 */
import { assign, setup } from "xstate";
import type { Failure } from "./node.ts";

/** What a run is given by its definition. Durations in ms. */
export interface RunPolicy {
  readonly timeoutMs: number;
  readonly onTimeout: "partial" | "abort";
}

export interface WorkflowContext {
  readonly policy: RunPolicy;
  /** It completed, or will, without the result of a node that was skipped. */
  readonly degraded: boolean;
  readonly failure: (Failure & { readonly node?: string | undefined }) | undefined;
}

export type WorkflowEvent =
  | { type: "run.started" }
  | { type: "supervisor.settled"; degraded: boolean; failure?: WorkflowContext["failure"] }
  | { type: "output.collected" }
  | { type: "output.refused"; failure: Failure }
  | { type: "run.pause" }
  | { type: "run.resume" }
  | { type: "run.cancel" };

const timedOut: Failure = { kind: "timeout", code: "PAWL_RUN_TIMED_OUT", message: "Timeout", retryable: false };

export const workflowMachine = setup({
  types: {
    context: {} as WorkflowContext,
    events: {} as WorkflowEvent,
    input: {} as RunPolicy,
  },
  actions: {
    /** Start the supervisor of this run's nodes. */
    startSupervisor: () => {},
    /** Tell the supervisor to stop. */
    stopSupervisor: () => {},
    /** Gather the run's output from its nodes' results; answer with output.collected or output.refused. */
    collectOutput: () => {},
    keepOutcome: assign(({ context, event }) => (event.type === "supervisor.settled" ? { degraded: event.degraded, failure: event.failure } : context)),
    keepFailure: assign({ failure: ({ event }) => ("failure" in event ? event.failure : timedOut) }),
  },
  guards: {
    anyFailed: ({ event }) => event.type === "supervisor.settled" && event.failure !== undefined,
    keepsPartial: ({ context }) => context.policy.onTimeout === "partial",
  },
  delays: {
    runTimeout: ({ context }) => context.policy.timeoutMs,
  },
}).createMachine({
  id: "workflow",
  description: "The life of a run; its state is the run's status.",
  initial: "pending",
  context: ({ input }) => ({ policy: input, degraded: false, failure: undefined }),
  states: {
    pending: {
      description: "Accepted and stored, not started.",
      on: { "run.started": { target: "running", actions: "startSupervisor" }, "run.cancel": "cancelled" },
    },
    running: {
      description: "Its nodes run.",
      after: {
        runTimeout: [
          { guard: "keepsPartial", target: "timedOut", actions: ["stopSupervisor", "keepFailure"] },
          { target: "failed", actions: ["stopSupervisor", "keepFailure"] },
        ],
      },
      on: {
        "supervisor.settled": [
          { guard: "anyFailed", target: "failed", actions: "keepOutcome" },
          { target: "collecting", actions: "keepOutcome" },
        ],
        "run.pause": "paused",
        "run.cancel": { target: "cancelled", actions: "stopSupervisor" },
      },
    },
    paused: {
      description: "Held up by a person or a program: no attempt starts, those that run go on. Its timeout does not count.",
      on: {
        "supervisor.settled": [
          { guard: "anyFailed", target: "failed", actions: "keepOutcome" },
          { target: "collecting", actions: "keepOutcome" },
        ],
        "run.resume": "running",
        "run.cancel": { target: "cancelled", actions: "stopSupervisor" },
      },
    },
    collecting: {
      description: "All nodes ended; the run's output is put together from their results.",
      entry: "collectOutput",
      on: {
        "output.collected": "completed",
        "output.refused": { target: "failed", actions: "keepFailure" },
        "run.cancel": "cancelled",
      },
    },
    completed: { type: "final", description: "Ended with its output." },
    failed: { type: "final", description: "Ended without an output: a node failed, or the timeout struck with `abort`. Results that were reached are kept." },
    timedOut: { type: "final", description: "Its timeout struck; results that were reached are kept." },
    cancelled: { type: "final", description: "Cancelled by a person or a program." },
  },
});
