/**
 * What is asked of a run through its inbox: how rows are read, which are taken, and what the commit that consumes them
 * answers. And runs that were made without a worker.
 */
import { describe, expect, test } from "vitest";
import { type AnyStateMachine, assign, fromCallback, sendParent, sendTo, setup } from "xstate";
import { z } from "zod";
import { encode } from "../../src/run/codec.ts";
import { type Definition, beginRun, definitionOf, loadRun } from "../../src/run/definition.ts";
import { cancelBody, type HostedRun, type RunSeams, unhosted } from "../../src/run/hosted-run.ts";
import { checkedInbox } from "../../src/run/inbox-events.ts";
import { viewActors } from "../../src/run/machine-view.ts";
import { MachineRun } from "../../src/run/machine-run.ts";
import { pendingCommit } from "../../src/run/pending.ts";
import { type InboxItem, type Request, readReply, requestText } from "../../src/run/requests.ts";
import type { SendResult } from "../../src/run/sends.ts";
import { TakenItems } from "../../src/run/taken-items.ts";
import { requireRun, viewNodes, viewRun } from "../../src/run/view.ts";
import { durable } from "../../src/run/xstate/durable.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import { type Commit, NOBODY } from "../../src/store/store.ts";
import { SimClock } from "../sim/clock.ts";
import { anyAgent, anyWorkflow, never } from "../sim/machine-room.ts";
import { seededRandom } from "../sim/random.ts";

const counts = setup({}).createMachine({
  id: "counts",
  context: { n: 0 },
  initial: "on",
  states: {
    on: { on: { ADD: { actions: assign({ n: ({ context, event }: any) => context.n + (event.by ?? 1) }) }, IGNORED: { guard: () => false }, END: "off" } },
    off: { type: "final" },
  },
} as any) as AnyStateMachine;

/** GO makes it and its child send each other a ball, back and forth. */
const child = setup({}).createMachine({ id: "child", on: { BALL: { actions: sendParent({ type: "BALL" }) } } } as any);
const throwBall: any = sendTo("child", { type: "BALL" });
const rally = setup({ actors: { child } as any }).createMachine({
  id: "rally",
  context: { n: 0 },
  invoke: { src: "child", id: "child" },
  on: {
    GO: { actions: throwBall },
    BALL: { guard: ({ context }: any) => context.n < 5, actions: [assign({ n: ({ context }: any) => context.n + 1 }), throwBall] },
  },
} as any) as AnyStateMachine;

const flow = anyWorkflow("flow", (wf) => wf.node("two", anyAgent("agent", never), wf.node("one", anyAgent("agent", never), {}).result).result);

/** A run without a worker: its commits are taken by hand. */
class Bench {
  readonly clock = new SimClock();
  readonly wanted: string[] = [];
  readonly errors: string[] = [];
  readonly seams: RunSeams;
  run: HostedRun;

  constructor(definition: Definition) {
    const log = { debug() {}, info() {}, warn() {}, error: (_data: object, message = "") => void this.errors.push(message) };
    const attempts = { log, environment: () => undefined };
    const idle = { clock: this.clock, random: seededRandom(1), attempts, epoch: 1, startedAt: this.clock.now(), services: undefined };
    this.seams = { ...unhosted(idle), wantsInbox: (runId) => void this.wanted.push(runId) };
    this.run = beginRun(definition, "r", encode(undefined), this.seams);
    this.commit();
  }

  give(...items: readonly InboxItem[]): void {
    this.run.receiveInbox(items);
  }

  /** Applies what there is; answers the commit, which is durable then. */
  commit(): Commit {
    while (this.run.hasWork) this.run.applyInbox(100);
    const commit = this.run.takeCommit(1);
    this.run.committed();
    return commit;
  }
}

const machineBench = (): Bench => new Bench(definitionOf(counts));
const event = (number: number, fields: object, eventId?: string): InboxItem => ({
  number,
  isAsked: true,
  kind: "event",
  event: encode(fields),
  ...(eventId !== undefined && { eventId }),
});
const asks = (number: number, kind: "pause" | "resume" | "cancel"): InboxItem => ({ number, isAsked: true, kind });
const answersOf = ({ answers = [] }: Commit): Record<number, unknown> => Object.fromEntries(answers.map(({ number, body }) => [number, readReply(body)]));

describe("a commit that consumes what was asked answers it", () => {
  test("an event as if it had been sent here", async () => {
    for (const sent of [{ type: "ADD", by: 2 }, { type: "IGNORED" }, { type: "END" }]) {
      const [posted, direct] = [machineBench(), machineBench()];
      posted.give(event(7, sent, "e"));
      const commit = posted.commit();
      const result = new Promise<SendResult>((resolve, reject) => {
        expect((direct.run as MachineRun).send(encode(sent), { eventId: "e", resolve, reject })).toBe(true);
      });
      const { answers: _, consumed: __, ...own } = commit;
      expect(own).toEqual(direct.commit());
      expect(answersOf(commit)).toEqual({ 7: { sent: await result } });
      expect(commit).toMatchObject({ consumed: [7], eventIds: ["e"] });
    }
  });

  test("an event whose cascade is longer than a commit is answered with the commit that consumed it", () => {
    const { turnsMax } = MachineRun;
    MachineRun.turnsMax = 2;
    try {
      const bench = new Bench(definitionOf(rally));
      bench.give(event(1, { type: "GO" }));
      bench.run.applyInbox(1);
      const first = bench.run.takeCommit(1);
      bench.run.committed();
      expect(bench.run.hasWork).toBe(true);
      expect(answersOf(first)).toMatchObject({ 1: { sent: { commitNo: first.from + 1, handled: true, duplicate: false } } });
      expect(bench.commit().answers).toBeUndefined();
    } finally {
      MachineRun.turnsMax = turnsMax;
    }
  });

  test("pause, resume and cancel with the number of the commit, of machines and of workflows", () => {
    for (const definition of [definitionOf(counts), definitionOf(flow)]) {
      const bench = new Bench(definition);
      bench.give(asks(1, "pause"));
      const paused = bench.commit();
      expect(paused).toMatchObject({ consumed: [1], run: { status: "paused", finished: false } });
      expect(answersOf(paused)).toEqual({ 1: { done: true, commitNo: paused.from + 1 } });
      bench.give(asks(2, "pause"), asks(3, "resume"), asks(4, "resume"));
      const resumed = bench.commit();
      expect(resumed).toMatchObject({ consumed: [2, 3, 4], run: { status: "running" } });
      expect(answersOf(resumed)).toEqual(Object.fromEntries([2, 3, 4].map((number) => [number, { done: true, commitNo: resumed.from + 1 }])));
      bench.give({ number: 5, isAsked: false, kind: "cancel" }, { ...asks(6, "cancel"), now: true } as InboxItem);
      const cancelled = bench.commit();
      expect(cancelled).toMatchObject({ consumed: [5, 6], run: { status: "cancelled", finished: true } });
      expect(answersOf(cancelled)).toEqual({ 6: { done: true, commitNo: cancelled.from + 1 } });
    }
  });

  test("what was not taken, with the reason, and without one when nobody asked", () => {
    for (const definition of [definitionOf(counts), definitionOf(flow)]) {
      const bench = new Bench(definition);
      const sent: SendResult = { commitNo: 1, handled: true, value: undefined, changed: false, duplicate: true };
      bench.give({ number: 1, isAsked: false, kind: "dropped" }, { number: 2, isAsked: true, kind: "dropped", reply: { sent } });
      const commit = bench.commit();
      expect(commit.consumed).toEqual([1, 2]);
      expect(answersOf(commit)).toEqual({ 2: { sent: JSON.parse(JSON.stringify(sent)) as object } });
    }
  });
});

test("what a run cannot take because it has ended is left", () => {
  const bench = machineBench();
  bench.give(event(1, { type: "END" }), asks(2, "pause"), asks(3, "cancel"), asks(4, "resume"));
  const commit = bench.commit();
  expect(commit).toMatchObject({ consumed: [1], run: { status: "completed", finished: true } });
  expect(Object.keys(answersOf(commit))).toEqual(["1"]);
});

test("a row is taken once, however often and however late it is given", () => {
  const bench = machineBench();
  bench.give(event(5, { type: "ADD" }), event(7, { type: "ADD" }));
  bench.give(event(5, { type: "ADD" }), event(6, { type: "ADD" }), event(7, { type: "ADD" }));
  expect(bench.commit().consumed).toEqual([5, 7, 6]);
  bench.give(event(5, { type: "ADD" }), event(6, { type: "ADD" }));
  expect(bench.run.hasWork).toBe(false);
  expect((bench.run as MachineRun).committedSnapshot).toMatchObject({ context: { n: 3 } });
});

test("rows that are not consumed are remembered for ever, of those that are the newest", () => {
  const taken = new TakenItems();
  const numbers = Array.from({ length: 20_000 }, (_, i) => i);
  expect(numbers.every((number) => taken.take(number))).toBe(true);
  expect(numbers.some((number) => taken.take(number))).toBe(false);
  taken.consumed(numbers);
  expect(taken.take(19_999)).toBe(false);
  expect(taken.take(10_000)).toBe(false);
  expect(taken.take(0)).toBe(true);
});

test("a pause stands from when it is given: events go to the inbox, and are wanted after the resume is durable", () => {
  const bench = machineBench();
  const pending = { eventId: undefined, resolve: () => {}, reject: () => {} };
  bench.give(asks(1, "pause"));
  expect(bench.run.isPaused).toBe(true);
  expect((bench.run as MachineRun).send(encode({ type: "ADD" }), pending)).toBe(false);
  bench.give(event(2, { type: "ADD" }), asks(3, "resume"), event(4, { type: "END" }));
  bench.run.applyInbox(2);
  const commit = bench.run.takeCommit(1);
  expect(commit).toMatchObject({ consumed: [1], run: { status: "paused" } });
  bench.run.committed();
  expect(bench.wanted).toEqual([]);
  while (bench.run.hasWork) bench.run.applyInbox(100);
  expect(bench.run.isPaused).toBe(false);
  const resumed = bench.run.takeCommit(1);
  expect(bench.wanted).toEqual([]);
  bench.run.committed();
  expect(bench.wanted).toEqual(["r"]);
  expect(resumed).toMatchObject({ consumed: [3, 2, 4], run: { status: "completed" } });
  expect(answersOf(resumed)).toMatchObject({ 2: { sent: { changed: true } } });
});

test("an attempt of a step is not counted as waiting for its permit before the resume is durable", () => {
  const bench = new Bench(definitionOf(flow));
  bench.run.grant();
  bench.commit();
  expect(bench.run.queued).toBe(1);
  bench.give(asks(1, "pause"));
  bench.commit();
  expect(bench.run.queued).toBe(0);
  bench.give(asks(2, "resume"));
  bench.commit();
  expect(bench.run.queued).toBe(1);
});

describe("rows of an inbox", () => {
  const strict = durable(counts, { events: { ADD: z.object({ type: z.literal("ADD"), at: z.date(), by: z.number().default(4) }) } } as any);
  const machine = definitionOf(strict);
  const rows = (...bodies: readonly string[]) => bodies.map((body, i) => ({ number: i + 1, body }));
  const ask = (request: Request): string => requestText(request);

  test("are read as what they ask for", async () => {
    const at = new Date(5);
    const items = await checkedInbox(
      machine,
      rows(
        cancelBody(),
        ask({ kind: "cancel" }),
        ask({ kind: "cancel", now: true }),
        ask({ kind: "pause" }),
        ask({ kind: "resume" }),
        ask({ kind: "send", event: encode({ type: "ADD", at }), eventId: "e" }),
        encode({ type: "ADD", at }),
        encode({ type: "END" }),
      ),
    );
    const added = encode({ type: "ADD", at, by: 4 });
    expect(items).toEqual([
      { number: 1, isAsked: false, kind: "cancel" },
      { number: 2, isAsked: true, kind: "cancel" },
      { number: 3, isAsked: true, kind: "cancel", now: true },
      { number: 4, isAsked: true, kind: "pause" },
      { number: 5, isAsked: true, kind: "resume" },
      { number: 6, isAsked: true, kind: "event", event: added, eventId: "e" },
      { number: 7, isAsked: false, kind: "event", event: added },
      { number: 8, isAsked: false, kind: "event", event: encode({ type: "END" }) },
    ]);
  });

  test("that are refused say why to whoever asked", async () => {
    const sends = [{ type: "NEVER" }, { type: "ADD", at: "now" }, { type: "xstate.stop" }, "ADD", null];
    const bodies = [...sends.map((sent) => ask({ kind: "send", event: encode(sent) })), ...sends.map((sent) => encode(sent))];
    const items = await checkedInbox(machine, rows(...bodies));
    const refusals = items.slice(0, sends.length).map((item) => (item as { reply: { refused: { code: string; message: string } } }).reply.refused);
    expect(refusals.map(({ code }) => code)).toEqual(sends.map(() => "PAWL_EVENT_REFUSED"));
    expect(refusals.map(({ message }) => message)).toEqual([
      'machine "counts" has no event "NEVER"; it takes ADD, IGNORED, END',
      expect.stringContaining('event "ADD" does not fit its schema'),
      expect.stringContaining('no event "xstate.stop"'),
      "an event is an object with a type",
      "an event is an object with a type",
    ]);
    expect(items.slice(sends.length)).toEqual(sends.map((_, i) => ({ number: sends.length + i + 1, isAsked: false, kind: "dropped" })));
    const [inState] = await checkedInbox(machine, rows(bodies[0]!), () => Promise.resolve({ value: "off" } as never));
    expect(inState).toMatchObject({ reply: { refused: { message: 'machine "counts" has no event "NEVER"; its present state takes none' } } });
  });

  test("of a workflow take its events only", async () => {
    const items = await checkedInbox(
      definitionOf(flow),
      rows(ask({ kind: "send", event: encode({ type: "A" }) }), encode({ type: "A" }), ask({ kind: "pause" })),
    );
    expect(items).toMatchObject([
      { isAsked: true, kind: "dropped", reply: { refused: { code: "PAWL_EVENT_REFUSED" } } },
      { isAsked: false, kind: "dropped" },
      { isAsked: true, kind: "pause" },
    ]);
  });

  test("that are damaged are dropped, and do not hold up the others", async () => {
    const torn = ask({ kind: "send", event: encode({ type: "END" }) }).slice(0, -3);
    const strange = ask({ kind: "dance" } as never);
    const items = await checkedInbox(machine, rows(torn, "{", "", strange, ask({ kind: "send", event: "{" }), ask({ kind: "pause" })));
    expect(items.map(({ kind, isAsked }) => [kind, isAsked])).toEqual([
      ["dropped", true],
      ["dropped", false],
      ["dropped", false],
      ["dropped", true],
      ["dropped", true],
      ["pause", true],
    ]);
  });
});

describe("a run that was made without a worker", () => {
  const loaded = async (definition: Definition): Promise<{ store: MemoryStore; bench: Bench }> => {
    const store = new MemoryStore();
    await store.writeDefinition(definition.hash, definition.name, definition.structureText);
    const commit = pendingCommit(definition, "r", encode({ topic: "ratchets" }), 17, { subject: "order 7", tags: ["red"] });
    expect(commit).toMatchObject({ epoch: NOBODY, from: 0, facts: { subject: "order 7" } });
    expect(await store.commit([commit])).toEqual(["committed"]);
    const bench = new Bench(definition);
    bench.run = loadRun(definition, await requireRun(store, "r"), await store.readActors("r"), bench.seams);
    return { store, bench };
  };

  test("can be looked at, and has done nothing", async () => {
    for (const given of [counts, flow]) {
      const { store } = await loaded(definitionOf(given));
      const record = await requireRun(store, "r");
      expect(await viewRun(store, record)).toMatchObject({
        status: "pending",
        commitNo: 1,
        input: { topic: "ratchets" },
        terminated: false,
        failure: undefined,
      });
      if (given === counts) expect(await viewActors(store, record)).toEqual([]);
      else expect((await viewNodes(store, "r")).map(({ status }) => status)).toEqual(["waiting", "waiting"]);
    }
  });

  test("begins when it is taken up, and is paused only then", async () => {
    for (const given of [counts, flow]) {
      const { store, bench } = await loaded(definitionOf(given));
      bench.run.resume();
      bench.give(asks(1, "pause"));
      const commit = bench.commit();
      expect(commit).toMatchObject({ from: 1, run: { status: "paused" }, consumed: [1] });
      expect(commit.actors.map(({ key }) => key)).toEqual([given === counts ? "machine~1" : "supervisor~1"]);
      expect(commit.history).not.toContain("run.recovered");
      expect(await store.commit([{ ...commit, epoch: NOBODY }])).toEqual(["committed"]);
      expect(await viewRun(store, await requireRun(store, "r"))).toMatchObject({ status: "paused", input: { topic: "ratchets" } });
    }
  });
});

test("the commits of a machine keep the past that its options ask for, those of a workflow none", () => {
  const keepPast = (definition: Definition): Commit["keepPast"] => {
    const bench = new Bench(definition);
    bench.give(asks(1, "pause"));
    return bench.commit().keepPast;
  };
  expect(keepPast(definitionOf(counts))).toEqual({ commits: 10, every: 1 });
  expect(keepPast(definitionOf(durable(counts, { keepCheckpoints: 3 })))).toEqual({ commits: 3, every: 1 });
  expect(keepPast(definitionOf(durable(counts, { checkpointEvery: 1_000 })))).toEqual({ commits: 10, every: 1_000 });
  expect(keepPast(definitionOf(durable(counts, { keepCheckpoints: 0 })))).toBeUndefined();
  expect(keepPast(definitionOf(flow))).toBeUndefined();
  for (const keepCheckpoints of [-1, 1.5, 1_001, Number.NaN, "3" as never])
    expect(() => definitionOf(durable(counts, { keepCheckpoints }))).toThrow(expect.objectContaining({ code: "PAWL_INVALID_VALUE" }) as Error);
  for (const checkpointEvery of [-1, 0, 1.5, 1_001, Number.NaN, "3" as never])
    expect(() => definitionOf(durable(counts, { checkpointEvery }))).toThrow(
      expect.objectContaining({
        code: "PAWL_INVALID_VALUE",
        message: `checkpointEvery is ${checkpointEvery}, but must be a whole number from 1 to 1000`,
      }) as Error,
    );
});

test("that a run was terminated is known before its last act is done, also by who does it after a crash", async () => {
  const acted: string[] = [];
  const machine = setup({}).createMachine({ id: "m", on: { ACT: { actions: () => void acted.push("act") } } } as any) as AnyStateMachine;
  const definition = definitionOf(machine);
  const store = new MemoryStore();
  const bench = new Bench(definition);
  bench.run = beginRun(definition, "r", encode(undefined), bench.seams);
  await store.commit([{ ...bench.commit(), epoch: NOBODY }]);
  bench.give(event(1, { type: "ACT" }), { ...asks(2, "cancel"), now: true } as InboxItem);
  while (bench.run.hasWork) bench.run.applyInbox(100);
  const stopped = bench.run.takeCommit(NOBODY);
  expect(stopped.run).toMatchObject({ status: "running", finished: false });
  await store.commit([stopped]);
  bench.run = loadRun(definition, await requireRun(store, "r"), await store.readActors("r"), bench.seams);
  bench.run.resume();
  expect(await store.commit([{ ...bench.commit(), epoch: NOBODY }])).toEqual(["committed"]);
  expect(acted).toEqual(["act"]);
  expect(await viewRun(store, await requireRun(store, "r"))).toMatchObject({ status: "cancelled", terminated: true });
});

test("a timer that fired as the pause came is due again at the resume, in its place", async () => {
  const seen = (what: string): any => assign({ seen: ({ context }: any) => [...context.seen, what] });
  const machine = setup({}).createMachine({
    id: "m",
    context: { seen: [] },
    initial: "on",
    states: { on: { on: { GO: { actions: seen("GO") } }, after: { 2_000: { actions: seen("2 s") }, 1_000: { actions: seen("1 s") } } } },
  } as any) as AnyStateMachine;
  const bench = new Bench(definitionOf(machine));
  bench.give(asks(1, "pause"));
  await bench.clock.advance(1_500);
  expect(bench.commit()).toMatchObject({ run: { status: "paused" } });
  expect((bench.run as MachineRun).committedSnapshot).toMatchObject({ context: { seen: [] } });
  await bench.clock.advance(1_500);
  bench.run.reconcile();
  expect(bench.run.hasWork).toBe(false);
  bench.give(asks(2, "resume"), event(3, { type: "GO" }));
  bench.commit();
  expect((bench.run as MachineRun).committedSnapshot).toMatchObject({ context: { seen: ["1 s", "2 s", "GO"] } });
});

test("a pause keeps so many events of callbacks, and says when one is lost", () => {
  let say = (): void => {};
  const talks = fromCallback(({ sendBack }) => void (say = () => sendBack({ type: "SAID" })));
  const said = assign({ n: ({ context }: any) => context.n + 1 });
  const machine = setup({ actors: { talks } as any }).createMachine({
    id: "m",
    context: { n: 0 },
    invoke: { src: "talks" },
    on: { SAID: { actions: said } },
  } as any) as AnyStateMachine;
  const bench = new Bench(definitionOf(machine));
  bench.give(asks(1, "pause"));
  bench.commit();
  for (let i = 0; i < 10_005; i++) say();
  while (bench.run.hasWork) bench.run.applyInbox(1_000);
  expect(bench.errors).toHaveLength(5);
  bench.give(asks(2, "resume"));
  bench.commit();
  expect((bench.run as MachineRun).committedSnapshot).toMatchObject({ context: { n: 10_000 } });
});

test("the snapshot of a run that has not begun is the one it will begin with", async () => {
  const definition = definitionOf(counts);
  const store = new MemoryStore();
  await store.commit([pendingCommit(definition, "r", encode(undefined), 17)]);
  const bench = new Bench(definition);
  bench.run = loadRun(definition, await requireRun(store, "r"), await store.readActors("r"), bench.seams);
  expect((bench.run as MachineRun).committedSnapshot).toMatchObject({ value: "on", context: { n: 0 } });
  bench.run.resume();
  expect(bench.commit()).toMatchObject({ from: 1, run: { status: "running" } });
});
