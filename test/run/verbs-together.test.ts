/**
 * Two who act on one run at once: one wins, the other is told what was done, or finds it done.
 */
import { expect, test } from "vitest";
import type { Run } from "../../src/run/handle.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { type SimProcess, replacing } from "../sim/process.ts";

// read from the disk while simulated time stands
for (const late of ["override-ended", "reopen"]) await import(`../../src/run/${late}.ts`);

const flow = anyWorkflow("flow", (wf) => wf.node("a", anyAgent("hangs", never), {}).result, { timeout: 10_000_000 });
type Verb = (run: Run<unknown>) => Promise<unknown>;
const who = { by: "ana" };

/** What takes up a cancelled run again, and how the history tells of it. */
const ENDED: Readonly<Record<string, readonly [Verb, string]>> = {
  resume: [(run) => run.resume(), "run.continued"],
  retry: [(run) => run.retry(), "run.retried"],
  override: [(run) => run.override("a", { result: 1 }, who), "node.overridden a by ana"],
};
const pairs = Object.keys(ENDED).flatMap((winner) => Object.keys(ENDED).map((loser) => [winner, loser] as const));

test.each(pairs)("of a cancelled run: a %s that is faster wins over a %s, which is told so", async (winner, loser) => {
  const room = new MachineRoom();
  const worker = await room.boot([flow]);
  await room.settled((await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }))).cancel());
  worker.kill();
  const first = Promise.withResolvers<void>();
  const fast = await room.boot([flow], { execute: false });
  // the slower one has read the run, and is about to write
  const held = { execute: false, wrap: (store: any) => replacing(store, { reopen: async (commit) => (await first.promise, store.reopen(commit)) }) };
  const slow = await room.boot([flow], held);
  const [one, two] = [await room.settled(fast.pawl.run("r")), await room.settled(slow.pawl.run("r"))];
  const second = ENDED[loser]![0](two).catch((error: unknown) => error);
  await room.clock.advance(1);
  await room.settled(ENDED[winner]![0](one));
  const { commitNo } = (await room.store.readRun("r"))!;
  first.resolve();
  const won = { commitNo, what: ENDED[winner]![1] };
  expect(await room.settled(second)).toMatchObject({ code: "PAWL_RUN_NOT_RETRYABLE", data: { status: "running", won } });
  expect((await room.store.readRun("r"))!.commitNo).toBe(commitNo);
});

/** What two say to a run that is under way, in the order in which it is heard: what becomes of each, and of the run. */
const UNDER_WAY: readonly (readonly [string, Verb, string, Verb, readonly unknown[], string])[] = [
  ["pause", (run) => run.pause(), "pause", (run) => run.pause(), ["done", "done"], "paused"],
  ["pause", (run) => run.pause(), "resume", (run) => run.resume(), ["done", "done"], "running"],
  ["resume", (run) => run.resume(), "pause", (run) => run.pause(), ["done", "done"], "paused"],
  ["pause", (run) => run.pause(), "cancel", (run) => run.cancel(), ["done", "done"], "cancelled"],
  ["cancel", (run) => run.cancel(), "pause", (run) => run.pause(), ["done", "PAWL_RUN_ENDED"], "cancelled"],
  ["cancel", (run) => run.cancel(), "resume", (run) => run.resume(), ["done", "PAWL_RUN_ENDED"], "cancelled"],
  ["cancel", (run) => run.cancel(), "cancel", (run) => run.cancel(), ["done", "done"], "cancelled"],
  ["cancel", (run) => run.cancel(), "terminate", (run) => run.cancel({ now: true }), ["done", "done"], "cancelled"],
  ["cancel", (run) => run.cancel(), "override", (run) => run.override("a", { result: 1 }), ["done", "PAWL_RUN_ENDED"], "cancelled"],
  ["override", (run) => run.override("a", { result: 1 }), "cancel", (run) => run.cancel(), ["done", "done"], "completed"],
  ["override", (run) => run.override("a", "fail"), "pause", (run) => run.pause(), ["done", "PAWL_RUN_ENDED"], "failed"],
  ["override", (run) => run.override("a", "skip"), "retry", (run) => run.retry(), ["done", "PAWL_RUN_NOT_RETRYABLE"], "completed"],
];

test.each(UNDER_WAY)("of a run that is under way: a %s is heard before a %s", async (_, first, __, second, outcomes, status) => {
  const room = new MachineRoom();
  const worker = await room.boot([flow]);
  await room.settled(worker.pawl.start(flow, { id: "r", input: 1 }));
  const clients: SimProcess[] = [await room.boot([flow], { execute: false }), await room.boot([flow], { execute: false })];
  const [one, two] = [await room.settled(clients[0]!.pawl.run("r")), await room.settled(clients[1]!.pawl.run("r"))];
  worker.stop();
  const asked = [told(first(one))];
  await room.clock.advance(1);
  asked.push(told(second(two)));
  await room.clock.advance(1);
  worker.goOn();
  expect(await room.settled(Promise.all(asked))).toEqual(outcomes);
  await room.clock.advance(200);
  expect((await one.status()).status).toBe(status);
});

const told = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (error: { code: string }) => error.code,
  );
