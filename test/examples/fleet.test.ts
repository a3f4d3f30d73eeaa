/**
 * The fleet tells what protected it, in numbers that its providers and the histories of its runs bear out.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample } from "./example-process.ts";
import { durableNodes } from "./witness.ts";

const TENANTS = { acme: 80, bolt: 30, coil: 30 };
/** The breaker opens after so many failures in a row; what was under way then may fail, too, and so does what probes. */
const FAILURES = 5;
const AT_ONCE = 6;

test("a provider is down and a worker is killed: all is done once, within the limits, in turns, and the outage is spared most calls", async () => {
  const folder = join(temporaryFolder().path, "fleet");
  const { code, output } = await runExample("examples/fleet/main.ts", [folder]);
  expect(code, output).toBe(0);
  expect(output).toContain("140 of 140 tickets are answered and filed; 0 steps that were done were done again");
  for (const word of [
    "before .* closed, its health HEALTHY",
    "outage .* open, its health CRITICAL",
    "probe",
    "recovery .* closed, its health HEALTHY",
    "kill -9",
  ])
    expect(output).toMatch(new RegExp(`^ +[\\d.]+ s {2}${word}`, "m"));

  const [calls, answered, refused, , spared] = numbersOf(output, "models");
  expect(calls).toBeGreaterThanOrEqual(answered! + refused!);
  expect(refused).toBeGreaterThan(FAILURES);
  expect(refused).toBeLessThan(FAILURES + 4 * AT_ONCE);
  expect(spared).toBeGreaterThan(0);
  const [planned, instead] = [numbersOf(output, "answerer")[0]!, numbersOf(output, "writer")[0]!];
  expect({ all: planned + instead, hasBoth: planned > 0 && instead > 0 }).toEqual({ all: 140, hasBoth: true });
  expect(numbersOf(output, "modelCalls")).toEqual([AT_ONCE, AT_ONCE, AT_ONCE]);

  const had = Object.keys(TENANTS).map((tenant) => numbersOf(output, tenant)[1]!);
  expect(had.slice(1)).toContain(TENANTS.bolt);
  // had they come in the order in which they were asked for, nearly all of them would have been
  expect(had[0]).toBeLessThan(TENANTS.acme - 10);
  expect(numbersOf(output, "runs")[1], "runs that were taken over").toBeGreaterThan(0);
  const store = join(folder, "pawl.db");
  for (const [tenant, count] of Object.entries(TENANTS))
    for (const n of [0, count - 1]) expect(durableNodes(store, `${tenant}-${n}`)).toEqual(new Set(["look-up", "answer", "file"]));
});

/** The numbers of the first row that begins so. */
function numbersOf(output: string, row: string): number[] {
  const [, text = ""] = new RegExp(`^ {2}${row} +(.*)$`, "m").exec(output) ?? [];
  return [...text.matchAll(/\d+(?:\.\d+)?/g)].map(Number);
}
