/**
 * What the turns of a node say of its attempts, to be counted once they are durable.
 */
import { type Agent } from "../define/agent.ts";
import { type RunNode, isDerived } from "./graph.ts";
import type { AttemptMark, Leave, NodeEnd } from "./metering.ts";
import { type NodeActor, agentOf } from "./node-actor.ts";
import type { Pass } from "./pass.ts";

/** A shorter wait is none: whoever uses a limit after a while asks for a share of it first. */
const WAIT_MIN_MS = 100;

export function attemptStarted(actor: NodeActor): AttemptMark {
  actor.isCounted = true;
  return { kind: "started", agent: agentOf(actor).name, leave: actor.pass && leaveOf(actor.pass) };
}

/** With what it began, or was refused. */
export function leaveOf({ limits, waited, refusedBy, refusal }: Pass): Leave {
  const waitedMs = waited?.ms ?? 0;
  const waitedFor = waitedMs < WAIT_MIN_MS ? undefined : waited?.lacked?.name;
  return { takes: limits.map(({ name }) => name), waitedFor, waitedMs, refusedBy: refusedBy?.name, refusal: refusal?.code };
}

/** The node has ended, or backs off. What somebody said of its end is neither an attempt nor an end of its own. */
export function attemptEnded(actor: NodeActor, now: number): AttemptMark[] {
  const { node, snapshot, since, overridden } = actor;
  const { value, context } = snapshot;
  if (overridden !== undefined || context.attempt === 0) return [];
  const mark = actor.isCounted ? endOf(actor, now - since) : undefined;
  actor.isCounted = false;
  const marks = mark === undefined ? [] : [mark];
  if (ENDS.has(value) && !isDerived(node)) marks.push({ kind: "ended", node: nameOf(node), as: value as NodeEnd, ms: now - since });
  return marks;
}

/** Items of a map, and rounds of a loop, go by its name. */
function nameOf({ id, of }: RunNode): string {
  return of === undefined ? id : id.slice(0, id.lastIndexOf("["));
}

const ENDS: ReadonlySet<string> = new Set(["completed", "failed", "skipped", "cancelled"] satisfies NodeEnd[]);

function endOf(actor: NodeActor, ms: number): AttemptMark | undefined {
  const { node, snapshot, pass } = actor;
  const { value, context } = snapshot;
  const [undoes, through] = [node.undoes !== undefined, pass?.outcome];
  if (value === "cancelled") return { kind: "cancelled", agent: agentOf(actor).name };
  if (value === "completed") return { kind: "succeeded", agent: agentOf(actor).name, ms, attempt: context.attempt - context.attemptsBefore, undoes, through };
  if (context.failure === undefined) return undefined;
  const [agent, failure, isRetried] = [failedAgent(actor).name, context.failure.kind, value === "backingOff"];
  return { kind: "failed", agent, ms: pass?.refusal === undefined ? ms : undefined, failure, isRetried, undoes, through };
}

/** When an alternative has just taken over, the one before it has failed. */
function failedAgent(actor: NodeActor): Agent {
  const { snapshot, node } = actor;
  const { alternative, attempt, attemptsBefore } = snapshot.context;
  if (alternative === 0 || snapshot.value !== "backingOff" || attempt !== attemptsBefore) return agentOf(actor);
  return alternative === 1 ? node.agent : node.alternatives[alternative - 2]!;
}
