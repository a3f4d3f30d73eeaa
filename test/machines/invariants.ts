/**
 * What must hold at every moment of a machine's life, as predicates over the moments up to now.
 */
import type { BreakerContext } from "../../machines/breaker.ts";
import type { EventContext } from "../../machines/event.ts";
import type { GroupContext } from "../../machines/group.ts";
import type { NodeContext } from "../../machines/node.ts";
import type { StageContext } from "../../machines/stage.ts";
import type { StepContext } from "../../machines/step.ts";
import type { WorkflowContext } from "../../machines/workflow.ts";
import type { Moment } from "./drivers.ts";

/** Holds of the moments so far, the newest last. */
export type Invariant = (moments: readonly Moment[]) => boolean;

const newest = (moments: readonly Moment[]): Moment => moments.at(-1)!;
const node = (moments: readonly Moment[]): NodeContext => newest(moments).context;
const step = (moments: readonly Moment[]): StepContext => newest(moments).context;
const run = (moments: readonly Moment[]): WorkflowContext => newest(moments).context;
const group = (moments: readonly Moment[]): GroupContext => newest(moments).context;
const awaited = (moments: readonly Moment[]): EventContext => newest(moments).context;
const timesAsked = (moments: readonly Moment[], action: string): number => moments.flatMap(({ actions }) => actions).filter((name) => name === action).length;
const isIn = (moments: readonly Moment[], ...values: string[]): boolean => values.includes(newest(moments).value);

/** Final is final: no action and no timer after it, and nothing changes. */
export const staysEnded: Invariant = (moments) => {
  const before = moments.at(-2);
  const now = newest(moments);
  if (now.status === "done" && now.timersMs.length > 0) return false;
  return before?.status !== "done" || (now.context === before.context && now.value === before.value && now.actions.length === 0);
};

/** Attempts of the agent that is called now. */
const attemptsNow = (moments: readonly Moment[]): number => node(moments).attempt - node(moments).attemptsBefore;
/** Another agent has taken over, or a new round has begun. */
const hasBegunAnew = (moments: readonly Moment[]): boolean => node(moments).attemptsBefore > 0;
/** And was not called yet. */
const hasTurned = (moments: readonly Moment[]): boolean => hasBegunAnew(moments) && attemptsNow(moments) === 0;

export const attemptsWithinPolicy: Invariant = (moments) => attemptsNow(moments) <= node(moments).policy.maxAttempts;

/** The agent is called once for each attempt that was granted. */
export const callsPerAttempt: Invariant = (moments) => timesAsked(moments, "callAgent") === node(moments).attempt;

/** Did somebody say how it ends? */
const isOverridden = (moments: readonly Moment[]): boolean => newest(moments).told?.type === "node.overridden";

/**
 * A call is given up exactly when its node leaves `running` without the agent's answer: cancelled, overridden, or at its
 * timeout. One that was asked to stop is given up when it does not answer, or answers that it failed.
 */
export const abortsWhatRuns: Invariant = (moments) => {
  if (moments.at(-2)?.value === "stopping") return !isIn(moments, "completed") || newest(moments).actions.includes("abortAgent") === isOverridden(moments);
  if (isIn(moments, "stopping")) return !newest(moments).actions.includes("abortAgent");
  const unanswered = isIn(moments, "cancelled") || isOverridden(moments) || (node(moments).failure?.kind === "timeout" && !isIn(moments, "completed"));
  const left = ["running", "warned"].includes(moments.at(-2)?.value ?? "") && !isIn(moments, "running", "warned");
  return newest(moments).actions.includes("abortAgent") === (left && unanswered);
};

/** A call is asked to stop exactly once, when the run is unwound while it runs. */
export const stopsByAsking: Invariant = (moments) => timesAsked(moments, "stopAgent") === (moments.some(({ value }) => value === "stopping") ? 1 : 0);

/** At least what the failure asked for; else between 0 and the longest interval. An alternative, or new round, is not waited for. */
export const backoffWithinPolicy: Invariant = (moments) => {
  const { backoffMs, policy, failure } = node(moments);
  if (hasBegunAnew(moments) && attemptsNow(moments) <= 1 && backoffMs === 0) return true;
  const askedMs = failure?.retryAfterMs ?? 0;
  return backoffMs >= Math.max(0, askedMs) && backoffMs <= Math.max(Math.ceil(policy.maxIntervalMs), askedMs);
};

/** It backs off only to try again, and for as long as was drawn. */
export const backsOffToRetry: Invariant = (moments) => {
  if (!isIn(moments, "backingOff")) return true;
  const { policy, failure, backoffMs } = node(moments);
  if (hasTurned(moments)) return failure !== undefined && newest(moments).timersMs[0] === 0;
  return failure?.retryable === true && attemptsNow(moments) < policy.maxAttempts && newest(moments).timersMs[0] === backoffMs;
};

/** It gives up only when it may not try again, and says why. */
export const givesUpWithReason: Invariant = (moments) => {
  if (!isIn(moments, "failed", "skipped")) return true;
  const { policy, failure } = node(moments);
  if (failure?.code === "PAWL_NODE_OVERRIDDEN") return true;
  if (policy.alternative !== undefined) return false;
  const told = moments.find(({ status }) => status === "done")!.told as { verdict?: string };
  return (
    failure !== undefined &&
    (told.verdict === "fail" || !failure.retryable || attemptsNow(moments) === policy.maxAttempts) &&
    isIn(moments, policy.onFail === "skip" ? "skipped" : "failed")
  );
};

/** Each action that began is counted, and is given up when what it was for is over; there are ten at most. */
export const countsActions: Invariant = (moments) => {
  const { recoveries } = node(moments);
  const before = moments.at(-2)?.value ?? "";
  const left = ["warned", "recovering"].includes(before) && changed(moments);
  if (newest(moments).actions.includes("stopAction") !== left) return false;
  return recoveries <= 10 && timesAsked(moments, "startAction") === recoveries;
};

/** An attempt is warned of at its instant and times out at its own; a node that recovers waits for no time. */
export const warnsInTime: Invariant = (moments) => {
  const { warnAfterMs, timeoutMs } = node(moments).policy;
  const [timerMs] = newest(moments).timersMs;
  if (isIn(moments, "running")) return timerMs === (warnAfterMs ?? timeoutMs);
  if (isIn(moments, "warned")) return warnAfterMs !== undefined && timerMs === timeoutMs - warnAfterMs;
  return !isIn(moments, "recovering") || timerMs === undefined;
};

/** A node recovers only when its failure asks for it. */
export const recoversAsAsked: Invariant = (moments) => !isIn(moments, "recovering") || node(moments).failure?.recover !== undefined;

/** What ended badly says why; what completed has nothing to say. */
export const runEndsWithReason: Invariant = (moments) => {
  if (isIn(moments, "failed", "timedOut")) return run(moments).failure !== undefined;
  return !isIn(moments, "completed") || run(moments).failure === undefined;
};

/** A supervisor is started once, when the run is, and stopped exactly when the run ends before it has settled. */
export const supervisorStartsOnce: Invariant = (moments) => {
  const begun = moments.some(({ value }) => value === "running");
  if (timesAsked(moments, "startSupervisor") !== (begun ? 1 : 0)) return false;
  const unsettled = isIn(moments, "cancelled", "timedOut") || run(moments).failure?.kind === "timeout";
  const before = moments.at(-2)?.value ?? "";
  // what is undone ends of itself, or is cut off
  if (before === "compensating") return isIn(moments, "cancelled") || !newest(moments).actions.includes("stopSupervisor");
  return newest(moments).actions.includes("stopSupervisor") === (["running", "paused"].includes(before) && unsettled);
};

/** A pause starts and stops nothing, and only an end, or what stops the run for good, comes of it but the resume. */
export const pausesQuietly: Invariant = (moments) => {
  if (isIn(moments, "paused")) return newest(moments).actions.length === 0 && newest(moments).timersMs.length === 0;
  return moments.at(-2)?.value !== "paused" || isIn(moments, "running", "collecting", "compensating", "failed", "timedOut", "cancelled");
};

/** What was done is undone at most once, for a reason, and the run ends by that reason. */
export const unwindsForAReason: Invariant = (moments) => {
  const began = moments.some(({ value }) => value === "compensating");
  const { unwinds } = run(moments);
  if (timesAsked(moments, "unwindSupervisor") !== (began ? 1 : 0) || began !== (unwinds !== undefined)) return false;
  return !began || isIn(moments, "compensating", "cancelled") || (isIn(moments, "failed") && unwinds === "failed");
};

/** A run times out as its policy says. */
export const timesOutByPolicy: Invariant = (moments) => !isIn(moments, "timedOut") || run(moments).policy.onTimeout === "partial";

/** Nodes are cancelled exactly by stopping. */
export const cancelsByStopping: Invariant = (moments) => timesAsked(moments, "cancelNodes") === (isIn(moments, "stopped") ? 1 : 0);

/** Nothing is undone before what runs has ended: it is asked to stop once, then one node after the other is compensated. */
export const undoesWhatEnded: Invariant = (moments) =>
  timesAsked(moments, "stopNodes") === (moments.some(({ value }) => value === "stopping") ? 1 : 0) &&
  (!newest(moments).actions.includes("compensateNext") || isIn(moments, "unwinding")) &&
  (!isIn(moments, "unwound") || timesAsked(moments, "compensateNext") > 0);

/** One attempt more each time it runs, and none otherwise. */
export const countsAttempts: Invariant = (moments) => {
  const before = moments.at(-2);
  const begins = isIn(moments, "running") && before?.value !== "running";
  return step(moments).attempt === (before === undefined ? 0 : before.context.attempt) + (begins ? 1 : 0);
};

/** It backs off for as long as the failure said, and has a result exactly when it completed. */
export const stepWaitsAsTold: Invariant = (moments) =>
  (!isIn(moments, "backingOff") || newest(moments).timersMs[0] === step(moments).failure?.waitMs) &&
  isIn(moments, "completed") === (step(moments).result !== undefined);

const changed = (moments: readonly Moment[]): boolean => moments.at(-2)?.value !== newest(moments).value;

/** Its members are found out once, before anything else, whatever comes of it. */
export const opensOnce: Invariant = (moments) => timesAsked(moments, "openGroup") === 1 && moments[0]!.actions.includes("openGroup");

/** Its result is asked for exactly when its members have settled, once each time. */
export const closesWhatSettled: Invariant = (moments) =>
  newest(moments).actions.includes("closeGroup") === (isIn(moments, "closing") && changed(moments)) &&
  (!(isIn(moments, "closing") && changed(moments)) || moments.at(-2)?.value === "open");

/** A group has a result only if it was opened and its members have settled, or somebody set it; it waits for no time. */
export const completesInOrder: Invariant = (moments) => {
  const ways = moments.filter((_, i) => changed(moments.slice(0, i + 1))).map(({ value }) => value);
  if (moments.some(({ timersMs }) => timersMs.length > 0)) return false;
  if (moments.some(({ told }) => told?.type === "node.overridden")) return true;
  return !isIn(moments, "completed") || /^opening(,open,closing)+,completed$/.test(ways.join());
};

/** It has a failure exactly when it ended by it, as its policy says. */
export const groupEndsWithReason: Invariant = (moments) => {
  const { failure, policy } = group(moments);
  if (failure?.code === "PAWL_NODE_OVERRIDDEN") return isIn(moments, "failed", "skipped");
  const isSkipped = policy.onFail === "skip" || moments.find(({ value }) => isIn(moments, value))?.told?.type === "round.skipped";
  if (isIn(moments, "failed", "skipped")) return failure !== undefined && isIn(moments, isSkipped ? "skipped" : "failed");
  return failure === undefined;
};

/** It waits for as long as its policy says, and for nothing once it has ended. */
export const waitsAsLongAsSaid: Invariant = (moments) =>
  isIn(moments, "awaited") ? newest(moments).timersMs.join() === String(awaited(moments).policy.timeoutMs) : newest(moments).timersMs.length === 0;

/** An event that does not come in time is a failure of kind timeout, as its policy says; what came has none. */
export const lateIsAFailure: Invariant = (moments) => {
  const { failure, policy } = awaited(moments);
  if (failure?.code === "PAWL_NODE_OVERRIDDEN") return isIn(moments, "failed", "skipped");
  if (isIn(moments, "failed", "skipped")) return failure?.kind === "timeout" && isIn(moments, policy.onFail === "skip" ? "skipped" : "failed");
  return failure === undefined;
};

const breaker = (moments: readonly Moment[]): BreakerContext => newest(moments).context;
const changedTo = (moments: readonly Moment[], value: string): boolean => changed(moments) && isIn(moments, value);
const toldAt = (moments: readonly Moment[]): number => (newest(moments).told as { at?: number } | undefined)?.at ?? 0;

/** No more probes than there is place for, each once, and only while it is half open; none that had lapsed when the last was granted. */
export const probesHavePlaces: Invariant = (moments) => {
  const { leases, policy } = breaker(moments);
  const ids = leases.map(({ id }) => id);
  if (newest(moments).told?.type === "probe.asked" && leases.some(({ lapsesAt }) => lapsesAt <= toldAt(moments))) return !changed(moments);
  return leases.length <= policy.halfOpenMax && new Set(ids).size === ids.length && (leases.length === 0 || isIn(moments, "halfOpen"));
};

/** It leaves open of itself only when somebody wants to try, and not before its time. */
export const staysOpenLongEnough: Invariant = (moments) => {
  if (!changedTo(moments, "halfOpen")) return true;
  const before = moments.at(-2)!;
  return before.value === "open" && newest(moments).told?.type === "probe.asked" && toldAt(moments) - before.context.since >= breaker(moments).policy.openForMs;
};

/** It opens for what failed or was slow while it was closed, or for a probe of its own that failed. */
export const opensForAReason: Invariant = (moments) => {
  if (!changedTo(moments, "open")) return true;
  const before = moments.at(-2)!;
  const told = newest(moments).told as { type: string; probe?: string; durationMs: number };
  if (before.value === "halfOpen") return told.type === "call.failed" && before.context.leases.some(({ id }: { id: string }) => id === told.probe);
  return before.value === "closed" && told.probe === undefined && toldAt(moments) - told.durationMs >= before.context.since;
};

/** It closes when enough of its probes have succeeded, or because somebody said so. */
export const closesByProbes: Invariant = (moments) => {
  if (!changedTo(moments, "closed") || moments.length === 1 || newest(moments).told?.type === "breaker.reset") return true;
  const before = moments.at(-2)!;
  return before.value === "halfOpen" && before.context.successes + 1 === breaker(moments).policy.successThreshold;
};

/** Less than what would have opened it is counted, and nothing of that is left when it has closed. */
export const countsBelowThresholds: Invariant = (moments) => {
  const { failures, successes, policy } = breaker(moments);
  if (isIn(moments, "closed")) return failures < policy.failureThreshold && successes === 0 && (!changed(moments) || failures === 0);
  return successes < policy.successThreshold;
};

/** What somebody forced stays so until somebody says otherwise. */
export const staysForced: Invariant = (moments) =>
  !changed(moments) || !(moments.at(-2)?.value ?? "").startsWith("forced") || (newest(moments).told?.type ?? "").startsWith("breaker.");

/** Its instant is that of the event that brought it into its state. */
export const knowsSinceWhen: Invariant = (moments) => !changed(moments) || moments.length === 1 || breaker(moments).since === toldAt(moments);
/** Its actions come one after the other, as many as it names, and only after its warning; it waits for no timer. */
export const actsAfterWarning: Invariant = (moments) => {
  const { recoveries, policy } = newest(moments).context as StageContext;
  if (timesAsked(moments, "startAction") !== recoveries || recoveries > policy.onWarn.length || newest(moments).timersMs.length > 0) return false;
  if (newest(moments).actions.includes("stopAction") !== (moments.at(-2)?.value === "warned" && changed(moments))) return false;
  return recoveries === 0 || moments.some(({ value }) => value === "warned");
};

/** What has not ended is failed exactly when the time is up. */
export const failsAtTimeout: Invariant = (moments) => timesAsked(moments, "failNodes") === (isIn(moments, "timedOut") ? 1 : 0);
/** What it may ask for, by what it is asked for. */
const CHANGES: Readonly<Record<string, string>> = {
  "limit.spare": "giveBack",
  "limit.wanting": "ask",
  "limit.unwanted": "withdraw",
  "limit.used": "write",
  "limit.idle": "leave",
};

/** One change of the row at a time: it is asked for exactly when it begins to be written, by its reason. */
export const changesOneAtATime: Invariant = (moments) => {
  const { actions, told } = newest(moments);
  if (!isIn(moments, "writing") || moments.at(-2)?.value === "writing") return actions.length === 0;
  return actions.length === 1 && actions[0] === CHANGES[told?.type ?? ""];
};

/** While a change is on its way only its end, or that of the worker, is heard. */
export const writesToTheEnd: Invariant = (moments) =>
  moments.at(-2)?.value !== "writing" || isIn(moments, "writing") !== ["row.written", "worker.lost"].includes(newest(moments).told?.type ?? "");

/** Nothing is given back that nobody lacks, and nothing is left while somebody waits. */
export const givesBackWhatIsTooMuch: Invariant = (moments) => {
  const { actions } = newest(moments);
  const before = moments.at(-2)?.value;
  return (!actions.includes("giveBack") || before === "over") && (!actions.includes("leave") || before === "enough");
};

/** It waits for no time and has no end. */
export const goesOnForEver: Invariant = (moments) => newest(moments).timersMs.length === 0 && newest(moments).status === "active";

/** By the id of the machine; each under the name that a failure is reported with. */
export const INVARIANTS: Readonly<Record<string, Readonly<Record<string, Invariant>>>> = {
  breaker: { probesHavePlaces, staysOpenLongEnough, opensForAReason, closesByProbes, countsBelowThresholds, staysForced, knowsSinceWhen },
  event: { staysEnded, waitsAsLongAsSaid, lateIsAFailure },
  group: { staysEnded, opensOnce, closesWhatSettled, completesInOrder, groupEndsWithReason },
  node: {
    staysEnded,
    attemptsWithinPolicy,
    callsPerAttempt,
    abortsWhatRuns,
    backoffWithinPolicy,
    backsOffToRetry,
    givesUpWithReason,
    stopsByAsking,
    countsActions,
    warnsInTime,
    recoversAsAsked,
  },
  stage: { staysEnded, actsAfterWarning, failsAtTimeout },
  limiter: { changesOneAtATime, writesToTheEnd, givesBackWhatIsTooMuch, goesOnForEver },
  step: { staysEnded, countsAttempts, stepWaitsAsTold },
  supervisor: { staysEnded, cancelsByStopping, undoesWhatEnded },
  workflow: { staysEnded, runEndsWithReason, supervisorStartsOnce, pausesQuietly, timesOutByPolicy, unwindsForAReason },
};

/** Throws with the name of the first invariant that does not hold at some moment. */
export function checkInvariants(machineId: string, moments: readonly Moment[]): void {
  for (const [name, holds] of Object.entries(INVARIANTS[machineId] ?? {}))
    for (let length = 1; length <= moments.length; length++)
      if (!holds(moments.slice(0, length))) throw new Error(`${name} does not hold of ${machineId} after step ${length - 1}`);
}
