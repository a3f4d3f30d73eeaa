/**
 * Events that somebody sent to a run and waits for: what came of each is told when the commit that consumed it is durable.
 */
import { PawlError } from "../errors.ts";
import type { DropCode } from "./hosted-run.ts";
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

interface Watched {
  readonly event: AnyEvent;
  readonly pending: PendingSend;
  readonly before: AnySnapshot | undefined;
  handled: boolean;
}

interface Answer {
  readonly pending: PendingSend;
  readonly before: AnySnapshot | undefined;
  result: Omit<SendResult, "commitNo">;
}

export class Sends {
  /** Events with an id that are under way, by their id. */
  readonly underWay = new Map<string, Promise<SendResult>>();
  #watched: Watched | undefined;
  #answers: Answer[] = [];
  #ids: string[] = [];

  get isDirty(): boolean {
    return this.#answers.length > 0 || this.#ids.length > 0;
  }

  /** The event is about to be applied. */
  applying(event: AnyEvent, pending: PendingSend | undefined, before: AnySnapshot | undefined): void {
    if (pending === undefined) return;
    this.#watched = { event, pending, before, handled: false };
    if (pending.eventId !== undefined) this.#ids.push(pending.eventId);
  }

  turned(event: AnyEvent, isHandled: boolean | undefined): void {
    if (this.#watched?.event === event) this.#watched.handled = isHandled ?? true;
  }

  /** All that followed is done. */
  rests(after: AnySnapshot | undefined): void {
    if (this.#watched === undefined) return;
    const { pending, before, handled } = this.#watched;
    this.#watched = undefined;
    this.#answers.push({
      pending,
      before,
      result: { handled, value: (after as { value?: unknown }).value, changed: isChanged(before, after), duplicate: false },
    });
  }

  /** What an actor had become could not be stored: what is told is what will be committed. */
  takenBack(after: AnySnapshot | undefined): void {
    for (const answer of this.#answers)
      answer.result = { ...answer.result, value: (after as { value?: unknown }).value, changed: isChanged(answer.before, after) };
  }

  /** The ids that the next commit consumes. */
  takeIds(): { readonly eventIds?: readonly string[] } {
    if (this.#ids.length === 0) return {};
    const eventIds = this.#ids;
    this.#ids = [];
    return { eventIds };
  }

  committed(commitNo: number): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const { pending, result } of answers) pending.resolve({ commitNo, ...result });
  }

  /** The run leaves memory: whether these events were consumed, nobody here can tell any more. */
  drop(code: DropCode, waiting: readonly PendingSend[]): void {
    const unanswered = [...this.#answers.map(({ pending }) => pending), ...(this.#watched === undefined ? [] : [this.#watched.pending])];
    for (const pending of unanswered) pending.reject(new PawlError("PAWL_OUTCOME_UNKNOWN"));
    for (const pending of waiting) pending.reject(new PawlError(code));
    this.#answers = [];
    this.#watched = undefined;
  }
}

function isChanged(before: AnySnapshot | undefined, after: AnySnapshot | undefined): boolean {
  if (before === after) return false;
  const [a, b] = [before, after] as [{ context?: unknown; value?: unknown } & AnySnapshot, { context?: unknown; value?: unknown } & AnySnapshot];
  return a.context !== b.context || a.status !== b.status || JSON.stringify(a.value) !== JSON.stringify(b.value);
}
