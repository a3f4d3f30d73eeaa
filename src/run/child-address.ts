/**
 * The runs that actors of a machine run are: a workflow invoked as a step, or an attempt of an agent that is a machine.
 */
import { childRunId } from "./attempt.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { Actor } from "./xstate/actor.ts";
import { attemptNumber, childRunOf } from "./xstate/step.ts";
import type { ActorSystem } from "./xstate/system.ts";

/** The id of the run that this actor is; undefined for any other. */
export function childAddress(runId: string, actor: Actor, system: ActorSystem): string | undefined {
  if (childRunOf(actor.logic) === undefined) return undefined;
  const attempt = attemptNumber(actor.logic, system.snapshotOf(actor));
  return attempt === undefined ? `${runId}/${actor.key}` : childRunId(runId, actor.parent!.key, attempt);
}

/** The run that a run of this id belongs to is one of these, the likeliest first; none for a run that somebody started. */
export function parentsOf(runId: string): string[] {
  const parts = runId.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, -1 - i).join("/"));
}

/** Does a run in memory wait for this one, or did somebody start it? */
export function isWanted(runId: string, runs: ReadonlyMap<string, HostedRun>): boolean {
  const parents = parentsOf(runId);
  return parents.length === 0 || parents.some((id) => runs.get(id)?.wantsChild(runId));
}
