/**
 * A stage: nodes that share a warning, recovery actions and a timeout; or all nodes of a run, whose timeout is the workflow's.
 * Its time is that in which the run could work; whoever hosts it measures it, and tells it when its warning or timeout is due.
 */
import { assign, setup } from "xstate";
import type { Verdict } from "./node.ts";

export interface StagePolicy {
  /** Names of the recovery actions that run after the warning, one after the other. */
  readonly onWarn: readonly string[];
}

export interface StageContext {
  readonly policy: StagePolicy;
  /** Recovery actions that have begun. */
  readonly recoveries: number;
}

export type StageEvent =
  | { type: "stage.began" }
  | { type: "stage.overdue" }
  | { type: "stage.timedOut" }
  /** All its nodes have ended. */
  | { type: "stage.ended" }
  | { type: "recovery.ended"; verdict: Verdict };

export const stageMachine = setup({
  types: { context: {} as StageContext, events: {} as StageEvent, input: {} as StagePolicy },
  actions: {
    /** Run the next recovery action; answer with recovery.ended. */
    startAction: () => {},
    /** The recovery action under way, if there is one, is no longer wanted. */
    stopAction: () => {},
    /** Give up the attempts that run; each begins a new round. */
    restartAttempts: () => {},
    /** End what has not ended, as failed. */
    failNodes: () => {},
    countAction: assign({ recoveries: ({ context }) => context.recoveries + 1 }),
  },
  guards: {
    hasAction: ({ context }) => context.recoveries < context.policy.onWarn.length,
    actsAgain: ({ context, event }) => event.type === "recovery.ended" && event.verdict === "continue" && context.recoveries < context.policy.onWarn.length,
    saysRestart: ({ event }) => event.type === "recovery.ended" && event.verdict === "restart",
    saysFail: ({ event }) => event.type === "recovery.ended" && event.verdict === "fail",
  },
}).createMachine({
  id: "stage",
  description: "Nodes that share a warning, recovery actions and a timeout.",
  initial: "waiting",
  context: ({ input }) => ({ policy: input, recoveries: 0 }),
  states: {
    waiting: { description: "None of its nodes has begun.", on: { "stage.began": "running" } },
    running: {
      description: "Its nodes run; the time in which they could is measured.",
      on: {
        "stage.overdue": [{ guard: "hasAction", target: "warned", actions: ["countAction", "startAction"] }, { target: "warned" }],
        "stage.timedOut": { target: "timedOut", actions: "failNodes" },
        "stage.ended": "completed",
      },
    },
    warned: {
      description: "It takes longer than its warning says; recovery actions run beside its nodes, one after the other.",
      exit: "stopAction",
      on: {
        "recovery.ended": [
          { guard: "actsAgain", actions: ["countAction", "startAction"] },
          { guard: "saysRestart", actions: "restartAttempts" },
          { guard: "saysFail", target: "timedOut", actions: "failNodes" },
        ],
        "stage.timedOut": { target: "timedOut", actions: "failNodes" },
        "stage.ended": "completed",
      },
    },
    timedOut: { type: "final", description: "Its time was up; what had not ended failed, as each node's onFail says." },
    completed: { type: "final", description: "All its nodes have ended." },
  },
});
