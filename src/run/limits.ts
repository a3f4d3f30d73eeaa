/**
 * The limits that this worker knows, by their resources, agents and tenants: what changed in one is written with the next
 * commits, and what others changed is seen.
 */
import type { LimitPolicy } from "../define/limits.ts";
import { Limit, type LimitRow } from "./limit.ts";
import type { SharedRows } from "./shared-rows.ts";

const KEY = "limit:";
/** Of agents, what `concurrency` says. */
const AGENT = "agent:";

interface LimitsSeams {
  readonly shared: SharedRows;
  readonly now: () => number;
  readonly epoch: () => number;
  /** Of this one there may be more. */
  readonly changed: (limit: Limit) => void;
}

export class Limits {
  readonly #seams: LimitsSeams;
  readonly #policies: ReadonlyMap<string, LimitPolicy>;
  readonly #limits = new Map<string, Limit>();
  readonly #touched = new Set<Limit>();
  #isFreed = false;

  constructor(policies: readonly LimitPolicy[], seams: LimitsSeams) {
    this.#seams = seams;
    this.#policies = new Map(policies.map((policy) => [policy.name, policy]));
    seams.shared.onChange((key) => {
      const limit = this.#limits.get(key);
      if (limit === undefined) return;
      limit.see(seams.shared.get(key) as LimitRow | undefined);
      this.touch(limit);
      seams.changed(limit);
    });
  }

  /** undefined when this resource is not limited. */
  of(resource: string, tenant: string | undefined): Limit | undefined {
    const policy = this.#policies.get(resource);
    if (policy === undefined) return undefined;
    return this.#limit(KEY + resource + (policy.isPerTenant ? `/${tenant ?? ""}` : ""), policy);
  }

  ofAgent(name: string, max: number): Limit {
    return this.#limit(KEY + AGENT + name, { name: AGENT + name, max, perMs: undefined, isPerTenant: false });
  }

  #limit(key: string, policy: LimitPolicy): Limit {
    const known = this.#limits.get(key);
    if (known !== undefined) return known;
    const limit = new Limit(key, policy, this.#seams);
    limit.see(this.#seams.shared.get(key) as LimitRow | undefined);
    this.#limits.set(key, limit);
    return limit;
  }

  /** What is used or wanted of it has changed. */
  touch(limit: Limit): void {
    this.#touched.add(limit);
  }

  /** Says what is to be written now. */
  review(): void {
    const touched = this.#isFreed ? this.#limits.values() : this.#touched;
    for (const limit of touched)
      if (limit.review(this.#isFreed)) this.#seams.shared.change(limit.key, limit.change(), (isWritten) => isWritten && this.#asked(limit));
    this.#touched.clear();
    this.#isFreed = false;
  }

  #asked(limit: Limit): void {
    limit.asked(this.#seams.shared.get(limit.key) as LimitRow | undefined);
    this.touch(limit);
    this.#seams.changed(limit);
  }

  /** Another worker is gone: what it held is free. */
  freed(): void {
    this.#isFreed = true;
  }

  /** This worker has another epoch. */
  lost(): void {
    this.#touched.clear();
    for (const limit of this.#limits.values()) limit.lost();
  }
}
