/**
 * Which flows claim a limit: those that wait for it, and those that have it and wait for something else. What all of them
 * together want of it, and the most that one attempt of theirs needs, is what other workers are told.
 */
import type { Flow, Need } from "./flow.ts";
import type { Limit } from "./limit.ts";

export class Claims {
  readonly #touch: (limit: Limit) => void;
  readonly #flows = new Map<Limit, Set<Flow>>();

  /** `touch` is told of each limit that is wanted more, or less. */
  constructor(touch: (limit: Limit) => void) {
    this.#touch = touch;
  }

  of(limit: Limit): Iterable<Flow> {
    return this.#flows.get(limit) ?? [];
  }

  /** From now on the flow claims the first so many of its needs. */
  claim(flow: Flow, upTo: number): void {
    for (; flow.claimed < upTo; flow.claimed++) this.#claimOne(flow, flow.needs[flow.claimed]!, true);
    while (flow.claimed > upTo) this.#claimOne(flow, flow.needs[--flow.claimed]!, false);
  }

  #claimOne(flow: Flow, { limit, amount }: Need, isClaimed: boolean): void {
    const flows = this.#flows.get(limit) ?? new Set();
    this.#flows.set(limit, flows);
    if (isClaimed) flows.add(flow);
    else flows.delete(flow);
    if (isClaimed) limit.waiters.add(flow.number);
    else limit.waiters.delete(flow.number);
    limit.waits(isClaimed ? flow.count * amount : -flow.count * amount, isClaimed ? flow.count : -flow.count);
    if (isClaimed) limit.head = Math.max(limit.head, amount);
    else if (limit.head === amount) limit.head = mostOf(flows, limit);
    this.#touch(limit);
  }

  /** Nobody uses it any more. */
  forget(limit: Limit): void {
    this.#flows.delete(limit);
  }
}

function mostOf(flows: ReadonlySet<Flow>, limit: Limit): number {
  let most = 0;
  for (const flow of flows) {
    most = Math.max(most, flow.needOf(limit));
    if (most === limit.head) break;
  }
  return most;
}
