/**
 * The part of a store's contract that is about several epochs at a time: who owns a run, and who may take it.
 */
import { expect, test } from "vitest";
import { type Commit, NOBODY, WAITS_FOR_EVENT } from "../../src/store/store.ts";
import { commitOf } from "./commit-of.ts";
import { describeStore, type Opened, type Place } from "./contract.ts";

const NOW = 1_700_000_000_000;
const KNOWN = ["hash"];

/** Runs this part of the contract against the stores of these places. */
export function epochContract(name: string, makePlace: () => Promise<Place>): void {
  describeStore(`the contract of epochs, kept by ${name}`, makePlace, (opened) => {
    epochTests(opened);
    claimTests(opened);
    ownershipTests(opened);
    reopenTests(opened);
  });
}

const ids = (runs: readonly { id: string }[]): string[] => runs.map(({ id }) => id).sort();

function epochTests(opened: Opened): void {
  test("several epochs are open at once, oldest first, each with what it says of itself", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW + 1, '{"name":"second"}');
    expect(second).toBeGreaterThan(epoch);
    expect(await store.readEpochs()).toEqual([
      { id: epoch, openedAt: NOW, beat: 0, facts: "{}" },
      { id: second, openedAt: NOW + 1, beat: 0, facts: '{"name":"second"}' },
    ]);
  });

  test("a beat counts, and says what there is to say; one of an epoch that is closed is told so", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    expect([await store.beat(epoch, '{"runs":1}'), await store.beat(epoch, '{"runs":2}')]).toEqual([true, true]);
    expect(await store.readEpochs()).toMatchObject([
      { id: epoch, beat: 2, facts: '{"runs":2}' },
      { id: second, beat: 0, facts: "{}" },
    ]);
    await store.closeEpoch(epoch);
    expect(await store.beat(epoch, "{}")).toBe(false);
    expect((await store.readEpochs()).map(({ id }) => id)).toEqual([second]);
  });

  test("an epoch that was closed is not given again, and closing it twice does nothing", async () => {
    const { store, epoch } = opened;
    expect(await store.closeEpoch(epoch)).toBe(true);
    expect(await store.closeEpoch(epoch)).toBe(true);
    expect([await store.closeEpoch(12_345), await store.closeEpoch(epoch, 7)]).toEqual([true, true]);
    const second = await store.openEpoch(NOW, "{}");
    expect(second).toBeGreaterThan(epoch);
    await opened.reopen();
    expect(opened.epoch).toBeGreaterThan(second);
  });

  test("an epoch whose beat has gone on is not closed by who saw an earlier one", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    await store.commit([commitOf("r", 0, second)]);
    await store.beat(second, '{"alive":true}');
    expect(await store.closeEpoch(second, 0)).toBe(false);
    expect(await store.readEpochs()).toMatchObject([{ id: epoch }, { id: second, beat: 1, facts: '{"alive":true}' }]);
    expect([await store.isAbandoned(second), (await store.claim(epoch, KNOWN, NOW, NOW, 10)).length]).toEqual([false, 0]);
    expect(await store.closeEpoch(second, 1)).toBe(true);
    expect([await store.isAbandoned(second), (await store.claim(epoch, KNOWN, NOW, NOW, 10)).length]).toEqual([true, 1]);
    expect(await store.closeEpoch(epoch, 0)).toBe(true);
    expect(await store.readEpochs()).toEqual([]);
  });

  test("closing the store closes its epochs", async () => {
    await opened.store.openEpoch(NOW, "{}");
    await opened.reopen();
    expect((await opened.store.readEpochs()).map(({ id }) => id)).toEqual([opened.epoch]);
  });

  test("an epoch of this process is not abandoned; one that is not open is held by nobody", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    expect([await store.isAbandoned(epoch), await store.isAbandoned(second)]).toEqual([false, false]);
    await store.closeEpoch(second);
    expect([await store.isAbandoned(epoch), await store.isAbandoned(second), await store.isAbandoned(77)]).toEqual([false, true, true]);
  });
}

function claimTests(opened: Opened): void {
  test("runs of an epoch that is closed, and those of nobody, are claimed; those of open ones never", async () => {
    const { store, epoch } = opened;
    const [second, third] = [await store.openEpoch(NOW, "{}"), await store.openEpoch(NOW, "{}")];
    const owners = { nobody: NOBODY, own: epoch, second, third };
    const wakes = { ready: null, due: NOW - 1, asleep: NOW + 1, event: WAITS_FOR_EVENT };
    const of = ([owner, id]: [string, number]): Commit[] =>
      Object.entries(wakes).map(([wake, wakeAt]) => commitOf(`${owner}-${wake}`, 0, id, { run: { wakeAt } }));
    await store.commit(Object.entries(owners).flatMap(of));
    expect(ids(await store.claim(epoch, KNOWN, NOW, NOW, 100))).toEqual(["nobody-due", "nobody-ready"]);
    expect(await store.claim(epoch, KNOWN, NOW, NOW, 100)).toEqual([]);
    await store.closeEpoch(second);
    const taken = await store.claim(third, KNOWN, NOW, NOW, 100);
    expect(ids(taken)).toEqual(["second-due", "second-ready"]);
    expect(taken).toMatchObject([
      { epoch: third, suspicion: 1 },
      { epoch: third, suspicion: 1 },
    ]);
    expect(await store.claim(epoch, KNOWN, NOW, NOW, 100)).toEqual([]);
    expect(await store.readRun("own-ready")).toMatchObject({ epoch, suspicion: 0 });
    expect(await store.readRun("second-asleep")).toMatchObject({ epoch: second, suspicion: 0 });
  });

  test("runs that are ready are claimed by rank, whosever they were and of whichever definition; then those that are due", async () => {
    const { store, epoch } = opened;
    const gone = await store.openEpoch(NOW, "{}");
    const free = (id: string, rank: number | undefined, of: { owner?: number; definition?: string; wakeAt?: number } = {}): Commit => {
      const { owner = NOBODY, definition = "hash", wakeAt = null } = of;
      return commitOf(id, 0, owner, { run: { definition, wakeAt }, ...(rank !== undefined && { rank }) });
    };
    await store.commit([
      ...[free("a-last", NOW + 9), free("b-fourth", NOW, { definition: "other" }), free("c-third", undefined), free("d-first", NOW - 60_000)],
      ...[free("e-due-later", NOW - 99, { wakeAt: NOW - 1 }), free("f-due", NOW, { wakeAt: NOW - 2 }), free("g-second", NOW - 5, { owner: gone })],
      ...[free("h-fifth", NOW + 1, { definition: "other", owner: gone }), free("own", NOW - 999, { owner: epoch })],
    ]);
    await store.closeEpoch(gone);
    const claims: string[][] = [];
    for (const limit of [1, 2, 3, 3]) claims.push((await store.claim(epoch, ["other", "hash"], NOW, NOW, limit)).map(({ id }) => id));
    expect(claims).toEqual([["d-first"], ["g-second", "b-fourth"], ["c-third", "h-fifth", "a-last"], ["f-due", "e-due-later"]]);
  });

  test("a run keeps its rank when it is given up or taken up again; those that may have crashed their worker come last", async () => {
    const { store, epoch } = opened;
    const of = (id: string, rank: number): Commit => commitOf(id, 0, NOBODY, { rank });
    await store.commit([of("a", 3), of("b", 2), of("c", 1)]);
    const claimed = async (limit: number): Promise<string[]> => (await store.claim(epoch, KNOWN, NOW, NOW, limit)).map(({ id }) => id);
    expect(await claimed(3)).toEqual(["c", "b", "a"]);
    await store.absolve(epoch, ["a", "b"]);
    await store.commit([commitOf("b", 1, epoch, { rank: 9, run: { finished: true } })]);
    expect(await store.reopen(commitOf("b", 2, epoch, { rank: 9 }))).toBe("committed");
    await store.release(epoch, ["a", "c"]);
    expect(await claimed(3)).toEqual(["b", "a"]);
    expect(await claimed(3)).toEqual(["c"]);
  });

  test("two that claim at the same time never get the same run", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    await store.commit(Array.from({ length: 30 }, (_, i) => commitOf(`r${i}`, 0, NOBODY, { run: { wakeAt: i % 2 === 0 ? null : NOW } })));
    const claims = await Promise.all(Array.from({ length: 12 }, (_, i) => store.claim(i % 2 === 0 ? epoch : second, KNOWN, NOW, NOW, 3)));
    const claimed = claims.flat();
    expect(new Set(ids(claimed)).size).toBe(30);
    expect(claimed).toHaveLength(30);
    for (const run of claimed) expect(await store.readRun(run.id)).toMatchObject({ epoch: run.epoch });
    expect(new Set(claimed.map((run) => run.epoch))).toEqual(new Set([epoch, second]));
  });

  test("an epoch that was closed gets nothing, and its late commit of a claimed run is fenced", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    await store.commit([commitOf("mine", 0, epoch), commitOf("asleep", 0, epoch, { run: { wakeAt: NOW + 9 } }), commitOf("free", 0, NOBODY)]);
    await store.closeEpoch(epoch);
    expect(await store.claim(epoch, KNOWN, NOW, NOW, 10)).toEqual([]);
    expect(await store.claimRun(epoch, "free", NOW)).toBeUndefined();
    expect(await store.claimRun(epoch, "mine", NOW)).toBeUndefined();
    expect(ids(await store.claim(second, KNOWN, NOW, NOW, 10))).toEqual(["free", "mine"]);
    const late = commitOf("mine", 1, epoch, { actors: [{ key: "late", status: "completed", body: "{}", output: null, checksum: 1 }] });
    expect(await store.commit([late, commitOf("mine", 1, second)])).toEqual(["fenced", "committed"]);
    expect(await store.readActors("mine")).toEqual([]);
  });

  test("an epoch that was closed creates nothing; nobody does at any time", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    await store.closeEpoch(epoch);
    const late = commitOf("late", 0, epoch, { actors: [{ key: "a", status: "completed", body: "{}", output: null, checksum: 1 }], facts: { tags: ["t"] } });
    expect(await store.commit([late, commitOf("own", 0, second), commitOf("free", 0, NOBODY)])).toEqual(["fenced", "committed", "committed"]);
    expect([await store.readRun("late"), await store.readActors("late"), await store.listRuns({ tag: "t", limit: 9 })]).toEqual([undefined, [], []]);
    expect(await store.commit([{ ...late, epoch: second }])).toEqual(["committed"]);
  });

  test("one run is claimed by its id when its epoch is not open, even asleep; never from one that is", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    await store.commit([commitOf("r", 0, second, { run: { wakeAt: WAITS_FOR_EVENT } }), commitOf("free", 0, NOBODY, { run: { wakeAt: NOW + 5 } })]);
    expect(await store.claimRun(epoch, "r", NOW)).toBeUndefined();
    expect(await store.claimRun(second, "r", NOW)).toMatchObject({ epoch: second, suspicion: 0 });
    expect(await store.claimRun(epoch, "free", NOW)).toMatchObject({ epoch, suspicion: 1 });
    await store.closeEpoch(second);
    expect(await store.claimRun(epoch, "r", NOW)).toMatchObject({ epoch, suspicion: 1 });
  });

  test("a claim with many open epochs finds what is between and around them", async () => {
    const { store } = opened;
    const epochs = [opened.epoch];
    for (let i = 0; i < 8; i++) epochs.push(await store.openEpoch(NOW, "{}"));
    await store.commit([NOBODY, ...epochs].map((owner) => commitOf(`of${owner}`, 0, owner)));
    for (const closed of [epochs[0]!, epochs[3]!, epochs[4]!, epochs[8]!]) await store.closeEpoch(closed);
    const free = [NOBODY, epochs[0]!, epochs[3]!, epochs[4]!, epochs[8]!];
    expect(ids(await store.claim(epochs[5]!, KNOWN, NOW, NOW, 100))).toEqual(free.map((owner) => `of${owner}`).sort());
  });
}

function ownershipTests(opened: Opened): void {
  test("whether a ready run of a definition is nobody's is seen, suspects, too", async () => {
    const { store, epoch } = opened;
    await store.commit([
      commitOf("own", 0, epoch),
      commitOf("asleep", 0, NOBODY, { run: { wakeAt: NOW } }),
      commitOf("over", 0, NOBODY, { run: { finished: true } }),
      commitOf("other", 0, NOBODY, { run: { definition: "other" } }),
    ]);
    expect([await store.hasUnowned(["hash", "further"]), await store.hasUnowned(["other"]), await store.hasUnowned([])]).toEqual([false, true, false]);
    await store.claim(epoch, ["other"], NOW, NOW, 1);
    expect(await store.hasUnowned(["hash", "other"])).toBe(false);
    await store.release(epoch, ["other"]);
    expect(await store.readRun("other")).toMatchObject({ suspicion: 1, epoch: NOBODY });
    expect(await store.hasUnowned(["hash", "other"])).toBe(true);
  });

  test("a run that is released is nobody's; it is given by its owner only, while it is unfinished", async () => {
    const { store, epoch } = opened;
    const second = await store.openEpoch(NOW, "{}");
    const of = (id: string, owner: number, finished = false): Commit => commitOf(id, 0, owner, { run: { finished } });
    await store.commit([of("a", epoch), of("b", epoch), of("theirs", second), of("over", epoch, true)]);
    await store.release(epoch, ["a", "theirs", "over", "none"]);
    const owners = await Promise.all(["a", "b", "theirs", "over"].map(async (id) => (await store.readRun(id))?.epoch));
    expect(owners).toEqual([NOBODY, epoch, second, epoch]);
    expect(await store.commit([commitOf("a", 1, epoch), commitOf("b", 1, epoch)])).toEqual(["fenced", "committed"]);
    expect(ids(await store.claim(second, KNOWN, NOW, NOW, 10))).toEqual(["a"]);
    expect(await store.commit([commitOf("a", 1, second)])).toEqual(["committed"]);
  });
}

function reopenTests(opened: Opened): void {
  const row = (key: string): Commit["actors"][number] => ({ key, status: "completed", body: "{}", output: "1", checksum: 1 });

  test("an ended run that is reopened is unfinished and nobody's, with the rows of the commit that did it", async () => {
    const { store, epoch } = opened;
    await store.commit([commitOf("r", 0, epoch, { actors: [row("a"), row("b")] })]);
    await store.commit([commitOf("r", 1, epoch, { run: { finished: true, status: "failed" } })]);
    const again = commitOf("r", 2, epoch, { actors: [row("c")], gone: ["a"], eventIds: ["e"], answers: [{ number: 5, body: "done" }] });
    expect(await store.reopen(again)).toBe("committed");
    expect(await store.readRun("r")).toMatchObject({ status: "running", commitNo: 3, epoch: NOBODY, suspicion: 0, reason: null });
    expect((await store.readActors("r")).map(({ key, commitNo }) => [key, commitNo])).toEqual([
      ["b", 1],
      ["c", 3],
    ]);
    expect(await store.readHistory("r", 2, 10)).toMatchObject([{ commitNo: 3 }]);
    expect([await store.readEvent("r", "e"), (await store.readReplies([5]))[0]?.body]).toEqual([3, "done"]);
    expect(await store.listRuns({ unfinished: true, limit: 10 })).toMatchObject([{ id: "r" }]);
    expect(await store.endedStatuses("hash", 10)).toEqual([]);
    expect(await store.commit([commitOf("r", 3, epoch)])).toEqual(["fenced"]);
    expect(await store.claim(epoch, KNOWN, NOW, NOW, 10)).toMatchObject([{ id: "r", suspicion: 1 }]);
    expect(await store.commit([commitOf("r", 3, epoch)])).toEqual(["committed"]);
  });

  test("a run that is not as expected is not reopened", async () => {
    const { store, epoch } = opened;
    await store.commit([commitOf("over", 0, epoch, { run: { finished: true } }), commitOf("runs", 0, epoch)]);
    const late = { actors: [row("late")] };
    expect(await store.reopen(commitOf("runs", 1, epoch, late))).toBe("fenced");
    expect(await store.reopen(commitOf("over", 2, epoch, late))).toBe("fenced");
    expect(await store.reopen(commitOf("none", 1, epoch, late))).toBe("fenced");
    expect(await store.reopen(commitOf("over", 1, epoch))).toBe("committed");
    expect(await store.reopen(commitOf("over", 1, epoch, late))).toBe("fenced");
    expect([...(await store.readActors("over")), ...(await store.readActors("runs"))]).toEqual([]);
    expect(await store.readRun("runs")).toMatchObject({ commitNo: 1, epoch });
  });

  test("a quarantined run that is reopened has neither its reason nor its suspicion any more", async () => {
    const { store } = opened;
    await store.commit([commitOf("r", 0, opened.epoch)]);
    await opened.reopen();
    await opened.store.claim(opened.epoch, KNOWN, NOW, NOW, 1);
    await opened.store.quarantine(opened.epoch, "r", "damaged", NOW);
    expect(await opened.store.readRun("r")).toMatchObject({ suspicion: 1, reason: "damaged" });
    expect(await opened.store.reopen(commitOf("r", 1, opened.epoch, { run: { wakeAt: NOW + 5 } }))).toBe("committed");
    expect(await opened.store.readRun("r")).toMatchObject({ status: "running", suspicion: 0, reason: null, wakeAt: NOW + 5, epoch: NOBODY });
  });
}
