/**
 * What people see of a machine's run: its actors with their states and timers, and what it waits for. Derived from its
 * rows and its stored structure, without its code, in any process.
 */
import { PawlError } from "../errors.ts";
import type { RunRecord, Store, StoredActor } from "../store/store.ts";
import type { ActorBody } from "./actor-table.ts";
import type { AwaitedEvent } from "./awaited.ts";
import { type Foreigners, decode } from "./codec.ts";
import { openActorRow } from "./row.ts";
import type { ActorTimer, Life, TimerPolicy } from "./xstate/actor.ts";
import type { MachineStructure, OneMachine } from "./xstate/structure.ts";
import { ROOT_KEY } from "./xstate/system.ts";

/** A delayed event. */
export interface TimerView {
  readonly id: string;
  /** The key of the actor that set it. */
  readonly actor: string;
  /** The key of the actor that gets the event, or `run:` and the id of another run. */
  readonly to: string;
  /** The type of the event. */
  readonly event: string;
  /** In ms since 1970; for `remaining` and `restart` as it stands if the clock goes evenly. */
  readonly dueAt: number;
  readonly policy: TimerPolicy;
}

/** An actor of a machine's run. */
export interface ActorView {
  /** `machine~1` is the machine itself; of others `child~2`, and `child~2/grandchild~3` beneath them. */
  readonly key: string;
  readonly id: string;
  /** The name by which its parent's machine knows its logic; empty for the machine itself. */
  readonly src: string;
  /** Of an attempt of a step: the name of the agent that it calls. */
  readonly agent: string | undefined;
  /** The key of the actor that made it. */
  readonly parent: string | undefined;
  readonly status: Life;
  /** A machine's state value. */
  readonly state: unknown;
  readonly context: unknown;
  readonly output: unknown;
  readonly error: unknown;
  /** In the order in which they are due. */
  readonly timers: readonly TimerView[];
  /** The commit that wrote it. */
  readonly commitNo: number;
}

/** What a run waits for: of a machine's run that has nothing to do, of a workflow's also while some of its nodes run. */
export interface WaitingFor {
  /**
   * Types of events. Of a machine those that it takes in its present state, as they are written; guards may still say no. Of
   * a workflow those that its nodes wait for.
   */
  readonly events: readonly string[];
  /** Of a machine's run: those of all its actors, in the order in which they are due. */
  readonly timers: readonly TimerView[];
  /** Of a workflow's run: its events, the one first that it has waited for longest. */
  readonly awaited?: readonly AwaitedEvent[];
}

interface StoredState {
  readonly value?: unknown;
  readonly context?: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
}

/** Refs and snapshots of actors as people read them in values. */
export const READABLE: Foreigners = {
  tag: () => undefined,
  untag(word, data) {
    if (word === "actor") return { actor: data };
    if (word === "run") return { run: data };
    if (word !== "snapshot") throw new TypeError(`unknown tag "${word}"`);
    const { key, state } = data as { key: string; state: object };
    return { actor: key, ...state };
  },
};

/** The body of a machine's run counts its actors; no other run's does. */
export function isMachineRun({ body }: RunRecord): boolean {
  return body.includes('"sequence":');
}

/** Throws PAWL_RUN_CONFLICT when the run is one of another workflow or machine. */
export function refuseOthers(record: RunRecord, { name }: { readonly name: string }, next: string): void {
  if (record.workflow === name) return;
  const kind = isMachineRun(record) ? "machine" : "workflow";
  throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${record.id}" belongs to ${kind} "${record.workflow}", not to "${name}"`, next });
}

/** The actors of a machine's run, parents first. */
export async function viewActors(store: Store, record: RunRecord): Promise<ActorView[]> {
  if (!isMachineRun(record))
    throw new PawlError("PAWL_NOT_A_MACHINE", { message: `run "${record.id}" is one of a workflow, which has no actors of its own`, next: "use run.nodes()" });
  const rows = (await store.readActors(record.id)).filter(({ status }) => status !== "value");
  return rows.toSorted((a, b) => numberOf(a.key) - numberOf(b.key)).map((row) => viewActor(record.id, row));
}

function viewActor(runId: string, row: StoredActor): ActorView {
  const { id, src, agent, timers = [] } = openActorRow(runId, row) as ActorBody;
  const { value, context, output, error } = stateIn(row);
  const { key, commitNo } = row;
  const parent = key === ROOT_KEY ? undefined : key.includes("/") ? key.slice(0, key.lastIndexOf("/")) : ROOT_KEY;
  const views = timers.map((timer) => viewTimer(key, timer)).toSorted((a, b) => a.dueAt - b.dueAt);
  return { key, id, src, agent, parent, status: row.status as Life, state: value, context, output, error, timers: views, commitNo };
}

/** The row of an actor that was not started yet holds its input. */
function stateIn({ status, output }: StoredActor): StoredState {
  return status === "new" || output === null ? {} : ((decode(output, READABLE) as StoredState | null) ?? {});
}

function viewTimer(actor: string, { id, to, event, dueAt, policy }: ActorTimer): TimerView {
  return { id, actor, to, event: (decode(event, READABLE) as { type: string }).type, dueAt, policy };
}

/** The number that the run gave an actor: parents have smaller ones than their children. */
function numberOf(key: string): number {
  return Number(key.slice(key.lastIndexOf("~") + 1));
}

/** The state value of a run's machine, and what it waits for if it has nothing to do. */
export async function viewMachine(store: Store, record: RunRecord): Promise<{ state: unknown; waitingFor: WaitingFor | undefined }> {
  if (record.wakeAt === null || record.status === "pending") {
    const [root] = await store.readActors(record.id, [ROOT_KEY]);
    if (root === undefined) return { state: undefined, waitingFor: undefined };
    openActorRow(record.id, root);
    return { state: stateIn(root).value, waitingFor: undefined };
  }
  const actors = await viewActors(store, record);
  const state = actors.find(({ key }) => key === ROOT_KEY)?.state;
  const timers = actors.flatMap((actor) => actor.timers).toSorted((a, b) => a.dueAt - b.dueAt);
  return { state, waitingFor: { events: eventsTaken((await readStructure(store, record)).machines[0]!, state), timers } };
}

/** The structure of a run's machine, as it was defined when the run started. */
export async function readStructure(store: Store, { definition }: RunRecord): Promise<MachineStructure> {
  const body = await store.readDefinition(definition);
  if (body === undefined) throw new PawlError("PAWL_ROW_CORRUPT", { message: "the definition of this run is missing" });
  return JSON.parse(body) as MachineStructure;
}

/** What a machine takes whose state value is this. */
function eventsTaken({ states }: OneMachine, value: unknown): string[] {
  const root = states.find(({ parent }) => parent === undefined);
  const active = root === undefined ? [] : [root];
  const enter = (parent: string, value: unknown): void => {
    const children = typeof value === "string" ? [[value, undefined] as const] : Object.entries(value ?? {});
    for (const [key, inner] of children) {
      const state = states.find((candidate) => candidate.parent === parent && candidate.key === key);
      if (state === undefined) continue;
      active.push(state);
      enter(state.id, inner);
    }
  };
  if (root !== undefined) enter(root.id, value);
  const types = active.flatMap(({ on }) => Object.keys(on)).filter((type) => !type.startsWith("xstate."));
  return [...new Set(types)];
}
