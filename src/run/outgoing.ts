/**
 * What a run says to the inboxes of a store with its next commit: events for others, and of its own inbox what was
 * consumed, with the answers.
 */
import type { Answer, Commit, Post } from "../store/store.ts";
import { type InboxItem, type Reply, replyText } from "./requests.ts";
import type { SendResult } from "./sends.ts";
import { TakenItems } from "./taken-items.ts";

export class Outgoing {
  #posts: Post[] = [];
  #consumed: number[] = [];
  #answers: { readonly number: number; readonly reply: Reply | undefined }[] = [];
  #sent: { readonly number: number; readonly result: Omit<SendResult, "commitNo"> }[] = [];
  #eventIds: string[] = [];

  #told: readonly number[] = [];
  readonly #taken = new TakenItems();

  get isEmpty(): boolean {
    return this.#posts.length === 0 && this.#consumed.length === 0;
  }

  post(runId: string, body: string): void {
    this.#posts.push({ runId, body });
  }

  /** The row goes with the next commit; whoever answers it says so. */
  consumed({ number }: InboxItem): void {
    this.#consumed.push(number);
  }

  /** The row goes with the next commit, and if it asked, is told this: by default that it was done. */
  done(item: InboxItem, reply?: Reply): void {
    this.consumed(item);
    if (item.isAsked) this.#answers.push({ number: item.number, reply });
  }

  /** The event goes with the next commit, and who sent it is told this. */
  sent(item: InboxItem & { readonly kind: "event" }, result: Omit<SendResult, "commitNo">): void {
    this.consumed(item);
    if (item.eventId !== undefined) this.#eventIds.push(item.eventId);
    if (item.isAsked) this.#sent.push({ number: item.number, result });
  }

  /** Rows of the inbox that were not given before. */
  fresh(items: readonly InboxItem[]): InboxItem[] {
    return items.filter(({ number }) => this.#taken.take(number));
  }

  /** What was taken last is durable. */
  committed(): void {
    this.#taken.consumed(this.#told);
    this.#told = [];
  }

  /** For this commit; `others` are answers beside those that are known here. */
  take(commitNo: number, others: readonly Answer[] = []): Pick<Commit, "posts" | "consumed" | "answers" | "eventIds"> {
    const [posts, consumed, eventIds] = [this.#posts, this.#consumed, this.#eventIds];
    const answers = [
      ...this.#answers.map(({ number, reply }) => ({ number, body: replyText(reply ?? { done: true, commitNo }) })),
      ...this.#sent.map(({ number, result }) => ({ number, body: replyText({ sent: { commitNo, ...result } }) })),
      ...others,
    ];
    this.#told = consumed;
    this.#posts = [];
    this.#consumed = [];
    this.#answers = [];
    this.#sent = [];
    this.#eventIds = [];
    return {
      ...(eventIds.length > 0 && { eventIds }),
      ...(posts.length > 0 && { posts }),
      ...(consumed.length > 0 && { consumed }),
      ...(answers.length > 0 && { answers }),
    };
  }
}
