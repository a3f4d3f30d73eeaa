/**
 * Recovery actions: agents that are called when another agent fails, or takes long, and say how its node goes on.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import { checkName, didYouMean } from "./name.ts";
import type { Policy } from "./policy.ts";

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

/** Recovery actions by their names. */
export type RecoveryActions<Given = any> = Readonly<Record<string, Agent<Recovery<Given>, RecoveryVerdict>>>;

const VERDICTS: readonly unknown[] = ["continue", "restart", "fail"] satisfies RecoveryVerdict[];

/** Is it what a recovery action may say? */
export function isVerdict(value: unknown): value is RecoveryVerdict {
  return VERDICTS.includes(value);
}

/** Throws PAWL_INVALID_ID or PAWL_MISSING_FIELD unless these are agents under names. */
export function checkRecovery(recovery: RecoveryActions | undefined, at: string): void {
  for (const [name, agent] of Object.entries(recovery ?? {})) {
    checkName(name, "name of a recovery action", at);
    if (agent?.policy === undefined)
      throw new PawlError("PAWL_MISSING_FIELD", { message: `recovery action "${name}" has no agent`, next: `write recovery: { ${name}: agent }`, at });
  }
}

/** Throws PAWL_UNKNOWN_RECOVERY unless each action that the policies name is there for the agent that they are of. */
export function checkWarnings(policy: Policy, agents: readonly Agent[], own: RecoveryActions | undefined, at: string): void {
  const [agent, ...others] = agents;
  const known = { ...agent?.recovery, ...own };
  for (const name of policy.onWarn ?? []) if (!Object.hasOwn(known, name)) throw unknownRecovery(name, Object.keys(known), at);
  if (policy.alternative !== undefined) checkWarnings(policy.alternative, others, own, at);
}

function unknownRecovery(name: string, known: readonly string[], at: string): PawlError {
  const declared = known.length === 0 ? "none is declared" : `there are ${known.join(", ")}`;
  return new PawlError("PAWL_UNKNOWN_RECOVERY", { message: `no recovery action "${name}";${didYouMean(name, known)}   ${declared}`, at });
}
