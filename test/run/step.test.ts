/**
 * Steps: agents and workflows that a user's machine invokes, in simulated processes that die.
 */
import { type AnyActorLogic, type AnyStateMachine, assign, createActor, fromPromise, setup, spawnChild } from "xstate";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { type Agent, type AgentContext, agent } from "../../src/define/agent.ts";
import { workflow } from "../../src/define/workflow.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import type { Run } from "../../src/run/handle.ts";
import { actionKey, step } from "../../src/run/xstate/step.ts";
import { type CrashPolicy, PawlDriver } from "../sim/durable-driver.ts";
import { MachineRoom, anyAgent, anyWorkflow, deferred, never } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const POLICIES: readonly CrashPolicy[] = ["none", "before", "after", "both"];

/** Invokes one step until it has ended, or LEAVE. */
function tripOf(logic: AnyActorLogic): AnyStateMachine {
  return setup({ actors: { plan: logic }, types: { events: {} as { type: "LEAVE" } } }).createMachine({
    id: "trip",
    context: {},
    initial: "planning",
    states: {
      planning: {
        invoke: {
          src: "plan",
          input: { topic: "ratchets" },
          onDone: { target: "ready", actions: assign({ plan: ({ event }) => event.output }) },
          onError: { target: "stuck", actions: assign({ error: ({ event }) => event.error }) },
        },
        on: { LEAVE: "home" },
      },
      ready: {},
      stuck: {},
      home: {},
    },
  });
}

const tripWith = (of: Agent): AnyStateMachine => tripOf(step(of));

/** A process with a run of the machine, which begins or goes on. */
async function living(
  room: MachineRoom,
  machine: AnyStateMachine,
  options: object = {},
): Promise<{ process: SimProcess; run: MachineHandle<AnyStateMachine> }> {
  const process = await room.boot([machine], options);
  const run = await room.settled(process.pawl.start(machine, { id: "trip-1" }));
  await room.clock.settle();
  return { process, run };
}

const stateOf = async (run: MachineHandle<AnyStateMachine>): Promise<{ value: unknown; context: any }> => {
  const { value, context } = (await run.snapshot()) as unknown as { value: unknown; context: unknown };
  return { value, context };
};

describe("a step of an agent", () => {
  const planner = agent({
    name: "planner",
    input: z.object({ topic: z.string() }),
    output: z.object({ questions: z.array(z.string()) }),
    run: ({ topic }) => ({ questions: [`What are ${topic}?`] }),
  });

  test("has the agent's types: its input is what the agent takes, its output what it gives", () => {
    setup({ actors: { plan: step(planner) }, types: { context: {} as { questions: string[] } } }).createMachine({
      context: { questions: [] },
      invoke: {
        src: "plan",
        input: { topic: "ratchets" },
        onDone: {
          actions: assign({ questions: ({ event }) => (expectTypeOf(event.output).toEqualTypeOf<{ questions: string[] }>(), event.output.questions) }),
        },
      },
    });
    // @ts-expect-error the agent takes a topic
    setup({ actors: { plan: step(planner) } }).createMachine({ invoke: { src: "plan", input: { subject: 1 } } });
  });

  test("ends with the result, which is committed together with what the machine makes of it", async () => {
    const room = new MachineRoom();
    const { process, run } = await living(room, tripWith(planner));
    expect(await stateOf(run)).toEqual({ value: "ready", context: { plan: { questions: ["What are ratchets?"] } } });
    const history = await Array.fromAsync(run.history());
    const commit = history.find(({ events }) => events.some(({ event }) => event === "xstate.done.actor.0.trip.planning"))!;
    expect(commit.events.map(({ type, event }) => event ?? type)).toContain("xstate.done.actor.0.step.running");
    process.kill();
  });

  test("is tried again after its backoffs, under numbers and at instants that a crash does not change", async () => {
    for (const killAtMs of [undefined, 0, 500, 2_500, 60_000]) {
      const room = new MachineRoom();
      const calls: object[] = [];
      const flaky = anyAgent(
        "flaky",
        (_input, { attempt, idempotencyKey }) => {
          calls.push({ attempt, idempotencyKey, atMs: room.clock.mono() });
          if (attempt < 3) throw new Error("overloaded");
          return "a plan";
        },
        { retry: { maxAttempts: 3, initialInterval: "1s", jitter: "none" } },
      );
      let { process, run } = await living(room, tripWith(flaky));
      if (killAtMs !== undefined) {
        await room.clock.advance(killAtMs);
        process.kill();
        ({ process, run } = await living(room, tripWith(flaky)));
      }
      await room.clock.advance(10_000);
      const idempotencyKey = (calls[0] as { idempotencyKey: string }).idempotencyKey;
      expect(calls).toEqual([0, 1_000, 3_000].map((atMs, i) => ({ attempt: i + 1, idempotencyKey, atMs })));
      expect(idempotencyKey).toMatch(/^trip-1\/.+#1$/);
      expect(await stateOf(run)).toEqual({ value: "ready", context: { plan: "a plan" } });
      process.kill();
    }
  });

  test("whose attempts are used up ends with the error of the last one", async () => {
    const room = new MachineRoom();
    const failing = anyAgent("failing", (_input, { attempt }) => Promise.reject(new Error(`no. ${attempt}`)), { retry: { maxAttempts: 2, jitter: "none" } });
    const { process, run } = await living(room, tripWith(failing));
    await room.clock.advance(1_000);
    const { value, context } = await stateOf(run);
    expect(value).toBe("stuck");
    expect(context.error).toMatchObject({ message: "no. 2", kind: "transient", code: "PAWL_AGENT_FAILED" });
    expect(context.error).toBeInstanceOf(Error);
    process.kill();
  });

  test("is not tried again after an error that is nonRetryable", async () => {
    const room = new MachineRoom();
    const attempts: number[] = [];
    const run = (_input: unknown, { attempt }: AgentContext): never => {
      attempts.push(attempt);
      throw Object.assign(new Error("no key"), { code: "E_KEY" });
    };
    const life = await living(room, tripWith(anyAgent("keyless", run, { retry: { nonRetryable: ["E_KEY"] } })));
    await room.clock.advance(600_000);
    expect(attempts).toEqual([1]);
    expect((await stateOf(life.run)).value).toBe("stuck");
    life.process.kill();
  });

  test("aborts an attempt that takes too long, and tries again", async () => {
    const room = new MachineRoom();
    const reasons: unknown[] = [];
    const slow = anyAgent(
      "slow",
      (_input, { attempt, signal }) => {
        signal.addEventListener("abort", () => reasons.push((signal.reason as { code: string }).code));
        return attempt === 1 ? never() : "a plan";
      },
      { timeout: "30s", retry: { jitter: "none" } },
    );
    const { process, run } = await living(room, tripWith(slow));
    await room.clock.advance(29_999);
    expect(reasons).toEqual([]);
    await room.clock.advance(1_002);
    await room.clock.settle();
    expect(reasons).toEqual(["PAWL_AGENT_TIMEOUT"]);
    expect(await stateOf(run)).toEqual({ value: "ready", context: { plan: "a plan" } });
    process.kill();
  });

  test("aborts its attempt when the state is left, and what it still answers is not heard", async () => {
    const room = new MachineRoom();
    const answer = deferred<string>();
    let signal: AbortSignal | undefined;
    const slow = anyAgent("slow", (_input, context) => ((signal = context.signal), answer.promise));
    const { process, run } = await living(room, tripWith(slow));
    expect(signal?.aborted).toBe(false);
    await room.settled(run.send({ type: "LEAVE" }));
    await room.clock.settle();
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toMatchObject({ code: "PAWL_RUN_CANCELLED" });
    answer.resolve("too late");
    await room.clock.settle();
    expect(await stateOf(run)).toEqual({ value: "home", context: {} });
    process.kill();
  });

  test("aborts its attempt when the process is closed, says so, and runs it again in the next one", async () => {
    const room = new MachineRoom();
    const reasons: unknown[] = [];
    const attempts: number[] = [];
    const slow = anyAgent("slow", (_input, { attempt, signal }) => {
      attempts.push(attempt);
      signal.addEventListener("abort", () => reasons.push((signal.reason as { code: string }).code));
      return never();
    });
    const { process } = await living(room, tripWith(slow));
    await room.settled(process.pawl.close({ graceMs: 5 }));
    expect(reasons).toEqual(["PAWL_CLOSED"]);
    process.kill();
    const next = await living(room, tripWith(slow));
    expect(attempts).toEqual([1, 1]);
    next.process.kill();
  });

  test("refuses an input that the agent does not take, without an attempt more", async () => {
    const room = new MachineRoom();
    const picky = agent({ name: "picky", input: z.object({ subject: z.string() }), output: z.any(), run: () => 1 });
    const { process, run } = await living(room, tripWith(picky));
    expect((await stateOf(run)).context.error).toMatchObject({ code: "PAWL_INPUT_INVALID" });
    process.kill();
  });

  test("spawned by two names has two keys", async () => {
    const room = new MachineRoom();
    const keys: string[] = [];
    const keyed = anyAgent("keyed", (_input, { idempotencyKey }) => keys.push(idempotencyKey));
    const machine = setup({ actors: { keyed: step(keyed) } }).createMachine({
      id: "two",
      entry: [spawnChild("keyed", { id: "a", input: 1 }), spawnChild("keyed", { id: "b", input: 1 })],
    }) as unknown as AnyStateMachine;
    const { process } = await living(room, machine);
    expect(new Set(keys).size).toBe(2);
    process.kill();
  });

  test.each(POLICIES)("is neither lost nor done twice by a crash at each commit (%s)", async (policy) => {
    const charges = new Map<string, number>();
    const attempts: number[] = [];
    const keys = new Set<string>();
    const charging = anyAgent(
      "charging",
      (_input, { attempt, idempotencyKey }) => {
        attempts.push(attempt);
        keys.add(idempotencyKey);
        if (attempt < 3) throw new Error("overloaded");
        charges.set(idempotencyKey, 10);
        return "charged";
      },
      { retry: { maxAttempts: 3, jitter: "none" } },
    );
    const driver = new PawlDriver(policy);
    await driver.start(() => ({ machine: tripWith(charging), log: () => {}, emitted: () => {} }), undefined);
    await driver.advance(1_000);
    await driver.advance(2_000);
    expect(driver.snapshot()).toMatchObject({ value: "ready", context: { plan: "charged" } });
    expect(charges.size).toBe(1);
    expect(keys.size).toBe(1);
    expect([...new Set(attempts)]).toEqual([1, 2, 3]);
    expect(attempts).toEqual(attempts.toSorted((a, b) => a - b));
    if (policy === "none") expect(attempts).toHaveLength(3);
    else expect(driver.crashes).toBeGreaterThan(4);
    await driver.end();
  });
});

describe("permits", () => {
  /** An agent that counts how many of its attempts run. */
  function counting(room: MachineRoom): { readonly agent: Agent; readonly seen: { running: number; most: number; done: number } } {
    const seen = { running: 0, most: 0, done: 0 };
    const run = async (): Promise<number> => {
      seen.most = Math.max(seen.most, ++seen.running);
      await new Promise<void>((resolve) => room.clock.after(1_000, resolve));
      seen.running--;
      return ++seen.done;
    };
    return { agent: anyAgent("counting", run), seen };
  }

  test("let one attempt run at a time over many machine runs, if there is one", async () => {
    const room = new MachineRoom();
    const { agent, seen } = counting(room);
    const machine = tripWith(agent);
    const process = await room.boot([machine], { maxConcurrentAttempts: 1 });
    const runs = await Promise.all(Array.from({ length: 5 }, (_, i) => room.settled(process.pawl.start(machine, { id: `trip-${i}` }))));
    await room.clock.advance(10_000);
    expect(seen).toEqual({ running: 0, most: 1, done: 5 });
    for (const run of runs) expect((await stateOf(run)).value).toBe("ready");
    process.kill();
  });

  test("are not held by a step that left before it had one, nor lost with one that ran", async () => {
    const room = new MachineRoom();
    const { agent, seen } = counting(room);
    const machine = tripWith(agent);
    const process = await room.boot([machine], { maxConcurrentAttempts: 1 });
    const start = (id: string) => room.settled(process.pawl.start(machine, { id }));
    const [runs, waits, last] = [await start("runs"), await start("waits"), await start("last")];
    await room.clock.settle();
    expect(seen.running).toBe(1);
    await room.settled(waits.send({ type: "LEAVE" }));
    await room.clock.advance(1_000);
    expect(seen).toMatchObject({ running: 1, done: 1 });
    await room.settled(last.send({ type: "LEAVE" }));
    const again = await start("again");
    await room.clock.advance(1_100);
    expect(seen.done).toBe(3);
    expect((await stateOf(runs)).value).toBe("ready");
    expect((await stateOf(again)).value).toBe("ready");
    process.kill();
  });

  test("are shared with the nodes of workflows", async () => {
    const room = new MachineRoom();
    const { agent, seen } = counting(room);
    const flow = anyWorkflow("flow", (wf) => ({ a: wf.node("a", agent, 1).result }));
    const machine = tripWith(agent);
    const process = await room.boot([machine, flow], { maxConcurrentAttempts: 1 });
    const [run] = await Promise.all([
      room.settled(process.pawl.start(flow, { id: "flow-1", input: 1 })),
      room.settled(process.pawl.start(machine, { id: "t" })),
    ]);
    await room.settled(run.result());
    await room.clock.advance(1_000);
    expect(seen).toEqual({ running: 0, most: 1, done: 2 });
    process.kill();
  });
});

describe("a step of a workflow", () => {
  const doubler = anyAgent("doubler", (topic: string) => `${topic} ${topic}`);
  const research = workflow({ name: "research", input: z.object({ topic: z.string() }) }, (wf) => ({
    notes: wf.node("double", doubler as Agent<string, string>, wf.input.topic).result,
  }));
  const CHILD = /^trip-1\/0\.trip\.planning~\d+$/;
  const childOf = async (process: SimProcess): Promise<Run<unknown>> => process.pawl.run((await process.pawl.list()).find(({ id }) => CHILD.test(id))!.id);

  test("is a run of its own, and ends with its output", async () => {
    const room = new MachineRoom();
    const { process, run } = await living(room, tripOf(step(research)));
    await room.clock.settle();
    expect(await stateOf(run)).toEqual({ value: "ready", context: { plan: { notes: "ratchets ratchets" } } });
    const runs = await process.pawl.list();
    expect(runs.map(({ id, workflow, status }) => ({ id, workflow, status }))).toContainEqual({
      id: expect.stringMatching(CHILD),
      workflow: "research",
      status: "completed",
    });
    process.kill();
  });

  test("that fails gives its error to the machine", async () => {
    const room = new MachineRoom();
    const broken = anyWorkflow("broken", (wf) => ({
      a: wf.node(
        "a",
        anyAgent("a", () => Promise.reject(new Error("no"))),
        1,
        { retry: { maxAttempts: 1 } },
      ).result,
    }));
    const { process, run } = await living(room, tripOf(step(broken)));
    await room.clock.settle();
    const { value, context } = await stateOf(run);
    expect(value).toBe("stuck");
    expect(context.error).toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringMatching(/^run "trip-1\/0.+" failed at node "a": no$/) });
    process.kill();
  });

  test("is cancelled when the state is left", async () => {
    const room = new MachineRoom();
    const slow = anyWorkflow("slow", (wf) => ({ a: wf.node("a", anyAgent("a", never), 1).result }));
    const { process, run } = await living(room, tripOf(step(slow)));
    await room.clock.settle();
    const child = await childOf(process);
    expect((await child.status()).status).toBe("running");
    await room.settled(run.send({ type: "LEAVE" }));
    await room.clock.settle();
    expect((await child.status()).status).toBe("cancelled");
    expect((await stateOf(run)).value).toBe("home");
    process.kill();
  });

  test("that somebody cancels is an error of the step", async () => {
    const room = new MachineRoom();
    const slow = anyWorkflow("slow", (wf) => ({ a: wf.node("a", anyAgent("a", never), 1).result }));
    const { process, run } = await living(room, tripOf(step(slow)));
    await room.clock.settle();
    await room.settled((await childOf(process)).cancel());
    await room.clock.settle();
    const { value, context } = await stateOf(run);
    expect(value).toBe("stuck");
    expect(context.error).toMatchObject({ code: "PAWL_RUN_CANCELLED" });
    process.kill();
  });

  test.each(["crashBefore", "crashAfter"] as const)("starts no second child by a crash at each commit (%s)", async (fault) => {
    for (let crashAt = 1, isOver = false; !isOver; crashAt++) {
      expect(crashAt).toBeLessThan(40);
      const room = new MachineRoom();
      const calls: string[] = [];
      const ids = new Set<string>();
      const noting = anyAgent("noting", (_input, { runId, idempotencyKey }) => {
        ids.add(runId);
        calls.push(idempotencyKey);
        return "noted";
      });
      const flow = anyWorkflow("flow", (wf) => ({ notes: wf.node("second", noting, wf.node("first", noting, 1).result).result }));
      const machine = tripOf(step(flow));
      const first = await room.boot([machine], { fault: (group) => (group === crashAt ? fault : undefined) });
      first.pawl.start(machine, { id: "trip-1" }).catch(() => {});
      await room.clock.settle();
      const { process, run } = first.isAlive ? await living(new MachineRoom(), machine) : await living(room, machine);
      await room.clock.advance(120_000);
      isOver = first.isAlive;
      if (isOver) continue;
      expect(await stateOf(run)).toEqual({ value: "ready", context: { plan: { notes: "noted" } } });
      expect(ids.size).toBe(1);
      expect([...ids][0]).toMatch(CHILD);
      expect(new Set(calls).size).toBe(2);
      expect(await process.pawl.list()).toHaveLength(2);
      process.kill();
      expect(crashAt).toBeLessThan(30);
    }
  });

  // the cancel of the child is no part of the commit that leaves the state: a crash right after that commit loses it
  test("that was left right before a crash is cancelled by the next process", async () => {
    const room = new MachineRoom();
    const slow = anyWorkflow("slow", (wf) => ({ a: wf.node("a", anyAgent("a", never), 1).result }));
    const machine = tripOf(step(slow));
    let strikes = false;
    const { process, run } = await living(room, machine, { fault: () => (strikes ? "crashAfter" : undefined) });
    await room.clock.settle();
    strikes = true;
    run.send({ type: "LEAVE" }).catch(() => {});
    await room.clock.settle();
    expect(process.isAlive).toBe(false);
    const next = await living(room, machine);
    await room.clock.settle();
    expect((await stateOf(next.run)).value).toBe("home");
    expect((await (await childOf(next.process)).status()).status).toBe("cancelled");
    next.process.kill();
  });
});

describe("outside of a run", () => {
  test("a step rejects with what to do", async () => {
    const errors: unknown[] = [];
    for (const of of [
      step(anyAgent("a", () => 1)),
      step(
        anyWorkflow("w", (wf) => ({
          a: wf.node(
            "a",
            anyAgent("a", () => 1),
            1,
          ).result,
        })),
      ),
    ]) {
      const actor = createActor(of as unknown as AnyActorLogic, { input: 1 });
      const ended = deferred<void>();
      actor.subscribe({ error: (error) => (errors.push(error), ended.resolve()) });
      actor.start();
      await ended.promise;
    }
    expect(errors).toMatchObject([{ code: "PAWL_NO_HOST" }, { code: "PAWL_NO_HOST" }]);
  });

  test("there is no key of an action", () => {
    expect(() => actionKey()).toThrow(expect.objectContaining({ code: "PAWL_NO_ACTION" }));
  });
});

describe("actionKey()", () => {
  /** Notes its key on entry, twice, and in an action of an event. */
  const noting = (keys: string[]): AnyStateMachine => {
    const note = (): void => void keys.push(actionKey());
    return setup({ actions: { note }, types: { events: {} as { type: "NOTE" } } }).createMachine({
      id: "noting",
      entry: ["note", "note"],
      on: { NOTE: { actions: "note" } },
    });
  };

  test("is the same when the action is done again after a crash, and differs from action to action", async () => {
    const room = new MachineRoom();
    const keys: string[] = [];
    const first = await room.boot([noting(keys)], { fault: (group) => (group === 2 ? "crashBefore" : undefined) });
    void first.pawl.start(noting(keys), { id: "trip-1" }).catch(() => {});
    await room.clock.settle();
    expect(first.isAlive).toBe(false);
    expect(new Set(keys).size).toBe(2);
    const { process, run } = await living(room, noting(keys));
    expect(keys).toHaveLength(4);
    expect(keys.slice(2)).toEqual(keys.slice(0, 2));
    await room.settled(run.send({ type: "NOTE" }));
    await room.clock.settle();
    expect(new Set(keys).size).toBe(3);
    process.kill();
  });

  test("throws PAWL_NO_ACTION after an await, and in what is not an action", async () => {
    const room = new MachineRoom();
    const errors: unknown[] = [];
    const ask = (): void => {
      try {
        actionKey();
      } catch (error) {
        errors.push((error as { code: string }).code);
      }
    };
    const machine = setup({
      actions: { later: () => void Promise.resolve().then(ask) },
      actors: { work: fromPromise(async () => (await Promise.resolve(), ask())) },
      guards: { asks: () => (ask(), true) },
    }).createMachine({
      id: "late",
      entry: "later",
      invoke: { src: "work" },
      always: { guard: "asks", target: ".on" },
      initial: "off",
      states: { off: {}, on: {} },
    });
    const { process } = await living(room, machine);
    expect(new Set(errors)).toEqual(new Set(["PAWL_NO_ACTION"]));
    expect(errors.length).toBeGreaterThanOrEqual(3);
    process.kill();
  });
});
