/**
 * What a turn can ask for, as data, and what the actor system needs from the run that hosts it.
 */
import type { AnyActorRef } from "xstate";
import { PawlError } from "../../errors.ts";
import type { Actor, AnyEvent } from "./actor.ts";
import type { StepServices } from "./step.ts";

/** The address of another run, as a target of events. */
export class RunAddress {
  readonly runId: string;

  constructor(runId: string) {
    this.runId = runId;
  }

  /** What xstate itself does with a target. */
  _send(): never {
    throw new PawlError("PAWL_NO_HOST");
  }
}

/** What `otherRun` may look at. */
interface AddressArguments {
  readonly context: any;
  readonly event: any;
}

/**
 * Another run, as the target of xstate's `sendTo`: the event is written with the sender's commit and consumed once by
 * that run, whatever crashes. An event that the other machine does not declare, or for a run that has ended, is dropped.
 *
 * @example
 * ```ts
 * entry: sendTo(otherRun(({ context }) => context.orderId), { type: 'PAID' }),
 * ```
 */
export function otherRun(runId: string | ((args: AddressArguments) => string)): (args: AddressArguments) => AnyActorRef {
  return (args) => new RunAddress(typeof runId === "string" ? runId : runId(args)) as unknown as AnyActorRef;
}

/** Something that is done once the commit is durable. */
export interface Act {
  readonly kind: "action" | "log" | "emit";
  readonly actor: Actor;
  /** The action's name, or the emitted event's type. */
  readonly name: string;
  readonly perform: () => unknown;
}

/** What a turn asks for. Nothing of it has happened yet. */
export type Effect =
  | { readonly kind: "send"; readonly to: Actor; readonly event: AnyEvent }
  | { readonly kind: "post"; readonly runId: string; readonly event: AnyEvent }
  | { readonly kind: "start"; readonly actor: Actor }
  | { readonly kind: "stop"; readonly actor: Actor }
  | { readonly kind: "unregister"; readonly actor: Actor }
  | {
      readonly kind: "schedule";
      readonly source: Actor;
      readonly to: string;
      readonly event: AnyEvent;
      readonly delayMs: number;
      readonly id: string | undefined;
    }
  | { readonly kind: "cancel"; readonly source: Actor; readonly id: string }
  | { readonly kind: "act"; readonly act: Act };

/** What the system needs from the run that hosts it. */
export interface SystemSeams {
  readonly runId: string;
  /** For steps; undefined where nothing is executed. */
  readonly services: StepServices | undefined;
  /** The next number of the run. */
  nextNumber(): number;
  /** A new actor. */
  adopted(actor: Actor): void;
  /** What its row says of it is no longer so. */
  changed(actor: Actor): void;
  /** An actor that was adopted in a turn that failed. */
  disowned(actor: Actor): void;
  /** An actor of the run by its key; one that is gone is `stopped`. */
  actorAt(key: string): Actor;
  /** Something was sent while no turn runs: by an action, a promise, a callback or an observable. */
  sentFromOutside(to: Actor | RunAddress, event: AnyEvent): void;
  /** An event was emitted while no turn runs. */
  emitted(actor: Actor, event: AnyEvent): void;
  logged(actor: Actor, values: readonly unknown[]): void;
  /** The value of a text of a row. */
  decode(text: string): unknown;
}
