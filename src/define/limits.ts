/**
 * Limits: how much of something all runs of a store may use at once, or within a time; and what an agent uses.
 */
import { PawlError } from "../errors.ts";
import { type Duration, durationMs } from "./duration.ts";
import { checkName } from "./name.ts";
import { wholeNumber } from "./policy.ts";

/** How much of one resource may be used. */
export interface LimitOptions {
  /** So much at once; with `per`, within any such time. A whole number of at least 1. */
  readonly max: number;
  /** The length of the time, for example '60s'. Left out: attempts hold what they use until they end. */
  readonly per?: Duration | undefined;
  /** 'tenant': so much for each tenant that runs are started for. Left out: for all together. */
  readonly each?: "tenant" | undefined;
}

/** Limits by the names of their resources: `{ llmTokens: { max: 100_000, per: '60s' }, dbConnections: { max: 50 } }`. */
export type LimitsOptions = Readonly<Record<string, LimitOptions>>;

/** What an agent may say about what it uses. */
export interface UseOptions {
  /** Attempts of this agent that run at once, over all runs and workers of the store. Default: no such limit. */
  readonly concurrency?: number | undefined;
  /** How much an attempt uses of each limit of `open()`, by name: an estimate, which `ctx.used` corrects. Ignored by a worker without limits. */
  readonly uses?: Readonly<Record<string, number>> | undefined;
  /** An attempt that waits longer than this for what it uses fails. Default: it waits as long as it takes. */
  readonly queueTimeout?: Duration | undefined;
}

/** A limit, checked. */
export interface LimitPolicy {
  readonly name: string;
  readonly max: number;
  /** The length of its window in ms; undefined when it is held. */
  readonly perMs: number | undefined;
  readonly isPerTenant: boolean;
}

/** What an attempt of an agent waits for before it starts, checked. */
export interface Guard {
  readonly concurrency?: number | undefined;
  readonly uses: readonly { readonly resource: string; readonly amount: number }[];
  readonly queueTimeoutMs?: number | undefined;
}

/** What workers say of an agent to each other. */
export interface AgentUse extends Pick<Guard, "concurrency" | "uses"> {
  readonly agent: string;
}

export function limitPoliciesOf(options: LimitsOptions): LimitPolicy[] {
  return Object.entries(options).map(([name, { max, per, each }]) => {
    checkName(name, "limit name");
    const at = `limit "${name}"`;
    wholeNumber(max, "max", at);
    if (each !== undefined && each !== "tenant")
      throw new PawlError("PAWL_INVALID_VALUE", { message: `each is ${JSON.stringify(each)}, but must be 'tenant' or left out`, at });
    return { name, max, perMs: per === undefined ? undefined : durationMs(per, "per", at), isPerTenant: each === "tenant" };
  });
}

/** undefined when an attempt waits for nothing. */
export function guardOf({ concurrency, uses, queueTimeout }: UseOptions, at: string): Guard | undefined {
  if (concurrency !== undefined) wholeNumber(concurrency, "concurrency", at);
  const amounts = Object.entries(uses ?? {}).map(([resource, amount]) => {
    checkName(resource, "limit name", at);
    wholeNumber(amount, `uses.${resource}`, at);
    return { resource, amount };
  });
  const queueTimeoutMs = queueTimeout === undefined ? undefined : durationMs(queueTimeout, "queueTimeout", at);
  if (concurrency === undefined && amounts.length === 0) {
    if (queueTimeoutMs === undefined) return undefined;
    throw new PawlError("PAWL_INVALID_VALUE", { message: "queueTimeout is given, but there is nothing to wait for", next: "add concurrency or uses", at });
  }
  return { concurrency, uses: amounts, queueTimeoutMs };
}

/** What an attempt says that it used. Throws PAWL_INVALID_VALUE. */
export function checkAmounts(amounts: Readonly<Record<string, number>>): void {
  for (const [resource, amount] of Object.entries(amounts)) {
    checkName(resource, "limit name");
    if (!(Number.isFinite(amount) && amount >= 0))
      throw new PawlError("PAWL_INVALID_VALUE", { message: `used.${resource} is ${String(amount)}, but must be a number of at least 0` });
  }
}
