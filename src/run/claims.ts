/**
 * Which flows claim a limit: those that wait for it, and those that have it and wait for something else. What all of them
 * together want of it, and the most that one attempt of theirs needs, is what other workers are told. What a flow was passed
 * by for too often is kept for it: nobody else here is granted that.
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

  /**
   * From now on the flow claims the first so many of its needs, and has the first `found` of them, which are kept for it if it was
   * passed by too often. Answers those that no longer are: they may be enough for others.
   */
  claim(flow: Flow, upTo: number, found = 0): Limit[] {
    for (; flow.claimed < upTo; flow.claimed++) this.#claimOne(flow, flow.needs[flow.claimed]!, true);
    while (flow.claimed > upTo) this.#claimOne(flow, flow.needs[--flow.claimed]!, false);
    return this.#keep(flow, flow.wasPassedBy ? found : 0);
  }

  #keep(flow: Flow, upTo: number): Limit[] {
    const given = flow.needs.slice(upTo, flow.kept);
    for (const { limit, amount } of given) limit.kept -= amount;
    for (const { limit, amount } of flow.needs.slice(flow.kept, upTo)) limit.kept += amount;
    flow.kept = upTo;
    return given.map(({ limit }) => limit);
  }

  /** What is kept for it is to be taken now. */
  useKept(flow: Flow): void {
    flow.passedBy = 0;
    this.#keep(flow, 0);
  }

  #claimOne(flow: Flow, { limit, amount }: Need, isClaimed: boolean): void {
    const flows = this.#flows.get(limit) ?? new Set();
    this.#flows.set(limit, flows);
    if (isClaimed) flows.add(flow);
    else flows.delete(flow);
    if (isClaimed) limit.waiters.add(flow);
    else limit.waiters.delete(flow);
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
