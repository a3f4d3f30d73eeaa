/**
 * Shares of a limit: what workers use together is never more than it, and whoever waits gets what is free, however they
 * come, go, die, and are told late of each other.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { partOf } from "../../src/run/limit-row.ts";
import { cases } from "../sim/cases.ts";
import { LimitPlot } from "../sim/limit-plot.ts";

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("wants" as const), who: fc.nat(3), amount: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("givesBack" as const), who: fc.nat(3), amount: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("written" as const, "written" as const, "lost" as const, "unknown" as const),
      who: fc.nat(3),
      amount: fc.constant(0),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("refreshes" as const), who: fc.nat(3), amount: fc.constant(0) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pumps" as const), who: fc.nat(3), amount: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("passes" as const), who: fc.constant(0), amount: fc.nat(700) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("dies" as const), who: fc.nat(3), amount: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stalls" as const), who: fc.nat(3), amount: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("setsClock" as const), who: fc.constant(0), amount: fc.nat(3_000) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("round" as const), who: fc.constant(0), amount: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("settles" as const), who: fc.nat(3), amount: fc.nat(29) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("stepsAside" as const), who: fc.nat(3), amount: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("keeps" as const), who: fc.nat(3), amount: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("leaves" as const), who: fc.nat(3), amount: fc.constant(0) }) },
);
/** An operator changes the limit; 0 takes that back. */
const operated = fc.oneof(
  { weight: 12, arbitrary: action },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("set" as const), who: fc.constant(0), amount: fc.nat(9) }) },
);
type Step = typeof operated extends fc.Arbitrary<infer A> ? A : never;

/** `large`: by this what is more than a little is multiplied. */
async function play(plot: LimitPlot, count: number, actions: readonly Step[], large = 1): Promise<void> {
  for (let added = 0; added < count; added++) await plot.add();
  for (const { kind, who, amount } of actions) {
    const at = who % plot.peers.length;
    const peer = plot.peers[at]!;
    if (kind === "wants") peer.wants(Math.min(amount > 2 ? amount * large : amount, plot.policy.max));
    else if (kind === "givesBack") peer.giveBack(amount);
    else if (kind === "refreshes") await peer.shared.refresh();
    else if (kind === "pumps") peer.pump();
    else if (kind === "passes") plot.now += amount;
    else if (kind === "stalls") await plot.stall(at);
    else if (kind === "round") await plot.round();
    else if (kind === "setsClock") plot.clockOffsetMs -= amount;
    else if (kind === "settles") peer.settle(amount >> 1, amount % 7);
    else if (kind === "stepsAside") peer.stepsAside();
    else if (kind === "keeps") peer.keeps(amount);
    else if (kind === "leaves") peer.mayLeave = true;
    else if (kind === "set") await plot.set(amount === 0 ? undefined : amount);
    else if (kind === "dies") {
      await plot.kill(at);
      await plot.add();
    } else await peer.write(kind);
  }
}

for (const { what, perMs, large } of [
  { what: "what is held at once", perMs: undefined, large: 1 },
  { what: "what is used within a time", perMs: 1_000, large: 1 },
  { what: "what is used of so much that some of it is written ahead", perMs: 1_000, large: 100 },
])
  test(`${what} is never more than the limit, and nobody waits for ever`, async () => {
    const plots = fc.record({
      max: fc.integer({ min: 1, max: 9 }),
      count: fc.integer({ min: 1, max: 4 }),
      actions: fc.array(action, { maxLength: 60, size: "max" }),
    });
    await fc.assert(
      fc.asyncProperty(plots, async ({ max, count, actions }) => {
        const plot = new LimitPlot({ name: "x", max: max * large, perMs, isPerTenant: false });
        await play(plot, count, actions, large);
        expect(plot.mostUsed).toBeLessThanOrEqual(max * large);
        expect(await plot.settle()).toBe(0);
        expect(plot.mostUsed).toBeLessThanOrEqual(max * large);
        expect(plot.mostInDebt).toBeLessThanOrEqual(0);
      }),
      cases({ short: 300, long: 100_000 }),
    );
  }, 3_600_000);

for (const perMs of [undefined, 1_000])
  test(`an operator's limit holds from where it is known, ${perMs === undefined ? "of what is held" : "of what is used within a time"}`, async () => {
    const plots = fc.record({
      max: fc.integer({ min: 1, max: 9 }),
      count: fc.integer({ min: 1, max: 4 }),
      actions: fc.array(operated, { maxLength: 60, size: "max" }),
    });
    await fc.assert(
      fc.asyncProperty(plots, async ({ max, count, actions }) => {
        const plot = new LimitPlot({ name: "x", max, perMs, isPerTenant: false });
        await play(plot, count, actions);
        expect(plot.mostOver).toBeLessThanOrEqual(0);
        expect(plot.mostInDebt).toBeLessThanOrEqual(0);
        await plot.set(undefined);
        expect(await plot.settle()).toBe(0);
      }),
      cases({ short: 300, long: 100_000 }),
    );
  }, 3_600_000);

// found by the properties above: the write that was tried again said what was used when it was tried first
test("what begins with a write that is tried again is counted, though the first attempt may have been written", async () => {
  const plot = new LimitPlot({ name: "x", max: 3, perMs: 1_000, isPerTenant: false });
  await plot.add();
  const [peer] = plot.peers;
  peer!.wants(1);
  await plot.round();
  peer!.pump();
  await peer!.write("unknown");
  peer!.wants(1);
  await peer!.write();
  await plot.kill(0);
  await plot.add();
  plot.peers[0]!.wants(2);
  expect(await plot.settle()).toBe(0);
  expect(plot.mostUsed).toBe(2);
});

// found by the properties above: who had seen that the clock of the first is behind forgot it when another found that one gone
test("what a worker used that is gone counts for as long, whoever found it gone, by whatever clock", async () => {
  const plot = new LimitPlot({ name: "x", max: 1, perMs: 1_000, isPerTenant: false });
  await plot.add();
  plot.clockOffsetMs = -500;
  for (let added = 0; added < 2; added++) await plot.add();
  const [ahead, user, finder] = plot.peers;
  user!.wants(1);
  await user!.write();
  await plot.round();
  expect(user!.taken.length).toBe(1);
  await ahead!.shared.refresh();
  await plot.kill(1);
  finder!.wants(1);
  plot.now += 600;
  await finder!.shared.refresh();
  await finder!.write();
  ahead!.wants(1);
  expect(await plot.settle()).toBe(0);
  expect(plot.mostUsed).toBe(1);
});

// found by the properties above: the row's time went ahead, what others had used stayed behind, and who came later could not tell
test("whoever writes by a clock that is ahead takes along what others have used", async () => {
  const plot = new LimitPlot({ name: "x", max: 1, perMs: 1_000, isPerTenant: false });
  await plot.add();
  plot.clockOffsetMs = -1_100;
  await plot.add();
  const [ahead, user] = plot.peers;
  user!.wants(1);
  await plot.round();
  await plot.round();
  expect(user!.taken.length).toBe(1);
  ahead!.wants(1);
  await ahead!.write();
  await plot.kill(1);
  await plot.add();
  plot.peers[1]!.wants(1);
  await plot.peers[1]!.write();
  plot.peers[1]!.pump();
  expect(plot.peers[1]!.taken.length).toBe(0);
  expect(await plot.settle()).toBe(0);
  expect(plot.mostUsed).toBe(1);
});

// found by the properties above: the model held what began last for what was granted last
test("what was granted before the limit was lowered may begin after that", async () => {
  const plot = new LimitPlot({ name: "x", max: 1, perMs: undefined, isPerTenant: false });
  for (let added = 0; added < 2; added++) await plot.add();
  const [early, late] = plot.peers;
  early!.wants(1);
  await early!.write();
  early!.pump();
  await plot.set(2);
  late!.wants(1);
  await late!.write();
  late!.pump();
  expect(plot.peers.map(({ taken }) => taken.length)).toEqual([1, 1]);
  await plot.set(undefined);
  await late!.shared.refresh();
  await late!.write();
  await early!.shared.refresh();
  await early!.write();
  expect(plot.mostUsed).toBe(2);
  expect(plot.mostOver).toBe(0);
});

test("shares of a limit that was lowered are not used up before they have been given back", async () => {
  const plot = new LimitPlot({ name: "x", max: 10, perMs: undefined, isPerTenant: false });
  for (let added = 0; added < 2; added++) await plot.add();
  const both = async (work: (peer: LimitPlot["peers"][number]) => unknown): Promise<void> => {
    for (const peer of plot.peers) await work(peer);
  };
  const rounds = async (): Promise<void> => {
    for (let round = 0; round < 6; round++) {
      await both((peer) => peer.write());
      await both((peer) => peer.shared.refresh());
      await both((peer) => peer.pump());
    }
  };
  await both((peer) => [1, 1, 1, 1, 1].forEach((amount) => peer.wants(amount)));
  await rounds();
  expect(plot.peers.map(({ taken }) => taken.length)).toEqual([5, 5]);
  await both((peer) => [1, 1, 1, 1, 1].forEach(() => peer.giveBack(0)));
  await plot.set(3);
  await both((peer) => peer.shared.refresh());
  await both((peer) => [1, 1, 1, 1, 1].forEach((amount) => peer.wants(amount)));
  await rounds();
  expect(plot.peers.map(({ taken }) => taken.length).toSorted((a, b) => a - b)).toEqual([1, 2]);
  expect(plot.mostOver).toBe(0);
});

test("parts are together never more than the limit, and nothing is left over that somebody wants", () => {
  const demand = fc.record({ use: fc.nat(5), want: fc.nat(20), head: fc.integer({ min: 1, max: 4 }), weight: fc.constantFrom(1, 0.5, 3, 49) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.array(demand, { minLength: 2, maxLength: 5 }), fc.nat(5), (max, demands, turn) => {
      const all = demands.map((each, id) => ({ ...each, head: Math.min(each.head, each.want, max), id }));
      const parts = all.map((own) => partOf(max, Object.fromEntries(all.filter(({ id }) => id !== own.id).map((each) => [each.id, each])), own, turn));
      if (all.filter(({ want }) => want > 0).length < 2) return;
      const sum = parts.reduce((a, b) => a + b, 0);
      expect(sum).toBeLessThanOrEqual(max);
      expect(sum).toBeGreaterThanOrEqual(
        Math.min(
          max,
          all.reduce((total, { use, want }) => total + use + want, 0),
        ),
      );
    }),
    cases({ short: 300, long: 100_000 }),
  );
});
