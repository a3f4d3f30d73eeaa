/**
 * Under which keys the rows of limits stand: by the name, of an agent or a resource, and the tenant of which it is one.
 */
import type { LimitPolicy } from "../define/limits.ts";

export const LIMIT_KEY = "limit:";
/** Of agents, what `concurrency` says. People name these limits so, too. */
const AGENT = "agent:";

/** Without a tenant the limit for each tenant is that of the runs that have none. */
export function limitKey({ name, isPerTenant }: Pick<LimitPolicy, "name" | "isPerTenant">, tenant: string | undefined): string {
  return LIMIT_KEY + name + (isPerTenant ? `/${tenant ?? ""}` : "");
}

export function agentLimitKey(agent: string): string {
  return LIMIT_KEY + agentLimitName(agent);
}

/** What people call it. */
export function agentLimitName(agent: string): string {
  return AGENT + agent;
}

/** What a key says; names and tenants have no `/`. */
export function readLimitKey(key: string): { readonly name: string; readonly isPerTenant: boolean; readonly tenant: string | undefined } {
  const [name = "", tenant] = key.slice(LIMIT_KEY.length).split("/");
  return { name, isPerTenant: tenant !== undefined, tenant: tenant === "" ? undefined : tenant };
}
