/**
 * What is counted of runs: what a commit says of its own, read from the little that it says first and not from all of it; and
 * what is in memory now.
 */
import type { Commit } from "../store/store.ts";
import type { AttemptSeams } from "./attempt.ts";
import { decode } from "./codec.ts";
import { DagRun } from "./dag-run.ts";
import { readHistoryEntry } from "./history.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { RunMark, WorkerMetrics } from "./metering.ts";
import type { RunBody } from "./row.ts";
import { ROOT_KEY } from "./xstate/system.ts";
import type { Worker } from "./worker.ts";

/** What happens to a run itself is said before what happens to its nodes. */
const OF_RUN = '[["run.';

/** An attempt, a stage or a run takes longer than its warning says. */
const WARNED = '.warned"';

/** A run that others have recorded begins with its second commit. */
const MACHINE_BEGUN = JSON.stringify(["machine.turned", ROOT_KEY, "xstate.init"]).slice(0, -1);

/** Counts it, and looks how things are when it is about trouble. */
export function noteCommit({ meter, health }: AttemptSeams, run: HostedRun, commit: Commit): void {
  const mark = runMark(commit, () => run instanceof DagRun && run.progress.hasBlocked);
  if (mark !== undefined) meter?.run(mark);
  if (mark?.recovered || mark?.ended === "failed" || mark?.ended === "timedOut" || commit.history.includes(WARNED)) health?.troubled();
}

/** Most commits say nothing of the run itself. `isBlocked` is asked of a run that failed. */
function runMark({ runId, from, at, run, history }: Commit, isBlocked: () => boolean): RunMark | undefined {
  if (from > 1 && !run.finished && run.status !== "compensating" && !history.startsWith(OF_RUN)) return undefined;
  const says = history.startsWith(OF_RUN) ? readHistoryEntry({ commitNo: from + 1, at, body: history }).events : [];
  const isMachineBegun = from <= 1 && history.includes(MACHINE_BEGUN);
  return {
    ...{ runId, workflow: run.workflow, at },
    started: isMachineBegun || says.some(({ type }) => type === "run.started"),
    recovered: says.some(({ type }) => type === "run.recovered"),
    compensates: run.status === "compensating" && history.includes('["run.compensating"'),
    ended: run.finished ? run.status : undefined,
    endedBefore: run.finished && run.body.includes('"endedBefore"') ? (decode(run.body) as RunBody).endedBefore : undefined,
    isBlocked: run.finished && run.status === "failed" && isBlocked(),
  };
}

/** Of a process that executes nothing all is 0. */
export function workerMetrics(workflows: number, worker: Worker | undefined): WorkerMetrics {
  const runs = [...(worker?.runs.values() ?? [])];
  return {
    workflows,
    runsInMemory: runs.length,
    runsActive: worker?.turns.places.taken ?? 0,
    runsActiveMax: worker?.turns.places.max ?? 0,
    runsPending: runs.filter(({ isPending }) => isPending).length,
    attemptsQueued: runs.reduce((sum, { queued }) => sum + queued, 0),
    attemptsParked: worker?.protection.gate.waiting ?? 0,
    attemptsRunning: runs.reduce((sum, { running }) => sum + running, 0),
    permitsHeld: worker?.permits.held ?? 0,
    permitsMax: worker?.permits.max ?? 0,
  };
}
