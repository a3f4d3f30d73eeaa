/**
 * The part of a store's contract that is about finding runs again, and about getting rid of them.
 */
import { expect, test } from "vitest";
import { type PruneFilter, type RunFacts, type RunFilter, SUSPICIONS_MAX } from "../../src/store/store.ts";
import { commitOf } from "./commit-of.ts";
import { describeStore, type Opened, type Place } from "./contract.ts";

const NOW = 1_700_000_000_000;

/** Runs this part of the contract against the stores of these places. */
export function lookUpContract(name: string, makePlace: () => Promise<Place>): void {
  describeStore(`the contract of finding and pruning runs, kept by ${name}`, makePlace, (opened) => {
    factTests(opened);
    listTests(opened);
    endedTests(opened);
    pruneTests(opened);
  });
}

function factTests(opened: Opened): void {
  test("what a run is about is given when it is created, and stays", async () => {
    const { store, epoch } = opened;
    const facts: RunFacts = { subject: "order/7 ä", tags: ["b", "a", "b"], origin: '{"run":"old"}' };
    await store.commit([commitOf("r", 0, epoch, { facts }), commitOf("plain", 0, epoch)]);
    await store.commit([commitOf("r", 1, epoch, { facts: { subject: "other", tags: ["x"] } })]);
    expect(await store.readRun("r")).toMatchObject({ subject: "order/7 ä", tags: ["b", "a"], origin: '{"run":"old"}' });
    expect(await store.readRun("plain")).toMatchObject({ subject: null, tags: [], origin: null });
    await opened.reopen();
    expect(await opened.store.claimRun(opened.epoch, "r", NOW)).toMatchObject({ tags: ["b", "a"], subject: "order/7 ä" });
    expect(await opened.store.readyRuns(opened.epoch, "", 5)).toMatchObject([{ id: "r", tags: ["b", "a"] }]);
    expect(await opened.store.listRuns({ tag: "x", limit: 5 })).toEqual([]);
  });
}

function listTests(opened: Opened): void {
  /** Runs r0 to r11, two at each instant, with every kind of fact. */
  async function fill(): Promise<void> {
    const { store, epoch } = opened;
    for (let i = 0; i < 12; i++) {
      const facts = { ...(i % 2 === 0 && { subject: `s${i % 4}` }), tags: i % 3 === 0 ? ["third", `t${i}`] : ["rest"] };
      const run = { status: i % 4 === 0 ? "failed" : "running", workflow: i < 6 ? "early" : "late", finished: i % 4 === 0 };
      await store.commit([commitOf(`r${String(i).padStart(2, "0")}`, 0, epoch, { at: NOW + Math.floor(i / 2), facts, run })]);
    }
  }

  const filters: Record<string, [Omit<RunFilter, "limit">, (i: number) => boolean]> = {
    none: [{}, () => true],
    status: [{ status: "failed" }, (i) => i % 4 === 0],
    workflow: [{ workflow: "early" }, (i) => i < 6],
    subject: [{ subject: "s2" }, (i) => i % 4 === 2],
    tag: [{ tag: "third" }, (i) => i % 3 === 0],
    since: [{ since: NOW + 2 }, (i) => i >= 4],
    until: [{ until: NOW + 2 }, (i) => i < 4],
    unfinished: [{ unfinished: true }, (i) => i % 4 !== 0],
    "tag, subject and status": [{ tag: "third", subject: "s0", status: "failed" }, (i) => i === 0],
    "tag, since and until": [{ tag: "rest", since: NOW + 1, until: NOW + 4 }, (i) => i % 3 !== 0 && i >= 2 && i < 8],
    "subject and workflow": [{ subject: "s0", workflow: "late" }, (i) => i % 4 === 0 && i >= 6],
    "status, workflow and unfinished": [{ status: "running", workflow: "early", unfinished: true }, (i) => i % 4 !== 0 && i < 6],
    "workflow and unfinished": [{ workflow: "late", unfinished: true }, (i) => i % 4 !== 0 && i >= 6],
    "status and since": [{ status: "running", since: NOW + 2 }, (i) => i % 4 !== 0 && i >= 4],
    "what is not there": [{ tag: "missing" }, () => false],
  };

  test.for(Object.entries(filters))("runs are listed newest first, page by page, by %s", async ([, [filter, isListed]]) => {
    await fill();
    const expected = Array.from({ length: 12 }, (_, i) => 11 - i)
      .filter(isListed)
      .map((i) => `r${String(i).padStart(2, "0")}`);
    const listed = async (after?: string): Promise<string[]> => (await opened.store.listRuns({ ...filter, after, limit: 2 })).map(({ id }) => id);
    const pages: string[] = [];
    for (let page = await listed(); page.length > 0; page = await listed(pages.at(-1))) pages.push(...page);
    expect(pages).toEqual(expected);
    expect((await opened.store.listRuns({ ...filter, limit: 100 })).map(({ id }) => id)).toEqual(expected);
    expect(await listed("never")).toEqual([]);
  });
}

function endedTests(opened: Opened): void {
  test("the statuses of the runs of a definition that ended last are read newest first", async () => {
    const { store, epoch } = opened;
    const end = (id: string, at: number, status: string, definition = "hash") =>
      store.commit([commitOf(id, 1, epoch, { at: NOW + at, run: { status, finished: true, definition } })]);
    await store.commit(["a", "b", "c", "d", "e"].map((id) => commitOf(id, 0, epoch)));
    await end("c", 10, "completed");
    await end("a", 30, "failed");
    await end("b", 20, "cancelled");
    await end("d", 40, "failed", "other");
    expect(await store.endedStatuses("hash", 10)).toEqual(["failed", "cancelled", "completed"]);
    expect(await store.endedStatuses("hash", 2)).toEqual(["failed", "cancelled"]);
    expect(await store.endedStatuses("none", 2)).toEqual([]);
    await store.quarantine(epoch, "e", "damaged", NOW + 50);
    expect(await store.endedStatuses("hash", 1)).toEqual(["quarantined"]);
  });
}

function pruneTests(opened: Opened): void {
  const actor = { key: "a", status: "completed", body: "{}", output: null, checksum: 1 };
  const facts = { subject: "s", tags: ["t", "u"] };

  /** A store may do less at a time than it is asked for. */
  async function discardAll(filter: PruneFilter): Promise<number> {
    let discarded = 0;
    for (let count = 1; count > 0; discarded += count) count = await opened.store.discard(filter, 10);
    return discarded;
  }

  /** A run that ended, with rows of each kind: 2 actors, 3 commits, 1 event, 1 kept row. */
  async function makeEnded(id: string, endedAt: number, run: { status?: string; workflow?: string } = {}): Promise<void> {
    const { store, epoch } = opened;
    const common = { status: "completed", ...run };
    await store.commit([commitOf(id, 0, epoch, { facts, actors: [actor, { ...actor, key: "b" }], run })]);
    await store.commit([
      commitOf(id, 1, epoch, { actors: [actor], eventIds: ["e"], keepPast: { commits: 5, every: 1 }, posts: [{ runId: id, body: "x" }], run }),
    ]);
    await store.commit([commitOf(id, 2, epoch, { at: endedAt, keepPast: { commits: 5, every: 1 }, run: { ...common, finished: true } })]);
  }

  test("ended runs are discarded the longest ended first, by status, age and workflow, and no others", async () => {
    const { store, epoch } = opened;
    await makeEnded("new", NOW + 40);
    await makeEnded("old", NOW + 10);
    await makeEnded("older", NOW + 5, { workflow: "second" });
    await makeEnded("bad", NOW + 1, { status: "failed" });
    await store.commit([commitOf("runs", 0, epoch, { at: NOW, facts, run: { status: "completed" } })]);
    const filter = { status: "completed", endedBefore: NOW + 40 };
    expect(await store.countEnded(filter)).toBe(2);
    expect(await store.countEnded({ ...filter, workflow: "second" })).toBe(1);
    expect(await store.discard({ ...filter, workflow: "third" }, 10)).toBe(0);
    expect(await store.discard(filter, 1)).toBe(1);
    expect(await store.readRun("older")).toBeUndefined();
    expect(await store.discard({ ...filter, workflow: "flow" }, 10)).toBe(1);
    expect(await store.discard(filter, 10)).toBe(0);
    expect((await store.listRuns({ tag: "t", limit: 10 })).map(({ id }) => id).sort()).toEqual(["bad", "new", "runs"]);
    expect((await store.listRuns({ subject: "s", limit: 10 })).map(({ id }) => id).sort()).toEqual(["bad", "new", "runs"]);
    expect(await store.endedStatuses("hash", 10)).toEqual(["completed", "failed"]);
    expect(await store.countEnded(filter)).toBe(0);
  });

  test("rows of discarded runs are swept, at most so many at a time, until none is left; others keep theirs", async () => {
    const { store } = opened;
    for (const id of ["a", "b", "kept"]) await makeEnded(id, NOW + (id === "kept" ? 99 : 10));
    expect(await store.sweep(100)).toBe(0);
    expect(await discardAll({ status: "completed", endedBefore: NOW + 50 })).toBe(2);
    const swept: number[] = [];
    for (let count = await store.sweep(3); count > 0; count = await store.sweep(3)) swept.push(count);
    expect(swept.every((count) => count <= 3)).toBe(true);
    expect(swept.reduce((sum, count) => sum + count, 0)).toBe(2 * (2 + 3 + 1 + 1 + 1));
    for (const id of ["a", "b"]) {
      expect(await store.readActors(id)).toEqual([]);
      expect(await store.readHistory(id, 0, 10)).toEqual([]);
      expect(await store.readEvent(id, "e")).toBeUndefined();
    }
    expect([await store.readActors("kept"), await store.readHistory("kept", 0, 10)].map((rows) => rows.length)).toEqual([2, 3]);
    expect(await store.readPast("kept", 1)).toHaveLength(2);
    expect(await store.readEvent("kept", "e")).toBe(2);
  });

  test("an id that was discarded may be taken at once: the new run has nothing of the old one, and keeps what it has", async () => {
    const { store, epoch } = opened;
    await makeEnded("r", NOW + 10);
    await store.discard({ status: "completed", endedBefore: NOW + 50 }, 10);
    expect(await store.commit([commitOf("r", 0, epoch, { at: NOW + 60, actors: [{ ...actor, key: "new" }], eventIds: ["new"] })])).toEqual(["committed"]);
    expect(await store.sweep(100)).toBe(0);
    expect((await store.readActors("r")).map(({ key }) => key)).toEqual(["new"]);
    expect(await store.readHistory("r", 0, 10)).toEqual([{ commitNo: 1, at: NOW + 60, body: '["r",1]' }]);
    expect([await store.readEvent("r", "e"), await store.readEvent("r", "new")]).toEqual([undefined, 1]);
    expect(await store.readRun("r")).toMatchObject({ subject: null, tags: [], createdAt: NOW + 60 });
    expect(await store.commit([commitOf("r", 1, epoch, { actors: [{ ...actor, key: "new" }], keepPast: { commits: 5, every: 1 } })])).toEqual(["committed"]);
    expect((await store.readPast("r", 1))?.map(({ key }) => key)).toEqual(["new"]);
    expect(await store.listRuns({ tag: "t", limit: 10 })).toEqual([]);
  });

  test("a discarded run cannot be committed, reopened, claimed or written to; a quarantined one is discarded, too", async () => {
    const { store, epoch } = opened;
    await store.commit([commitOf("r", 0, epoch)]);
    await store.quarantine(epoch, "r", "damaged", NOW + 1);
    expect(await store.discard({ status: "quarantined", endedBefore: NOW + SUSPICIONS_MAX }, 10)).toBe(1);
    expect(await store.reopen(commitOf("r", 1, epoch))).toBe("fenced");
    expect(await store.commit([commitOf("r", 1, epoch)])).toEqual(["fenced"]);
    expect(await store.claimRun(epoch, "r", NOW)).toBeUndefined();
    expect(await store.post({ runId: "r", body: "x" })).toBeUndefined();
  });
}
