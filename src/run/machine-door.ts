/**
 * How people reach machine runs: they send events, read snapshots, and wait for states.
 * 1. Only events that the machine declares enter. 2. An `eventId` is consumed once, however often it is sent.
 * 3. What is read is what was committed.
 */
import type { Clock } from "../clock.ts";
import { type Duration, durationMs } from "../define/duration.ts";
import { describeIssues, validate } from "../define/schema.ts";
import { PawlError, isPawlError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { encode } from "./codec.ts";
import { type IdleSeams, unhosted } from "./hosted-run.ts";
import { loadMachine } from "./load.ts";
import type { Definitions } from "./definitions.ts";
import type { MachineDefinition } from "./machine-definition.ts";
import { MachineRun } from "./machine-run.ts";
import type { Recovery } from "./recovery.ts";
import type { PendingSend, SendResult } from "./sends.ts";
import { isOver, requireRun } from "./view.ts";
import type { Worker } from "./worker.ts";
import type { AnySnapshot } from "./xstate/actor.ts";
import { eventsOf, isDeclared } from "./xstate/machine-events.ts";

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
const EVENT_ID = /^.{1,256}$/su;

function isEnd(error: unknown): boolean {
  return isPawlError(error, "PAWL_RUN_ENDED") || isPawlError(error, "PAWL_DEFINITION_CHANGED") || isPawlError(error, "PAWL_DEFINITION_MISSING");
}

export class MachineDoor {
  readonly #worker: Worker;
  readonly #recovery: Recovery;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #definitions: Definitions;

  constructor(worker: Worker, recovery: Recovery, store: Store, definitions: Definitions) {
    this.#definitions = definitions;
    this.#worker = worker;
    this.#recovery = recovery;
    this.#store = store;
    this.#clock = worker.clock;
  }

  async send(id: string, event: SentEvent, options: SendOptions): Promise<SendResult> {
    const { eventId } = options;
    if (eventId !== undefined && !EVENT_ID.test(eventId)) throw new PawlError("PAWL_INVALID_VALUE", { message: "an eventId has 1 to 256 characters" });
    try {
      return await this.#send(id, event, options);
    } catch (error) {
      // a run that has ended, or is set aside, may have consumed the event before
      const consumed = eventId === undefined || !isEnd(error) ? undefined : await this.#consumed(id, eventId);
      if (consumed === undefined) throw error;
      return consumed;
    }
  }

  async #consumed(id: string, eventId: string): Promise<SendResult | undefined> {
    const commitNo = await this.#store.readEvent(id, eventId);
    return commitNo === undefined ? undefined : { commitNo, handled: true, value: undefined, changed: false, duplicate: true };
  }

  async #send(id: string, event: SentEvent, { eventId, timeout = SEND_TIMEOUT, strict = false }: SendOptions): Promise<SendResult> {
    const timeoutMs = durationMs(timeout, "timeout", "send()");
    if (this.#worker.isFull) throw new PawlError("PAWL_STORE_FULL");
    const checked = await checkedEvent((await this.#resident(id)).definition, event, async () => (await this.#resident(id)).committedSnapshot);
    const text = encode(checked);
    const result = await this.#inTime(eventId === undefined ? this.#put(id, text, undefined) : this.#putOnce(id, text, eventId), timeoutMs);
    if (strict && !result.handled && !result.duplicate)
      throw new PawlError("PAWL_EVENT_UNHANDLED", { message: `no transition took "${event.type}" in state ${JSON.stringify(result.value)}` });
    return result;
  }

  #inTime(result: Promise<SendResult>, timeoutMs: number): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(timeoutMs, () => reject(new PawlError("PAWL_SEND_PENDING")));
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
    if (!run.send(text, pending)) throw new PawlError("PAWL_MAILBOX_FULL", { message: `too many events wait for run "${run.id}"` });
    return promise;
  }

  /** The same id under way, or consumed, is a duplicate. */
  async #putOnce(id: string, text: string, eventId: string): Promise<SendResult> {
    const run = await this.#resident(id);
    const underWay = run.sends.underWay.get(eventId);
    if (underWay !== undefined) return { ...(await underWay), duplicate: true };
    const result = this.#unlessConsumed(run, text, eventId);
    run.sends.underWay.set(eventId, result);
    try {
      return await result;
    } finally {
      run.sends.underWay.delete(eventId);
    }
  }

  async #unlessConsumed(run: MachineRun, text: string, eventId: string): Promise<SendResult> {
    const consumed = await this.#consumed(run.id, eventId);
    if (consumed !== undefined) return consumed;
    if (this.#worker.runs.get(run.id) !== run) return this.#putOnce(run.id, text, eventId);
    return this.#enqueue(run, text, eventId);
  }

  /** The run in memory. Throws when it cannot be there. */
  async #resident(id: string): Promise<MachineRun> {
    for (;;) {
      const run = this.#worker.runs.get(id);
      if (run instanceof MachineRun) return run;
      if (run !== undefined) throw new PawlError("PAWL_NOT_A_MACHINE", { message: `run "${id}" is one of a workflow` });
      if (this.#worker.stopped !== undefined) throw this.#worker.stopped;
      if (await this.#recovery.ensure(id)) continue;
      const parked = this.#recovery.parked.get(id);
      if (parked !== undefined) throw parked;
      const record = await requireRun(this.#store, id);
      if (isOver(record.status)) throw new PawlError("PAWL_RUN_ENDED", { message: `run "${id}" is ${record.status}` });
      await this.#definitions.require(record.definition, record.workflow, id);
      throw new PawlError("PAWL_CLOSED", { message: `run "${id}" is not here` });
    }
  }
}

/** Reads the state that was committed last, in any process that has the machine. */
export async function readSnapshot(store: Store, id: string, definition: MachineDefinition, seams: IdleSeams): Promise<AnySnapshot> {
  const record = await requireRun(store, id);
  if (record.status === "quarantined") throw new PawlError("PAWL_RUN_QUARANTINED", { message: `run "${id}" was set aside: ${record.reason}` });
  if (record.workflow !== definition.name) throw new PawlError("PAWL_NOT_A_MACHINE", { message: `run "${id}" is one of "${record.workflow}"` });
  const stored = record.definition === definition.hash ? undefined : await store.readDefinition(record.definition);
  return loadMachine(record, await store.readActors(id), definition, unhosted(seams), stored).committedSnapshot;
}

async function checkedEvent(definition: MachineDefinition, event: SentEvent, snapshot: () => Promise<AnySnapshot>): Promise<unknown> {
  const { type } = (event ?? {}) as { type?: unknown };
  if (typeof type !== "string") throw new PawlError("PAWL_EVENT_REFUSED", { message: "an event is an object with a type" });
  if (!isDeclared(definition.events, type)) {
    const takes = eventsOf(definition.machine, ((await snapshot()) as { value?: unknown }).value);
    throw new PawlError("PAWL_EVENT_REFUSED", {
      message: `machine "${definition.name}" has no event "${type}"; its present state takes ${takes.length === 0 ? "none" : takes.join(", ")}`,
      data: { takes },
    });
  }
  const schema = definition.options.events?.[type];
  if (schema === undefined) return event;
  const checked = await validate(schema, event);
  if (checked.issues === undefined) return { ...(checked.value as object), type };
  throw new PawlError("PAWL_EVENT_REFUSED", { message: `event "${type}" does not fit its schema: ${describeIssues(checked.issues)}` });
}
