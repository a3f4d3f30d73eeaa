/**
 * Schedules: each instant starts one run, missed ones are caught up with as it was said, and what is passed over is told.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { setup } from "xstate";
import { z } from "zod";
import { cronOf } from "../../src/cron.ts";
import { type Log, type Schedule, type ScheduleOptions, agent, open, schedule, workflow } from "../../src/index.ts";
import { readSchedule, scheduleChange } from "../../src/run/schedule-row.ts";
import { NOBODY, type ScheduleChange, type Store } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred } from "../sim/machine-room.ts";
import { type ProcessOptions, type SimProcess, replacing } from "../sim/process.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** When simulated time begins. */
const START = Date.parse("2023-11-14T22:13:20Z");

// loaded before simulated time begins: no time passes while it is
beforeAll(() => cronOf("* * * * *", "UTC", "here").then(() => {}));

const flow = anyWorkflow(
  "flow",
  (wf) =>
    wf.node(
      "only",
      anyAgent("agent", (input) => input),
      { n: wf.input.n },
    ).result,
);

function hourly(changes: Partial<ScheduleOptions<typeof flow>> = {}): Schedule {
  return schedule({ name: "hourly", workflow: flow, input: { n: 1 }, cron: "0 * * * *", ...changes });
}

class ScheduleRoom extends MachineRoom {
  readonly logged: string[] = [];

  /** A process with these schedules. */
  serve(schedules: readonly Schedule[], options: Partial<ProcessOptions> = {}): Promise<SimProcess> {
    const line = (_: object, text: string): void => void this.logged.push(text);
    return this.boot([], { schedules, log: { debug: () => {}, info: line, warn: line, error: line } satisfies Log, ...options });
  }

  /** The ids of all runs, oldest first. */
  async ids(): Promise<string[]> {
    const runs = await this.store.listRuns({ limit: 1_000 });
    return runs.map(({ id }) => id).sort();
  }

  /** It is this instant, and what is due then is done. */
  async until(text: string): Promise<void> {
    await this.clock.advance(Date.parse(text) - this.clock.now());
    await this.clock.settle();
  }
}

describe("a schedule that is served", () => {
  test("starts a run at each instant, with its input, and tells of the last and the next", async () => {
    const room = new ScheduleRoom();
    const { pawl } = await room.serve([hourly()]);
    const first = { name: "hourly", workflow: "flow", cron: "0 * * * *", timeZone: "UTC", overlap: "skip", catchUp: "last", isServed: true };
    const none = { lastAt: null, lastRunId: null, skipped: 0, skippedAt: null };
    expect(await room.settled(pawl.schedules())).toEqual([{ ...first, ...none, nextAt: Date.parse("2023-11-14T23:00:00Z") }]);
    await room.until("2023-11-14T22:59:59.999Z");
    expect(await room.ids()).toEqual([]);
    await room.until("2023-11-15T01:00:00Z");
    expect(await room.ids()).toEqual(["hourly-20231114T230000Z", "hourly-20231115T000000Z", "hourly-20231115T010000Z"]);
    const last = await room.settled(pawl.run("hourly-20231115T010000Z"));
    expect(await room.settled(last.result())).toEqual({ n: 1 });
    expect(await room.settled(last.status())).toMatchObject({ createdAt: Date.parse("2023-11-15T01:00:00Z"), tags: ["schedule:hourly"] });
    const at = Date.parse("2023-11-15T01:00:00Z");
    expect(await room.settled(pawl.schedules())).toEqual([{ ...first, ...none, nextAt: at + HOUR, lastAt: at, lastRunId: last.id }]);
  });

  test("starts machines, too, and several schedules each at its own instants", async () => {
    const room = new ScheduleRoom();
    const machine = setup({}).createMachine({ id: "tick", initial: "done", states: { done: { type: "final" } } });
    await room.serve([hourly({ cron: "30 * * * *" }), schedule({ name: "tick", workflow: machine, cron: "*/20 * * * * *" })]);
    await room.until("2023-11-14T22:14:00Z");
    expect(await room.ids()).toEqual(["tick-20231114T221340Z", "tick-20231114T221400Z"]);
    await room.until("2023-11-14T22:30:00Z");
    expect((await room.ids()).filter((id) => id.startsWith("hourly"))).toEqual(["hourly-20231114T223000Z"]);
    expect(await room.ids()).toHaveLength(51);
  });

  test("is written once by two that begin at once, and starts each instant once", async () => {
    const room = new ScheduleRoom();
    // three workers that look ten times a second make an hour long
    const often = { cron: "*/10 * * * *" };
    await room.settled(Promise.all([room.serve([hourly(often)]), room.serve([hourly(often)]), room.serve([hourly(often)])]));
    await room.until("2023-11-14T22:45:00Z");
    expect(await room.ids()).toHaveLength(3);
    expect(await room.store.readSchedules()).toMatchObject([{ revision: 4 }]);
  });

  test("begins in a time zone with the night in which the clocks are put back, and forward", async () => {
    for (const [begin, end, expected] of [
      ["2026-10-25T00:00:00Z", "2026-10-26T02:00:00Z", ["20261025T003000Z", "20261026T013000Z"]],
      ["2026-03-29T00:00:00Z", "2026-03-30T01:00:00Z", ["20260329T010000Z", "20260330T003000Z"]],
    ] as const) {
      const room = new ScheduleRoom();
      room.clock.wallOffsetMs = Date.parse(begin);
      await room.serve([hourly({ cron: "30 2 * * *", timeZone: "Europe/Berlin" })]);
      await room.until(end);
      expect(await room.ids()).toEqual(expected.map((instant) => `hourly-${instant}`));
    }
  });

  test("leaves a run alone whose id is that of the instant, and goes on", async () => {
    const room = new ScheduleRoom();
    const { pawl } = await room.serve([hourly()]);
    await room.settled(pawl.start(flow, { id: "hourly-20231114T230000Z", input: { n: 7 } }));
    await room.until("2023-11-15T00:00:00Z");
    expect(await room.settled((await room.settled(pawl.run("hourly-20231114T230000Z"))).result())).toEqual({ n: 7 });
    expect(await room.ids()).toHaveLength(2);
  });

  test("starts a run at the instant that is written, also when its expression has another one since", async () => {
    const room = new ScheduleRoom();
    (await room.serve([hourly()])).kill();
    const row = readSchedule((await room.store.readSchedules())[0]!)!;
    // as if the rules of the time zone had been others when it was written
    await room.store.writeSchedule(scheduleChange("hourly", row.revision, Date.parse("2023-11-14T22:30:00Z"), row));
    await room.serve([hourly()]);
    await room.until("2023-11-14T23:00:00Z");
    expect(await room.ids()).toEqual(["hourly-20231114T223000Z", "hourly-20231114T230000Z"]);
  });

  test("starts its run while the worker has more to do than it takes into memory; it comes when there is room", async () => {
    const room = new ScheduleRoom();
    const gate = deferred<void>();
    const gated = anyWorkflow(
      "gated",
      (wf) =>
        wf.node(
          "only",
          anyAgent("agent", () => gate.promise, { timeout: "10h" }),
          {},
        ).result,
      { timeout: 36_000_000 },
    );
    const { pawl } = await room.serve([hourly()], { workflows: [gated], maxConcurrentAttempts: 1 });
    const client = await room.boot([], { execute: false });
    for (let i = 0; i < 150; i++) await room.settled(client.pawl.start(gated, { id: `g-${i}`, input: {} }));
    await room.until("2023-11-14T23:00:00Z");
    const run = await room.settled(pawl.run("hourly-20231114T230000Z"));
    expect(await room.settled(run.status())).toMatchObject({ status: "pending", epoch: NOBODY });
    gate.resolve();
    expect(await room.settled(run.result())).toEqual({ n: 1 });
  });

  test("has no next instant when its expression has none", async () => {
    const room = new ScheduleRoom();
    const { pawl } = await room.serve([hourly({ cron: "0 0 30 2 *" })]);
    await room.clock.advance(3 * HOUR);
    expect(await room.settled(pawl.schedules())).toMatchObject([{ nextAt: null, isServed: true }]);
  });
});

describe("instants that passed while nobody was there:", () => {
  /** Serves it, is away from 22:13 to 02:30 the next day, and serves it again. */
  async function away(changes: Partial<ScheduleOptions<typeof flow>>, awayMs = 4 * HOUR + 17 * MINUTE): Promise<ScheduleRoom> {
    const room = new ScheduleRoom();
    (await room.serve([hourly(changes)])).kill();
    await room.clock.advance(awayMs);
    await room.serve([hourly(changes)]);
    await room.clock.settle();
    return room;
  }

  test("the last one starts a run, by default", async () => {
    const room = await away({});
    expect(await room.ids()).toEqual(["hourly-20231115T020000Z"]);
    expect(room.logged).toContain("4 instants passed; 1 of them are caught up with");
  });

  test("each starts a run with 'all'; with overlap 'skip' those that would be beside another are passed over", async () => {
    expect(await (await away({ catchUp: "all", overlap: "allow" })).ids()).toEqual([
      "hourly-20231114T230000Z",
      "hourly-20231115T000000Z",
      "hourly-20231115T010000Z",
      "hourly-20231115T020000Z",
    ]);
    const room = await away({ catchUp: "all" });
    expect(await room.ids()).toEqual(["hourly-20231114T230000Z"]);
    const { pawl } = await room.boot([], { execute: false });
    expect(await room.settled(pawl.schedules())).toMatchObject([{ skipped: 3, skippedAt: Date.parse("2023-11-15T02:00:00Z") }]);
  });

  test("of more than 100 the last 100 are caught up with, which is logged", async () => {
    const room = await away({ catchUp: "all", overlap: "allow", cron: "* * * * *" });
    const ids = await room.ids();
    expect(ids).toHaveLength(100);
    expect([ids[0], ids.at(-1)]).toEqual(["hourly-20231115T005100Z", "hourly-20231115T023000Z"]);
    expect(room.logged).toContain("more than 100 instants passed; 100 of them are caught up with");
  });

  test("none starts one with 'none', but for one that is no more than a minute ago", async () => {
    expect(await (await away({ catchUp: "none" })).ids()).toEqual([]);
    const upTo = (text: string): number => Date.parse(text) - START;
    expect(await (await away({ catchUp: "none" }, upTo("2023-11-15T02:01:00Z"))).ids()).toEqual(["hourly-20231115T020000Z"]);
    expect(await (await away({ catchUp: "none" }, upTo("2023-11-15T02:01:00.001Z"))).ids()).toEqual([]);
  });

  test("of those that are caught up with each goes on to the next instant as usual", async () => {
    const room = await away({ catchUp: "none" });
    await room.until("2023-11-15T03:00:00Z");
    expect(await room.ids()).toEqual(["hourly-20231115T030000Z"]);
  });
});

describe("while the former run is unfinished", () => {
  async function held(overlap: "skip" | "allow") {
    const room = new ScheduleRoom();
    const gate = deferred<void>();
    const gated = anyWorkflow(
      "gated",
      (wf) =>
        wf.node(
          "only",
          anyAgent("agent", () => gate.promise, { timeout: "10h" }),
          {},
        ).result,
      { timeout: 36_000_000 },
    );
    const { pawl } = await room.serve([schedule({ name: "hourly", workflow: gated, cron: "0 * * * *", overlap })]);
    await room.until("2023-11-15T01:30:00Z");
    return { room, gate, pawl };
  }

  test("instants are passed over and counted, until it has ended", async () => {
    const { room, gate, pawl } = await held("skip");
    expect(await room.ids()).toEqual(["hourly-20231114T230000Z"]);
    expect(await room.settled(pawl.schedules())).toMatchObject([
      { skipped: 2, skippedAt: Date.parse("2023-11-15T01:00:00Z"), lastRunId: "hourly-20231114T230000Z", nextAt: Date.parse("2023-11-15T02:00:00Z") },
    ]);
    expect(room.logged.filter((text) => text.includes("passed over"))).toHaveLength(2);
    gate.resolve();
    await room.until("2023-11-15T02:00:00Z");
    expect(await room.ids()).toEqual(["hourly-20231114T230000Z", "hourly-20231115T020000Z"]);
    expect(await room.settled(pawl.schedules())).toMatchObject([{ skipped: 2, lastRunId: "hourly-20231115T020000Z" }]);
  });

  test("runs start beside it with overlap 'allow'", async () => {
    const { room, pawl } = await held("allow");
    expect(await room.ids()).toHaveLength(3);
    expect(await room.settled(pawl.schedules())).toMatchObject([{ skipped: 0, skippedAt: null }]);
  });
});

describe("a schedule that is given otherwise", () => {
  test("has its next instant from now on, when its expression or zone is another", async () => {
    const room = new ScheduleRoom();
    (await room.serve([hourly()])).kill();
    await room.clock.advance(3 * HOUR);
    const { pawl } = await room.serve([hourly({ cron: "30 * * * *" })]);
    await room.clock.settle();
    expect(await room.settled(pawl.schedules())).toMatchObject([{ cron: "30 * * * *", nextAt: Date.parse("2023-11-15T01:30:00Z") }]);
    await room.serve([hourly({ cron: "30 * * * *", timeZone: "Asia/Kolkata" })]);
    expect(await room.settled(pawl.schedules())).toMatchObject([{ timeZone: "Asia/Kolkata", nextAt: Date.parse("2023-11-15T02:00:00Z") }]);
    expect(await room.ids()).toEqual([]);
  });

  test("keeps its next instant and its last run, when only its input or workflow is another", async () => {
    const room = new ScheduleRoom();
    const worker = await room.serve([hourly()]);
    await room.until("2023-11-14T23:30:00Z");
    worker.kill();
    await room.clock.advance(HOUR);
    await room.serve([hourly({ input: { n: 2 } })]);
    await room.clock.settle();
    const client = await room.boot([], { execute: false });
    expect(await room.ids()).toEqual(["hourly-20231114T230000Z", "hourly-20231115T000000Z"]);
    expect(await room.settled((await room.settled(client.pawl.run("hourly-20231115T000000Z"))).result())).toEqual({ n: 2 });
  });

  test("is as the worker has it that opened last, until that one is gone; then it is as the other has it", async () => {
    const room = new ScheduleRoom();
    await room.serve([hourly()]);
    const young = await room.serve([hourly({ cron: "15 * * * *" })]);
    const client = await room.boot([], { execute: false });
    await room.until("2023-11-14T23:20:00Z");
    expect(await room.ids()).toEqual(["hourly-20231114T221500Z", "hourly-20231114T231500Z"]);
    expect(await room.settled(client.pawl.schedules())).toMatchObject([{ cron: "15 * * * *", isServed: true }]);
    young.kill();
    await room.clock.advance(31_000);
    expect(await room.settled(client.pawl.schedules())).toMatchObject([{ cron: "0 * * * *", isServed: true, lastRunId: "hourly-20231114T231500Z" }]);
    await room.until("2023-11-15T00:20:00Z");
    expect(await room.ids()).toEqual(["hourly-20231114T221500Z", "hourly-20231114T231500Z", "hourly-20231115T000000Z"]);
  });

  test("by nobody stays, is shown as not served, and starts nothing", async () => {
    const room = new ScheduleRoom();
    (await room.serve([hourly()])).kill();
    const { pawl } = await room.boot([flow]);
    await room.clock.advance(3 * HOUR);
    expect(await room.settled(pawl.schedules())).toMatchObject([{ name: "hourly", isServed: false, nextAt: Date.parse("2023-11-14T23:00:00Z") }]);
    expect(await room.ids()).toEqual([]);
  });
});

describe("when the wall clock jumps", () => {
  test("forward, it is caught up with within half a minute", async () => {
    const room = new ScheduleRoom();
    await room.serve([hourly()]);
    room.clock.wallOffsetMs += 5 * HOUR;
    await room.clock.advance(30_000);
    await room.clock.settle();
    expect(await room.ids()).toEqual(["hourly-20231115T030000Z"]);
  });

  test("back, no instant comes a second time, also when it is given otherwise meanwhile", async () => {
    const room = new ScheduleRoom();
    const worker = await room.serve([hourly()]);
    await room.until("2023-11-15T01:00:00Z");
    room.clock.wallOffsetMs -= 2 * HOUR;
    await room.clock.advance(HOUR);
    expect(await room.ids()).toHaveLength(3);
    worker.kill();
    for (const run of await room.store.listRuns({ limit: 5 })) await room.store.discard({ status: run.status, endedBefore: Infinity }, 10);
    await room.serve([hourly({ cron: "0 * * * *", timeZone: "Etc/UTC" })]);
    await room.until("2023-11-15T01:59:59Z");
    expect(await room.ids()).toEqual([]);
    await room.until("2023-11-15T02:00:00Z");
    expect(await room.ids()).toEqual(["hourly-20231115T020000Z"]);
  });
});

describe("what people ask of a schedule", () => {
  test("a run now counts as its last one; any process may ask for it", async () => {
    const room = new ScheduleRoom();
    await room.serve([hourly()]);
    const { pawl } = await room.boot([], { execute: false });
    const run = await room.settled(pawl.runSchedule("hourly"));
    expect(run.id).toMatch(/^hourly-20231114-221320-/);
    expect(await room.settled(run.result())).toEqual({ n: 1 });
    expect(await room.settled(pawl.schedules())).toMatchObject([{ lastAt: null, lastRunId: run.id, nextAt: Date.parse("2023-11-14T23:00:00Z") }]);
    expect(await room.settled(pawl.list({ tag: "schedule:hourly" }))).toMatchObject([{ id: run.id }]);
  });

  test("a name that there is not is told, with the nearest", async () => {
    const room = new ScheduleRoom();
    const { pawl } = await room.serve([hourly()]);
    await expect(room.settled(pawl.runSchedule("hourli"))).rejects.toThrow(
      expect.objectContaining({ code: "PAWL_SCHEDULE_NOT_FOUND", message: 'there is no schedule "hourli"; did you mean "hourly"?' }),
    );
  });

  test("a change that somebody else makes at the same moment loses neither", async () => {
    const room = new ScheduleRoom();
    const { pawl } = await room.serve([hourly()]);
    const clients = await Promise.all([1, 2, 3].map(() => room.boot([], { execute: false, seed: Math.random() * 1e9 })));
    const runs = await room.settled(Promise.all(clients.map((client) => client.pawl.runSchedule("hourly"))));
    expect(await room.ids()).toEqual(runs.map(({ id }) => id).sort());
    expect(await room.settled(pawl.schedules())).toMatchObject([{ nextAt: Date.parse("2023-11-14T23:00:00Z") }]);
  });
});

describe("when the store has trouble", () => {
  test("a damaged row is begun anew by a worker that was given the schedule, and used by nobody before", async () => {
    const room = new ScheduleRoom();
    (await room.serve([hourly()])).kill();
    const [row] = await room.store.readSchedules();
    await room.store.writeSchedule({ ...row!, from: row!.revision, nextAt: 5 });
    const { pawl } = await room.boot([], { execute: false });
    expect(await room.settled(pawl.schedules())).toEqual([]);
    await expect(room.settled(pawl.runSchedule("hourly"))).rejects.toThrow(expect.objectContaining({ code: "PAWL_ROW_CORRUPT" }));
    await room.serve([hourly()]);
    expect(room.logged).toContain("the row of a schedule is damaged; it begins anew");
    expect(await room.settled(pawl.schedules())).toMatchObject([{ nextAt: Date.parse("2023-11-14T23:00:00Z") }]);
  });

  test("a full disk, a failure that passes and an answer that got lost lose no instant", async () => {
    for (const trouble of ["full", "fails", "unknownApplied", "unknownLost"]) {
      const room = new ScheduleRoom();
      let writes = 0;
      const wrap = (store: Store): Store =>
        replacing(store, {
          writeSchedule: async (change: ScheduleChange) => {
            if (++writes !== 2) return store.writeSchedule(change);
            if (trouble === "fails") throw new Error("for a moment");
            if (trouble === "unknownApplied") await store.writeSchedule(change);
            return trouble === "full" ? "full" : "unknown";
          },
        });
      await room.serve([hourly()], { wrap });
      await room.until("2023-11-15T00:01:00Z");
      expect(await room.ids(), trouble).toEqual(["hourly-20231114T230000Z", "hourly-20231115T000000Z"]);
    }
  });

  test("who asks is told of a full disk, and of an answer that got lost", async () => {
    for (const [outcome, code] of [
      ["full", "PAWL_STORE_FULL"],
      ["unknown", "PAWL_OUTCOME_UNKNOWN"],
    ] as const) {
      const room = new ScheduleRoom();
      await room.serve([hourly()]);
      const { pawl } = await room.boot([], { execute: false, wrap: (store) => replacing(store, { writeSchedule: async () => outcome }) });
      await expect(room.settled(pawl.runSchedule("hourly"))).rejects.toThrow(expect.objectContaining({ code }));
    }
  });

  test("a worker that is closing starts nothing more; the other does", async () => {
    const room = new ScheduleRoom();
    const worker = await room.serve([hourly()]);
    const gate = deferred<void>();
    const slow = anyWorkflow(
      "slow",
      (wf) =>
        wf.node(
          "only",
          anyAgent("agent", () => gate.promise, { timeout: "10h" }),
          {},
        ).result,
      { timeout: 36_000_000 },
    );
    await room.settled(worker.pawl.start(slow, { id: "slow", input: {} }));
    await room.clock.settle();
    const closed = worker.pawl.close({ graceMs: 2 * HOUR });
    await room.until("2023-11-14T23:30:00Z");
    expect(await room.ids()).toEqual(["slow"]);
    gate.resolve();
    await room.settled(closed);
    await room.serve([hourly()]);
    await room.clock.settle();
    expect(await room.ids()).toEqual(["hourly-20231114T230000Z", "slow"]);
  });
});

test("a worker that is closed while it looks starts nothing more", async () => {
  const room = new ScheduleRoom();
  let gate: ReturnType<typeof deferred<void>> | undefined;
  const wrap = (store: Store): Store =>
    replacing(store, {
      readSchedules: async () => {
        const rows = await store.readSchedules();
        await gate?.promise;
        return rows;
      },
    });
  const worker = await room.serve([hourly()], { wrap });
  const never = anyWorkflow(
    "never",
    (wf) =>
      wf.node(
        "only",
        anyAgent("agent", () => new Promise(() => {}), { timeout: "10h" }),
        {},
      ).result,
    { timeout: 36_000_000 },
  );
  await room.settled(worker.pawl.start(never, { id: "never", input: {} }));
  gate = deferred<void>();
  await room.clock.advance(30_001);
  void worker.pawl.close({ graceMs: 2 * HOUR });
  gate.resolve();
  await room.until("2023-11-14T23:20:00Z");
  expect(await room.ids()).toEqual(["never"]);
});

describe("what cannot be a schedule is refused:", () => {
  const input = { n: 1 };
  test.each<[string, () => unknown, string]>([
    ["a name that no run could have", () => hourly({ name: "a b" }), "PAWL_INVALID_ID"],
    ["a name that leaves no room for the instant", () => hourly({ name: "a".repeat(101) }), "PAWL_INVALID_VALUE"],
    ["a time zone that is none", () => hourly({ timeZone: "Mars/Olympus" }), "PAWL_INVALID_VALUE"],
    ["an overlap that is none", () => hourly({ overlap: "queue" as "skip" }), "PAWL_INVALID_VALUE"],
    ["a catchUp that is none", () => hourly({ catchUp: "some" as "all" }), "PAWL_INVALID_VALUE"],
  ])("%s", (_, make, code) => {
    expect(make).toThrow(expect.objectContaining({ code }));
  });

  const strict = workflow(
    { name: "strict", input: z.object({ n: z.number() }) },
    (wf) =>
      wf.node(
        "only",
        anyAgent("agent", () => 1),
        { n: wf.input.n },
      ).result,
  );
  test.each<[string, readonly Schedule[], boolean, string]>([
    ["an expression that is none", [hourly({ cron: "every hour" })], true, "PAWL_INVALID_VALUE"],
    [
      "an input that does not fit",
      [schedule({ name: "s", workflow: strict, cron: "* * * * *", input: { n: "1" as unknown as number } })],
      true,
      "PAWL_INPUT_INVALID",
    ],
    ["two of one name", [hourly(), hourly({ input })], true, "PAWL_DUPLICATE_ID"],
    ["schedules of a process that executes nothing", [hourly()], false, "PAWL_INVALID_VALUE"],
  ])("%s, by open", async (_, schedules, execute, code) => {
    const room = new ScheduleRoom();
    await expect(room.serve(schedules, { execute })).rejects.toThrow(expect.objectContaining({ code }));
    expect(await room.store.readSchedules()).toEqual([]);
  });
});

test("types: a schedule takes what its workflow takes; a process is opened with any", () => {
  const typed = workflow({ name: "typed", input: z.object({ n: z.number() }) }, () => 1);
  const machine = setup({ types: { input: {} as { who: string } } }).createMachine({});
  const made: () => Schedule[] = () => [
    schedule({ name: "s", workflow: typed, cron: "* * * * *", input: { n: 1 } }),
    schedule({ name: "s", workflow: setup({}).createMachine({}), cron: "* * * * *" }),
    schedule({ name: "s", workflow: machine, cron: "* * * * *", input: { who: "ada" } }),
    // @ts-expect-error its workflow takes a number
    schedule({ name: "s", workflow: typed, cron: "* * * * *", input: { n: "1" } }),
    // @ts-expect-error its workflow takes something
    schedule({ name: "s", workflow: typed, cron: "* * * * *" }),
    // @ts-expect-error its machine takes something else
    schedule({ name: "s", workflow: machine, cron: "* * * * *", input: { n: 1 } }),
    // @ts-expect-error there is no such policy
    schedule({ name: "s", workflow: typed, cron: "* * * * *", input: { n: 1 }, overlap: "queue" }),
  ];
  expect(made).toBeTypeOf("function");
});

test("a schedule with seconds runs on the real clock and an SQLite file", async () => {
  const { path } = temporaryFolder();
  const now = agent({ name: "now", input: z.any(), output: z.string(), run: async () => "done" });
  const quick = workflow({ name: "quick", input: z.object({}) }, (wf) => wf.node("only", now, {}).result);
  const ended = deferred<string>();
  await using pawl = await open(`${path}/pawl.db`, { schedules: [schedule({ name: "quick", workflow: quick, input: {}, cron: "* * * * * *" })] });
  pawl.subscribe(({ runId, isEnd }) => isEnd && ended.resolve(runId));
  const runId = await ended.promise;
  expect(await (await pawl.run(runId, quick)).result()).toBe("done");
  expect(await pawl.schedules()).toMatchObject([{ name: "quick", isServed: true }]);
});
