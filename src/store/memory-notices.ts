/**
 * What others hear of the commits of all runs, in memory: their history in one order, and notices that wait.
 */
import type { ChangeRecord, Notice, NoticeRecord } from "./store.ts";

export class MemoryNotices {
  /** In the order of the commits. */
  #changes: ChangeRecord[] = [];
  /** By their ids, in the order in which they came. */
  readonly #notices = new Map<string, NoticeRecord>();
  #number = 0;
  last = 0;

  changed(change: Omit<ChangeRecord, "sequence">): void {
    this.#changes.push({ ...change, sequence: ++this.last });
  }

  /** Those of other runs are forgotten. */
  keepChanges(isKept: (runId: string) => boolean): void {
    this.#changes = this.#changes.filter(({ runId }) => isKept(runId));
  }

  changes(after: number, limit: number): ChangeRecord[] {
    const first = this.#changes.findLastIndex(({ sequence }) => sequence <= after) + 1;
    return this.#changes.slice(first, first + limit);
  }

  add(notice: Notice): void {
    if (!this.#notices.has(notice.id)) this.#notices.set(notice.id, { ...notice, number: ++this.#number });
  }

  read(after: number, limit: number): NoticeRecord[] {
    return [...this.#notices.values()].filter(({ number }) => number > after).slice(0, limit);
  }

  forget(numbers: readonly number[]): void {
    for (const [id, { number }] of this.#notices) if (numbers.includes(number)) this.#notices.delete(id);
  }
}
