/**
 * Steps of machines under limits and circuit breakers, which they share with the nodes of workflows: one scene each.
 */
import { type AnyStateMachine, assign, setup } from "xstate";
import { expect, test } from "vitest";
import type { Agent } from "../../src/define/agent.ts";
import type { LimitsOptions } from "../../src/define/limits.ts";
import { AgentError } from "../../src/errors.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { step } from "../../src/run/xstate/step.ts";
import { held, start, wide } from "../sim/held-agent.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import { type SimProcess, replacing } from "../sim/process.ts";

/** Scenes that are played by one worker, and by two. */
const scene = test.each([1, 2]);

type Handle = MachineHandle<AnyStateMachine>;
const ONCE = { retry: { maxAttempts: 1 } } as const;

/** So many steps beside each other; the output is what they failed of. GO leaves the state in which the first of them runs. */
function stepsOf(agent: Agent, count: number, name = "steps"): AnyStateMachine {
  const codes = assign({
    left: ({ context }: { context: any }) => context.left - 1,
    codes: ({ context, event }: any) => [...context.codes, ...("error" in event ? [event.error.code] : [])],
  } as any) as any;
  const steps = Array.from({ length: count }, (_, n) => ({
    id: `s${n}`,
    src: "call",
    input: `${name}-${n}`,
    onDone: { actions: codes },
    onError: { actions: codes },
  }));
  return setup({ actors: { call: step(agent) as any }, types: { events: {} as { type: "GO" } } }).createMachine({
    id: name,
    context: { left: count, codes: [] } as any,
    type: "parallel",
    output: ({ context }: any) => context.codes,
    states: {
      first: {
        initial: "calling",
        states: {
          calling: { invoke: steps.slice(0, 1) as any, on: { GO: "left" }, always: { guard: ({ context }: any) => context.left === 0, target: "left" } },
          left: { type: "final" },
        },
      },
      rest: {
        initial: "calling",
        states: {
          calling: { invoke: steps.slice(1) as any, always: { guard: ({ context }: any) => context.left === 0, target: "left" } },
          left: { type: "final" },
        },
      },
    },
  });
}

/** Calls the agent so many times, one after the other. */
function chainOf(agent: Agent, count: number, name = "chain"): AnyStateMachine {
  const next = (failed: boolean): any => ({
    target: "calling",
    reenter: true,
    actions: assign({
      left: ({ context }: any) => context.left - 1,
      codes: ({ context, event }: any) => (failed ? [...context.codes, event.error.code] : context.codes),
    } as any),
  });
  return setup({ actors: { call: step(agent) as any } }).createMachine({
    id: name,
    context: { left: count, codes: [] } as any,
    initial: "calling",
    output: ({ context }: any) => context.codes,
    states: {
      calling: {
        always: { guard: ({ context }: any) => context.left === 0, target: "ended" },
        invoke: { src: "call", input: name, onDone: next(false), onError: next(true) },
      },
      ended: { type: "final" },
    },
  });
}

async function begin(room: MachineRoom, { pawl }: SimProcess, machine: AnyStateMachine, id: string, lane: { tenant?: string } = {}): Promise<Handle> {
  return room.settled(pawl.start(machine, { id, ...lane })) as Promise<Handle>;
}

const resultOf = async (room: MachineRoom, { pawl }: SimProcess, id: string): Promise<unknown> => room.settled((await pawl.run(id)).result());

/** Nothing is used of any limit, and nobody waits for one. */
async function expectIdle(room: MachineRoom, { pawl }: SimProcess): Promise<void> {
  await room.clock.advance(2_000);
  for (const limit of await room.settled(pawl.limits())) expect(limit).toMatchObject({ used: 0, waiting: 0, nodes: 0 });
}

scene("steps and nodes run together at most so many at once, and what is free is used at once (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, most, endOne, running } = held({ concurrency: 3 });
  const [flow, machine] = [wide(agent, 4), stepsOf(agent, 4)];
  const crew = await room.bootAll(workers, [flow, machine]);
  await begin(room, crew.next, machine, "m1");
  await start(room, crew.next, flow, "f");
  await begin(room, crew.next, machine, "m2");
  await room.clock.until(() => calls().length === 3);
  for (let ended = 1; ended <= 9; ended++) {
    await room.clock.advance(1_000);
    expect(running()).toBe(3);
    endOne();
    await room.clock.until(() => calls().length === 3 + ended);
  }
  for (let left = 3; left > 0; left--) endOne();
  for (const id of ["m1", "m2", "f"]) await resultOf(room, crew.next, id);
  expect(most()).toBe(3);
  await expectIdle(room, crew.next);
});

scene("within a time no more is used by steps than the limit says; what they say they used counts (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const uses: number[] = [];
  const agent = anyAgent("model", (input: string, ctx) => (uses.push(room.clock.mono()), ctx.used({ tokens: input.endsWith("0") ? 10 : 50 }), input), {
    uses: { tokens: 50 },
  });
  const machine = stepsOf(agent, 6 / workers);
  const crew = await room.bootAll(workers, [machine], { limits: { tokens: { max: 100, per: "60s" } } });
  const began = room.clock.mono();
  for (let n = 0; n < workers; n++) await begin(room, crew.next, machine, `r${n}`);
  for (let n = 0; n < workers; n++) expect(await resultOf(room, crew.next, `r${n}`)).toEqual([]);
  expect(uses).toHaveLength(6);
  // the first of each run uses 10 of the 50 that it took: two of these fit with one of the others
  const early = uses.filter((at) => at < began + 60_000).length;
  expect(early).toBeGreaterThanOrEqual(2);
  expect(early).toBeLessThanOrEqual(1 + workers);
  expect(Math.max(...uses) - began).toBeGreaterThan(60_000);
});

test("what was used of a window counts when its worker is killed at any moment: no step begins before it is written", async () => {
  for (const calls of [1, 7, 50]) {
    const room = new MachineRoom();
    let made = 0;
    // it is killed the moment when it begins the call
    const agent = anyAgent("model", () => (++made === calls && first.kill(), made), { uses: { tokens: 1 } });
    const limits = { tokens: { max: 60, per: "60s" } } as const;
    const machine = chainOf(agent, 100);
    const slow = <T>(write: () => Promise<T>): Promise<T> => new Promise<void>((resolve) => room.clock.after(20, resolve)).then(write);
    const first = await room.boot([machine], {
      limits,
      wrap: (store) =>
        replacing(store, {
          commit: (commits, amendments) => slow(() => store.commit(commits, amendments)),
          amend: (amendments) => slow(() => store.amend(amendments)),
        }),
    });
    void first.pawl.start(machine, { id: "r" });
    await room.clock.until(() => made === calls);
    const second = await room.boot([machine], { limits });
    await room.clock.advance(50_000);
    expect(made).toBeGreaterThan(57);
    expect(made).toBeLessThanOrEqual(60);
    expect(await resultOf(room, second, "r")).toEqual([]);
  }
});

scene("a breaker opens by the failures of steps, refuses steps and nodes, and closes by a step that tries (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  let [called, isUp] = [0, false];
  const run = (): void => {
    called++;
    if (!isUp) throw new Error("down");
  };
  const agent = anyAgent("service", run, { ...ONCE, breaker: { failureThreshold: 3, openFor: "60s", successThreshold: 1 } });
  const [machine, flow] = [chainOf(agent, 5), wide(agent, 1)];
  const crew = await room.bootAll(workers, [machine]);
  await begin(room, crew.next, machine, "m");
  const failed = ["PAWL_AGENT_FAILED", "PAWL_AGENT_FAILED", "PAWL_AGENT_FAILED"];
  expect(await resultOf(room, crew.next, "m")).toEqual([...failed, "PAWL_CIRCUIT_OPEN", "PAWL_CIRCUIT_OPEN"]);
  const last = crew.processes.at(-1)!;
  await start(room, last, flow, "f");
  await room.settled((await last.pawl.run("f")).ended());
  expect((await (await last.pawl.run("f")).nodes())[0]).toMatchObject({ failure: { kind: "circuitOpen" } });
  expect(called).toBe(3);
  isUp = true;
  await room.clock.advance(60_000);
  await begin(room, crew.next, machine, "m2");
  expect(await resultOf(room, crew.next, "m2")).toEqual([]);
  expect(called).toBe(8);
});

scene("a breaker that nodes have opened holds for steps, which wait where that is said (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const calls: number[] = [];
  const run = (): void => {
    calls.push(room.clock.mono());
    if (calls.length <= 2) throw new Error("down");
  };
  const agent = anyAgent("service", run, { ...ONCE, breaker: { failureThreshold: 2, openFor: "60s", onOpen: "wait" } });
  const [machine, flow] = [stepsOf(agent, 3), wide(agent, 2)];
  const crew = await room.bootAll(workers, [machine, flow]);
  await start(room, crew.next, flow, "f");
  await room.settled((await crew.next.pawl.run("f")).ended());
  await begin(room, crew.next, machine, "m");
  expect(await resultOf(room, crew.next, "m")).toEqual([]);
  expect(calls).toHaveLength(5);
  expect(calls[2]! - calls[1]!).toBeGreaterThanOrEqual(60_000);
});

scene("a step that waits for too long fails; its time as an attempt counts from when it begins (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ ...ONCE, concurrency: 1, queueTimeout: "10s", timeout: "8s" });
  const machine = stepsOf(agent, 3);
  const crew = await room.bootAll(workers, [machine]);
  await begin(room, crew.next, machine, "m");
  await room.clock.until(() => calls().length === 1);
  await room.clock.advance(6_000);
  endOne();
  await room.clock.until(() => calls().length === 2);
  await room.clock.advance(7_000);
  endOne();
  expect(await resultOf(room, crew.next, "m")).toEqual(["PAWL_QUEUE_TIMEOUT"]);
  expect(calls()).toHaveLength(2);
  const metrics = await Promise.all(crew.processes.map(async ({ pawl }) => (await room.settled(pawl.metrics())).limits["agent:held"]));
  expect(metrics.map((limit) => [limit?.granted ?? 0, limit?.refused ?? 0, limit?.waits.count ?? 0])).toContainEqual([2, 1, 2]);
  await expectIdle(room, crew.next);
});

test("a step that takes longer than its timeout gives back what it has", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ ...ONCE, concurrency: 1, timeout: "8s" });
  const machine = stepsOf(agent, 2);
  const process = await room.boot([machine]);
  await begin(room, process, machine, "m");
  expect(await resultOf(room, process, "m")).toEqual(["PAWL_AGENT_TIMEOUT", "PAWL_AGENT_TIMEOUT"]);
  expect(calls()).toHaveLength(2);
  await expectIdle(room, process);
});

scene("a step that is no longer wanted while it waits leaves its place, those behind it keep theirs (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const machines = ["first", "left", "cancelled", "last"].map((name) => stepsOf(agent, name === "left" ? 2 : 1, name));
  const crew = await room.bootAll(workers, machines);
  const runs: Handle[] = [];
  for (const machine of machines) {
    runs.push(await begin(room, crew.processes[0]!, machine, machine.id));
    await room.clock.advance(10);
  }
  await room.clock.until(() => calls().length === 1);
  await room.settled(runs[1]!.send({ type: "GO" }));
  await room.settled(runs[2]!.cancel());
  await room.clock.advance(2_000);
  expect((await room.settled(crew.next.pawl.limits()))[0]).toMatchObject({ used: 1, waiting: 2, nodes: 2 });
  for (let n = 2; n <= 3; n++) {
    endOne();
    await room.clock.until(() => calls().length === n);
  }
  expect(calls()).toEqual(["first-0", "left-1", "last-0"]);
  endOne();
  await resultOf(room, crew.next, "last");
  await expectIdle(room, crew.next);
});

scene("one that is cancelled while it runs gives back what it has; a machine that is paused lets others go first (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const { agent, calls, endOne } = held({ concurrency: 1 });
  const machines = ["cancelled", "paused", "last"].map((name) => stepsOf(agent, 1, name));
  const crew = await room.bootAll(workers, machines);
  const runs: Handle[] = [];
  for (const machine of machines) {
    runs.push(await begin(room, crew.processes[0]!, machine, machine.id));
    await room.clock.advance(10);
  }
  await room.clock.until(() => calls().length === 1);
  await room.settled(runs[1]!.pause());
  await room.settled(runs[0]!.cancel());
  await room.clock.until(() => calls().length === 2);
  await room.settled(runs[1]!.resume());
  expect(calls()).toEqual(["cancelled-0", "last-0"]);
  endOne();
  endOne();
  await room.clock.until(() => calls().length === 3);
  endOne();
  await resultOf(room, crew.next, "paused");
  await expectIdle(room, crew.next);
});

scene("of a worker that dies its steps are taken over, those that ran and those that waited, and the count is right (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const ends = new Map<string, () => void>();
  let living = 1;
  const agent = anyAgent("held", (input: string) => new Promise<void>((resolve) => ends.set(`${living} ${input}`, resolve)), { concurrency: 2, timeout: "1h" });
  const [machine, flow] = [stepsOf(agent, 4), wide(agent, 2)];
  const crew = await room.bootAll(workers, [machine, flow]);
  const first = crew.processes[0]!;
  await begin(room, first, machine, "m");
  await room.clock.until(() => ends.size === 2);
  living = 2;
  await crew.replace(first, () => room.boot([machine, flow]));
  await start(room, crew.next, flow, "f");
  await room.clock.until(() => ends.size === 4);
  await room.clock.advance(10_000);
  for (let ended = 1; ended <= 6; ended++) {
    const running = [...ends].filter(([key]) => key.startsWith("2"));
    expect(running).toHaveLength(Math.min(2, 7 - ended));
    const [key, end] = running[0]!;
    ends.delete(key);
    end();
    await room.clock.advance(10_000);
  }
  expect(await resultOf(room, crew.next, "m")).toEqual([]);
  await resultOf(room, crew.next, "f");
  await expectIdle(room, crew.next);
});

test("a worker that others took for dead counts anew when it begins again", async () => {
  const room = new MachineRoom();
  const { agent, calls, running, endOne } = held({ concurrency: 2 });
  const machine = stepsOf(agent, 3);
  const process = await room.boot([machine]);
  await begin(room, process, machine, "m");
  await room.clock.until(() => calls().length === 2);
  const epochs = await room.store.readEpochs();
  for (const { id } of epochs) await room.store.closeEpoch(id);
  await room.clock.until(() => calls().length === 4);
  await room.clock.advance(20_000);
  expect(calls()).toHaveLength(4);
  while (running() > 0) endOne();
  await room.clock.until(() => calls().length === 5);
  endOne();
  await resultOf(room, process, "m");
  await expectIdle(room, process);
});

scene("what a step is told by a service that is busy holds for the nodes and steps of all (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const calls: number[] = [];
  const run = (): void => {
    calls.push(room.clock.mono());
    if (calls.length === 1) throw new AgentError("429 Too Many Requests", { kind: "resource", retryAfterMs: 30_000 });
  };
  const agent = anyAgent("busy", run);
  const [machine, flow] = [stepsOf(agent, 1), wide(agent, 1)];
  const crew = await room.bootAll(workers, [machine, flow]);
  await begin(room, crew.next, machine, "m");
  await room.clock.until(() => calls.length === 1);
  await room.clock.advance(1_000);
  await start(room, crew.next, flow, "f");
  await begin(room, crew.next, machine, "m2");
  for (const id of ["m", "f", "m2"]) await resultOf(room, crew.next, id);
  expect(calls).toHaveLength(4);
  expect(Math.min(...calls.slice(1)) - calls[0]!).toBeGreaterThanOrEqual(30_000);
});

scene("an agent that is a machine of its own is limited in steps, too, and holds no permit (workers: %i)", async (workers) => {
  const room = new MachineRoom();
  const inner = held({}, "inner");
  const child = wide(inner.agent, 1, "child");
  const agent: Agent = { ...anyAgent("outer", () => undefined, { concurrency: 2 }), work: { kind: "run", of: child } };
  const machine = stepsOf(agent, 4);
  const crew = await room.bootAll(workers, [machine, child], { maxConcurrentAttempts: 3 });
  await begin(room, crew.next, machine, "m");
  await room.clock.until(() => inner.calls().length === 2);
  await room.clock.advance(5_000);
  expect(inner.calls()).toHaveLength(2);
  for (let n = 3; n <= 4; n++) {
    inner.endOne();
    await room.clock.until(() => inner.calls().length === n);
  }
  inner.endAll();
  expect(await resultOf(room, crew.next, "m")).toEqual([]);
  await expectIdle(room, crew.next);
});

test("what a step took of a window that was sent away counts no more", async () => {
  const room = new MachineRoom();
  const calls: number[] = [];
  const run = (): void => {
    calls.push(room.clock.mono());
    if (calls.length === 1) throw new AgentError("429 Too Many Requests", { kind: "resource", retryAfterMs: 30_000 });
  };
  const machine = stepsOf(anyAgent("busy", run, { uses: { tokens: 2 } }), 1);
  const process = await room.boot([machine], { limits: { tokens: { max: 3, per: "10m" } } });
  await begin(room, process, machine, "m");
  await resultOf(room, process, "m");
  expect(calls[1]! - calls[0]!).toBeLessThan(60_000);
});

test("a step that waits holds no permit that others need", async () => {
  const room = new MachineRoom();
  const { agent, calls } = held({ concurrency: 1 });
  const other = anyAgent("other", () => "done");
  const [machine, flow] = [stepsOf(agent, 5), anyWorkflow("flow", (wf) => wf.node("n", other, {}).result)];
  const process = await room.boot([machine, flow], { maxConcurrentAttempts: 2, maxActiveRuns: 2 });
  await begin(room, process, machine, "m");
  await room.clock.until(() => calls().length === 1);
  await start(room, process, flow, "f");
  expect(await resultOf(room, process, "f")).toBe("done");
});

test("a step that uses more than there ever is fails; one that uses what is not limited is refused", async () => {
  const room = new MachineRoom();
  const limits: LimitsOptions = { db: { max: 2 } };
  const process = await room.boot([], { limits });
  const greedy = stepsOf(
    anyAgent("greedy", () => 1, { uses: { db: 3 } }),
    1,
  );
  await begin(room, process, greedy, "m");
  expect(await resultOf(room, process, "m")).toEqual(["PAWL_LIMIT_EXCEEDED"]);
  const misspelt = stepsOf(
    anyAgent("misspelt", () => 1, { uses: { bd: 1 } }),
    1,
    "misspelt",
  );
  await expect(begin(room, process, misspelt, "n")).rejects.toMatchObject({ code: "PAWL_UNKNOWN_LIMIT" });
});
