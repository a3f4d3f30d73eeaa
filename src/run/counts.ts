/**
 * What the rows of a store tell of runs and agents, in whatever process they were: a bounded look at the newest of them.
 */
import type { Clock } from "../clock.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import { Agents } from "./failure-patterns.ts";
import { isMachineRun } from "./machine-view.ts";
import { BESIDE, type NodeBody, openActorRow } from "./row.ts";
import type { RunStatus } from "./view.ts";

export interface CountsOptions {
  /** Counts so many runs, the newest. Default 1,000, at most 100,000. */
  readonly limit?: number;
  /** Of so many of them, the newest, it also reads the nodes. Default 100, at most 10,000. */
  readonly nodesOf?: number;
}

/** What became of the nodes that call an agent; those that have a row, which is when they end or back off. */
export interface AgentCounts {
  readonly completed: number;
  readonly failed: number;
  /** Skipped, cancelled, or waiting for another attempt. */
  readonly others: number;
  readonly attempts: number;
  /** From the last attempt's grant to its end, in all, in seconds; of nodes that completed. */
  readonly seconds: number;
}

/** What the newest runs of a store come to. */
export interface Counts {
  /** By workflow or machine, and status. */
  readonly runs: Readonly<Record<string, Readonly<Partial<Record<RunStatus, number>>>>>;
  readonly agents: Readonly<Record<string, AgentCounts>>;
  /** Runs that were counted, and those of which the nodes were read. */
  readonly lookedAt: { readonly runs: number; readonly nodesOf: number };
  /** There are more runs. */
  readonly hasMore: boolean;
}

const PAGE = 500;
const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 100_000;
const NODES_DEFAULT = 100;
const NODES_MAX = 10_000;

/** Throws PAWL_INVALID_VALUE. */
export async function countRows(store: Store, clock: Clock, { limit = LIMIT_DEFAULT, nodesOf = NODES_DEFAULT }: CountsOptions): Promise<Counts> {
  check(limit, LIMIT_MAX, "limit");
  check(nodesOf, NODES_MAX, "nodesOf");
  const runs = new Map<string, Partial<Record<RunStatus, number>>>();
  const nodes = new NodeCounts(store);
  let read = 0;
  for (let after: string | undefined; ;) {
    const page = await store.listRuns({ after, limit: Math.min(PAGE, limit + 1 - read) });
    for (const record of page.slice(0, limit - read)) {
      const status = record.status as RunStatus;
      const of = runs.get(record.workflow) ?? {};
      runs.set(record.workflow, { ...of, [status]: (of[status] ?? 0) + 1 });
      if (nodes.runs < nodesOf && !isMachineRun(record)) await nodes.add(record);
    }
    read += page.length;
    after = page.at(-1)?.id;
    if (page.length < PAGE || read > limit) break;
    // beside busy workers of this process
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  return { runs: Object.fromEntries(runs), agents: nodes.read(), lookedAt: { runs: Math.min(read, limit), nodesOf: nodes.runs }, hasMore: read > limit };
}

function check(value: number, max: number, field: string): void {
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new PawlError("PAWL_INVALID_VALUE", { message: `${field} is ${value}, but must be a whole number from 1 to ${max}` });
}

class NodeCounts {
  readonly #store: Store;
  readonly #agents: Agents;
  readonly #counts = new Map<string, { -readonly [Field in keyof AgentCounts]: AgentCounts[Field] }>();
  runs = 0;

  constructor(store: Store) {
    this.#store = store;
    this.#agents = new Agents(store);
  }

  /** Rows that cannot be read are passed over: they are counted by who sets their run aside. */
  async add({ id, definition }: RunRecord): Promise<void> {
    this.runs++;
    for (const row of await this.#store.readActorRange(id, "", BESIDE)) {
      const agent = await this.#agents.of(definition, row.key.replace(/\[\d+\]$/, ""));
      const body = agent === undefined ? undefined : readBody(id, row);
      if (body !== undefined && body.attempt > 0) this.#count(agent!, row.status, body);
    }
  }

  #count(agent: string, status: string, { attempt, startedAt, endedAt = startedAt }: NodeBody): void {
    const of = this.#counts.get(agent) ?? { completed: 0, failed: 0, others: 0, attempts: 0, seconds: 0 };
    this.#counts.set(agent, of);
    of[status === "completed" || status === "failed" ? status : "others"]++;
    of.attempts += attempt;
    if (status === "completed") of.seconds += Math.max(0, endedAt - startedAt) / 1_000;
  }

  read(): Record<string, AgentCounts> {
    return Object.fromEntries(this.#counts);
  }
}

function readBody(runId: string, row: StoredActor): NodeBody | undefined {
  try {
    return openActorRow(runId, row) as NodeBody;
  } catch (error) {
    if (isPawlError(error, "PAWL_ROW_CORRUPT")) return undefined;
    throw error;
  }
}
