/**
 * The part of a store's contract that is about schedules: rows that are moved on once, with the runs that they start.
 */
import { expect, test } from "vitest";
import { NOBODY, type ScheduleChange } from "../../src/store/store.ts";
import { commitOf } from "./commit-of.ts";
import { describeStore, type Place } from "./contract.ts";

const NOW = 1_700_000_000_000;

const change = (name: string, from: number, changes: Partial<ScheduleChange> = {}): ScheduleChange => ({
  name,
  from,
  nextAt: NOW + from,
  body: `{"revision":${from + 1}}`,
  checksum: 9,
  ...changes,
});

/** Runs this part of the contract against the stores of these places. */
export function scheduleContract(name: string, makePlace: () => Promise<Place>): void {
  describeStore(`the contract of schedules, kept by ${name}`, makePlace, (opened) => {
    test("a schedule is read as it was written last, by name, also after opening again", async () => {
      const { store } = opened;
      expect(await store.readSchedules()).toEqual([]);
      expect(await store.writeSchedule(change("b", 0, { nextAt: null }))).toBe("committed");
      expect(await store.writeSchedule(change("a", 0, { body: '"ä\u0000"' }))).toBe("committed");
      expect(await store.writeSchedule(change("b", 1, { nextAt: NOW + 7 }))).toBe("committed");
      await opened.reopen();
      expect(await opened.store.readSchedules()).toEqual([
        { name: "a", revision: 1, nextAt: NOW, body: '"ä\u0000"', checksum: 9 },
        { name: "b", revision: 2, nextAt: NOW + 7, body: '{"revision":2}', checksum: 9 },
      ]);
      expect(await opened.store.writeSchedule(change("b", 2, { nextAt: null }))).toBe("committed");
      expect(await opened.store.readSchedules()).toMatchObject([{ name: "a" }, { name: "b", revision: 3, nextAt: null }]);
    });

    test("of two who move it on at once one does, and the runs of the other are not created", async () => {
      const { store } = opened;
      await store.writeSchedule(change("a", 0));
      const runs = ["first", "second"].map((id) => [commitOf(id, 0, NOBODY)]);
      const outcomes = await Promise.all(runs.map(([run]) => store.writeSchedule(change("a", 1, { runs: [run!] }))));
      expect(outcomes).toEqual(["committed", "fenced"]);
      expect(await store.readRun("first")).toMatchObject({ epoch: NOBODY, commitNo: 1 });
      expect(await store.readRun("second")).toBeUndefined();
      expect(await store.writeSchedule(change("a", 0, { runs: runs[1]! }))).toBe("fenced");
      expect(await store.writeSchedule(change("never", 3, { runs: runs[1]! }))).toBe("fenced");
      expect(await store.readRun("second")).toBeUndefined();
      expect(await store.readSchedules()).toMatchObject([{ name: "a", revision: 2 }]);
    });

    test("a run whose id is taken is left as it is, and harms neither the schedule nor the other runs", async () => {
      const { store, epoch } = opened;
      await store.commit([commitOf("there", 0, epoch, { run: { status: "completed", finished: true } })]);
      const runs = [commitOf("there", 0, NOBODY), commitOf("new", 0, NOBODY, { run: { wakeAt: NOW + 9 }, facts: { tags: ["schedule:a"] } })];
      expect(await store.writeSchedule(change("a", 0, { runs }))).toBe("committed");
      expect(await store.readRun("there")).toMatchObject({ status: "completed", epoch, commitNo: 1 });
      expect(await store.listRuns({ tag: "schedule:a", limit: 5 })).toMatchObject([{ id: "new", wakeAt: NOW + 9 }]);
    });

    test("a run of which a discarded one has left rows is created without them", async () => {
      const { store, epoch } = opened;
      const actor = { key: "old", status: "completed", body: "{}", output: null, checksum: 1 };
      await store.commit([commitOf("again", 0, epoch, { run: { status: "completed", finished: true }, actors: [actor] })]);
      expect(await store.discard({ status: "completed", endedBefore: NOW + 1_000 }, 10)).toBe(1);
      expect(await store.writeSchedule(change("a", 0, { runs: [commitOf("again", 0, NOBODY)] }))).toBe("committed");
      expect(await store.readRun("again")).toMatchObject({ status: "running" });
      expect(await store.readActors("again")).toEqual([]);
      expect(await store.readSchedules()).toMatchObject([{ name: "a", revision: 1 }]);
    });
  });
}
