/**
 * Who listens to what happens in this process, of whatever run. A listener that throws harms nobody else.
 */
import type { Log } from "../define/agent.ts";

export class Emitted<T, From = undefined> {
  readonly #listeners = new Set<(value: T, from: From) => void>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  /** Answers what ends it. */
  add(listener: (value: T, from: From) => void): () => void {
    const own = (value: T, from: From): void => listener(value, from);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  tell(value: T, from: From): void {
    for (const listener of this.#listeners) {
      try {
        listener(value, from);
      } catch (error) {
        this.#log.error({ error }, "a listener threw");
      }
    }
  }
}
