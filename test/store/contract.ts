/**
 * The contract of a store, run by every store: what the rest of pawl relies on.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commitOf } from "./commit-of.ts";
import { type Commit, SUSPICIONS_MAX, SUSPICION_WINDOW_MS, type Store, WAITS_FOR_EVENT } from "../../src/store/store.ts";

/** A place that holds a store: opening it again shows what was committed. */
export interface Place {
  open(): Promise<Store>;
  remove(): Promise<void>;
}

const NOW = 1_700_000_000_000;

/** A store that is open, with an epoch of its own; both are new after opening again. */
export interface Opened {
  readonly store: Store;
  readonly epoch: number;
  /** Ends all epochs, and opens the same place with a new one. */
  reopen(): Promise<void>;
}

/** Runs tests against a store of this place, each with one of its own. */
export function describeStore(title: string, makePlace: () => Promise<Place>, tests: (opened: Opened) => void): void {
  describe(title, () => {
    let place: Place;
    const open = async (): Promise<void> => {
      opened.store = await place.open();
      opened.epoch = await opened.store.openEpoch(NOW, "{}");
    };
    const opened = {
      store: undefined as unknown as Store,
      epoch: 0,
      reopen: async () => {
        await opened.store.close();
        await open();
      },
    };
    beforeEach(async () => {
      place = await makePlace();
      await open();
    });
    afterEach(async () => {
      await opened.store.close();
      await place.remove();
    });
    tests(opened);
  });
}

const node = (key: string, status = "completed", output: string | null = "1"): Commit["actors"][number] => ({ key, status, body: "{}", output, checksum: 9 });

/** Runs the contract against the stores of these places. */
export function storeContract(name: string, makePlace: () => Promise<Place>): void {
  describe(`the store contract, kept by ${name}`, () => {
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

    async function reopen(): Promise<void> {
      await store.close();
      store = await place.open();
      epoch = await store.openEpoch(NOW, "{}");
    }

    test("what was committed is there after closing and opening again, to the letter", async () => {
      const awkward = { key: "ä.b-c_1", status: "completed", body: `{"t":"\\u0000 🙂 '\\""}`, output: "x".repeat(100_000), checksum: 4_294_967_295 };
      expect(await store.commit([commitOf("r1", 0, epoch, { actors: [awkward], run: { wakeAt: NOW + 5 } })])).toEqual(["committed"]);
      await reopen();
      expect(await store.readRun("r1")).toMatchObject({
        id: "r1",
        workflow: "flow",
        definition: "hash",
        status: "running",
        body: '{"commit":1}',
        checksum: 7,
        commitNo: 1,
        wakeAt: NOW + 5,
        createdAt: NOW,
        updatedAt: NOW,
        suspicion: 0,
        reason: null,
      });
      expect(await store.readActors("r1")).toEqual([{ ...awkward, commitNo: 1 }]);
      expect(await store.readHistory("r1", 0, 10)).toEqual([{ commitNo: 1, at: NOW, body: '["r1",1]' }]);
    });

    test("an actor's row is replaced by a later commit, which leaves its number on it", async () => {
      await store.commit([commitOf("r1", 0, epoch, { actors: [node("a", "backingOff", null), node("b")] })]);
      await store.commit([commitOf("r1", 1, epoch, { actors: [node("a", "completed", "2")] })]);
      const rows = await store.readActors("r1");
      expect(rows.find(({ key }) => key === "a")).toEqual({ ...node("a", "completed", "2"), commitNo: 2 });
      expect(rows.find(({ key }) => key === "b")?.commitNo).toBe(1);
      expect(await store.readActors("r1", ["b", "missing"])).toEqual([{ ...node("b"), commitNo: 1 }]);
    });

    test("an actor that is gone leaves no row; one that was never there may go, too", async () => {
      await store.commit([commitOf("r1", 0, epoch, { actors: [node("a"), node("b")] }), commitOf("r2", 0, epoch, { actors: [node("a")] })]);
      expect(await store.commit([commitOf("r1", 1, epoch, { actors: [node("c")], gone: ["a", "never"] })])).toEqual(["committed"]);
      expect((await store.readActors("r1")).map(({ key }) => key)).toEqual(["b", "c"]);
      expect(await store.readActors("r2")).toHaveLength(1);
    });

    test("a later commit may give the run another definition", async () => {
      await store.commit([commitOf("r1", 0, epoch)]);
      await store.commit([commitOf("r1", 1, epoch, { run: { workflow: "renamed", definition: "other" } })]);
      expect(await store.readRun("r1")).toMatchObject({ workflow: "renamed", definition: "other", commitNo: 2 });
    });

    test("what a run waits for changes with each commit that says so", async () => {
      const waits = [null, WAITS_FOR_EVENT, WAITS_FOR_EVENT, NOW + 5, null, null, NOW + 9, WAITS_FOR_EVENT, null];
      for (const [from, wakeAt] of waits.entries()) {
        expect(await store.commit([commitOf("r1", from, epoch, { run: { wakeAt } })])).toEqual(["committed"]);
        expect(await store.readRun("r1")).toMatchObject({ wakeAt, commitNo: from + 1, body: `{"commit":${from + 1}}` });
        expect(await store.readyRuns(epoch, "", 1)).toHaveLength(wakeAt === null ? 1 : 0);
      }
    });

    test("the fence: a commit that expects another commit number changes nothing", async () => {
      await store.commit([commitOf("r1", 0, epoch)]);
      expect(await store.commit([commitOf("r1", 0, epoch), commitOf("r1", 2, epoch)])).toEqual(["fenced", "fenced"]);
      expect(await store.commit([commitOf("gone", 3, epoch)])).toEqual(["fenced"]);
      expect(await store.readRun("r1")).toMatchObject({ commitNo: 1 });
      expect(await store.readHistory("r1", 0, 10)).toHaveLength(1);
    });

    test("the fence: a commit of an epoch that no longer owns the run changes nothing", async () => {
      await store.commit([commitOf("r1", 0, epoch)]);
      const stale = epoch;
      await reopen();
      expect(epoch).toBeGreaterThan(stale);
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 10)).toMatchObject([{ id: "r1", epoch }]);
      expect(await store.commit([commitOf("r1", 1, stale, { actors: [node("late")] })])).toEqual(["fenced"]);
      expect(await store.commit([commitOf("r1", 1, epoch)])).toEqual(["committed"]);
      expect(await store.readActors("r1")).toEqual([]);
    });

    test("a fenced commit does no harm to the others of its group", async () => {
      await store.commit([commitOf("r1", 0, epoch), commitOf("r2", 0, epoch)]);
      const group = [commitOf("r1", 1, epoch, { actors: [node("a")] }), commitOf("r2", 5, epoch, { actors: [node("x")] }), commitOf("r3", 0, epoch)];
      expect(await store.commit(group)).toEqual(["committed", "fenced", "committed"]);
      expect((await store.readRun("r1"))?.commitNo).toBe(2);
      expect((await store.readRun("r2"))?.commitNo).toBe(1);
      expect(await store.readActors("r2")).toEqual([]);
    });

    test("a claim takes unfinished runs of earlier epochs that have a known definition, no others, in batches", async () => {
      const runs = ["a", "b", "c"].map((id) => commitOf(id, 0, epoch));
      await store.commit([
        ...runs,
        commitOf("other", 0, epoch, { run: { definition: "unknown" } }),
        commitOf("done", 0, epoch, { run: { finished: true, status: "completed" } }),
      ]);
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 10)).toEqual([]);
      await reopen();
      const first = await store.claim(epoch, ["hash", "further"], NOW, NOW, 2);
      const second = await store.claim(epoch, ["hash", "further"], NOW, NOW, 2);
      expect([...first, ...second].map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
      expect(first.every((run) => run.epoch === epoch && run.suspicion === 1)).toBe(true);
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 2)).toEqual([]);
    });

    test("a claim takes what is ready and what is due, and leaves what sleeps as it is", async () => {
      const wakes = { ready: null, due: NOW - 1, now: NOW, later: NOW + 1, event: WAITS_FOR_EVENT };
      await store.commit(Object.entries(wakes).map(([id, wakeAt]) => commitOf(id, 0, epoch, { run: { wakeAt } })));
      const sleeping = await store.readRun("later");
      await reopen();
      expect((await store.claim(epoch, ["hash"], NOW + 77, NOW, 10)).map(({ id }) => id).sort()).toEqual(["due", "now", "ready"]);
      expect(await store.claim(epoch, ["hash"], NOW + 77, NOW, 10)).toEqual([]);
      expect(await store.readRun("later")).toEqual(sleeping);
      expect(await store.claim(epoch, ["hash"], NOW + 77, NOW + 1, 10)).toMatchObject([{ id: "later", epoch, suspicion: 1 }]);
      expect(await store.readRun("event")).toMatchObject({ suspicion: 0, wakeAt: WAITS_FOR_EVENT });
    });

    test("a suspect that is ready is claimed after an innocent that is due", async () => {
      await store.commit([commitOf("suspect", 0, epoch)]);
      await reopen();
      await store.claim(epoch, ["hash"], NOW, NOW, 10);
      await store.commit([commitOf("innocent", 0, epoch, { run: { wakeAt: NOW } })]);
      await reopen();
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 10)).toMatchObject([{ id: "innocent" }]);
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 10)).toMatchObject([{ id: "suspect" }]);
    });

    test("one run is claimed by its id, even while it sleeps; a second time it is only answered", async () => {
      await store.commit([
        commitOf("event", 0, epoch, { run: { wakeAt: WAITS_FOR_EVENT } }),
        commitOf("other", 0, epoch, { run: { wakeAt: NOW + 9 } }),
        commitOf("over", 0, epoch, { run: { finished: true } }),
      ]);
      expect(await store.claimRun(epoch, "event", NOW)).toMatchObject({ id: "event", epoch, suspicion: 0 });
      const stale = epoch;
      await reopen();
      expect(await store.claimRun(epoch, "event", NOW)).toMatchObject({ id: "event", epoch, suspicion: 1, commitNo: 1, wakeAt: WAITS_FOR_EVENT });
      expect(await store.claimRun(epoch, "event", NOW)).toMatchObject({ epoch, suspicion: 1 });
      expect(await store.claimRun(stale, "event", NOW)).toBeUndefined();
      expect(await store.claimRun(epoch, "over", NOW)).toBeUndefined();
      expect(await store.claimRun(epoch, "none", NOW)).toBeUndefined();
      expect(await store.readRun("other")).toMatchObject({ epoch: stale, suspicion: 0 });
      expect(await store.commit([commitOf("event", 1, stale), commitOf("event", 1, epoch)])).toEqual(["fenced", "committed"]);
    });

    test("a load that was not seen to end makes a run suspect: it is claimed last, and alone", async () => {
      await store.commit(["a", "b", "c"].map((id) => commitOf(id, 0, epoch)));
      await reopen();
      const loaded = await store.claim(epoch, ["hash"], NOW, NOW, 2);
      await reopen();
      const [untouched, ...none] = await store.claim(epoch, ["hash"], NOW, NOW, 10);
      expect(none).toEqual([]);
      expect(loaded.map(({ id }) => id)).not.toContain(untouched!.id);
      const alone = await store.claim(epoch, ["hash"], NOW, NOW, 10);
      expect(alone).toMatchObject([{ suspicion: 2 }]);
    });

    test("suspicion grows with each such load, ends when absolved, and is forgotten with time", async () => {
      await store.commit([commitOf("a", 0, epoch)]);
      for (let loads = 1; loads <= SUSPICIONS_MAX + 1; loads++) {
        await reopen();
        expect(await store.claim(epoch, ["hash"], NOW, NOW, 1)).toMatchObject([{ suspicion: loads }]);
      }
      await store.absolve(epoch, ["a"]);
      await reopen();
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 1)).toMatchObject([{ suspicion: 1 }]);
      await reopen();
      expect(await store.claim(epoch, ["hash"], NOW + SUSPICION_WINDOW_MS + 1, NOW, 1)).toMatchObject([{ suspicion: 1 }]);
    });

    test("who was given up while it loaded and comes back takes back its own suspicion, and no other", async () => {
      await store.commit([commitOf("a", 0, epoch)]);
      for (let loads = 1; loads <= 3; loads++) {
        await reopen();
        await store.claim(epoch, ["hash"], NOW, NOW, 1);
      }
      await store.absolve(epoch - 1, ["a"]);
      expect(await store.readRun("a")).toMatchObject({ suspicion: 2, epoch });
      await store.absolve(epoch, ["a"]);
      await store.absolve(epoch - 1, ["a"]);
      expect(await store.readRun("a")).toMatchObject({ suspicion: 0 });
      await reopen();
      await store.claim(epoch, ["hash"], NOW, NOW, 1);
      await store.quarantine(epoch, "a", "damaged", NOW);
      await store.absolve(epoch - 1, ["a"]);
      expect(await store.readRun("a")).toMatchObject({ suspicion: 1, status: "quarantined" });
    });

    test("a quarantined run keeps its rows and its reason, and is not claimed again", async () => {
      await store.commit([commitOf("a", 0, epoch, { actors: [node("n")] })]);
      await store.quarantine(epoch, "a", "damaged", NOW + 1);
      expect(await store.readRun("a")).toMatchObject({ status: "quarantined", reason: "damaged", body: '{"commit":1}', commitNo: 1 });
      expect(await store.readActors("a")).toHaveLength(1);
      expect(await store.commit([commitOf("a", 1, epoch)])).toEqual(["fenced"]);
      await reopen();
      expect(await store.claim(epoch, ["hash"], NOW, NOW, 10)).toEqual([]);
    });

    test("due runs come in due order, with the next instant after them", async () => {
      await store.commit([30, 10, 20, 90].map((ms) => commitOf(`in${ms}`, 0, epoch, { run: { wakeAt: NOW + ms } })));
      await store.commit([commitOf("ready", 0, epoch), commitOf("over", 0, epoch, { run: { wakeAt: NOW, finished: true } })]);
      const { due, nextAt } = await store.dueRuns(epoch, ["hash"], NOW + 30, { wakeAt: 0, id: "" }, 2);
      expect(due.map(({ id }) => id)).toEqual(["in10", "in20"]);
      expect(nextAt).toBe(NOW + 90);
      expect((await store.dueRuns(epoch, ["hash"], NOW + 30, { wakeAt: NOW + 20, id: "in20" }, 2)).due.map(({ id }) => id)).toEqual(["in30"]);
      expect((await store.dueRuns(epoch, ["hash"], NOW + 100, { wakeAt: 0, id: "" }, 10)).nextAt).toBeNull();
    });

    test("the next instant is that of every run with one of the definitions, whoever owns it", async () => {
      const nextAt = async (definitions: string[], now: number): Promise<number | null> =>
        (await store.dueRuns(epoch, definitions, now, { wakeAt: 0, id: "" }, 10)).nextAt;
      await store.commit([
        commitOf("early", 0, epoch, { run: { wakeAt: NOW + 10 } }),
        commitOf("unknown", 0, epoch, { run: { wakeAt: NOW + 5, definition: "unknown" } }),
        commitOf("event", 0, epoch, { run: { wakeAt: WAITS_FOR_EVENT } }),
      ]);
      await reopen();
      await store.commit([commitOf("own", 0, epoch, { run: { wakeAt: NOW + 20, definition: "second" } })]);
      expect(await nextAt(["hash", "second"], NOW)).toBe(NOW + 10);
      expect(await nextAt(["hash", "second"], NOW + 10)).toBe(NOW + 20);
      expect(await nextAt(["hash"], NOW + 10)).toBeNull();
      expect(await nextAt([], NOW)).toBeNull();
      await store.claimRun(epoch, "early", NOW);
      expect(await nextAt(["hash", "second"], NOW)).toBe(NOW + 10);
    });

    test("due runs are the owned ones only", async () => {
      await store.commit([commitOf("left", 0, epoch, { run: { wakeAt: NOW } })]);
      await reopen();
      await store.commit([commitOf("own", 0, epoch, { run: { wakeAt: NOW } })]);
      expect((await store.dueRuns(epoch, ["hash"], NOW, { wakeAt: 0, id: "" }, 10)).due).toMatchObject([{ id: "own" }]);
    });

    test("ready runs are those that wait for no instant, by id, page by page", async () => {
      await store.commit([
        commitOf("b", 0, epoch),
        commitOf("a", 0, epoch),
        commitOf("c", 0, epoch),
        commitOf("sleeps", 0, epoch, { run: { wakeAt: NOW } }),
        commitOf("over", 0, epoch, { run: { finished: true } }),
      ]);
      expect((await store.readyRuns(epoch, "", 2)).map(({ id }) => id)).toEqual(["a", "b"]);
      expect((await store.readyRuns(epoch, "b", 2)).map(({ id }) => id)).toEqual(["c"]);
    });

    test("runs are walked through by id, page by page; those are shown that sleep until an instant, whoever owns them", async () => {
      const wakes = { a: NOW + 5, b: null, c: WAITS_FOR_EVENT, d: NOW - 5, e: NOW };
      await store.commit(Object.entries(wakes).map(([id, wakeAt]) => commitOf(id, 0, epoch, { run: { wakeAt, finished: id === "e" } })));
      const walk = async (after: string, limit: number): Promise<[string[], string | undefined]> => {
        const { sleepers, last } = await store.walkSleepers(after, limit);
        return [sleepers.map(({ id }) => id), last];
      };
      expect(await walk("", 3)).toEqual([["a"], "c"]);
      expect(await walk("c", 3)).toEqual([["d"], "e"]);
      expect(await walk("e", 3)).toEqual([[], undefined]);
    });

    test("history comes in order, after a commit, at most so many", async () => {
      await store.commit([commitOf("r", 0, epoch)]);
      for (let from = 1; from < 5; from++) await store.commit([commitOf("r", from, epoch)]);
      expect((await store.readHistory("r", 2, 2)).map(({ commitNo }) => commitNo)).toEqual([3, 4]);
      expect(await store.readHistory("none", 0, 10)).toEqual([]);
    });

    test("runs are listed newest first, by status and workflow, page by page", async () => {
      for (const [i, id] of ["a", "b", "c", "d"].entries())
        await store.commit([commitOf(id, 0, epoch, { at: NOW + i, run: { status: i % 2 === 0 ? "running" : "failed", workflow: i < 2 ? "x" : "y" } })]);
      const ids = async (filter: Omit<Parameters<Store["listRuns"]>[0], "limit">, limit = 10): Promise<string[]> =>
        (await store.listRuns({ ...filter, limit })).map(({ id }) => id);
      expect(await ids({})).toEqual(["d", "c", "b", "a"]);
      expect(await ids({ status: "failed" })).toEqual(["d", "b"]);
      expect(await ids({ workflow: "x" })).toEqual(["b", "a"]);
      expect(await ids({ after: "c" }, 1)).toEqual(["b"]);
      await store.commit([commitOf("d", 1, epoch, { run: { status: "failed", workflow: "y", finished: true } })]);
      expect(await ids({ unfinished: true })).toEqual(["c", "b", "a"]);
      expect(await ids({ unfinished: true, status: "failed" })).toEqual(["b"]);
      expect(await ids({ unfinished: false })).toEqual(["d", "c", "b", "a"]);
    });

    test("a definition is written once and stays", async () => {
      await store.writeDefinition("h", "flow", "first");
      await store.writeDefinition("h", "flow", "second");
      expect(await store.readDefinition("h")).toBe("first");
      expect(await store.readDefinition("none")).toBeUndefined();
    });

    test("a workflow's definitions are found by its name", async () => {
      for (const [hash, workflow] of [
        ["h2", "flow"],
        ["h1", "flow"],
        ["h3", "other"],
      ])
        await store.writeDefinition(hash!, workflow!, "body");
      await reopen();
      expect(await store.definitionsOf("flow")).toEqual(["h1", "h2"]);
      expect(await store.definitionsOf("none")).toEqual([]);
    });
  });
}
