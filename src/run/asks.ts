/**
 * Asking the owner of a run, wherever it is: a row in the run's inbox, and the wait for the answer. What was asked stays
 * in the inbox and is done once, also when nobody waits for the answer any more.
 */
import type { Clock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import type { Commit, RunRecord, Store } from "../store/store.ts";
import { type WorkerView, liveWorkers } from "./peers.ts";
import type { RunWatch } from "./run-watch.ts";
import { type Reply, type Request, readReply, requestText } from "./requests.ts";
import { isOver, requireRun } from "./view.ts";

/** How often it is asked whether somebody is there who can answer. */
const ALIVE_EVERY_MS = 1_000;
/** Who is there is asked again for a request after this. */
const ALIVE_KNOWN_MS = 250;
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

export class Asks {
  readonly #seams: AskSeams;
  /** Answers that this process gave itself, for those who wait here. */
  readonly #here = new Map<number, string | undefined>();
  #taken: number[] = [];
  #workers: { readonly at: number; readonly workers: Promise<WorkerView[]> } | undefined;
  #cancelTidy: (() => void) | undefined;

  constructor(seams: AskSeams) {
    this.#seams = seams;
  }

  /** A commit of this process gave answers. */
  answered({ answers = [] }: Commit): void {
    for (const { number, body } of answers) if (this.#here.has(number)) this.#here.set(number, body);
  }

  /**
   * Resolves with the answer.
   *
   * @throws PAWL_RUN_NOT_FOUND, PAWL_RUN_ENDED, PAWL_SEND_PENDING (recorded, not done yet), or what the owner refused it with
   */
  async ask(runId: string, request: Request, timeoutMs: number): Promise<Answered> {
    const { store, clock } = this.#seams;
    const endsAt = clock.mono() + timeoutMs;
    const number = await store.post({ runId, body: requestText(request) });
    if (number === undefined) throw await this.#ended(runId);
    this.#here.set(number, undefined);
    this.#seams.deliver(runId);
    try {
      for (;;) {
        const change = this.#nextChange(runId, endsAt);
        try {
          const answer = await this.#answer(runId, number);
          if (answer !== undefined) return answer;
          if (clock.mono() >= endsAt) throw pending(await this.#whyUnanswered(runId));
          await this.#checkAlive(runId);
          await change.promise;
          this.#seams.checkOpen();
        } finally {
          change.forget();
        }
      }
    } finally {
      this.#here.delete(number);
    }
  }

  async #answer(runId: string, number: number): Promise<Answered | undefined> {
    const { store } = this.#seams;
    const isThere = await store.isPosted(number);
    const body = this.#here.get(number) ?? (await store.readAnswer(number));
    if (body !== undefined) {
      this.#take(number);
      return readReply(body);
    }
    const record = isThere ? await store.readRun(runId) : undefined;
    if (isThere && record !== undefined && !isOver(record.status)) return undefined;
    throw await this.#ended(runId);
  }

  async #ended(runId: string): Promise<PawlError> {
    const { status } = await requireRun(this.#seams.store, runId);
    if (isOver(status)) return new PawlError("PAWL_RUN_ENDED", { message: `run "${runId}" is ${status}` });
    return new PawlError("PAWL_OUTCOME_UNKNOWN", { message: `run "${runId}" took it and did not say what became of it` });
  }

  async #whyUnanswered(runId: string): Promise<string> {
    const { status } = await requireRun(this.#seams.store, runId);
    return status === "paused" ? `run "${runId}" is paused` : "nobody answered in time";
  }

  /** Who is not there cannot answer: then it is said at once that it is only recorded. */
  async #checkAlive(runId: string): Promise<void> {
    const { store, clock } = this.#seams;
    const record = await requireRun(store, runId);
    const now = clock.mono();
    if (this.#workers === undefined || now - this.#workers.at > ALIVE_KNOWN_MS) this.#workers = { at: now, workers: liveWorkers(store) };
    const reason = whyNone(await this.#workers.workers, record);
    if (reason !== undefined) throw pending(reason);
  }

  #nextChange(runId: string, endsAt: number): { readonly promise: Promise<void>; forget(): void } {
    const { clock, watch } = this.#seams;
    const { promise, resolve } = Promise.withResolvers<void>();
    const ends = [watch.onChange(runId, resolve), watch.onEnd(runId, resolve)];
    const cancel = clock.after(Math.min(ALIVE_EVERY_MS, Math.max(0, endsAt - clock.mono())), resolve);
    return { promise, forget: () => (cancel(), ends.forEach((end) => end())) };
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
export async function whyNobody(store: Store, record: RunRecord): Promise<string | undefined> {
  return whyNone(await liveWorkers(store), record);
}

function whyNone(workers: readonly WorkerView[], { definition, workflow, id }: RunRecord): string | undefined {
  if (workers.length === 0) return "no worker runs on this store";
  if (workers.some(({ definitions }) => definitions.includes(definition))) return undefined;
  return `no worker on this store was given the definition of run "${id}" of "${workflow}"`;
}
