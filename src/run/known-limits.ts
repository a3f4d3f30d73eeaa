/**
 * Which limits there are, and what agents use of them, as the workers of a store say: for those that only look.
 */
import type { Agent } from "../define/agent.ts";
import type { AgentUse, LimitPolicy } from "../define/limits.ts";
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { LIMIT_KEY, agentLimitName, readLimitKey } from "./limit-key.ts";
import type { LimitRow } from "./limit-row.ts";
import { readFacts } from "./peers.ts";
import { readSharedValues } from "./shared-rows.ts";

/** Of agents that wait for nothing there is nothing to say. */
export function usesOf(agents: readonly Agent[]): AgentUse[] {
  const uses = new Map<string, AgentUse>();
  for (const { name, guard } of agents) if (guard !== undefined) uses.set(name, { agent: name, concurrency: guard.concurrency, uses: guard.uses });
  return [...uses.values()];
}

export interface KnownLimits {
  readonly policies: ReadonlyMap<string, LimitPolicy>;
  readonly uses: ReadonlyMap<string, AgentUse>;
  /** By their keys. */
  readonly rows: ReadonlyMap<string, LimitRow>;
  /** The names of those of which workers were given different numbers. */
  readonly differing: ReadonlySet<string>;
  /** Of each worker whose epoch is open, by that: its process. */
  readonly pids: ReadonlyMap<number, number>;
}

/** Those of workers whose epochs are open, and those of which there are rows. */
export async function knownLimits(store: Store): Promise<KnownLimits> {
  const [policies, uses, rows] = [new Map<string, LimitPolicy>(), new Map<string, AgentUse>(), new Map<string, LimitRow>()];
  for (const [key, value] of await readSharedValues(store)) {
    if (!key.startsWith(LIMIT_KEY)) continue;
    const row = value as LimitRow;
    const { name, isPerTenant } = readLimitKey(key);
    rows.set(key, row);
    policies.set(name, { name, max: row.says.max, perMs: row.says.perMs, isPerTenant });
  }
  const epochs = await store.readEpochs();
  const [given, differing, pids] = [new Map<string, string>(), new Set<string>(), new Map<number, number>()];
  const give = (policy: LimitPolicy): void => {
    const numbers = JSON.stringify([policy.max, policy.perMs, policy.isPerTenant]);
    if ((given.get(policy.name) ?? numbers) !== numbers) differing.add(policy.name);
    given.set(policy.name, numbers);
    policies.set(policy.name, policy);
  };
  for (const record of epochs) {
    const facts = readFacts(record);
    pids.set(record.id, facts.pid);
    for (const policy of facts.limits) give({ ...policy, perMs: policy.perMs ?? undefined });
    for (const use of facts.uses) {
      uses.set(use.agent, use);
      if (use.concurrency === undefined) continue;
      give({ name: agentLimitName(use.agent), max: use.concurrency, perMs: undefined, isPerTenant: false });
    }
  }
  return { policies, uses, rows, differing, pids };
}

/** Throws PAWL_UNKNOWN_LIMIT. */
export function requireLimit({ policies }: KnownLimits, name: string): LimitPolicy {
  const policy = policies.get(name);
  if (policy !== undefined) return policy;
  throw new PawlError("PAWL_UNKNOWN_LIMIT", { message: `there is no limit "${name}"${didYouMean(name, policies.keys())}` });
}

/** Does each agent use what is limited? Throws PAWL_UNKNOWN_LIMIT: else a misspelt name would limit nothing. */
export function checkUses(agents: readonly Agent[], policies: readonly LimitPolicy[]): void {
  const names = new Set(policies.map(({ name }) => name));
  for (const { name, guard } of agents)
    for (const { resource } of guard?.uses ?? [])
      if (!names.has(resource))
        throw new PawlError("PAWL_UNKNOWN_LIMIT", {
          message: `agent "${name}" uses "${resource}", but no such limit is given${didYouMean(resource, names) || `; limits: ${[...names].join(", ") || "none"}`}`,
          next: `correct the name, or add the limit: \`limits\` of open(), or --limit ${resource}=MAX`,
          at: `agent "${name}"`,
        });
}
