/**
 * The assessment of an infrastructure: what it says when a reviewer fails for good, how the gap is filled, and kills.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rounds } from "../processes/rounds.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type Ended, type Example, runExample, startExample } from "./example-process.ts";
import { killAtRandom } from "./random-kills.ts";
import { type Moment, durableNodes, ranAgain, readLines, startedTooEarly } from "./witness.ts";

const EXAMPLE = "examples/infra-assessment/main.ts";
const SHIPPED = new URL("../../examples/infra-assessment/infrastructure.json", import.meta.url).pathname;
const MISSING = 'missing    cost[3]: ftp is on "basement", and no price of that is known';
const each = (reviewer: string): string[] => [0, 1, 2, 3, 4].map((index) => `${reviewer}[${index}]`);
const REVIEWS = ["security", "cost", "reliability"].flatMap(each);

test("a review that fails for good is left out, and said to be missing; made again from there, the run keeps all others", async () => {
  const folder = temporaryFolder().path;
  const [store, log, file] = [join(folder, "pawl.db"), join(folder, "calls.log"), join(folder, "infrastructure.json")];
  const say = (id: string): Promise<Ended> => runExample(EXAMPLE, [file, "--id", id, "--store", store], { CALLS_LOG: log });
  const shipped = readFileSync(SHIPPED, "utf8");
  writeFileSync(file, shipped);
  const { code, output } = await say("first");
  expect(code, output).toBe(0);
  expect(output).toContain("14 reviews, 4 of them poor; degraded: 1 missing\n");
  expect(output).toContain(MISSING);
  expect(output).toContain("reliability[2] failed, and is tried again: the monitoring of search does not answer\n");

  writeFileSync(file, shipped.replace('"north": 31', '"north": 31, "basement": 9'));
  const [, words] = /^ +pawl (fork .*)$/m.exec(output)!;
  const forked = await runExample("src/serve/bin.ts", words!.replaceAll("'", "").split(" "));
  expect(forked.code, forked.output).toBe(0);
  const calls = readLines(log).length;
  const { output: filled } = await say("first-2");
  expect(filled).toContain("15 reviews, 4 of them poor\n");
  expect(filled).not.toContain("missing");
  const made = readLines(log).slice(calls);
  expect(made.filter(({ what }) => what === "start").map(({ node }) => node)).toEqual(["cost[3]", "summary"]);
});

test("killed at random moments, it says the same in the end, and no review that was done is made again", async () => {
  let cutOff = 0;
  await rounds({ short: 2, long: 50 }, async (chance) => {
    const folder = temporaryFolder();
    const [store, log] = [join(folder.path, "pawl.db"), join(folder.path, "calls.log")];
    const moments: Moment[] = [];
    const start = (): Example => startExample(EXAMPLE, ["--store", store], { CALLS_LOG: log });
    const died = (): void => void moments.push({ durable: durableNodes(store, "assessment"), lines: readLines(log).length });
    const { code, output } = await killAtRandom({ store, start, chance, kills: 2, commits: 12, died });
    const lines = readLines(log);
    expect(code, output).toBe(0);
    expect(output).toContain("14 reviews, 4 of them poor; degraded: 1 missing\n");
    expect(output).toContain(MISSING);
    // the monitoring of search does not answer the first time
    expect(ranAgain(lines, moments).filter((text) => text !== "reliability[2] started twice in one life")).toEqual([]);
    expect(startedTooEarly(lines, new Map(REVIEWS.map((id) => [id, ["inventory"]])))).toEqual([]);
    expect(new Set(lines.flatMap(({ what, node }) => (what === "end" ? [node] : [])))).toEqual(
      new Set(["inventory", ...REVIEWS.filter((id) => id !== "cost[3]"), "summary"]),
    );
    cutOff += moments.filter(({ durable }) => durable.size > 0 && !durable.has("summary")).length;
    folder.remove();
  });
  console.log(`killed ${cutOff} times in the middle`);
}, 1_800_000);
