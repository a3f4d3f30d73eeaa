/**
 * Attempts of a machine's steps that wait to begin: for a permit, and for what their agents use, which they share with the
 * nodes of workflows.
 * 1. Whoever waits for a limit or a breaker waits before the gate, and holds no permit.
 * 2. A call begins when what it uses of a window is written: a crash does not forget it.
 */
import type { Agent } from "../define/agent.ts";
import type { Flow, GatedRun } from "./flow.ts";
import type { Pass } from "./pass.ts";
import type { Protection } from "./protection.ts";
import type { Actor } from "./xstate/actor.ts";
import { agentCalled, needsPermit } from "./xstate/step.ts";

/** Leave to begin an attempt. */
export interface StepLeave {
  /** What it has of limits, or why it fails at once; undefined when it needs nothing. */
  readonly pass: Pass | undefined;
  /** Settled when what it uses is written; undefined when it is. */
  readonly written: Promise<unknown> | undefined;
  /** What it called is asked too much of, and said when to come back. */
  sentAway(retryAfterMs: number): void;
}

let given: StepLeave | undefined;

/** Starts an attempt with this leave. */
export function startWith(leave: StepLeave | undefined, start: () => void): void {
  given = leave;
  try {
    start();
  } finally {
    given = undefined;
  }
}

/** The leave of the attempt that is being started; undefined where nothing is limited. */
export function leaveGiven(): StepLeave | undefined {
  return given;
}

interface ParkedStep {
  readonly actor: Actor;
  readonly flow: Flow;
  readonly since: number;
}

/** Attempts looked at until one is found that need not wait for a limit. */
const LOOKED_AT_ONCE = 100;

export class StepGate {
  readonly #run: GatedRun;
  readonly #protection: Protection | undefined;
  readonly #waiting = new Set<Actor>();
  /** Before the gate, by the numbers by which that knows them. */
  readonly #parked = new Map<number, ParkedStep>();
  readonly #numbers = new Map<Actor, number>();
  #last = 0;
  /** Some that stand before the gate wait no longer. */
  #hasGone = false;

  constructor(run: GatedRun, protection: Protection | undefined) {
    this.#run = run;
    this.#protection = protection;
  }

  /** Attempts that wait for a permit. */
  get queued(): number {
    return this.#waiting.size;
  }

  #flowOf(agent: Agent): Flow | undefined {
    return this.#protection?.gate.flowOf(agent, this.#run);
  }

  /** The actor has to wait until it is granted; answers whether it has to. */
  add(actor: Actor): boolean {
    const agent = agentCalled(actor.logic);
    if (agent === undefined || (!needsPermit(actor.logic) && this.#flowOf(agent) === undefined)) return false;
    this.#waiting.add(actor);
    return true;
  }

  /** The next that need not wait for a limit waits no longer; those before it wait before the gate. */
  next(): { readonly actor: Actor; readonly pass: Pass | undefined } | undefined {
    let looked = 0;
    for (const actor of this.#waiting) {
      if (looked++ === LOOKED_AT_ONCE) return undefined;
      this.#waiting.delete(actor);
      const flow = this.#flowOf(agentCalled(actor.logic)!);
      const pass = flow === undefined ? undefined : this.#protection!.gate.tryPass(flow);
      if (flow === undefined || pass !== undefined) return { actor, pass };
      this.#park({ actor, flow, since: this.#protection!.now() });
    }
    return undefined;
  }

  #park(step: ParkedStep): void {
    const number = ++this.#last;
    this.#parked.set(number, step);
    this.#numbers.set(step.actor, number);
    this.#protection!.gate.park(step.flow, this.#run, number, step.since);
  }

  /** It has waited before the gate; undefined when it no longer does. */
  unpark(number: number): Actor | undefined {
    const actor = this.#parked.get(number)?.actor;
    if (actor !== undefined) this.#forget(actor, number);
    return actor;
  }

  #forget(actor: Actor, number: number): void {
    this.#parked.delete(number);
    this.#numbers.delete(actor);
  }

  /** None waits before the gate any more: they wait to be granted. */
  unparkAll(): void {
    if (this.#parked.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { actor } of this.#parked.values()) this.#waiting.add(actor);
    for (const actor of waiting) this.#waiting.add(actor);
    this.#leave();
  }

  #leave(): void {
    this.#parked.clear();
    this.#numbers.clear();
    this.#hasGone = false;
    this.#protection!.leave(this.#run);
  }

  /** It waits no longer. */
  delete(actor: Actor): void {
    this.#waiting.delete(actor);
    const number = this.#numbers.get(actor);
    if (number === undefined) return;
    this.#forget(actor, number);
    this.#hasGone = true;
  }

  /** Those that wait no longer leave the gate, the others keep their places there. */
  standAnew(): void {
    if (!this.#hasGone) return;
    const still = [...this.#parked.values()];
    this.#leave();
    for (const step of still) this.#park(step);
  }

  /** With what an attempt begins; undefined for what is none. */
  leaveFor(actor: Actor, pass: Pass | undefined): StepLeave | undefined {
    const [agent, protection] = [agentCalled(actor.logic), this.#protection];
    if (agent === undefined || protection === undefined) return undefined;
    const sentAway = (retryAfterMs: number): void => {
      pass?.refund();
      protection.gate.toldToWait(agent, this.#run, retryAfterMs);
    };
    return { pass, written: pass && protection.limits.written(pass.limits), sentAway };
  }

  /** The run is no longer here. */
  clear(): void {
    this.#waiting.clear();
    this.#parked.clear();
    this.#numbers.clear();
  }
}
