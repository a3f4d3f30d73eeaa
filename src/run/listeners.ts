/**
 * Who listens to which run. A listener that throws harms nobody else.
 */
export class Listeners<T> {
  readonly #failed: (error: unknown) => void;
  readonly #byRun = new Map<string, Set<(value: T) => void>>();

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Answers what ends it. */
  add(runId: string, listener: (value: T) => void): () => void {
    const listeners = this.#byRun.get(runId) ?? new Set();
    this.#byRun.set(runId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#byRun.get(runId) === listeners) this.#byRun.delete(runId);
    };
  }

  tell(runId: string, value: T): void {
    for (const listener of this.#byRun.get(runId) ?? []) {
      try {
        listener(value);
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}
