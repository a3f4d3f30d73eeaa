/**
 * What this worker knows of the rows that all workers share, and what it changes in them.
 * 1. A change is written with the next group of commits, or alone when there is none; it is made of what the row is at that
 *    moment, whoever wrote it last, and exactly once, also when nobody knows whether its transaction was applied. What says
 *    how things are here is then said again, as they are by then.
 * 2. What is known here may be older than the row, never newer.
 * 3. A worker whose epoch is closed changes nothing.
 */
import type { Log } from "../define/agent.ts";
import type { Amendment, SharedChanges, Store } from "../store/store.ts";

/** What becomes of a row's value; `undefined` is none. Pure: it is called again when a transaction has to be repeated. */
export type Change<Value> = (value: Value | undefined, isOpen: (epoch: number) => boolean) => Value | undefined;

/** A row: its value, and the number of the last change that each worker made. */
interface Row {
  readonly of: unknown;
  readonly last: Readonly<Record<string, number>>;
}

/** What it becomes, as text and as what that says. */
interface Amended {
  readonly body: string | undefined;
  readonly row: Row | undefined;
}

interface NumberedChange {
  readonly number: number;
  readonly change: Change<any>;
  readonly isRestated: boolean;
  readonly done: ((isWritten: boolean) => void) | undefined;
}

interface SharedHooks {
  /** There is something to write. */
  wantsWrite(): void;
  epoch(): number;
}

export class SharedRows {
  readonly #store: Store;
  readonly #log: Log;
  readonly #hooks: SharedHooks;
  /** The rows as they were last seen, as text and as what that says, if it can be read. */
  readonly #seen = new Map<string, string>();
  readonly #rows = new Map<string, Row>();
  readonly #listeners = new Set<(key: string) => void>();
  #pending = new Map<string, NumberedChange[]>();
  #taken = new Map<string, NumberedChange[]>();
  #written = new Map<string, Amended>();
  /** Others took this worker for dead: what was taken last is nobody's. */
  #isLost = false;
  /** Settled when what was taken is written, or not. */
  #writing: PromiseWithResolvers<void> | undefined;
  #isStopped = false;
  #number = 0;
  /** All changes of the rows up to that of this number have been seen. */
  #readTo = 0;
  /** Of each read that is under way: the rows that were written here meanwhile. */
  readonly #reads = new Set<Set<string>>();

  constructor(store: Store, log: Log, hooks: SharedHooks) {
    this.#store = store;
    this.#log = log;
    this.#hooks = hooks;
  }

  /** The value as it was last seen. */
  get(key: string): unknown {
    return this.#rows.get(key)?.of;
  }

  /** Of all rows, as they were last seen. */
  get keys(): Iterable<string> {
    return this.#rows.keys();
  }

  /** Calls back when a value is another than before. */
  onChange(listener: (key: string) => void): void {
    this.#listeners.add(listener);
  }

  /** `done` is called once: when it was written and is seen here, or when it never will be. */
  change<Value>(key: string, change: Change<Value>, done?: (isWritten: boolean) => void): void {
    this.#add(key, { number: ++this.#number, change, isRestated: false, done });
  }

  /**
   * What says how things are here, whatever the row said of that: it may be made twice. When nobody knows whether it was
   * written it is made again, for things may be otherwise by then.
   */
  restate<Value>(key: string, change: Change<Value>, done?: (isWritten: boolean) => void): void {
    this.#add(key, { number: ++this.#number, change, isRestated: true, done });
  }

  #add(key: string, change: NumberedChange): void {
    const changes = this.#pending.get(key) ?? [];
    changes.push(change);
    this.#pending.set(key, changes);
    this.#hooks.wantsWrite();
  }

  get isDirty(): boolean {
    return this.#pending.size > 0;
  }

  /** What is to be written now; then `written` or `notWritten` is called. */
  take(): Amendment[] {
    this.#taken = this.#pending;
    this.#isLost = false;
    if (this.#taken.size > 0) this.#writing ??= Promise.withResolvers<void>();
    this.#pending = new Map();
    this.#written = new Map();
    return [...this.#taken].map(([key, changes]) => ({ key, amend: (body, isOpen) => this.#amend(key, changes, body, isOpen) }));
  }

  #amend(key: string, changes: readonly NumberedChange[], body: string | undefined, isOpen: (epoch: number) => boolean): string | undefined {
    const epoch = this.#hooks.epoch();
    let amended: Amended = { body, row: undefined };
    this.#isLost ||= !isOpen(epoch);
    if (!this.#isLost)
      try {
        amended = amendedRow(this.#read(key, body), epoch, changes, isOpen, body);
      } catch (error) {
        this.#log.error({ key, error }, "a row that workers share cannot be used; it begins anew");
        amended = amendedRow(readRow(undefined), epoch, changes, isOpen);
      }
    this.#written.set(key, amended);
    return amended.body;
  }

  /** What was seen before is not read again. */
  #read(key: string, body: string | undefined): Row {
    return (body !== undefined && this.#seen.get(key) === body ? this.#rows.get(key) : undefined) ?? readRow(body);
  }

  written(): void {
    for (const own of this.#reads) for (const key of this.#written.keys()) own.add(key);
    const taken = [...this.#taken.values()].flat();
    this.#taken = new Map();
    for (const [key, { body, row }] of this.#written) this.#see(key, body, row);
    for (const { done } of taken) done?.(!this.#isLost);
    this.#rests();
  }

  /** It is not known whether it was written, or it was not: it is tried again, and counts once. */
  notWritten(): void {
    if (this.#isLost) for (const { done } of [...this.#taken.values()].flat()) done?.(false);
    else {
      for (const [key, changes] of this.#pending) this.#taken.set(key, [...(this.#taken.get(key) ?? []), ...changes]);
      this.#pending = this.#taken;
    }
    this.#taken = new Map();
    this.#rests();
  }

  #rests(): void {
    this.#writing?.resolve();
    this.#writing = undefined;
  }

  /** Others may have written. What is another than a row that is being written here may be older than that: it is read again, after it. */
  async refresh(): Promise<void> {
    let isBehind: boolean;
    do {
      const [own, from] = [new Set<string>(), this.#readTo];
      this.#reads.add(own);
      try {
        const changes = await this.#store.readSharedSince(from);
        // another read that ended meanwhile has seen more, or less
        isBehind = from !== this.#readTo || this.#seeAll(changes, own);
        if (!isBehind) this.#readTo = changes.number;
      } finally {
        this.#reads.delete(own);
      }
      if (isBehind) await this.#writing?.promise;
    } while (isBehind && !this.#isStopped);
  }

  /** Answers whether something is another than what is known of rows that were written here meanwhile. */
  #seeAll({ rows, isAll }: SharedChanges, own: ReadonlySet<string>): boolean {
    const bodies = new Map(rows.map(({ key, body }) => [key, body ?? undefined]));
    let isBehind = false;
    for (const key of isAll ? new Set([...bodies.keys(), ...this.#seen.keys()]) : bodies.keys())
      if (own.has(key) || this.#taken.has(key)) isBehind ||= bodies.get(key) !== this.#seen.get(key);
      else this.#see(key, bodies.get(key));
    return isBehind;
  }

  /** Nothing is written or read any more. */
  stop(): void {
    this.#isStopped = true;
    this.#rests();
  }

  #see(key: string, body: string | undefined, row?: Row): void {
    if (this.#seen.get(key) === body) return;
    this.#rows.delete(key);
    if (body === undefined) this.#seen.delete(key);
    else {
      this.#seen.set(key, body);
      const read = row ?? readable(body);
      if (read !== undefined) this.#rows.set(key, read);
    }
    for (const listener of this.#listeners) listener(key);
  }

  /** Another process closed this worker's epoch: what it was about to write is nobody's. */
  lost(): void {
    const lost = [...this.#pending.values()].flat();
    this.#pending.clear();
    this.#isLost = true;
    for (const { done } of lost) done?.(false);
  }
}

/** Changes a row from a process that executes nothing: at once, and again if somebody asks again. Throws PAWL_STORE_FULL. */
export async function changeShared<Value>(store: Store, key: string, change: Change<Value>): Promise<void> {
  const amend: Amendment["amend"] = (body, isOpen) => {
    const row = readRow(body);
    const of = change(row.of as Value | undefined, isOpen);
    return of === undefined ? undefined : JSON.stringify({ ...row, of });
  };
  await store.amend([{ key, amend }]);
}

function readable(body: string): Row | undefined {
  try {
    return readRow(body);
  } catch {
    return undefined;
  }
}

function readRow(body: string | undefined): Row {
  return body === undefined ? { of: undefined, last: {} } : (JSON.parse(body) as Row);
}

/** What changes nothing leaves the row as it is, to the letter: nobody is to look at it again. */
function amendedRow(row: Row, epoch: number, changes: readonly NumberedChange[], isOpen: (epoch: number) => boolean, body?: string): Amended {
  const done = row.last[epoch] ?? 0;
  let value = row.of;
  for (const { number, change, isRestated } of changes) if (isRestated || number > done) value = change(value, isOpen) as unknown;
  if (value === undefined) return { body: undefined, row: undefined };
  if (value === row.of && body !== undefined) return { body, row };
  const open = Object.entries(row.last).filter(([id]) => isOpen(Number(id)));
  const last = { ...Object.fromEntries(open), [epoch]: changes.at(-1)!.number };
  const amended = { of: value, last };
  return { body: JSON.stringify(amended), row: amended };
}

/** What shared rows hold, for those that only look. Those that cannot be read are left out. */
export async function readSharedValues(store: Store): Promise<Map<string, unknown>> {
  const values = new Map<string, unknown>();
  for (const { key, body } of await store.readShared())
    try {
      values.set(key, readRow(body).of);
    } catch {
      continue;
    }
  return values;
}
