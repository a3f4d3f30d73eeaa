/**
 * kill -9, for real: processes die at chosen moments and the same command is said again. What the agents wrote down
 * and what the store's rows held at each kill must fit together.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readWorkload } from "../../examples/replay/workload.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type Example, startExample, until, untilGone } from "./example-process.ts";
import { type Line, type Moment, durableNodes, ranAgain, readLines, startedTooEarly } from "./witness.ts";

const SHARED = new URL("../../../shared/data/wfcommons/montage-2mass-04d-001.json", import.meta.url).pathname;
const SHIPPED = new URL("../../examples/replay/survey.json", import.meta.url).pathname;

describe("replay of a recorded workload", () => {
  const [file, scale] = existsSync(SHARED) ? [SHARED, "0.05"] : [SHIPPED, "0.1"];
  const { tasks } = readWorkload(file);

  test("killed at a quarter, a half and three quarters, it completes and nothing durable runs again", async () => {
    const folder = temporaryFolder().path;
    const [store, log] = [join(folder, "pawl.db"), join(folder, "log")];
    const start = (): Example => startExample("examples/replay/main.ts", [file, "--scale", scale, "--id", "r-1", "--store", store, "--log", log]);
    const moments: Moment[] = [];
    for (const share of [0.25, 0.5, 0.75]) {
      const example = start();
      const linesBefore = moments.at(-1)?.lines ?? 0;
      await until(example, () => readLines(log).length > linesBefore && durableNodes(store, "r-1").size >= tasks.length * share);
      await example.kill("group");
      moments.push({ durable: durableNodes(store, "r-1"), lines: readLines(log).length });
    }
    const { code, output } = await start().ended;
    const lines = readLines(log);
    expect(code, output).toBe(0);
    expect(output).toContain("completed:");
    expect(output).toContain("it was cut off 3 times");
    expect(durableNodes(store, "r-1").size).toBe(tasks.length);
    expect(endedNodes(lines)).toBe(tasks.length);
    expect(ranAgain(lines, moments)).toEqual([]);
    expect(startedTooEarly(lines, new Map(tasks.map(({ id, deps }) => [id, deps])))).toEqual([]);
  });
});

describe("analytics", () => {
  const dependencies = new Map([
    ["query", ["parse"]],
    ["chart", ["query"]],
  ]);

  test("killed before its run exists and in its nodes, it completes under the same id", async () => {
    const folder = temporaryFolder().path;
    const [store, log] = [join(folder, "analytics.db"), join(folder, "analytics-calls.log")];
    const moments: Moment[] = [];
    const sinceKill = (what: Line["what"], node: string) => () =>
      readLines(log)
        .slice(moments.at(-1)?.lines ?? 0)
        .some((line) => line.what === what && line.node === node);
    const kills: readonly (readonly [whom: "group" | "parent", when: () => boolean])[] = [
      ["group", () => existsSync(store)],
      ["group", sinceKill("start", "parse")],
      ["parent", sinceKill("start", "query")],
      ["group", sinceKill("end", "query")],
      ["parent", sinceKill("start", "chart")],
    ];
    const examples: Example[] = [];
    const start = (): Example => {
      examples.push(startExample("examples/analytics/main.ts", ["--id", "a-1", "--folder", folder]));
      return examples.at(-1)!;
    };
    // its run does not exist yet, and two of its nodes run; all of them in the long form
    const isLong = process.env["PAWL_CASES"] === "long";
    for (const [whom, when] of kills.filter((_, i) => isLong || i % 2 === 0)) {
      const example = start();
      await until(example, when);
      await example.kill(whom);
      moments.push({ durable: durableNodes(store, "a-1"), lines: readLines(log).length });
    }
    const { code, output } = await start().ended;
    const lines = readLines(log);
    expect(code, output).toBe(0);
    expect(output).toContain("No node that had completed was called again.");
    expect(durableNodes(store, "a-1")).toEqual(new Set(["parse", "query", "chart", "answer"]));
    expect(ranAgain(lines, moments)).toEqual([]);
    expect(startedTooEarly(lines, dependencies)).toEqual([]);
    expect(moments.at(-1)!.durable.has("query")).toBe(true);
    expect(existsSync(join(folder, "a-1.svg"))).toBe(true);
    for (const example of examples) await untilGone(example.pid);
  });
});

describe("the witness itself", () => {
  const lines: Line[] = [
    { what: "start", node: "a" },
    { what: "end", node: "a" },
    { what: "start", node: "b" },
  ];

  test("tells of a durable node that starts again", () => {
    const moments: Moment[] = [{ durable: new Set(["a"]), lines: 3 }];
    expect(ranAgain(lines, moments)).toEqual([]);
    expect(ranAgain([...lines, { what: "start", node: "b" }], moments)).toEqual([]);
    expect(ranAgain([...lines, { what: "start", node: "a" }], moments)).toEqual(["a was durable and started again"]);
  });

  test("tells of a node that starts twice in one life", () => {
    expect(ranAgain([...lines, { what: "start", node: "a" }], [])).toEqual(["a started twice in one life"]);
  });

  test("tells of a node that starts too early", () => {
    expect(startedTooEarly(lines, new Map([["b", ["a"]]]))).toEqual([]);
    expect(startedTooEarly(lines, new Map([["b", ["c"]]]))).toEqual(["b started before c ended"]);
  });
});

function endedNodes(lines: readonly Line[]): number {
  return new Set(lines.filter(({ what }) => what === "end").map(({ node }) => node)).size;
}
