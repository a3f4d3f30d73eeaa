/**
 * The part of a store's contract that is about runs that speak to each other: inboxes, and events that were consumed.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type InboxRecord, type ReplyRecord, type Store } from "../../src/store/store.ts";
import { commitOf } from "./commit-of.ts";
import type { Place } from "./contract.ts";

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
      epoch = await store.openEpoch(NOW, "{}");
    });
    afterEach(async () => {
      await store.close();
      await place.remove();
    });

    const inbox = async (runId: string): Promise<InboxRecord[]> => store.readInbox(runId, 0, 100_000);
    const bodies = async (runId: string): Promise<string[]> => (await inbox(runId)).map(({ body }) => body);
    const numbers = async (runId: string): Promise<number[]> => (await inbox(runId)).map(({ number }) => number);
    const reply = async (number: number): Promise<ReplyRecord> => (await store.readReplies([number]))[0]!;

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
      await store.openEpoch(NOW, "{}");
      expect(await bodies("to")).toEqual(["first ä🙂", "second", "third"]);
      const given = await numbers("to");
      expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
      expect(await inbox("from")).toEqual([]);
    });

    test("what is posted to a run that is unknown or finished is dropped, and the commit stands", async () => {
      await store.commit([commitOf("from", 0, epoch), commitOf("over", 0, epoch, { run: { finished: true } })]);
      const posts = ["unknown", "over"].map((runId) => ({ runId, body: "lost" }));
      expect(await store.commit([commitOf("from", 1, epoch, { posts }), commitOf("unknown", 0, epoch)])).toEqual(["committed", "committed"]);
      expect(await inbox("over")).toEqual([]);
      expect(await inbox("unknown")).toEqual([]);
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
      expect(await inbox("to")).toEqual([]);
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
      expect(await inbox("a")).toEqual([]);
      expect(await bodies("b")).toEqual(["hello", "hello"]);
      await store.commit([commitOf("c", 0, epoch, { run: { finished: true }, posts: [{ runId: "c", body: "to myself" }] })]);
      expect(await inbox("c")).toEqual([]);
    });

    test("a number is never given twice, even when its row is gone and the store was opened again", async () => {
      await store.commit([commitOf("a", 0, epoch, { posts: [{ runId: "a", body: "x" }] })]);
      const before = (await numbers("a"))[0]!;
      await store.commit([commitOf("a", 1, epoch, { consumed: [before] })]);
      await store.close();
      store = await place.open();
      epoch = await store.openEpoch(NOW, "{}");
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
      expect(await inbox("b")).toHaveLength(2);
    });

    test("a consumed event is found with its commit; of an id that comes again the first commit is kept", async () => {
      await store.commit([commitOf("a", 0, epoch), commitOf("b", 0, epoch)]);
      await store.commit([commitOf("a", 1, epoch, { eventIds: ["e1", "e2"] })]);
      await store.commit([commitOf("a", 2, epoch, { eventIds: ["e2", "e3", "e3"], run: { finished: true } })]);
      expect(await Promise.all(["e1", "e2", "e3", "e4"].map((id) => store.readEvent("a", id)))).toEqual([2, 2, 3, undefined]);
      expect(await store.readEvent("b", "e1")).toBeUndefined();
    });

    test("whoever is no run puts a row into an inbox, and learns its number; of an unknown or ended run it learns that", async () => {
      await store.commit([commitOf("a", 0, epoch), commitOf("over", 0, epoch, { run: { finished: true } })]);
      const number = await store.post({ runId: "a", body: "asked ä🙂" });
      const second = await store.post({ runId: "a", body: "again" });
      expect(await inbox("a")).toEqual([
        { number, body: "asked ä🙂" },
        { number: second, body: "again" },
      ]);
      expect(second).toBeGreaterThan(number!);
      expect(await store.post({ runId: "over", body: "late" })).toBeUndefined();
      expect(await store.post({ runId: "none", body: "lost" })).toBeUndefined();
    });

    test("an inbox is read page by page, each from after a number", async () => {
      const posts = ["one", "two", "three"].flatMap((body) => ["a", "b"].map((runId) => ({ runId, body })));
      await store.commit([commitOf("a", 0, epoch), commitOf("b", 0, epoch), commitOf("from", 0, epoch, { posts })]);
      const [one, two, three] = await inbox("a");
      expect(await store.readInbox("a", 0, 2)).toEqual([one, two]);
      expect(await store.readInbox("a", one!.number, 1)).toEqual([two]);
      expect(await store.readInbox("a", two!.number, 2)).toEqual([three]);
      expect(await store.readInbox("a", three!.number, 2)).toEqual([]);
      await store.commit([commitOf("a", 1, epoch, { consumed: [two!.number] })]);
      expect(await store.readInbox("a", two!.number - 1, 2)).toEqual([three]);
      expect(await store.readInbox("unknown", 0, 2)).toEqual([]);
    });

    test("an inbox that is full is refused before anything is taken, to those who name a limit; what was consumed makes room", async () => {
      const posts = ["a", "b", "a", "b"].map((runId) => ({ runId, body: "x" }));
      await store.commit([commitOf("a", 0, epoch), commitOf("b", 0, epoch, { posts: posts.slice(0, 2) })]);
      await store.commit([commitOf("b", 1, epoch, { posts: posts.slice(2) })]);
      const post = (runId: string, limit?: number): Promise<number | undefined> => store.post({ runId, body: "x" }, limit);
      const last = (await post("a", 3))!;
      await expect(post("a", 3)).rejects.toMatchObject({ code: "PAWL_MAILBOX_FULL", retryable: true });
      expect(await post("b", 3)).toBeGreaterThan(last);
      expect(await post("a", 4)).toBeGreaterThan(last);
      expect(await post("a")).toBeGreaterThan(last);
      expect(await numbers("a")).toHaveLength(5);
      await expect(post("a", 5)).rejects.toMatchObject({ code: "PAWL_MAILBOX_FULL" });
      await store.commit([commitOf("a", 1, epoch, { consumed: [last] })]);
      expect(await post("a", 5)).toBeGreaterThan(last);
      await expect(post("a", 5)).rejects.toMatchObject({ code: "PAWL_MAILBOX_FULL" });
      expect(await post("none", 1)).toBeUndefined();
    });

    test("an answer appears with the commit that consumes the row, and with no other", async () => {
      await store.commit([commitOf("a", 0, epoch)]);
      const number = (await store.post({ runId: "a", body: "asked" }))!;
      const answering = { consumed: [number], answers: [{ number, body: "done" }] };
      expect(await reply(number)).toEqual({ number, body: undefined, isPosted: true });
      expect(await store.commit([commitOf("a", 7, epoch, answering)])).toEqual(["fenced"]);
      expect(await reply(number)).toEqual({ number, body: undefined, isPosted: true });
      expect(await store.commit([commitOf("a", 1, epoch, answering)])).toEqual(["committed"]);
      expect(await reply(number)).toEqual({ number, body: "done", isPosted: false });
    });

    test("a run that ends answers in the same commit; what it did not answer is gone without one", async () => {
      await store.commit([commitOf("a", 0, epoch)]);
      const answered = (await store.post({ runId: "a", body: "asked" }))!;
      const ignored = (await store.post({ runId: "a", body: "too late" }))!;
      await store.commit([commitOf("a", 1, epoch, { consumed: [answered], answers: [{ number: answered, body: "ended" }], run: { finished: true } })]);
      expect(await store.readReplies([answered, ignored])).toEqual([
        { number: answered, body: "ended", isPosted: false },
        { number: ignored, body: undefined, isPosted: false },
      ]);
    });

    test("what became of rows is told of many at once, in the order in which they are named, also of unknown ones", async () => {
      await store.commit([commitOf("a", 0, epoch)]);
      const given: number[] = [];
      for (const body of ["one", "two", "three"]) given.push((await store.post({ runId: "a", body }))!);
      const [one, two, three] = given as [number, number, number];
      await store.commit([commitOf("a", 1, epoch, { consumed: [one, three], answers: [{ number: three, body: "done ä🙂" }] })]);
      expect(await store.readReplies([three, 999, two, one])).toEqual([
        { number: three, body: "done ä🙂", isPosted: false },
        { number: 999, body: undefined, isPosted: false },
        { number: two, body: undefined, isPosted: true },
        { number: one, body: undefined, isPosted: false },
      ]);
      expect(await store.readReplies([])).toEqual([]);
    });

    test("answers stay until they are taken, or forgotten with time, at most so many", async () => {
      await store.commit([commitOf("a", 0, epoch)]);
      const answer = (number: number, at: number) =>
        store.commit([commitOf("a", number, epoch, { at: NOW + at, answers: [{ number, body: `to ${number}` }] })]);
      for (const [i, at] of [10, 20, 30, 40].entries()) await answer(i + 1, at);
      const left = async (): Promise<(string | undefined)[]> => (await store.readReplies([1, 2, 3, 4])).map(({ body }) => body);
      await store.takeAnswers([2, 99]);
      await store.takeAnswers([]);
      expect(await left()).toEqual(["to 1", undefined, "to 3", "to 4"]);
      await store.forgetAnswers(NOW + 10, 10);
      expect(await left()).toEqual(["to 1", undefined, "to 3", "to 4"]);
      await store.forgetAnswers(NOW + 40, 1);
      expect(await left()).toEqual([undefined, undefined, "to 3", "to 4"]);
      await store.forgetAnswers(NOW + 40, 10);
      expect(await left()).toEqual([undefined, undefined, undefined, "to 4"]);
    });

    test("what came since a number is seen run by run, in one look, at most so many rows", async () => {
      await store.commit(["a", "b", "c"].map((id) => commitOf(id, 0, epoch)));
      expect(await store.inboxSince(0, 10)).toEqual({ runIds: [], number: 0 });
      const given: number[] = [];
      for (const runId of ["b", "a", "b", "c"]) given.push((await store.post({ runId, body: "x" }))!);
      expect(await store.inboxSince(0, 10)).toEqual({ runIds: ["b", "a", "c"], number: given[3] });
      expect(await store.inboxSince(0, 3)).toEqual({ runIds: ["b", "a"], number: given[2] });
      expect(await store.inboxSince(given[2]!, 3)).toEqual({ runIds: ["c"], number: given[3] });
      expect(await store.inboxSince(given[3]!, 3)).toEqual({ runIds: [], number: given[3] });
      await store.commit([commitOf("b", 1, epoch, { consumed: [given[0]!] })]);
      expect(await store.inboxSince(0, 10)).toEqual({ runIds: ["a", "b", "c"], number: given[3] });
    });
  });
}
