/**
 * The delayed events of a machine run: kept in their actors, fired in the order in which they are due.
 * A `deadline` is due by the wall clock, the others by steady time; none is ever early.
 */
import type { Clock } from "../clock.ts";
import { DueTimes } from "./due-times.ts";
import type { Actor, ActorTimer, TimerPolicy } from "./xstate/actor.ts";
import type { Effect } from "./xstate/effects.ts";

interface Armed {
  readonly actor: Actor;
  readonly timer: ActorTimer;
}

type Scheduled = Extract<Effect, { kind: "schedule" }>;

/** The longest wait, for delays that are none. */
const DELAY_MAX_MS = 8_640_000_000_000_000;

export interface TimerSeams {
  readonly clock: Clock;
  readonly epoch: number;
  readonly startedAt: number;
  lagOf(epoch: number): number;
  steadyNow(): number;
}

export class ActorTimers {
  readonly #seams: TimerSeams;
  readonly #policyOf: (timerId: string) => TimerPolicy;
  readonly #fired: (actor: Actor, timer: ActorTimer) => void;
  readonly #deadlines = new DueTimes<Armed>();
  readonly #lengths = new DueTimes<Armed>();
  readonly #armed = new Map<ActorTimer, Armed>();
  #cancelNext: (() => void) | undefined;
  /** What `cancelNext` waits for: the first deadline and the first length. */
  #next: readonly [number | undefined, number | undefined] = [undefined, undefined];

  constructor(seams: TimerSeams, policyOf: (timerId: string) => TimerPolicy, fired: (actor: Actor, timer: ActorTimer) => void) {
    this.#seams = seams;
    this.#policyOf = policyOf;
    this.#fired = fired;
  }

  /** Sets a timer that counts from now. */
  set({ source, to, delayMs: asked, id: name }: Scheduled, number: number, event: string): void {
    const id = name ?? `timer~${number}`;
    const policy = this.#policyOf(id);
    const delayMs = Number.isNaN(asked) ? 0 : Math.min(DELAY_MAX_MS, Math.max(0, asked));
    const from = policy === "deadline" ? this.#seams.clock.now() : this.#seams.steadyNow();
    const timer: ActorTimer = { number, id, to, event, policy, delayMs, dueAt: from + delayMs, epoch: this.#seams.epoch };
    source.timers = [...source.timers, timer];
    this.#watch(source, timer);
  }

  /** Takes up the timers of an actor that came back. Answers whether its row is to say of any that it is due at another instant. */
  restore(actor: Actor): boolean {
    let isToBeSaid = false;
    actor.timers = actor.timers.map((timer) => {
      const here = this.#here(timer);
      isToBeSaid ||= here.dueAt !== timer.dueAt && timer.policy === "remaining";
      return here;
    });
    for (const timer of actor.timers) this.#watch(actor, timer);
    return isToBeSaid;
  }

  /**
   * Lengths that began by another worker's time go on by the time here; those that restart count from this worker's start. When
   * the clock was set back since one began, and nobody knows by how much, it begins anew now.
   */
  #here(timer: ActorTimer): ActorTimer {
    const { epoch, startedAt } = this.#seams;
    if (timer.policy === "deadline" || timer.epoch === epoch) return timer;
    const dueAt = Math.min(timer.dueAt + this.#seams.lagOf(timer.epoch), this.#seams.steadyNow() + timer.delayMs);
    if (timer.policy === "remaining") return dueAt === timer.dueAt ? timer : { ...timer, epoch, dueAt };
    return { ...timer, epoch, dueAt: Math.max(dueAt, startedAt + timer.delayMs) };
  }

  /** A timer that fired and was not heard is due again. */
  putBack(actor: Actor, timer: ActorTimer): void {
    if (actor.timers.includes(timer)) this.#watch(actor, timer);
  }

  #watch(actor: Actor, timer: ActorTimer): void {
    const armed = { actor, timer };
    this.#armed.set(timer, armed);
    this.#timesOf(timer.policy).add(timer.dueAt, armed);
  }

  #timesOf(policy: TimerPolicy): DueTimes<Armed> {
    return policy === "deadline" ? this.#deadlines : this.#lengths;
  }

  /** Removes what this says of an actor's timers. */
  remove(actor: Actor, isVoid: (timer: ActorTimer) => boolean): void {
    const gone = actor.timers.filter(isVoid);
    if (gone.length === 0) return;
    actor.timers = actor.timers.filter((timer) => !gone.includes(timer));
    for (const timer of gone) {
      const armed = this.#armed.get(timer);
      if (armed !== undefined) this.#timesOf(timer.policy).remove(armed);
      this.#armed.delete(timer);
    }
  }

  /** The instant of the first, in ms since 1970; undefined when there is none. */
  get earliest(): number | undefined {
    const [deadline, length] = [this.#deadlines.earliest, this.#lengths.earliest];
    if (deadline === undefined || length === undefined) return deadline ?? length;
    return Math.min(deadline, length);
  }

  /** Waits for the next, unless that is what it does already. */
  arm(): void {
    const [deadline, length] = [this.#deadlines.earliest, this.#lengths.earliest];
    if (deadline === this.#next[0] && length === this.#next[1]) return;
    this.disarm();
    this.#next = [deadline, length];
    if (deadline === undefined && length === undefined) return;
    const leftMs = Math.min((deadline ?? Infinity) - this.#seams.clock.now(), (length ?? Infinity) - this.#seams.steadyNow());
    this.#cancelNext = this.#seams.clock.after(Math.max(0, leftMs), () => this.fireDue());
  }

  /** Fires what is due, in order, and waits for the next. */
  fireDue(): void {
    this.disarm();
    const due = [...this.#dueOf(this.#deadlines, this.#seams.clock.now()), ...this.#dueOf(this.#lengths, this.#seams.steadyNow())];
    for (const { actor, timer } of due.sort((a, b) => a.timer.dueAt - b.timer.dueAt || a.timer.number - b.timer.number)) this.#fired(actor, timer);
    this.arm();
  }

  #dueOf(times: DueTimes<Armed>, now: number): Armed[] {
    const due: Armed[] = [];
    for (let next = times.takeDue(now); next !== undefined; next = times.takeDue(now)) due.push(next);
    return due;
  }

  disarm(): void {
    this.#cancelNext?.();
    this.#cancelNext = undefined;
    this.#next = [undefined, undefined];
  }
}
