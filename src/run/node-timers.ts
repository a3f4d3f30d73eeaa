/**
 * The timers that nodes' states ask for: timeouts of attempts and backoffs. Kept beside the nodes, one each.
 */
import type { Clock } from "../clock.ts";
import { DueTimes } from "./due-times.ts";
import type { NodeActor, Timer } from "./node-actor.ts";

export class NodeTimers {
  readonly #clock: Clock;
  readonly #steadyNow: () => number;
  readonly #fired: (node: NodeActor, timer: Timer) => void;
  /** When nodes that back off are due, by their timer, in steady time. */
  readonly #backoffs = new DueTimes<Timer>();

  constructor(clock: Clock, steadyNow: () => number, fired: (node: NodeActor, timer: Timer) => void) {
    this.#clock = clock;
    this.#steadyNow = steadyNow;
    this.#fired = fired;
  }

  /** When the first node that backs off is due, in steady time. */
  get earliest(): number | null {
    return this.#backoffs.earliest === undefined ? null : Math.ceil(this.#backoffs.earliest);
  }

  /** Lets time count, unless the timer was cleared meanwhile. */
  arm(node: NodeActor, timer: Timer): void {
    if (node.timer === timer) node.cancelTimer = this.#clock.after(timer.delayMs, () => this.#fired(node, timer));
  }

  /** The node backs off from now on, until its timer is due. */
  backsOff(node: NodeActor): void {
    node.since = this.#steadyNow();
    this.#backoffs.add(node.since + node.timer!.delayMs, node.timer!);
  }

  /** A node that came back goes on backing off. */
  restore(node: NodeActor): void {
    this.backsOff(node);
    this.arm(node, node.timer!);
  }

  clear(node: NodeActor): void {
    node.cancelTimer?.();
    node.cancelTimer = undefined;
    if (node.timer !== undefined) this.#backoffs.remove(node.timer);
    node.timer = undefined;
  }
}
