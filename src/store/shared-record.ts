/**
 * Rows that all workers share, as a store knows them: text under a key, and the number of its last change.
 * 1. Each change of a row has a number of its own, greater than those of all changes that were committed before.
 * 2. Who knows all changes up to a number is told what came after it, also that a row is gone: that is kept for the last
 *    changes, and who is further behind is told of all rows there are.
 */

/** A row that all workers share, for what none of them owns alone. Opaque here. */
export interface SharedRecord {
  readonly key: string;
  readonly body: string;
}

/** So many changes later nobody is told any more that a row is gone. Much more than happens while a worker looks away. */
export const SHARED_CHANGES_KEPT = 10_000;

/** What became of shared rows after a change. */
export interface SharedChanges {
  /** Those that changed since, as they are now; `body` null: it is gone. By when they changed last. */
  readonly rows: readonly { readonly key: string; readonly body: string | null }[];
  /** The number of the last change that is in them. */
  readonly number: number;
  /** They are all there are: any other is gone. */
  readonly isAll: boolean;
}

/** Can who knows the changes up to a number be told of those after it alone? Of a number that was never given he cannot. */
export function isToldSince(number: number, last: number): boolean {
  return number <= last && number >= last - SHARED_CHANGES_KEPT;
}

/**
 * A shared row as it becomes of what it is: read, changed and written in one transaction, so that nobody writes in between.
 * `undefined` is no row. It is called within the transaction, and again when that has to be repeated: only the last call
 * counts, so it changes nothing else, and it must not throw. `isOpen` tells of an epoch whether it is open.
 */
export interface Amendment {
  readonly key: string;
  readonly amend: (body: string | undefined, isOpen: (epoch: number) => boolean) => string | undefined;
}
