/**
 * Asking the owner of a run, wherever it is: a row in the run's inbox, and the wait for the answer. What was asked stays
 * in the inbox and is done once, also when nobody waits for the answer any more. All who wait for one run look together.
 */
import type { Clock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import { type Commit, INBOX_MAX, type RunRecord, type Store } from "../store/store.ts";
import { startsLater } from "./delayed-start.ts";
import { liveWorkers } from "./peers.ts";
import type { RunWatch } from "./run-watch.ts";
import { type Reply, type Request, readReply, requestText } from "./requests.ts";
import { isOver, requireRun } from "./view.ts";

/** How often it is asked whether somebody is there who can answer. */
const ALIVE_EVERY_MS = 1_000;
/** Answers that were read are deleted together, so long after the first of them. */
const TIDY_AFTER_MS = 1_000;

export type Answered = Exclude<Reply, { refused: unknown }>;

export interface AskSeams {
  readonly store: Store;
  readonly clock: Clock;
  readonly watch: RunWatch;
  /** Throws when this process asks no more. */
  checkOpen(): void;
  /** The run may be here: it is told at once. */
  deliver(runId: string): void;
  failed(error: unknown): void;
}

interface Ask {
  readonly resolve: (answer: Answered) => void;
  readonly reject: (error: unknown) => void;
  readonly cancelTimeout: () => void;
}

/** Those who wait for one run. */
interface Waiting {
  readonly asks: Map<number, Ask>;
  readonly end: () => void;
  looking: Promise<void> | undefined;
  lookAgain: boolean;
  aliveAt: number;
}

export class Asks {
  readonly #seams: AskSeams;
  readonly #waiting = new Map<string, Waiting>();
  #taken: number[] = [];
  #cancelTidy: (() => void) | undefined;

  constructor(seams: AskSeams) {
    this.#seams = seams;
  }

  /**
   * Resolves with the answer.
   *
   * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_ENDED, PAWL_MAILBOX_FULL, PAWL_SEND_PENDING (recorded, not done yet), or what the
   * owner refused it with
   */
  async ask(runId: string, request: Request, timeoutMs: number): Promise<Answered> {
    const { store, clock } = this.#seams;
    // what controls a run finds room also in an inbox that is full of events
    const number = await store.post({ runId, body: requestText(request) }, request.kind === "send" ? INBOX_MAX : undefined);
    if (number === undefined) throw await this.#ended(runId);
    const { promise, resolve, reject } = Promise.withResolvers<Answered>();
    const waiting = this.#waitingFor(runId);
    const cancelTimeout = clock.after(timeoutMs, () => void this.#giveUp(runId, number));
    waiting.asks.set(number, { resolve, reject, cancelTimeout });
    this.#seams.deliver(runId);
    this.#look(runId, waiting);
    return promise;
  }

  #waitingFor(runId: string): Waiting {
    const known = this.#waiting.get(runId);
    if (known !== undefined) return known;
    const { clock, watch } = this.#seams;
    const look = (): void => this.#look(runId, waiting);
    const ends = [watch.onChange(runId, look), watch.onEnd(runId, look)];
    let cancel = (): void => {};
    const again = (): void => {
      cancel = clock.after(ALIVE_EVERY_MS, () => (look(), again()));
    };
    again();
    const end = (): void => (cancel(), ends.forEach((ended) => ended()));
    const waiting: Waiting = { asks: new Map(), end, looking: undefined, lookAgain: false, aliveAt: -Infinity };
    this.#waiting.set(runId, waiting);
    return waiting;
  }

  /** A commit of this process gave answers. */
  answered({ runId, answers = [] }: Commit): void {
    const waiting = this.#waiting.get(runId);
    if (waiting !== undefined) for (const { number, body } of answers) this.#settle(runId, waiting, number, body);
  }

  #look(runId: string, waiting: Waiting): void {
    waiting.lookAgain = true;
    waiting.looking ??= this.#lookAll(runId, waiting)
      .catch((error: unknown) => this.#rejectAll(runId, waiting, error))
      .finally(() => (waiting.looking = undefined));
  }

  async #lookAll(runId: string, waiting: Waiting): Promise<void> {
    const { store, clock } = this.#seams;
    while (waiting.lookAgain && waiting.asks.size > 0) {
      waiting.lookAgain = false;
      this.#seams.checkOpen();
      for (const { number, body, isPosted } of await store.readReplies([...waiting.asks.keys()]))
        if (body !== undefined) this.#settle(runId, waiting, number, body);
        else if (!isPosted) this.#reject(runId, waiting, number, await this.#ended(runId));
      if (waiting.asks.size === 0) return;
      const record = await requireRun(store, runId);
      if (isOver(record.status)) throw await this.#ended(runId);
      if (startsLater(record, clock)) throw pending(`run "${runId}" starts at ${new Date(record.wakeAt!).toISOString()}`);
      if (clock.mono() - waiting.aliveAt < ALIVE_EVERY_MS) continue;
      const reason = await whyNobody(store, record);
      if (reason !== undefined) throw pending(reason);
      waiting.aliveAt = clock.mono();
    }
  }

  #settle(runId: string, waiting: Waiting, number: number, body: string): void {
    const ask = this.#leave(runId, waiting, number);
    if (ask === undefined) return;
    this.#take(number);
    try {
      ask.resolve(readReply(body));
    } catch (error) {
      ask.reject(error);
    }
  }

  #reject(runId: string, waiting: Waiting, number: number, error: unknown): void {
    this.#leave(runId, waiting, number)?.reject(error);
  }

  #rejectAll(runId: string, waiting: Waiting, error: unknown): void {
    for (const number of [...waiting.asks.keys()]) this.#reject(runId, waiting, number, error);
  }

  #leave(runId: string, waiting: Waiting, number: number): Ask | undefined {
    const ask = waiting.asks.get(number);
    waiting.asks.delete(number);
    ask?.cancelTimeout();
    if (waiting.asks.size === 0 && this.#waiting.get(runId) === waiting) {
      this.#waiting.delete(runId);
      waiting.end();
    }
    return ask;
  }

  async #giveUp(runId: string, number: number): Promise<void> {
    const waiting = this.#waiting.get(runId);
    if (waiting === undefined) return;
    const status = await this.#seams.store.readRun(runId).then(
      (record) => record?.status,
      () => undefined,
    );
    this.#reject(runId, waiting, number, pending(status === "paused" ? `run "${runId}" is paused` : "nobody answered in time"));
  }

  async #ended(runId: string): Promise<PawlError> {
    const { status } = await requireRun(this.#seams.store, runId);
    if (isOver(status)) return new PawlError("PAWL_RUN_ENDED", { message: `run "${runId}" is ${status}` });
    return new PawlError("PAWL_OUTCOME_UNKNOWN", { message: `run "${runId}" took it and did not say what became of it` });
  }

  #take(number: number): void {
    this.#taken.push(number);
    this.#cancelTidy ??= this.#seams.clock.after(TIDY_AFTER_MS, () => void this.tidy().catch((error: unknown) => this.#seams.failed(error)));
  }

  /** Deletes the answers that were read. */
  async tidy(): Promise<void> {
    this.#cancelTidy?.();
    this.#cancelTidy = undefined;
    const taken = this.#taken;
    this.#taken = [];
    if (taken.length > 0) await this.#seams.store.takeAnswers(taken);
  }
}

function pending(reason: string): PawlError {
  return new PawlError("PAWL_SEND_PENDING", { message: `${reason}; it is recorded, and will be done once` });
}

/** Why nobody works on this run now; undefined when somebody does, or can. */
export async function whyNobody(store: Store, { definition, workflow, id }: RunRecord): Promise<string | undefined> {
  const workers = await liveWorkers(store);
  if (workers.length === 0) return "no worker runs on this store";
  if (workers.some(({ definitions }) => definitions.includes(definition))) return undefined;
  return `no worker on this store was given the definition of run "${id}" of "${workflow}"`;
}
