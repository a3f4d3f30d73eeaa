/**
 * The analytics example as its reader sees it: the story with its kill, the same id again, and what it refuses.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";
import { type Ended, runExample, startExample, untilGone } from "./example-process.ts";
import { durableNodes, readLines } from "./witness.ts";

const MAIN = "examples/analytics/main.ts";
const ALL = new Set(["parse", "query", "chart", "answer"]);

test("the story ends with a chart, although its worker is killed, and leaves no process behind", async () => {
  const folder = temporaryFolder().path;
  const example = startExample(MAIN, ["--id", "a-1", "--folder", folder]);
  const { code, output } = await example.ended;
  expect(code, output).toBe(0);
  await untilGone(example.pid);
  expect(output).toMatch(/KILL -9 +process \d+ is gone/);
  expect(output).toContain("No node that had completed was called again.");
  expect(output).toMatch(/India +█+ 1\.44B/);
  expect(durableNodes(join(folder, "analytics.db"), "a-1")).toEqual(ALL);
  expect(readFileSync(join(folder, "a-1.svg"), "utf8")).toMatch(/^<svg [^]*India[^]*<\/svg>\n$/);
  const calls = readLines(join(folder, "analytics-calls.log"));
  expect(calls.filter(({ what, node }) => what === "start" && node === "parse").length).toBe(1);

  const again = await runExample(MAIN, ["--id", "a-1", "--folder", folder]);
  expect(again.code, again.output).toBe(0);
  expect(again.output).toContain("This run has ended already, completed");
  expect(readLines(join(folder, "analytics-calls.log"))).toEqual(calls);

  const other = await runExample(MAIN, ["--id", "a-1", "--folder", folder, "4 biggest economies"]);
  expect(other.code, other.output).toBe(1);
  expect(other.output).toContain("PAWL_RUN_CONFLICT");
});

test("a question that it cannot read ends with those that it can", async () => {
  const folder = temporaryFolder().path;
  const ended: Ended = await runExample(MAIN, ["--id", "a-2", "--folder", folder, "--no-kill", "Who wrote Faust?"]);
  expect(ended.code, ended.output).toBe(1);
  expect(ended.output).toContain("PAWL_RUN_FAILED");
  expect(ended.output).toContain("Questions that it can answer");
  expect(existsSync(join(folder, "a-2.svg"))).toBe(false);
});
