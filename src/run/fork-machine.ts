/**
 * Forks of machines' runs, from a commit whose rows are kept.
 * 1. Every row is the same but for the place that its checksum covers and the instants of its timers, which keep the time
 *    that was left at that commit.
 * 2. What ran outside then starts again when the fork is loaded, under keys of the fork.
 * 3. Actions of that commit are the old run's affair: its redo record is not taken over, and events that such an action
 *    sends by itself do not come.
 */
import { followPath } from "../define/template.ts";
import { PawlError } from "../errors.ts";
import { type ActorRecord, NOBODY, type RunRecord, type Store, type StoredActor, WAITS_FOR_EVENT } from "../store/store.ts";
import type { ActorBody } from "./actor-table.ts";
import { checkCommitNo, hasEnded, rowsAt } from "./checkpoints.ts";
import { decode, encode } from "./codec.ts";
import type { ForkDraft, ForkOptions, ForkedTimer, MachineForkPlan, StartedAgain } from "./fork-plan.ts";
import { READABLE, readStructure } from "./machine-view.ts";
import { opaque } from "./migrate.ts";
import { CASCADE_KEY, INPUT_KEY, OUTPUT_KEY, REDO_KEY, actorRow, openActorRow, openRunRow } from "./row.ts";
import { type SetChange, type SetValues, readPathBeneath, withValue } from "./set-values.ts";
import type { ActorTimer } from "./xstate/actor.ts";
import type { StoredMachineState } from "./xstate/state.ts";
import { selectableStates } from "./xstate/structure-changes.ts";
import { ROOT_KEY } from "./xstate/system.ts";

const VALUE_KEYS: ReadonlySet<string> = new Set([INPUT_KEY, OUTPUT_KEY, REDO_KEY, CASCADE_KEY]);
const LEFT_OUT: ReadonlySet<string> = new Set([OUTPUT_KEY, REDO_KEY]);
const NEXT = "of a machine's run only its context can be set: context.name, context.list[0].name";

/** An actor as its row has it. */
interface Stored {
  readonly row: StoredActor;
  readonly body: ActorBody;
  /** What its row holds of its state; undefined before it was started. */
  readonly state: Partial<Record<"status" | "value" | "context" | "input", unknown>> | undefined;
}

export async function draftMachineFork(store: Store, record: RunRecord, { from, set = {} }: ForkOptions): Promise<ForkDraft> {
  if (typeof from === "string")
    throw new PawlError("PAWL_NOT_A_WORKFLOW", {
      message: `run "${record.id}" is one of a machine, which has no node "${from}"`,
      next: "fork it from a commit number; see `pawl show RUN --checkpoints`",
    });
  checkCommitNo(record, from);
  const rows = (await rowsAt(store, record, from)).filter(({ key }) => !LEFT_OUT.has(key));
  const at = await instantOf(store, record.id, from);
  const actors = rows.filter(({ key }) => !VALUE_KEYS.has(key)).map((row) => storedActor(record.id, row));
  for (const row of rows) if (VALUE_KEYS.has(row.key)) openActorRow(record.id, row);
  const root = rootOf(record.id, actors, rows, from);
  if (root !== undefined) await refuseForeignState(store, record, root, from);
  const timers = timersOf(actors, at);
  const startsAgain = actors.filter(isUnderWay).map(({ row, body }): StartedAgain => ({ actor: row.key, src: body.src }));
  const changed = withContext(record.id, root, rows, set);
  const plan: MachineForkPlan = {
    kind: "machine",
    runId: record.id,
    from,
    commitNo: from,
    state: root?.state?.value,
    startsAgain,
    timers,
    changes: changed.changes,
  };
  const isWaiting = root !== undefined && startsAgain.length === 0 && !rows.some(({ key }) => key === CASCADE_KEY);
  const wakeIn = timers[0]?.remainingMs;
  const bodies = new Map(actors.map(({ row, body }) => [row.key, body]));
  return {
    plan,
    body: { state: root === undefined ? "pending" : "running", workedMs: 0, degraded: false, sequence: openRunRow(record).sequence ?? 0 },
    begin: (newRunId, now) => ({
      actors: rows.map((row) => movedRow(newRunId, row, bodies.get(row.key), row === root?.row ? changed.output : row.output, at, now)),
      wakeAt: isWaiting ? (wakeIn === undefined ? WAITS_FOR_EVENT : Math.ceil(now + wakeIn)) : null,
    }),
  };
}

async function instantOf(store: Store, runId: string, commitNo: number): Promise<number> {
  const [entry] = await store.readHistory(runId, commitNo - 1, 1);
  if (entry?.commitNo === commitNo) return entry.at;
  throw new PawlError("PAWL_CHECKPOINT_GONE", { message: `the history of run "${runId}" does not reach back to commit ${commitNo}` });
}

function storedActor(runId: string, row: StoredActor): Stored {
  const body = openActorRow(runId, row) as ActorBody;
  return { row, body, state: row.status === "new" || row.output === null ? undefined : (decode(row.output, READABLE) as Stored["state"]) };
}

/** The machine itself; undefined in a run that was accepted and not begun. */
function rootOf(runId: string, actors: readonly Stored[], rows: readonly StoredActor[], commitNo: number): Stored | undefined {
  const root = actors.find(({ row }) => row.key === ROOT_KEY);
  if (root === undefined && rows.length === 1 && rows[0]!.key === INPUT_KEY) return undefined;
  if (root === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: `run "${runId}" has no row of its machine` });
  if (!hasEnded(root.row)) return root;
  throw new PawlError("PAWL_INVALID_VALUE", {
    message: `the machine of run "${runId}" had ended at commit ${commitNo}`,
    next: "fork it from an earlier commit; see `pawl show RUN --checkpoints`",
  });
}

/** A run that another definition took over had states before that this one may not have. */
async function refuseForeignState(store: Store, record: RunRecord, { state }: Stored, commitNo: number): Promise<void> {
  if (selectableStates(await readStructure(store, record), state?.value) !== undefined) return;
  throw new PawlError("PAWL_CHECKPOINT_GONE", {
    message: `at commit ${commitNo} run "${record.id}" was in state ${JSON.stringify(state?.value)} of an earlier definition, which its present one does not have`,
  });
}

/** Machines and transition logic wait for events; whatever else runs does so outside of turns. */
function isUnderWay({ row, state }: Stored): boolean {
  if (row.key === ROOT_KEY || row.status !== "running" || state?.status !== "active") return false;
  return state.value === undefined && (state.context === undefined || "input" in state);
}

// ---- timers

function timersOf(actors: readonly Stored[], at: number): ForkedTimer[] {
  const timers = actors.flatMap(({ row, body }) => (body.timers ?? []).map((timer) => ({ actor: row.key, timer })));
  timers.sort((a, b) => a.timer.dueAt - b.timer.dueAt || a.timer.number - b.timer.number);
  return timers.map(({ actor, timer }) => {
    const { type } = decode(timer.event, READABLE) as { type: string };
    return { id: timer.id, actor, event: type, remainingMs: remainingMs(timer, at) };
  });
}

function remainingMs({ dueAt }: ActorTimer, at: number): number {
  return Math.max(0, dueAt - at);
}

/** One that would count anew from the start of a worker has begun to count: it goes on like a length. */
function movedTimer(timer: ActorTimer, at: number, now: number): ActorTimer {
  return { ...timer, epoch: NOBODY, dueAt: now + remainingMs(timer, at), policy: timer.policy === "restart" ? "remaining" : timer.policy };
}

function movedRow(runId: string, row: StoredActor, body: ActorBody | undefined, output: string | null, at: number, now: number): ActorRecord {
  const { timers } = body ?? {};
  const text = timers === undefined ? row.body : JSON.stringify({ ...body, timers: timers.map((timer) => movedTimer(timer, at, now)) });
  return actorRow(runId, row.key, row.status, text, output);
}

// ---- what is set

/** The root's state with values set in its context. */
function withContext(
  runId: string,
  root: Stored | undefined,
  rows: readonly StoredActor[],
  set: SetValues,
): { readonly output: string | null; readonly changes: readonly SetChange[] } {
  const entries = Object.entries(set);
  if (entries.length === 0) return { output: root?.row.output ?? null, changes: [] };
  const isAmidst = rows.some(({ key }) => key === CASCADE_KEY);
  if (isAmidst || root?.row.output == null || root.row.status !== "running")
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `nothing can be set in run "${runId}" as of this commit: it ${root === undefined ? "was not started" : "is in the midst of a step"}`,
      next: "fork it from another commit; see `pawl show RUN --checkpoints`",
    });
  let { output } = root.row;
  const changes = entries.map(([text, value]): SetChange => {
    const path = readPathBeneath("context", text, NEXT);
    const state = decode(output, opaque) as StoredMachineState;
    const before = followPath((decode(output, READABLE) as StoredMachineState).context, path);
    output = encode({ ...state, context: withValue(state.context, { text, path, value }) }, opaque);
    return { path: text, before, after: value };
  });
  return { output, changes };
}
