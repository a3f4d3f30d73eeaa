/**
 * Rows that workers share, in memory.
 */
import { type Amendment, type SharedChanges, type SharedRecord, SHARED_CHANGES_KEPT, isToldSince } from "./shared-record.ts";

export class MemoryShared {
  /** Also those that are gone, for a while; by when they changed last. */
  readonly #rows = new Map<string, { readonly body: string | null; readonly number: number }>();
  #number = 0;

  amend(amendments: readonly Amendment[], isOpen: (epoch: number) => boolean): void {
    for (const { key, amend } of amendments) {
      const before = this.#rows.get(key)?.body ?? undefined;
      const body = amend(before, isOpen);
      if (body === before) continue;
      this.#rows.delete(key);
      this.#rows.set(key, { body: body ?? null, number: ++this.#number });
      if (body === undefined) this.#forget();
    }
  }

  #forget(): void {
    for (const [key, { body, number }] of this.#rows) {
      if (number >= this.#number - SHARED_CHANGES_KEPT) return;
      if (body === null) this.#rows.delete(key);
    }
  }

  read(): SharedRecord[] {
    return this.#live().sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  since(number: number): SharedChanges {
    if (!isToldSince(number, this.#number)) return { rows: this.#live(), number: this.#number, isAll: true };
    const rows = [...this.#rows].filter(([, row]) => row.number > number).map(([key, { body }]) => ({ key, body }));
    return { rows, number: this.#number, isAll: false };
  }

  #live(): SharedRecord[] {
    return [...this.#rows].flatMap(([key, { body }]) => (body === null ? [] : { key, body }));
  }
}
