/**
 * Why the run of a machine stands where it does: the events and timers that it waits for, what its actors do, and which
 * of them failed.
 */
import { WAITS_FOR_EVENT } from "../store/store.ts";
import { type ActorView, readStructure, viewActors, viewMachine } from "./machine-view.ts";
import { childAddresses } from "./orphans.ts";
import { openRunRow } from "./row.ts";
import { breakerDrafts } from "./why-breakers.ts";
import { type Asking, type Caller, type Draft, instantText, named } from "./why-cause.ts";
import { knownToWait, limitDrafts } from "./why-limits.ts";
import type { ActorStructure, MachineStructure } from "./xstate/structure.ts";
import { ROOT_KEY } from "./xstate/system.ts";

/** The timer of a step that waits for its next attempt. */
const BACKOFF = /^xstate\.after\.backoff\./;

/** Of a run that is under way. `hasHand`: a worker has it. */
export async function machineDrafts(asking: Asking, hasHand: boolean): Promise<Draft[]> {
  const { store, record } = asking;
  const actors = await viewActors(store, record);
  const kinds = kindsOf(await readStructure(store, record), actors);
  const outside = actors.filter(({ key, status }) => status === "running" && OUTSIDE.has(kinds.get(key) ?? ""));
  const working = outside.filter(({ key }) => !LISTENS.has(kinds.get(key)!));
  const works = hasHand ? await workDrafts(asking, working, actors) : [];
  const listens = hasHand ? outside.filter(({ key }) => LISTENS.has(kinds.get(key)!)).map(listenDraft) : [];
  const timers = actors.flatMap((actor) => actor.timers.map((timer) => timerDraft(timer, actor)));
  const events = working.length > 0 || timers.some(({ kind }) => kind === "waitsForRetry") ? [] : await eventDrafts(asking);
  return [...works, ...timers, ...events, ...listens];
}

const LISTENS: ReadonlySet<string> = new Set(["callback", "observable"]);
/** What runs outside of turns. A step is known by the attempt beneath it. */
const OUTSIDE: ReadonlySet<string> = new Set(["promise", "other", "attempt", ...LISTENS]);

/** What the logic of each actor is. */
function kindsOf({ machines }: MachineStructure, actors: readonly ActorView[]): Map<string, ActorStructure["kind"] | "attempt"> {
  const structures = new Map<string, ActorStructure>([[ROOT_KEY, { kind: "machine", machine: 0 }]]);
  const kinds = new Map<string, ActorStructure["kind"] | "attempt">([[ROOT_KEY, "machine"]]);
  for (const { key, src, parent, state } of actors) {
    const above = structures.get(parent ?? "");
    const found = above === undefined || !("machine" in above) ? undefined : machines[above.machine]!.actors[src];
    if (found !== undefined) structures.set(key, found);
    // a step that is a workflow has no states: it is a run of its own
    const isAttempt = found === undefined ? kinds.get(parent ?? "") === "step" : found.kind === "step" && state === undefined;
    const kind = isAttempt ? "attempt" : found?.kind;
    if (kind !== undefined && key !== ROOT_KEY) kinds.set(key, kind);
  }
  return kinds;
}

/** The names by which people know an actor: an attempt is one of its step. */
function nameOf({ id, src, parent }: ActorView, actors: readonly ActorView[]): string {
  const above = src === "attempt" ? actors.find(({ key }) => key === parent) : undefined;
  return above === undefined || above.key === ROOT_KEY ? id : above.id;
}

/** What waits for a breaker or a limit is one cause for each of these. */
async function workDrafts(asking: Asking, working: readonly ActorView[], actors: readonly ActorView[]): Promise<Draft[]> {
  const runs = await Promise.all(working.map((actor) => runDraft(asking, actor, actors)));
  const own = working.filter((_, i) => runs[i] === undefined);
  const callers = asking.record.status === "paused" ? [] : callersIn(asking, own, actors);
  const atBreakers = await breakerDrafts(asking, callers);
  const atLimits = await limitDrafts(asking, atBreakers.others);
  const held = new Set(callers.filter((caller) => !atLimits.others.includes(caller)).map(({ actor }) => actor));
  const busy = own.filter(({ key }) => !held.has(key)).map((actor) => busyDraft(actor, actors));
  return [...runs.flatMap((draft) => draft ?? []), ...atBreakers.drafts, ...atLimits.drafts, ...busy];
}

/** Attempts of steps that may wait for what their agents use. */
function callersIn(asking: Asking, own: readonly ActorView[], actors: readonly ActorView[]): (Caller & { readonly actor: string })[] {
  const byAgent = Map.groupBy(own, ({ agent }) => agent);
  return [...byAgent].flatMap(([agent, members]) => {
    const waiting = agent === undefined ? 0 : knownToWait(asking, agent);
    if (agent === undefined || waiting === 0) return [];
    return members.map((actor) => ({ id: nameOf(actor, actors), agent, actor: actor.key, mayHaveBegun: waiting !== members.length }));
  });
}

/** Of what is a run of its own. */
async function runDraft(asking: Asking, actor: ActorView, actors: readonly ActorView[]): Promise<Draft | undefined> {
  const { store, record } = asking;
  for (const row of await store.readActors(record.id, [actor.key]))
    for (const run of childAddresses(record.id, row))
      if ((await store.readRun(run)) !== undefined)
        return {
          kind: "waitsForRun",
          message: `${nameOf(actor, actors)}: its run has not ended`,
          actor: actor.key,
          run,
          next: null,
          beneath: () => asking.about(run),
        };
  return undefined;
}

function busyDraft(actor: ActorView, actors: readonly ActorView[]): Draft {
  const does = actor.agent === undefined ? "it runs" : `agent "${actor.agent}" runs, or waits for its turn: each worker has so many permits`;
  return { kind: "running", message: `${nameOf(actor, actors)}: ${does}`, actor: actor.key, next: null };
}

function listenDraft({ key, id }: ActorView): Draft {
  return { kind: "running", message: `${id}: it listens`, actor: key, next: null, isLater: true };
}

function timerDraft({ event, dueAt }: ActorView["timers"][number], { key, id }: ActorView): Draft {
  if (BACKOFF.test(event))
    return { kind: "waitsForRetry", message: `${id}: an attempt failed; the next one is due at ${instantText(dueAt)}`, actor: key, until: dueAt, next: null };
  return { kind: "waitsForTimer", message: `${id}: ${event} is due at ${instantText(dueAt)}`, actor: key, until: dueAt, next: null };
}

async function eventDrafts({ store, record }: Asking): Promise<Draft[]> {
  // also while something listens: as if it only waited
  const { waitingFor } = await viewMachine(store, { ...record, wakeAt: WAITS_FOR_EVENT });
  const events = waitingFor?.events ?? [];
  if (events.length > 0) {
    const send = `\`pawl send ${record.id} ${events[0]}\``;
    return [{ kind: "waitsForEvent", message: `it takes ${named(events)} in its present state`, events, next: send }];
  }
  if ((waitingFor?.timers.length ?? 0) > 0) return [];
  const message = "it waits for an event, but takes none in this state";
  return [{ kind: "waitsForEvent", message, events, next: `\`pawl cancel ${record.id}\`; its definition leads nowhere from here` }];
}

/** The actors that a failed run failed of. */
export async function failedActorDrafts(asking: Asking): Promise<Draft[]> {
  const { record } = asking;
  const { failure } = openRunRow(record);
  if (record.status !== "failed") return [];
  const [root] = (await viewActors(asking.store, record)).filter(({ key }) => key === ROOT_KEY);
  const state = root?.state === undefined ? "" : ` in state ${typeof root.state === "string" ? root.state : JSON.stringify(root.state)}`;
  const next = `\`pawl show ${record.id} --checkpoints\` says from where it can be forked, with values of yours`;
  return [
    { kind: "failed", message: `it failed${state}: ${failure?.code} ${failure?.message}`, actor: ROOT_KEY, code: failure?.code, since: record.updatedAt, next },
  ];
}
