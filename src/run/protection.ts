/**
 * What protects that which agents use: limits and circuit breakers, shared with the other workers, and the gate before which
 * nodes wait for them.
 */
import type { Clock } from "../clock.ts";
import type { Agent } from "../define/agent.ts";
import { type AgentBreaker, type Breaker, type BreakerOption, type BreakerWait, breakerFor, breakerOf, breakerPolicyOf } from "../define/breaker.ts";
import { type LimitsOptions, limitPoliciesOf } from "../define/limits.ts";
import type { AttemptSeams } from "./attempt.ts";
import type { Store } from "../store/store.ts";
import { BreakerNotices } from "./breaker-notices.ts";
import { Breakers } from "./breakers.ts";
import { BusyServices } from "./busy.ts";
import { type Definition, agentsUsed } from "./definition.ts";
import { Gate } from "./gate.ts";
import type { HostedRun } from "./hosted-run.ts";
import { Limits } from "./limits.ts";
import type { Permits } from "./permits.ts";
import { SharedRows } from "./shared-rows.ts";
import { StandAside } from "./stand-aside.ts";

/** How much of what may be used. */
export interface ProtectionOptions {
  readonly limits?: LimitsOptions | undefined;
  readonly breaker?: BreakerOption | undefined;
}

interface ProtectionSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly attempts: AttemptSeams;
  readonly permits: Permits;
  readonly now: () => number;
  readonly epoch: () => number;
  /** People are to be told of what opens and closes. */
  readonly notifies: boolean;
  /** Something is to be written, or somebody can be granted something. */
  readonly wantsTick: () => void;
}

export class Protection {
  readonly shared: SharedRows;
  readonly limits: Limits;
  readonly breakers: Breakers;
  readonly busy: BusyServices;
  readonly gate: Gate;
  readonly aside: StandAside;
  /** What agents say of their `concurrency`, by their names. */
  readonly concurrency = new Map<string, number>();

  /** Definitions, by their hashes, of which all is known that their agents use. */
  readonly #declared = new Set<string>();
  readonly #seams: ProtectionSeams;
  readonly #breaker: Breaker | undefined;
  readonly #notices: BreakerNotices | undefined;

  constructor(seams: ProtectionSeams, { limits, breaker }: ProtectionOptions) {
    this.#seams = seams;
    const { store, clock, now, epoch, wantsTick } = seams;
    const { log, meter } = seams.attempts;
    const after = (ms: number, call: () => void): (() => void) => clock.after(ms, call);
    this.shared = new SharedRows(store, log, { epoch, wantsWrite: wantsTick });
    this.limits = new Limits(limits === undefined ? undefined : limitPoliciesOf(limits), {
      shared: this.shared,
      now,
      epoch,
      after,
      changed: (limit) => {
        this.gate.touched(limit);
        wantsTick();
      },
      forgotten: (forgotten) => this.gate.forget(forgotten),
      wantsTick,
      swept: (limit, count) => meter?.swept(limit, count),
    });
    this.#breaker = breaker === undefined ? undefined : breakerOf(breaker, "open()");
    this.breakers = new Breakers(this.shared, { steadyNow: now, epoch, clock, log });
    if (seams.notifies) this.#notices = new BreakerNotices(this.shared, this.breakers, { store, clock, log });
    this.busy = new BusyServices({ shared: this.shared, now, after });
    this.gate = new Gate({ limits: this.limits, breakers: this.breakers, busy: this.busy, breaker: this.#breaker, now, after, wantsTick });
    this.aside = new StandAside({ permits: seams.permits, limits: this.limits, now, after, wantsTick });
  }

  /** This worker has its epoch: from now on it may write. */
  async begin(definitions: Iterable<Definition>): Promise<void> {
    await this.refresh();
    this.limits.begin();
    this.busy.begin();
    for (const definition of definitions) this.declare(definition);
    this.#notices?.begin();
    this.freed();
  }

  /** Runs of this definition come. Throws PAWL_BREAKER_CONFLICT. */
  declare(definition: Definition): void {
    if (this.#declared.has(definition.hash)) return;
    this.#declared.add(definition.hash);
    for (const { agent, breaker } of this.#usesOf(definition)) {
      if (breaker !== undefined) this.breakers.declare(breakerPolicyOf(breaker), `agent "${agent.name}"`);
      if (agent.guard?.concurrency !== undefined) this.concurrency.set(agent.name, agent.guard.concurrency);
    }
  }

  /** Its agents whose attempts wait while their breaker is open. */
  waitsOf(definition: Definition): BreakerWait[] {
    const waits = new Map<string, BreakerWait>();
    for (const { agent, breaker } of this.#usesOf(definition))
      if (breaker?.onOpen === "wait") waits.set(agent.name, { definition: definition.hash, agent: agent.name, breaker: breaker.name });
    return [...waits.values()];
  }

  #usesOf(definition: Definition): { readonly agent: Agent; readonly breaker: AgentBreaker | undefined }[] {
    const breaker = definition.kind === "dag" ? definition.workflow.plan.breaker : undefined;
    return [...new Set(agentsUsed(definition))].map((agent) => ({ agent, breaker: breakerFor(agent, breaker, this.#breaker) }));
  }

  /** Steady time, by which waits are measured. */
  now(): number {
    return this.#seams.now();
  }

  /** The run is no longer here. */
  leave(run: HostedRun): void {
    this.gate.leave(run);
  }

  /** Others have written. */
  refresh(): Promise<void> {
    return this.shared.refresh();
  }

  /** Another worker is gone. */
  freed(): void {
    this.limits.freed();
    this.breakers.freed();
    this.#seams.wantsTick();
  }

  /** This worker has another epoch, and no runs. */
  lost(): void {
    this.shared.lost();
    this.limits.lost();
  }

  stop(): void {
    this.#notices?.stop();
    this.breakers.stop();
    this.busy.stop();
    this.limits.stop();
    this.gate.stop();
    this.aside.stop();
    this.shared.stop();
  }
}
