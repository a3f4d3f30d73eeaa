/**
 * What steps of machines need from the process: attempts of agents, and runs of their own for workflows.
 */
import { scaledPolicy } from "../define/scaled-plan.ts";
import { backoffMs } from "../../machines/node.ts";
import type { StepFailure } from "../../machines/step.ts";
import type { Clock } from "../clock.ts";
import type { Agent } from "../define/agent.ts";
import { AgentError, type ErrorCode, PawlError } from "../errors.ts";
import type { Random } from "../random.ts";
import { Attempt, type AttemptSeams } from "./attempt.ts";
import { leaveOf } from "./attempt-marks.ts";
import { decode } from "./codec.ts";
import { makeFailure } from "./failure.ts";
import type { AttemptMark } from "./metering.ts";
import { type StepLeave, leaveGiven } from "./step-gate.ts";
import { type StepCall, type StepServices, stopReason } from "./xstate/step.ts";

/** The number of an actor in its address: steps are counted together that have the same place in the machine. */
const INCARNATION = /~\d+/g;

interface StepSeams {
  readonly clock: Clock;
  readonly random: Random;
  readonly attempts: AttemptSeams;
}

/** The services of a process; `runs` gives the results of runs of their own, and of others, and `machineOf` the machine of a run here. */
export function stepServices(seams: StepSeams, runs: Pick<StepServices, "childRun" | "otherRun">, machineOf: (runId: string) => string): StepServices {
  const services: StepServices = {
    ...runs,
    attempt: (agent, call) => attempt(seams, services, agent, call, leaveGiven(), seams.attempts.meter?.attempts(machineOf(call.runId))),
  };
  return services;
}

async function attempt(
  { clock, random, attempts }: StepSeams,
  services: StepServices,
  agent: Agent,
  call: StepCall,
  leave: StepLeave | undefined,
  mark: (mark: AttemptMark) => void = () => {},
): Promise<unknown> {
  const pass = leave?.pass;
  if (leave?.written !== undefined) await leave.written;
  // it has ended meanwhile: nobody hears this
  if (call.signal.aborted) throw new PawlError("PAWL_RUN_CANCELLED");
  const policy = scaledPolicy(agent.policy, attempts.timeoutMultiplier ?? 1);
  const facts = { runId: call.runId, nodeId: call.stepId, attempt: call.attempt, deadlineAt: clock.now() + policy.timeoutMs, upstreamFailures: [], pass };
  const made = new Attempt(facts, { clock, attempts, services });
  const abandoned = Promise.withResolvers<undefined>();
  const abandon = (code: ErrorCode): void => {
    made.abandon(code);
    abandoned.resolve(undefined);
  };
  call.signal.addEventListener("abort", () => abandon(stopReason()));
  const [name, node, since] = [agent.name, call.stepId.replaceAll(INCARNATION, ""), clock.mono()];
  mark({ kind: "started", agent: name, leave: pass && leaveOf(pass) });
  const cancelTimer = clock.after(policy.timeoutMs, () => abandon("PAWL_AGENT_TIMEOUT"));
  const { refusal } = pass ?? {};
  const performed = refusal === undefined ? made.perform(agent, () => call.input, policy.nonRetryable) : { failure: refusal };
  const outcome = await Promise.race([performed, abandoned.promise]);
  cancelTimer();
  const ms = clock.mono() - since;
  if (outcome !== undefined && outcome.failure === undefined) {
    pass?.end("success");
    mark({ kind: "succeeded", agent: name, ms, attempt: call.attempt, undoes: false, through: pass?.outcome });
    mark({ kind: "ended", node, as: "completed", ms });
    return decode(outcome.output);
  }
  const failure =
    outcome?.failure ?? makeFailure("timeout", "PAWL_AGENT_TIMEOUT", "the attempt took longer than its timeout", { nonRetryable: policy.nonRetryable });
  const isCancelled = call.signal.aborted;
  if (!isCancelled && failure.kind === "resource" && failure.retryAfterMs !== undefined) leave?.sentAway(failure.retryAfterMs);
  pass?.end(isCancelled ? "neither" : failure);
  const mayRetry = failure.retryable && call.attempt < policy.maxAttempts;
  const waitMs = mayRetry ? backoffMs(policy, call.attempt, { type: "attempt.failed", failure, jitter: random.next() }) : undefined;
  if (isCancelled) mark({ kind: "cancelled", agent: name });
  else {
    const through = pass?.outcome;
    mark({ kind: "failed", agent: name, ms: refusal === undefined ? ms : undefined, failure: failure.kind, isRetried: mayRetry, undoes: false, through });
  }
  if (isCancelled || !mayRetry) mark({ kind: "ended", node, as: isCancelled ? "cancelled" : "failed", ms });
  const error = Object.assign(new AgentError(failure.message, { kind: failure.kind }), { code: failure.code });
  if (waitMs === undefined) throw error;
  // eslint-disable-next-line no-throw-literal
  throw { error, waitMs } satisfies StepFailure;
}
