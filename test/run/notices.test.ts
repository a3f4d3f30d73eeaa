/**
 * Notices: whatever dies when, each that is due is told, in order for each run, and again only under the same id.
 */
import { expect, test } from "vitest";
import { setup } from "xstate";
import { z } from "zod";
import type { RunNotice } from "../../src/run/notice.ts";
import type { Startable } from "../../src/run/startable.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { type ProcessOptions, SimProcess } from "../sim/process.ts";

const ONCE = { retry: { maxAttempts: 1 } };
const HOUR_MS = 3_600_000;

const works = anyAgent("works", () => "done");
const breaks = anyAgent(
  "breaks",
  () => {
    throw new Error("it broke");
  },
  ONCE,
);
const stays = anyAgent("stays", never, ONCE);
const fails = anyWorkflow("fails", (wf) => {
  const before = wf.node("before", works, {});
  wf.node("bad", breaks, { before: before.result });
});
/** Its first node cannot be undone, and its second fails. */
const stuck = anyWorkflow("stuck", (wf) => {
  const first = wf.node("first", works, {}, { compensate: breaks });
  wf.node("second", breaks, { first: first.result }, { onFail: "compensate" });
});
const late = anyWorkflow("late", (wf) => void wf.node("slow", stays, {}, { timeout: HOUR_MS * 9 }), { timeout: 5_000 });
const fine = anyWorkflow("fine", (wf) => void wf.node("only", works, {}));
const broken = setup({}).createMachine({
  id: "broken",
  entry: () => {
    throw new Error("no entry");
  },
});
const ALL = [fails, stuck, late, fine, broken];

const told = (notices: readonly RunNotice[]): string[] => notices.map(({ runId, type }) => `${runId} ${type}`);

test("what ended badly is told, with its reason, and what ended well is not", async () => {
  const room = new MachineRoom();
  const heard: RunNotice[] = [];
  const process = await room.boot(ALL, { notify: (notice) => void heard.push(notice) });
  await playAll(room, process, [
    ["f", fails],
    ["s", stuck],
    ["l", late],
    ["ok", fine],
    ["m", broken],
  ]);
  expect(told(heard).sort()).toEqual(["f run.failed", "l run.timedOut", "m run.failed", "s run.compensationFailed", "s run.failed"]);
  const failed = heard.find(({ runId }) => runId === "f")!;
  const { commitNo } = await (await process.pawl.run("f")).status();
  expect(failed).toMatchObject({ id: `f:${commitNo}:run.failed`, workflow: "fails", commitNo, node: "bad", message: expect.stringContaining("it broke") });
  expect(heard.find(({ type }) => type === "run.compensationFailed")).toMatchObject({ workflow: "stuck", nodes: ["first"] });
  expect(told(heard).indexOf("s run.compensationFailed")).toBeLessThan(told(heard).indexOf("s run.failed"));
});

test("with a crash before and after every commit, and after every delivery, no notice is lost, and none changes its id", async () => {
  const runs = [
    ["f", fails],
    ["s", stuck],
  ] as const;
  /** A process that dies, and one that goes on; or one that does not die. */
  const play = async (fault: ProcessOptions["fault"], diesAfter = 0): Promise<{ heard: RunNotice[]; groups: number; lives: number }> => {
    const room = new MachineRoom();
    const heard: RunNotice[] = [];
    let process: SimProcess;
    const notify = (notice: RunNotice): void => {
      heard.push(notice);
      if (heard.length === diesAfter) process.kill();
    };
    process = new SimProcess({ clock: room.clock, store: room.store, seed: 1, workflows: ALL, notify, ...(fault !== undefined && { fault }) });
    const first = process;
    void first.boot().then(async () => {
      for (const [id, of] of runs) await first.pawl.start(of, { id, input: {} });
    });
    let isDone = false;
    const look = async (): Promise<void> => {
      const records = await Promise.all(runs.map(async ([id]) => (await room.store.readRun(id))?.status === "failed"));
      isDone = records.every(Boolean) && (await room.store.readNotices(0, 1)).length === 0;
      if (!isDone && first.isAlive) room.clock.after(500, () => void look());
    };
    await look();
    await room.clock.until(() => isDone || !first.isAlive);
    if (isDone) return { heard, groups: first.groups, lives: 1 };
    process = await room.boot(ALL, { notify });
    await playAll(room, process, runs);
    return { heard, groups: first.groups, lives: 2 };
  };
  const calm = await play(undefined);
  const expected = calm.heard.map(({ type, runId }) => `${runId} ${type}`).sort();
  expect(expected).toEqual(["f run.failed", "s run.compensationFailed", "s run.failed"]);
  let repeated = 0;
  const check = ({ heard, lives }: Awaited<ReturnType<typeof play>>): void => {
    expect(lives).toBe(2);
    const byId = new Map(heard.map((notice) => [notice.id, notice]));
    expect(told([...byId.values()]).sort()).toEqual(expected);
    expect([...byId.values()].every((first) => heard.every((other) => other.id !== first.id || JSON.stringify(other) === JSON.stringify(first)))).toBe(true);
    const ofStuck = [...byId.values()].filter(({ runId }) => runId === "s");
    expect(ofStuck.map(({ type }) => type)).toEqual(["run.compensationFailed", "run.failed"]);
    repeated += heard.length - byId.size;
  };
  for (let group = 1; group <= calm.groups; group++)
    for (const fault of ["crashBefore", "crashAfter"] as const) check(await play((now) => (now === group ? fault : undefined)));
  expect(repeated).toBe(0);
  for (let delivery = 1; delivery <= calm.heard.length; delivery++) check(await play(undefined, delivery));
  expect(repeated).toBe(calm.heard.length);
});

test("while the receiver is down for an hour no run waits, it is asked now and then, and then it is told all, in order", async () => {
  const room = new MachineRoom();
  const heard: RunNotice[] = [];
  const opensAt = room.clock.now() + HOUR_MS;
  let asked = 0;
  const process = await room.boot(ALL, {
    notify: (notice) => {
      asked++;
      if (room.clock.now() < opensAt) throw new Error("down");
      heard.push(notice);
    },
  });
  for (const id of ["a", "b", "c"]) await room.settled(process.pawl.start(stuck, { id, input: {} }));
  for (const id of ["a", "b", "c"]) await room.settled((await process.pawl.run(id)).result().catch(() => {}));
  expect(room.clock.now()).toBeLessThan(opensAt - HOUR_MS / 2);
  await room.clock.advance(opensAt - room.clock.now() - 1);
  expect(heard).toEqual([]);
  expect(asked).toBeGreaterThan(30);
  expect(asked).toBeLessThan(100);
  await emptied(room);
  for (const id of ["a", "b", "c"]) expect(told(heard.filter(({ runId }) => runId === id))).toEqual([`${id} run.compensationFailed`, `${id} run.failed`]);
  expect(heard).toHaveLength(6);
});

test("a notice that is never taken holds up its own run's alone, and is given up after 3 days", async () => {
  const room = new MachineRoom();
  const heard: RunNotice[] = [];
  const errors: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (_: object, message = "") => void errors.push(message) };
  const process = await room.boot(ALL, {
    log,
    notify: (notice) => {
      if (notice.id.startsWith("bad:") && notice.type === "run.compensationFailed") throw new Error("not this one");
      heard.push(notice);
    },
  });
  for (const id of ["bad", "good"]) await room.settled(process.pawl.start(stuck, { id, input: {} }));
  await room.clock.advance(60_000);
  expect(told(heard)).toEqual(["good run.compensationFailed", "good run.failed"]);
  await room.clock.advance(3 * 24 * HOUR_MS + HOUR_MS);
  expect(told(heard)).toEqual(["good run.compensationFailed", "good run.failed", "bad run.failed"]);
  expect(errors).toEqual(["a notice is given up: nobody has taken it for 3 days"]);
  expect(await room.store.readNotices(0, 1)).toEqual([]);
});

test("a receiver that does not answer is asked again, and holds up no run", async () => {
  const room = new MachineRoom();
  let asked = 0;
  const process = await room.boot(ALL, { notify: () => (++asked === 1 ? never() : undefined) });
  await room.settled(process.pawl.start(fails, { id: "f", input: {} }));
  await room.settled((await process.pawl.run("f")).result().catch(() => {}));
  const run = await room.settled(process.pawl.start(fine, { id: "ok", input: {} }));
  await room.settled(run.result());
  expect(asked).toBe(1);
  await emptied(room);
  expect(asked).toBe(2);
});

test("of several workers one delivers, whichever wrote the notice, and another when that one dies", async () => {
  const room = new MachineRoom();
  const heard: string[] = [];
  const boot = (name: string, workflows = ALL): Promise<SimProcess> => room.boot(workflows, { notify: ({ runId }) => void heard.push(`${name} ${runId}`) });
  const silent = await room.boot(ALL);
  await room.settled(silent.pawl.close());
  const first = await boot("first", [fine]);
  const second = await boot("second");
  await room.settled(second.pawl.start(fails, { id: "one", input: {} }));
  await room.settled((await second.pawl.run("one")).result().catch(() => {}));
  await emptied(room);
  expect(heard).toEqual(["first one"]);
  first.kill();
  await room.settled(second.pawl.start(fails, { id: "two", input: {} }));
  await room.settled((await second.pawl.run("two")).result().catch(() => {}));
  await emptied(room);
  expect(heard).toEqual(["first one", "second two"]);
});

test("what a closed worker has not told is told by the next", async () => {
  const room = new MachineRoom();
  const heard: string[] = [];
  const first = await room.boot(ALL, {
    notify: () => {
      throw new Error("down");
    },
  });
  await room.settled(first.pawl.start(fails, { id: "f", input: {} }));
  await room.settled((await first.pawl.run("f")).result().catch(() => {}));
  await room.settled(first.pawl.close());
  expect(await room.store.readNotices(0, 10)).toHaveLength(1);
  await room.boot(ALL, { notify: ({ id }) => void heard.push(id) });
  await emptied(room);
  expect(heard).toEqual([expect.stringMatching(/^f:\d+:run\.failed$/)]);
});

test("a run that is set aside is told, with the reason", async () => {
  const room = new MachineRoom();
  const first = await room.boot([late]);
  await room.settled(first.pawl.start(late, { id: "l", input: {} }));
  first.kill();
  room.store.tamper("l", ({ run }) => Object.assign(run, { body: "{" }));
  const heard: RunNotice[] = [];
  await room.boot([late], { notify: (notice) => void heard.push(notice) });
  await room.clock.until(() => heard.length > 0);
  const { commitNo } = (await room.store.readRun("l"))!;
  expect(heard).toEqual([
    {
      id: `l:${commitNo}:run.quarantined`,
      type: "run.quarantined",
      runId: "l",
      workflow: "late",
      commitNo,
      at: expect.any(Number),
      code: "PAWL_RUN_QUARANTINED",
      message: expect.stringContaining("PAWL_ROW_CORRUPT"),
    },
  ]);
});

test("a run that has work to do and commits nothing for `stallAfter` is told once; one that waits or is paused is not", async () => {
  const slow = anyWorkflow("slow", (wf) => void wf.node("slow", stays, {}, { timeout: HOUR_MS }), { timeout: HOUR_MS * 2 });
  const waits = anyWorkflow("waits", (wf) => void wf.event("reply", z.object({})));
  const parent = anyWorkflow("parent", (wf) => void wf.run("child", slow, {}, { timeout: HOUR_MS }), { timeout: HOUR_MS * 2 });
  const room = new MachineRoom();
  const heard: RunNotice[] = [];
  const process = await room.boot([slow, waits, parent], { notify: (notice) => void heard.push(notice), stallAfter: "10m" });
  for (const [id, of] of [
    ["slow", slow],
    ["paused", slow],
    ["waits", waits],
    ["parent", parent],
  ] as const)
    await room.settled(process.pawl.start(of, { id, input: {} }));
  await room.settled((await process.pawl.run("paused")).pause());
  await room.clock.advance(9 * 60_000);
  expect(heard).toEqual([]);
  await room.clock.advance(40 * 60_000);
  expect(told(heard).sort()).toEqual([expect.stringMatching(/^parent\/child.* run\.stalled$/), "slow run.stalled"]);
  const { commitNo } = (await room.store.readRun("slow"))!;
  expect(heard.find(({ runId }) => runId === "slow")).toMatchObject({
    id: `slow:${commitNo}:run.stalled`,
    message: expect.stringMatching(/nothing was committed for 6\d\d s/),
  });
});

test("notify is refused where nothing is executed, and stallAfter where nobody is told", async () => {
  const room = new MachineRoom();
  await expect(room.boot([], { execute: false, notify: () => {} })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
  await expect(room.boot([], { stallAfter: "1m" })).rejects.toMatchObject({ code: "PAWL_INVALID_VALUE" });
});

/** Starts what is not there yet, and waits until all runs have ended and all notices were taken. */
async function playAll(room: MachineRoom, process: SimProcess, runs: readonly (readonly [string, Startable])[]): Promise<void> {
  for (const [id, of] of runs) await room.settled(process.pawl.start(of, { id, input: {} }));
  for (const [id] of runs) await room.settled((await process.pawl.run(id)).result().catch(() => {}));
  await emptied(room);
}

async function emptied(room: MachineRoom): Promise<void> {
  for (let i = 0; i < 2_000 && (await room.store.readNotices(0, 1)).length > 0; i++) await room.clock.advance(1_000);
  expect(await room.store.readNotices(0, 1)).toEqual([]);
}
