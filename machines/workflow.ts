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
  /** It completed, or will, though nodes were skipped, or alternatives took over. */
  readonly degraded: boolean;
  readonly failure: (Failure & { readonly node?: string | undefined }) | undefined;
  /** What was done is undone, because a node failed or the run was cancelled. */
  readonly unwinds: "failed" | "cancelled" | undefined;
}

export type WorkflowEvent =
  | { type: "run.started" }
  | { type: "supervisor.settled"; degraded: boolean; failure?: WorkflowContext["failure"] }
  | { type: "output.collected" }
  | { type: "output.refused"; failure: Failure }
  | { type: "run.pause" }
  | { type: "run.resume" }
  /** `undoes`: compensations are declared, and wanted. */
  | { type: "run.cancel"; undoes?: boolean }
  /** At once: nothing is undone. */
  | { type: "run.terminate" }
  /** A node failed for which the run is unwound. */
  | { type: "run.unwind"; failure: WorkflowContext["failure"] }
  | { type: "supervisor.unwound" }
  /** A recovery action said that its timeout is to strike now. */
  | { type: "run.overdue" };

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
    /** Tell the supervisor to undo what was done. */
    unwindSupervisor: () => {},
    /** Gather the run's output from its nodes' results; answer with output.collected or output.refused. */
    collectOutput: () => {},
    keepOutcome: assign(({ context, event }) => (event.type === "supervisor.settled" ? { degraded: event.degraded, failure: event.failure } : context)),
    keepFailure: assign({ failure: ({ event }) => ("failure" in event ? event.failure : timedOut) }),
    unwindsAsFailed: assign({ unwinds: "failed" }),
    unwindsAsCancelled: assign({ unwinds: "cancelled" }),
  },
  guards: {
    anyFailed: ({ event }) => event.type === "supervisor.settled" && event.failure !== undefined,
    undoes: ({ event }) => event.type === "run.cancel" && event.undoes === true,
    hasFailed: ({ context }) => context.unwinds === "failed",
    keepsPartial: ({ context }) => context.policy.onTimeout === "partial",
  },
  delays: {
    runTimeout: ({ context }) => context.policy.timeoutMs,
  },
}).createMachine({
  id: "workflow",
  description: "The life of a run; its state is the run's status.",
  initial: "pending",
  context: ({ input }) => ({ policy: input, degraded: false, failure: undefined, unwinds: undefined }),
  states: {
    pending: {
      description: "Accepted and stored, not started.",
      on: { "run.started": { target: "running", actions: "startSupervisor" }, "run.cancel": "cancelled", "run.terminate": "cancelled" },
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
        "run.overdue": [
          { guard: "keepsPartial", target: "timedOut", actions: ["stopSupervisor", "keepFailure"] },
          { target: "failed", actions: ["stopSupervisor", "keepFailure"] },
        ],
        "run.pause": "paused",
        "run.unwind": { target: "compensating", actions: ["keepFailure", "unwindsAsFailed", "unwindSupervisor"] },
        "run.cancel": [
          { guard: "undoes", target: "compensating", actions: ["unwindsAsCancelled", "unwindSupervisor"] },
          { target: "cancelled", actions: "stopSupervisor" },
        ],
        "run.terminate": { target: "cancelled", actions: "stopSupervisor" },
      },
    },
    paused: {
      description: "Held up by a person or a program: no attempt starts, those that run go on. Its timeout does not count.",
      on: {
        "supervisor.settled": [
          { guard: "anyFailed", target: "failed", actions: "keepOutcome" },
          { target: "collecting", actions: "keepOutcome" },
        ],
        "run.unwind": { target: "compensating", actions: ["keepFailure", "unwindsAsFailed", "unwindSupervisor"] },
        "run.overdue": [
          { guard: "keepsPartial", target: "timedOut", actions: ["stopSupervisor", "keepFailure"] },
          { target: "failed", actions: ["stopSupervisor", "keepFailure"] },
        ],
        "run.resume": "running",
        "run.cancel": [
          { guard: "undoes", target: "compensating", actions: ["unwindsAsCancelled", "unwindSupervisor"] },
          { target: "cancelled", actions: "stopSupervisor" },
        ],
        "run.terminate": { target: "cancelled", actions: "stopSupervisor" },
      },
    },
    compensating: {
      description: "What was done is undone, in the opposite order. It can be cut off, not paused.",
      on: {
        "supervisor.unwound": [{ guard: "hasFailed", target: "failed" }, { target: "cancelled" }],
        "run.terminate": { target: "cancelled", actions: "stopSupervisor" },
      },
    },
    collecting: {
      description: "All nodes ended; the run's output is put together from their results.",
      entry: "collectOutput",
      on: {
        "output.collected": "completed",
        "output.refused": { target: "failed", actions: "keepFailure" },
        "run.cancel": [{ guard: "undoes", target: "compensating", actions: ["unwindsAsCancelled", "unwindSupervisor"] }, { target: "cancelled" }],
        "run.terminate": "cancelled",
      },
    },
    completed: { type: "final", description: "Ended with its output." },
    failed: { type: "final", description: "Ended without an output: a node failed, or the timeout struck with `abort`. Results that were reached are kept." },
    timedOut: { type: "final", description: "Its timeout struck; results that were reached are kept." },
    cancelled: { type: "final", description: "Cancelled by a person or a program." },
  },
});
