/**
 * Health checks: what somebody says of an agent, a service, or anything else that work depends on.
 */
import { PawlError } from "../errors.ts";
import type { Agent } from "./agent.ts";
import type { Duration } from "./duration.ts";
import { NAME } from "./name.ts";

/** From well to dead: WARNING is for people, DEGRADED works badly, CRITICAL should be given no work, FAILED cannot be asked. */
export const HEALTH_STATUSES = ["HEALTHY", "WARNING", "DEGRADED", "CRITICAL", "FAILED"] as const;
export type HealthStatus = (typeof HEALTH_STATUSES)[number];

/** What a check found. */
export interface CheckResult {
  readonly status: HealthStatus;
  /** Figures and words, for people and programs. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** What to do about it. */
  readonly recommendations?: readonly string[];
}

/** Looks how something is. One that throws, or does not answer in time, has found FAILED. */
export type HealthCheck = (context: { readonly signal: AbortSignal }) => CheckResult | Promise<CheckResult>;

/** A check, and how long it may take. */
export interface TimedHealthCheck {
  readonly check: HealthCheck;
  /** Default '5s'. */
  readonly timeout?: Duration;
}

/** Throws PAWL_INVALID_VALUE unless it names a check, or the agent has one of its own. */
export function checkedHealthCheck(healthCheck: unknown, agent: Agent, at: string): true | string | undefined {
  if (healthCheck === undefined) return undefined;
  if (healthCheck === true) {
    if (agent.healthCheck !== undefined) return true;
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `healthCheck is true, but agent "${agent.name}" has none`,
      next: "give the agent a healthCheck, or name one of those that open() is given",
      at,
    });
  }
  if (typeof healthCheck === "string" && NAME.test(healthCheck)) return healthCheck;
  throw new PawlError("PAWL_INVALID_VALUE", { message: "healthCheck must be true or the name of a check", at });
}
