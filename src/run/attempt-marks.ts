/**
 * What the turns of a node say of its attempts, to be counted once they are durable.
 */
import { type Agent } from "../define/agent.ts";
import type { AttemptMark } from "./metering.ts";
import { type NodeActor, agentOf } from "./node-actor.ts";

export function attemptStarted(actor: NodeActor): AttemptMark {
  return { kind: "started", agent: agentOf(actor).name };
}

/** The node has ended, or backs off. What somebody said of its end is no attempt. */
export function attemptEnded(actor: NodeActor, now: number): AttemptMark[] {
  const { node, snapshot, since, overridden } = actor;
  const { value, context } = snapshot;
  if (overridden !== undefined || context.attempt === 0) return [];
  const undoes = node.undoes !== undefined;
  const ms = now - since;
  if (value === "cancelled") return [{ kind: "cancelled", agent: agentOf(actor).name }];
  if (value === "completed") return [{ kind: "succeeded", agent: agentOf(actor).name, ms, attempt: context.attempt - context.attemptsBefore, undoes }];
  if (context.failure === undefined) return [];
  const failure = context.failure.kind;
  return [{ kind: "failed", agent: failedAgent(actor).name, ms, failure, isRetried: value === "backingOff", undoes }];
}

/** When an alternative has just taken over, the one before it has failed. */
function failedAgent(actor: NodeActor): Agent {
  const { snapshot, node } = actor;
  const { alternative, attempt, attemptsBefore } = snapshot.context;
  if (alternative === 0 || snapshot.value !== "backingOff" || attempt !== attemptsBefore) return agentOf(actor);
  return alternative === 1 ? node.agent : node.alternatives[alternative - 2]!;
}
