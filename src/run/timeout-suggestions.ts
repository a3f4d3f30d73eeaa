/**
 * Timeouts of agents as they could be, from how long their successful attempts took. Reads the rows of runs, the newest first,
 * and keeps only lengths.
 */
import type { Clock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import type { RunRecord, Store } from "../store/store.ts";
import { isMachineRun } from "./machine-view.ts";
import { BESIDE } from "./row.ts";
import { readNodes } from "./stored-nodes.ts";
import { readPlan } from "./view.ts";

/** A node that begins with its run may be a moment older than the commit of both; what a fork was given is older than that. */
const SAME_COMMIT_MS = 1_000;

export interface TimeoutsOptions {
  /** Only runs of this workflow. */
  readonly workflow?: string;
  /** Looks at so many runs, the newest. Default 1,000, at most 100,000. */
  readonly limit?: number;
}

/** How long an agent takes, and the timeout that would suit it. Lengths in ms. */
export interface TimeoutSuggestion {
  readonly agent: string;
  /** Successful attempts that were measured. */
  readonly count: number;
  /** Half of them, 95 and 99 of a hundred took no longer than this. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** Nodes whose newest failure was the timeout. */
  readonly timedOut: number;
  /** About three times what 99 of a hundred take: a timeout as it is written in a definition, for example '30s'. */
  readonly suggested: string;
  readonly suggestedMs: number;
}

export interface TimeoutSuggestions {
  /** By the names of the agents. */
  readonly agents: readonly TimeoutSuggestion[];
  /** Runs that were looked at. */
  readonly runs: number;
  /** There are more, which were not. */
  readonly hasMore: boolean;
}

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 100_000;
const PAGE = 100;
/** Lengths that are kept of one agent; further ones are left out. */
const MEASURED_MAX = 10_000;
const SAFETY = 3;
/** Lengths that people write. */
const READABLE: readonly (readonly [ms: number, text: string])[] = [
  ...[1, 2, 5, 10, 15, 30].map((n) => [n * 1_000, `${n}s`] as const),
  ...[1, 2, 5, 10, 15, 30].map((n) => [n * 60_000, `${n}m`] as const),
  ...[1, 2, 4, 8, 12].map((n) => [n * 3_600_000, `${n}h`] as const),
];
const DAY_MS = 86_400_000;

interface Measured {
  readonly tookMs: number[];
  timedOut: number;
}

/** Throws PAWL_INVALID_VALUE. */
export async function suggestTimeouts(store: Store, clock: Clock, { workflow, limit = LIMIT_DEFAULT }: TimeoutsOptions): Promise<TimeoutSuggestions> {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    throw new PawlError("PAWL_INVALID_VALUE", { message: `limit is ${limit}, but must be a whole number from 1 to ${LIMIT_MAX}` });
  const measured = new Map<string, Measured>();
  let [runs, hasMore] = [0, false];
  for (let after: string | undefined; ;) {
    const page = await store.listRuns({ workflow, after, limit: Math.min(PAGE, limit + 1 - runs) });
    const counted = page.slice(0, limit - runs);
    for (const record of counted) if (!isMachineRun(record) && record.status !== "quarantined") await measure(store, record, measured);
    runs += counted.length;
    hasMore = counted.length < page.length;
    after = page.at(-1)?.id;
    if (page.length < PAGE || hasMore) break;
    // beside busy workers of this process
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
  const agents = [...measured].flatMap(([agent, of]) => (of.tookMs.length === 0 ? [] : [suggestionOf(agent, of)]));
  return { agents: agents.toSorted((a, b) => (a.agent < b.agent ? -1 : 1)), runs, hasMore };
}

/** What is a run of its own takes its time; what somebody set took none; what a fork kept was measured where it came from. */
async function measure(store: Store, record: RunRecord, measured: Map<string, Measured>): Promise<void> {
  const { graph, nodes } = readNodes(record, await store.readActorRange(record.id, "", BESIDE), await readPlan(store, record.definition));
  for (const { index, status, body } of nodes) {
    const { kind, agent, alternatives } = graph.node(index);
    const { alternative = 0, startedAt, endedAt, failure, attempt } = body;
    if (kind !== "call" || body.childRun !== undefined || body.overridden !== undefined || attempt === 0 || startedAt < record.createdAt - SAME_COMMIT_MS)
      continue;
    const { name } = alternative === 0 ? agent : alternatives[alternative - 1]!;
    const of = measured.get(name) ?? { tookMs: [], timedOut: 0 };
    measured.set(name, of);
    if (failure?.code === "PAWL_AGENT_TIMEOUT") of.timedOut++;
    if (status === "completed" && endedAt !== undefined && of.tookMs.length < MEASURED_MAX) of.tookMs.push(Math.max(0, endedAt - startedAt));
  }
}

function suggestionOf(agent: string, { tookMs, timedOut }: Measured): TimeoutSuggestion {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!;
  const [p50Ms, p95Ms, p99Ms, longestMs] = [at(0.5), at(0.95), at(0.99), at(1)];
  const [suggestedMs, suggested] = readableLength(p99Ms * SAFETY);
  return { agent, count: sorted.length, p50Ms, p95Ms, p99Ms, longestMs, timedOut, suggested, suggestedMs };
}

/** The next length that people write. */
function readableLength(ms: number): readonly [ms: number, text: string] {
  const days = Math.ceil(ms / DAY_MS);
  return READABLE.find(([length]) => length >= ms) ?? [days * DAY_MS, `${days}d`];
}
