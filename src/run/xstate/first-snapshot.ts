/**
 * The first snapshot of a machine, with what a host must see to: loops that never end, and contexts that would be shared.
 */
import type { AnyActorScope, AnyStateMachine } from "xstate";
import { decode, encode } from "../codec.ts";

/** An `always` loop ends with an error after so many microsteps of one macrostep. */
const MICROSTEPS_MAX = 1_000;

const withOwnContext = new WeakMap<AnyStateMachine, AnyStateMachine>();

/** A machine's first snapshot. A context that is an object of the machine's config is copied, or all its runs would share it. */
export function firstOf(machine: AnyStateMachine, scope: AnyActorScope, input: unknown): unknown {
  const options = machine.options;
  if (options.maxIterations === Number.POSITIVE_INFINITY) options.maxIterations = MICROSTEPS_MAX;
  const { context } = machine.config as { context?: unknown };
  if (typeof context !== "object" || context === null) return machine.getInitialSnapshot(scope, input);
  let own = withOwnContext.get(machine);
  if (own === undefined) {
    const copy = { get: () => decode(encode(context)), enumerable: true };
    own = Object.create(machine, { config: { value: Object.create(machine.config, { context: copy }) as unknown } }) as AnyStateMachine;
    withOwnContext.set(machine, own);
  }
  return (Object.getPrototypeOf(machine) as AnyStateMachine).getInitialSnapshot.call(own, scope, input);
}
