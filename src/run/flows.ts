/**
 * The flows before the gate: one for each agent, tenant and breaker. Those in which nobody waits go after a while, so that
 * tenants that come and go leave nothing behind.
 */
import type { Agent } from "../define/agent.ts";
import { type Breaker, breakerFor } from "../define/breaker.ts";
import { Flow } from "./flow.ts";
import type { Limits } from "./limits.ts";

/** After so many new ones, or as many as there are, it is looked for those that nobody needs. */
const SWEEP_EVERY = 1_000;

export class Flows {
  readonly #limits: Limits;
  readonly #flows = new Map<Agent, Map<string, Flow>>();
  #untilSweep = SWEEP_EVERY;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get all(): Flow[] {
    return [...this.#flows.values()].flatMap((flows) => [...flows.values()]);
  }

  /** `shared` is the breaker of agents that have none. */
  of(agent: Agent, tenant: string | undefined, shared: Breaker | undefined): Flow {
    const key = shared === undefined ? (tenant ?? "") : `${tenant ?? ""} ${shared.name}`;
    return this.#flows.get(agent)?.get(key) ?? this.#make(agent, key, tenant, shared);
  }

  #make(agent: Agent, key: string, tenant: string | undefined, shared: Breaker | undefined): Flow {
    if (--this.#untilSweep <= 0) this.#sweep();
    const { concurrency, uses = [] } = agent.guard ?? {};
    const needs = uses.flatMap(({ resource, amount }) => {
      const limit = this.#limits.of(resource, tenant);
      return limit === undefined ? [] : [{ limit, amount }];
    });
    if (concurrency !== undefined) needs.unshift({ limit: this.#limits.ofAgent(agent.name, concurrency), amount: 1 });
    const flow = new Flow(agent, key, needs, breakerFor(agent, shared));
    const flows = this.#flows.get(agent) ?? new Map<string, Flow>();
    this.#flows.set(agent, flows.set(key, flow));
    return flow;
  }

  #sweep(): void {
    this.forget(({ count }) => count === 0);
    this.#untilSweep = Math.max(SWEEP_EVERY, this.all.length);
  }

  /** Those that nobody needs any more are made anew if somebody does. */
  forget(isUnneeded: (flow: Flow) => boolean): void {
    for (const [agent, flows] of this.#flows) {
      for (const [key, flow] of flows) if (isUnneeded(flow)) flows.delete(key);
      if (flows.size === 0) this.#flows.delete(agent);
    }
  }
}
