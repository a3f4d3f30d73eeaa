/**
 * What a machine run says to the inboxes of a store with its next commit: events for others, and what of its own was consumed.
 */
import type { Post } from "../store/store.ts";

export class Outgoing {
  #posts: Post[] = [];
  #consumed: number[] = [];

  get isEmpty(): boolean {
    return this.#posts.length === 0 && this.#consumed.length === 0;
  }

  post(runId: string, body: string): void {
    this.#posts.push({ runId, body });
  }

  consumed(inboxNumber: number): void {
    this.#consumed.push(inboxNumber);
  }

  take(): { readonly posts?: readonly Post[]; readonly consumed?: readonly number[] } {
    const [posts, consumed] = [this.#posts, this.#consumed];
    this.#posts = [];
    this.#consumed = [];
    return { ...(posts.length > 0 && { posts }), ...(consumed.length > 0 && { consumed }) };
  }
}
