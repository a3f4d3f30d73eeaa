/**
 * Rows that workers share, as one worker knows them: never older than what it wrote itself, and nobody waits for ever.
 */
import { setImmediate as nextLoop } from "node:timers/promises";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { SharedRows, changeShared } from "../../src/run/shared-rows.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { SHARED_CHANGES_KEPT } from "../../src/store/shared-record.ts";
import { cases } from "../sim/cases.ts";

const quiet = (): void => {};
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const READS_MAX = 100;

/** A store that ends a test which would read for ever. */
class CountedStore extends MemoryStore {
  reads = 0;

  override async readSharedSince(number: number): ReturnType<MemoryStore["readSharedSince"]> {
    if (++this.reads > READS_MAX) throw new Error("it reads for ever");
    return super.readSharedSince(number);
  }
}

async function makeRows(store = new CountedStore()): Promise<{ readonly store: CountedStore; readonly rows: SharedRows; readonly epoch: number }> {
  const epoch = await store.openEpoch(0, "{}");
  return { store, epoch, rows: new SharedRows(store, log, { epoch: () => epoch, wantsWrite: quiet }) };
}

/** The row as it is stored. */
const bodyOf = async (store: MemoryStore, of: string): Promise<string | undefined> => (await store.readShared()).find(({ key }) => key === of)?.body;

const after = (word: string) => (value: string | undefined) => `${value ?? ""}${word}`;

test("while a write waits for another process what others wrote is seen, and that row when it is written", async () => {
  const { store, rows } = await makeRows();
  rows.change<string>("mine", after("a"));
  const amendments = rows.take();
  await changeShared<string>(store, "mine", after("b"));
  await changeShared<string>(store, "theirs", after("c"));
  const refreshed = rows.refresh();
  await nextLoop();
  expect({ mine: rows.get("mine"), theirs: rows.get("theirs"), reads: store.reads }).toEqual({ mine: undefined, theirs: "c", reads: 1 });
  await store.amend(amendments);
  rows.written();
  await refreshed;
  expect({ mine: rows.get("mine"), reads: store.reads }).toEqual({ mine: "ba", reads: 2 });
});

test("what others made of a row before this worker knew that its own write had succeeded is seen after that", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  await store.amend(rows.take());
  await changeShared(store, "x", after("b"));
  const refreshed = rows.refresh();
  await nextLoop();
  rows.written();
  await refreshed;
  expect(rows.get("x")).toBe("ab");
});

test("what was written here while it was read is not taken back by what was read", async () => {
  const { store, rows } = await makeRows();
  await changeShared<string>(store, "mine", after("a"));
  const read = rows.refresh();
  rows.change<string>("mine", after("b"));
  await store.amend(rows.take());
  rows.written();
  expect(rows.get("mine")).toBe("ab");
  await read;
  expect(rows.get("mine")).toBe("ab");
});

/** Ends a read when it is told to, with what there was when it began. */
async function delayedRead(store: CountedStore, number: number): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<MemoryStore["readSharedSince"]>>>();
  const found = await store.readSharedSince(number);
  vi.spyOn(store, "readSharedSince").mockImplementationOnce(() => promise);
  return () => resolve(found);
}

test.each([0, 1, 2, 3, 4, 5])("a read that is older is of no account, whenever it ends beside a write (%i turns apart)", async (turns) => {
  const { store, rows } = await makeRows();
  await changeShared<string>(store, "mine", after("z"));
  rows.change<string>("mine", after("a"));
  const amendments = rows.take();
  const ends = await delayedRead(store, 0);
  const refreshed = rows.refresh();
  await store.amend(amendments);
  ends();
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
  rows.written();
  expect(rows.get("mine")).toBe("za");
  await nextLoop();
  expect(rows.get("mine")).toBe("za");
  await refreshed;
  expect(rows.get("mine")).toBe("za");
});

test("of two reads the one that ends last takes nothing back", async () => {
  const { store, rows } = await makeRows();
  await changeShared<string>(store, "x", after("a"));
  const ends = await delayedRead(store, 0);
  const older = rows.refresh();
  await changeShared<string>(store, "x", after("b"));
  await changeShared(store, "y", after("c"));
  await rows.refresh();
  ends();
  await older;
  expect({ x: rows.get("x"), y: rows.get("y") }).toEqual({ x: "ab", y: "c" });
});

test("who reads again is told only of what changed since, also of what is gone, and of what it wrote itself", async () => {
  const { store, rows } = await makeRows();
  for (let n = 0; n < 100; n++) await changeShared(store, `row${n}`, after("a"));
  await rows.refresh();
  rows.change("row1", after("b"));
  await store.amend(rows.take());
  rows.written();
  await changeShared(store, "row2", after("b"));
  await changeShared(store, "row3", () => undefined);
  const told: (string | undefined)[] = [];
  rows.onChange((key) => told.push(key));
  const read = vi.spyOn(store, "readSharedSince");
  await rows.refresh();
  expect(told).toEqual(["row2", "row3"]);
  expect((await (read.mock.results[0]!.value as ReturnType<MemoryStore["readSharedSince"]>)).rows.map(({ key }) => key)).toEqual(["row1", "row2", "row3"]);
  expect({ two: rows.get("row2"), three: rows.get("row3"), all: [...rows.keys].length }).toEqual({ two: "ab", three: undefined, all: 99 });
});

test("what was passed over because it was being written is read when the next read failed, too", async () => {
  const { store, rows } = await makeRows();
  rows.change<string>("mine", after("a"));
  const amendments = rows.take();
  await changeShared<string>(store, "mine", after("b"));
  const refreshed = rows.refresh();
  await nextLoop();
  vi.spyOn(store, "readSharedSince").mockRejectedValueOnce(new Error("busy"));
  rows.notWritten();
  await expect(refreshed).rejects.toThrow("busy");
  expect(amendments).toHaveLength(1);
  await rows.refresh();
  expect(rows.get("mine")).toBe("b");
});

test("who was away for very long learns what is gone", async () => {
  const { store, rows } = await makeRows();
  for (const key of ["gone", "stays"]) await changeShared(store, key, after("a"));
  await rows.refresh();
  await changeShared(store, "gone", () => undefined);
  let n = 0;
  await store.amend(Array.from({ length: SHARED_CHANGES_KEPT + 1 }, () => ({ key: "busy", amend: () => String(++n) })));
  await changeShared(store, "busy", () => undefined);
  await rows.refresh();
  expect({ gone: rows.get("gone"), stays: rows.get("stays"), keys: [...rows.keys] }).toEqual({ gone: undefined, stays: "a", keys: ["stays"] });
});

type Step =
  | { readonly by: "here" | "others" | "away"; readonly key: string }
  | { readonly does: "takes" | "writes" | "knows" | "doubts" | "looks" | "hears" | "hearsLast" | "fails" };

const keys = fc.constantFrom("x", "y", "z");
const steps: fc.Arbitrary<Step>[] = [
  ...(["here", "others", "away"] as const).map((by) => keys.map((key): Step => ({ by, key }))),
  ...(["takes", "writes", "knows", "doubts", "looks", "hears", "hearsLast", "fails"] as const).map((does) => fc.constant<Step>({ does })),
];

/** One worker, whose writes and reads take as long as they like and end as they like, beside others that write and delete. */
class Plot {
  readonly store = new MemoryStore();
  readonly history = new Map<string, (string | undefined)[]>();
  readonly rows: SharedRows;
  readonly known = new Map<string, number>();
  #reads: { readonly ends: () => void; readonly fails: () => void }[] = [];
  #looks: Promise<void>[] = [];
  #taken: ReturnType<SharedRows["take"]> | undefined;
  #isWritten = false;
  #value = 0;

  constructor(epoch: number, store: MemoryStore) {
    this.store = store;
    this.rows = new SharedRows(store, log, { epoch: () => epoch, wantsWrite: quiet });
    const read = store.readSharedSince.bind(store);
    store.readSharedSince = async (number) => {
      const found = await read(number);
      const { promise, resolve, reject } = Promise.withResolvers<typeof found>();
      this.#reads.push({ ends: () => resolve(found), fails: () => reject(new Error("busy")) });
      return promise;
    };
  }

  async play(step: Step): Promise<void> {
    if ("by" in step) await this.#change(step.by, step.key);
    else if (step.does === "takes") this.#taken ??= this.rows.take();
    else if (step.does === "writes" && this.#taken !== undefined && !this.#isWritten) {
      this.#isWritten = true;
      await this.store.amend(this.#taken);
    } else if (step.does === "knows" && this.#isWritten) this.#settle(() => this.rows.written());
    else if (step.does === "doubts" && this.#taken !== undefined) this.#settle(() => this.rows.notWritten());
    else if (step.does === "looks") this.#looks.push(this.rows.refresh().catch(quiet));
    else if (step.does === "hears") this.#reads.shift()?.ends();
    else if (step.does === "hearsLast") this.#reads.pop()?.ends();
    else if (step.does === "fails") this.#reads.pop()?.fails();
    await nextLoop();
    await this.#check();
  }

  async #change(by: "here" | "others" | "away", key: string): Promise<void> {
    const value = String(++this.#value);
    if (by === "here") this.rows.change(key, () => value);
    else await changeShared(this.store, key, () => (by === "away" ? undefined : value));
  }

  #settle(settle: () => void): void {
    this.#taken = undefined;
    this.#isWritten = false;
    settle();
  }

  /** What is known of a row is what it was at some time, and never earlier than what was known before. */
  async #check(): Promise<void> {
    const there = new Map((await this.store.readShared()).map(({ key, body }) => [key, body]));
    for (const key of ["x", "y", "z"]) {
      const were = this.history.get(key) ?? [undefined];
      this.history.set(key, were);
      if (were.at(-1) !== there.get(key)) were.push(there.get(key));
      const value = this.rows.get(key);
      const isKnown = (body: string | undefined): boolean => (body === undefined ? value === undefined : (JSON.parse(body) as { of: unknown }).of === value);
      const before = this.known.get(key) ?? 0;
      const now = were.findIndex((body, n) => n >= before && isKnown(body));
      expect(now, `${key} is known to be ${String(value)}, of ${were.join(", ")}, after number ${before}`).toBeGreaterThanOrEqual(before);
      this.known.set(key, now);
    }
  }

  async end(): Promise<void> {
    for (const does of ["takes", "writes", "knows"] as const) await this.play({ does });
    for (const does of ["takes", "writes", "knows", "looks"] as const) await this.play({ does });
    for (let isOver = false; !isOver;) {
      await this.play({ does: "hears" });
      isOver = await Promise.race([Promise.all(this.#looks).then(() => true), nextLoop(false)]);
    }
    const bodies = (await this.store.readShared()).map(({ key, body }): [string, unknown] => [key, (JSON.parse(body) as { of: unknown }).of]);
    expect(Object.fromEntries([...this.rows.keys].map((key) => [key, this.rows.get(key)]))).toEqual(Object.fromEntries(bodies));
  }
}

test("whatever is read, written and lost beside what others write, what is known never goes back, and becomes what there is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps), { maxLength: 40 }), async (plot) => {
      const store = new MemoryStore();
      const played = new Plot(await store.openEpoch(0, "{}"), store);
      for (const step of plot) await played.play(step);
      await played.end();
    }),
    cases({ short: 200, long: 5_000 }),
  );
});

test("what was not written is known to nobody, and is written again, once", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  rows.take();
  const refreshed = rows.refresh();
  rows.notWritten();
  await refreshed;
  expect({ x: rows.get("x"), isDirty: rows.isDirty }).toEqual({ x: undefined, isDirty: true });
  for (let time = 0; time < 2; time++) {
    await store.amend(rows.take());
    rows.notWritten();
  }
  await rows.refresh();
  expect(rows.get("x")).toBe("a");
});

test("what says how things are here is said again, as they are by then, when it is not known whether it was written", async () => {
  const { store, rows } = await makeRows();
  let state = "early";
  rows.change<string>("x", after("a"));
  rows.restate<string>("x", (value) => `${value!.replace(/:.*/, "")}:${state}`);
  await store.amend(rows.take());
  rows.notWritten();
  state = "late";
  await store.amend(rows.take());
  rows.written();
  expect(rows.get("x")).toBe("a:late");
});

test("what was said while nobody knew whether more was written comes after that, and both count once", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  const amendments = rows.take();
  rows.change("x", after("b"));
  await store.amend(amendments);
  rows.notWritten();
  for (let time = 0; time < 2; time++) {
    await store.amend(rows.take());
    rows.notWritten();
  }
  await rows.refresh();
  expect(rows.get("x")).toBe("ab");
});

test("what changes nothing leaves the row to the letter, and of workers that are gone nothing stays in it", async () => {
  const { store, rows, epoch } = await makeRows();
  rows.change("x", after("a"));
  await store.amend(rows.take());
  rows.written();
  const body = await bodyOf(store, "x");
  rows.change("x", (value) => value);
  await store.amend(rows.take());
  expect(await bodyOf(store, "x")).toBe(body);
  await store.closeEpoch(epoch);
  const next = await makeRows(store);
  next.rows.change("x", after("b"));
  await store.amend(next.rows.take());
  expect(JSON.parse((await bodyOf(store, "x"))!)).toEqual({ of: "ab", last: { [next.epoch]: 1 } });
});

test.each(["written", "notWritten"] as const)("a worker that others took for dead changes nothing, and hears that it did not (%s)", async (outcome) => {
  const { store, rows, epoch } = await makeRows();
  const told: [string, boolean][] = [];
  const change = (word: string): void => rows.change("x", after(word), (isWritten) => told.push([word, isWritten]));
  change("a");
  await store.closeEpoch(epoch);
  await store.amend(rows.take());
  change("b");
  rows[outcome]();
  expect(told).toEqual([["a", false]]);
  rows.lost();
  expect([told, rows.isDirty, await store.readShared()]).toEqual([
    [
      ["a", false],
      ["b", false],
    ],
    false,
    [],
  ]);
});

test("who waits to know more waits no longer when all ends", async () => {
  const { store, rows } = await makeRows();
  rows.change("x", after("a"));
  rows.take();
  await changeShared(store, "x", after("b"));
  const refreshed = rows.refresh();
  rows.stop();
  await refreshed;
});
