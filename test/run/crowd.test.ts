/**
 * Machines with many children: whatever the number, they go the way of those with few.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { assign, createMachine, sendTo, setup, stopChild } from "xstate";
import type { MachineHandle } from "../../src/run/machine-handle.ts";
import { Crowd } from "../../src/run/xstate/crowd.ts";
import { cases } from "../sim/cases.ts";
import { CRASH_POLICIES } from "../sim/durable-driver.ts";
import { HAND_MADE_CASES } from "../sim/hand-made-machines.ts";
import { MachineRoom } from "../sim/machine-room.ts";
import { check } from "../sim/statechart-check.ts";
import { statechartSpec } from "../sim/statechart-spec.ts";
import { subjectOf } from "../sim/statechart-trace.ts";

beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));
afterEach(() => void vi.restoreAllMocks());

describe("when one child is a crowd", () => {
  const { min, layerMax } = Crowd;
  beforeEach(() => void Object.assign(Crowd, { min: 1, layerMax: 3 }));
  afterEach(() => void Object.assign(Crowd, { min, layerMax }));

  test("machines made by hand do as they do else", async () => {
    for (const subject of HAND_MADE_CASES.filter(({ differs, restarts }) => differs === undefined && restarts === undefined))
      for (const policy of ["none", "both"] as const)
        expect([subject.name, policy, (await check(subject, policy)).difference]).toEqual([subject.name, policy, undefined]);
  });

  test("random systems of statecharts go the same way live and through crashes", async () => {
    await fc.assert(
      fc.asyncProperty(statechartSpec({ speaks: false }), fc.constantFrom(...CRASH_POLICIES), async (spec, policy) => {
        expect((await check(subjectOf(spec), policy)).difference).toBeUndefined();
      }),
      cases({ short: 25, long: 1_000 }),
    );
  }, 600_000);
});

const child = createMachine({ id: "child", context: { heard: 0 }, on: { SAY: { actions: assign({ heard: ({ context }) => context.heard + 1 }) } } });
const parent: any = setup({ actors: { child } }).createMachine({
  id: "parent",
  initial: "open",
  context: { made: 0 },
  states: {
    open: {
      on: {
        MAKE: { actions: assign(({ context, event, spawn }: any) => (spawn("child", { id: `c${event.n}` }), { made: context.made + 1 })) },
        SAY: { actions: sendTo(({ event }: any) => `c${event.n}`, { type: "SAY" }) },
        STOP: { actions: stopChild(({ event }: any) => `c${event.n}`) },
        END: "over",
      },
    },
    over: { type: "final" },
  },
} as any);

test("three hundred children are made, spoken to, stopped, seen and ended, also by the next process", async () => {
  const room = new MachineRoom();
  const process = await room.boot([parent]);
  const run = (await room.settled(process.pawl.start(parent, { id: "r" }))) as MachineHandle<any>;
  const send = (type: string, n = 0): Promise<unknown> => room.settled(run.send({ type, n } as never));
  for (let n = 0; n < 300; n++) await send("MAKE", n);
  await send("SAY", 7);
  await send("STOP", 8);
  await send("MAKE", 8);
  await send("STOP", 299);
  process.kill();
  const next = await room.boot([parent]);
  const again = (await room.settled(next.pawl.run("r", parent))) as MachineHandle<any>;
  const { children } = (await room.settled(again.snapshot())) as { children: Record<string, any> };
  expect(Object.keys(children).toSorted()).toEqual(Array.from({ length: 299 }, (_, n) => `c${n}`).toSorted());
  expect([children["c7"].getSnapshot().context, children["c6"].getSnapshot().context]).toEqual([{ heard: 1 }, { heard: 0 }]);
  expect(await room.settled(again.send({ type: "SAY", n: 299 } as never))).toMatchObject({ value: "open" });
  expect((await room.settled(again.snapshot())).status).toBe("error");
});
