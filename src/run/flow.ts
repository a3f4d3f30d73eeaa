/**
 * A flow: nodes that wait before the gate for the same, for the same tenant. The run whose turn it is stands first.
 */
import type { Agent } from "../define/agent.ts";
import type { AgentBreaker } from "../define/breaker.ts";
import type { Plan } from "../define/plan.ts";
import { Heap } from "./heap.ts";
import type { HostedRun } from "./hosted-run.ts";
import type { Limit } from "./limit.ts";
import { flowNumber } from "./limit-flows.ts";
import { readLimitKey } from "./limit-key.ts";
import type { Pass } from "./pass.ts";
import { Queue } from "./queue.ts";

/** So long a wait counts as much as a priority of one more. */
const AGEING_MS = 60_000;

/** So often may it be a flow's turn in vain before what it finds is kept for it. */
const PASSED_BY_MAX = 4;

/** A run whose nodes, or steps, may wait here. */
export interface GatedRun extends HostedRun {
  readonly plan?: Pick<Plan, "breaker">;
  /** Begins the attempt of this node, or step, which has waited here; answers whether it still waited. */
  grantParked(index: number, pass: Pass): boolean;
}

export interface Parked {
  readonly index: number;
  readonly since: number;
  /** Of what there was too little then. */
  readonly lacked: Limit | undefined;
}

/** Nodes of one run that wait in one flow, the first in line first. */
export interface Line {
  readonly run: GatedRun;
  readonly nodes: Queue<Parked>;
}

export interface Need {
  readonly limit: Limit;
  readonly amount: number;
}

/** That a flow waits, and for which limit if it is one. What has been left stands in line no longer. */
export interface Place {
  readonly flow: Flow;
  readonly limit: Limit | undefined;
}

/** Nodes that use the same, for the same tenant. */
export class Flow {
  readonly agent: Agent;
  readonly needs: readonly Need[];
  readonly breaker: AgentBreaker | undefined;
  /** What other workers call it, too. */
  readonly number: number;
  /** What it calls, by the name that those share who hear of each other when it is busy. */
  readonly service: string;
  /** Whose turn it is: the least; of equals who came first. */
  tag = 0;
  cameAs = 0;
  /** Where it waits: for its turn, a limit, or something else. */
  placed: Place | undefined;
  /** It claims the first so many of its needs: up to that for which it waits. */
  claimed = 0;
  /** The first so many of those are kept for it: for one that was passed by too often. */
  kept = 0;
  /** So often it was its turn, since it was granted something, and something was lacking. */
  passedBy = 0;
  count = 0;
  readonly lines = new Map<HostedRun, Line>();
  /** Those of them that have nodes; also some that have left. */
  readonly inLine = new Heap<Line>((line) => this.lines.get(line.run) !== line);

  /** `key` is what it has to itself beside its agent. */
  constructor(agent: Agent, key: string, needs: readonly Need[], breaker: AgentBreaker | undefined) {
    this.agent = agent;
    this.number = flowNumber(`${agent.name} ${key}`);
    // all claim in one order: so nobody has what another lacks who has what he lacks. Who waits for time to pass claims nothing else
    this.needs = needs.toSorted(({ limit: a }, { limit: b }) => (b.perMs ?? 0) - (a.perMs ?? 0) || (a.key < b.key ? -1 : 1));
    this.breaker = breaker;
    const own = needs.map(({ limit }) => readLimitKey(limit.key)).find(({ isPerTenant }) => isPerTenant);
    this.service = (breaker?.name ?? agent.name) + (own === undefined ? "" : `/${own.tenant ?? ""}`);
  }

  get queueTimeoutMs(): number | undefined {
    return this.agent.guard?.queueTimeoutMs;
  }

  comesBefore(other: Flow): boolean {
    return this.tag < other.tag || (this.tag === other.tag && this.cameAs < other.cameAs);
  }

  /** It waits at so many workers, and so has its turn less often at each. */
  get places(): number {
    let most = 1;
    for (const { limit } of this.needs) most = Math.max(most, limit.placesOf(this.number));
    return most;
  }

  get lacking(): Limit | undefined {
    return this.needs.find((need, at) => !this.finds(need, at))?.limit;
  }

  /** Is there enough of this one, its how manieth, beside what is kept for others? */
  finds({ limit, amount }: Need, at: number): boolean {
    return at < this.kept ? limit.hasKept : limit.has(amount);
  }

  get wasPassedBy(): boolean {
    return this.passedBy >= PASSED_BY_MAX;
  }

  /** What asks for more than there ever is. */
  get tooLarge(): Need | undefined {
    for (const need of this.needs) if (need.amount > need.limit.mostEver) return need;
    return undefined;
  }

  /** What it needs of this limit. */
  needOf(limit: Limit): number {
    return this.needs.find((need) => need.limit === limit)?.amount ?? 0;
  }
}

/** Less is sooner. */
export function rankOf({ lane }: Pick<GatedRun, "lane">, { since }: Pick<Parked, "since">): number {
  return since - (lane?.priority ?? 0) * AGEING_MS;
}
