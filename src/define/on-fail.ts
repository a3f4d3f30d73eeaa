/**
 * What a node's failure means when its attempts are used up: other agents take over one after the other, and then comes the
 * final word.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import { type AttemptOptions, type FinalWord, type Policy, oneOf, policyOf } from "./policy.ts";

/** Another agent takes over: it is given the same, and dependents read its result. */
export interface Alternative<Given = any, Result = any> extends AttemptOptions {
  readonly use: Agent<Given, Result>;
  /** When its attempts are used up, too. Default 'block'. */
  readonly onFail?: OnFail<Given, Result> | undefined;
}

/** What a failure means for those that depend on the node, when its attempts are used up. */
export type OnFail<Given = any, Result = any> = FinalWord | Alternative<Given, Result>;

const FINAL_WORDS: readonly FinalWord[] = ["block", "skip", "compensate"];
/** Agents that one node may have in all. */
const AGENTS_MAX = 10;

/** The agents that take over, in order. */
export function alternativesOf(onFail: OnFail | undefined): Agent[] {
  return typeof onFail === "object" ? [onFail.use, ...alternativesOf(onFail.onFail)] : [];
}

/** What stands at the end of the alternatives. */
export function finalWordOf(onFail: OnFail | undefined): FinalWord {
  return typeof onFail === "object" ? finalWordOf(onFail.onFail) : (onFail ?? "block");
}

/** The policy with what follows its failure. */
export function withOnFail(policy: Policy, onFail: OnFail | undefined, at: string, agents = 1): Policy {
  if (agents > AGENTS_MAX) throw new PawlError("PAWL_INVALID_VALUE", { message: `more than ${AGENTS_MAX} agents follow each other in onFail`, at });
  if (typeof onFail !== "object") return { ...policy, onFail: oneOf(onFail ?? "block", FINAL_WORDS, "onFail", at) };
  if (onFail.use?.policy === undefined)
    throw new PawlError("PAWL_MISSING_FIELD", {
      message: "onFail has no agent to use",
      next: "write onFail: { use: agent }, 'block', 'skip' or 'compensate'",
      at,
    });
  const alternative = withOnFail(policyOf(onFail, at, onFail.use.policy), onFail.onFail, at, agents + 1);
  return { ...policy, alternative, onFail: alternative.onFail };
}
