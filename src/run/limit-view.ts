/**
 * Limits as people see them and change them, in any process: from the rows that workers share, and where this process
 * executes, from what it knows of its own use.
 */
import type { LimitPolicy } from "../define/limits.ts";
import { wholeNumber } from "../define/policy.ts";
import { checkName } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { type KnownLimits, knownLimits, requireLimit } from "./known-limits.ts";
import { limitKey, readLimitKey } from "./limit-key.ts";
import type { Limit } from "./limit.ts";
import { type LimitRow, type ShareRow, rowOf, sharesStill } from "./limit-row.ts";
import { changeShared } from "./shared-rows.ts";
import { nextExpiryOf } from "./window-use.ts";
import type { Worker } from "./worker.ts";

/** What one worker has of a limit. */
export interface LimitShare {
  /** The worker; see `pawl.workers()`. */
  readonly epoch: number;
  /** Its process. */
  readonly pid: number;
  /** It may use so much without asking. */
  readonly share: number;
  readonly used: number;
  /** What waits there for its turn, in the limit's own unit; nothing while that worker can start nothing, and others go first. */
  readonly waiting: number;
  /** How many nodes wait for that. */
  readonly nodes: number;
  /** How long it takes there from one node's turn to the next, as it was of late, in ms; undefined when too little is known. */
  readonly everyMs: number | undefined;
}

/** A limit at a glance. What other workers use is at most about a second old. */
export interface LimitView {
  /** The name of the resource; `agent:<name>` is the `concurrency` of an agent. */
  readonly name: string;
  /** Of a limit for each tenant: whose it is. undefined: of runs without one, or of nobody yet. */
  readonly tenant: string | undefined;
  readonly max: number;
  /** What the code says, where an operator has set another one. */
  readonly setFrom: number | undefined;
  /** The length of its window in ms; undefined when attempts hold what they use until they end. */
  readonly perMs: number | undefined;
  /** It is one for each tenant. */
  readonly each: "tenant" | undefined;
  /** Workers that are there were given different numbers for it: each goes by its own. Give all the same. */
  readonly differs: boolean;
  readonly used: number;
  readonly waiting: number;
  /** How many nodes wait, in all workers. */
  readonly nodes: number;
  /** Until the last of them has its turn, in ms, by how fast it went of late; undefined when too little is known, or none waits. */
  readonly waitMs: number | undefined;
  /** Of workers that are there. */
  readonly shares: readonly LimitShare[];
  /** Of a window of which something was used: when the first of it counts no more, in ms since 1970. */
  readonly freeAt: number | undefined;
}

/** Which of a name's limits is changed. */
export interface LimitTarget {
  /** Of a limit for each tenant: whose. */
  readonly tenant?: string;
}

export interface Looking {
  readonly store: Store;
  readonly now: () => number;
  /** Where this process executes. */
  readonly worker: Worker | undefined;
}

/** By name and tenant. */
export async function viewLimits(looking: Looking): Promise<LimitView[]> {
  const known = await knownLimits(looking.store);
  const keys = new Set(known.rows.keys());
  const seen = new Set([...keys].map((key) => readLimitKey(key).name));
  for (const policy of known.policies.values()) if (!seen.has(policy.name)) keys.add(limitKey(policy, undefined));
  return [...keys].toSorted().map((key) => viewLimit(looking, known, key));
}

/** The limit of this key. Throws PAWL_UNKNOWN_LIMIT. */
export function viewLimit({ now, worker }: Looking, known: KnownLimits, key: string): LimitView {
  const { name, tenant } = readLimitKey(key);
  const policy = requireLimit(known, name);
  const row = known.rows.get(key) ?? noRow(policy);
  const here = worker?.protection.limits.all.get(key);
  const { max = policy.max } = row;
  const [shares, perMs] = [sharesStill(row, (epoch) => known.pids.has(epoch), now()), policy.perMs];
  const all = Object.entries(shares).map(([id, share]) => {
    const isHere = here !== undefined && Number(id) === worker?.epoch;
    const { used, waiting, nodes, everyMs } = isHere ? ownUse(here) : writtenUse(share);
    const freeAt = perMs === undefined ? undefined : nextExpiryOf(share.used, perMs, now());
    return { epoch: Number(id), pid: known.pids.get(Number(id)) ?? 0, share: share.share, used, waiting, nodes, everyMs, isGone: share.isGone, freeAt };
  });
  const sum = (amounts: readonly number[]): number => amounts.reduce((a, b) => a + b, 0);
  const freeAts = all.flatMap(({ freeAt }) => (freeAt === undefined ? [] : [freeAt]));
  return {
    name,
    tenant,
    max,
    setFrom: row.max === undefined ? undefined : policy.max,
    perMs,
    each: policy.isPerTenant ? "tenant" : undefined,
    differs: known.differing.has(name),
    used: sum(all.map(({ used }) => used)),
    waiting: sum(all.map(({ waiting }) => waiting)),
    nodes: sum(all.map(({ nodes }) => nodes)),
    waitMs: longest(all.map(({ nodes, everyMs }) => (nodes === 0 ? 0 : everyMs && nodes * everyMs))),
    shares: all.filter(({ isGone }) => !isGone).map(({ isGone: _isGone, freeAt: _freeAt, ...share }) => share),
    freeAt: freeAts.length === 0 ? undefined : Math.min(...freeAts),
  };
}

type Use = Pick<LimitShare, "used" | "waiting" | "nodes" | "everyMs">;

function ownUse(limit: Limit): Use {
  return { used: limit.inUse(), waiting: limit.want, nodes: limit.nodes, everyMs: limit.grantEveryMs };
}

function writtenUse({ use, want, nodes = 0, everyMs }: ShareRow): Use {
  return { used: use, waiting: want, nodes, everyMs };
}

/** Of which one is not known, the longest is not; 0 is none. */
function longest(lengths: readonly (number | undefined)[]): number | undefined {
  const most = lengths.reduce((a, b) => (a === undefined || b === undefined ? undefined : Math.max(a, b)), 0);
  return most === 0 ? undefined : most;
}

function noRow({ max, perMs }: LimitPolicy): LimitRow {
  return { says: { max, ...(perMs !== undefined && { perMs }) }, shares: {} };
}

/** `max` undefined: what the code says. Throws PAWL_UNKNOWN_LIMIT, PAWL_INVALID_VALUE, PAWL_INVALID_ID. */
export async function changeLimit(looking: Looking, name: string, max: number | undefined, { tenant }: LimitTarget): Promise<LimitView> {
  if (max !== undefined) wholeNumber(max, "max", `limit "${name}"`);
  const policy = requireLimit(await knownLimits(looking.store), name);
  if (tenant !== undefined) checkName(tenant, "tenant");
  if (policy.isPerTenant !== (tenant !== undefined))
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: policy.isPerTenant
        ? `limit "${name}" is one for each tenant, and no tenant is named`
        : `limit "${name}" is one for all tenants together, and one is named`,
      next: policy.isPerTenant ? "name the tenant: { tenant } (`--tenant`)" : "leave out the tenant",
    });
  const key = limitKey(policy, tenant);
  await changeShared<LimitRow>(looking.store, key, (row) => withMax(row ?? noRow(policy), max));
  await looking.worker?.protection.refresh();
  return viewLimit(looking, await knownLimits(looking.store), key);
}

function withMax(known: LimitRow, max: number | undefined): LimitRow | undefined {
  const { max: _max, ...row } = known;
  return rowOf({ ...row, ...(max !== undefined && { max }) });
}
