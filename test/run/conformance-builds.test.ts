/**
 * The host goes the way of a live actor under both builds of xstate: Node loads the production build, tests the development build.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cases } from "../sim/cases.ts";

const program = new URL("conformance-child.ts", import.meta.url).pathname;

test.each([
  ["production", []],
  ["development", ["--conditions=development"]],
])(
  "statecharts go the same way live and through crashes under the %s build",
  async (build, conditions) => {
    const { numRuns, seed } = cases({ short: 30, long: 600 });
    const given = ["--conditions=pawl-source", ...conditions, program, String(numRuns), String(seed)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, given, { maxBuffer: 2 ** 26 });
    expect(stderr).toBe("");
    const { build: loaded, agreed } = JSON.parse(stdout) as { build: string; agreed: number };
    expect(loaded).toMatch(build === "development" ? /xstate\.development\./ : /xstate\.cjs\.mjs$/);
    expect(agreed).toBeGreaterThan(numRuns);
  },
  600_000,
);
