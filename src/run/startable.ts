/**
 * What can be started, what it is given, and the handle that comes back: in types.
 */
import type { Workflow } from "../define/workflow.ts";
import type { StartTime } from "./delayed-start.ts";
import type { Run } from "./handle.ts";
import type { LaneOptions } from "./lane.ts";
import type { MachineHandle } from "./machine-handle.ts";
import type { Rollout } from "./rollout.ts";
import type { AnyStateMachine, DurableMachine, InputOfMachine } from "./xstate/durable.ts";

/** A workflow, a machine, or a machine with its options. */
export type Startable = Workflow | AnyStateMachine | DurableMachine;

/** What a run is started with. */
export type StartOptions<Given> = {
  /** Names the run; the same id again is the same run. A new one is made when left out. */
  readonly id?: string;
  /** What or whom it is about, to look it up by: a customer, a pull request. */
  readonly subject?: string;
  /** Words to look it up by. */
  readonly tags?: readonly string[];
  /**
   * `true`: a run that is not there yet is recorded only if no health check says CRITICAL or FAILED: those of the workflow's agents,
   * and those that its nodes name; also of workflows that it runs. Default false.
   */
  readonly preflight?: boolean;
} & LaneOptions &
  StartTime &
  (undefined extends Given ? { readonly input?: Given } : { readonly input: Given });

/** What a workflow or machine is given. */
export type InputOfStartable<S extends Startable | Rollout> = S extends Rollout<infer Version> ? InputOfVersion<Version> : InputOfVersion<S>;

type InputOfVersion<S> =
  S extends Workflow<infer Given>
    ? Given
    : S extends DurableMachine<infer Machine>
      ? InputOfMachine<Machine>
      : S extends AnyStateMachine
        ? InputOfMachine<S>
        : never;

/** The handle of a run of a workflow or machine. */
export type RunOf<S extends Startable | Rollout> = S extends Rollout<infer Version> ? RunOfVersion<Version> : RunOfVersion<S>;

type RunOfVersion<S> =
  S extends Workflow<any, infer Output>
    ? Run<Output>
    : S extends DurableMachine<infer Machine>
      ? MachineHandle<Machine>
      : S extends AnyStateMachine
        ? MachineHandle<S>
        : never;

/** The options may be left out when nothing in them is needed. */
export type StartArguments<Given> = undefined extends Given ? [options?: StartOptions<Given>] : [options: StartOptions<Given>];
