/**
 * Forks: a new run that begins with what another had at a commit, or without what a node and its dependents gave. It says
 * first what will happen.
 * 1. Nothing of the old run changes. 2. The new run is one commit, and nobody's: any worker that has the definition takes
 * it on. 3. It has keys of its own: what runs again is not taken for the old run's.
 */
import type { Clock } from "../clock.ts";
import { checkName } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import { type Random, newRunId } from "../random.ts";
import { type Commit, NOBODY, type RunRecord, type Store } from "../store/store.ts";
import type { Definition } from "./definition.ts";
import { rankOf } from "./flow.ts";
import { draftMachineFork } from "./fork-machine.ts";
import type { ForkDraft, ForkOptions, ForkPlan } from "./fork-plan.ts";
import { draftWorkflowFork } from "./fork-workflow.ts";
import { isMachineRun } from "./machine-view.ts";
import { type ForkOrigin, originText, readOrigin } from "./origin.ts";
import { openRunRow, runRow } from "./row.ts";
import { requireRun } from "./view.ts";

/** How a fork is made, and what its run is called. */
export interface ForkRunOptions extends ForkOptions {
  /** The id of the new run; made up when left out. */
  readonly id?: string | undefined;
  /** What the new run is about, and its tags; those of the old run when left out. */
  readonly subject?: string | undefined;
  readonly tags?: readonly string[] | undefined;
}

/** What a fork needs of the process. */
export interface ForkSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

/** Finds a definition by its hash: what is set is checked by its schemas. */
export type FindDefinition = (hash: string) => Definition | undefined;

/** What a fork would do. Changes nothing. */
export async function planFork(store: Store, runId: string, options: ForkOptions, find?: FindDefinition): Promise<ForkPlan> {
  return (await draft(store, await forkableRun(store, runId), options, find)).plan;
}

/**
 * Forks a run; resolves when the new run is on the disk.
 *
 * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_QUARANTINED, PAWL_INVALID_VALUE (no such node, commit or path), PAWL_CHECKPOINT_GONE,
 * PAWL_NOT_A_WORKFLOW (a machine's run has no nodes), PAWL_INPUT_INVALID, PAWL_RUN_CONFLICT (the new id is taken)
 */
export async function fork(seams: ForkSeams, runId: string, options: ForkRunOptions, find?: FindDefinition): Promise<{ id: string; plan: ForkPlan }> {
  const { store, clock, random } = seams;
  const record = await forkableRun(store, runId);
  const made = await draft(store, record, options, find);
  const now = clock.now();
  const id = options.id ?? newRunId(record.workflow, now, random);
  checkName(id, "run id");
  const { from, commitNo } = made.plan;
  await create(store, commitOf(id, record, made, options, originText({ runId, commitNo, from }), now));
  return { id, plan: made.plan };
}

async function forkableRun(store: Store, runId: string): Promise<RunRecord> {
  const record = await requireRun(store, runId);
  if (record.status !== "quarantined") return record;
  throw new PawlError("PAWL_RUN_QUARANTINED", {
    message: `run "${runId}" cannot be forked: it was set aside, ${record.reason ?? "for an unknown reason"}`,
    next: "fork another run, or start a new one",
  });
}

function draft(store: Store, record: RunRecord, options: ForkOptions, find: FindDefinition | undefined): Promise<ForkDraft> {
  return isMachineRun(record) ? draftMachineFork(store, record, options) : draftWorkflowFork(store, record, options, find?.(record.definition));
}

function commitOf(id: string, record: RunRecord, made: ForkDraft, options: ForkRunOptions, origin: string, now: number): Commit {
  const { actors, wakeAt } = made.begin(id, now);
  const { lane } = openRunRow(record);
  const body = { ...made.body, lane };
  const of = { name: record.workflow, hash: record.definition };
  return {
    runId: id,
    from: 0,
    epoch: NOBODY,
    at: now,
    run: runRow(id, 1, of, { status: made.body.state, finished: false, wakeAt }, body),
    actors,
    history: JSON.stringify([["run.forked"]]),
    rank: rankOf({ lane }, { since: now }),
    facts: { subject: options.subject ?? record.subject ?? undefined, tags: options.tags ?? record.tags, origin },
  };
}

async function create(store: Store, commit: Commit): Promise<void> {
  const [outcome] = await store.commit([commit]);
  if (outcome === "committed") return;
  if (outcome === "full") throw new PawlError("PAWL_STORE_FULL");
  const there = await store.readRun(commit.runId);
  if (outcome === "unknown" && there === undefined) throw new PawlError("PAWL_STORE_FAILED", { message: "the fork was not written", next: "fork again" });
  const isOurs = outcome === "unknown" && there?.origin === commit.facts?.origin && there?.createdAt === commit.at;
  if (!isOurs) throw new PawlError("PAWL_RUN_CONFLICT", { message: `there is a run "${commit.runId}" already`, next: "choose another id for the fork" });
}

/** Where a run came from, and where that came from, the nearest first; ends with a run that is no fork, or is gone. */
export async function lineageOf(store: Store, runId: string): Promise<ForkOrigin[]> {
  const lineage: ForkOrigin[] = [];
  // an id may have been used again after its run was pruned
  const seen = new Set<string>([runId]);
  for (let origin = readOrigin((await requireRun(store, runId)).origin); origin !== undefined && !seen.has(origin.runId);) {
    lineage.push(origin);
    seen.add(origin.runId);
    origin = readOrigin((await store.readRun(origin.runId))?.origin ?? null);
  }
  return lineage;
}
