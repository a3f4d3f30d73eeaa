/**
 * A pause of a machine run: events, timers and starts wait for the resume, what ran outside may end, and its result counts.
 */
import { expect, test } from "vitest";
import { type AnyStateMachine, assign, fromCallback, fromPromise, sendTo, setup } from "xstate";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { step } from "../../src/run/xstate/step.ts";
import { type Commit, WAITS_FOR_EVENT } from "../../src/store/store.ts";
import { MachineRoom, anyAgent, deferred, never } from "../sim/machine-room.ts";
import type { SimProcess } from "../sim/process.ts";

type AnyRun = MachineHandle<AnyStateMachine>;

const note = (what: string): any => assign({ seen: ({ context }: any) => [...context.seen, what] });

/** It notes the events A, B and C, and timers after 10, 20 and 30 s. */
const listening = setup({}).createMachine({
  id: "listening",
  context: { seen: [] },
  initial: "on",
  states: {
    on: {
      on: { A: { actions: note("A") }, B: { actions: note("B") }, C: { actions: note("C") } },
      after: { 30_000: { actions: note("30 s") }, 10_000: { actions: note("10 s") }, 20_000: { actions: note("20 s") } },
    },
  },
} as any);

class Story {
  readonly room = new MachineRoom();
  process!: SimProcess;
  run!: AnyRun;
  readonly commits: Commit[] = [];

  async boot(machine: AnyStateMachine, options: Parameters<MachineRoom["boot"]>[1] = {}): Promise<this> {
    this.process = await this.room.boot([machine], { onApplied: (group) => void this.commits.push(...group), ...options });
    this.run = (await this.room.settled(this.process.pawl.start(machine, { id: "r" }))) as AnyRun;
    await this.room.clock.settle();
    return this;
  }

  async reboot(machine: AnyStateMachine): Promise<void> {
    this.process.kill();
    await this.boot(machine);
  }

  async context(): Promise<any> {
    return ((await this.room.settled(this.run.snapshot())) as any).context;
  }

  async record(): Promise<{ status: string; wakeAt: number | null }> {
    const { status, wakeAt } = (await this.room.store.readRun("r"))!;
    return { status, wakeAt };
  }

  async types(): Promise<string[]> {
    return (await Array.fromAsync(this.run.history())).flatMap(({ events }) => events.map(({ type }) => type)).filter((type) => type.startsWith("run."));
  }
}

test("events and timers wait for the resume: first the timers in the order of their instants, then the events in order", async () => {
  for (const isKilled of [false, true]) {
    const story = await new Story().boot(listening);
    const { room } = story;
    await room.settled(story.run.send({ type: "A" }));
    await room.settled(story.run.pause());
    expect(await story.record()).toEqual({ status: "paused", wakeAt: WAITS_FOR_EVENT });
    const sent = [story.run.send({ type: "C" }, { timeout: "1h" }), story.run.send({ type: "B" }, { timeout: "1h" })];
    sent.forEach((answer) => answer.catch(() => {}));
    await room.clock.advance(25_000);
    if (isKilled) await story.reboot(listening);
    await room.clock.advance(60_000);
    expect(await story.context()).toEqual({ seen: ["A"] });
    expect(await story.record()).toEqual({ status: "paused", wakeAt: WAITS_FOR_EVENT });
    await room.settled(story.run.resume());
    await room.clock.advance(10);
    expect(await story.context()).toEqual({ seen: ["A", "10 s", "20 s", "30 s", "C", "B"] });
    if (!isKilled) expect(await room.settled(Promise.all(sent))).toMatchObject([{ handled: true, changed: true }, { handled: true }]);
    expect(await story.types()).toEqual(expect.arrayContaining(["run.paused", "run.resumed"]));
  }
});

test("a pause of a paused run and a resume of a running one are answered, and change nothing", async () => {
  const story = await new Story().boot(listening);
  const { room, run } = story;
  for (const what of ["resume", "pause", "pause", "resume", "resume"] as const) await room.settled(run[what]());
  expect(await story.types()).toEqual(["run.paused", "run.resumed"]);
  await room.settled(run.send({ type: "B" }));
  expect(await story.context()).toEqual({ seen: ["B"] });
});

/** Its promises `one` and `two` follow each other, then comes the step; what it does on the way is noted outside. */
function working(outside: { started: string[]; acted: string[]; answers: Record<string, Promise<unknown>> }): AnyStateMachine {
  const promise = (name: string) =>
    fromPromise(() => {
      outside.started.push(name);
      return outside.answers[name] ?? Promise.resolve(name);
    });
  const agent = anyAgent("agent", () => (outside.started.push("step"), outside.answers["step"] ?? "step"));
  const child = setup({}).createMachine({ id: "child", initial: "born", states: { born: { entry: () => void outside.acted.push("child") } } } as any);
  return setup({ actors: { one: promise("one"), two: promise("two"), asks: step(agent), child } as any }).createMachine({
    id: "working",
    context: { results: [] },
    initial: "one",
    states: {
      one: { invoke: { src: "one", onDone: { target: "two", actions: keep } } },
      two: {
        entry: () => void outside.acted.push("entered two"),
        invoke: [{ src: "two", onDone: { target: "three", actions: keep } }, { src: "child" }],
      },
      three: { invoke: { src: "asks", onDone: { target: "end", actions: keep } } },
      end: { type: "final" },
    },
  } as any);
}

const keep: any = assign({ results: ({ context, event }: any) => [...context.results, event.output] });

test("what a promise gave while paused is applied, with actions and children; what would start then starts with the resume", async () => {
  for (const isKilled of [false, true]) {
    const one = deferred<string>();
    const outside = { started: [] as string[], acted: [] as string[], answers: { one: one.promise } };
    const machine = working(outside);
    const story = await new Story().boot(machine);
    const { room } = story;
    await room.settled(story.run.pause());
    expect(await story.record()).toEqual({ status: "paused", wakeAt: null });
    one.resolve("first");
    await room.clock.advance(1_000);
    expect(await story.context()).toEqual({ results: ["first"] });
    expect([outside.started, outside.acted]).toEqual([["one"], ["entered two", "child"]]);
    expect(await story.record()).toEqual({ status: "paused", wakeAt: WAITS_FOR_EVENT });
    if (isKilled) await story.reboot(machine);
    await room.clock.advance(60_000);
    expect(outside.started).toEqual(["one"]);
    await room.settled(story.run.resume());
    expect(await room.settled(story.run.ended())).toMatchObject({ status: "completed" });
    expect(outside.started).toEqual(["one", "two", "step"]);
    expect(new Set(outside.acted)).toEqual(new Set(["entered two", "child"]));
  }
});

test("an attempt that ran is applied while paused, one that waits for its permit or that the crash cut off starts at the resume", async () => {
  const first = deferred<string>();
  const outside = { started: [] as string[], acted: [], answers: { step: first.promise } };
  const machine = working(outside);
  const story = await new Story().boot(machine);
  const { room } = story;
  await room.clock.settle();
  expect(outside.started).toEqual(["one", "two", "step"]);
  await room.settled(story.run.pause());
  await story.reboot(machine);
  await room.clock.advance(1_000);
  expect(outside.started).toEqual(["one", "two", "step"]);
  expect(await story.record()).toEqual({ status: "paused", wakeAt: WAITS_FOR_EVENT });
  await room.settled(story.run.resume());
  await room.clock.settle();
  expect(outside.started).toEqual(["one", "two", "step", "step"]);
  await room.settled(story.run.pause());
  first.resolve("done");
  expect(await room.settled(story.run.ended())).toMatchObject({ status: "completed" });
});

test("no attempt of a step is granted a permit while its run is paused", async () => {
  const hog = deferred<string>();
  const started: string[] = [];
  const agent = (name: string, answer: unknown) => step(anyAgent(name, () => (started.push(name), answer)));
  const machine = setup({ actors: { hog: agent("hog", hog.promise), other: agent("other", "x") } as any }).createMachine({
    id: "m",
    type: "parallel",
    states: { a: { invoke: { src: "hog" } }, b: { invoke: { src: "other" } } },
  } as any);
  const story = await new Story().boot(machine, { maxConcurrentAttempts: 1 });
  const { room, run } = story;
  await room.settled(run.pause());
  hog.resolve("x");
  await room.clock.advance(1_000);
  expect(started).toEqual(["hog"]);
  await room.settled(run.resume());
  await room.clock.settle();
  expect(started).toEqual(["hog", "other"]);
});

test("a callback goes on while its run is paused, what it says is kept, and what it would be told at its start comes after that", async () => {
  const said = { back: undefined as ((event: { type: string }) => void) | undefined };
  const heard: string[] = [];
  const talks = fromCallback(({ sendBack }) => void (said.back = sendBack));
  const hears = fromCallback(({ receive }) => receive(({ type }) => void heard.push(type)));
  const gate = deferred<string>();
  const machine = setup({ actors: { talks, hears, gate: fromPromise(() => gate.promise) } as any }).createMachine({
    id: "m",
    context: { seen: [] },
    invoke: { src: "talks" },
    on: { SAID: { actions: note("SAID") } },
    initial: "a",
    states: { a: { invoke: { src: "gate", onDone: "b" } }, b: { invoke: { src: "hears", id: "hears" }, entry: sendTo("hears", { type: "HELLO" }) } },
  } as any);
  const story = await new Story().boot(machine);
  const { room, run } = story;
  await room.settled(run.pause());
  said.back!({ type: "SAID" });
  gate.resolve("open");
  await room.clock.advance(60_000);
  expect([await story.context(), heard]).toEqual([{ seen: [] }, []]);
  expect((await story.record()).wakeAt).toBeNull();
  await room.settled(run.resume());
  await room.clock.settle();
  expect([await story.context(), heard]).toEqual([{ seen: ["SAID"] }, ["HELLO"]]);
});

test("a paused run that something late was said to does not leave memory before that is applied", async () => {
  const late = deferred<void>();
  const machine = setup({}).createMachine({
    id: "m",
    context: { seen: [] },
    entry: ({ self }: any) => void late.promise.then(() => self.send({ type: "SAID" })),
    on: { SAID: { actions: note("SAID") } },
  } as any);
  const story = await new Story().boot(machine);
  const { room, run } = story;
  await room.settled(run.pause());
  await room.clock.advance(60_000);
  late.resolve();
  await room.clock.advance(60_000);
  expect(await story.context()).toEqual({ seen: [] });
  await room.settled(run.resume());
  await room.clock.settle();
  expect(await story.context()).toEqual({ seen: ["SAID"] });
});

test("a paused run can be cancelled, before events that came earlier; and says when that was at once", async () => {
  for (const now of [false, true]) {
    const story = await new Story().boot(listening);
    const { room, run } = story;
    await room.settled(run.pause());
    const sent = run.send({ type: "A" }).then(
      () => "done",
      (error: { code: string }) => error.code,
    );
    await room.clock.settle();
    await room.settled(run.cancel({ now }));
    expect(await run.status()).toMatchObject({ status: "cancelled", terminated: now });
    expect(await room.settled(sent)).toBe("PAWL_RUN_ENDED");
  }
});

test("a crash at each commit of a pause, of what ends in it and of the resume loses nothing and starts nothing", async () => {
  let crashAt = 1;
  for (; crashAt < 60; crashAt++) {
    const gate = deferred<string>();
    const outside = { started: [] as string[], acted: [] as string[], answers: { one: gate.promise } };
    const machine = working(outside);
    const story = new Story();
    const { room } = story;
    let groups = 0;
    const boot = async (): Promise<void> => {
      const count = (): "crashAfter" | undefined => (++groups === crashAt ? "crashAfter" : undefined);
      story.process = await room.boot([machine], { fault: count });
    };
    const alive = async (work: () => Promise<unknown>): Promise<void> => {
      for (;;) {
        if (!story.process.isAlive) await boot();
        const { process } = story;
        let isDone = false;
        const done = process.pawl
          .start(machine, { id: "r" })
          .then((run) => ((story.run = run as AnyRun), work()))
          .then(() => (isDone = true));
        done.catch(() => {});
        await room.clock.until(() => isDone || !process.isAlive);
        if (isDone) return;
      }
    };
    await boot();
    await alive(() => Promise.resolve());
    await room.clock.advance(10);
    await alive(() => story.run.pause());
    const before = [...outside.started];
    gate.resolve("first");
    await room.clock.advance(5_000);
    await alive(() => Promise.resolve());
    await room.clock.advance(5_000);
    await alive(() => Promise.resolve());
    await room.clock.settle();
    expect(outside.started, `crash at ${crashAt}`).toEqual(before);
    expect(await story.record()).toEqual({ status: "paused", wakeAt: WAITS_FOR_EVENT });
    await alive(() => story.run.resume());
    await alive(() => story.run.result());
    expect(await story.run.status()).toMatchObject({ status: "completed" });
    if (groups < crashAt) break;
  }
  expect(crashAt).toBeGreaterThan(6);
  expect(crashAt).toBeLessThan(60);
});

test("a run without anything outside is not woken by its timers while it is paused", async () => {
  const story = await new Story().boot(listening);
  const { room, run } = story;
  await room.settled(run.pause());
  const commits = story.commits.length;
  await room.clock.advance(3_600_000);
  await room.settled(story.process.pawl.reconcile());
  expect(story.commits.length).toBe(commits);
});

test("a promise that never ends keeps a paused run in memory, and a cancel ends it", async () => {
  const machine = setup({ actors: { hangs: fromPromise(never) } as any }).createMachine({ id: "m", invoke: { src: "hangs" } } as any);
  const story = await new Story().boot(machine);
  const { room, run } = story;
  await room.settled(run.pause());
  await room.clock.advance(60_000);
  expect(await story.record()).toEqual({ status: "paused", wakeAt: null });
  await room.settled(run.cancel());
  expect((await story.record()).status).toBe("cancelled");
});
