/**
 * A machine as pawl knows it: checked, with the structure that is stored beside its runs.
 */
import { didYouMean } from "../define/name.ts";
import { PawlError } from "../errors.ts";
import type { TimerPolicy } from "./xstate/actor.ts";
import { checkMachine } from "./xstate/check-machine.ts";
import type { AnyStateMachine, DurableMachine, DurableOptions } from "./xstate/durable.ts";
import { declaredEvents, isDeclared } from "./xstate/machine-events.ts";
import { delaysOf, implementationText, machineStructure, structureHash, structureText } from "./xstate/structure.ts";

const POLICIES: readonly TimerPolicy[] = ["deadline", "remaining", "restart"];
const KEEP_CHECKPOINTS = 10;
/** A fork reads some rows, and a list of checkpoints so many numbers. */
const KEEP_CHECKPOINTS_MAX = 1_000;
/** More would be as good as none. */
const CHECKPOINT_EVERY_MAX = 1_000;
const AFTER = /^xstate\.after\.(.+?)\.[^.]*$/;

export class MachineDefinition {
  readonly kind = "machine";
  readonly name: string;
  readonly version: string | undefined;
  readonly machine: AnyStateMachine;
  readonly options: DurableOptions<AnyStateMachine>;
  readonly structureText: string;
  readonly hash: string;
  readonly events: ReadonlySet<string>;
  /** How many of the last checkpoints of a run can be gone back to. */
  readonly keepCheckpoints: number;
  /** Commits whose number is a multiple of it are checkpoints. */
  readonly checkpointEvery: number;
  #code: string | undefined;
  readonly #policies: ReadonlyMap<string, TimerPolicy>;

  /** Throws a PawlError that says what of the machine cannot be run. */
  constructor({ machine, options }: DurableMachine) {
    checkMachine(machine);
    this.machine = machine;
    this.name = nameOf(machine.id);
    this.version = machine.version;
    this.options = options;
    this.structureText = structureText(machineStructure(machine));
    this.hash = structureHash(this.structureText);
    this.events = declaredEvents(machine);
    this.#policies = new Map(Object.entries(options.delays ?? {}));
    this.keepCheckpoints = options.keepCheckpoints ?? KEEP_CHECKPOINTS;
    this.checkpointEvery = options.checkpointEvery ?? 1;
    this.#refuseUnknown(options);
    for (const [delay, policy] of this.#policies)
      if (!POLICIES.includes(policy))
        throw new PawlError("PAWL_INVALID_VALUE", {
          message: `the policy of delay "${delay}" is "${policy as string}"; it must be one of ${POLICIES.join(", ")}`,
        });
    this.#refuseUnlessWithin("keepCheckpoints", 0, KEEP_CHECKPOINTS_MAX);
    this.#refuseUnlessWithin("checkpointEvery", 1, CHECKPOINT_EVERY_MAX);
  }

  #refuseUnlessWithin(option: "keepCheckpoints" | "checkpointEvery", min: number, max: number): void {
    const value = this[option];
    if (Number.isInteger(value) && value >= min && value <= max) return;
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `${option} is ${value}, but must be a whole number from ${min} to ${max}`,
      at: `durable(${this.name})`,
    });
  }

  /** What is not there is misspelt; ids of delayed events may be made up by functions, and are let pass when nothing is near. */
  #refuseUnknown({ events = {}, delays = {} }: DurableOptions<AnyStateMachine>): void {
    const at = `durable(${this.name})`;
    const unknown = Object.keys(events).find((type) => !isDeclared(this.events, type));
    if (unknown !== undefined)
      throw new PawlError("PAWL_INVALID_VALUE", { message: `the machine has no event "${unknown}"${didYouMean(unknown, this.events)}`, at });
    const known = delaysOf(this.machine);
    for (const delay of Object.keys(delays)) {
      const near = known.has(delay) ? "" : didYouMean(delay, known);
      if (near !== "") throw new PawlError("PAWL_INVALID_VALUE", { message: `the machine has no delay "${delay}"${near}`, at });
    }
  }

  /** What its implementations say, as text: to tell variants of one structure apart. */
  get code(): string {
    return (this.#code ??= implementationText(this.machine));
  }

  /** What a timer of this id means when the process was down. */
  policyOf(timerId: string): TimerPolicy {
    if (this.#policies.size === 0) return "deadline";
    const delay = timerId.startsWith("xstate.after.") ? delayOf(timerId, this.#policies.keys()) : timerId;
    return this.#policies.get(delay) ?? "deadline";
  }
}

/** The name of its runs: the machine's id with what cannot stand in a name left out. */
function nameOf(machineId: string): string {
  return machineId.replaceAll(/[^A-Za-z0-9._-]+/g, "").slice(0, 128) || "machine";
}

/** The name of the delay in `xstate.after.<delay>.<state>`: both may have dots. */
function delayOf(timerId: string, delays: Iterable<string>): string {
  for (const delay of delays) if (timerId.startsWith(`xstate.after.${delay}.`)) return delay;
  return AFTER.exec(timerId)?.[1] ?? timerId;
}

const known = new WeakMap<object, MachineDefinition>();

/** The definition of a machine, made once. */
export function machineDefinitionOf(given: AnyStateMachine | DurableMachine): MachineDefinition {
  let definition = known.get(given);
  if (definition === undefined) {
    definition = new MachineDefinition("machine" in given ? given : { machine: given, options: {} });
    known.set(given, definition);
  }
  return definition;
}
