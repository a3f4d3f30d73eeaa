/**
 * A group: a node that is made of other nodes, its members. The items of a list, the rounds of a loop, or the nodes of the
 * branch that was taken. It begins when what it depends on is there, and ends when its members have.
 */
import { assign, setup } from "xstate";
import type { Failure } from "./node.ts";

export interface GroupPolicy {
  readonly onFail: "block" | "skip" | "compensate";
}

export interface GroupContext {
  readonly policy: GroupPolicy;
  readonly failure: Failure | undefined;
}

export type GroupEvent =
  | { type: "group.opened" }
  | { type: "members.settled" }
  | { type: "round.wanted" }
  | { type: "group.closed" }
  | { type: "group.refused"; failure: Failure }
  /** The last round was passed over: nobody goes on from it. */
  | { type: "round.skipped"; failure: Failure }
  | { type: "node.cancelled" }
  /** Somebody says how it ends, or how the group does that it is a member of. */
  | { type: "node.overridden"; outcome: "completed" | "notTaken" }
  | { type: "node.overridden"; outcome: "skipped" | "failed"; failure: Failure };

export const groupMachine = setup({
  types: { context: {} as GroupContext, events: {} as GroupEvent, input: {} as GroupPolicy },
  actions: {
    /** Find out which members there are; answer with group.opened, or group.refused. */
    openGroup: () => {},
    /** Make the group's result of those of its members; answer with group.closed, round.wanted, round.skipped or group.refused. */
    closeGroup: () => {},
    keepFailure: assign(({ event }) => ({ failure: "failure" in event ? event.failure : undefined })),
  },
  guards: {
    maySkip: ({ context }) => context.policy.onFail === "skip",
    isGiven: ({ event }) => event.type === "node.overridden" && event.outcome === "completed",
    isLeftOut: ({ event }) => event.type === "node.overridden" && event.outcome === "notTaken",
    isPassedOver: ({ event }) => event.type === "node.overridden" && event.outcome === "skipped",
  },
}).createMachine({
  id: "group",
  description: "A node that is made of other nodes: items of a list, rounds of a loop, or the branch that was taken.",
  initial: "opening",
  context: ({ input }) => ({ policy: input, failure: undefined }),
  states: {
    opening: {
      description: "What it depends on is there; its members are found out.",
      entry: "openGroup",
      on: {
        "group.opened": "open",
        "group.refused": [
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
        "node.cancelled": "cancelled",
        "node.overridden": [
          { guard: "isGiven", target: "completed" },
          { guard: "isLeftOut", target: "notTaken" },
          { guard: "isPassedOver", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
      },
    },
    open: {
      description: "Its members wait, run and end.",
      on: {
        "members.settled": "closing",
        "node.cancelled": "cancelled",
        "node.overridden": [
          { guard: "isGiven", target: "completed" },
          { guard: "isLeftOut", target: "notTaken" },
          { guard: "isPassedOver", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
      },
    },
    closing: {
      description: "All members have ended; its result is put together, or a loop goes on.",
      entry: "closeGroup",
      on: {
        "round.wanted": "open",
        "round.skipped": { target: "skipped", actions: "keepFailure" },
        "group.closed": "completed",
        "group.refused": [
          { guard: "maySkip", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
        "node.cancelled": "cancelled",
        "node.overridden": [
          { guard: "isGiven", target: "completed" },
          { guard: "isLeftOut", target: "notTaken" },
          { guard: "isPassedOver", target: "skipped", actions: "keepFailure" },
          { target: "failed", actions: "keepFailure" },
        ],
      },
    },
    completed: { type: "final", description: "Its result is there, or somebody set it." },
    skipped: {
      type: "final",
      description: "It could not be opened or closed, or somebody passed over it or its last round; dependents go on without a result.",
    },
    failed: { type: "final", description: "It could not be opened or closed, or somebody gave it up; dependents are blocked." },
    cancelled: { type: "final", description: "The run was cancelled or timed out before the group ended." },
    notTaken: { type: "final", description: "Somebody set how the choice ends that it is a member of." },
  },
});
