/**
 * Nodes that wait for what a person or a program sends. What comes early is kept until the run gets there; what comes again
 * is not taken.
 */
import type { Failure } from "../../machines/node.ts";
import { type EventSnapshot, EVENT_FACT, eventChart } from "./charts.ts";
import type { Graph } from "./graph.ts";
import type { NodeTimers, Timed, Timer } from "./node-timers.ts";
import type { Settled } from "./node-status.ts";
import type { Progress } from "./progress.ts";
import type { OverrideNote } from "./row.ts";

/** A timeout that is none. */
export const WITHOUT_END_MS = 36_500 * 86_400_000;

/** An event that is awaited. */
export interface EventActor extends Timed {
  readonly kind: "event";
  snapshot: EventSnapshot;
  /** Somebody said how it ends. */
  overridden?: OverrideNote;
}

/** What events need of their run. */
export interface EventHost {
  readonly graph: Graph;
  readonly progress: Progress;
  readonly timers: NodeTimers;
  /** In steady time. */
  now(): number;
  /** What is to be done once the commit is durable. */
  act(act: () => void): void;
  /** It waits from now on: its row says so. */
  opened(actor: EventActor): void;
  /** It came before the run got there: its row keeps it. */
  cameEarly(index: number, text: string): void;
  ended(actor: EventActor, status: Settled, output: string | undefined, failure: Failure | undefined): void;
}

export class EventNodes {
  readonly #host: EventHost;
  readonly #actors = new Map<number, EventActor>();
  readonly #early = new Map<number, string>();

  constructor(host: EventHost) {
    this.#host = host;
  }

  get isAwaited(): boolean {
    return this.#actors.size > 0;
  }

  restoreEarly(index: number, text: string): void {
    this.#early.set(index, text);
  }

  /** It has waited since then, in steady time; `now` is in steady time, too. */
  restore(index: number, since: number, now: number): void {
    const { policy } = this.#host.graph.plan.nodes[index]!;
    const actor = this.#actorOf(index, eventChart.restore("awaited", { policy, failure: undefined }), since);
    this.#actors.set(index, actor);
    this.#host.progress.awaits(index);
    if (policy.timeoutMs >= WITHOUT_END_MS) return;
    actor.timer = { delayMs: Math.max(0, since + policy.timeoutMs - now), event: EVENT_FACT.timedOut };
    this.#host.timers.restore(actor);
  }

  #actorOf(index: number, snapshot: EventSnapshot, since: number): EventActor {
    return { kind: "event", index, snapshot, since, timer: undefined, cancelTimer: undefined };
  }

  /** What it depends on is there. */
  open(index: number): void {
    const { snapshot, effects } = eventChart.initial(this.#host.graph.plan.nodes[index]!.policy);
    const actor = this.#actorOf(index, snapshot, this.#host.now());
    this.#actors.set(index, actor);
    this.#host.progress.awaits(index);
    const early = this.#early.get(index);
    if (early !== undefined) return this.tell(actor, EVENT_FACT.received, early);
    for (const effect of effects)
      if (effect.kind === "schedule" && effect.delayMs < WITHOUT_END_MS) {
        const timer: Timer = (actor.timer = { delayMs: effect.delayMs, event: EVENT_FACT.timedOut });
        this.#host.timers.waits(actor);
        this.#host.act(() => this.#host.timers.arm(actor, timer));
      }
    this.#host.opened(actor);
  }

  /** Somebody sent it. Answers whether it was taken. */
  receive(index: number, text: string): boolean {
    const actor = this.#actors.get(index);
    if (actor !== undefined) this.tell(actor, EVENT_FACT.received, text);
    else if (this.#early.has(index) || this.#host.progress.status(index) !== "waiting") return false;
    else {
      this.#early.set(index, text);
      this.#host.cameEarly(index, text);
    }
    return true;
  }

  /** Somebody says how it ends, whether it is awaited or not yet. */
  end(index: number, event: Parameters<typeof eventChart.turn>[1], note?: OverrideNote, result?: string): void {
    const { policy } = this.#host.graph.plan.nodes[index]!;
    const known = this.#actors.get(index);
    const actor = known ?? this.#actorOf(index, eventChart.initial(policy).snapshot, this.#host.now());
    if (known === undefined) this.#host.progress.awaits(index);
    if (note !== undefined) actor.overridden = note;
    this.tell(actor, event, result);
  }

  tell(actor: EventActor, event: Parameters<typeof eventChart.turn>[1], output?: string): void {
    const { snapshot } = eventChart.turn(actor.snapshot, event);
    actor.snapshot = snapshot;
    if (snapshot.status !== "done") return;
    this.#host.timers.clear(actor);
    this.#actors.delete(actor.index);
    this.#host.ended(actor, snapshot.value as Settled, output, snapshot.context.failure);
  }

  cancel(): void {
    for (const actor of [...this.#actors.values()]) this.tell(actor, EVENT_FACT.cancelled);
  }

  /** Leaves memory. */
  drop(): void {
    for (const actor of this.#actors.values()) this.#host.timers.clear(actor);
    this.#actors.clear();
  }
}
