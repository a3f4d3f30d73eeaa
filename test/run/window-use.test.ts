/**
 * What was used within a window, against a list of all that was: it is never counted for less, nor for more than a sixtieth
 * of the window longer; and what a row says covers it, by whatever clock it is read.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type WindowEntry, WindowUse, type WindowUseRow, nextExpiryOf, usedStill } from "../../src/run/window-use.ts";
import { cases } from "../sim/cases.ts";

interface Use {
  at: number;
  amount: number;
}

const plot = fc.record({
  perMs: fc.constantFrom(7, 60, 1_000, 60_000),
  behindMs: fc.nat(5_000),
  lagMs: fc.nat(5_000),
  steps: fc.array(
    fc.record({
      kind: fc.constantFrom("used", "taken", "begun", "ended", "corrected", "written"),
      amount: fc.nat(5),
      /** Of the window's length. */
      passes: fc.oneof(fc.double({ min: 0, max: 0.3, noNaN: true }), fc.constantFrom(0, 59 / 60, 0.999, 1)),
    }),
    { maxLength: 30 },
  ),
});

const sumOf = (row: WindowUseRow): number => Object.values(row).reduce((sum, amount) => sum + amount, 0);

/** What was used since then, and that instant does not count. */
const usedSince = (uses: readonly Use[], since: number): number => uses.reduce((sum, { at, amount }) => sum + (at > since ? amount : 0), 0);

test("what was used is counted until its window is over, here and in the row, and hardly longer", () => {
  fc.assert(
    fc.property(plot, ({ perMs, behindMs, lagMs, steps }) => {
      const width = Math.ceil(perMs / 60);
      const [window, uses]: [WindowUse, Use[]] = [new WindowUse(perMs), []];
      const ahead: WindowEntry[] = [];
      let [now, row]: [number, WindowUseRow] = [1_000_000, {}];
      for (const { kind, amount, passes } of steps) {
        now += Math.round(passes * perMs);
        if (kind === "used") {
          window.add(amount, now);
          uses.push({ at: now, amount });
        } else if (kind === "taken") {
          const entry = { amount, at: now };
          window.take(entry);
          ahead.push(entry);
        } else if ((kind === "begun" || kind === "ended") && ahead.length > 0) {
          const [entry] = ahead.splice(amount % ahead.length, 1);
          // who ends without having begun has used it when it was taken, or written, last
          if (kind === "begun") window.begin(entry!, now);
          else window.end(entry!);
          uses.push({ at: entry!.at, amount: entry!.amount });
          if (kind === "begun") expect(entry!.at).toBeGreaterThan(now - width);
        } else if (kind === "corrected" && uses.length > 0) {
          const use = uses[amount % uses.length]!;
          // what is over stays so
          const counts = now < (Math.floor(use.at / width) + 1) * width + perMs;
          window.correct(amount - use.amount, use.at);
          if (counts) use.amount = amount;
        } else row = window.row(now, behindMs, amount);
        const sum = window.sum(now);
        const known = [...uses, ...ahead];
        // what has not begun counts, however long ago it was taken
        expect(sum).toBeGreaterThanOrEqual(usedSince(uses, now - perMs) + usedSince(ahead, 0));
        expect(sum).toBeLessThanOrEqual(usedSince(known, now - perMs - width));
        if (kind === "written") for (const { at } of ahead) expect(at).toBeGreaterThan(now - width);
        expect(kind === "written" && window.isUnwritten).toBe(false);
        if (!window.isUnwritten) expect(sumOf(usedStill(row, perMs, now + behindMs))).toBeGreaterThanOrEqual(sum);
        // by a clock that is ahead of whoever wrote it, which knows by how much: it counts for as long there
        const [there, here] = [now + behindMs + lagMs, usedStill(row, perMs, now + behindMs)];
        expect(sumOf(usedStill(row, perMs, there, lagMs))).toBeGreaterThanOrEqual(sumOf(here));
        expect(sumOf(usedStill(row, perMs, there + 2 * width, lagMs))).toBeLessThanOrEqual(sumOf(here));
        expect(Object.keys(usedStill(row, perMs, there, lagMs)).every((bucket) => Number(bucket) * width <= there)).toBe(true);
      }
    }),
    cases({ short: 300, long: 100_000 }),
  );
}, 600_000);

test("it is known to the millisecond when something counts no more", () => {
  const window = new WindowUse(60_000);
  window.add(3, 10_500);
  window.add(2, 12_000);
  const row = window.row(12_000, 0, 0);
  const [here, there] = [window.nextExpiry(12_000)!, nextExpiryOf(row, 60_000, 12_000)!];
  expect([here, there]).toEqual([71_000, 71_000]);
  expect([sumOf(usedStill(row, 60_000, there - 1)), sumOf(usedStill(row, 60_000, there))]).toEqual([5, 2]);
  expect([window.sum(here - 1), window.sum(here), window.nextExpiry(here), window.nextExpiry(80_000)]).toEqual([5, 2, 73_000, undefined]);
  expect([nextExpiryOf(row, 60_000, 80_000), nextExpiryOf(undefined, 60_000, 0)]).toEqual([undefined, undefined]);
});

test("what was written ahead is used without being written, until time or another clock makes it of another instant", () => {
  const window = new WindowUse(60_000);
  const writes = (amount: number, now: number): readonly boolean[] => {
    window.add(amount, now);
    return [window.isUnwritten, window.isOld];
  };
  expect(writes(1, 10_000)).toEqual([true, true]);
  window.row(10_100, 0, 2);
  expect([window.isUnwritten, window.isOld]).toEqual([false, false]);
  expect([writes(2, 10_900), writes(1, 10_950)]).toEqual([
    [false, true],
    [true, true],
  ]);
  window.row(10_960, 0, 2);
  expect(writes(1, 11_000)).toEqual([true, true]);
  window.row(11_010, 0, 2);
  window.forgetWritten();
  expect(writes(1, 11_020)).toEqual([true, true]);
});
