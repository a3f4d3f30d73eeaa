/**
 * How people reach machine runs: they send events, read snapshots, and wait for states.
 * 1. Only events that the machine declares enter. 2. An `eventId` is consumed once, however often it is sent.
 * 3. What is read is what was committed.
 */
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Asks } from "./asks.ts";
import { checkedEvent, checkedNodeEvent } from "./checked-event.ts";
import { encode } from "./codec.ts";
import { type IdleSeams, unhosted } from "./hosted-run.ts";
import { loadMachine } from "./load.ts";
import type { Definitions } from "./definitions.ts";
import { startsLater } from "./delayed-start.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { isMachineRun } from "./machine-view.ts";
import { MachineRun } from "./machine-run.ts";
import type { Request } from "./requests.ts";
import type { PendingSend, SendResult } from "./sends.ts";
import type { Executing } from "./starting.ts";
import { isOver, readPlan, requireRun } from "./view.ts";
import type { AnySnapshot } from "./xstate/actor.ts";

export interface SendOptions {
  /** Names the event: sent again under the same id, it is not applied again. */
  readonly eventId?: string;
  /** How long to wait for the commit. Default '30s'. */
  readonly timeout?: Duration;
  /** An event that no transition takes is an error. Default false. */
  readonly strict?: boolean;
}

/** An event as people send it. */
export interface SentEvent {
  readonly type: string;
}

const SEND_TIMEOUT: Duration = "30s";
/** A run that is being loaded, or set aside, is asked for again after this. */
const AGAIN_MS = 100;
const EVENT_ID = /^.{1,256}$/su;

function isEnd(error: unknown): boolean {
  return isPawlError(error, "PAWL_RUN_ENDED") || isPawlError(error, "PAWL_DEFINITION_CHANGED") || isPawlError(error, "PAWL_DEFINITION_MISSING");
}

interface DoorSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly definitions: Definitions;
  readonly executing: Executing | undefined;
  readonly asks: Asks;
}

/** An event on its way to a run. */
interface Outgoing {
  readonly id: string;
  readonly event: SentEvent;
  readonly eventId: string | undefined;
  readonly timeoutMs: number;
}

export class MachineDoor {
  readonly #seams: DoorSeams;

  constructor(seams: DoorSeams) {
    this.#seams = seams;
  }

  async send(id: string, event: SentEvent, options: SendOptions): Promise<SendResult> {
    const { eventId, timeout = SEND_TIMEOUT, strict = false } = options;
    const timeoutMs = durationMs(timeout, "timeout", "send()");
    if (eventId !== undefined && !EVENT_ID.test(eventId)) throw new PawlError("PAWL_INVALID_VALUE", { message: "an eventId has 1 to 256 characters" });
    try {
      const result = await this.#send({ id, event, eventId, timeoutMs });
      if (strict && !result.handled && !result.duplicate) throw await this.#unhandled(id, event.type, result.value);
      return result;
    } catch (error) {
      // a run that has ended, or is set aside, may have consumed the event before
      const consumed = eventId === undefined || !isEnd(error) ? undefined : await this.#consumed(id, eventId);
      if (consumed === undefined) throw error;
      return consumed;
    }
  }

  async #unhandled(id: string, type: string, value: unknown): Promise<PawlError> {
    const isMachine = isMachineRun(await requireRun(this.#seams.store, id));
    if (isMachine) return new PawlError("PAWL_EVENT_UNHANDLED", { message: `no transition took "${type}" in state ${JSON.stringify(value)}` });
    const next = "see what it waits for: `run.status()`, or `pawl show`";
    return new PawlError("PAWL_EVENT_UNHANDLED", { message: `run "${id}" does not wait for "${type}" any more`, next });
  }

  async #consumed(id: string, eventId: string): Promise<SendResult | undefined> {
    const commitNo = await this.#seams.store.readEvent(id, eventId);
    return commitNo === undefined ? undefined : { commitNo, handled: true, value: undefined, changed: false, duplicate: true };
  }

  /** To the run in memory, or to its inbox when it is elsewhere or paused. One that moves, or is paused, meanwhile is followed. */
  async #send(outgoing: Outgoing): Promise<SendResult> {
    for (;;) {
      const run = await this.#here(outgoing.id);
      if (run === undefined || run.isPaused) return this.#sendByInbox(outgoing, run?.definition);
      try {
        return await this.#sendHere(outgoing, run);
      } catch (error) {
        if (!isPawlError(error, "PAWL_RUN_MOVED")) throw error;
      }
    }
  }

  async #sendHere({ id, event, eventId, timeoutMs }: Outgoing, { definition }: MachineRun): Promise<SendResult> {
    if (this.#seams.executing!.worker.isFull) throw new PawlError("PAWL_STORE_FULL");
    const snapshot = async (): Promise<AnySnapshot> => (await this.#resident(id)).committedSnapshot;
    const text = encode(await checkedEvent(definition, event, snapshot));
    return this.#inTime(eventId === undefined ? this.#put(id, text, undefined) : this.#putOnce(id, text, eventId), timeoutMs);
  }

  /** The owner checks the event, and asks whether it was consumed before. */
  async #sendByInbox({ id, event, eventId, timeoutMs }: Outgoing, definition: MachineDefinition | undefined): Promise<SendResult> {
    typeOf(event);
    const record = await requireRun(this.#seams.store, id);
    const known = definition ?? this.#seams.definitions.byHash.get(record.definition);
    if (known?.kind === "dag") await checkedNodeEvent(known.workflow.plan, event);
    // where its code is not, its stored structure tells what it waits for
    else if (known === undefined && !isMachineRun(record)) await checkedNodeEvent(await readPlan(this.#seams.store, record.definition), event);
    const request: Request = { kind: "send", event: encode(event), ...(eventId !== undefined && { eventId }) };
    const answer = await this.#seams.asks.ask(id, request, timeoutMs);
    if ("sent" in answer) return answer.sent;
    throw new PawlError("PAWL_OUTCOME_UNKNOWN");
  }

  #inTime(result: Promise<SendResult>, timeoutMs: number): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const cancel = this.#seams.clock.after(timeoutMs, () => reject(new PawlError("PAWL_SEND_PENDING")));
      result.then(
        (answer) => (cancel(), resolve(answer)),
        (error: unknown) => (cancel(), reject(error)),
      );
    });
  }

  async #put(id: string, text: string, eventId: string | undefined): Promise<SendResult> {
    return this.#enqueue(await this.#resident(id), text, eventId);
  }

  #enqueue(run: MachineRun, text: string, eventId: string | undefined): Promise<SendResult> {
    const { promise, resolve, reject } = Promise.withResolvers<SendResult>();
    promise.catch(() => {});
    const pending: PendingSend = { eventId, resolve, reject };
    if (!run.send(text, pending)) {
      if (run.isPaused) throw new PawlError("PAWL_RUN_MOVED", { message: "the run was paused meanwhile" });
      throw new PawlError("PAWL_MAILBOX_FULL", { message: `too many events wait for run "${run.id}"` });
    }
    return promise;
  }

  /** The same id under way, or consumed, is a duplicate. */
  async #putOnce(id: string, text: string, eventId: string): Promise<SendResult> {
    const run = await this.#resident(id);
    const underWay = run.underWay.get(eventId);
    if (underWay !== undefined) return { ...(await underWay), duplicate: true };
    const result = this.#unlessConsumed(run, text, eventId);
    run.underWay.set(eventId, result);
    try {
      return await result;
    } finally {
      run.underWay.delete(eventId);
    }
  }

  async #unlessConsumed(run: MachineRun, text: string, eventId: string): Promise<SendResult> {
    const consumed = await this.#consumed(run.id, eventId);
    if (consumed !== undefined) return consumed;
    if (this.#seams.executing!.worker.runs.get(run.id) !== run) return this.#putOnce(run.id, text, eventId);
    return this.#enqueue(run, text, eventId);
  }

  /** The run in memory. Throws PAWL_RUN_MOVED when it has left. */
  async #resident(id: string): Promise<MachineRun> {
    const run = await this.#here(id);
    if (run === undefined) throw new PawlError("PAWL_RUN_MOVED");
    return run;
  }

  /** The run in memory, brought there if it can be; undefined when it is elsewhere. Throws when it is no machine's, or over. */
  async #here(id: string): Promise<MachineRun | undefined> {
    const { executing, store, definitions } = this.#seams;
    if (executing === undefined) return undefined;
    const { worker, recovery, peers } = executing;
    for (;;) {
      await recovery.delivered(id);
      const run = worker.runs.get(id);
      if (run instanceof MachineRun) return run;
      if (run !== undefined) return undefined;
      if (worker.stopped !== undefined) throw worker.stopped;
      if (await recovery.ensure(id)) continue;
      const parked = recovery.parked.get(id);
      if (parked !== undefined) throw parked;
      const record = await requireRun(store, id);
      if (isOver(record.status)) throw new PawlError("PAWL_RUN_ENDED", { message: `run "${id}" is ${record.status}` });
      if (peers.has(record.epoch) || peers.knows(record.definition) || startsLater(record, this.#seams.clock)) return undefined;
      await definitions.require(record.definition, record.workflow, id);
      await new Promise<void>((resolve) => this.#seams.clock.after(AGAIN_MS, resolve));
    }
  }
}

function typeOf(event: SentEvent): string {
  const { type } = (event ?? {}) as { type?: unknown };
  if (typeof type !== "string") throw new PawlError("PAWL_EVENT_REFUSED", { message: "an event is an object with a type" });
  return type;
}

/** Reads the state that was committed last, in any process that has the machine. */
export async function readSnapshot(store: Store, id: string, definition: MachineDefinition, seams: IdleSeams): Promise<AnySnapshot> {
  const record = await requireRun(store, id);
  if (record.status === "quarantined") throw new PawlError("PAWL_RUN_QUARANTINED", { message: `run "${id}" was set aside: ${record.reason}` });
  if (record.workflow !== definition.name) throw new PawlError("PAWL_NOT_A_MACHINE", { message: `run "${id}" is one of "${record.workflow}"` });
  const stored = record.definition === definition.hash ? undefined : await store.readDefinition(record.definition);
  return loadMachine(record, await store.readActors(id), definition, unhosted(seams), stored).committedSnapshot;
}
