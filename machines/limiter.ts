/**
 * A limit, as one worker stands to it: what it may use of something, out of what all workers share by one row.
 * How much that is, and who waits for it, is counted beside it, never in its context.
 */
import { setup } from "xstate";

export type LimiterEvent =
  /** What waits here, if anything, finds enough, and nobody else lacks what is here. */
  | { type: "limit.enough" }
  /** Somebody waits here for more than is here. */
  | { type: "limit.short" }
  /** More is here than the part of this worker. */
  | { type: "limit.over" }
  /** Some of what is more than its part is not in use. */
  | { type: "limit.spare" }
  /** More may be had, or more is waited for than the row says. */
  | { type: "limit.wanting" }
  /** The row says that somebody waits here, and nobody does. */
  | { type: "limit.unwanted" }
  /** What the row says of the use here is old. */
  | { type: "limit.used" }
  /** Nothing was used or wanted here for long. */
  | { type: "limit.idle" }
  /** What was to be written is on the disk. */
  | { type: "row.written" }
  /** Others took this worker for dead: it has nothing any more. */
  | { type: "worker.lost" };

export const limiterMachine = setup({
  types: { events: {} as LimiterEvent },
  actions: {
    /** Say in the row what is wanted here, and take of what is free. */
    ask: () => {},
    /** Use no more than is left, from now on, and write that. */
    giveBack: () => {},
    /** Say in the row that nothing more is wanted here. */
    withdraw: () => {},
    /** Say in the row what is used here. */
    write: () => {},
    /** Take what this worker has out of the row. */
    leave: () => {},
  },
}).createMachine({
  id: "limiter",
  description: "A limit, as one worker stands to it: its share of what all workers may use.",
  initial: "enough",
  states: {
    enough: {
      description: "What waits here finds enough, and nobody else lacks what is here.",
      on: {
        "limit.short": "short",
        "limit.over": "over",
        "limit.unwanted": { target: "writing", actions: "withdraw" },
        "limit.used": { target: "writing", actions: "write" },
        "limit.idle": { target: "writing", actions: "leave" },
      },
    },
    short: {
      description: "Somebody waits here, and gets it as attempts end here, time passes, or others give back.",
      on: {
        "limit.enough": "enough",
        "limit.over": "over",
        "limit.wanting": { target: "writing", actions: "ask" },
        "limit.used": { target: "writing", actions: "write" },
        "worker.lost": "enough",
      },
    },
    over: {
      description: "Others want what is more than the part of this worker: it is given back as attempts end.",
      on: {
        "limit.enough": "enough",
        "limit.short": "short",
        "limit.spare": { target: "writing", actions: "giveBack" },
        "limit.wanting": { target: "writing", actions: "ask" },
        "limit.unwanted": { target: "writing", actions: "withdraw" },
        "limit.used": { target: "writing", actions: "write" },
        "worker.lost": "enough",
      },
    },
    writing: {
      description: "A change of the row is on its way: until it is written, no other is made, and nothing counts on it.",
      on: { "row.written": "enough", "worker.lost": "enough" },
    },
  },
});
