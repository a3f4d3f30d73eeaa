/**
 * Limits and circuit breakers at a glance, as a worker knows them without asking the store, by their names: those of definitions.
 * What tenants use is added up.
 */
import { isBreakerKey, readBreakerRow } from "./breaker-row.ts";
import { type BreakerView, breakerView } from "./breaker-view.ts";
import { LIMIT_KEY, agentLimitName, readLimitKey } from "./limit-key.ts";
import { type LimitRow, sharesNow } from "./limit-row.ts";
import type { BreakerNow, LimitNow } from "./metering.ts";
import type { Protection } from "./protection.ts";

type Demand = Pick<LimitNow, "used" | "waiting" | "held">;

const NO_DEMAND: Demand = { used: 0, waiting: 0, held: 0 };

/** `now` is the worker's steady time. */
export function limitsNow({ limits, shared, concurrency }: Protection, now: number): Record<string, LimitNow> {
  const found = new Map<string, LimitNow>();
  const add = (name: string, policy: Pick<LimitNow, "max" | "perMs">, demand: Demand): void => {
    const one = { max: policy.max, perMs: policy.perMs, ...demand, utilization: demand.used / policy.max };
    const known = found.get(name);
    found.set(name, known === undefined ? one : together(known, one));
  };
  for (const limit of limits.all.values()) add(limit.name, limit, limit.demand);
  for (const key of shared.keys) {
    if (!key.startsWith(LIMIT_KEY) || limits.all.has(key)) continue;
    const row = shared.get(key) as LimitRow;
    add(readLimitKey(key).name, { max: row.max ?? row.says.max, perMs: row.says.perMs }, demandOf(row, now));
  }
  for (const policy of limits.policies) if (!found.has(policy.name)) add(policy.name, policy, NO_DEMAND);
  for (const [agent, max] of concurrency) if (!found.has(agentLimitName(agent))) add(agentLimitName(agent), { max, perMs: undefined }, NO_DEMAND);
  return Object.fromEntries(found);
}

function together(one: LimitNow, other: LimitNow): LimitNow {
  const { max, utilization } = other.utilization > one.utilization ? other : one;
  return { ...one, max, utilization, used: one.used + other.used, waiting: one.waiting + other.waiting, held: one.held + other.held };
}

function demandOf(row: LimitRow, now: number): Demand {
  const shares = Object.values(sharesNow(row, now));
  return { used: sum(shares.map(({ use }) => use)), waiting: sum(shares.map(({ want }) => want)), held: 0 };
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((a, b) => a + b, 0);
}

export function breakersNow({ breakers, shared }: Protection): Record<string, BreakerNow> {
  const found = new Map(breakers.views().map((view) => [view.name, nowOf(view)]));
  for (const key of shared.keys) {
    const row = isBreakerKey(key) ? readBreakerRow(shared.get(key)) : undefined;
    if (row !== undefined && !found.has(row.policy.name)) found.set(row.policy.name, nowOf(breakerView(row)));
  }
  return Object.fromEntries(found);
}

function nowOf({ state, openings, failures, successes, calls }: BreakerView): BreakerNow {
  return { state, openings, failures, successes, failureRate: calls === null || calls.calls === 0 ? null : calls.failures / calls.calls };
}
