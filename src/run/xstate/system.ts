/**
 * The actor system that xstate's logic sees while a run is hosted: it records and does nothing.
 * 1. Every actor is made inert inside its constructor, by the one inspection event that xstate sends from there.
 * 2. A turn is pure: what it asks for comes back as data, in xstate's own order, since its deferred functions run
 *    against this recorder. A turn that throws leaves nothing but the actor's error.
 * 3. There is one ref object per actor. What xstate must keep for this to hold is pinned in test/run/xstate.test.ts.
 */
import { type AnyActorLogic, type AnyActorScope, type AnyStateMachine, createActor } from "xstate";
import { PawlError } from "../../errors.ts";
import { Actor, type ActorIdentity, type AnyEvent, type AnySnapshot, type HostedRef, isMachine, nameOf } from "./actor.ts";
import { type Effect, RunAddress, type SystemSeams } from "./effects.ts";
import { Crowd, childrenOf, stopEach, transitionOf, transitionWith } from "./crowd.ts";
import { firstOf } from "./first-snapshot.ts";
import { restoreState } from "./state.ts";

export const ROOT_KEY = "machine~1";
const NOT_STARTED = 0;
const RUNNING = 1;
const STOPPED = 2;

/** What came of a turn. */
export interface Recording {
  readonly actor: Actor;
  readonly effects: Effect[];
  readonly adopted: Actor[];
  readonly undo: (() => void)[];
  /** What a new actor asks for is asked in order, its stops included; a running one lets go of names at once. */
  isBeginning?: boolean;
  /** Did a transition take the event? Known for machines. */
  isHandled: boolean | undefined;
  /** The turn does not see all its children. */
  readonly isCrowded?: boolean;
}

interface ExecutableAction {
  readonly type: string;
  readonly exec?: (info: unknown, params: unknown) => unknown;
  readonly info: unknown;
  readonly params: unknown;
}

export class ActorSystem {
  readonly #seams: SystemSeams;
  readonly #named = new Map<string, Actor>();
  readonly #actorOf = new WeakMap<object, Actor>();
  readonly #ownerOf = new WeakMap<object, Actor>();
  readonly #computing = new Set<Actor>();
  readonly #system: object;
  #recording: Recording | undefined;
  #reviving: Actor | undefined;

  constructor(seams: SystemSeams) {
    this.#seams = seams;
    this.#system = this.#makeSystem();
  }

  /** The actor of a ref; undefined for anything else. */
  actorOf(ref: object): Actor | undefined {
    return this.#actorOf.get(ref);
  }

  /** The actor whose snapshot this is. */
  ownerOf(snapshot: object): Actor | undefined {
    return this.#ownerOf.get(snapshot);
  }

  /** A snapshot of this actor that was read from a text. */
  own(snapshot: AnySnapshot, actor: Actor): void {
    this.#ownerOf.set(snapshot, actor);
  }

  isRegistered(actor: Actor): boolean {
    return actor.systemId !== undefined && this.#named.get(actor.systemId) === actor;
  }

  // ---- actors

  /** The root of a new run, not started. */
  createRoot(machine: AnyStateMachine, input: unknown): Actor {
    const identity = { key: ROOT_KEY, id: this.#seams.runId, src: "", parent: undefined, logic: machine, syncSnapshot: false, systemId: undefined };
    const root = new Actor(identity);
    root.input = input;
    this.#makeRef(root);
    return root;
  }

  /** An actor as its row tells it. */
  revive(identity: ActorIdentity, life: Actor["life"], isRegistered: boolean): Actor {
    const actor = new Actor(identity);
    actor.life = life;
    this.#makeRef(actor);
    if (isRegistered) this.#named.set(identity.systemId!, actor);
    return actor;
  }

  #makeRef(actor: Actor): void {
    const before = this.#reviving;
    this.#reviving = actor;
    try {
      const { id, src, syncSnapshot, logic, parent } = actor;
      createActor(logic, { id, src, syncSnapshot, parent: parent?.ref ?? { system: this.#system } } as never);
    } finally {
      this.#reviving = before;
    }
    actor.ref.systemId = actor.systemId;
    if (actor.parent === undefined) Object.assign(actor.ref, { _parent: undefined });
  }

  /** Called from inside the constructor of every actor: here it becomes one of the run, and inert. */
  #adopt(ref: HostedRef): void {
    const actor = this.#reviving ?? this.#newChild(ref);
    this.#reviving = undefined;
    this.#actorOf.set(ref, actor);
    actor.ref = ref;
    const isNew = actor.life === "new" && actor.parent !== undefined && this.#recording !== undefined;
    ref.logic = {
      getInitialSnapshot: () => (isNew ? this.snapshotOf(actor) : { status: "active" }),
      getPersistedSnapshot: (snapshot: unknown) => snapshot,
      transition: (snapshot: unknown) => snapshot,
    };
    ref.sessionId = actor.key === ROOT_KEY ? this.#seams.runId : `${this.#seams.runId}/${actor.key}`;
    ref._processingStatus = actor.life === "new" ? NOT_STARTED : actor.life === "running" ? RUNNING : STOPPED;
    Object.assign(ref, {
      getSnapshot: () => this.snapshotOf(actor),
      start: () => this.#askStart(actor),
    });
    actor.scope = this.#makeScope(actor);
  }

  /** A child that was asked to start counts as running: who stops it from here on stops what has begun. */
  #askStart(actor: Actor): HostedRef {
    const { ref } = actor;
    const before = ref._processingStatus;
    this.#recording?.effects.push({ kind: "start", actor });
    this.#recording?.undo.push(() => (ref._processingStatus = before));
    ref._processingStatus = RUNNING;
    return ref;
  }

  #newChild(ref: HostedRef): Actor {
    const parent = this.#actorOf.get(ref._parent!)!;
    const { id } = ref;
    const number = this.#seams.nextNumber();
    const place = parent.key === ROOT_KEY ? "" : `${parent.key}/`;
    const src = nameOf(parent, ref.src);
    const { systemId } = ref.options;
    const logic = ref.logic as AnyActorLogic;
    const actor = new Actor({ key: `${place}${encodeURIComponent(id)}~${number}`, id, src, parent, logic, syncSnapshot: ref._syncSnapshot === true, systemId });
    actor.input = ref.options.input;
    this.#recording?.adopted.push(actor);
    this.#seams.adopted(actor);
    return actor;
  }

  /** The snapshot of an actor: computed when it is new, read from its row when it was not yet. */
  snapshotOf(actor: Actor): AnySnapshot {
    if (actor.snapshot !== undefined) return actor.snapshot;
    if (actor.storedState !== undefined) return this.#revived(actor);
    if (actor.life !== "new") return { status: "stopped" };
    if (this.#computing.has(actor)) throw new Error("Snapshot can't be read while the actor initializes itself");
    return this.#kept(actor, this.#first(actor));
  }

  #kept(actor: Actor, snapshot: AnySnapshot): AnySnapshot {
    actor.snapshot = snapshot;
    this.#ownerOf.set(snapshot, actor);
    return snapshot;
  }

  #revived(actor: Actor): AnySnapshot {
    const snapshot = restoreState(actor, this.#seams.decode(actor.storedState!));
    actor.storedState = undefined;
    if (isMachine(actor.logic)) {
      Object.assign(snapshot, { children: Object.fromEntries([...actor.held].map(([name, child]) => [name, child.ref])) });
    }
    actor.committed ??= snapshot;
    return this.#kept(actor, snapshot);
  }

  /** The first snapshot, with what it asks for kept in `deferred` until it is started. */
  #first(actor: Actor): AnySnapshot {
    this.#computing.add(actor);
    try {
      const { logic, scope, input } = actor;
      return (isMachine(logic) ? firstOf(logic, scope, input) : logic.getInitialSnapshot(scope, input)) as AnySnapshot;
    } catch (error) {
      return { status: "error", output: undefined, error };
    } finally {
      this.#computing.delete(actor);
    }
  }

  // ---- turns

  /** What the event makes of the actor, and what it asks for. */
  turn(actor: Actor, event: AnyEvent): Recording {
    const snapshot = this.snapshotOf(actor);
    const crowd = actor.held.size < Crowd.min ? undefined : Crowd.of(snapshot);
    if (crowd === undefined) return this.#record(actor, () => transitionOf(actor, snapshot, event));
    return this.#crowded(actor, snapshot, crowd, event) ?? this.#record(actor, () => transitionWith(actor, snapshot, crowd.plain(), event));
  }

  /** A turn that does not see the names of its many children; undefined when it may have missed one. */
  #crowded(actor: Actor, before: AnySnapshot, crowd: Crowd, event: AnyEvent): Recording | undefined {
    const recording: Recording = { actor, effects: [], adopted: [], undo: [], isHandled: undefined, isCrowded: true };
    this.#recording = recording;
    try {
      const after = transitionWith(actor, before, crowd.hidden, event);
      const isTouched = after !== before && childrenOf(after) !== crowd.hidden;
      const isOver = after !== before && after.status !== "active";
      if (isOver && isTouched) return this.#takeBack(actor, recording);
      if (isOver) stopEach(actor, crowd.children);
      this.#runDeferred(actor);
      const gone = recording.effects.flatMap((effect) => (effect.kind === "stop" && effect.actor.parent === actor ? [effect.actor.id] : []));
      const next = isTouched ? crowd.next(gone, childrenOf(after)) : crowd;
      if (next === undefined) return this.#takeBack(actor, recording);
      if (after !== before) Object.assign(after, { children: isOver && after.status !== "done" ? {} : next.children });
      this.#kept(actor, after);
      return recording;
    } catch {
      return this.#takeBack(actor, recording);
    } finally {
      this.#recording = undefined;
    }
  }

  /** The actor breathes for the first time: its first snapshot, and what that asks for. */
  begin(actor: Actor): Recording {
    return this.#record(actor, () => {
      const snapshot = this.snapshotOf(actor);
      actor.life = "running";
      actor.ref._processingStatus = RUNNING;
      this.#recording!.isBeginning = true;
      if (snapshot.status === "error") actor.deferred.length = 0;
      else if (snapshot.status === "active" && isMachine(actor.logic)) this.#startChildren(snapshot);
      return snapshot;
    });
  }

  #startChildren(snapshot: AnySnapshot): void {
    for (const child of Object.values((snapshot as unknown as { children: Record<string, HostedRef | undefined> }).children))
      if (child !== undefined && child.getSnapshot().status === "active") child.start();
  }

  #record(actor: Actor, work: () => AnySnapshot): Recording {
    const recording: Recording = { actor, effects: [], adopted: [], undo: [], isHandled: undefined };
    const before = actor.storedState === undefined ? actor.snapshot : this.snapshotOf(actor);
    this.#recording = recording;
    try {
      const snapshot = work();
      this.#runDeferred(actor);
      this.#kept(actor, snapshot);
      return recording;
    } catch (error) {
      return this.#undone(actor, before, recording, error);
    } finally {
      this.#recording = undefined;
    }
  }

  #runDeferred(actor: Actor): void {
    for (let next = actor.deferred.shift(); next !== undefined; next = actor.deferred.shift()) next();
  }

  #takeBack(actor: Actor, { undo, adopted }: Recording): undefined {
    for (const back of undo.toReversed()) back();
    for (const child of adopted) this.#seams.disowned(child);
    actor.deferred.length = 0;
  }

  /** Nothing of the turn happened but its error. */
  #undone(actor: Actor, before: AnySnapshot | undefined, recording: Recording, error: unknown): Recording {
    this.#takeBack(actor, recording);
    this.#kept(actor, { ...(before ?? { status: "active" }), status: "error", error });
    actor.life = "running";
    return { actor, effects: [], adopted: [], undo: [], isHandled: true };
  }

  /** The actor fails outside of a turn. */
  failed(actor: Actor, error: unknown): void {
    this.#kept(actor, { ...this.snapshotOf(actor), status: "error", error });
  }

  /** The actor has ended or is gone: nothing reaches it any more. */
  ended(actor: Actor): void {
    actor.ref._processingStatus = STOPPED;
    this.unregister(actor);
  }

  #askUnregister(actor: Actor): void {
    if (this.#recording?.isBeginning) this.#recording.effects.push({ kind: "unregister", actor });
    else this.unregister(actor);
  }

  /** Its system id is free. */
  unregister(actor: Actor): void {
    const { systemId } = actor;
    if (systemId === undefined || this.#named.get(systemId) !== actor) return;
    this.#named.delete(systemId);
    this.#seams.changed(actor);
    this.#recording?.undo.push(() => this.#named.set(systemId, actor));
  }

  // ---- what xstate sees

  #makeScope(actor: Actor): AnyActorScope {
    return {
      self: actor.ref,
      id: actor.id,
      sessionId: actor.ref.sessionId,
      system: this.#system,
      logger: (...values: unknown[]) => this.#seams.logged(actor, values),
      defer: (work: () => void) => void actor.deferred.push(work),
      stopChild: (child: HostedRef) => this.#stopChild(actor, child),
      emit: (event: AnyEvent) => this.#emit(actor, event),
      actionExecutor: (action: ExecutableAction) => this.#execute(actor, action),
    } as unknown as AnyActorScope;
  }

  #stopChild(actor: Actor, ref: HostedRef): void {
    const child = this.#actorOf.get(ref);
    if (child === undefined || ref._parent !== actor.ref) throw new Error(`Cannot stop child actor ${ref.id} of ${actor.id} because it is not a child`);
    const before = ref._processingStatus;
    if (before === NOT_STARTED) {
      ref._processingStatus = STOPPED;
      this.#recording?.undo.push(() => (ref._processingStatus = before));
    }
    this.#recording?.effects.push({ kind: "stop", actor: child });
  }

  #emit(actor: Actor, event: AnyEvent): void {
    if (this.#recording === undefined) return this.#seams.emitted(actor, event);
    const perform = (): void => this.#seams.emitted(actor, event);
    this.#recording.effects.push({ kind: "act", act: { kind: "emit", actor, name: event.type, perform } });
  }

  /** xstate's own actions only defer; those of the user are done after the commit. */
  #execute(actor: Actor, { type, exec, info, params }: ExecutableAction): void {
    if (exec === undefined) return;
    if (type === "xstate.stopChild" && params === undefined && this.#recording?.isCrowded && this.#recording.actor === actor)
      throw new Error("a child may have been missed");
    const isOwn = type.startsWith("xstate.") && type !== "xstate.log";
    const kind = type === "xstate.log" ? "log" : "action";
    const perform = (): unknown => exec(info, params);
    const ask = isOwn ? perform : () => void this.#recording?.effects.push({ kind: "act", act: { kind, actor, name: type, perform } });
    if (actor.life === "new") actor.deferred.push(ask);
    else ask();
  }

  #relay(target: HostedRef | RunAddress, event: AnyEvent): void {
    const to = target instanceof RunAddress ? target : this.#actorOf.get(target);
    if (to === undefined) throw new PawlError("PAWL_VALUE_NOT_STORABLE", { message: `event "${event.type}" was sent to an actor of another system` });
    if (this.#recording === undefined) this.#seams.sentFromOutside(to, event);
    else this.#recording.effects.push(to instanceof RunAddress ? { kind: "post", runId: to.runId, event } : { kind: "send", to, event });
  }

  #register(systemId: string, ref: HostedRef): void {
    const actor = this.#actorOf.get(ref)!;
    const known = this.#named.get(systemId);
    if (known === actor) return;
    if (known !== undefined) throw new Error(`Actor with system ID '${systemId}' already exists.`);
    this.#named.set(systemId, actor);
    this.#recording?.undo.push(() => this.#named.delete(systemId));
  }

  #makeSystem(): object {
    const nothing = (): void => {};
    return {
      _bookId: () => (this.#reviving === undefined ? `x:${this.#seams.nextNumber()}` : ""),
      _register: nothing,
      _unregister: (ref: HostedRef) => this.#askUnregister(this.#actorOf.get(ref)!),
      _set: (systemId: string, ref: HostedRef) => this.#register(systemId, ref),
      get: (systemId: string) => this.#named.get(systemId)?.ref,
      getAll: () => Object.fromEntries([...this.#named].map(([systemId, actor]) => [systemId, actor.ref])),
      inspect: () => ({ unsubscribe: nothing }),
      _sendInspectionEvent: (event: { type: string; actorRef: HostedRef; _transitions?: readonly unknown[] }) => {
        if (event.type === "@xstate.actor") this.#adopt(event.actorRef);
        else if (event.type === "@xstate.microstep" && event.actorRef === this.#recording?.actor.ref)
          this.#recording.isHandled ??= (event._transitions ?? []).length > 0;
      },
      _relay: (_from: unknown, to: HostedRef | RunAddress, event: AnyEvent) => this.#relay(to, event),
      scheduler: {
        schedule: (from: HostedRef, to: HostedRef | RunAddress, event: AnyEvent, delayMs: number, id?: string) => {
          const address = to instanceof RunAddress ? `run:${to.runId}` : this.#actorOf.get(to)!.key;
          this.#recording?.effects.push({ kind: "schedule", source: this.#actorOf.get(from)!, to: address, event, delayMs, id });
        },
        cancel: (from: HostedRef, id: string) => this.#recording?.effects.push({ kind: "cancel", source: this.#actorOf.get(from)!, id }),
        cancelAll: nothing,
      },
      start: nothing,
      getSnapshot: () => ({ _scheduledEvents: {} }),
      _snapshot: { _scheduledEvents: {} },
      services: this.#seams.services,
      runId: this.#seams.runId,
      _clock: undefined,
      _logger: nothing,
    };
  }
}
