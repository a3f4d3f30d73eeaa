/**
 * What a machine may say of its own durability. A machine needs none of it: any xstate v5 machine can be started as it is.
 */
import type { AnyStateMachine, EventFromLogic } from "xstate";
import type { Schema } from "../../define/schema.ts";
import type { TimerPolicy } from "./actor.ts";

export type {
  AnyStateMachine,
  EventFromLogic as EventOf,
  InputFrom as InputOfMachine,
  OutputFrom as OutputOfMachine,
  SnapshotFrom as SnapshotOfMachine,
} from "xstate";

/** The definition that a run was started with, or last migrated to. */
export interface DefinitionOfRun {
  readonly id: string;
  readonly version: string | undefined;
  readonly hash: string;
}

/** The root machine's state, to be taken over by another definition. */
export interface MigratedState {
  readonly value: unknown;
  readonly context: unknown;
}

export interface DurableOptions<Machine extends AnyStateMachine> {
  /** Checks the input of `start`. Any Standard Schema, for example zod. */
  readonly input?: Schema;
  /** By event type: checks the event that is sent, the whole object. Events without a schema are not checked. */
  readonly events?: { readonly [Type in EventFromLogic<Machine>["type"]]?: Schema };
  /**
   * By the name of a delay (`after: { remind: … }`, or the ms as text), or the id of a delayed event: what it means when
   * the process was down. Default `'deadline'`: its original instant.
   */
  readonly delays?: Readonly<Record<string, TimerPolicy>>;
  /** How many of the last checkpoints can be gone back to by `fork`, besides the newest commit. Default 10; 0 none; at most 1,000. */
  readonly keepCheckpoints?: number;
  /**
   * Commits whose number is a multiple of it are checkpoints, and the newest commit always is. Default 1: each commit; at
   * most 1,000. A greater one reaches further back with as many checkpoints, and copies less.
   */
  readonly checkpointEvery?: number;
  /**
   * Takes over a run of another definition of the same machine id: given its state, answers the state that it is to
   * have. Without it, such a run waits until its own definition is registered.
   */
  readonly migrate?: (state: MigratedState, from: DefinitionOfRun) => MigratedState;
}

/** A machine with its options. Made by `durable()`. */
export interface DurableMachine<Machine extends AnyStateMachine = AnyStateMachine> {
  readonly machine: Machine;
  readonly options: DurableOptions<Machine>;
}

/**
 * Gives a machine the options of its runs.
 *
 * @example
 * ```ts
 * const review = durable(reviewMachine, {
 *   events: { APPROVE: z.object({ type: z.literal('APPROVE'), by: z.string() }) },
 *   delays: { remind: 'remaining' },
 * });
 * const run = await pawl.start(review, { id: 'doc-7' });
 * ```
 */
export function durable<Machine extends AnyStateMachine>(machine: Machine, options: DurableOptions<Machine> = {}): DurableMachine<Machine> {
  return Object.freeze({ machine, options });
}
