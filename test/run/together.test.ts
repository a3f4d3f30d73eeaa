/**
 * Runs together: a node whose agent is a machine, a machine that invokes a workflow, runs that send to each other, and a
 * cascade that never rests.
 */
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, sendTo, setup } from "xstate";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { otherRun } from "../../src/run/xstate/effects.ts";
import { step } from "../../src/run/xstate/step.ts";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import type { Startable } from "../../src/run/startable.ts";
import { MachineRoom, anyAgent, anyWorkflow } from "../sim/machine-room.ts";
import { type Fault, SimProcess } from "../sim/process.ts";

/** Plays a story in processes of which each crashes one commit later than the one before it, until one lives to the end. */
async function throughCrashes(
  workflows: readonly Startable[],
  story: (process: SimProcess) => Promise<unknown>,
): Promise<{ result: unknown; crashes: number }> {
  const room = new MachineRoom();
  let crashes = 0;
  for (let life = 0; life < 500; life++) {
    const fault = (group: number): Fault | undefined => (group === (life >> 1) + 1 ? (life % 2 === 0 ? "crashBefore" : "crashAfter") : undefined);
    const process = new SimProcess({ clock: room.clock, store: room.store, seed: life, workflows, fault });
    let end: { result: unknown } | undefined;
    let failure: unknown;
    process
      .boot()
      .then(() => story(process))
      .then(
        (result) => (end = { result }),
        (error: unknown) => (failure = error),
      );
    await room.clock.until(() => !process.isAlive || end !== undefined || failure !== undefined);
    if (end !== undefined) return { result: end.result, crashes };
    if (process.isAlive) throw failure;
    crashes++;
    await room.clock.advance(700_000);
  }
  throw new Error("it never ends");
}

const approval = createMachine({
  id: "approval",
  context: ({ input }: any) => ({ doc: input.doc, by: "" }),
  initial: "waiting",
  states: {
    waiting: { on: { APPROVE: { target: "approved", actions: assign({ by: ({ event }: any) => event.by }) } }, after: { 60_000: "late" } },
    approved: { type: "final" },
    late: { type: "final" },
  },
  output: ({ context }: any) => ({ doc: context.doc, by: context.by }),
} as any);

const approver = agent({ name: "approver", input: z.object({ doc: z.string() }), output: z.object({ doc: z.string(), by: z.string() }), machine: approval });
const publish = anyAgent("publish", (input) => `published ${input.doc} by ${input.by}`);
const publishing = anyWorkflow("publishing", (wf) => wf.node("publish", publish, wf.node("approve", approver, { doc: wf.input.doc }).result).result);

test("a node whose agent is a machine is a run of its own, addressed by the node; its output is the result", async () => {
  const room = new MachineRoom();
  const process = await room.boot([publishing]);
  const run = await room.settled(process.pawl.start(publishing, { id: "p", input: { doc: "d" } }));
  await room.clock.settle();
  const child = (await room.settled(process.pawl.run("p/approve", approval))) as MachineHandle<any>;
  expect(await room.settled(child.send({ type: "APPROVE", by: "ana" } as never))).toMatchObject({ handled: true });
  expect(await room.settled(run.result())).toBe("published d by ana");
  const failing = anyWorkflow(
    "failing",
    (wf) =>
      wf.node(
        "n",
        anyMachineAgent(
          createMachine({
            id: "bad",
            entry: assign(() => {
              throw new Error("broken");
            }),
          }),
        ),
        1,
      ).result,
  );
  await expect(room.settled(process.pawl.start(failing, { id: "f", input: 1 }).then(async (failed) => failed.result()))).rejects.toMatchObject({
    message: expect.stringContaining("broken"),
  });
  expect(await room.settled(process.pawl.list())).toHaveLength(4);
});

const anyMachineAgent = (machine: object): any => agent({ name: "any", input: z.any(), output: z.any(), machine });

test("cancelling a parent run cancels the run of its node; closing does not; waiting for it holds no permit", async () => {
  const room = new MachineRoom();
  const process = await room.boot([publishing], { maxConcurrentAttempts: 1 });
  await room.settled(process.pawl.start(publishing, { id: "a", input: { doc: "a" } }));
  await room.settled(process.pawl.start(publishing, { id: "b", input: { doc: "b" } }));
  await room.clock.settle();
  for (const id of ["a/approve", "b/approve"]) expect((await room.settled(process.pawl.run(id).then(async (run) => run.status()))).status).toBe("running");
  await room.settled(process.pawl.run("a").then(async (run) => run.cancel()));
  await room.clock.settle();
  expect((await room.settled(process.pawl.run("a/approve").then(async (run) => run.ended()))).status).toBe("cancelled");
  await room.settled(process.pawl.close({ graceMs: 10 }));
  const next = await room.boot([publishing, approval]);
  await room.clock.settle();
  expect((await room.settled(next.pawl.run("b/approve").then(async (run) => run.status()))).status).toBe("running");
  const child = (await room.settled(next.pawl.run("b/approve", approval))) as MachineHandle<any>;
  await room.settled(child.send({ type: "APPROVE", by: "eva" } as never));
  expect(await room.settled(next.pawl.run("b").then(async (run) => run.result()))).toBe("published b by eva");
});

test("parent and child go through a crash before and after every commit, and nothing is lost or done twice", async () => {
  const { result, crashes } = await throughCrashes([publishing, approval], async (process) => {
    const run = await process.pawl.start(publishing, { id: "p", input: { doc: "d" } });
    for (;;) {
      const child = await process.pawl.run("p/approve", approval).catch(() => undefined);
      if (child !== undefined) {
        await (child as MachineHandle<any>).send({ type: "APPROVE", by: "ana" } as never, { eventId: "e" }).catch(() => {});
        break;
      }
      await new Promise<void>((resolve) => process.clock.soon(resolve));
    }
    return run.result();
  });
  expect(result).toBe("published d by ana");
  expect(crashes).toBeGreaterThan(3);
});

test("a machine invokes a workflow of nodes: its output, its failure, and its cancel when the state is left", async () => {
  const doubled = anyWorkflow(
    "doubled",
    (wf) =>
      wf.node(
        "double",
        anyAgent("double", (n: number) => n * 2),
        wf.input,
      ).result,
  );
  const hanging = anyWorkflow(
    "hanging",
    (wf) =>
      wf.node(
        "hang",
        anyAgent("hang", () => new Promise(() => {})),
        wf.input,
      ).result,
  );
  const failing = anyWorkflow(
    "failing",
    (wf) =>
      wf.node(
        "fail",
        anyAgent(
          "fail",
          () => {
            throw new Error("no");
          },
          { retry: { maxAttempts: 1 } },
        ),
        wf.input,
      ).result,
  );
  const machine: any = setup({ actors: { doubled: step(doubled), hanging: step(hanging), failing: step(failing) } }).createMachine({
    id: "caller",
    context: { got: 0, error: "" },
    initial: "calling",
    states: {
      calling: {
        invoke: { src: "doubled", id: "child", input: 21, onDone: { target: "failing", actions: assign({ got: ({ event }: any) => event.output }) } },
      },
      failing: { invoke: { src: "failing", input: 1, onError: { target: "hanging", actions: assign({ error: ({ event }: any) => event.error.code }) } } },
      hanging: { invoke: { src: "hanging", id: "hangs", input: 1 }, on: { LEAVE: "left" } },
      left: { type: "final" },
    },
    output: ({ context }: any) => context,
  } as any);
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = (await room.settled(process.pawl.start(machine, { id: "m" }))) as MachineHandle<any>;
  await room.settled(run.waitFor((snapshot: any) => snapshot.matches("hanging")));
  await room.clock.settle();
  const [hangs] = (await room.settled(process.pawl.list())).filter(({ workflow }) => workflow === "hanging");
  expect(hangs!.id).toMatch(/^m\/hangs~\d+$/);
  await room.settled(run.send({ type: "LEAVE" }));
  expect(await room.settled(run.result())).toEqual({ got: 42, error: "PAWL_RUN_FAILED" });
  expect((await room.settled(process.pawl.run(hangs!.id).then(async (child) => child.ended()))).status).toBe("cancelled");
  const { result } = await throughCrashes([machine, doubled, failing, hanging], async (crashing) => {
    const again = (await crashing.pawl.start(machine, { id: "m" })) as MachineHandle<any>;
    await again.waitFor((snapshot: any) => snapshot.matches("hanging") || snapshot.status === "done");
    await again.send({ type: "LEAVE" }, { eventId: "leave" }).catch(() => {});
    const output = await again.result();
    // the last state is left at once: its run may not have been created
    const runs = (await crashing.pawl.list()).filter(({ workflow }) => workflow !== "hanging");
    return { output, runs: runs.map(({ workflow }) => workflow).toSorted() };
  });
  expect(result).toEqual({ output: { got: 42, error: "PAWL_RUN_FAILED" }, runs: ["caller", "doubled", "failing"] });
});

const player = (other: string): any =>
  createMachine({
    id: `player-${other}`,
    context: { hits: [] as number[] },
    on: {
      BALL: {
        actions: [
          assign({ hits: ({ context, event }: any) => [...context.hits, event.left] }),
          sendTo(otherRun(other), ({ event }: any) => (event.left > 0 ? { type: "BALL", left: event.left - 1 } : { type: "UNKNOWN" })),
        ],
      },
      DONE: { actions: () => {} },
    },
  } as any);

test("two runs send to each other: each event arrives once, in order, whatever crashes; what is not declared is dropped", async () => {
  const [a, b] = [player("b"), player("a")];
  const { result, crashes } = await throughCrashes([a, b], async (process) => {
    const [one, two] = [await process.pawl.start(a, { id: "a" }), await process.pawl.start(b, { id: "b" })] as [MachineHandle<any>, MachineHandle<any>];
    await one.send({ type: "BALL", left: 7 } as never, { eventId: "serve" });
    await two.waitFor((snapshot: any) => snapshot.context.hits.length === 4);
    return [(await one.snapshot()).context.hits, (await two.snapshot()).context.hits];
  });
  expect(result).toEqual([
    [7, 5, 3, 1],
    [6, 4, 2, 0],
  ]);
  expect(crashes).toBeGreaterThan(3);
});

test("a cascade that never rests goes on in one commit after the other, and leaves room for other runs", async () => {
  const pong: any = createMachine({
    id: "pong",
    context: { n: 0 },
    on: {
      BALL: {
        actions: [assign({ n: ({ context }: any) => context.n + 1 }), ({ self }: any) => void self, sendTo(({ self }: any) => self._parent, { type: "BALL" })],
      },
    },
  } as any);
  const ping: any = setup({ actors: { pong } }).createMachine({
    id: "ping",
    context: { n: 0 },
    invoke: { src: "pong", id: "pong" },
    on: { BALL: { actions: [assign({ n: ({ context }: any) => context.n + 1 }), sendTo("pong", { type: "BALL" })] } },
  } as any);
  const room = new MachineRoom();
  const quick = anyWorkflow(
    "quick",
    (wf) =>
      wf.node(
        "n",
        anyAgent("echo", (value) => value),
        wf.input,
      ).result,
  );
  const process = await room.boot([ping, quick]);
  const run = (await room.settled(process.pawl.start(ping, { id: "endless" }))) as MachineHandle<any>;
  const sent = run.send({ type: "BALL" }).catch((error: unknown) => error);
  for (let i = 0; i < 40; i++) await new Promise<void>((resolve) => void room.clock.until(() => true).then(resolve));
  const other = process.pawl.start(quick, { id: "quick", input: 5 }).then(async (started) => started.result());
  let isDone = false;
  void other.then(() => (isDone = true));
  await room.clock.until(() => isDone);
  const before = (await run.snapshot()).context.n;
  expect(before).toBeGreaterThan(100);
  process.kill();
  const next = await room.boot([ping, quick]);
  const again = (await next.pawl.run("endless", ping)) as MachineHandle<any>;
  let after = 0;
  await room.clock.until(() => {
    void again.snapshot().then((snapshot: any) => (after = snapshot.context.n));
    return after > before + 1_000;
  });
  next.kill();
  void sent;
}, 30_000);

test("an always loop is an error with a name, and ends its run", async () => {
  const loop: any = createMachine({ id: "loop", initial: "a", states: { a: { on: { GO: "b" } }, b: { always: "c" }, c: { always: "b" } } });
  const room = new MachineRoom();
  const process = await room.boot([loop]);
  const run = (await room.settled(process.pawl.start(loop, { id: "l" }))) as MachineHandle<any>;
  await room.settled(run.send({ type: "GO" }));
  await expect(room.settled(run.result())).rejects.toMatchObject({ code: "PAWL_RUN_FAILED", message: expect.stringContaining("Infinite loop") });
});

test("a promise that gives what cannot be stored fails with the path, and its parent can handle it", async () => {
  const machine: any = setup({ actors: { bad: fromPromise(async () => ({ fn: () => 1 }) as any) } }).createMachine({
    id: "bad",
    context: { error: "" },
    initial: "a",
    states: {
      a: { invoke: { src: "bad", onError: { target: "b", actions: assign({ error: ({ event }: any) => event.error.message }) } } },
      b: { type: "final" },
    },
    output: ({ context }: any) => context.error,
  } as any);
  const room = new MachineRoom();
  const process = await room.boot([machine]);
  const run = (await room.settled(process.pawl.start(machine, { id: "b" }))) as MachineHandle<any>;
  expect(await room.settled(run.result())).toBe("cannot store a function at data.fn");
  const context: any = createMachine({ id: "context", context: { f: 1 }, on: { BAD: { actions: assign({ f: () => () => 1 }) } } } as any);
  const other = (await room.settled(process.pawl.start(context, { id: "c" }))) as MachineHandle<any>;
  void other.send({ type: "BAD" }).catch(() => {});
  await expect(room.settled(other.result())).rejects.toMatchObject({ message: expect.stringContaining("cannot store a function at context.f") });
});
