/**
 * The part of a store's contract that is about a run as earlier commits left it.
 */
import { expect, test } from "vitest";
import type { Commit, KeepPast, StoredActor } from "../../src/store/store.ts";
import { seededRandom } from "../sim/random.ts";
import { commitOf } from "./commit-of.ts";
import { describeStore, type Place } from "./contract.ts";

const row = (key: string, body: string, output: string | null = null): Commit["actors"][number] => ({ key, status: "running", body, output, checksum: 3 });

/** Keep the last so many of the commits whose number is a multiple of this. */
const last = (commits: number, every = 1): KeepPast => ({ commits, every });

/** Runs this part of the contract against the stores of these places. */
export function pastContract(name: string, makePlace: () => Promise<Place>): void {
  describeStore(`the contract of the past, kept by ${name}`, makePlace, (opened) => {
    const commit = async (from: number, changes: Parameters<typeof commitOf>[3]): Promise<void> => {
      expect(await opened.store.commit([commitOf("r", from, opened.epoch, changes)])).toEqual(["committed"]);
    };
    /** Keys with their bodies as of a commit. */
    const past = async (commitNo: number): Promise<Record<string, string> | undefined> => {
      const rows = await opened.store.readPast("r", commitNo);
      return rows && Object.fromEntries(rows.map(({ key, body }) => [key, body]));
    };

    test("a run is read as each of its commits left it: changes, deletions, and keys that came again", async () => {
      await commit(0, { actors: [row("a", "a1"), row("b", "b1")], keepPast: last(10) });
      await commit(1, { actors: [row("a", "a2")], gone: ["b", "never"], keepPast: last(10) });
      await commit(2, { actors: [row("b", "b3"), row("c", "c3")], keepPast: last(10) });
      await commit(3, { gone: ["a"], actors: [row("b", "b4")], keepPast: last(10) });
      expect(await Promise.all([1, 2, 3, 4].map(past))).toEqual([{ a: "a1", b: "b1" }, { a: "a2" }, { a: "a2", b: "b3", c: "c3" }, { b: "b4", c: "c3" }]);
      expect((await opened.store.readPast("r", 3))?.map(({ key, commitNo }) => [key, commitNo])).toEqual([
        ["a", 2],
        ["b", 3],
        ["c", 3],
      ]);
      expect(await opened.store.firstPast("r")).toBe(1);
      expect([await past(0), await past(5), await opened.store.readPast("none", 1)]).toEqual([undefined, undefined, undefined]);
      expect(await opened.store.pastCommits("none")).toEqual([]);
    });

    test("only the last so many commits can be read, and the number may change", async () => {
      for (let from = 0; from < 6; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: last(3) });
      expect(await opened.store.firstPast("r")).toBe(3);
      expect(await Promise.all([2, 3, 4, 5, 6].map(past))).toEqual([undefined, { a: "a3" }, { a: "a4" }, { a: "a5" }, { a: "a6" }]);
      await commit(6, { actors: [row("a", "a7")], keepPast: last(1) });
      expect([await opened.store.firstPast("r"), await past(5), await past(6)]).toEqual([6, undefined, { a: "a6" }]);
      await commit(7, { actors: [row("a", "a8")], keepPast: last(10) });
      expect([await opened.store.firstPast("r"), await past(5), await past(6), await past(7)]).toEqual([6, undefined, { a: "a6" }, { a: "a7" }]);
    });

    test("a commit that keeps nothing leaves nothing before it; the present can always be read", async () => {
      await commit(0, { actors: [row("a", "a1")], keepPast: last(5) });
      await commit(1, { actors: [row("a", "a2")], keepPast: last(5) });
      await commit(2, { actors: [row("b", "b3")] });
      expect(await opened.store.firstPast("r")).toBeUndefined();
      expect([await past(1), await past(2), await past(3)]).toEqual([undefined, undefined, { a: "a2", b: "b3" }]);
      await commit(3, { actors: [row("a", "a4")], keepPast: last(5) });
      expect(await opened.store.firstPast("r")).toBe(3);
      expect([await past(2), await past(3), await past(4)]).toEqual([undefined, { a: "a2", b: "b3" }, { a: "a4", b: "b3" }]);
      expect(await opened.store.firstPast("none")).toBeUndefined();
    });

    test("large rows come back to the letter, whatever they hold", async () => {
      const awkward = ["ä🙂\u0000".repeat(3000), "x".repeat(4095), "x".repeat(4096), JSON.stringify({ text: "y".repeat(200_000) })];
      const rows = awkward.map((text, i) => row(`k${i}`, text, i % 2 === 0 ? text : null));
      await commit(0, { actors: rows, keepPast: last(2) });
      await commit(1, { actors: rows.map(({ key }) => row(key, "small")), keepPast: last(2) });
      expect(await opened.store.readPast("r", 1)).toEqual(rows.map((actor) => ({ ...actor, commitNo: 1 })));
    });

    test("a fenced commit keeps nothing; one that reopens the run keeps what was", async () => {
      await commit(0, { actors: [row("a", "a1")], keepPast: last(5) });
      expect(await opened.store.commit([commitOf("r", 4, opened.epoch, { actors: [row("a", "late")], keepPast: last(5) })])).toEqual(["fenced"]);
      await commit(1, { actors: [row("a", "a2")], keepPast: last(5), run: { finished: true } });
      expect(await opened.store.reopen(commitOf("r", 2, opened.epoch, { actors: [row("a", "a3")], keepPast: last(5) }))).toBe("committed");
      expect(await Promise.all([1, 2, 3].map(past))).toEqual([{ a: "a1" }, { a: "a2" }, { a: "a3" }]);
    });

    test("at an interval only its commits can be read, and the newest; the last so many of them", async () => {
      for (let from = 0; from < 3; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: last(2, 4) });
      expect([await opened.store.firstPast("r"), await opened.store.pastCommits("r")]).toEqual([3, [3]]);
      expect(await Promise.all([1, 2, 3].map(past))).toEqual([undefined, undefined, { a: "a3" }]);
      for (let from = 3; from < 13; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: last(2, 4) });
      expect([await opened.store.firstPast("r"), await opened.store.pastCommits("r")]).toEqual([8, [8, 12, 13]]);
      expect(await Promise.all([4, 7, 8, 9, 11, 12, 13].map(past))).toEqual([
        undefined,
        undefined,
        { a: "a8" },
        undefined,
        undefined,
        { a: "a12" },
        { a: "a13" },
      ]);
    });

    test("another interval leaves of the commits before only the one before it, if that is one of its own", async () => {
      for (let from = 0; from < 6; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: last(9) });
      await commit(6, { actors: [row("a", "a7")], keepPast: last(9, 3) });
      expect([await opened.store.firstPast("r"), await opened.store.pastCommits("r"), await past(6)]).toEqual([6, [6, 7], { a: "a6" }]);
      await commit(7, { actors: [row("a", "a8")], keepPast: last(9, 5) });
      expect([await opened.store.firstPast("r"), await opened.store.pastCommits("r"), await past(6)]).toEqual([8, [8], undefined]);
    });

    /** Ends the run, and counts the rows that it kept as they are swept. */
    const countKept = async (from: number, changes: Parameters<typeof commitOf>[3]): Promise<number> => {
      const { store } = opened;
      await commit(from, { ...changes, run: { finished: true, status: "completed" } });
      const actors = await store.readActors("r");
      expect(await store.discard({ status: "completed", endedBefore: Infinity }, 1)).toBe(1);
      let swept = 0;
      for (let count = 1; count > 0; swept += count) count = await store.sweep(100);
      return swept - actors.length - (from + 1) - 1;
    };

    test.for([1, 2, 3, 7])("a row that each commit changes is kept once for each checkpoint (every %i)", async (every) => {
      const keepPast = last(5, every);
      for (let from = 0; from < 60; from++) await commit(from, { actors: [row("hot", `h${from + 1}`), ...(from === 0 ? [row("cold", "c")] : [])], keepPast });
      expect(await countKept(60, { actors: [row("hot", "end")], keepPast })).toBe(5);
    });

    test("rows that came and went between two checkpoints are not kept; those of another interval go with the checkpoints of this one", async () => {
      for (let from = 0; from < 6; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: last(9) });
      for (let from = 6; from < 9; from++) await commit(from, { actors: [row("b", `b${from + 1}`)], keepPast: last(2, 10) });
      await commit(9, { gone: ["b"], keepPast: last(2, 10) });
      for (let from = 10; from < 21; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: last(2, 10) });
      expect(await past(10)).toEqual({ a: "a6" });
      expect(await countKept(21, { keepPast: last(2, 10) })).toBe(2);
    });

    const intervals = [1, 2, 3, 7, undefined].flatMap((every) => [1, 2, 3].map((seed) => [every, seed] as const));
    test.for(intervals)("any commits: what can be read is what was there (every %s, undefined: any; seed %i)", async ([only, seed]) => {
      const random = seededRandom(seed);
      const below = (count: number): number => Math.floor(random.next() * count);
      let every = only ?? 1;
      let kept: KeepPast | undefined;
      /** Everything that ever was, and the commits that can be read. */
      const states: Map<string, StoredActor>[] = [new Map()];
      let readable: number[] = [];
      for (let from = 0; from < 60; from++) {
        const keys = ["a", "b", "c", "d"].filter(() => random.next() < 0.5);
        const gone = keys.filter(() => random.next() < 0.3);
        const actors = keys.filter((key) => !gone.includes(key)).map((key) => row(key, `${key}${from + 1}`.repeat(random.next() < 0.1 ? 2000 : 1)));
        const isChanged = only === undefined && random.next() < 0.1;
        if (isChanged) every = [1, 2, 3, 7][below(4)]!;
        const keepPast = random.next() < 0.05 ? undefined : last(random.next() < 0.8 ? 4 : below(6), every);
        await commit(from, { actors, gone, ...(keepPast && { keepPast }) });
        const state = new Map(states.at(-1));
        for (const actor of actors) state.set(actor.key, { ...actor, commitNo: from + 1 });
        for (const key of gone) state.delete(key);
        states.push(state);
        const before = kept?.every === keepPast?.every ? readable : readable.slice(-1);
        const checkpoints = keepPast === undefined ? [] : before.filter((commitNo) => commitNo % keepPast.every === 0);
        readable = [...checkpoints.slice(Math.max(0, checkpoints.length - (keepPast?.commits ?? 0))), from + 1];
        kept = keepPast;
        const where = `seed ${seed}, commit ${from + 1}`;
        expect(await opened.store.pastCommits("r"), where).toEqual(readable);
        expect(await opened.store.firstPast("r"), where).toBe(kept === undefined ? undefined : readable[0]);
        for (let commitNo = Math.max(0, from - 30); commitNo <= from + 2; commitNo++) {
          const there = [...(states[commitNo]?.values() ?? [])].sort((a, b) => (a.key < b.key ? -1 : 1));
          expect(await opened.store.readPast("r", commitNo), `${where}, as of ${commitNo}`).toEqual(readable.includes(commitNo) ? there : undefined);
        }
      }
    });
  });
}
