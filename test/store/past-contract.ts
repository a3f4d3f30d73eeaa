/**
 * The part of a store's contract that is about a run as earlier commits left it.
 */
import { expect, test } from "vitest";
import type { Commit, StoredActor } from "../../src/store/store.ts";
import { seededRandom } from "../sim/random.ts";
import { commitOf } from "./commit-of.ts";
import { describeStore, type Place } from "./contract.ts";

const row = (key: string, body: string, output: string | null = null): Commit["actors"][number] => ({ key, status: "running", body, output, checksum: 3 });

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
      await commit(0, { actors: [row("a", "a1"), row("b", "b1")], keepPast: 10 });
      await commit(1, { actors: [row("a", "a2")], gone: ["b", "never"], keepPast: 10 });
      await commit(2, { actors: [row("b", "b3"), row("c", "c3")], keepPast: 10 });
      await commit(3, { gone: ["a"], actors: [row("b", "b4")], keepPast: 10 });
      expect(await Promise.all([1, 2, 3, 4].map(past))).toEqual([{ a: "a1", b: "b1" }, { a: "a2" }, { a: "a2", b: "b3", c: "c3" }, { b: "b4", c: "c3" }]);
      expect((await opened.store.readPast("r", 3))?.map(({ key, commitNo }) => [key, commitNo])).toEqual([
        ["a", 2],
        ["b", 3],
        ["c", 3],
      ]);
      expect(await opened.store.firstPast("r")).toBe(1);
      expect([await past(0), await past(5), await opened.store.readPast("none", 1)]).toEqual([undefined, undefined, undefined]);
    });

    test("only the last so many commits can be read, and the number may change", async () => {
      for (let from = 0; from < 6; from++) await commit(from, { actors: [row("a", `a${from + 1}`)], keepPast: 3 });
      expect(await opened.store.firstPast("r")).toBe(3);
      expect(await Promise.all([2, 3, 4, 5, 6].map(past))).toEqual([undefined, { a: "a3" }, { a: "a4" }, { a: "a5" }, { a: "a6" }]);
      await commit(6, { actors: [row("a", "a7")], keepPast: 1 });
      expect([await opened.store.firstPast("r"), await past(5), await past(6)]).toEqual([6, undefined, { a: "a6" }]);
      await commit(7, { actors: [row("a", "a8")], keepPast: 10 });
      expect([await opened.store.firstPast("r"), await past(5), await past(6), await past(7)]).toEqual([6, undefined, { a: "a6" }, { a: "a7" }]);
    });

    test("a commit that keeps nothing leaves nothing before it; the present can always be read", async () => {
      await commit(0, { actors: [row("a", "a1")], keepPast: 5 });
      await commit(1, { actors: [row("a", "a2")], keepPast: 5 });
      await commit(2, { actors: [row("b", "b3")] });
      expect(await opened.store.firstPast("r")).toBeUndefined();
      expect([await past(1), await past(2), await past(3)]).toEqual([undefined, undefined, { a: "a2", b: "b3" }]);
      await commit(3, { actors: [row("a", "a4")], keepPast: 5 });
      expect(await opened.store.firstPast("r")).toBe(3);
      expect([await past(2), await past(3), await past(4)]).toEqual([undefined, { a: "a2", b: "b3" }, { a: "a4", b: "b3" }]);
      expect(await opened.store.firstPast("none")).toBeUndefined();
    });

    test("large rows come back to the letter, whatever they hold", async () => {
      const awkward = ["ä🙂\u0000".repeat(3000), "x".repeat(4095), "x".repeat(4096), JSON.stringify({ text: "y".repeat(200_000) })];
      const rows = awkward.map((text, i) => row(`k${i}`, text, i % 2 === 0 ? text : null));
      await commit(0, { actors: rows, keepPast: 2 });
      await commit(1, { actors: rows.map(({ key }) => row(key, "small")), keepPast: 2 });
      expect(await opened.store.readPast("r", 1)).toEqual(rows.map((actor) => ({ ...actor, commitNo: 1 })));
    });

    test("a fenced commit keeps nothing; one that reopens the run keeps what was", async () => {
      await commit(0, { actors: [row("a", "a1")], keepPast: 5 });
      expect(await opened.store.commit([commitOf("r", 4, opened.epoch, { actors: [row("a", "late")], keepPast: 5 })])).toEqual(["fenced"]);
      await commit(1, { actors: [row("a", "a2")], keepPast: 5, run: { finished: true } });
      expect(await opened.store.reopen(commitOf("r", 2, opened.epoch, { actors: [row("a", "a3")], keepPast: 5 }))).toBe("committed");
      expect(await Promise.all([1, 2, 3].map(past))).toEqual([{ a: "a1" }, { a: "a2" }, { a: "a3" }]);
    });

    test.for([1, 2, 3, 4, 5, 6])("any commits: what can be read is what was there (seed %i)", async (seed) => {
      const random = seededRandom(seed);
      const states: Map<string, StoredActor>[] = [new Map()];
      let first: number | undefined;
      for (let from = 0; from < 40; from++) {
        const keys = ["a", "b", "c", "d"].filter(() => random.next() < 0.5);
        const gone = keys.filter(() => random.next() < 0.3);
        const actors = keys.filter((key) => !gone.includes(key)).map((key) => row(key, `${key}${from + 1}`.repeat(random.next() < 0.1 ? 2000 : 1)));
        const kept = random.next() < 0.1 ? undefined : Math.floor(random.next() * 6);
        await commit(from, { actors, gone, ...(kept !== undefined && { keepPast: kept }) });
        const state = new Map(states.at(-1));
        for (const actor of actors) state.set(actor.key, { ...actor, commitNo: from + 1 });
        for (const key of gone) state.delete(key);
        states.push(state);
        first = kept === undefined ? undefined : Math.max(first ?? from, from + 1 - kept, 1);
        expect(await opened.store.firstPast("r"), `seed ${seed}, commit ${from + 1}`).toBe(first);
        for (let commitNo = Math.max(1, from - 8); commitNo <= from + 1; commitNo++) {
          const expected = commitNo < (first ?? from + 1) ? undefined : [...states[commitNo]!.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
          expect(await opened.store.readPast("r", commitNo), `seed ${seed}, commit ${commitNo} of ${from + 1}`).toEqual(expected);
        }
      }
    });
  });
}
