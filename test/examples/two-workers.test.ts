/**
 * Of two workers on one file one is killed: the other finishes, and no step that was done is done again.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample } from "./example-process.ts";
import { durableNodes } from "./witness.ts";

const RUNS = Array.from({ length: 10 }, (_, i) => `report-${i + 1}`);

test("a worker is killed in the middle, and the other one finishes all runs", async () => {
  const folder = join(temporaryFolder().path, "two-workers");
  const { code, output } = await runExample("examples/two-workers/main.ts", [folder]);
  expect(code, output).toBe(0);
  expect(output).toMatch(TOLD);
  const [, killed, other, cutOff] = TOLD.exec(output)!;

  const store = join(folder, "pawl.db");
  for (const run of RUNS) {
    expect(durableNodes(store, run)).toEqual(new Set(["outline", "write", "print"]));
    expect(readFileSync(join(folder, `${run}.txt`), "utf8")).toContain(`topic ${run.slice("report-".length)}`);
  }
  const starts = readLines(join(folder, "calls.log")).filter((line) => line.startsWith("start "));
  expect(
    starts.filter((line, i) => starts.indexOf(line) < i),
    "one worker called an agent twice",
  ).toEqual([]);
  const steps = starts.map((line) => line.split(" ")[1]!);
  expect(steps.length - new Set(steps).size).toBe(Number(cutOff));
  expect(starts.some((line) => line.endsWith(` ${killed}`))).toBe(true);
  expect(starts.every((line) => line.endsWith(` ${killed}`) || line.endsWith(` ${other}`))).toBe(true);
});

/** What the example prints. */
const TOLD = new RegExp(
  [
    "^worker (\\d+) is killed; \\d+ of 30 steps are done",
    "worker (\\d+) has finished all 10 runs",
    "(\\d+) steps were cut off and ran again; 0 of those that were done did\n$",
  ].join("\n"),
);

function readLines(file: string): string[] {
  return readFileSync(file, "utf8").trim().split("\n");
}
