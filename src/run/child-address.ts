/**
 * The runs that actors of a machine run are: a workflow invoked as a step, or an attempt of an agent that is a machine.
 */
import { childRunId } from "./attempt.ts";
import type { Actor } from "./xstate/actor.ts";
import { attemptNumber, childRunOf } from "./xstate/step.ts";
import type { ActorSystem } from "./xstate/system.ts";

/** The id of the run that this actor is; undefined for any other. */
export function childAddress(runId: string, actor: Actor, system: ActorSystem): string | undefined {
  if (childRunOf(actor.logic) === undefined) return undefined;
  const attempt = attemptNumber(actor.logic, system.snapshotOf(actor));
  return attempt === undefined ? `${runId}/${actor.key}` : childRunId(runId, actor.parent!.key, attempt);
}
