/**
 * A plan whose timeouts and warnings are multiplied, for slow machines. How long an event is awaited is people's affair and stays.
 */
import type { Plan, PlanNode } from "./plan.ts";
import type { Policy } from "./policy.ts";
import type { Ladder } from "./recovery.ts";

const scaledPlans = new WeakMap<Plan, Map<number, Plan>>();
const scaledPolicies = new WeakMap<Policy, Map<number, Policy>>();

/** The plan with its lengths multiplied; it tells by how much. One that was multiplied stays as it is. */
export function scaledPlan(plan: Plan, factor = 1): Plan {
  if (factor === 1 || plan.timeoutMultiplier !== 1) return plan;
  return known(scaledPlans, plan, factor, () => ({
    ...plan,
    timeoutMultiplier: factor,
    timeoutMs: plan.timeoutMs * factor,
    nodes: plan.nodes.map((node): PlanNode => (node.kind === "event" ? node : { ...node, policy: scaledPolicy(node.policy, factor) })),
    ladder: scaledLadder(plan.ladder, factor),
    stages: new Map([...plan.stages].map(([name, stage]) => [name, { ...stage, ...scaledLadder(stage, factor) }])),
  }));
}

/** The policy with its lengths multiplied; the same object each time. */
export function scaledPolicy(policy: Policy, factor: number): Policy {
  if (factor === 1) return policy;
  return known(scaledPolicies, policy, factor, () => ({
    ...policy,
    timeoutMs: policy.timeoutMs * factor,
    ...(policy.warnAfterMs !== undefined && { warnAfterMs: policy.warnAfterMs * factor }),
    ...(policy.alternative !== undefined && { alternative: scaledPolicy(policy.alternative, factor) }),
  }));
}

function scaledLadder<L extends Ladder>(ladder: L, factor: number): L {
  const { timeoutMs, warnAfterMs } = ladder;
  return {
    ...ladder,
    ...(timeoutMs !== undefined && { timeoutMs: timeoutMs * factor }),
    ...(warnAfterMs !== undefined && { warnAfterMs: warnAfterMs * factor }),
  };
}

function known<T extends object>(all: WeakMap<T, Map<number, T>>, of: T, factor: number, make: () => T): T {
  const made = all.get(of) ?? new Map<number, T>();
  all.set(of, made);
  if (!made.has(factor)) made.set(factor, make());
  return made.get(factor)!;
}
