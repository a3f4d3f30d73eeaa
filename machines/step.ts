/**
 * A step: an agent invoked by a user's machine, with its attempts. Ends with the agent's result, or with the error of the
 * last attempt, which xstate ends an actor with that does not take it. Which failures are tried again, and after which
 * wait, comes with the failure.
 */
import { assign, fromPromise, setup } from "xstate";

/** What an attempt is given. */
export interface StepAttempt {
  readonly given: unknown;
  /** 1 for the first. An attempt that a crash cut off runs again under its old number. */
  readonly attempt: number;
}

/** What an attempt rejects with when there is to be another; the last one rejects with the error itself. */
export interface StepFailure {
  readonly error: unknown;
  /** The wait before the next attempt in ms. */
  readonly waitMs: number;
}

export interface StepContext {
  readonly given: unknown;
  readonly attempt: number;
  readonly failure: StepFailure | undefined;
  readonly result: unknown;
}

type SettledEvent = { type: string; output?: unknown; error?: Partial<StepFailure> };

export const stepMachine = setup({
  types: {
    context: {} as StepContext,
  },
  actors: {
    /** One attempt: resolves with the result, rejects with a `StepFailure` or an error. */
    attempt: fromPromise<unknown, StepAttempt>(() => Promise.reject(new Error("nobody calls the agent"))),
  },
  actions: {
    countAttempt: assign({ attempt: ({ context }) => context.attempt + 1 }),
    keepResult: assign({ result: ({ event }) => (event as SettledEvent).output }),
    keepFailure: assign({ failure: ({ event }) => (event as SettledEvent).error as StepFailure }),
  },
  guards: {
    mayRetry: ({ event }) => (event as SettledEvent).error?.waitMs !== undefined,
  },
  delays: {
    backoff: ({ context }) => context.failure?.waitMs ?? 0,
  },
}).createMachine({
  id: "step",
  description: "An agent invoked by a user's machine, with its attempts.",
  context: ({ input }) => ({ given: input, attempt: 0, failure: undefined, result: undefined }),
  initial: "running",
  output: ({ context }: { context: StepContext }) => context.result,
  states: {
    running: {
      description: "An attempt waits for its permit, or runs. One that fails for good ends the step with its error.",
      entry: "countAttempt",
      invoke: {
        src: "attempt",
        input: ({ context }) => ({ given: context.given, attempt: context.attempt }),
        onDone: { target: "completed", actions: "keepResult" },
        onError: { guard: "mayRetry", target: "backingOff", actions: "keepFailure" },
      },
    },
    backingOff: {
      description: "The last attempt failed; the next one begins when the backoff has passed.",
      after: { backoff: "running" },
    },
    completed: { type: "final", description: "The agent answered and its result is stored." },
  },
});
