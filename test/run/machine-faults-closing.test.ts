/**
 * Closing, starting and cascades that never rest, where things go wrong at the wrong moment.
 */
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, sendTo, setup } from "xstate";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { otherRun } from "../../src/run/xstate/effects.ts";
import { step } from "../../src/run/xstate/step.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
const busy: any = (wait: (ms: number) => Promise<void>) =>
  setup({ actors: { slow: fromPromise(() => wait(3_000)) } }).createMachine({
    id: "busy",
    initial: "a",
    states: { a: { invoke: { src: "slow", onDone: "b" } }, b: { type: "final" } },
  });
import type { SimProcess } from "../sim/process.ts";

const T = 15_000;
const kill = (p: SimProcess): void => p.kill();
const machineAgent = (name: string, machine: object): any => agent({ name, input: z.any(), output: z.any(), machine });

test(
  "a step of a workflow that begins while pawl closes is not failed by it",
  async () => {
    const room = new MachineRoom();
    let p!: SimProcess;
    const wait = (ms: number): Promise<void> => new Promise((r) => void p.clock.after(ms, r));
    const flow = anyWorkflow(
      "flow",
      (wf) =>
        wf.node(
          "n",
          anyAgent("echo", (x) => x),
          wf.input,
        ).result,
    );
    const machine: any = setup({ actors: { flow: step(flow), slow: fromPromise(() => wait(1_000)) } as any }).createMachine({
      id: "m",
      initial: "z",
      states: {
        z: { invoke: { src: "slow", onDone: "a" } },
        a: { invoke: { src: "flow", input: 1, onDone: "ok", onError: "failed" } },
        ok: { type: "final" },
        failed: { type: "final" },
      },
    } as any);
    const other: any = busy(wait);
    p = await room.boot([machine, flow, other]);
    await room.settled(p.pawl.start(other, { id: "busy" }));
    await room.settled(p.pawl.start(machine, { id: "r" }));
    await room.clock.advance(500);
    await room.settled(p.pawl.close({ graceMs: 5_000 }));
    p = await room.boot([machine, flow, other]);
    const run: any = await room.settled(p.pawl.run("r"));
    await room.settled(run.ended());
    expect(((await room.settled(run.actors())) as any)[0].state).toBe("ok");
  },
  T,
);

test(
  "a child run that ends in the grace of a close does not fail the step that waits for it",
  async () => {
    const room = new MachineRoom();
    let p!: SimProcess;
    const wait = (ms: number): Promise<void> => new Promise((r) => void p.clock.after(ms, r));
    const flow = anyWorkflow(
      "flow",
      (wf) =>
        wf.node(
          "n",
          anyAgent("echo", async (x) => (await wait(1_000), x)),
          wf.input,
        ).result,
    );
    const machine: any = setup({ actors: { flow: step(flow) } as any }).createMachine({
      id: "m",
      initial: "a",
      states: { a: { invoke: { src: "flow", input: 1, onDone: "ok", onError: "failed" } }, ok: { type: "final" }, failed: { type: "final" } },
    } as any);
    const other: any = busy(wait);
    p = await room.boot([machine, flow, other]);
    await room.settled(p.pawl.start(other, { id: "busy" }));
    await room.settled(p.pawl.start(machine, { id: "r" }));
    await room.clock.advance(500);
    await room.settled(p.pawl.close({ graceMs: 5_000 }));
    p = await room.boot([machine, flow, other]);
    const run: any = await room.settled(p.pawl.run("r"));
    await room.settled(run.ended());
    const child = (await room.settled(p.pawl.list())).find(({ id }) => id !== "r" && id !== "busy")!;
    expect([child.status, ((await room.settled(run.actors())) as any)[0].state]).toEqual(["completed", "ok"]);
  },
  T,
);

test(
  "the same for a node whose agent is a machine: no attempt is spent",
  async () => {
    const room = new MachineRoom();
    let p!: SimProcess;
    const wait = (ms: number): Promise<void> => new Promise((r) => void p.clock.after(ms, r));
    const inner: any = setup({ actors: { slow: fromPromise(() => wait(1_000)) } }).createMachine({
      id: "inner",
      initial: "a",
      states: { a: { invoke: { src: "slow", onDone: "b" } }, b: { type: "final" } },
      output: 5,
    } as any);
    const flow = anyWorkflow("flow", (wf) => wf.node("n", machineAgent("im", inner), 1).result);
    const other: any = busy(wait);
    p = await room.boot([flow, other]);
    await room.settled(p.pawl.start(other, { id: "busy" }));
    await room.settled(p.pawl.start(flow, { id: "r", input: 1 }));
    await room.clock.advance(500);
    await room.settled(p.pawl.close({ graceMs: 5_000 }));
    p = await room.boot([flow, other]);
    const run: any = await room.settled(p.pawl.run("r"));
    const end: any = await room.settled(run.ended());
    expect([end.status, end.failure?.code]).toEqual(["completed", undefined]);
  },
  T,
);

test(
  "an event from a machine cannot cancel another run",
  async () => {
    const room = new MachineRoom();
    const b = createMachine({ id: "b", on: { HI: {} } });
    const a: any = createMachine({
      id: "a",
      on: {
        GO: { actions: sendTo(otherRun("b"), (() => "cancel") as any) },
        LATER: { actions: sendTo(otherRun("b"), (() => "cancel") as any, { delay: 10 }) },
      },
    } as any);
    const p = await room.boot([a, b]);
    const two: any = await room.settled(p.pawl.start(b, { id: "b" }));
    const one: any = await room.settled(p.pawl.start(a, { id: "a" }));
    await room.settled(one.send({ type: "LATER" }).catch(() => {}));
    await room.clock.advance(100);
    expect(((await room.settled(two.status())) as any).status).toBe("running");
  },
  T,
);

test(
  "a commit of a cascade that never rests has no more than some thousand turns",
  async () => {
    const pong: any = createMachine({ id: "pong", on: { BALL: { actions: sendTo(({ self }: any) => self._parent, { type: "BALL" }) } } } as any);
    const ping: any = setup({ actors: { pong } }).createMachine({
      id: "ping",
      invoke: { src: "pong", id: "pong" },
      on: { BALL: { actions: sendTo("pong", { type: "BALL" }) } },
    } as any);
    const room = new MachineRoom();
    const turns: number[] = [];
    const p = await room.boot([ping], { onApplied: (group) => void turns.push(...group.map((c) => JSON.parse(c.history).length)) });
    const run: any = await room.settled(p.pawl.start(ping, { id: "endless" }));
    void run.send({ type: "BALL" }).catch(() => {});
    await room.clock.until(() => turns.length > 12);
    kill(p);
    expect(Math.max(...turns)).toBeLessThanOrEqual(2_000);
  },
  T,
);

test(
  "a post that comes while its run is being loaded is delivered at once",
  async () => {
    const room = new MachineRoom();
    const b = createMachine({ id: "b", context: { n: 0 }, on: { HI: { actions: assign({ n: ({ context }: any) => context.n + 1 }) } } } as any);
    const a: any = createMachine({ id: "a", on: { GO: { actions: sendTo(otherRun("b"), { type: "HI" } as any) } } } as any);
    let slow = false;
    const gates: (() => void)[] = [];
    const p = await room.boot([a, b], {
      wrap: (store) =>
        new Proxy(store, {
          get: (inner: any, key) =>
            key !== "readInbox"
              ? inner[key]
              : async (id: string, after: number, limit: number) => {
                  const rows = await inner.readInbox(id, after, limit);
                  if (slow && id === "b") {
                    slow = false;
                    await new Promise<void>((r) => gates.push(r));
                  }
                  return rows;
                },
        }),
    });
    const two: any = await room.settled(p.pawl.start(b as any, { id: "b" }));
    const one: any = await room.settled(p.pawl.start(a, { id: "a" }));
    await room.clock.advance(20_000);
    slow = true;
    void two.send({ type: "HI" }); // loads it, slowly
    await room.clock.settle();
    await room.settled(one.send({ type: "GO" }));
    gates.forEach((open) => open());
    await room.clock.settle();
    expect(((await room.settled(two.snapshot())) as any).context.n).toBe(2);
  },
  T,
);
