/**
 * Instants of cron expressions, at the two nights of the year at which the clocks are changed, too.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cronOf } from "../src/cron.ts";
import type { PawlError } from "../src/errors.ts";
import { cases } from "./sim/cases.ts";

const at = (text: string): number => Date.parse(text);

/** The next instants after this one. */
async function nextOf(expression: string, timeZone: string, after: string, count: number): Promise<string[]> {
  const cron = await cronOf(expression, timeZone, "here");
  const found: string[] = [];
  for (let next = cron.next(at(after)); next !== null && found.length < count; next = cron.next(next)) found.push(new Date(next).toISOString());
  return found.map((text) => text.replace(".000Z", "Z"));
}

describe("in Europe/Berlin", () => {
  test("a time of day that does not exist comes at the first instant after the gap, and once", async () => {
    expect(await nextOf("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3)).toEqual([
      "2026-03-28T01:30:00Z",
      "2026-03-29T01:00:00Z", // 3:00, since 2:30 is left out that night
      "2026-03-30T00:30:00Z",
    ]);
  });

  test("a time of day that exists twice counts once, the first time", async () => {
    expect(await nextOf("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2)).toEqual(["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
  });

  test("with a list or a range, what falls into the gap is left out, and what comes twice counts twice", async () => {
    expect(await nextOf("30 2,14 * * *", "Europe/Berlin", "2026-03-28T20:00:00Z", 2)).toEqual(["2026-03-29T12:30:00Z", "2026-03-30T00:30:00Z"]);
    expect(await nextOf("30 2,14 * * *", "Europe/Berlin", "2026-10-24T20:00:00Z", 3)).toEqual([
      "2026-10-25T00:30:00Z",
      "2026-10-25T01:30:00Z",
      "2026-10-25T13:30:00Z",
    ]);
  });

  test("what comes every half hour goes on every half hour in both nights", async () => {
    expect(await nextOf("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 4)).toEqual([
      "2026-03-29T00:30:00Z",
      "2026-03-29T01:00:00Z",
      "2026-03-29T01:30:00Z",
      "2026-03-29T02:00:00Z",
    ]);
    expect(await nextOf("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4)).toEqual([
      "2026-10-25T00:30:00Z",
      "2026-10-25T01:00:00Z",
      "2026-10-25T01:30:00Z",
      "2026-10-25T02:00:00Z",
    ]);
  });
});

test("the instants behind one are those that were ahead: nothing is missed or counted twice by looking back", async () => {
  const expressions = fc.constantFrom("30 2 * * *", "0 3 * * *", "*/20 * * * *", "30 2,14 * * *", "15 1-3 * * *", "*/7 * * * * *", "0 12 1 * *");
  const zones = fc.constantFrom("Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe");
  const nights = fc.constantFrom("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04");
  const offset = fc.integer({ min: -100_000_000, max: 100_000_000 });
  await fc.assert(
    fc.asyncProperty(expressions, zones, nights, offset, async (expression, zone, night, offsetMs) => {
      const cron = await cronOf(expression, zone, "here");
      const from = at(`${night}T00:00:00Z`) + offsetMs;
      const ahead: number[] = [];
      for (let next = cron.next(from); ahead.length < 20; next = cron.next(next!)) ahead.push(next!);
      const behind = (until: number): number[] => cron.last(until, 21).filter((instant) => instant > from);
      expect(behind(ahead.at(-1)!)).toEqual(ahead);
      expect(behind(ahead.at(-1)! - 1)).toEqual(ahead.slice(0, -1));
    }),
    cases({ short: 100, long: 5_000 }),
  );
});

test.each([
  ["", "exactly five, six, or seven"],
  ["nonsense", "exactly five, six, or seven"],
  ["* * *", "exactly five, six, or seven"],
  ["* * * * * * * *", "exactly five, six, or seven"],
  ["61 * * * *", "Invalid value for minute: 61"],
  ["0 3 * * FOO", "FOO"],
  ["2026-01-15T14:00:00", "it is a date"],
])("%j is refused, and it is told why", async (expression, reason) => {
  const { code, message, at, next } = await cronOf(expression, "UTC", 'schedule "s"').then(
    () => expect.unreachable(),
    (error: unknown) => error as PawlError,
  );
  expect({ code, at }).toEqual({ code: "PAWL_INVALID_VALUE", at: 'schedule "s"' });
  expect(message).toMatch(new RegExp(`, which is no cron expression: (?!CronPattern).*${reason}`));
  expect(message.startsWith(`cron is ${JSON.stringify(expression)}, `)).toBe(true);
  expect(next).toContain("'0 3 * * *' is 3:00 every day");
});

test("an expression of a date that never comes has no instant", async () => {
  const cron = await cronOf("0 0 30 2 *", "UTC", "here");
  expect([cron.next(0), cron.last(at("2026-01-01T00:00:00Z"), 5)]).toEqual([null, []]);
});
