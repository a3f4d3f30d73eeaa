/**
 * The messages for Stately's inspector: their shapes, their instants, their order, of machines' runs and of workflows'.
 */
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, setup } from "xstate";
import { z } from "zod";
import { type MachineStructure, type Run, agent, drawMachine, open, workflow } from "pawl";
import { configText } from "../../src/serve/inspector-config.ts";
import { messagesOf } from "../../src/serve/inspector-feed.ts";
import type { InspectorMessage } from "../../src/serve/inspector-messages.ts";

const base = { sessionId: z.string(), rootId: z.string(), createdAt: z.string().regex(/^\d{13}$/), id: z.null(), _version: z.literal("0.7.2") };
const event = z.looseObject({ type: z.string().min(1) });
const snapshot = z.strictObject({
  status: z.enum(["active", "done", "error", "stopped"]),
  value: z.union([z.string(), z.looseObject({})]).optional(),
  context: z.unknown().optional(),
  output: z.unknown().optional(),
  error: z.unknown().optional(),
  children: z.record(z.string(), z.strictObject({ xstate$$type: z.literal(1), id: z.string() })),
});
/** What @statelyai/inspect 0.7.2 sends. */
const MESSAGE = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("@xstate.actor"),
    name: z.string(),
    parentId: z.string().optional(),
    definition: z.string().optional(),
    snapshot,
    ...base,
  }),
  z.strictObject({ type: z.literal("@xstate.event"), sourceId: z.string().optional(), event, ...base }),
  z.strictObject({ type: z.literal("@xstate.snapshot"), event, snapshot, ...base }),
]);

const kid = setup({}).createMachine({ id: "kid", initial: "a", states: { a: { after: { 20: "b" } }, b: { type: "final" } } });
const review = setup({
  types: { context: {} as { secret: unknown } },
  actors: { kid, find: fromPromise(() => Promise.resolve({ secret: "found" })) },
}).createMachine({
  id: "review",
  initial: "draft",
  context: { secret: undefined },
  output: { secret: "out" },
  states: {
    draft: { invoke: { id: "find", src: "find", onDone: { target: "play", actions: assign({ secret: ({ event }) => event.output }) } } },
    play: { invoke: { id: "kid", src: "kid", onDone: "waiting" } },
    waiting: { on: { APPROVE: "approved" } },
    approved: { type: "final" },
  },
});

async function all(run: Run<unknown>, options: { context?: boolean; follow?: boolean } = {}): Promise<InspectorMessage[]> {
  const pieces = await Array.fromAsync(messagesOf(run, { context: false, follow: true, ...options }));
  return pieces.flat();
}

/** Each message has its shape; each actor is announced once, below one that is there, before anything is said of it. */
function expectSound(messages: readonly InspectorMessage[], runId: string): void {
  const announced = new Set<string>();
  for (const message of messages) {
    MESSAGE.parse(JSON.parse(JSON.stringify(message)));
    expect(message.rootId).toBe(runId);
    if (message.type !== "@xstate.actor") expect(announced).toContain(message.sessionId);
    else {
      expect(announced).not.toContain(message.sessionId);
      expect(message.parentId === undefined ? message.sessionId : [...announced]).toEqual(
        message.parentId === undefined ? runId : expect.arrayContaining([message.parentId]),
      );
      announced.add(message.sessionId);
    }
  }
}

async function reviewToWaiting(run: Run<unknown>): Promise<void> {
  await expect.poll(async () => (await run.status()).state).toBe("waiting");
}

test("a finished run of a machine is told from its history, with the instants of its commits", async () => {
  await using pawl = await open(":memory:");
  const run = await pawl.start(review, { id: "r-1" });
  await reviewToWaiting(run);
  await run.send({ type: "APPROVE" });
  await run.ended();
  const messages = await all(run);
  expectSound(messages, "r-1");
  const instants = (await Array.fromAsync(run.history())).map(({ at }) => String(at));
  for (const { createdAt } of messages) expect(instants).toContain(createdAt);
  const told = (id: string): unknown[] =>
    messages.flatMap((message) =>
      message.sessionId === id && message.type === "@xstate.snapshot" ? [[message.event.type, message.snapshot.status, message.snapshot.value]] : [],
    );
  expect(told("r-1")).toEqual([
    ["xstate.init", "active", "draft"],
    ["xstate.done.actor.find", "active", "play"],
    ["xstate.done.actor.kid", "active", "waiting"],
    ["APPROVE", "active", "approved"],
    ["APPROVE", "done", "approved"],
  ]);
  const kidId = messages.find((message) => message.type === "@xstate.actor" && message.name === "kid")!.sessionId;
  expect(kidId).toMatch(/^r-1\/kid~\d+$/);
  expect(told(kidId)).toEqual([
    ["xstate.init", "active", "a"],
    ["xstate.after.20.kid.a", "active", "b"],
    ["xstate.after.20.kid.a", "done", "b"],
  ]);
  const ofKid = messages.find((message) => message.type === "@xstate.event" && message.event.type === "xstate.done.actor.kid");
  expect(ofKid).toMatchObject({ sessionId: "r-1", sourceId: kidId });
});

test("an actor is announced with its first state, its machine's configuration, and its place", async () => {
  await using pawl = await open(":memory:");
  const run = await pawl.start(review, { id: "r-1" });
  await reviewToWaiting(run);
  const actors = (await all(run, { follow: false })).filter((message) => message.type === "@xstate.actor");
  expect(actors.map(({ name, parentId, snapshot }) => [name, parentId, snapshot.value])).toEqual([
    ["review", undefined, "draft"],
    ["find", "r-1", undefined],
    ["kid", "r-1", "a"],
  ]);
  const [root, find, child] = actors.map(({ definition }) =>
    definition === undefined ? undefined : (JSON.parse(definition) as { id: string; initial: string }),
  );
  expect([root, find, child]).toMatchObject(
    [{ id: "review", initial: "draft" }, undefined, { id: "kid", initial: "a" }].map((one) => one ?? undefined) as object[],
  );
});

test("contexts, output and errors are left out unless they are asked for; then the newest states have them", async () => {
  await using pawl = await open(":memory:");
  const run = await pawl.start(review, { id: "r-1" });
  await reviewToWaiting(run);
  expect(JSON.stringify(await all(run, { follow: false }))).not.toContain("secret");
  const messages = await all(run, { follow: false, context: true });
  expectSound(messages, "r-1");
  const withContext = messages.filter(
    (message) => message.type === "@xstate.snapshot" && "context" in message.snapshot && message.snapshot.context !== undefined,
  );
  expect(withContext).toMatchObject([{ sessionId: "r-1", snapshot: { value: "waiting", context: { secret: { secret: "found" } } } }]);
  await run.send({ type: "APPROVE" });
  await run.ended();
  expect(JSON.stringify(await all(run))).not.toContain("secret");
  expect((await all(run, { context: true })).at(-1)).toMatchObject({
    snapshot: { status: "done", output: { secret: "out" }, context: { secret: { secret: "found" } } },
  });
});

test("a state that is newer than the history that was read is no context of an older one", async () => {
  await using pawl = await open(":memory:");
  const run = await pawl.start(review, { id: "r-1" });
  await reviewToWaiting(run);
  const contexts = async (commitNo: number): Promise<number> => {
    const actors = (await run.actors()).map((actor) => ({ ...actor, commitNo }));
    const seen = Object.assign(Object.create(run) as Run<unknown>, {
      id: run.id,
      actors: () => Promise.resolve(actors),
      status: () => run.status(),
      definition: () => run.definition(),
      history: (after: number) => run.history(after),
    });
    return (await all(seen, { context: true, follow: false })).filter((message) => JSON.stringify(message).includes('"context"')).length;
  };
  const { commitNo } = await run.status();
  expect([await contexts(commitNo), await contexts(commitNo + 1)]).toEqual([1, 0]);
});

test("a run that goes on is followed to its end, and each message comes once", async () => {
  await using pawl = await open(":memory:");
  const run = await pawl.start(review, { id: "r-1" });
  await reviewToWaiting(run);
  const sent: InspectorMessage[] = [];
  const following = (async () => {
    for await (const messages of messagesOf(run, { context: false, follow: true })) sent.push(...messages);
  })();
  await expect.poll(() => sent.length).toBeGreaterThan(5);
  expect(sent.some((message) => message.type !== "@xstate.actor" && message.event.type === "APPROVE")).toBe(false);
  await run.send({ type: "APPROVE" });
  await following;
  expect(sent).toEqual(await all(run));
});

test.each([
  ["failed", "error"],
  ["cancelled", "stopped"],
])("a run of a machine that is %s ends as %s", async (status, shown) => {
  const boom = setup({ actors: { no: fromPromise(() => Promise.reject(new Error("a secret reason"))) } }).createMachine({
    id: "boom",
    initial: "idle",
    states: { idle: { on: { GO: "going" } }, going: { invoke: { src: "no" } } },
  });
  await using pawl = await open(":memory:");
  const run = await pawl.start(boom, { id: "b-1" });
  if (status === "failed") await run.send({ type: "GO" });
  else await run.cancel();
  await run.ended();
  const messages = await all(run);
  expectSound(messages, "b-1");
  expect(messages.at(-1)).toMatchObject({ type: "@xstate.snapshot", sessionId: "b-1", snapshot: { status: shown } });
  expect(JSON.stringify(messages)).not.toContain("secret");
});

test("a run of a workflow is told as workflow, supervisor and nodes", async () => {
  const any = { input: z.any(), output: z.any(), retry: { maxAttempts: 2, initialInterval: "1ms" } } as const;
  const echo = agent({ ...any, name: "echo", run: (input) => input as unknown });
  const broken = agent({ ...any, name: "broken", run: () => Promise.reject(new Error("a secret reason")) });
  const pipe = workflow({ name: "pipe", input: z.any() }, (wf) => {
    const one = wf.node("one", echo, {});
    wf.node("two", broken, {}, { after: [one] });
    return one.result;
  });
  await using pawl = await open(":memory:");
  const run = await pawl.start(pipe, { id: "w-1", input: {} });
  await run.ended();
  const messages = await all(run, { context: true });
  expectSound(messages, "w-1");
  expect(messages.filter((message) => message.type === "@xstate.actor").map(({ name, sessionId, parentId }) => [name, sessionId, parentId])).toEqual([
    ["pipe", "w-1", undefined],
    ["supervisor", "w-1/supervisor~1", "w-1"],
    ["one", "w-1/one", "w-1/supervisor~1"],
    ["two", "w-1/two", "w-1/supervisor~1"],
  ]);
  const states = (id: string): unknown[] =>
    messages.flatMap((message) => (message.sessionId === id && message.type === "@xstate.snapshot" ? [[message.snapshot.status, message.snapshot.value]] : []));
  expect(states("w-1/one")).toEqual([
    ["active", "running"],
    ["done", "completed"],
  ]);
  expect(states("w-1/two")).toEqual([
    ["active", "running"],
    ["active", "backingOff"],
    ["active", "running"],
    ["error", "failed"],
  ]);
  expect(states("w-1").at(-1)).toEqual(["error", "failed"]);
  expect(states("w-1/supervisor~1")).toEqual([["done", "settled"]]);
  expect(JSON.stringify(messages)).not.toContain("secret");
});

test("the configuration of a stored structure is a machine with the same structure", () => {
  const inner = setup({}).createMachine({
    id: "in.ner",
    initial: "a.b",
    states: { "a.b": { on: { X: "c" } }, c: { always: { target: "#in\\.ner.a\\.b", guard: "free" as never } } },
  });
  const hard = setup({ actors: { inner }, guards: { free: () => true }, delays: { soon: 10 } }).createMachine({
    id: "hard",
    version: "2",
    initial: "idle",
    on: { "*": { actions: [] }, HOME: "#home" },
    states: {
      idle: {
        id: "home",
        tags: ["calm"],
        on: {
          GO: [
            { guard: "free", target: "busy" },
            { target: "idle", reenter: true },
          ],
        },
        after: { soon: "busy", 1000: ".x" },
        initial: "x",
        states: { x: {} },
      },
      busy: {
        type: "parallel",
        invoke: [{ id: "child", src: "inner", onDone: "over" }],
        states: { left: { initial: "p", states: { p: { on: { N: "q" } }, q: {}, back: { type: "history", history: "deep", target: "q" } } }, right: {} },
        onDone: "over",
      },
      over: { type: "final" },
    },
  });
  for (const machine of [hard, inner]) {
    const [structure] = (JSON.parse(drawMachine(machine, "json")) as MachineStructure).machines;
    const again = createMachine(JSON.parse(configText(structure)!) as never);
    const [second] = (JSON.parse(drawMachine(again, "json")) as MachineStructure).machines;
    expect(second!.states).toEqual(structure!.states);
    expect(second!.version).toBe(structure!.version);
  }
});

test("recovery actions are below the node that they are of; those of stages and of the run below the supervisor", async () => {
  const said = z.enum(["continue", "restart", "fail"]);
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const act = agent({ name: "act", input: z.any(), output: said, run: () => (++calls === 3 && gate.resolve(), "continue" as const) });
  const ladder = { warnAfter: "2ms", recovery: { act }, onWarn: ["act"] } as const;
  const slow = agent({ name: "slow", input: z.any(), output: z.any(), run: () => gate.promise });
  const flow = workflow({ name: "flow", input: z.any(), ...ladder }, (wf) => {
    wf.stage("code", ladder, () => wf.map("reads", [1], slow, () => ({}), { warnAfter: "1ms", onWarn: ["act"] }));
  });
  await using pawl = await open(":memory:");
  const run = await pawl.start(flow, { id: "w-1", input: {} });
  await run.ended();
  const messages = await all(run);
  expectSound(messages, "w-1");
  const actions = messages.filter((message) => message.type === "@xstate.actor").map(({ name, parentId }) => [name, parentId] as const);
  expect(Object.fromEntries(actions.filter(([name]) => name.includes("recovery")))).toEqual({
    "[run][recovery-1]": "w-1/supervisor~1",
    "[stage.code][recovery-1]": "w-1/supervisor~1",
    "reads[0][recovery-1]": "w-1/reads[0]",
  });
});
