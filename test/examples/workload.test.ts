/**
 * Recorded workloads: read, put in order, and bounded from below.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { criticalPathSeconds, readWorkload } from "../../examples/replay/workload.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { runExample } from "./example-process.ts";

const SHIPPED = new URL("../../examples/replay/survey.json", import.meta.url).pathname;

function written(tasks: readonly object[]): string {
  const file = join(temporaryFolder().path, "workload.json");
  writeFileSync(file, JSON.stringify({ format: "pawl-workload/1", name: "w", tasks }));
  return file;
}

test("tasks come after those they wait for, whatever the order of the file", () => {
  const file = written([
    { id: "c", type: "t", deps: ["b", "a"], s: 4 },
    { id: "b", type: "t", deps: ["a"], s: 2 },
    { id: "a", type: "t", deps: [], s: 1 },
  ]);
  const workload = readWorkload(file);
  expect(workload.tasks.map(({ id }) => id)).toEqual(["a", "b", "c"]);
  expect(criticalPathSeconds(workload)).toBe(7);
});

test("a circle and a dependency that is not there are refused", () => {
  expect(() => readWorkload(written([{ id: "a", type: "t", deps: ["a"], s: 1 }]))).toThrow("circle");
  expect(() => readWorkload(written([{ id: "a", type: "t", deps: ["z"], s: 1 }]))).toThrow("not there");
});

test("a replay takes at least its critical path, and says so", async () => {
  const bound = criticalPathSeconds(readWorkload(SHIPPED)) * 0.01;
  const { code, output } = await runExample("examples/replay/main.ts", [SHIPPED, "--scale", "0.01", "--store", join(temporaryFolder().path, "pawl.db")]);
  expect(code, output).toBe(0);
  expect(output).toContain("100 %  17 of 17 nodes");
  const [, seconds] = /completed: ([\d.]+) s/.exec(output)!;
  expect(Number(seconds)).toBeGreaterThanOrEqual(Math.floor(bound * 100) / 100);
});
