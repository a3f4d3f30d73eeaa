/**
 * The part of a store's contract that is about who hears of commits: the changes of all runs in one order, and notices.
 */
import { expect, test } from "vitest";
import type { Notice } from "../../src/store/store.ts";
import { commitOf } from "./commit-of.ts";
import { type Place, describeStore } from "./contract.ts";

const NOW = 1_700_000_000_000;
const notice = (id: string, runId = "a"): Notice => ({ id, runId, at: NOW, body: `{"of":"${id}"}` });

/** Runs this part of the contract against the stores of these places. */
export function noticeContract(name: string, makePlace: () => Promise<Place>): void {
  describeStore(`the contract of changes and notices, kept by ${name}`, makePlace, (opened) => {
    const commit = async (...commits: readonly Parameters<typeof commitOf>[]): Promise<string[]> =>
      opened.store.commit(commits.map((values) => commitOf(...values)));
    const places = async (after = 0, limit = 100): Promise<string[]> =>
      (await opened.store.readChanges(after, limit)).map(({ runId, commitNo }) => `${runId}:${commitNo}`);
    const notices = async (after = 0, limit = 100): Promise<string[]> => (await opened.store.readNotices(after, limit)).map(({ id }) => id);

    test("the history of all runs has the order of their commits, and can be read from any place on, after opening again, too", async () => {
      expect(await opened.store.readLastChange()).toBe(0);
      await commit(["b", 0, opened.epoch], ["a", 0, opened.epoch]);
      await commit(["a", 1, opened.epoch]);
      await commit(["b", 1, opened.epoch], ["b", 9, opened.epoch], ["c", 0, opened.epoch]);
      await opened.reopen();
      expect(await places()).toEqual(["b:1", "a:1", "a:2", "b:2", "c:1"]);
      const all = await opened.store.readChanges(0, 100);
      expect(all[2]).toEqual({ sequence: all[2]!.sequence, runId: "a", commitNo: 2, at: NOW + 1, body: '["a",2]' });
      expect(all.map(({ sequence }) => sequence)).toEqual([...new Set(all.map(({ sequence }) => sequence))].sort((x, y) => x - y));
      expect(await places(all[2]!.sequence, 1)).toEqual(["b:2"]);
      expect(await places(all[4]!.sequence)).toEqual([]);
      expect(await opened.store.readLastChange()).toBe(all[4]!.sequence);
    });

    test("what is reopened, or started by a schedule, is among the changes", async () => {
      await commit(["a", 0, opened.epoch, { run: { finished: true, status: "failed" } }]);
      await opened.store.reopen(commitOf("a", 1, opened.epoch));
      await opened.store.writeSchedule({ name: "s", from: 0, nextAt: null, body: "{}", checksum: 1, runs: [commitOf("s-1", 0, 0)] });
      expect(await places()).toEqual(["a:1", "a:2", "s-1:1"]);
    });

    test("no number comes again when the newest runs are pruned", async () => {
      await commit(["a", 0, opened.epoch], ["b", 0, opened.epoch, { run: { finished: true, status: "failed" } }]);
      const last = await opened.store.readLastChange();
      await opened.store.discard({ status: "failed", endedBefore: NOW + 1_000 }, 10);
      while ((await opened.store.sweep(100)) > 0);
      await opened.reopen();
      expect(await places()).toEqual(["a:1"]);
      await commit(["c", 0, opened.epoch]);
      expect(await opened.store.readLastChange()).toBeGreaterThan(last);
      expect(await places(last)).toEqual(["c:1"]);
    });

    test("a notice is there with its commit, or not at all, and in the order of the commits until it was told", async () => {
      await commit(["a", 0, opened.epoch, { notices: [notice("a:1:x"), notice("a:1:y")] }], ["b", 0, opened.epoch, { notices: [notice("b:1:x", "b")] }]);
      expect(await commit(["a", 7, opened.epoch, { notices: [notice("a:8:x")] }])).toEqual(["fenced"]);
      await opened.reopen();
      expect(await notices()).toEqual(["a:1:x", "a:1:y", "b:1:x"]);
      const [first, second] = await opened.store.readNotices(0, 2);
      expect(first).toEqual({ number: first!.number, ...notice("a:1:x") });
      expect(await notices(second!.number)).toEqual(["b:1:x"]);
      await opened.store.forgetNotices([first!.number, 999]);
      await opened.store.forgetNotices([]);
      await opened.reopen();
      expect(await notices()).toEqual(["a:1:y", "b:1:x"]);
    });

    test("while a notice waits none of its id is added; once it was told one is", async () => {
      await opened.store.addNotice(notice("a:1:stalled"));
      await opened.store.addNotice({ ...notice("a:1:stalled"), body: "other" });
      const [only, ...others] = await opened.store.readNotices(0, 10);
      expect(only).toMatchObject({ body: notice("a:1:stalled").body });
      expect(others).toEqual([]);
      await opened.store.forgetNotices([only!.number]);
      await opened.store.addNotice(notice("a:1:stalled"));
      expect((await opened.store.readNotices(0, 10)).map(({ number }) => number > only!.number)).toEqual([true]);
    });

    test("what is set aside is noticed with that, unless it is another's or was before", async () => {
      await commit(["a", 0, opened.epoch], ["b", 0, opened.epoch]);
      await opened.store.quarantine(opened.epoch + 1, "b", "why", NOW, notice("b:1:q", "b"));
      await opened.store.quarantine(opened.epoch, "a", "why", NOW, notice("a:1:q"));
      await opened.store.quarantine(opened.epoch, "a", "why", NOW, notice("a:1:again"));
      await opened.store.quarantine(opened.epoch, "b", "why", NOW);
      expect(await notices()).toEqual(["a:1:q"]);
    });

    test("a notice outlives its run", async () => {
      await commit(["a", 0, opened.epoch, { run: { finished: true, status: "failed" }, notices: [notice("a:1:x")] }]);
      await opened.store.discard({ status: "failed", endedBefore: NOW + 1_000 }, 10);
      while ((await opened.store.sweep(100)) > 0);
      expect(await notices()).toEqual(["a:1:x"]);
    });
  });
}
