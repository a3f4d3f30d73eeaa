/**
 * What a recovery action is, and what it has said when it has ended.
 */
import type { NodeEvent, Failure, Verdict } from "../../machines/node.ts";
import { type Agent, agent } from "../define/agent.ts";
import { placeholder } from "../define/node-definition.ts";
import type { Policy } from "../define/policy.ts";
import { isVerdict } from "../define/recovery.ts";
import { PawlError } from "../errors.ts";
import { decode } from "./codec.ts";
import { makeFailure } from "./failure.ts";

/** A recovery action by its name, and by how many alternatives had taken over when it was called. */
export interface Action {
  readonly action: string;
  readonly alternative: number;
}

const plain = new WeakMap<Policy, Policy>();

/** The policy of an agent that has no recovery actions of its own where it is called: nothing runs beside it. */
export function plainPolicy({ policy }: Agent): Policy {
  if (policy.warnAfterMs === undefined) return policy;
  const known = plain.get(policy);
  if (known !== undefined) return known;
  const { warnAfterMs: _warnAfterMs, onWarn: _onWarn, ...made } = policy;
  plain.set(policy, made);
  return made;
}

/** Stands for an action that is not declared: it fails and says so. */
export function missingAction(name: string): Agent {
  const { input, output } = placeholder(name);
  const run = (): never => {
    throw new PawlError("PAWL_UNKNOWN_RECOVERY", { message: `no recovery action "${name}" is declared by the agent, its node or stage` });
  };
  return agent({ name, input, output, retry: { maxAttempts: 1 }, run });
}

/** Recovery actions, and compensations, have none of their own. */
export function withoutAction({ recover: _recover, ...failure }: Failure): Failure {
  return failure;
}

/** What an action has said; one that failed itself, or said something else, lets the node go on as without it. */
export function verdictOf(action: string, output: string | undefined, failure: Failure | undefined): { readonly verdict: Verdict; readonly failure?: Failure } {
  if (output === undefined) return { verdict: "continue", ...(failure !== undefined && { failure }) };
  const said = decode(output);
  if (isVerdict(said)) return { verdict: said };
  const message = `recovery action "${action}" said ${output.slice(0, 100)}, but has to say 'continue', 'restart' or 'fail'`;
  return { verdict: "continue", failure: makeFailure("invalidOutput", "PAWL_OUTPUT_INVALID", message) };
}

/** What the node is told; an attempt that runs is given up for this reason unless it goes on. */
export function recoveryEnded(action: string, verdict: Verdict): NodeEvent {
  if (verdict === "continue") return { type: "recovery.ended", verdict };
  const message = `the attempt took longer than its warnAfter, and recovery action "${action}" said '${verdict}'`;
  return { type: "recovery.ended", verdict, failure: makeFailure("timeout", "PAWL_AGENT_OVERDUE", message) };
}
