/**
 * `pawl metrics`, as one types it.
 */
import { expect, test } from "vitest";
import { HELD, makeFolder } from "./command.ts";

test("metrics counts runs by status and nodes by agent, and says that it counts rows", async () => {
  const folder = makeFolder();
  folder.write("free.yaml", HELD.replace("name: pipeline", "name: free").replace("agent: gate", "agent: echo"));
  folder.write("other.yaml", HELD.replace("name: pipeline", "name: other").replace("agent: gate", "agent: broken"));
  for (const id of ["a", "b"]) await folder.pawl("run", "free.yaml", "--id", id, "--input", '{"text": "x"}');
  await folder.pawl("run", "other.yaml", "--id", "c", "--input", '{"text": "x"}');
  const { code, stdout, stderr } = await folder.pawl("metrics");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "rows of 3 runs, nodes of 3: what a worker counts is in its own `pawl.metrics()`\n" });
  expect(stdout).toMatch(/^free +completed +2$/m);
  expect(stdout).toMatch(/^other +failed +1$/m);
  expect(stdout).toMatch(/^broken +0 +1 +0 +\d+ *$/m);
  const counts = JSON.parse((await folder.pawl("metrics", "--limit", "2", "--json")).stdout) as object;
  expect(counts).toMatchObject({ runs: { other: { failed: 1 }, free: { completed: 1 } }, lookedAt: { runs: 2, nodesOf: 2 }, hasMore: true });
  expect(counts).toHaveProperty("agents.echo.completed", expect.any(Number));
});
