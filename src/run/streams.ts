/**
 * What agents stream, to those who listen right now in this process. Nothing of it is stored, and nobody waits for who is slow.
 * 1. A listener holds at most `capacity` chunks; then the oldest are dropped, and the next one says how many.
 * 2. It ends when the run does, when its reader leaves, or with what makes it impossible to know more.
 */
import { PawlError } from "../errors.ts";
import type { RunHome } from "./handle.ts";
import { Queue } from "./queue.ts";
import { isOver, requireRun } from "./view.ts";

export interface StreamOptions {
  /** Chunks kept for a reader that is slow. Default 1,000, at most 100,000. */
  readonly capacity?: number;
}

/** One chunk, as the agent gave it: not copied, so change nothing in it. */
export interface Streamed<Chunk = unknown> {
  /** The node whose agent gave it. */
  readonly node: string;
  /** Its attempt. When this grows, what came before is of an attempt that failed; what its steps kept is not streamed again. */
  readonly attempt: number;
  readonly chunk: Chunk;
  /** So many before this one were dropped, because the reader was slow. */
  readonly missed?: number;
}

/** The chunks of one run, for one reader. */
export interface RunStream<Chunk = unknown> extends AsyncIterableIterator<Streamed<Chunk>, undefined>, AsyncDisposable {}

const CAPACITY_DEFAULT = 1_000;
const CAPACITY_MAX = 100_000;

/** Who listens to which run. */
export class Streams {
  readonly #listeners = new Map<string, Set<Listener>>();

  tell(runId: string, said: Streamed): void {
    for (const listener of this.#listeners.get(runId) ?? []) listener.hear(said);
  }

  /** Who listens hears what is streamed from now on. @throws PAWL_INVALID_VALUE */
  listen(home: RunHome, runId: string, { capacity = CAPACITY_DEFAULT }: StreamOptions): RunStream<any> {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > CAPACITY_MAX)
      throw new PawlError("PAWL_INVALID_VALUE", { message: `capacity is ${capacity}, but must be a whole number from 1 to ${CAPACITY_MAX}` });
    const listeners = this.#listeners.get(runId) ?? new Set();
    this.#listeners.set(runId, listeners);
    const listener = new Listener(capacity, () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(runId) === listeners) this.#listeners.delete(runId);
    });
    listeners.add(listener);
    untilEnd(home, runId, listener).then(
      () => listener.end(),
      (error: unknown) => listener.end({ error }),
    );
    return listener;
  }

  get size(): number {
    return this.#listeners.size;
  }
}

/** Resolves when the run has ended, wherever it is, or the reader has left. */
async function untilEnd(home: RunHome, id: string, listener: Listener): Promise<void> {
  while (!listener.isOver) {
    const watch = home.watchEnd(id);
    try {
      if (!watch.isUnderWay && !home.isStarting(id) && isOver((await requireRun(home.store, id)).status)) return;
      await new Promise<void>((resolve) => {
        listener.left = resolve;
        void watch.promise.then(resolve);
      });
    } finally {
      watch.forget();
    }
  }
}

class Listener implements RunStream {
  readonly #capacity: number;
  readonly #forget: () => void;
  readonly #items = new Queue<Streamed>();
  readonly #readers = new Queue<PromiseWithResolvers<IteratorResult<Streamed, undefined>>>();
  #missed = 0;
  /** Called when its reader leaves. */
  left: (() => void) | undefined;
  #end: { readonly error?: unknown } | undefined;

  constructor(capacity: number, forget: () => void) {
    this.#capacity = capacity;
    this.#forget = forget;
  }

  get isOver(): boolean {
    return this.#end !== undefined;
  }

  hear(item: Streamed): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader.resolve({ value: item, done: false });
    if (this.#items.length === this.#capacity) {
      this.#items.shift();
      this.#missed++;
    }
    this.#items.push(item);
  }

  end(end: { readonly error?: unknown } = {}): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#forget();
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) reader.resolve(this.#ended());
  }

  async #ended(): Promise<IteratorReturnResult<undefined>> {
    const end = this.#end!;
    this.#end = {};
    if ("error" in end) throw end.error;
    return { value: undefined, done: true };
  }

  next(): Promise<IteratorResult<Streamed, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      const missed = this.#missed;
      this.#missed = 0;
      return Promise.resolve({ value: missed === 0 ? item : { ...item, missed }, done: false });
    }
    if (this.#end !== undefined) return this.#ended();
    const reader = Promise.withResolvers<IteratorResult<Streamed, undefined>>();
    this.#readers.push(reader);
    return reader.promise;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#items.clear();
    this.end();
    this.left?.();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
