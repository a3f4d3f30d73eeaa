/**
 * Steps, nodes and runs of their own where things go wrong at the wrong moment.
 */
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, log, sendTo, setup } from "xstate";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { otherRun } from "../../src/run/xstate/effects.ts";
import { step } from "../../src/run/xstate/step.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

const T = 15_000;
const kill = (p: SimProcess): void => p.kill();
const settledOr = async (room: MachineRoom, p: Promise<any>, limitMs: number): Promise<any> => {
  let out: any = "never settled";
  p.then(
    (x) => (out = x),
    (e) => (out = e),
  );
  await room.clock.until(() => out !== "never settled", limitMs).catch(() => {});
  return out;
};
const machineAgent = (name: string, machine: object): any => agent({ name, input: z.any(), output: z.any(), machine });

test(
  "step(agent of a machine) holds no permit while its run needs one",
  async () => {
    const room = new MachineRoom();
    const inner: any = setup({ actors: { echo: step(anyAgent("echo", (x) => x)) } as any }).createMachine({
      id: "inner",
      initial: "a",
      states: {
        a: { invoke: { src: "echo", input: 7, onDone: { target: "b", actions: assign({ got: ({ event }: any) => event.output }) } } },
        b: { type: "final" },
      },
      context: { got: 0 },
      output: ({ context }: any) => context.got,
    } as any);
    const outer: any = setup({ actors: { approve: step(machineAgent("approver", inner)) } as any }).createMachine({
      id: "outer",
      initial: "a",
      states: { a: { invoke: { src: "approve", input: 1, onDone: "b", onError: "c" } }, b: { type: "final" }, c: { type: "final" } },
    } as any);
    const process = await room.boot([outer], { maxConcurrentAttempts: 1 });
    const run: any = await room.settled(process.pawl.start(outer, { id: "r" }));
    const got = await settledOr(room, run.ended(), 400_000_000);
    const runs = await room.settled(process.pawl.list());
    kill(process);
    expect({ got: got?.status ?? got, runs: runs.map(({ id, status }) => [id, status]) }).toMatchObject({ got: "completed" });
  },
  T,
);

test(
  "a step in a run of a node knows the run it belongs to",
  async () => {
    const room = new MachineRoom();
    const seen: string[] = [];
    const inner: any = setup({ actors: { echo: step(anyAgent("echo", (_x, context) => void seen.push(context.runId, context.nodeId))) } as any }).createMachine(
      {
        id: "inner",
        initial: "a",
        states: { a: { invoke: { src: "echo", onDone: "b" } }, b: { type: "final" } },
      } as any,
    );
    const flow = anyWorkflow("flow", (wf) => wf.node("approve", machineAgent("m", inner), 1).result);
    const process = await room.boot([flow]);
    await room.settled(process.pawl.start(flow, { id: "p", input: 1 }).then(async (r) => r.ended()));
    kill(process);
    expect(seen[0]).toBe("p/approve");
  },
  T,
);

test(
  "what an action says later reaches a run that has left memory, also when the action was done again after a crash",
  async () => {
    const later = Promise.withResolvers<void>();
    const machine = createMachine({
      id: "m",
      initial: "a",
      states: { a: { entry: ({ self }) => void later.promise.then(() => self.send({ type: "LATE" })), on: { LATE: "b" } }, b: {} },
    });
    const room = new MachineRoom();
    const first = await room.boot([machine], { fault: (g) => (g === 1 ? "crashAfter" : undefined) });
    void first.pawl.start(machine, { id: "r" }).catch(() => {});
    await room.clock.until(() => !first.isAlive);
    const process = await room.boot([machine]);
    await room.clock.advance(20_000);
    later.resolve();
    await room.clock.settle();
    const run: any = await room.settled(process.pawl.run("r", machine));
    expect(((await room.settled(run.snapshot())) as any).value).toBe("b");
  },
  T,
);

test(
  "a promise that rejects with an error that has more in it than data: the machine hears the error, not that it cannot be stored",
  async () => {
    class Response {
      status = 503;
    }
    const machine: any = setup({
      actors: {
        call: fromPromise(async () => {
          throw Object.assign(new Error("503 from the service"), { response: new Response() });
        }),
      },
    }).createMachine({
      id: "m",
      context: { e: "" },
      initial: "a",
      states: {
        a: { invoke: { src: "call", onError: { target: "b", actions: assign({ e: ({ event }: any) => event.error.message }) } } },
        b: { type: "final" },
      },
      output: ({ context }: any) => context.e,
    } as any);
    const room = new MachineRoom();
    const process = await room.boot([machine]);
    const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
    expect(await room.settled(run.result())).toContain("503 from the service");
  },
  T,
);

test(
  "start of an id that exists, answered with `unknown`, is a conflict and does not begin the run anew",
  async () => {
    const room = new MachineRoom();
    const begun: unknown[] = [];
    const machine: any = createMachine({
      id: "m",
      context: ({ input }: any) => ({ n: input }),
      initial: "a",
      entry: ({ context }: any) => void begun.push(context.n),
      states: { a: { on: { GO: "b" } }, b: {} },
    } as any);
    let bad = false;
    const plain: any = createMachine({
      id: "plain",
      context: ({ input }: any) => ({ n: input }),
      initial: "a",
      states: { a: { on: { GO: "b" } }, b: {} },
    } as any);
    const process = await room.boot([plain, machine], { fault: () => (bad ? ((bad = false), "unknownLost") : undefined) });
    await room.settled(process.pawl.start(plain, { id: "r", input: 1 }));
    await room.clock.advance(20_000); // it leaves memory
    bad = true;
    const again: any = await settledOr(room, process.pawl.start(plain, { id: "r", input: 2 }), 100_000);
    const run: any = await room.settled(process.pawl.run("r", plain));
    const n = ((await room.settled(run.snapshot())) as any).context.n;
    kill(process);
    expect([again.code, n]).toEqual(["PAWL_RUN_CONFLICT", 1]);
  },
  T,
);

test(
  "who reads a sleeping run while it is started again sees its state, not a fresh one",
  async () => {
    const room = new MachineRoom();
    const machine = createMachine({ id: "m", initial: "a", states: { a: { on: { GO: "b" } }, b: {} } });
    const process = await room.boot([machine]);
    const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
    await room.settled(run.send({ type: "GO" }));
    await room.clock.advance(20_000);
    const starting = process.pawl.start(machine, { id: "r" });
    let value: unknown;
    for (let i = 0; i < 10; i++) {
      await Promise.resolve();
    }
    void run.snapshot().then((s: any) => (value = s.value));
    await room.settled(starting);
    await room.clock.settle();
    expect(value).toBe("b");
  },
  T,
);

test(
  "what a send is told is what was committed",
  async () => {
    const machine: any = createMachine({
      id: "m",
      context: { f: 1 as any },
      initial: "a",
      states: { a: { on: { BAD: { target: "b", actions: assign({ f: () => () => 1 }) } } }, b: {} },
    } as any);
    const room = new MachineRoom();
    const process = await room.boot([machine]);
    const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
    const told = await room.settled(run.send({ type: "BAD" }).catch((e: any) => e.code));
    const state = ((await room.settled(run.actors())) as any)[0].state;
    expect((told as any).value ?? told).toEqual(state);
  },
  T,
);

test(
  "a full disk while a step's run is created does not fail the step",
  async () => {
    const room = new MachineRoom();
    const flow = anyWorkflow(
      "flow",
      (wf) =>
        wf.node(
          "n",
          anyAgent("echo", (x) => x),
          wf.input,
        ).result,
    );
    const machine: any = setup({ actors: { flow: step(flow) } as any }).createMachine({
      id: "m",
      initial: "a",
      states: { a: { invoke: { src: "flow", input: 1, onDone: "ok", onError: "failed" } }, ok: { type: "final" }, failed: { type: "final" } },
    } as any);
    let was = false;
    const process = await room.boot([machine, flow], {
      fault: (_n, commits) => (!was && commits.some((c) => c.runId.includes("/") && c.from === 0) ? ((was = true), "full") : undefined),
    });
    const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
    await settledOr(room, run.ended(), 100_000);
    expect(((await room.settled(run.actors())) as any)[0].state).toBe("ok");
  },
  T,
);

test(
  "the run of a step(agent of a machine) is cancelled when its state is left, whatever crashes",
  async () => {
    const room = new MachineRoom();
    const inner: any = createMachine({ id: "inner", initial: "a", states: { a: { on: { OK: "b" } }, b: { type: "final" } } });
    const outer: any = setup({ actors: { approve: step(machineAgent("approver", inner)) } as any }).createMachine({
      id: "outer",
      initial: "a",
      states: { a: { invoke: { src: "approve", input: 1 }, on: { LEAVE: "b" } }, b: {} },
    } as any);
    let armed = false;
    const process = await room.boot([outer, inner], { fault: () => (armed ? "crashAfter" : undefined) });
    const run: any = await room.settled(process.pawl.start(outer, { id: "r" }));
    await room.clock.settle();
    const child = (await room.settled(process.pawl.list())).find(({ id }) => id !== "r")!;
    armed = true;
    void run.send({ type: "LEAVE" }).catch(() => {});
    await room.clock.until(() => !process.isAlive);
    const next = await room.boot([outer, inner]);
    await room.clock.advance(120_000);
    const status = ((await room.settled(next.pawl.run(child.id).then(async (r) => r.status()))) as any).status;
    kill(next);
    expect(status).toBe("cancelled");
  },
  T,
);

test(
  "a log of an object without a prototype does not end the machine",
  async () => {
    const room = new MachineRoom();
    const machine = createMachine({
      id: "m",
      initial: "a",
      states: { a: { on: { GO: { actions: log(() => Object.groupBy([1, 2], (n) => (n % 2 ? "odd" : "even"))) } } } },
    });
    const process = await room.boot([machine]);
    const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
    await room.settled(run.send({ type: "GO" }));
    await room.clock.settle();
    expect(((await room.settled(run.status())) as any).status).toBe("running");
  },
  T,
);

test(
  "a child whose new state cannot be stored ends as it was then, also after a reload",
  async () => {
    const states: unknown[] = [];
    for (const reload of [false, true]) {
      const room = new MachineRoom();
      const child = createMachine({
        id: "c",
        context: { n: 5 as any },
        initial: "x",
        states: { x: { on: { BAD: { target: "y", actions: assign({ n: () => () => 1 }) } } }, y: {} },
      });
      const machine: any = setup({ actors: { child } }).createMachine({
        id: "m",
        invoke: { src: "child", id: "kid", onError: { actions: () => {} } },
        on: { GO: { actions: sendTo("kid", { type: "BAD" }) } },
      } as any);
      let process = await room.boot([machine]);
      let run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
      await room.clock.settle();
      if (reload) {
        kill(process);
        process = await room.boot([machine]);
        run = await room.settled(process.pawl.run("r", machine));
      }
      await room.settled(run.send({ type: "GO" }).catch(() => {}));
      await room.clock.settle();
      const kid = ((await room.settled(run.actors())) as any).find((a: any) => a.id === "kid");
      states.push([kid.status, kid.state, kid.context]);
      kill(process);
    }
    expect(states[1]).toEqual(states[0]);
  },
  T,
);

test(
  "while the disk is full sends are refused (H12), not kept and called PENDING after 30 s",
  async () => {
    const room = new MachineRoom();
    const machine = createMachine({
      id: "m",
      initial: "a",
      context: { n: 0 },
      states: { a: { on: { GO: { actions: assign({ n: ({ context }) => context.n + 1 }) } } } },
    });
    let full = false;
    const process = await room.boot([machine], { fault: () => (full ? "full" : undefined) });
    const run: any = await room.settled(process.pawl.start(machine, { id: "r" }));
    full = true;
    void run.send({ type: "GO" }).catch(() => {});
    await room.clock.advance(100);
    const from = room.clock.mono();
    const answer = await settledOr(room, run.send({ type: "GO" }), 100_000);
    const took = room.clock.mono() - from;
    kill(process);
    expect([answer.code, took]).toEqual(["PAWL_STORE_FULL", 0]);
  },
  T,
);

test(
  "controls",
  async () => {
    const child = createMachine({ id: "c", on: { HI: {} } });
    const machine: any = setup({ actors: { child } }).createMachine({
      id: "m",
      invoke: { src: "child", id: "kid" },
      on: { POKE: { actions: sendTo("kid", { type: "HI" }) } },
    });
    const room = new MachineRoom();
    const process = await room.boot([machine]);
    await room.settled(process.pawl.start(machine, { id: "r" }));
    kill(process);
    const next = await room.boot([machine]);
    const run: any = await room.settled(next.pawl.run("r", machine));
    await room.settled(run.send({ type: "POKE" }));
    expect(((await room.settled(run.status())) as any).status).toBe("running");
    const done: string[] = [];
    const b: any = createMachine({ id: "b", on: { HI: { actions: ({ event }: any) => void done.push(event.n) } } } as any);
    const a: any = createMachine({ id: "a", on: { GO: { actions: [sendTo(otherRun("b"), { type: "HI", n: "1" } as any)] } } } as any);
    const room2 = new MachineRoom();
    const p2 = await room2.boot([a, b], {
      fault: (_n, commits) => (commits.some((c) => c.runId === "b" && (c.consumed?.length ?? 0) > 0) ? "crashAfter" : undefined),
    });
    await room2.settled(p2.pawl.start(b, { id: "b" }));
    const one: any = await room2.settled(p2.pawl.start(a, { id: "a" }));
    void one.send({ type: "GO" }).catch(() => {});
    await room2.clock.until(() => !p2.isAlive);
    const n2 = await room2.boot([a, b]);
    await room2.clock.settle();
    expect(done).toEqual(["1"]);
    kill(n2);
  },
  T,
);

test("an endless ping-pong can be cancelled", async () => {
  const pong: any = createMachine({ id: "pong", on: { BALL: { actions: sendTo(({ self }: any) => self._parent, { type: "BALL" }) } } } as any);
  const ping: any = setup({ actors: { pong } }).createMachine({
    id: "ping",
    invoke: { src: "pong", id: "pong" },
    on: { BALL: { actions: sendTo("pong", { type: "BALL" }) } },
  } as any);
  const room = new MachineRoom();
  const process = await room.boot([ping]);
  const run: any = await room.settled(process.pawl.start(ping, { id: "endless" }));
  void run.send({ type: "BALL" }).catch(() => {});
  await room.clock.until(() => process.commits > 2);
  let over = false;
  void run.cancel().then(
    () => (over = true),
    () => {},
  );
  await room.clock.until(() => over || process.commits > 14);
  const groups = process.commits;
  kill(process);
  expect([over, groups]).toEqual([true, expect.any(Number)]);
}, 40_000);
