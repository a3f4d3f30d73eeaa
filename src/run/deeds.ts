/**
 * What a machine run does once its commit is durable: the user's actions, logs and emitted events, and the starting
 * and telling of what runs outside of turns. In order; an action that throws ends its actor, whose later ones are left out.
 */
import type { GatedRun } from "./flow.ts";
import type { DropCode, RunSeams } from "./hosted-run.ts";
import type { Frame } from "./cascade.ts";
import type { Actor, AnyEvent, AnySnapshot } from "./xstate/actor.ts";
import type { Pass } from "./pass.ts";
import { StepGate, startWith } from "./step-gate.ts";
import { needsPermit, performAct, stopFor } from "./xstate/step.ts";
import { logicKind } from "./xstate/structure.ts";
import type { Act } from "./xstate/effects.ts";

interface Deed {
  readonly actor: Actor;
  /** The action's name; undefined for what is started and told. */
  readonly name: string | undefined;
  readonly perform: () => unknown;
}

const STOP: AnyEvent = { type: "xstate.stop" };

export interface DeedSeams {
  readonly run: GatedRun;
  readonly seams: Pick<RunSeams, "attempts" | "protection" | "released">;
  /** The id of the run that the actor is; undefined for any other. */
  addressOf(actor: Actor): string | undefined;
  failed(actor: Actor, error: unknown): void;
}

export class Deeds {
  readonly #seams: DeedSeams;
  readonly #outside = new Set<Actor>();
  /** Those of them that are runs of their own, and the ids of these. */
  readonly #addresses = new Map<Actor, string>();
  readonly #children = new Set<string>();
  /** Attempts that hold a permit, and what has leave. */
  readonly #granted = new Set<Actor>();
  readonly #passes = new Map<Actor, Pass>();
  readonly #gate: StepGate;
  #list: Deed[] = [];
  #isHeld = false;
  /** Starts, and what is told to those that were not started. */
  #heldBack: Deed[] = [];

  constructor(seams: DeedSeams) {
    this.#seams = seams;
    this.#gate = new StepGate(seams.run, seams.seams.protection);
  }

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  /** There are acts of the user: a crash before they are done must not lose them. */
  get mustBeKept(): boolean {
    return this.#list.some(({ name }) => name !== undefined);
  }

  /** Something runs outside, or is about to. */
  get hasOutside(): boolean {
    return this.#outside.size > 0;
  }

  /** Something runs outside. */
  get hasStarted(): boolean {
    for (const { isStarted } of this.#outside) if (isStarted) return true;
    return false;
  }

  get hasPromises(): boolean {
    return [...this.#outside].some(({ logic, isStarted }) => isStarted && logicKind(logic) === "promise");
  }

  /** Attempts that wait for a permit, and may have one; not those that wait for a limit. */
  get queued(): number {
    return this.#isHeld ? 0 : this.#gate.queued;
  }

  get running(): number {
    return this.#granted.size;
  }

  /** All that runs outside are runs of its own, which work by themselves. */
  get waitsForChild(): boolean {
    return this.#addresses.size > 0 && this.#addresses.size === this.#outside.size;
  }

  hasChild(runId: string): boolean {
    return this.#children.has(runId);
  }

  add({ actor, name, perform }: Act): void {
    this.#list.push({ actor, name, perform });
  }

  /** Acts that wait in a cascade which is about to be written down, as data. */
  addAll(stack: readonly Frame[]): void {
    for (const frame of stack) {
      const left = frame.effects.slice(frame.at);
      for (const effect of left) if (effect.kind === "act") this.add(effect.act);
      frame.effects = left.filter(({ kind }) => kind !== "act");
      frame.at = 0;
    }
  }

  /** Nothing is started from now on; what runs goes on. */
  hold(): void {
    this.#isHeld = true;
    this.#gate.unparkAll();
  }

  /** What was held back is started, in order. */
  letGo(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const held = this.#heldBack;
    this.#heldBack = [];
    for (const { actor, perform } of held) this.#contain(actor, perform);
  }

  /** Its logic will be started. */
  start(actor: Actor): void {
    this.#outside.add(actor);
    const address = this.#seams.addressOf(actor);
    if (address !== undefined) {
      this.#addresses.set(actor, address);
      this.#children.add(address);
    }
    this.#list.push({ actor, name: undefined, perform: () => this.#start(actor) });
  }

  /** What ran outside in a process that is no more is started again. */
  restart(actor: Actor): void {
    this.start(actor);
  }

  tell(actor: Actor, event: AnyEvent): void {
    const { snapshot } = actor;
    this.#list.push({ actor, name: undefined, perform: () => this.#tell(actor, event, snapshot) });
  }

  #start(actor: Actor): void {
    if (actor.life !== "running" || actor.isStarted) return;
    if (!this.#gate.add(actor)) this.#startNow(actor, undefined);
  }

  #startNow(actor: Actor, pass: Pass | undefined): void {
    actor.isStarted = true;
    startWith(this.#gate.leaveFor(actor, pass), () => actor.logic.start!(actor.snapshot, actor.scope));
  }

  #tell(actor: Actor, event: AnyEvent, snapshot: AnySnapshot | undefined): void {
    if (actor.isStarted) actor.logic.transition(snapshot, event, actor.scope);
  }

  /** Starts the next attempt that waits for a permit, and need not wait for a limit. */
  grant(): void {
    const next = this.#gate.next();
    if (next !== undefined) this.#begin(next.actor, next.pass);
  }

  /** The attempt has waited for a limit; answers whether it still did. */
  grantParked(index: number, pass: Pass): boolean {
    const actor = this.#gate.unpark(index);
    if (actor !== undefined) this.#begin(actor, pass);
    return actor !== undefined;
  }

  #begin(actor: Actor, pass: Pass | undefined): void {
    if (needsPermit(actor.logic)) this.#granted.add(actor);
    if (pass !== undefined) this.#passes.set(actor, pass);
    this.#contain(actor, () => this.#startNow(actor, pass));
  }

  /** Whoever has ended by itself has said what its end was. */
  #endPass(actor: Actor): void {
    this.#passes.get(actor)?.end("neither");
    this.#passes.delete(actor);
  }

  /** The actor has ended. */
  ended(actor: Actor): void {
    if (!this.#outside.delete(actor)) return;
    this.#gate.delete(actor);
    this.#endPass(actor);
    this.#children.delete(this.#addresses.get(actor) ?? "");
    this.#addresses.delete(actor);
    if (this.#granted.delete(actor)) this.#seams.seams.released();
  }

  /** Does what the commit says; answers the user's acts that were done. */
  perform(): (Deed & { readonly name: string })[] {
    const list = this.#list;
    this.#list = [];
    const { run } = this.#seams;
    const commit = `${run.id}@${run.commitNo}`;
    this.#gate.standAnew();
    const failed = new Set<Actor>();
    const done: (Deed & { readonly name: string })[] = [];
    list.forEach((deed, i) => {
      if (failed.has(deed.actor)) return;
      if (this.#isHeld && deed.name === undefined && !deed.actor.isStarted) return void this.#heldBack.push(deed);
      const isDone = this.#contain(deed.actor, () => this.#watch(deed, performAct(`${commit}.${i}`, deed.perform)));
      if (!isDone) failed.add(deed.actor);
      else if (deed.name !== undefined) done.push({ ...deed, name: deed.name });
    });
    return done;
  }

  /** What an asynchronous action fails of later ends nobody: it is only said. */
  #watch({ name }: Deed, answer: unknown): void {
    const { run, seams } = this.#seams;
    const failed = (error: unknown): void => seams.attempts.log.error({ runId: run.id, action: name, error }, "an asynchronous action failed");
    if (name !== undefined && answer instanceof Promise) answer.catch(failed);
  }

  #contain(actor: Actor, work: () => unknown): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.#seams.failed(actor, error);
      return false;
    }
  }

  /** Does at once the user's acts of a commit that was computed again, under their old keys. */
  redo(again: Deeds): void {
    this.#list = again.#list.map((deed) => (deed.name === undefined ? { ...deed, perform: () => {} } : deed));
    this.perform();
  }

  /** Everything that runs outside is told to stop; nobody hears what it still says. */
  drop(code: DropCode): void {
    this.#list = [];
    this.#heldBack = [];
    for (const actor of this.#outside) {
      if (!actor.isStarted) continue;
      try {
        stopFor(code, () => actor.logic.transition(actor.snapshot, STOP, actor.scope));
      } catch {
        // what a stopped logic throws concerns nobody any more
      }
    }
    for (const _ of this.#granted) this.#seams.seams.released();
    for (const actor of [...this.#passes.keys()]) this.#endPass(actor);
    this.#outside.clear();
    this.#addresses.clear();
    this.#children.clear();
    this.#granted.clear();
    this.#gate.clear();
  }
}
