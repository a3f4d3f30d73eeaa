/**
 * The timers that nodes' states ask for: timeouts of attempts and events, and backoffs. Kept beside the nodes, one each.
 */
import type { Clock } from "../clock.ts";
import { DueTimes } from "./due-times.ts";

/** A timer that an actor's state asked for. */
export interface Timer {
  readonly delayMs: number;
  /** What the actor is told then. */
  event: { readonly type: string };
}

/** A node in memory, as far as its timer goes. */
export interface Timed {
  readonly index: number;
  /** When its attempt was granted, or it began to wait. */
  since: number;
  /** A timer that its state asked for: set once the commit is durable. */
  timer: Timer | undefined;
  cancelTimer: (() => void) | undefined;
}

export class NodeTimers {
  readonly #clock: Clock;
  readonly #steadyNow: () => number;
  readonly #fired: (node: Timed, timer: Timer) => void;
  /** When nodes that back off, or wait for an event, are due, by their timer, in steady time. */
  readonly #waits = new DueTimes<Timer>();

  constructor(clock: Clock, steadyNow: () => number, fired: (node: Timed, timer: Timer) => void) {
    this.#clock = clock;
    this.#steadyNow = steadyNow;
    this.#fired = fired;
  }

  /** When the first node that only waits is due, in steady time. */
  get earliest(): number | null {
    return this.#waits.earliest === undefined ? null : Math.ceil(this.#waits.earliest);
  }

  /** Lets time count, unless the timer was cleared meanwhile. */
  arm(node: Timed, timer: Timer): void {
    if (node.timer === timer) node.cancelTimer = this.#clock.after(timer.delayMs, () => this.#fired(node, timer));
  }

  /** The node only waits from now on, until its timer is due. */
  waits(node: Timed): void {
    this.#waits.add(this.#steadyNow() + node.timer!.delayMs, node.timer!);
  }

  /** A node that came back goes on waiting. */
  restore(node: Timed): void {
    this.waits(node);
    this.arm(node, node.timer!);
  }

  clear(node: Timed): void {
    node.cancelTimer?.();
    node.cancelTimer = undefined;
    if (node.timer !== undefined) this.#waits.remove(node.timer);
    node.timer = undefined;
  }
}
