/**
 * Posts that are asked for in one turn of the event loop are written together: each transaction waits for the disk.
 */
import { systemClock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import type { LimitedPost } from "./sqlite-inbox.ts";

/** Others do not wait long for them. */
const POSTS_MAX = 100;

type Posted = number | undefined;

interface Asked {
  readonly post: LimitedPost;
  readonly resolve: (posted: Posted) => void;
  readonly reject: (error: unknown) => void;
}

export class TurnPosts {
  readonly #write: (posts: readonly LimitedPost[]) => Promise<(Posted | PawlError)[]>;
  #asked: Asked[] = [];

  constructor(write: (posts: readonly LimitedPost[]) => Promise<(Posted | PawlError)[]>) {
    this.#write = write;
  }

  add(post: LimitedPost): Promise<Posted> {
    const { promise, resolve, reject } = Promise.withResolvers<Posted>();
    const count = this.#asked.push({ post, resolve, reject });
    if (count === 1) systemClock.soon(() => this.flush());
    if (count === POSTS_MAX) this.flush();
    return promise;
  }

  /** What is asked for from now on comes after them. */
  flush(): void {
    const asked = this.#asked;
    this.#asked = [];
    if (asked.length > 0) void this.#settle(asked);
  }

  async #settle(asked: readonly Asked[]): Promise<void> {
    try {
      const answers = await this.#write(asked.map(({ post }) => post));
      for (const [i, { resolve, reject }] of asked.entries()) {
        const answer = answers[i];
        if (answer instanceof PawlError) reject(answer);
        else resolve(answer);
      }
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}
