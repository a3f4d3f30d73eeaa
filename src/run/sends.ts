/**
 * Events that somebody sent to a run and waits for: what came of each is told when the commit that consumed it is durable.
 * Who sent it from another process is told by that commit.
 */
import { PawlError } from "../errors.ts";
import type { Answer } from "../store/store.ts";
import type { DropCode } from "./hosted-run.ts";
import { replyText } from "./requests.ts";
import type { AnyEvent, AnySnapshot } from "./xstate/actor.ts";

/** What came of an event. */
export interface SendResult {
  /** The commit that consumed it. */
  readonly commitNo: number;
  /** A transition took it. */
  readonly handled: boolean;
  /** The machine's state value when all that followed at once was done; undefined for a duplicate. */
  readonly value: unknown;
  /** State, context or status are not as they were. */
  readonly changed: boolean;
  /** The same `eventId` was consumed before: nothing was done now. */
  readonly duplicate: boolean;
}

export interface PendingSend {
  readonly eventId: string | undefined;
  resolve(result: SendResult): void;
  reject(error: unknown): void;
}

/** An event of the run's inbox. */
interface PostedSend {
  readonly number: number;
  readonly eventId?: string;
}

type Sender = PendingSend | PostedSend;

interface Watched {
  readonly event: AnyEvent;
  readonly sender: Sender;
  readonly before: AnySnapshot | undefined;
  handled: boolean;
}

interface Result {
  readonly sender: Sender;
  readonly before: AnySnapshot | undefined;
  result: Omit<SendResult, "commitNo">;
}

export class Sends {
  #watched: Watched | undefined;
  #results: Result[] = [];
  #ids: string[] = [];

  get isDirty(): boolean {
    return this.#results.length > 0 || this.#ids.length > 0;
  }

  /** The event is about to be applied. */
  applying(event: AnyEvent, sender: Sender | undefined, before: AnySnapshot | undefined): void {
    if (sender === undefined) return;
    this.#watched = { event, sender, before, handled: false };
    if (sender.eventId !== undefined) this.#ids.push(sender.eventId);
  }

  turned(event: AnyEvent, isHandled: boolean | undefined): void {
    if (this.#watched?.event === event) this.#watched.handled = isHandled ?? true;
  }

  /** All that followed is done. */
  rests(after: AnySnapshot | undefined): void {
    if (this.#watched === undefined) return;
    const { sender, before, handled } = this.#watched;
    this.#watched = undefined;
    this.#results.push({
      sender,
      before,
      result: { handled, value: (after as { value?: unknown }).value, changed: isChanged(before, after), duplicate: false },
    });
  }

  /** What an actor had become could not be stored: what is told is what will be committed. */
  takenBack(after: AnySnapshot | undefined): void {
    for (const told of this.#results) told.result = { ...told.result, value: (after as { value?: unknown }).value, changed: isChanged(told.before, after) };
  }

  /** The ids that the next commit consumes. */
  takeIds(): { readonly eventIds?: readonly string[] } {
    if (this.#ids.length === 0) return {};
    const eventIds = this.#ids;
    this.#ids = [];
    return { eventIds };
  }

  /** For those in other processes; they are answered by the commit that consumes their event, also when more will follow from it. */
  takeAnswers(commitNo: number, after: AnySnapshot | undefined): Answer[] {
    if (this.#watched !== undefined && "number" in this.#watched.sender) this.rests(after);
    const answers: Answer[] = [];
    const here: Result[] = [];
    for (const told of this.#results) {
      if ("number" in told.sender) answers.push({ number: told.sender.number, body: replyText({ sent: { commitNo, ...told.result } }) });
      else here.push(told);
    }
    this.#results = here;
    return answers;
  }

  committed(commitNo: number): void {
    const results = this.#results;
    this.#results = [];
    for (const { sender, result } of results) if ("resolve" in sender) sender.resolve({ commitNo, ...result });
  }

  /** The run leaves memory: whether these events were consumed, nobody here can tell any more. */
  drop(code: DropCode, waiting: readonly PendingSend[]): void {
    const unanswered = [...this.#results.map(({ sender }) => sender), ...(this.#watched === undefined ? [] : [this.#watched.sender])];
    for (const sender of unanswered) if ("reject" in sender) sender.reject(new PawlError("PAWL_OUTCOME_UNKNOWN"));
    for (const pending of waiting) pending.reject(new PawlError(code));
    this.#results = [];
    this.#watched = undefined;
  }
}

function isChanged(before: AnySnapshot | undefined, after: AnySnapshot | undefined): boolean {
  if (before === after) return false;
  const [a, b] = [before, after] as [{ context?: unknown; value?: unknown } & AnySnapshot, { context?: unknown; value?: unknown } & AnySnapshot];
  return a.context !== b.context || a.status !== b.status || JSON.stringify(a.value) !== JSON.stringify(b.value);
}
