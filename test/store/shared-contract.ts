/**
 * The part of a store's contract that is about rows which workers share.
 */
import { expect, test } from "vitest";
import { type Amendment, SHARED_CHANGES_KEPT } from "../../src/store/shared-record.ts";
import { commitOf } from "./commit-of.ts";
import { type Place, describeStore } from "./contract.ts";

/** One more each time. */
const count = (key: string): Amendment => ({ key, amend: (body) => String(Number(body ?? 0) + 1) });

const gone = (key: string): Amendment => ({ key, amend: () => undefined });

/** Runs this part of the contract against the stores of these places. */
export function sharedContract(name: string, makePlace: () => Promise<Place>): void {
  describeStore(`the contract of shared rows, kept by ${name}`, makePlace, (opened) => {
    const rows = async (): Promise<Record<string, string>> =>
      Object.fromEntries((await opened.store.readShared()).map(({ key, body }): [string, string] => [key, body]));

    test("a row becomes of what it is, one amendment after the other, and stays after opening again", async () => {
      expect(await rows()).toEqual({});
      await opened.store.amend([count("b"), count("a"), count("b")]);
      await Promise.all([opened.store.amend([count("a")]), opened.store.amend([count("a")])]);
      await opened.reopen();
      expect(await opened.store.readShared()).toEqual([
        { key: "a", body: "3" },
        { key: "b", body: "2" },
      ]);
    });

    test("a row that becomes nothing is gone", async () => {
      await opened.store.amend([count("a")]);
      await opened.store.amend([
        { key: "a", amend: () => undefined },
        { key: "none", amend: (body) => body },
      ]);
      expect(await rows()).toEqual({});
    });

    const toldSince = async (number: number): Promise<{ rows: Record<string, string | null>; number: number; isAll: boolean }> => {
      const told = await opened.store.readSharedSince(number);
      return { ...told, rows: Object.fromEntries(told.rows.map(({ key, body }): [string, string | null] => [key, body])) };
    };

    test("who knows the changes up to a number is told of those after it, once each, also of what is gone", async () => {
      expect(await toldSince(0)).toEqual({ rows: {}, number: 0, isAll: false });
      await opened.store.amend([count("a"), count("b"), count("c"), count("d")]);
      const { number } = await toldSince(0);
      expect(await toldSince(number)).toEqual({ rows: {}, number, isAll: false });
      await opened.store.commit([commitOf("r", 0, opened.epoch)], [count("b"), gone("c"), count("b"), gone("d"), gone("none")]);
      await opened.store.amend([count("d"), { key: "a", amend: (body) => body }]);
      const told = await opened.store.readSharedSince(number);
      expect(told.rows).toEqual([
        { key: "c", body: null },
        { key: "b", body: "3" },
        { key: "d", body: "1" },
      ]);
      expect([told.number > number, told.isAll]).toEqual([true, false]);
      expect(await toldSince(told.number)).toMatchObject({ rows: {}, isAll: false });
      expect(await toldSince(0), "whoever starts later is told of all that is there").toMatchObject({ rows: { a: "1", b: "3", d: "1" } });
    });

    test("numbers go on after opening again, also when no row is left", async () => {
      await opened.store.amend([count("a")]);
      const { number } = await toldSince(0);
      await opened.store.amend([gone("a")]);
      const { number: last } = await toldSince(number);
      await opened.reopen();
      expect(await toldSince(number)).toEqual({ rows: { a: null }, number: last, isAll: false });
      await opened.store.amend([count("b")]);
      expect(await toldSince(last)).toMatchObject({ rows: { b: "1" }, isAll: false });
      expect((await toldSince(last)).number).toBeGreaterThan(last);
    });

    test("who is too far behind, or knows a number that was never given, is told of all rows there are", async () => {
      await opened.store.amend([count("a"), count("gone"), count("busy")]);
      const { number } = await toldSince(0);
      await opened.store.amend([gone("gone"), ...Array.from({ length: SHARED_CHANGES_KEPT - 1 }, () => count("busy"))]);
      expect(await toldSince(number)).toMatchObject({ rows: { gone: null, busy: String(SHARED_CHANGES_KEPT) }, isAll: false });
      await opened.store.amend([count("more"), gone("more")]);
      const rows = { a: "1", busy: String(SHARED_CHANGES_KEPT) };
      const told = await toldSince(number);
      expect(told).toEqual({ rows, number: told.number, isAll: true });
      expect(await toldSince(told.number + 1)).toEqual({ ...told });
      expect(await toldSince(told.number - 1)).toMatchObject({ rows: { more: null }, isAll: false });
    });

    test("rows are amended with a group of commits, also when some of those are fenced", async () => {
      const group = [commitOf("a", 0, opened.epoch), commitOf("a", 7, opened.epoch)];
      expect(await opened.store.commit(group, [count("x")])).toEqual(["committed", "fenced"]);
      expect(await rows()).toEqual({ x: "1" });
      expect(await opened.store.commit([], [count("x")])).toEqual([]);
      expect(await rows()).toEqual({ x: "2" });
    });

    test("an amendment is told which epochs are open", async () => {
      const seen: boolean[] = [];
      const look: Amendment = {
        key: "x",
        amend: (body, isOpen) => {
          seen.splice(0, 2, isOpen(opened.epoch), isOpen(opened.epoch + 100));
          return body;
        },
      };
      await opened.store.amend([look]);
      expect(seen).toEqual([true, false]);
      await opened.store.closeEpoch(opened.epoch);
      await opened.store.amend([look]);
      expect(seen).toEqual([false, false]);
    });
  });
}
