/**
 * Rows that workers share, in memory.
 */
import type { Amendment, SharedRecord } from "./store.ts";

export class MemoryShared {
  readonly #rows = new Map<string, string>();

  amend(amendments: readonly Amendment[], isOpen: (epoch: number) => boolean): void {
    for (const { key, amend } of amendments) {
      const body = amend(this.#rows.get(key), isOpen);
      if (body === undefined) this.#rows.delete(key);
      else this.#rows.set(key, body);
    }
  }

  read(): SharedRecord[] {
    return [...this.#rows].map(([key, body]) => ({ key, body })).sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}
