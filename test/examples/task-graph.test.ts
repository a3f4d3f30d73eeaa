/**
 * task-graph.yaml runs to its result: references are followed, one task is tried twice, one is skipped.
 */
import { readFileSync } from "node:fs";
import { open, parseWorkflow } from "pawl";
import { expect, test } from "vitest";

const FILE = new URL("../../examples/task-graph.yaml", import.meta.url);

test("the graph of tasks gives its result without the source that is down", async () => {
  const workflow = await parseWorkflow(readFileSync(FILE, "utf8"), {
    file: "task-graph.yaml",
    importModule: (specifier) => import(new URL(specifier, FILE).href) as Promise<Record<string, unknown>>,
  });
  await using pawl = await open(":memory:");
  const run = await pawl.start(workflow, { id: "t-1", input: {} });
  expect(await run.result()).toEqual({
    text: "About ratchets\n- what stands at https://example.org/web/1\n- library: Who invented ratchets?",
    address: "https://example.org/pages/t-1%2Fpublish%231",
    sources: 2,
  });
  const nodes = new Map((await run.nodes()).map((node) => [node.id, node]));
  expect(nodes.get("search.library")).toMatchObject({ status: "completed", attempt: 2 });
  expect(nodes.get("search.archive")).toMatchObject({ status: "skipped", attempt: 2 });
  expect(nodes.get("compare")!.dependencies).toEqual(["read", "search.library", "search.archive"]);
  expect(nodes.get("publish")!.dependencies).toEqual(["write", "search.archive"]);
  expect((await run.status()).degraded).toBe(true);
});
