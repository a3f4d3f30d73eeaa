/**
 * Agents that answer late, twice, or when nobody asks any more, and do not hear that they are to stop: none of it is taken.
 */
import { expect, test } from "vitest";
import type { Run } from "../../src/run/handle.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred } from "../sim/machine-room.ts";

/** An agent that ignores its signal and answers when it is told to, whoever still wants it; attempt by attempt. */
function deaf(): { readonly agent: ReturnType<typeof anyAgent>; readonly answers: ReturnType<typeof deferred<string>>[] } {
  const answers: ReturnType<typeof deferred<string>>[] = [];
  const options = { timeout: "10s", retry: { maxAttempts: 2, initialInterval: "1s", jitter: "none" } } as const;
  return { answers, agent: anyAgent("deaf", () => (answers.push(deferred<string>()), answers.at(-1)!.promise), options) };
}

test("a result that comes when its attempt's time is over is not taken, whether the next attempt waits, runs or has answered", async () => {
  for (const when of ["while it waits", "while it runs", "when it has answered"]) {
    const room = new MachineRoom();
    const { agent, answers } = deaf();
    const flow = anyWorkflow("flow", (wf) => {
      const node = wf.node("node", agent, 1);
      return wf.node("next", agent, 1, { after: [node] }).result;
    });
    const { pawl } = await room.boot([flow]);
    const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(10_500);
    expect(answers).toHaveLength(1);
    const late = async (): Promise<void> => {
      const { commitNo } = await run.status();
      answers[0]!.resolve("late");
      await room.clock.settle();
      expect((await run.status()).commitNo, when).toBe(commitNo);
    };
    if (when === "while it waits") await late();
    await room.clock.advance(1_000);
    if (when === "while it runs") await late();
    answers[1]!.resolve("in time");
    await room.clock.settle();
    if (when === "when it has answered") await late();
    expect((await run.nodes())[0]).toMatchObject({ id: "node", status: "completed", attempt: 2 });
    answers[2]!.resolve("end");
    expect(await room.settled(run.ended())).toMatchObject({ status: "completed", output: "end" });
    const history = await Array.fromAsync(run.history());
    expect(history.flatMap(({ events }) => events).filter(({ type, node }) => type === "node.completed" && node === "node")).toHaveLength(1);
  }
});

const WAYS: readonly (readonly [string, (run: Run<unknown>) => Promise<unknown>, object])[] = [
  ["a cancel", (run) => run.cancel(), { status: "cancelled" }],
  ["a cancel that terminates", (run) => run.cancel({ now: true }), { status: "cancelled", terminated: true }],
  ["a skip", (run) => run.override("node", "skip"), { status: "completed", degraded: true }],
  ["a result that somebody set", (run) => run.override("node", { result: "set" }), { status: "completed", output: "set" }],
  ["a failure that somebody set", (run) => run.override("node", "fail"), { status: "failed" }],
];

test.each(WAYS)("a result that comes after %s changes nothing", async (_, act, view) => {
  const room = new MachineRoom();
  const { agent, answers } = deaf();
  const flow = anyWorkflow("flow", (wf) => wf.node("node", agent, 1).result);
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(10);
  await room.settled(act(run as Run<unknown>));
  const before = await room.settled(run.ended());
  expect(before).toMatchObject(view);
  answers[0]!.resolve("late");
  await room.clock.advance(60_000);
  expect(await run.status()).toEqual(before);
  expect(answers).toHaveLength(1);
});

test("a result that comes in time, though its agent was asked to stop, is what is undone", async () => {
  const room = new MachineRoom();
  const { agent, answers } = deaf();
  const undone: unknown[] = [];
  const undo = anyAgent("undo", ({ result }) => void undone.push(result));
  const flow = anyWorkflow("flow", (wf) => {
    wf.node("node", agent, 1, { compensate: undo });
    return wf.node(
      "bad",
      anyAgent("bad", () => Promise.reject(new Error("no")), { retry: { maxAttempts: 1 } }),
      1,
      { onFail: "compensate" },
    ).result;
  });
  const { pawl } = await room.boot([flow]);
  const run = await room.settled(pawl.start(flow, { id: "r", input: 1 }));
  await room.clock.advance(1_000);
  expect([undone, (await run.status()).status]).toEqual([[], "compensating"]);
  answers[0]!.resolve("late");
  expect(await room.settled(run.ended())).toMatchObject({ status: "failed", compensated: true });
  expect(undone).toEqual(["late"]);
});
