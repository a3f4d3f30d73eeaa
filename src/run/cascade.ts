/**
 * A cascade: all that follows within one run from one event, in xstate's depth-first order, with the call stack as data.
 * 1. Nothing is executed: what is to be done when it is durable is handed to the seams, in order.
 * 2. The stack and the mailboxes are the whole state of a cascade that does not rest yet.
 */
import { type PawlError, isPawlError } from "../errors.ts";
import { recordOf } from "./stimulus.ts";
import { type Actor, type AnyEvent, isMachine } from "./xstate/actor.ts";
import type { Effect } from "./xstate/effects.ts";
import type { ActorSystem, Recording } from "./xstate/system.ts";

/** An actor that is handling an event, and what of its effects is still to come. */
export interface Frame {
  readonly actor: Actor;
  effects: readonly Effect[];
  at: number;
  /** Its parent was not told yet what became of it in this turn. */
  isOpen: boolean;
  /** It was told to stop, and goes when that turn is over. */
  isStopping?: boolean;
}

/** Effects that are no affair between actors. */
export type Asked = Extract<Effect, { kind: "post" | "schedule" | "cancel" | "act" }>;

export interface CascadeSeams {
  /** The actor's row is no longer what the store has. */
  changed(actor: Actor): void;
  /** The actor is over for good: its row goes when the cascade rests. */
  removed(actor: Actor): void;
  /** The actor's turn ended. */
  turned(recording: Recording, event: AnyEvent | undefined): void;
  asked(effect: Asked): void;
  /** Its logic is to be started, or told an event, when the commit is durable. */
  startOutside(actor: Actor): void;
  tellOutside(actor: Actor, event: AnyEvent): void;
  /** The actor has ended: its timers are void. */
  ended(actor: Actor): void;
}

/** Ends an actor. */
export const STOP: AnyEvent = { type: "xstate.stop" };
const TEXTLESS_TURNS_MAX = 10_000;
/** The events by which a promise or an observable hears from itself; others are for its outside logic. */
const OWN_EVENT = /^xstate\.(promise|observable)\./;

export class Cascade {
  readonly #system: ActorSystem;
  readonly #seams: CascadeSeams;
  readonly #busy = new Set<Actor>();
  stack: Frame[] = [];
  /** Turns made since the run is in memory. */
  turns = 0;

  constructor(system: ActorSystem, seams: CascadeSeams) {
    this.#system = system;
    this.#seams = seams;
  }

  get isAtRest(): boolean {
    return this.stack.length === 0;
  }

  /** Goes on with a stack that was written down. */
  resume(frames: Frame[]): void {
    this.stack = frames;
    for (const { actor } of frames) this.#busy.add(actor);
  }

  /** What is still to come does not come any more. */
  cut(): void {
    for (const { actor } of this.stack) actor.mailbox.length = 0;
    this.stack = [];
    this.#busy.clear();
  }

  /** Starts an actor that is new. */
  start(actor: Actor): void {
    if (actor.life !== "new") return;
    const effects = this.#turned(this.#system.begin(actor), undefined);
    if (actor.isOutside && actor.snapshot?.status === "active") this.#seams.startOutside(actor);
    this.#push({ actor, effects, at: 0, isOpen: true });
  }

  /** Puts an event before an actor; one that has ended does not hear it. */
  deliver(to: Actor, event: AnyEvent): void {
    if (to.life !== "running" && to.life !== "new") return;
    to.mailbox.push(event);
    if (to.life === "running" && !this.#busy.has(to)) this.#push({ actor: to, effects: [], at: 0, isOpen: false });
  }

  /** Something went wrong with the actor outside of a turn: it ends with this error. */
  fail(actor: Actor, error: unknown): void {
    if (actor.life !== "running") return;
    this.#system.failed(actor, error);
    this.#seams.changed(actor);
    this.#push({ actor, effects: [], at: 0, isOpen: true });
  }

  /** What the actor has become since its last commit cannot be stored: it ends with this error as it was then. */
  takeBack(actor: Actor, error: PawlError): void {
    const { status, error: own } = actor.snapshot ?? {};
    const last = actor.committed ?? { ...actor.snapshot, context: {} };
    actor.snapshot = { ...last, status: "active", output: undefined, error: undefined };
    actor.life = "running";
    this.fail(actor, status === "error" && !isPawlError(own) ? recordOf(own) : error);
  }

  #push(frame: Frame): void {
    this.#busy.add(frame.actor);
    this.stack.push(frame);
  }

  /** Goes on until it rests, or until so many turns were made; says whether it rests. */
  run(turnsMax: number): boolean {
    const endAt = this.turns + turnsMax;
    for (let frame = this.stack.at(-1); frame !== undefined; frame = this.stack.at(-1)) {
      if (this.turns >= endAt && (!this.#hasTextless || this.turns >= endAt + TEXTLESS_TURNS_MAX)) return false;
      if (frame.at < frame.effects.length) this.#effect(frame.effects[frame.at++]!);
      else if (frame.isOpen) {
        frame.isOpen = false;
        this.#tellParent(frame.actor);
        if (frame.isStopping) this.#remove(frame.actor);
      } else if (frame.actor.life === "running" && frame.actor.mailbox.length > 0) {
        frame.isOpen = true;
        frame.at = 0;
        frame.effects = this.#process(frame, frame.actor.mailbox.shift()!);
      } else this.#pop(frame);
    }
    return true;
  }

  /**
   * An act on the stack has no text, nor has what an actor computed before it was started: it would compute it again, in a
   * system that is not as it was. They are waited for, for a while, before the stack is written down.
   */
  get #hasTextless(): boolean {
    const isTextless = (effect: Effect): boolean => effect.kind === "act" || (effect.kind === "start" && effect.actor.life === "new");
    return this.stack.some(({ effects, at }) => effects.slice(at).some(isTextless));
  }

  #effect(effect: Effect): void {
    if (effect.kind === "send") this.deliver(effect.to, effect.event);
    else if (effect.kind === "start") this.start(effect.actor);
    else if (effect.kind === "stop") this.#stop(effect.actor);
    else if (effect.kind === "unregister") this.#system.unregister(effect.actor);
    else this.#seams.asked(effect);
  }

  #stop(actor: Actor): void {
    actor.mailbox.length = 0;
    if (actor.life === "running") this.deliver(actor, STOP);
    else this.#remove(actor);
  }

  #process(frame: Frame, event: AnyEvent): readonly Effect[] {
    const { actor } = frame;
    if (actor.isOutside && !OWN_EVENT.test(event.type)) {
      this.#seams.tellOutside(actor, event);
      if (event.type === STOP.type) this.#remove(actor);
      return [];
    }
    frame.isStopping = event.type === STOP.type;
    return this.#turned(this.#system.turn(actor, event), event);
  }

  #turned(recording: Recording, event: AnyEvent | undefined): readonly Effect[] {
    this.turns++;
    this.#seams.changed(recording.actor);
    this.#seams.turned(recording, event);
    return recording.effects;
  }

  /** What an actor tells its parent when its turn and what followed from it are over. */
  #tellParent(actor: Actor): void {
    if (actor.life !== "running") return;
    const { parent, id } = actor;
    const snapshot = this.#system.snapshotOf(actor);
    if (snapshot.status === "active") {
      if (!actor.syncSnapshot || parent === undefined) return;
      const told = isMachine(actor.logic) ? snapshot : actor.logic.getPersistedSnapshot(snapshot);
      return this.deliver(parent, { type: `xstate.snapshot.${id}`, snapshot: told });
    }
    actor.life = snapshot.status;
    this.#end(actor);
    if (snapshot.status === "error") this.#stopChildren(actor);
    if (parent === undefined) return;
    if (snapshot.status === "done") this.deliver(parent, { type: `xstate.done.actor.${id}`, output: snapshot.output, actorId: id });
    if (snapshot.status === "error") this.deliver(parent, { type: `xstate.error.actor.${id}`, error: snapshot.error, actorId: id });
  }

  #end(actor: Actor): void {
    actor.mailbox.length = 0;
    this.#system.ended(actor);
    this.#seams.ended(actor);
    this.#seams.changed(actor);
  }

  #remove(actor: Actor): void {
    actor.life = "stopped";
    this.#end(actor);
    if (actor.snapshot !== undefined) actor.snapshot = { ...actor.snapshot, status: "stopped" };
    this.#seams.removed(actor);
    if (!this.#busy.has(actor)) this.#stopChildren(actor);
  }

  /** Nobody's children go on: those of an actor that failed, and those that it no longer held. */
  #stopChildren(actor: Actor): void {
    for (const child of actor.children) if (child.life !== "stopped") this.#stop(child);
  }

  #pop(frame: Frame): void {
    this.stack.pop();
    this.#busy.delete(frame.actor);
    if (frame.actor.life !== "running") this.#stopChildren(frame.actor);
  }
}
