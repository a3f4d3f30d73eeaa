/**
 * The actors of one machine run and their rows. A row's `body` says who the actor is, its `output` holds the state.
 * 1. A state is read when somebody asks for it. 2. Refs and snapshots of actors travel in values as their keys.
 */
import { PawlError } from "../errors.ts";
import type { ActorRecord, StoredActor } from "../store/store.ts";
import { type Foreigners, decode, encode } from "./codec.ts";
import { actorRow, openActorRow } from "./row.ts";
import { Actor, type ActorIdentity, type ActorTimer, type AnyEvent, type AnySnapshot, type Life, isMachineSnapshot, logicNamed } from "./xstate/actor.ts";
import { copyOf, machineState, restoreMachine, stateOf } from "./xstate/state.ts";
import { RunAddress, type SystemSeams } from "./xstate/effects.ts";
import { agentCalled } from "./xstate/step.ts";
import { ActorSystem, ROOT_KEY } from "./xstate/system.ts";

/** Who an actor is, as its row says. Fields that say nothing are left out. */
export interface ActorBody {
  readonly id: string;
  readonly src: string;
  /** Its name among its parent's children. */
  readonly held?: string;
  readonly sync?: true;
  readonly system?: string;
  /** Of an attempt of a step: the name of the agent that it calls. */
  readonly agent?: string;
  readonly timers?: readonly ActorTimer[];
}

/** A logic for refs to actors that are no more. */
const GONE_LOGIC = {
  transition: (snapshot: unknown) => snapshot,
  getInitialSnapshot: () => ({ status: "stopped" }),
  getPersistedSnapshot: (snapshot: unknown) => snapshot,
} as never;

const LIVES: readonly Life[] = ["new", "running", "done", "error", "stopped"];

/** What the table needs of its run; the rest of the system's seams is its own. */
export type TableSeams = Omit<SystemSeams, "adopted" | "actorAt" | "decode">;

export class ActorTable implements Foreigners {
  readonly system: ActorSystem;
  readonly actors = new Map<string, Actor>();
  /** Of actors that are gone and left a snapshot: the names that lead to their logic. */
  readonly #goneFrom = new WeakMap<Actor, readonly string[]>();

  constructor(seams: TableSeams) {
    this.system = new ActorSystem({
      ...seams,
      adopted: (actor) => {
        this.actors.set(actor.key, actor);
        seams.changed(actor);
      },
      disowned: (actor) => {
        this.forget(actor);
        seams.disowned(actor);
      },
      actorAt: (key) => this.actorAt(key),
      decode: (text) => decode(text, this),
    });
  }

  get root(): Actor {
    return this.actors.get(ROOT_KEY)!;
  }

  begin(machine: Actor["logic"], input: unknown): void {
    this.actors.set(ROOT_KEY, this.system.createRoot(machine as never, input));
  }

  /** The actor of this key; one that is gone is stopped. */
  actorAt(key: string): Actor {
    return this.actors.get(key) ?? this.#revivedGone(key, GONE_LOGIC);
  }

  #revivedGone(key: string, logic: Actor["logic"]): Actor {
    const id = decodeURIComponent(key.slice(key.lastIndexOf("/") + 1, key.lastIndexOf("~")));
    return this.system.revive({ key, id, src: "", parent: undefined, logic, syncSnapshot: false, systemId: undefined }, "stopped", false);
  }

  /** The logic of an actor that may be gone, by the names that lead to it from the root. */
  #logicAt(path: readonly string[]): Actor["logic"] {
    let { logic } = this.root;
    for (const name of path) {
      const found = logicNamed(logic, name);
      if (found === undefined) throw new PawlError("PAWL_DEFINITION_CHANGED", { message: `a snapshot is of logic "${name}", which the machine does not have` });
      logic = found;
    }
    return logic;
  }

  /** Whoever still has a ref to it sees that it is stopped, and no more: as it will be when the run was loaded again. */
  forget(actor: Actor): void {
    actor.snapshot = { status: "stopped" };
    actor.storedState = undefined;
    this.actors.delete(actor.key);
    actor.parent?.children.delete(actor);
  }

  // ---- texts

  encode(value: unknown): string {
    return encode(value, this);
  }

  decode(text: string): unknown {
    return decode(text, this);
  }

  /** A value as it will be when it was stored and read: what enters a run is not shared with whoever gave it. */
  normal(text: string): AnyEvent {
    return decode(text, this) as AnyEvent;
  }

  /** The root's snapshot for people: what they do to it does not reach the run. */
  copy(snapshot: AnySnapshot): AnySnapshot {
    return copyOf(
      this.root,
      snapshot,
      (value) => this.encode(value),
      (text) => this.decode(text),
    );
  }

  tag(value: object): { word: string; data: unknown } | undefined {
    if (Array.isArray(value)) return undefined;
    const actor = this.system.actorOf(value);
    if (actor !== undefined) return { word: "actor", data: actor.key };
    if (value instanceof RunAddress) return { word: "run", data: value.runId };
    if (!isMachineSnapshot(value)) return undefined;
    const children = Object.entries(value.children as Record<string, object | undefined>).map(([name, ref]) => [name, ref && this.system.actorOf(ref)?.key]);
    const owner = this.system.ownerOf(value) ?? this.root;
    return { word: "snapshot", data: { key: owner.key, logic: this.#goneFrom.get(owner) ?? logicPath(owner), state: machineState(value), children } };
  }

  untag(word: string, data: unknown): unknown {
    if (word === "actor") return this.actorAt(data as string).ref;
    if (word === "run") return new RunAddress(data as string);
    if (word !== "snapshot") throw new TypeError(`unknown tag "${word}"`);
    const { key, logic, state, children } = data as { key: string; logic: readonly string[]; state: never; children: [string, string | undefined][] };
    const actor = this.actors.get(key) ?? this.#revivedGone(key, this.#logicAt(logic));
    if (!this.actors.has(key)) this.#goneFrom.set(actor, logic);
    const refs = children.map(([name, child]) => [name, child === undefined ? undefined : this.actorAt(child).ref] as const);
    const snapshot = Object.assign(restoreMachine(actor.logic as never, state, actor), { children: Object.fromEntries(refs) });
    this.system.own(snapshot, actor);
    return snapshot;
  }

  // ---- rows

  /** The row of an actor as it is now. Throws when its state cannot be stored. */
  rowOf(runId: string, actor: Actor): ActorRecord {
    const { id, src, heldAs, timers, systemId } = actor;
    const agent = agentCalled(actor.logic)?.name;
    const body: ActorBody = {
      id,
      src,
      ...(heldAs !== undefined && { held: heldAs }),
      ...(actor.syncSnapshot && { sync: true }),
      ...(this.system.isRegistered(actor) && { system: systemId! }),
      ...(agent !== undefined && { agent }),
      ...(timers.length > 0 && { timers }),
    };
    return actorRow(runId, actor.key, actor.life, JSON.stringify(body), this.#stateText(actor));
  }

  #stateText(actor: Actor): string | null {
    if (actor.life === "new") return this.encode(actor.input);
    if (actor.snapshot !== undefined) return this.encode(stateOf(actor));
    return actor.storedState ?? null;
  }

  /** Makes the actors of these rows, parents first. Throws PAWL_ROW_CORRUPT, PAWL_DEFINITION_CHANGED. */
  restore(runId: string, machine: Actor["logic"], rows: readonly StoredActor[]): void {
    for (const row of rows.toSorted((a, b) => numberOf(a.key) - numberOf(b.key))) this.actors.set(row.key, this.#restored(runId, machine, row));
    if (!this.actors.has(ROOT_KEY)) throw new PawlError("PAWL_ROW_CORRUPT", { message: `run "${runId}" has no row of its machine` });
  }

  #restored(runId: string, machine: Actor["logic"], row: StoredActor): Actor {
    const body = openActorRow(runId, row) as ActorBody;
    const slash = row.key.lastIndexOf("/");
    const parent = row.key === ROOT_KEY ? undefined : this.actors.get(slash < 0 ? ROOT_KEY : row.key.slice(0, slash));
    const logic = row.key === ROOT_KEY ? machine : parent && logicNamed(parent.logic, body.src);
    const life = LIVES.find((known) => known === row.status);
    if (logic === undefined || life === undefined)
      throw new PawlError("PAWL_DEFINITION_CHANGED", {
        message: `run "${runId}" has an actor "${body.id}" of logic "${body.src}", which its machine does not have`,
      });
    const { key } = row;
    const identity: ActorIdentity = { key, id: body.id, src: body.src, parent, logic, syncSnapshot: body.sync === true, systemId: body.system };
    const actor = this.system.revive(identity, life, body.system !== undefined);
    if (body.held !== undefined) parent?.held.set(body.held, actor);
    actor.timers = [...(body.timers ?? [])];
    if (life === "new") actor.input = row.output === null ? undefined : this.decode(row.output);
    else actor.storedState = row.output ?? undefined;
    actor.row = row;
    return actor;
  }
}

/** The names that lead from the root's logic to this actor's. */
function logicPath({ parent, src }: Actor): string[] {
  return parent === undefined ? [] : [...logicPath(parent), src];
}

/** The number that the run gave an actor: parents have smaller ones than their children. */
function numberOf(key: string): number {
  return Number(key.slice(key.lastIndexOf("~") + 1));
}
