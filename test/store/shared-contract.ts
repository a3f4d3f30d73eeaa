/**
 * The part of a store's contract that is about rows which workers share.
 */
import { expect, test } from "vitest";
import type { Amendment } from "../../src/store/shared-record.ts";
import { commitOf } from "./commit-of.ts";
import { type Place, describeStore } from "./contract.ts";

/** One more each time. */
const count = (key: string): Amendment => ({ key, amend: (body) => String(Number(body ?? 0) + 1) });

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
