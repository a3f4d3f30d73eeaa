/**
 * The part of a store's contract that is about runs that speak to each other: inboxes, and events that were consumed.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { commitOf, type Place } from "./contract.ts";

const NOW = 1_700_000_000_000;

/** Runs this part of the contract against the stores of these places. */
export function inboxContract(name: string, makePlace: () => Promise<Place>): void {
  describe(`the contract of inboxes and events, kept by ${name}`, () => {
    let place: Place;
    let store: Store;
    let epoch: number;

    beforeEach(async () => {
      place = await makePlace();
      store = await place.open();
      epoch = await store.openEpoch(NOW);
    });
    afterEach(async () => {
      await store.close();
      await place.remove();
    });

    const bodies = async (runId: string): Promise<string[]> => (await store.readInbox(runId)).map(({ body }) => body);
    const numbers = async (runId: string): Promise<number[]> => (await store.readInbox(runId)).map(({ number }) => number);

    test("what is posted is in the other run's inbox, in the order of arrival, after opening again, too", async () => {
      await store.commit([commitOf("from", 0, epoch), commitOf("to", 0, epoch)]);
      await store.commit([
        commitOf("from", 1, epoch, {
          posts: [
            { runId: "to", body: "first ä🙂" },
            { runId: "to", body: "second" },
          ],
        }),
      ]);
      await store.commit([commitOf("from", 2, epoch, { posts: [{ runId: "to", body: "third" }] })]);
      await store.close();
      store = await place.open();
      await store.openEpoch(NOW);
      expect(await bodies("to")).toEqual(["first ä🙂", "second", "third"]);
      const given = await numbers("to");
      expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
      expect(await store.readInbox("from")).toEqual([]);
    });

    test("what is posted to a run that is unknown or finished is dropped, and the commit stands", async () => {
      await store.commit([commitOf("from", 0, epoch), commitOf("over", 0, epoch, { run: { finished: true } })]);
      const posts = ["unknown", "over"].map((runId) => ({ runId, body: "lost" }));
      expect(await store.commit([commitOf("from", 1, epoch, { posts }), commitOf("unknown", 0, epoch)])).toEqual(["committed", "committed"]);
      expect(await store.readInbox("over")).toEqual([]);
      expect(await store.readInbox("unknown")).toEqual([]);
    });

    test("a run may post to itself, and to one that an earlier commit of the same group created", async () => {
      await store.commit([commitOf("a", 0, epoch, { posts: [{ runId: "a", body: "to myself" }] }), commitOf("b", 0, epoch)]);
      await store.commit([commitOf("c", 0, epoch), commitOf("b", 1, epoch, { posts: [{ runId: "c", body: "to the new one" }] })]);
      expect(await bodies("a")).toEqual(["to myself"]);
      expect(await bodies("c")).toEqual(["to the new one"]);
    });

    test("a fenced commit posts nothing, consumes nothing and remembers no event", async () => {
      await store.commit([commitOf("from", 0, epoch, { posts: [{ runId: "from", body: "kept" }] }), commitOf("to", 0, epoch)]);
      const late = { posts: [{ runId: "to", body: "late" }], consumed: await numbers("from"), eventIds: ["e"], gone: ["x"] };
      expect(await store.commit([commitOf("from", 7, epoch, late)])).toEqual(["fenced"]);
      expect(await bodies("from")).toEqual(["kept"]);
      expect(await store.readInbox("to")).toEqual([]);
      expect(await store.readEvent("from", "e")).toBeUndefined();
    });

    test("what was consumed is gone from the run's own inbox, and from no other's", async () => {
      const posts = ["one", "two", "three"].flatMap((body) => ["a", "b"].map((runId) => ({ runId, body })));
      await store.commit([commitOf("a", 0, epoch), commitOf("b", 0, epoch), commitOf("from", 0, epoch, { posts })]);
      const [one, , three] = await numbers("a");
      const [others] = await numbers("b");
      await store.commit([commitOf("a", 1, epoch, { consumed: [one!, three!, others!, 999] })]);
      expect(await bodies("a")).toEqual(["two"]);
      expect(await bodies("b")).toEqual(["one", "two", "three"]);
    });

    test("a run that finishes empties its inbox, also of what the same commit posted to it", async () => {
      await store.commit([commitOf("a", 0, epoch), commitOf("b", 0, epoch)]);
      const toBoth = ["a", "b"].map((runId) => ({ runId, body: "hello" }));
      await store.commit([commitOf("b", 1, epoch, { posts: toBoth })]);
      await store.commit([commitOf("a", 1, epoch, { run: { finished: true }, posts: toBoth })]);
      expect(await store.readInbox("a")).toEqual([]);
      expect(await bodies("b")).toEqual(["hello", "hello"]);
      await store.commit([commitOf("c", 0, epoch, { run: { finished: true }, posts: [{ runId: "c", body: "to myself" }] })]);
      expect(await store.readInbox("c")).toEqual([]);
    });

    test("a number is never given twice, even when its row is gone and the store was opened again", async () => {
      await store.commit([commitOf("a", 0, epoch, { posts: [{ runId: "a", body: "x" }] })]);
      const before = (await numbers("a"))[0]!;
      await store.commit([commitOf("a", 1, epoch, { consumed: [before] })]);
      await store.close();
      store = await place.open();
      epoch = await store.openEpoch(NOW);
      await store.commit([commitOf("b", 0, epoch, { posts: [{ runId: "b", body: "y" }] })]);
      expect((await numbers("b"))[0]).toBeGreaterThan(before);
    });

    test("runs with something in their inbox are listed by id, page by page, while they are unfinished", async () => {
      const ids = ["c", "a", "d", "b"];
      await store.commit([...ids, "empty"].map((id) => commitOf(id, 0, epoch)));
      const posts = [...ids, ...ids].map((runId) => ({ runId, body: "x" }));
      await store.commit([commitOf("from", 0, epoch, { posts })]);
      await store.quarantine(epoch, "b", "damaged", NOW);
      expect(await store.inboxRuns("", 2)).toEqual(["a", "c"]);
      expect(await store.inboxRuns("c", 2)).toEqual(["d"]);
      expect(await store.readInbox("b")).toHaveLength(2);
    });

    test("a consumed event is found with its commit; of an id that comes again the first commit is kept", async () => {
      await store.commit([commitOf("a", 0, epoch), commitOf("b", 0, epoch)]);
      await store.commit([commitOf("a", 1, epoch, { eventIds: ["e1", "e2"] })]);
      await store.commit([commitOf("a", 2, epoch, { eventIds: ["e2", "e3", "e3"], run: { finished: true } })]);
      expect(await Promise.all(["e1", "e2", "e3", "e4"].map((id) => store.readEvent("a", id)))).toEqual([2, 2, 3, undefined]);
      expect(await store.readEvent("b", "e1")).toBeUndefined();
    });
  });
}
