/**
 * Agents and workflows as actor logic: `step(agent)` can be invoked or spawned by any machine. A step of an agent is a
 * machine of pawl's own, hosted like any other: its attempts, retries and backoffs survive a crash with it.
 */
import { type AnyActorLogic, type PromiseActorLogic, fromPromise } from "xstate";
import { type StepAttempt, stepMachine } from "../../../machines/step.ts";
import type { Agent } from "../../define/agent.ts";
import type { Workflow } from "../../define/workflow.ts";
import type { AnyStateMachine, DurableMachine } from "./durable.ts";
import { type ErrorCode, PawlError } from "../../errors.ts";

type Startable = Workflow | AnyStateMachine | DurableMachine;

/** What a step needs of the run that hosts it. Found on the actor system. */
export interface StepServices {
  /** One attempt of an agent: its result. Rejects with a `StepFailure`, or with an error that ends the step. */
  attempt(agent: Agent, call: StepCall): Promise<unknown>;
  /** A run of its own under the address of the step. Cancelled when the signal aborts. */
  childRun(of: Startable, runId: string, input: unknown, signal: AbortSignal): Promise<RunResult>;
  /** A run that others have started. */
  otherRun(runId: unknown, signal: AbortSignal): Promise<RunResult>;
}

/** What a run that has completed gave. */
export interface RunResult {
  readonly output: unknown;
  /** Nodes of it were skipped, or alternatives took over. */
  readonly degraded: boolean;
}

/** One attempt of a step. */
export interface StepCall {
  readonly runId: string;
  /** The address of the step in its run. */
  readonly stepId: string;
  readonly attempt: number;
  readonly input: unknown;
  readonly signal: AbortSignal;
}

const called = new WeakMap<object, Agent>();

/** The agent that this logic calls once; undefined for other logic. */
export function agentCalled(logic: object): Agent | undefined {
  return called.get(logic);
}

/** Does this logic hold one of the worker's permits? A run of its own takes permits itself. */
export function needsPermit(logic: AnyActorLogic): boolean {
  return called.has(logic) && !childRuns.has(logic);
}

let actKey: string | undefined;

/** Does something of a commit under its key. */
export function performAct(key: string, perform: () => unknown): unknown {
  actKey = key;
  try {
    return perform();
  } finally {
    actKey = undefined;
  }
}

/**
 * The key of the action that is running: the same when it is done again after a crash. For whatever removes duplicates.
 * Only within an action of a machine that pawl runs, before its first `await`.
 *
 * @throws PAWL_NO_ACTION
 */
export function actionKey(): string {
  if (actKey === undefined) throw new PawlError("PAWL_NO_ACTION");
  return actKey;
}

let stopCode: ErrorCode | undefined;

/** Stops logic for this reason. */
export function stopFor(code: ErrorCode, stop: () => void): void {
  stopCode = code;
  try {
    stop();
  } finally {
    stopCode = undefined;
  }
}

/** Why logic is being stopped: its process ends, else it is no longer wanted. */
export function stopReason(): ErrorCode {
  return stopCode ?? "PAWL_RUN_CANCELLED";
}

function servicesOf(system: unknown): StepServices {
  const { services } = system as { services?: StepServices };
  if (services === undefined) throw new PawlError("PAWL_NO_HOST");
  return services;
}

const steps = new WeakMap<object, AnyActorLogic>();
const childRuns = new WeakMap<object, Startable>();
const attempts = new WeakSet<object>();

/** What an actor of this logic runs as a run of its own, addressed by the actor; undefined for other logic. */
export function childRunOf(logic: object): Startable | undefined {
  return childRuns.get(logic);
}

/** Which attempt of a step an actor with this snapshot is; undefined for other logic. */
export function attemptNumber(logic: object, snapshot: unknown): number | undefined {
  return attempts.has(logic) ? (snapshot as { readonly input?: StepAttempt }).input?.attempt : undefined;
}
const stepLogics = new WeakSet<object>();

/** Was this logic made by `step()`? What it is made of is pawl's affair, and no part of a user's machine. */
export function isStep(logic: unknown): boolean {
  return typeof logic === "object" && logic !== null && stepLogics.has(logic);
}

/**
 * An agent, or a workflow, as logic that a machine can invoke: `setup({ actors: { plan: step(planner) } })`. Its input is
 * the agent's, its output the agent's result. An agent is called with its retries and its timeout; a workflow runs as a
 * run of its own, which is cancelled when the state is left.
 *
 * @example
 * ```ts
 * const machine = setup({ actors: { plan: step(planner) } }).createMachine({
 *   id: 'trip',
 *   initial: 'planning',
 *   states: { planning: { invoke: { src: 'plan', input: { topic: 'ratchets' }, onDone: 'ready' } }, ready: { type: 'final' } },
 * });
 * ```
 */
export function step<Given, Result>(of: Agent<Given, Result> | Workflow<Given, Result>): PromiseActorLogic<Result, Given> {
  let logic = steps.get(of);
  if (logic === undefined) steps.set(of, (logic = "plan" in of ? workflowLogic(of) : agentLogic(of)));
  stepLogics.add(logic);
  return logic as never;
}

function agentLogic(agent: Agent): AnyActorLogic {
  const attempt = fromPromise<unknown, StepAttempt>(({ input, self, system, signal }) => {
    const { sessionId } = (self as unknown as { readonly _parent: { readonly sessionId: string } })._parent;
    const services = servicesOf(system);
    const { runId } = system as unknown as { readonly runId: string };
    const call = { runId, stepId: sessionId.slice(runId.length + 1), attempt: input.attempt, input: input.given, signal };
    return services.attempt(agent, call);
  });
  attempts.add(attempt);
  called.set(attempt, agent);
  if (agent.work.kind === "run") childRuns.set(attempt, agent.work.of as Startable);
  return stepMachine.provide({ actors: { attempt } });
}

function workflowLogic(workflow: Workflow): AnyActorLogic {
  const logic = fromPromise<unknown>(async ({ input, self, system, signal }) => {
    const { output } = await servicesOf(system).childRun(workflow, self.sessionId, input, signal);
    return output;
  });
  childRuns.set(logic, workflow);
  return logic;
}
