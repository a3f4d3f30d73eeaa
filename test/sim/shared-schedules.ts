/**
 * Several simulated workers with schedules, to which things happen, while the wall clock jumps. It watches each write of a
 * schedule: no instant is decided on twice, and no run is started beside an unfinished one where that is to be skipped. In
 * the end there is one run for every instant that has passed, where all are caught up with, and each run has ended. Runs
 * that are started for later begin when the clock has shown their instant, and not before.
 */
import { cronOf } from "../../src/cron.ts";
import { type Schedule, schedule } from "../../src/index.ts";
import type { ScheduleChange, Store } from "../../src/store/store.ts";
import { anyAgent, anyWorkflow } from "./machine-room.ts";
import { type Harm, SharedWorkers } from "./shared-workers.ts";

export interface SchedulePlot {
  readonly workers: number;
  readonly seed: number;
  readonly harms: readonly Harm[];
  readonly jumps: readonly { readonly atMs: number; readonly byMs: number }[];
  /** Planted bugs. */
  readonly wrap?: (store: Store) => Store;
}

/** Things happen until then. */
export const PLAY_MS = 40_000;
/** Who is away is back by then, and all that was started has ended. */
const REST_MS = 83_000;
/** So much later than the beginning these runs are to begin. */
const LATER_MS = [2_000, 9_500, 21_000, 38_000];

export async function playSchedules({ workers, seed, harms, jumps, wrap }: SchedulePlot): Promise<{ readonly runs: number; readonly skipped: number }> {
  const clock = (): SharedWorkers["clock"] => world.clock;
  /** The latest that the wall clock has shown before it was put back. */
  let shownAt = 0;
  const slowly = anyAgent("slowly", () => new Promise<string>((end) => clock().after(14_000, () => end("done"))));
  const slow = anyWorkflow("slow", (wf) => wf.node("only", slowly, {}).result);
  const quick = anyWorkflow(
    "quick",
    (wf) =>
      wf.node(
        "only",
        anyAgent("quickly", ({ startAt = 0 }) => {
          if (startAt > Math.max(shownAt, clock().now())) world.violations.push(`what was to begin at ${startAt} began before`);
          return "done";
        }),
        { startAt: wf.input.startAt },
      ).result,
  );
  const every = schedule({ name: "every", workflow: quick, cron: "*/10 * * * * *", input: {}, overlap: "allow", catchUp: "all" });
  const single = schedule({ name: "single", workflow: slow, cron: "*/6 * * * * *", input: {}, catchUp: "last" });
  const world = new SharedWorkers({ workers, seed, schedules: [every, single], workflows: () => [slow, quick], ...(wrap !== undefined && { wrap }) });
  watch(world);
  await cronOf("* * * * *", "UTC", "here");
  let ending = { runs: 0, skipped: 0 };
  await world.play(async () => {
    const begin = world.clock.now();
    world.harm(harms);
    for (const ms of LATER_MS) await world.client.pawl.start(quick, { id: `later-${ms}`, startAt: begin + ms, input: { startAt: begin + ms } });
    for (const { atMs, byMs } of jumps)
      world.clock.after(atMs, () => {
        shownAt = Math.max(shownAt, world.clock.now());
        world.clock.wallOffsetMs += byMs;
      });
    // who was to die at a write and wrote nothing since is let off
    world.clock.after(PLAY_MS, () => world.slots.forEach((slot) => (slot.crash = undefined)));
    await new Promise<void>((resolve) => world.clock.after(PLAY_MS + REST_MS, resolve));
    await compare(world, every, begin);
    const views = await world.client.pawl.schedules();
    ending = { runs: (await world.store.listRuns({ workflow: "slow", limit: 1_000 })).length, skipped: views.find(({ name }) => name === "single")!.skipped };
  });
  return ending;
}

/** Sees what reaches the store, whoever dies over it. */
function watch({ store, violations }: SharedWorkers): void {
  const write = store.writeSchedule.bind(store);
  store.writeSchedule = async (change: ScheduleChange) => {
    const there = (await store.listRuns({ limit: 1_000 })).map(({ id }) => id);
    const unfinished = await store.listRuns({ workflow: "slow", unfinished: true, limit: 10 });
    const outcome = await write(change);
    if (outcome !== "committed") return outcome;
    for (const { runId } of change.runs ?? []) {
      if (there.includes(runId)) violations.push(`${runId} was to be started a second time`);
      if (change.name === "single" && unfinished.length > 0) violations.push(`${runId} was started while ${unfinished[0]!.id} was unfinished`);
    }
    return outcome;
  };
}

async function compare({ store, clock, violations }: SharedWorkers, { name, cron, timeZone }: Schedule, begin: number): Promise<void> {
  const runs = new Map((await store.listRuns({ limit: 1_000 })).map((run) => [run.id, run]));
  for (const { id, status, createdAt, wakeAt } of runs.values())
    if (status !== "completed" && Math.max(createdAt, wakeAt ?? 0) < clock.now() - REST_MS / 2) violations.push(`${id} is ${status}`);
  const { nextAt } = (await store.readSchedules()).find((row) => row.name === name)!;
  const { next } = await cronOf(cron, timeZone, "here");
  if (nextAt! < clock.now()) violations.push(`${name} has not moved on`);
  for (let at = next(begin)!; at < nextAt!; at = next(at)!) {
    const id = `${name}-${new Date(at).toISOString().replace(/[-:]|\.000/g, "")}`;
    if (!runs.delete(id)) violations.push(`${id} was not started`);
  }
  for (const id of runs.keys()) if (id.startsWith(name)) violations.push(`${id} is no instant`);
}
