/**
 * What users simulate with: a clock moved by hand, processes that die, agents that say what a test says.
 */
import { type AnyStateMachine, setup } from "xstate";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.ts";
import { type ScriptedAgent, Simulation, StepClock, hang, scripted } from "../../src/testing/index.ts";

describe("StepClock", () => {
  test("stands still until it is told to pass, and then jumps from instant to instant in order", async () => {
    const clock = new StepClock();
    const seen: [string, number][] = [];
    for (const [name, ms] of [
      ["c", 3_000],
      ["a", 1_000],
      ["b", 1_000],
    ] as const)
      clock.after(ms, () => seen.push([name, clock.mono()]));
    const cancel = clock.after(500, () => seen.push(["cancelled", 500]));
    cancel();
    await clock.settle();
    expect(seen).toEqual([]);
    await clock.advance(2_999);
    expect(seen).toEqual([
      ["a", 1_000],
      ["b", 1_000],
    ]);
    await clock.advance(1);
    await clock.settle();
    expect(seen.at(-1)).toEqual(["c", 3_000]);
    expect(clock.mono()).toBe(3_000);
    expect(new Date(clock.now()).getUTCFullYear()).toBe(2023);
  });

  test("says so when nothing is left to happen", async () => {
    await expect(new StepClock().until(() => false)).rejects.toThrow("the simulation hangs: nothing is left to happen");
    const clock = new StepClock();
    const again = (): void => void clock.after(1_000, again);
    again();
    await expect(clock.until(() => false, 10_000)).rejects.toThrow("the simulation takes too long");
  });

  test("lets any length pass", async () => {
    const clock = new StepClock();
    await clock.advance(400 * 86_400_000);
    expect(clock.mono()).toBe(400 * 86_400_000);
  });

  test("may have its wall jump, which moves no length", async () => {
    const clock = new StepClock();
    const before = clock.now();
    clock.wallOffsetMs += 3_600_000;
    expect(clock.now()).toBe(before + 3_600_000);
    expect(clock.mono()).toBe(0);
  });
});

describe("Simulation", () => {
  const notes = scripted("notes", "written");
  const research = workflow({ name: "research", input: z.object({ topic: z.string() }) }, (wf) => ({ notes: wf.node("notes", notes, wf.input.topic).result }));

  test("plays a process that dies and one that goes on", async () => {
    const simulation = new Simulation({ workflows: [research] });
    const pawl = await simulation.boot({ fault: (commit) => (commit === 2 ? "crashBefore" : undefined) });
    await simulation.settled(pawl.start(research, { id: "r-1", input: { topic: "ratchets" } }));
    await simulation.settle();
    expect(simulation.isAlive).toBe(false);
    const run = await (await simulation.boot()).run("r-1", research);
    expect(await simulation.settled(run.result())).toEqual({ notes: "written" });
    expect(simulation.commits).toBeGreaterThan(0);
    simulation.kill();
    expect(simulation.isAlive).toBe(false);
  });

  test("plays a full disk and a store that does not say what became of a commit", async () => {
    const simulation = new Simulation({ workflows: [research] });
    const faults = ["unknownLost", "unknownApplied", "full"] as const;
    const pawl = await simulation.boot({ fault: (commit) => (commit % 2 === 0 ? faults[(commit / 2 - 1) % 3] : undefined) });
    const run = await simulation.settled(pawl.start(research, { id: "r-1", input: { topic: "ratchets" } }));
    expect(await simulation.settled(run.result())).toEqual({ notes: "written" });
    simulation.kill();
  });

  test("lets days pass for a machine that waits, also while no process lives", async () => {
    const reminder = setup({}).createMachine({
      id: "reminder",
      initial: "waiting",
      states: { waiting: { after: { 3_600_000: "reminded" } }, reminded: { type: "final" } },
    }) as unknown as AnyStateMachine;
    const simulation = new Simulation({ workflows: [reminder] });
    await simulation.settled((await simulation.boot()).start(reminder, { id: "r" }));
    simulation.kill();
    await simulation.advance(3_599_000);
    const pawl = await simulation.boot();
    expect((await (await pawl.run("r")).status()).status).toBe("running");
    await simulation.advance(1_000);
    expect((await (await pawl.run("r")).status()).status).toBe("completed");
    simulation.kill();
  });

  test("knows other workflows after an update", async () => {
    const simulation = new Simulation();
    const pawl = await simulation.boot({ workflows: [research] });
    const run = await simulation.settled(pawl.start(research, { input: { topic: "a" } }));
    expect(await simulation.settled(run.result())).toEqual({ notes: "written" });
    await simulation.boot();
    simulation.kill();
  });
});

describe("scripted()", () => {
  test("answers attempt by attempt, and remembers how it was called", async () => {
    const planner = scripted("planner", new Error("overloaded"), hang, ({ topic }: { topic: string }) => `a plan for ${topic}`);
    const flow = workflow({ name: "flow", input: z.any() }, (wf) => ({ plan: wf.node("plan", planner, { topic: "ratchets" }, { timeout: "10s" }).result }));
    const simulation = new Simulation({ workflows: [flow] });
    const run = await simulation.settled((await simulation.boot()).start(flow, { id: "r", input: 1 }));
    expect(await simulation.settled(run.result())).toEqual({ plan: "a plan for ratchets" });
    expect(planner.calls).toEqual([1, 2, 3].map((attempt) => ({ input: { topic: "ratchets" }, attempt, idempotencyKey: "r/plan#1" })));
    simulation.kill();
  });

  test("has the type of what it answers", () => {
    expectTypeOf(scripted("a", { n: 1 })).toEqualTypeOf<ScriptedAgent<{ n: number }>>();
    expectTypeOf(scripted("a", new Error("no"), hang, "b")).toEqualTypeOf<ScriptedAgent<string>>();
  });
});
