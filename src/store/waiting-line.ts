/**
 * Calls to a file that other processes write, too: one that finds it busy waits, and those that come later wait behind
 * it, so that they are done in the order in which they were asked. The event loop goes on meanwhile.
 */
import { systemClock } from "../clock.ts";
import { PawlError } from "../errors.ts";
import { isBusy } from "./open-database.ts";

/**
 * Others write for a moment each. The file is asked again from the event loop, at last this often: of two that write as
 * fast as they can, whoever waited up to 10 ms got as little as a third of the other's share.
 */
const BUSY_WAITS_MS = [1, 1, 1, 2, 2, 3] as const;

interface Waiting {
  /** Throws when the file is busy; then nothing was done. */
  readonly tryIt: () => void;
  readonly reject: (error: unknown) => void;
}

export class WaitingLine {
  #waiting: Waiting[] = [];
  #isClosed = false;
  #cancelTry: (() => void) | undefined;

  /** At once, if nobody waits and the file is free. */
  async run<T>(call: () => T): Promise<T> {
    if (this.#isClosed) throw new PawlError("PAWL_CLOSED");
    if (this.#waiting.length > 0) return this.#queue(call);
    try {
      return call();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
    const done = this.#queue(call);
    this.#wait(0);
    return done;
  }

  /** Whoever waits is told that nothing was done, and so is whoever comes from now on. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTry?.();
    for (const { reject } of this.#waiting.splice(0)) reject(new PawlError("PAWL_CLOSED"));
  }

  #queue<T>(call: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({ tryIt: () => resolve(call()), reject });
    return promise;
  }

  #wait(tries: number): void {
    const waitMs = BUSY_WAITS_MS[tries] ?? BUSY_WAITS_MS.at(-1)!;
    this.#cancelTry = systemClock.after(waitMs, () => this.#tryFirst(tries + 1));
  }

  /** One at a time, so that many that waited do not hold up the event loop. */
  #tryFirst(tries: number): void {
    const first = this.#waiting[0];
    if (first === undefined) return;
    try {
      first.tryIt();
    } catch (error) {
      if (isBusy(error)) return this.#wait(tries);
      first.reject(error);
    }
    this.#waiting.shift();
    if (this.#waiting.length > 0) systemClock.soon(() => this.#tryFirst(0));
  }
}
