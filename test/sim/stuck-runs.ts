/**
 * Runs that are stuck, one for each way to be: a node, or a machine, that does not move, somewhere in a workflow of any
 * shape; and the cause that is true of it.
 */
import { setup } from "xstate";
import { z } from "zod";
import { type Startable, type WorkflowBuilder, step } from "../../src/index.ts";
import { durable } from "../../src/run/xstate/durable.ts";
import { type MachineRoom, anyAgent, anyWorkflow, never } from "./machine-room.ts";
import type { SimProcess } from "./process.ts";

/** What is around the node that is stuck. */
export interface Around {
  readonly before: number;
  readonly after: number;
  readonly beside: number;
}

/** The kinds of causes from the run that is asked about down to the one that all follows from, and the node it is about. */
export interface Truth {
  readonly runId: string;
  readonly kinds: readonly string[];
  readonly node?: string;
  readonly recoverable: boolean;
  /** Another cause of the run, and the nodes that it is told of. */
  readonly also?: { readonly kind: string; readonly nodes: readonly string[] };
  /** A kind beneath the first cause, of the same node. */
  readonly beneath?: string;
  /** What is to be typed. */
  readonly next: string;
}

const echo = anyAgent("echo", (input) => input);
const hangs = anyAgent("hangs", never, { timeout: "10d" });
const broken = anyAgent("broken", () => Promise.reject(Object.assign(new Error("no key"), { code: "NO_KEY" })), { retry: { maxAttempts: 1 } });
const shaky = anyAgent("shaky", () => Promise.reject(new Error("busy")), {
  retry: { maxAttempts: 9, initialInterval: "1h", maxInterval: "1h", jitter: "none" },
});

type Options = Parameters<WorkflowBuilder<any>["node"]>[3] & { readonly after: never[] };
type Culprit = (wf: WorkflowBuilder<any>, options: Options) => unknown;

/** A workflow in which `culprit` is stuck, so that `d0`, `d1` … never start. */
function around(
  { before, after, beside }: Around,
  culprit: Culprit,
  options: Parameters<typeof anyWorkflow>[2] = {},
  name = "flow",
): ReturnType<typeof anyWorkflow> {
  return anyWorkflow(
    name,
    (wf) => {
      let last: any[] = [];
      for (let i = 0; i < before; i++) last = [wf.node(`b${i}`, echo, i, { after: last })];
      for (let i = 0; i < beside; i++) wf.node(`s${i}`, echo, i);
      last = [culprit(wf, { after: last as never[] })];
      for (let i = 0; i < after; i++) last = [wf.node(`d${i}`, echo, i, { after: last })];
      return null;
    },
    options,
  );
}

interface Play {
  readonly room: MachineRoom;
  readonly spec: Around;
}

/** Starts a run of it, and waits until nothing moves any more. */
async function started(
  { room }: Play,
  flow: Startable,
  options: { delay?: number; maxConcurrentAttempts?: number; others?: readonly Startable[] } = {},
): Promise<SimProcess> {
  const { delay, others = [], ...more } = options;
  const process = await room.boot([flow, ...others], more);
  await room.settled(process.pawl.start(flow as never, { id: "r", input: {}, ...(delay !== undefined && { delay }) } as never));
  await room.clock.advance(100);
  return process;
}

const atCulprit = (kind: string, next: string, recoverable = true): Truth => ({ runId: "r", kinds: [kind], node: "culprit", recoverable, next });
const ofRun = (kind: string, next: string, recoverable = true): Truth => ({ runId: "r", kinds: [kind], recoverable, next });
const WAIT = "nothing is to be done but wait";

const waiting: Culprit = (wf, options) => wf.event("culprit", z.any(), options as never);
const hanging: Culprit = (wf, options) => wf.node("culprit", hangs, 1, options);

/** A machine with one state for each thing that a machine can wait for. */
const machines = {
  event: setup({}).createMachine({ id: "door", initial: "shut", states: { shut: { on: { KNOCK: "open" } }, open: { type: "final" } } }),
  timer: setup({}).createMachine({ id: "egg", initial: "raw", states: { raw: { after: { 7_200_000: "done" } }, done: { type: "final" } } }),
  work: setup({ actors: { hangs: step(hangs as never) } }).createMachine({
    id: "desk",
    initial: "busy",
    states: { busy: { invoke: { id: "culprit", src: "hangs" as never } } },
  }),
  retry: setup({ actors: { shaky: step(shaky as never) } }).createMachine({
    id: "line",
    initial: "busy",
    states: { busy: { invoke: { id: "culprit", src: "shaky" as never } } },
  }),
  failed: setup({ actors: { broken: step(broken as never) } }).createMachine({
    id: "wreck",
    initial: "busy",
    states: { busy: { invoke: { src: "broken" as never } } },
  }),
  nowhere: setup({}).createMachine({ id: "cell", initial: "inside", states: { inside: {} } }),
} as const;

/** Each way to be stuck. */
export const STUCK: Readonly<Record<string, (play: Play) => Promise<Truth>>> = {
  async failed(play) {
    await started(
      play,
      around(play.spec, (wf, options) => wf.node("culprit", broken, 1, options)),
    );
    const blocked = Array.from({ length: play.spec.after }, (_, i) => `d${i}`);
    return { ...atCulprit("failed", "`pawl retry r`"), also: { kind: "blocked", nodes: blocked } };
  },
  async "waits for an event"(play) {
    await started(play, around(play.spec, waiting));
    return atCulprit("waitsForEvent", "`pawl send r culprit`");
  },
  async "waits for a retry"(play) {
    await started(
      play,
      around(play.spec, (wf, options) => wf.node("culprit", shaky, 1, options)),
    );
    return atCulprit("waitsForRetry", WAIT);
  },
  async "is at work"(play) {
    await started(play, around(play.spec, hanging));
    return atCulprit("running", WAIT);
  },
  async "waits for its turn"(play) {
    const hog = anyWorkflow("hog", (wf) => wf.node("hog", hangs, 1).result);
    const flow = around({ before: 0, after: play.spec.after, beside: 0 }, (wf, options) => wf.node("culprit", echo, 1, options));
    const process = await play.room.boot([hog, flow], { maxConcurrentAttempts: 1 });
    await play.room.settled(process.pawl.start(hog, { id: "h", input: {} }));
    await play.room.clock.advance(100);
    await play.room.settled(process.pawl.start(flow, { id: "r", input: {} }));
    await play.room.clock.advance(100);
    return atCulprit("queued", "start another worker");
  },
  async "waits for a limit"(play) {
    const slow = anyAgent("slow", never, { timeout: "10d", concurrency: 1 });
    const hog = anyWorkflow("hog", (wf) => wf.node("hog", slow, 1).result);
    const flow = around(play.spec, (wf, options) => wf.node("culprit", slow, 1, options));
    const { pawl } = await play.room.boot([hog, flow]);
    await play.room.settled(pawl.start(hog, { id: "h", input: {} }));
    await play.room.clock.advance(100);
    await play.room.settled(pawl.start(flow, { id: "r", input: {} }));
    await play.room.clock.advance(2_000);
    return atCulprit("limit", "`pawl limits set agent:slow 2`");
  },
  async "waits for an open circuit breaker"(play) {
    const ill = anyAgent("ill", () => Promise.reject(new Error("busy")), {
      retry: { maxAttempts: 9, initialInterval: 1 },
      breaker: { failureThreshold: 1, onOpen: "wait" },
    });
    await started(
      play,
      around(play.spec, (wf, options) => wf.node("culprit", ill, 1, options)),
    );
    await play.room.clock.advance(2_000);
    return atCulprit("circuitOpen", "`pawl breaker reset ill`");
  },
  async "is paused"(play) {
    const { pawl } = await started(play, around(play.spec, waiting));
    await play.room.settled((await pawl.run("r")).pause());
    return ofRun("paused", "`pawl resume r`");
  },
  async "has no worker"(play) {
    (await started(play, around(play.spec, hanging))).kill();
    // what ran in the worker is cut off: it is not at work
    return { ...ofRun("noWorker", "`pawl work FILE`"), also: { kind: "running", nodes: [] } };
  },
  async "its definition is missing"(play) {
    (await started(play, around(play.spec, hanging))).kill();
    await play.room.boot([anyWorkflow("other", (wf) => wf.node("n", echo, 1).result)]);
    await play.room.clock.advance(100);
    return ofRun("definitionMissing", '"flow": `pawl work FILE`');
  },
  async "its definition is another"(play) {
    (await started(play, around(play.spec, hanging))).kill();
    await play.room.boot([around({ ...play.spec, beside: play.spec.beside + 1 }, hanging)]);
    await play.room.clock.advance(100);
    return ofRun("definitionChanged", "open(url, { workflows })");
  },
  async "was set aside"(play) {
    (await started(play, around(play.spec, hanging))).kill();
    const { store, clock } = play.room;
    await store.closeEpoch((await store.readRun("r"))!.epoch);
    const epoch = await store.openEpoch(clock.now(), "{}");
    await store.quarantine((await store.claimRun(epoch, "r", clock.now()))!.epoch, "r", "PAWL_ROW_CORRUPT: a row is damaged", clock.now());
    await store.closeEpoch(epoch);
    return ofRun("quarantined", "`pawl doctor --full`", false);
  },
  async "reached its timeout"(play) {
    await started(play, around(play.spec, hanging, { timeout: 1_000 }));
    await play.room.clock.advance(2_000);
    return ofRun("timedOut", "`pawl resume r`");
  },
  async "reached its timeout, and failed"(play) {
    await started(play, around(play.spec, hanging, { timeout: 1_000, onTimeout: "abort" }));
    await play.room.clock.advance(2_000);
    return ofRun("timedOut", "`pawl resume r`");
  },
  async "was cancelled"(play) {
    const { pawl } = await started(play, around(play.spec, hanging));
    await play.room.settled((await pawl.run("r")).cancel());
    return ofRun("cancelled", "`pawl resume r`");
  },
  async "is being undone"(play) {
    await started(
      play,
      around(play.spec, (wf, options) => wf.node("culprit", broken, 1, { ...options, onFail: "compensate", compensate: hangs })),
    );
    return { runId: "r", kinds: ["compensating", "failed"], node: "culprit", recoverable: true, next: "`pawl cancel r --now`" };
  },
  async "is being undone, and that is tried again"(play) {
    const flow = around(play.spec, (wf, { after }) => wf.event("wait", z.any(), { after: [wf.node("culprit", echo, 1, { after, compensate: shaky })] }));
    const { pawl } = await started(play, flow);
    // it is cancelled when all is undone
    void (await pawl.run("r")).cancel().catch(() => {});
    await play.room.clock.advance(100);
    return { runId: "r", kinds: ["compensating", "cancelled"], recoverable: true, next: "`pawl cancel r --now`", beneath: "waitsForRetry" };
  },
  async "was undone, for it was cancelled"(play) {
    const flow = around(play.spec, (wf, { after }) => wf.event("wait", z.any(), { after: [wf.node("culprit", echo, 1, { after, compensate: echo })] }));
    const { pawl } = await started(play, flow);
    await play.room.settled((await pawl.run("r")).cancel());
    await play.room.clock.advance(100);
    return ofRun("cancelled", "start it again", false);
  },
  async "was undone, for a node failed"(play) {
    await started(
      play,
      around(play.spec, (wf, options) => wf.node("culprit", broken, 1, { ...options, onFail: "compensate" })),
    );
    return atCulprit("failed", "start it again", false);
  },
  async "was undone, also the node that failed"(play) {
    await started(
      play,
      around(play.spec, (wf, options) => wf.node("culprit", broken, 1, { ...options, onFail: "compensate", compensate: echo })),
    );
    return atCulprit("failed", "start it again", false);
  },
  async "its group failed"(play) {
    await started(
      play,
      around(play.spec, (wf, options) => wf.map("culprit", wf.input.none, echo, (item) => item, options)),
    );
    return atCulprit("failed", "`pawl fork r --from culprit");
  },
  async "could not be undone"(play) {
    const flow = around(play.spec, (wf, { after }) => wf.event("wait", z.any(), { after: [wf.node("culprit", echo, 1, { after, compensate: broken })] }));
    const { pawl } = await started(play, flow);
    await play.room.settled((await pawl.run("r")).cancel());
    await play.room.clock.advance(100);
    return { ...ofRun("cancelled", "start it again", false), also: { kind: "compensationFailed", nodes: ["culprit"] } };
  },
  async "was started for later"(play) {
    await started(play, around(play.spec, hanging), { delay: 3_600_000 });
    return ofRun("pendingStart", "`pawl cancel r`");
  },
  async "waits for a run of its own"(play) {
    const child = around(play.spec, waiting, {}, "child");
    await started(
      play,
      around(play.spec, (wf, options) => wf.run("culprit", child, {}, options)),
    );
    return { runId: "r", kinds: ["waitsForRun", "waitsForEvent"], node: "culprit", recoverable: true, next: "`pawl send r/culprit culprit`" };
  },
  async "a run of its own failed"(play) {
    const child = around(play.spec, (wf, options) => wf.node("culprit", broken, 1, options), {}, "child");
    await started(
      play,
      around(play.spec, (wf, options) => wf.run("culprit", child, {}, options)),
    );
    return { runId: "r", kinds: ["failed", "failed"], node: "culprit", recoverable: true, next: "`pawl retry r/culprit`" };
  },
  async "waits for another run, which is paused"(play) {
    const other = around({ before: 0, after: 0, beside: 0 }, waiting, {}, "other");
    const flow = around({ ...play.spec, before: play.spec.before + 1 }, (wf, options) => wf.resultOf("culprit", other, wf.input.other, options));
    const { pawl } = await play.room.boot([flow, other]);
    await play.room.settled(pawl.start(other, { id: "o", input: {} }));
    await play.room.settled((await pawl.run("o")).pause());
    await play.room.settled(pawl.start(flow, { id: "r", input: { other: "o" } }));
    await play.room.clock.advance(100);
    return { runId: "r", kinds: ["waitsForRun", "paused"], node: "culprit", recoverable: true, next: "`pawl resume o`" };
  },
  async "waits for a run that waits for it"(play) {
    const links: ReturnType<typeof anyWorkflow>[] = [];
    const other = anyWorkflow("other", () => null);
    const length = 2 + (play.spec.beside % 3);
    for (let i = 0; i < length; i++) {
      const next = i === length - 1 ? "r" : `r${i + 1}`;
      links.push(around({ ...play.spec, before: 1 }, (wf, options) => wf.resultOf("culprit", other, next, options), {}, `link${i}`));
    }
    const { pawl } = await play.room.boot(links);
    await Promise.all(links.map((link, i) => play.room.settled(pawl.start(link, { id: i === 0 ? "r" : `r${i}`, input: {} }))));
    await play.room.clock.advance(100);
    return { runId: "r", kinds: [...links.map(() => "waitsForRun"), "deadlock"], recoverable: false, node: "culprit", next: "`pawl cancel r`" };
  },
  async "waited for a run that does not exist"(play) {
    const other = anyWorkflow("other", () => null);
    await started(
      play,
      around(play.spec, (wf, options) => wf.resultOf("culprit", other, "nobody", options)),
    );
    return { runId: "r", kinds: ["failed", "runMissing"], node: "culprit", recoverable: true, next: "`pawl start FILE --id nobody`" };
  },
  async "belongs to a run that has ended"(play) {
    const child = around(play.spec, waiting, {}, "child");
    const flow = around(play.spec, (wf, options) => wf.run("culprit", child, {}, options));
    (await started(play, flow)).kill();
    const { pawl } = await play.room.boot([], { execute: false });
    await play.room.settled((await pawl.run("r")).cancel({ now: true }));
    return { runId: "r/culprit", kinds: ["parentEnded"], recoverable: false, next: "`pawl cancel r/culprit --now`" };
  },
  async "a machine waits for an event"(play) {
    await started(play, machines.event);
    return ofRun("waitsForEvent", "`pawl send r KNOCK`");
  },
  async "a machine waits for a timer"(play) {
    await started(play, machines.timer);
    return ofRun("waitsForTimer", WAIT);
  },
  async "a machine is at work"(play) {
    await started(play, machines.work);
    return ofRun("running", WAIT);
  },
  async "a machine waits for a retry"(play) {
    await started(play, machines.retry);
    return ofRun("waitsForRetry", WAIT);
  },
  async "a machine failed"(play) {
    await started(play, machines.failed);
    return ofRun("failed", "`pawl show r --checkpoints`", false);
  },
  async "a machine takes no event"(play) {
    await started(play, machines.nowhere);
    return ofRun("waitsForEvent", "`pawl cancel r`");
  },
  async "a machine waits for a run of its own"(play) {
    const child = around(play.spec, waiting, {}, "child");
    const parent = setup({ actors: { child: step(child as never) } }).createMachine({
      id: "boss",
      initial: "on",
      states: { on: { invoke: { id: "culprit", src: "child" as never, input: {} as never } } },
    });
    await started(play, parent);
    const id = "r/culprit~3";
    return { runId: "r", kinds: ["waitsForRun", "waitsForEvent"], recoverable: true, next: `\`pawl send ${id} culprit\`` };
  },
  async "a machine is paused"(play) {
    const { pawl } = await started(play, machines.event);
    await play.room.settled((await pawl.run("r")).pause());
    return ofRun("paused", "`pawl resume r`");
  },
  async "a machine has no worker"(play) {
    (await started(play, machines.work)).kill();
    return ofRun("noWorker", "`pawl work FILE`");
  },
  async "a machine's definition is another, and its migrate does not fit"(play) {
    (await started(play, machines.work)).kill();
    const desk = setup({}).createMachine({ id: "desk", initial: "free", states: { free: { on: { GO: "gone" } }, gone: {} } });
    await play.room.boot([durable(desk, { migrate: ({ context }) => ({ value: "nowhere", context }) })]);
    await play.room.clock.advance(100);
    return ofRun("definitionChanged", "`migrate`");
  },
};
