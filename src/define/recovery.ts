/**
 * Recovery actions: agents that are called when another agent fails, or takes long, and say how its node goes on.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import { checkName, didYouMean } from "./name.ts";
import { type Duration, durationMs } from "./duration.ts";
import type { Policy } from "./policy.ts";
import type { FieldPath, Place } from "./template.ts";

/**
 * What a recovery action says of the node: 'continue' as if it had not been called; 'restart' with a new round of attempts,
 * which find the steps that were kept; or 'fail': no more attempts of this agent.
 */
export type RecoveryVerdict = "continue" | "restart" | "fail";

/** What a recovery action is given: which attempt of which node failed, or takes long, and what the node was given. */
export interface Recovery<Given = any> {
  readonly runId: string;
  readonly nodeId: string;
  /** What the node was given. */
  readonly input: Given;
  readonly attempt: number;
  /** Of what the attempt failed; of one that takes long that it does. */
  readonly error: { readonly kind: string; readonly code: string; readonly message: string };
}

/** What a recovery action of a stage, or of a run, is given: that of a node, or the stage or run that takes long. */
export interface StageRecovery extends Omit<Recovery, "nodeId" | "attempt"> {
  /** The node whose attempt failed; undefined when the stage or run takes long, and `input` is the run's. */
  readonly nodeId?: string;
  readonly attempt?: number;
  /** The stage that takes long; undefined for a run. */
  readonly stage?: string;
}

/** When people are warned of a stage or run, and what runs then; all lengths of time in which the run could work. */
export interface LadderOptions {
  /** Less than the timeout. Default: nobody is warned. */
  readonly warnAfter?: Duration | undefined;
  /** Recovery actions by name. Those of a stage are also those of its nodes. */
  readonly recovery?: Readonly<Record<string, Agent<StageRecovery, RecoveryVerdict>>> | undefined;
  /**
   * Names of recovery actions that are called after the warning, one after the other; at most ten. 'continue' goes on to the
   * next; 'restart' has the attempts that run given up, each node begins a new round; with 'fail' the timeout strikes.
   */
  readonly onWarn?: readonly string[] | undefined;
}

/** What `stage()` takes beside its name and nodes. */
export interface StageOptions extends LadderOptions {
  /** The longest time of the stage: then those of its nodes fail that have not ended, each as its `onFail` says. Default: none. */
  readonly timeout?: Duration | undefined;
  /** The health check of those of its nodes which say nothing of their own; see `NodeOptions`. */
  readonly healthCheck?: string | undefined;
}

/** A stage's, or run's, checked options. */
export interface Ladder {
  readonly timeoutMs?: number;
  readonly warnAfterMs?: number;
  readonly onWarn: readonly string[];
  readonly recovery?: RecoveryActions;
}

/** Recovery actions by their names. */
export type RecoveryActions<Given = any> = Readonly<Record<string, Agent<Recovery<Given>, RecoveryVerdict>>>;

const VERDICTS: readonly unknown[] = ["continue", "restart", "fail"] satisfies RecoveryVerdict[];

/** Is it what a recovery action may say? */
export function isVerdict(value: unknown): value is RecoveryVerdict {
  return VERDICTS.includes(value);
}

/** Throws PAWL_INVALID_ID or PAWL_MISSING_FIELD unless these are agents under names. */
export function checkRecovery(recovery: RecoveryActions | undefined, place: Place): void {
  for (const [name, agent] of Object.entries(recovery ?? {})) {
    const at = place(["recovery", name]);
    checkName(name, "name of a recovery action", at);
    if (agent?.policy === undefined)
      throw new PawlError("PAWL_MISSING_FIELD", { message: `recovery action "${name}" has no agent`, next: `write recovery: { ${name}: agent }`, at });
  }
}

/** Actions of one stage, or run, in a row. */
const ACTIONS_MAX = 10;

/** The options checked. Throws PAWL_INVALID_VALUE, PAWL_INVALID_ID, PAWL_MISSING_FIELD or PAWL_UNKNOWN_RECOVERY. */
export function ladderOf({ timeout, warnAfter, recovery, onWarn = [] }: StageOptions, place: Place): Ladder {
  checkRecovery(recovery, place);
  const wrong = (field: string, message: string): PawlError => new PawlError("PAWL_INVALID_VALUE", { message, at: place([field]) });
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, "timeout", place(["timeout"]));
  const warnAfterMs = warnAfter === undefined ? undefined : durationMs(warnAfter, "warnAfter", place(["warnAfter"]));
  if (warnAfterMs === undefined && onWarn.length > 0) throw wrong("onWarn", "onWarn is given, but no warnAfter");
  if (onWarn.length > ACTIONS_MAX) throw wrong("onWarn", `onWarn names ${onWarn.length} actions; ${ACTIONS_MAX} are allowed`);
  if (warnAfterMs !== undefined && timeoutMs !== undefined && warnAfterMs >= timeoutMs)
    throw wrong("warnAfter", `warnAfter is ${warnAfterMs} ms, but must be less than the timeout of ${timeoutMs} ms`);
  checkKnown(onWarn, recovery, place, ["onWarn"]);
  return {
    onWarn,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(warnAfterMs !== undefined && { warnAfterMs }),
    ...(recovery !== undefined && { recovery: recovery as RecoveryActions }),
  };
}

/** Throws PAWL_UNKNOWN_RECOVERY unless each action that the policies name is there for the agent that they are of. */
export function checkWarnings(policy: Policy, agents: readonly Agent[], own: RecoveryActions | undefined, place: Place, path: FieldPath = []): void {
  const [agent, ...others] = agents;
  checkKnown(policy.onWarn, { ...agent?.recovery, ...own }, place, [...path, "onWarn"]);
  if (policy.alternative !== undefined) checkWarnings(policy.alternative, others, own, place, [...path, "onFail"]);
}

/** `path`: where they are named. */
function checkKnown(names: readonly string[] = [], recovery: object = {}, place: Place, path: FieldPath): void {
  const known = Object.keys(recovery);
  for (const [i, name] of names.entries()) if (!Object.hasOwn(recovery, name)) throw unknownRecovery(name, known, place([...path, i]));
}

function unknownRecovery(name: string, known: readonly string[], at: string): PawlError {
  const declared = known.length === 0 ? "none is declared" : `there are ${known.join(", ")}`;
  return new PawlError("PAWL_UNKNOWN_RECOVERY", { message: `no recovery action "${name}"${didYouMean(name, known)}   ${declared}`, at });
}
