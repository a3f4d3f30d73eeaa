/**
 * What is to be applied to a machine run, in order, and what of it waits while the run is paused.
 */
import type { InboxItem } from "./requests.ts";
import { Pause } from "./pause.ts";
import { Queue } from "./queue.ts";
import type { PendingSend } from "./sends.ts";
import type { MachineStimulus } from "./stimulus.ts";
import type { Actor, ActorTimer } from "./xstate/actor.ts";

interface Timers {
  putBack(actor: Actor, timer: ActorTimer): void;
  /** Puts what is due into this inbox. */
  fireDue(): void;
}

export class MachineInbox {
  readonly pause: Pause;
  readonly #queue = new Queue<MachineStimulus>();
  /** The first cancel decides how. */
  #cancel: { readonly now: boolean } | undefined;

  /** `lost` is told of each event for which a pause had no room. */
  constructor(lost: () => void) {
    this.pause = new Pause(lost);
  }

  get length(): number {
    return this.#queue.length;
  }

  push(stimulus: MachineStimulus): void {
    this.#queue.push(stimulus);
  }

  /** The next; undefined when there is none. */
  shift(): MachineStimulus | undefined {
    return this.#queue.shift();
  }

  get isCancelAsked(): boolean {
    return this.#cancel !== undefined;
  }

  get isTerminateAsked(): boolean {
    return this.#cancel?.now === true;
  }

  askCancel(now: boolean): void {
    this.#cancel ??= { now };
  }

  /** Rows of the run's inbox; events are for this actor. */
  give(items: readonly InboxItem[], root: Actor): void {
    for (const item of items) {
      if (item.kind === "cancel") this.askCancel(item.now === true);
      else if (item.kind === "pause") this.pause.ask();
      this.push(item.kind === "event" ? { kind: "event", to: root, event: item.event, item } : { kind: "item", item });
    }
  }

  /** The pause is over: first fire the timers that are due, then comes what was kept, then what came later. */
  lift(timers: Timers): boolean {
    const kept = this.pause.lift();
    if (kept === undefined) return false;
    const later = this.#takeAll();
    for (const stimulus of kept) if (stimulus.kind === "timer") timers.putBack(stimulus.actor, stimulus.timer);
    timers.fireDue();
    for (const stimulus of [...kept.filter(({ kind }) => kind === "event"), ...later]) this.push(stimulus);
    return true;
  }

  #takeAll(): MachineStimulus[] {
    const all: MachineStimulus[] = [];
    for (let next = this.shift(); next !== undefined; next = this.shift()) all.push(next);
    return all;
  }

  /** Empties it; answers who waits for something in it. */
  drop(): PendingSend[] {
    const left = [...(this.pause.lift() ?? []), ...this.#takeAll()];
    return left.flatMap((stimulus) => (stimulus.kind === "event" && stimulus.pending !== undefined ? [stimulus.pending] : []));
  }
}
