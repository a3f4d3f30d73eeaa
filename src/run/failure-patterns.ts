/**
 * What runs fail of, over many runs: counted by code, kind, node and agent. Reads the rows of runs a page at a time and
 * keeps only the counts.
 */
import type { Clock } from "../clock.ts";
import type { PlanStructure } from "../define/plan-structure.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { RunRecord, Store } from "../store/store.ts";
import { isMachineRun } from "./machine-view.ts";
import { openRunRow } from "./row.ts";
import type { RunStatus } from "./view.ts";

export interface FailuresOptions {
  /** Only runs started at this instant or later, in ms since 1970. */
  readonly since?: number;
  /** Only runs of this workflow or machine. */
  readonly workflow?: string;
  /** Looks at so many runs of each status, the newest. Default 1,000, at most 100,000. */
  readonly limit?: number;
}

/** Runs that failed of the same. */
export interface FailurePattern {
  readonly count: number;
  readonly workflow: string;
  readonly status: Extract<RunStatus, "failed" | "timedOut" | "quarantined">;
  readonly code: string;
  /** The kind of the failure; undefined for runs that were set aside. */
  readonly kind: string | undefined;
  /** The node that it began with; of an item or round its map or loop. */
  readonly node: string | undefined;
  /** The agent of the node, as the definition names it. */
  readonly agent: string | undefined;
  /** The run that was started last, with its message, and when it was started. */
  readonly newest: { readonly id: string; readonly message: string; readonly createdAt: number };
}

export interface FailurePatterns {
  /** The most frequent first; at most 100. */
  readonly patterns: readonly FailurePattern[];
  /** Runs that were counted, also in patterns that are left out. */
  readonly runs: number;
  /** There are more such runs, which were not looked at. */
  readonly hasMore: boolean;
}

const STATUSES = ["failed", "timedOut", "quarantined"] as const;
const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 100_000;
const PAGE = 500;
const PATTERNS_MAX = 100;
/** Definitions whose agents are kept while it is counted. */
const DEFINITIONS_MAX = 100;

type Counted = Omit<FailurePattern, "count"> & { count: number };

/** Throws PAWL_INVALID_VALUE. */
export async function failurePatterns(store: Store, clock: Clock, { since, workflow, limit = LIMIT_DEFAULT }: FailuresOptions): Promise<FailurePatterns> {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    throw new PawlError("PAWL_INVALID_VALUE", { message: `limit is ${limit}, but must be a whole number from 1 to ${LIMIT_MAX}` });
  const found = new Map<string, Counted>();
  const agents = new Agents(store);
  let [runs, hasMore] = [0, false];
  for (const status of STATUSES) {
    let read = 0;
    for (let after: string | undefined; ;) {
      const page = await store.listRuns({ status, workflow, since, after, limit: Math.min(PAGE, limit + 1 - read) });
      const counted = page.slice(0, limit - read);
      for (const record of counted) count(found, await patternOf(record, status, agents));
      read += page.length;
      runs += counted.length;
      hasMore ||= counted.length < page.length;
      after = page.at(-1)?.id;
      if (page.length < PAGE || read > limit) break;
      // beside busy workers of this process
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
  }
  const patterns = [...found.values()].toSorted((a, b) => b.count - a.count || b.newest.createdAt - a.newest.createdAt);
  return { patterns: patterns.slice(0, PATTERNS_MAX), runs, hasMore };
}

/** The list is newest first: the first run of a pattern is its newest. */
function count(found: Map<string, Counted>, pattern: Counted): void {
  const { workflow, status, code, kind, node, agent } = pattern;
  const key = JSON.stringify([workflow, status, code, kind, node, agent]);
  const known = found.get(key);
  if (known === undefined) found.set(key, pattern);
  else known.count++;
}

async function patternOf(record: RunRecord, status: FailurePattern["status"], agents: Agents): Promise<Counted> {
  const { id, workflow, createdAt } = record;
  const failure = failureOf(record);
  const node = failure.node?.replace(/\[\d+\]$/, "");
  const agent = node === undefined || isMachineRun(record) ? undefined : await agents.of(record.definition, node);
  return { count: 1, workflow, status, code: failure.code, kind: failure.kind, node, agent, newest: { id, message: failure.message, createdAt } };
}

/** The row of a run that was set aside may be the reason: only its reason is read. */
function failureOf(record: RunRecord): { readonly code: string; readonly kind?: string; readonly message: string; readonly node?: string | undefined } {
  const { status, reason } = record;
  if (status === "quarantined") {
    const [, code = "PAWL_RUN_QUARANTINED", message = reason ?? ""] = /^(PAWL_[A-Z_]+): ([^]*)$/.exec(reason ?? "") ?? [];
    return { code, message };
  }
  try {
    return openRunRow(record).failure ?? { code: "PAWL_RUN_FAILED", message: "no reason is known" };
  } catch (error) {
    if (isPawlError(error, "PAWL_ROW_CORRUPT")) return { code: error.code, message: error.message };
    throw error;
  }
}

/** The agents of nodes, by their definitions. */
export class Agents {
  readonly #store: Store;
  readonly #known = new Map<string, ReadonlyMap<string, string>>();

  constructor(store: Store) {
    this.#store = store;
  }

  async of(definition: string, node: string): Promise<string | undefined> {
    const known = this.#known.get(definition) ?? (await this.#read(definition));
    return known.get(node);
  }

  async #read(definition: string): Promise<ReadonlyMap<string, string>> {
    const body = await this.#store.readDefinition(definition);
    const { nodes } = body === undefined ? { nodes: [] } : (JSON.parse(body) as PlanStructure);
    const agents = new Map(nodes.map(({ id, agent }) => [id, agent]));
    const [oldest] = this.#known.keys();
    if (this.#known.size >= DEFINITIONS_MAX) this.#known.delete(oldest!);
    this.#known.set(definition, agents);
    return agents;
  }
}
