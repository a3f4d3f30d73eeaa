/**
 * Of a run in the store in memory: rows of actors as earlier commits left them.
 */
import { type PastSpan, firstReadable, isReadable, keptFrom, lastCheckpoint, readableCommits } from "./past-span.ts";
import type { Commit, StoredActor } from "./store.ts";

export class MemoryPast {
  /** Rows that were changed or deleted, with the commit that did it. */
  #rows: { readonly actor: StoredActor; readonly until: number }[] = [];
  #span: PastSpan = { last: 0, from: null, every: null };

  /** How many rows there are. */
  get size(): number {
    return this.#rows.length;
  }

  /** Takes the rows as they are now, before the commit changes them. */
  keep({ from, actors, gone = [], keepPast }: Commit, present: ReadonlyMap<string, StoredActor>): void {
    const last = from + 1;
    if (keepPast === undefined) {
      this.#span = { last, from: null, every: null };
      return;
    }
    const { every } = keepPast;
    const before = this.#span.every === every ? this.#span.from! : from;
    this.#span = { last, from: Math.max(before, keptFrom(keepPast, from), 1), every };
    const checkpoint = lastCheckpoint(every, from);
    for (const key of [...actors.map((actor) => actor.key), ...gone]) {
      const actor = present.get(key);
      if (actor !== undefined && actor.commitNo <= checkpoint) this.#rows.push({ actor, until: last });
    }
    if (checkpoint === from) this.#rows = this.#rows.filter(({ until }) => until > keptFrom(keepPast, from));
  }

  read(commitNo: number, present: Iterable<StoredActor>): StoredActor[] | undefined {
    if (!isReadable(this.#span, commitNo)) return undefined;
    const rows = [...present, ...this.#rows.flatMap(({ actor, until }) => (until > commitNo ? actor : []))];
    return rows.filter((actor) => actor.commitNo <= commitNo).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  first(): number | undefined {
    return firstReadable(this.#span);
  }

  commits(): number[] {
    return readableCommits(this.#span);
  }
}
