/**
 * `pawl counts` and `pawl health`, as one types them.
 */
import { expect, test, vi } from "vitest";
import { HELD, makeFolder } from "./command.ts";

test("counts tells runs by status and nodes by agent, and says that it counts rows", async () => {
  const folder = makeFolder();
  folder.write("free.yaml", HELD.replace("name: pipeline", "name: free").replace("agent: gate", "agent: echo"));
  folder.write("other.yaml", HELD.replace("name: pipeline", "name: other").replace("agent: gate", "agent: broken"));
  for (const id of ["a", "b"]) await folder.pawl("run", "free.yaml", "--id", id, "--input", '{"text": "x"}');
  await folder.pawl("run", "other.yaml", "--id", "c", "--input", '{"text": "x"}');
  const { code, stdout, stderr } = await folder.pawl("counts");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "rows of 3 runs, nodes of 3: what a worker counts is in its own `pawl.metrics()`\n" });
  expect(stdout).toMatch(/^free +completed +2$/m);
  expect(stdout).toMatch(/^other +failed +1$/m);
  expect(stdout).toMatch(/^broken +0 +1 +0 +\d+ *$/m);
  const counts = JSON.parse((await folder.pawl("counts", "--limit", "2", "--json")).stdout) as object;
  expect(counts).toMatchObject({ runs: { other: { failed: 1 }, free: { completed: 1 } }, lookedAt: { runs: 2, nodesOf: 2 }, hasMore: true });
  expect(counts).toHaveProperty("agents.echo.completed", expect.any(Number));
});

test("health tells of the disk and the store, and names the workers", async () => {
  const folder = makeFolder();
  expect(await folder.pawl("health")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_STORE_UNREADABLE") as string });
  folder.write("held.yaml", HELD);
  await folder.start("run", "held.yaml", "--id", "held-1", "--input", '{"text": "x"}').printed("held started");
  const { code, stdout, stderr } = await folder.pawl("health");
  const firstWords = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0]);
  expect({ code, stderr, words: firstWords(stdout) }).toEqual({ code: 0, stderr: "", words: ["CHECK", "disk", "store", "", "worker"] });
  expect(stdout).toMatch(/^worker \d+ has not checked itself yet: it does so at intervals while it has runs/m);
  expect(JSON.parse((await folder.pawl("health", "--json")).stdout)).toMatchObject({
    checks: { disk: { details: { freeBytes: expect.any(Number) as number } }, store: { status: expect.any(String) as string } },
    workers: [{ pid: expect.any(Number) as number, health: null }],
  });
  folder.write("broken.yaml", HELD.replace("name: pipeline", "name: broken").replace("agent: gate", "agent: broken"));
  const worker = folder.start("work", "broken.yaml", "--store", "other.db");
  await worker.printed("is ready");
  await folder.pawl("start", "broken.yaml", "--store", "other.db", "--input", '{"text": "x"}');
  await worker.printed("failed");
  await vi.waitFor(async () => expect((await folder.pawl("health", "--store", "other.db")).stdout).toContain("found itself"), { timeout: 20_000 });
  const looked = (await folder.pawl("health", "--store", "other.db")).stdout;
  expect(firstWords(looked.slice(looked.indexOf("worker")))).toEqual(expect.arrayContaining(["CHECK", "consistency", "cpu", "eventLoop", "queue"]));
});
