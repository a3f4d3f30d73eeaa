/**
 * What a fork will do, said before it is done; and its draft: the plan with the rows that the new run begins with.
 */
import type { ActorRecord } from "../store/store.ts";
import type { RunBody } from "./row.ts";
import type { SetChange, SetValues } from "./set-values.ts";

/** From where a run is forked, and what is to be different. */
export interface ForkOptions {
  /**
   * A node of a workflow's run: it runs again, and so does what depends on it. Or a commit number: the run as of then.
   */
  readonly from: string | number;
  /**
   * Values by their paths: `input.topic`, `plan.result`, `plan.result.questions[0]`; of a machine's run `context.name`.
   * A node whose result is set does not run.
   */
  readonly set?: SetValues | undefined;
}

/** A node that keeps what it has: its result, that it was skipped, or the result that `set` gives it. */
export interface KeptNode {
  readonly node: string;
  readonly status: "completed" | "skipped" | "set";
}

/** A promise, a step or a run of its own that was under way. */
export interface StartedAgain {
  /** The key of the actor. */
  readonly actor: string;
  /** The name by which its parent knows its logic. */
  readonly src: string;
}

/** A delayed event that goes on waiting. */
export interface ForkedTimer {
  readonly id: string;
  /** The key of the actor that set it. */
  readonly actor: string;
  /** The type of the event. */
  readonly event: string;
  /** How long it still waits, in ms from the fork on. */
  readonly remainingMs: number;
}

interface PlanBase {
  /** The run that is forked; nothing of it changes. */
  readonly runId: string;
  readonly from: string | number;
  /** The commit as of which its rows are taken. */
  readonly commitNo: number;
  readonly changes: readonly SetChange[];
}

export interface WorkflowForkPlan extends PlanBase {
  readonly kind: "workflow";
  /** In the order of the definition, like all lists of nodes here. */
  readonly keeps: readonly KeptNode[];
  /** Nodes that do not keep what they have, or had not ended: they run again, with a fresh count of attempts. */
  readonly runsAgain: readonly string[];
  /** Nodes that are kept though their input would be another one now, because of what `set` changes. */
  readonly outdated: readonly string[];
  /** Nodes that are kept though what they did was undone since, or may have been. */
  readonly undone: readonly string[];
}

export interface MachineForkPlan extends PlanBase {
  readonly kind: "machine";
  /** The machine's state value as of then. */
  readonly state: unknown;
  readonly startsAgain: readonly StartedAgain[];
  /** In the order in which they are due. */
  readonly timers: readonly ForkedTimer[];
}

/** What a fork will do. */
export type ForkPlan = WorkflowForkPlan | MachineForkPlan;

/** A plan that can be carried out. */
export interface ForkDraft {
  readonly plan: ForkPlan;
  readonly body: RunBody;
  /** The rows and the wake-up of a run of this id that begins now. */
  begin(newRunId: string, now: number): { readonly actors: ActorRecord[]; readonly wakeAt: number | null };
}
