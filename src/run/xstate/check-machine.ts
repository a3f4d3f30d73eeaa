/**
 * Can this machine be hosted? Checked when it is registered, since xstate itself is silent: it leaves out actions that nobody
 * implemented, fires unknown delays at once, and forgets spawned logic without a name when it is restored.
 * What functions do is not seen: spawns inside `assign` and `enqueueActions` are checked when they happen.
 */
import type { AnyStateMachine, AnyStateNode } from "xstate";
import { didYouMean } from "../../define/name.ts";
import { PawlError } from "../../errors.ts";
import { isMachine } from "./actor.ts";
import { type BuiltIn, invokesOf, stateName, statesOf, timersOf, writtenActions } from "./state-nodes.ts";
import { actorsOf } from "./structure.ts";

const SHOWN_MAX = 20;
/** Events of xstate's own that a machine may wait for: those that its children and its states send it. */
const RECEIVED = /^xstate\.(done|error|snapshot)\./;

type Kind = "action" | "guard" | "delay" | "actor";

/** Throws unless the machine, and every machine among its actors, names only what it implements. */
export function checkMachine(machine: AnyStateMachine): void {
  const machines = new Set([machine]);
  for (const each of machines) {
    new Check(each).run();
    for (const logic of actorsOf(each).values()) if (isMachine(logic)) machines.add(logic);
  }
}

class Check {
  readonly #machine: AnyStateMachine;
  readonly #known: Readonly<Record<Kind, ReadonlyMap<string, unknown>>>;

  constructor(machine: AnyStateMachine) {
    this.#machine = machine;
    const { actions, guards, delays } = machine.implementations;
    const implemented = (given: object): Map<string, unknown> => new Map(Object.entries(given).filter(([, implementation]) => implementation !== undefined));
    this.#known = { action: implemented(actions), guard: implemented(guards), delay: implemented(delays), actor: actorsOf(machine) };
  }

  run(): void {
    for (const name of this.#known.action.keys()) this.#refuseReserved(name, "action", `machine "${this.#machine.id}"`);
    for (const node of statesOf(this.#machine)) this.#checkState(node);
    for (const [name, action] of this.#known.action) this.#checkAction(action, `machine "${this.#machine.id}", action "${name}"`);
    for (const [name, guard] of this.#known.guard) this.#checkGuard(guard, `machine "${this.#machine.id}", guard "${name}"`);
  }

  #checkState(node: AnyStateNode): void {
    const at = `machine "${this.#machine.id}", state "${stateName(node)}"`;
    for (const type of Object.keys((node.config.on as object | undefined) ?? {})) if (!RECEIVED.test(type)) this.#refuseReserved(type, "event", at);
    for (const { delay } of timersOf(node)) this.#checkDelay(delay, at);
    for (const { src } of invokesOf(node)) this.#expect("actor", src, at);
    const transitions = [...[...node.transitions.values()].flat(), ...(node.always ?? [])];
    for (const { guard } of transitions) if (guard !== undefined) this.#checkGuard(guard, at);
    const actions = [node.entry, node.exit, node.initial.actions, ...transitions.map((transition) => transition.actions)].flat();
    for (const action of writtenActions(actions)) this.#checkAction(action, at);
  }

  #checkAction(action: unknown, at: string): void {
    if (typeof action !== "function") {
      const name = nameOf(action);
      this.#refuseReserved(name, "action", at);
      return this.#expect("action", name, at);
    }
    const { name, type, resolve, delay, src } = action as BuiltIn;
    if (resolve === undefined) return this.#refuseReserved(name, "action", at);
    this.#checkDelay(delay, at);
    if (type !== "xstate.spawnChild") return;
    if (typeof src === "string") this.#expect("actor", src, at);
    else if (!Object.values(this.#machine.implementations.actors as object).includes(src)) throw new PawlError("PAWL_INLINE_SPAWN", { at });
  }

  #checkGuard(guard: unknown, at: string): void {
    if (typeof guard !== "function") return this.#expect("guard", nameOf(guard), at);
    for (const inner of (guard as unknown as BuiltIn).guards ?? []) this.#checkGuard(inner, at);
  }

  #checkDelay(delay: unknown, at: string): void {
    if (typeof delay === "string") this.#expect("delay", delay, at);
  }

  #expect(kind: Kind, name: string, at: string): void {
    const known = [...this.#known[kind].keys()];
    if (known.includes(name)) return;
    const registered = known.filter((other) => !other.startsWith("xstate."));
    throw new PawlError("PAWL_UNKNOWN_IMPLEMENTATION", {
      message: `${kind} "${name}" is not implemented${didYouMean(name, registered) || `; ${kind}s: ${registered.slice(0, SHOWN_MAX).join(", ") || "none"}`}`,
      next: `implement it: setup({ ${kind}s: { ${/^\w+$/.test(name) ? name : JSON.stringify(name)}: ... } }), or correct its name`,
      at,
      data: { kind, name, known: registered },
    });
  }

  #refuseReserved(name: string, what: string, at: string): void {
    if (!name.startsWith("xstate.")) return;
    throw new PawlError("PAWL_INVALID_ID", {
      message: `${what} "${name}" begins with "xstate.", which is reserved`,
      next: "give it another name",
      at,
    });
  }
}

const nameOf = (named: unknown): string => (typeof named === "string" ? named : (named as { type: string }).type);
