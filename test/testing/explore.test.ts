/**
 * `explore` passes what survives every crash, and tells a readable story of what does not.
 */
import { type AnyActorLogic, type AnyStateMachine, assign, fromCallback, fromPromise, setup } from "xstate";
import { describe, expect, expectTypeOf, test } from "vitest";
import { agent, durable, step, workflow } from "../../src/index.ts";
import { ExploreError, type ExploreOptions, explore, hang, scripted } from "../../src/testing/index.ts";
import { z } from "zod";

class Bank {
  readonly charges: string[] = [];
  readonly keys = new Set<string>();

  charge(key?: string): string {
    if (key === undefined || !this.keys.has(key)) this.charges.push(`charge ${this.charges.length + 1}`);
    if (key !== undefined) this.keys.add(key);
    return "paid";
  }
}

type OrderEvent = { type: "PAY"; cents: number } | { type: "CANCEL" };

/** Paid within 20 seconds, or reminded twice and given up; cancelled at any time before it is paid. */
const order = setup({
  types: { events: {} as OrderEvent, context: {} as { cents: number; reminders: number; receipt?: string } },
  actors: { charge: fromPromise<string, number>(() => Promise.resolve("receipt")) },
  actions: { remind: assign({ reminders: ({ context }) => context.reminders + 1 }), thank: () => {} },
  guards: { isPatient: ({ context }) => context.reminders < 2 },
  delays: { patience: 20_000 },
}).createMachine({
  id: "order",
  context: { cents: 0, reminders: 0 },
  initial: "open",
  states: {
    open: {
      on: { PAY: { target: "charging", actions: assign({ cents: ({ event }) => event.cents }) }, CANCEL: "cancelled" },
      after: { patience: [{ guard: "isPatient", target: "open", reenter: true, actions: "remind" }, { target: "cancelled" }] },
    },
    charging: {
      invoke: {
        src: "charge",
        input: ({ context }) => context.cents,
        onDone: { target: "paid", actions: assign({ receipt: ({ event }) => event.output }) },
        onError: { target: "open" },
      },
    },
    paid: { type: "final", entry: "thank" },
    cancelled: { type: "final" },
  },
});

/** What an exploration that finds something says. */
async function storyOf(exploration: Promise<unknown>): Promise<string> {
  const error = await exploration.then(
    () => undefined,
    (found: unknown) => found,
  );
  expect(error).toBeInstanceOf(ExploreError);
  return (error as ExploreError).message;
}

const PAY = { type: "PAY", cents: 500 } as const;
const CANCEL = { type: "CANCEL" } as const;

describe("explore of a machine", () => {
  test("takes every event, timer, result and failure, and kills it at every commit and action", async () => {
    const seen = new Set<string>();
    const result = await explore(order, {
      events: [PAY, CANCEL],
      actors: { charge: ["receipt 7", new Error("declined")] },
      invariants: {
        "a receipt is there when it is paid": ({ value, context }) => void seen.add(`${value} ${context.reminders} ${context.receipt}`),
      },
    });
    expect(result.paths).toBeGreaterThan(8);
    expect(result.commits).toBeGreaterThan(3 * result.paths);
    expect(result.crashes).toBeGreaterThanOrEqual(2 * result.commits);
    for (const state of ["open 0 undefined", "open 2 undefined", "charging 1 undefined", "paid 0 receipt 7", "cancelled 2 undefined"])
      expect(seen).toContain(state);
  });

  test("runs invoked promises as they are when no answers are given", async () => {
    const seen = new Set<unknown>();
    await explore(order, { events: [PAY], invariants: { seen: ({ context }) => void seen.add(context.receipt) } });
    expect(seen).toEqual(new Set([undefined, "receipt"]));
  });

  test("goes every simple way when it is told to", async () => {
    const on = { A: "a", B: "b", C: "c", D: "d" } as const;
    const events = [{ type: "A" }, { type: "B" }, { type: "C" }, { type: "D" }] as const;
    const states = { a: { on }, b: { on }, c: { on }, d: { on } };
    const square = setup({ types: { events: {} as (typeof events)[number] } }).createMachine({ id: "square", initial: "a", states });
    const [shortest, simple] = [await explore(square, { events }), await explore(square, { events, paths: "simple" })];
    // ways of three events take the place of ways of two
    expect([shortest.paths, simple.paths]).toEqual([13, 13]);
    expect(simple.commits - shortest.commits).toBe(6);
  });

  test("takes durable(machine), a machine that needs input, and steps of agents", async () => {
    const planner = scripted("planner", new Error("overloaded"), "a plan");
    const trip = setup({
      actors: { plan: step(planner) },
      types: { input: {} as { topic: string }, context: {} as { topic: string; plan?: unknown } },
    }).createMachine({
      id: "trip",
      context: ({ input }) => ({ topic: input.topic }),
      initial: "planning",
      states: {
        planning: {
          invoke: { src: "plan", input: "ratchets", onDone: { target: "ready", actions: assign({ plan: ({ event }) => event.output }) } },
        },
        ready: { type: "final" },
      },
    });
    const plans = new Set<unknown>();
    await explore(durable(trip), { input: { topic: "ratchets" }, invariants: { seen: ({ context }) => void plans.add(context.plan) } });
    expect(plans).toEqual(new Set([undefined, "a plan"]));
    expect(new Set(planner.calls.map(({ attempt }) => attempt))).toEqual(new Set([1, 2]));
  });

  test("types its events, its input and what invariants see by the machine", () => {
    type Options = ExploreOptions<typeof order, Bank>;
    expectTypeOf<NonNullable<Options["events"]>[number]>().toEqualTypeOf<OrderEvent>();
    expectTypeOf<Parameters<NonNullable<Options["invariants"]>[string]>[0]["context"]["cents"]>().toEqualTypeOf<number>();
    expectTypeOf<Parameters<NonNullable<Options["invariants"]>[string]>[1]>().toEqualTypeOf<Bank>();
  });
});

describe("explore finds", () => {
  const shop = (charge: (bank: Bank) => void) => (bank: Bank) =>
    setup({ types: { events: {} as { type: "PAY" } | { type: "LOOK" } }, actions: { charge: () => charge(bank) } }).createMachine({
      id: "shop",
      initial: "open",
      states: { open: { on: { PAY: { target: "paid", actions: "charge" }, LOOK: {} } }, paid: {} },
    });
  const once = { "a customer is charged once": (_seen: unknown, bank: Bank) => bank.charges.length <= 1 };

  test("an action that is not idempotent", async () => {
    const charging = shop((bank) => bank.charge());
    expect(await storyOf(explore(charging, { world: () => new Bank(), events: [{ type: "LOOK" }, { type: "PAY" }], invariants: once }))).toBe(
      [
        '"shop" does not survive a crash:',
        "  1. start",
        "  2. send PAY",
        'The process is killed right after the action "charge"; the next one goes on.',
        'It does not hold that "a customer is charged once", in {"value":"paid"}',
      ].join("\n"),
    );
  });

  test("nothing in one that is", async () => {
    const charging = shop((bank) => bank.charge("the order's number"));
    const { crashes } = await explore(charging, { world: () => new Bank(), events: [{ type: "LOOK" }, { type: "PAY" }], invariants: once });
    expect(crashes).toBeGreaterThan(6);
  });

  const paying = (charge: (bank: Bank, key: string) => string) => (bank: Bank) =>
    setup({ actors: { charge: fromPromise<string>(async ({ self }) => charge(bank, self.id)) }, types: { context: {} } }).createMachine({
      id: "paying",
      context: {},
      initial: "charging",
      states: {
        charging: { invoke: { id: "charge-1", src: "charge", onDone: { target: "paid", actions: assign({ receipt: ({ event }) => event.output }) } } },
        paid: { type: "final" },
      },
    });

  test("a promise that is not", async () => {
    expect(
      await storyOf(
        explore(
          paying((bank) => bank.charge()),
          { world: () => new Bank(), invariants: once },
        ),
      ),
    ).toBe(
      [
        '"paying" does not survive a crash:',
        "  1. start",
        "The process is killed before commit 2 (xstate.done.actor.charge-1); the next one goes on.",
        'It does not hold that "a customer is charged once", in {"status":"done","value":"paid","context":{"receipt":"paid"}}',
      ].join("\n"),
    );
    await explore(
      paying((bank, key) => bank.charge(key)),
      { world: () => new Bank(), invariants: once },
    );
  });

  test("a result that is another when the promise runs again", async () => {
    const counting = paying((bank) => (bank.charge(), `receipt ${bank.charges.length}`));
    expect(await storyOf(explore(counting, { world: () => new Bank() }))).toBe(
      [
        '"paying" does not survive a crash:',
        "  1. start",
        "The process is killed before commit 2 (xstate.done.actor.charge-1); the next one goes on.",
        'Without a crash it comes to {"status":"done","value":"paid","context":{"receipt":"receipt 1"}}',
        'with this crash to {"status":"done","value":"paid","context":{"receipt":"receipt 2"}}',
      ].join("\n"),
    );
  });

  test("what a process holds in memory and the machine relies on", async () => {
    const counting = (): AnyStateMachine => {
      let visits = 0;
      return setup({ actions: { count: assign({ visits: () => ++visits }) } }).createMachine({
        id: "gate",
        context: { visits: 0 },
        on: { VISIT: { actions: "count" } },
      });
    };
    const tellApart = ({ context }: { context: unknown }): unknown => Math.min(2, (context as { visits: number }).visits);
    expect(await storyOf(explore(counting, { events: [{ type: "VISIT" }], tellApart }))).toBe(
      [
        '"gate" does not survive a crash:',
        "  1. start",
        "  2. send VISIT",
        "  3. send VISIT",
        "The process is killed after commit 2 (VISIT); the next one goes on.",
        'Without a crash it comes to {"context":{"visits":2}}',
        'with this crash to {"context":{"visits":1}}',
      ].join("\n"),
    );
  });

  test("an invariant that does not hold even without a crash, on the shortest way to it", async () => {
    const invariants = { "nobody is reminded twice": ({ context }: { context: { reminders: number } }) => context.reminders < 2 };
    expect(await storyOf(explore(order, { events: [PAY, CANCEL], actors: { charge: ["a"] }, invariants }))).toBe(
      [
        '"order" goes wrong, without a crash:',
        "  1. start",
        "  2. 20 s pass",
        "  3. 20 s pass",
        'It does not hold that "nobody is reminded twice", in {"value":"open","context":{"cents":0,"reminders":2}}',
      ].join("\n"),
    );
  });

  test("an invariant that throws, in its words, with the answers and payloads that led there", async () => {
    const invariants = {
      "what is paid was charged": ({ value }: { value: unknown }) => {
        if (value === "paid") throw new Error("nobody was charged");
      },
    };
    expect(await storyOf(explore(order, { events: [PAY], actors: { charge: [new Error("declined"), { number: 7 }] }, invariants }))).toBe(
      [
        '"order" goes wrong, without a crash:',
        "  1. start",
        '  2. send {"type":"PAY","cents":500}',
        '  3. charge answers {"number":7}',
        'It does not hold that "what is paid was charged" (nobody was charged), in {"status":"done","value":"paid","context":{"cents":500,"reminders":0,"receipt":{"number":7}}}',
      ].join("\n"),
    );
  });

  test("what is random", async () => {
    const rolling = setup({ actions: { roll: assign({ rolled: () => Math.random() }) } }).createMachine({
      id: "dice",
      context: {},
      on: { ROLL: { actions: "roll" } },
    });
    expect(await storyOf(explore(rolling as unknown as AnyStateMachine, { events: [{ type: "ROLL" }] }))).toContain(
      "The same events lead to two states, without a crash",
    );
  });

  test("a promise that waits for the world, also one of an agent, and says what to do", async () => {
    const waiting = (wait: AnyActorLogic) =>
      setup({ actors: { wait } }).createMachine({ id: "waiting", initial: "a", states: { a: { invoke: { src: "wait", onDone: "b", onError: "b" } }, b: {} } });
    const logics: AnyActorLogic[] = [fromPromise(() => new Promise(() => {})), step(scripted("hangs", hang))];
    for (const logic of logics)
      expect(await storyOf(explore(waiting(logic)))).toBe(
        [
          '"wait" has not answered when all was quiet: it waits for the world or for time.',
          'Say what it may answer, and fail with: `actors: { wait: [result, new Error("why")] }`. With [] it never answers.',
        ].join("\n"),
      );
    expect(await explore(waiting(logics[0]!), { actors: { wait: [] } })).toMatchObject({ paths: 1 });
    expect(await explore(waiting(logics[1]!), { actors: { wait: [1, new Error("no")] } })).toMatchObject({ paths: 2 });
    expect(await explore(waiting(fromCallback(() => {})))).toMatchObject({ paths: 1 });
  });

  test("a machine that counts for ever, and says what to do", async () => {
    const counter = setup({ types: { context: {} as { count: number } } }).createMachine({
      id: "counter",
      context: { count: 0 },
      on: { ADD: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
    });
    const events = [{ type: "ADD" }];
    expect(await storyOf(explore(counter, { events, limit: 20 }))).toBe(
      [
        "The machine has more than 20 paths: it may count something up in its context for ever.",
        "Give fewer events, say with `tellApart` what of a snapshot tells states apart, or give a greater `limit`.",
      ].join("\n"),
    );
    expect(await explore(counter, { events, limit: 20, tellApart: ({ context }) => Math.min(context.count, 3) })).toMatchObject({ paths: 1 });
  });
});

describe("explore of a workflow", () => {
  const research = (bank: Bank, key: boolean) => {
    const plan = scripted("planner", new Error("overloaded"), ["a", "b"]);
    const pay = agent({
      name: "payer",
      input: z.any(),
      output: z.string(),
      run: (_input, { idempotencyKey }) => bank.charge(key ? idempotencyKey : undefined),
    });
    return workflow({ name: "research", input: z.object({ topic: z.string() }) }, (wf) => {
      const planned = wf.node("plan", plan, { topic: wf.input.topic });
      return { paid: wf.node("pay", pay, planned.result).result };
    });
  };
  const options = {
    input: { topic: "ratchets" },
    world: () => new Bank(),
    invariants: { "it is paid once": (_run: unknown, bank: Bank) => bank.charges.length <= 1 },
  };

  test("comes to the same result from a crash at each commit", async () => {
    const result = await explore((bank: Bank) => research(bank, true), options);
    expect(result).toMatchObject({ paths: 1 });
    expect(result.commits).toBeGreaterThan(4);
    expect(result.crashes).toBe(2 * result.commits);
  });

  test("finds an agent that does something twice", async () => {
    const story = await storyOf(explore((bank: Bank) => research(bank, false), options));
    expect(story.split("\n").slice(0, 2)).toEqual(['"research" does not survive a crash:', '  1. start with {"topic":"ratchets"}']);
    expect(story).toMatch(
      /The process is killed before commit \d+ \(node\.completed pay\); the next one goes on\.\nIt does not hold that "it is paid once", in \{"status":"(running|completed)"\}$/,
    );
  });

  test("says so when it does not end", async () => {
    const flow = workflow({ name: "endless", input: z.any(), timeout: "300d" }, (wf) => ({
      a: wf.node("a", scripted("a", hang), 1, { timeout: "200d" }).result,
    }));
    expect(await storyOf(explore(flow))).toBe('"endless" does not get on, without a crash: the simulation takes too long');
  });

  test("takes agents that hang: their timeout ends them", async () => {
    const flow = workflow({ name: "slow", input: z.any() }, (wf) => ({ a: wf.node("a", scripted("a", hang, "late"), 1, { timeout: "30s" }).result }));
    const statuses = new Set<string>();
    await explore(flow, { invariants: { seen: ({ status, output }) => void statuses.add(`${status} ${JSON.stringify(output)}`) } });
    expect(statuses).toContain('completed {"a":"late"}');
  });
});
