/**
 * Bugs that users of other engines met, each as a test with the name: one run, and two who take it for theirs.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { assign, fromPromise, setup } from "xstate";
import type { Startable } from "../../src/run/startable.ts";
import type { Outcome, Store } from "../../src/store/store.ts";
import { cases } from "../sim/cases.ts";
import { MachineRoom, anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { SimProcess } from "../sim/process.ts";

/** Each call of the store, and each answer, comes when the scheduler says so. */
function scheduled(store: Store, scheduler: fc.Scheduler, who: string): Store {
  return new Proxy(store, {
    get: (inner, method: keyof Store) => {
      const call = inner[method] as (...values: unknown[]) => Promise<unknown>;
      if (method === "watch" || method === "close") return call;
      return async (...values: unknown[]) => {
        await scheduler.schedule(Promise.resolve(), `${who} ${method}`);
        const answer = await call.apply(inner, values);
        await scheduler.schedule(Promise.resolve(), `${who} ${method} answered`);
        return answer;
      };
    },
  });
}

/** Calls of the store come in the scheduler's order; time passes when none is left. */
async function play(room: MachineRoom, scheduler: fc.Scheduler, isOver: () => boolean, step?: (steps: number) => void): Promise<void> {
  for (let steps = 0; !isOver(); steps++) {
    if (steps > 20_000) throw new Error("it does not end");
    step?.(steps);
    await room.clock.settle();
    if (scheduler.count() > 0) await scheduler.waitNext(1);
    else await room.clock.advance(50);
  }
}

const process = (room: MachineRoom, scheduler: fc.Scheduler, who: string, flows: readonly Startable[]): SimProcess =>
  new SimProcess({ clock: room.clock, store: room.store, seed: 1, workflows: flows, wrap: (store) => scheduled(store, scheduler, who) });

test("F2, dbos-transact-py#742: two that recover at the same time both execute a run", async () => {
  const { numRuns, ...parameters } = cases({ short: 60, long: 3_000 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 6 }), async (scheduler, runs) => {
      const room = new MachineRoom();
      const calls = new Map<string, string>();
      let twice = "";
      let isUp = false;
      const flowOf = (who: string) =>
        anyWorkflow("flow", (wf) => {
          const counted = anyAgent("counted", async (_, { runId, nodeId }) => {
            if (!isUp) return never();
            const call = `${runId}/${nodeId}`;
            if (calls.has(call)) twice = `${call} by ${calls.get(call)} and ${who}`;
            calls.set(call, who);
            return who;
          });
          return wf.node("b", counted, wf.node("a", counted, {}).result).result;
        });
      const dead = await room.boot([flowOf("dead")]);
      for (let i = 0; i < runs; i++) await room.settled(dead.pawl.start(flowOf("dead"), { id: `r${i}`, input: 1 }));
      await room.clock.advance(10);
      dead.kill();
      isUp = true;
      for (const who of ["left", "right"]) void process(room, scheduler, who, [flowOf(who)]).boot();
      let unfinished = runs;
      await play(room, scheduler, () => {
        void room.store.listRuns({ unfinished: true, limit: 10 }).then((left) => (unfinished = left.length));
        return unfinished === 0 || twice !== "";
      });
      expect(twice).toBe("");
      expect(calls.size).toBe(2 * runs);
    }),
    { numRuns, ...parameters },
  );
}, 300_000);

test("F5, dbos-transact-ts#1205: two recoveries of a run that was sent something disagree, and the result is not what is stored", async () => {
  const machine = setup({
    types: {
      context: {} as { message: string; echoed: string },
      events: {} as { type: "MESSAGE"; text: string },
      output: {} as { message: string; echoed: string },
    },
    actors: { echo: fromPromise<string, string>(async ({ input }) => input) },
  }).createMachine({
    id: "listener",
    context: { message: "", echoed: "" },
    initial: "listening",
    states: {
      listening: { on: { MESSAGE: { target: "echoing", actions: assign({ message: ({ event }) => event.text }) } } },
      echoing: {
        invoke: { src: "echo", input: ({ context }) => context.message, onDone: { target: "done", actions: assign({ echoed: ({ event }) => event.output }) } },
      },
      done: { type: "final" },
    },
    output: ({ context }) => context,
  });
  const { numRuns, ...parameters } = cases({ short: 60, long: 3_000 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.option(fc.nat(120), { nil: undefined }), async (scheduler, killedAt) => {
      const room = new MachineRoom();
      const dead = await room.boot([machine]);
      await room.settled(dead.pawl.start(machine, { id: "r" }));
      dead.kill();
      const client = await room.boot([machine], { execute: false });
      for (const tries of [1, 2])
        await expect(room.settled(client.pawl.send("r", { type: "MESSAGE", text: "testmsg" }, { eventId: "message" })), `${tries}`).rejects.toMatchObject({
          code: "PAWL_SEND_PENDING",
        });
      const both = ["left", "right"].map((who) => process(room, scheduler, who, [machine]));
      for (const one of both) void one.boot();
      let status = "";
      const look = (): boolean => {
        void room.store.readRun("r").then((run) => (status = run!.status));
        return status === "completed";
      };
      await play(room, scheduler, look, (steps) => (steps === killedAt ? both[0]!.kill() : undefined));
      const run = await client.pawl.run("r", machine);
      const output = { message: "testmsg", echoed: "testmsg" };
      expect(await room.settled(run.result())).toEqual(output);
      expect((await run.snapshot()).output).toEqual(output);
      const told = (await Array.fromAsync(run.history())).filter(({ events }) => events.some(({ event }) => event === "MESSAGE"));
      expect(told.map(({ commitNo }) => commitNo)).toEqual([await run.outcome("message")]);
    }),
    { numRuns, ...parameters },
  );
}, 300_000);

test("F21, bull#308: a worker whose lock expired while it worked completes the job a second time", async () => {
  const room = new MachineRoom();
  const outcomes: Outcome[] = [];
  const calls: string[] = [];
  const flowOf = (who: string) =>
    anyWorkflow("flow", (wf) => {
      const slow = anyAgent("slow", () => {
        calls.push(who);
        return new Promise((resolve) => room.clock.after(3_000, () => resolve(who)));
      });
      return wf.node("n", slow, {}).result;
    });
  const stalled: SimProcess = await room.boot([flowOf("stalled")], {
    fault: (_, commits) => {
      if (commits.some(({ run }) => run.finished) && calls.length === 1) stalled.stop();
      return undefined;
    },
    onApplied: (_, answers) => void outcomes.push(...answers),
  });
  const other = await room.boot([flowOf("other")]);
  await room.settled(stalled.pawl.start(flowOf("stalled"), { id: "r", input: 1 }));
  await room.clock.advance(3_500);
  expect(stalled.isStopped).toBe(true);
  const before = outcomes.length;
  await room.clock.until(() => calls.length === 2);
  await room.clock.advance(500);
  expect(calls).toEqual(["stalled", "other"]);
  stalled.goOn();
  await room.clock.advance(1_000);
  expect(outcomes.slice(before)).toEqual(["fenced"]);
  const run = await room.settled(other.pawl.run("r"));
  expect(await room.settled(run.result())).toBe("other");
  expect((await run.nodes()).map(({ attempt }) => attempt)).toEqual([1]);
  const completed = (await Array.fromAsync(run.history())).flatMap(({ events }) => events).filter(({ type }) => type === "node.completed");
  expect(completed).toHaveLength(1);
  await room.settled(stalled.pawl.start(flowOf("stalled"), { id: "later", input: 1 }));
  expect(await room.settled((await stalled.pawl.run("later")).result())).toBe("stalled");
});
