/**
 * An event for a run that may not be there yet: it is started if its id is unknown, then the event is sent.
 */
import { PawlError, isPawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { SentEvent } from "./machine-door.ts";
import type { SendResult } from "./sends.ts";
import type { StartOptions, Startable } from "./startable.ts";
import type { AnyStateMachine, DurableMachine, EventOf } from "./xstate/durable.ts";

/** What a run of this takes: a machine's events, or those that nodes of a workflow wait for. */
export type EventOfStartable<S extends Startable> =
  S extends DurableMachine<infer Machine> ? EventOf<Machine> : S extends AnyStateMachine ? EventOf<S> : SentEvent & { readonly [field: string]: unknown };

/** What the run is started with if it is not there; its id says which run is meant. */
export type StartOrSendOptions<Given> = StartOptions<Given> & { readonly id: string };

/** The run, and what came of the event. */
export interface StartedOrSent<Handle> {
  readonly run: Handle;
  readonly sent: SendResult;
}

/**
 * Starts the run unless it is there. What it would be started with is of no account then: of two at once the first decides.
 *
 * @throws PAWL_RUN_CONFLICT when the id is that of a run of another machine or workflow
 */
export async function startUnlessThere(store: Store, id: string, workflow: string, start: () => Promise<void>): Promise<void> {
  const before = await store.readRun(id);
  if (before === undefined) {
    try {
      return await start();
    } catch (error) {
      if (!isPawlError(error, "PAWL_RUN_CONFLICT")) throw error;
    }
  }
  const there = before ?? (await store.readRun(id));
  if (there?.workflow !== workflow) throw new PawlError("PAWL_RUN_CONFLICT", { message: `run "${id}" belongs to "${there?.workflow}"` });
}
