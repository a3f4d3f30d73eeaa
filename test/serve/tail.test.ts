/**
 * `pawl tail`: what happens in all runs of a store, from another terminal, and from where one was.
 */
import { expect, test } from "vitest";
import { HELD, jsonLines, makeFolder } from "./command.ts";

const INPUT = ["--input", '{"text": "done"}'];

test("tail tells what happens in all runs until it is stopped, and where to go on", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.open("held");
  await folder.pawl("run", "held.yaml", "--id", "r-1", ...INPUT);
  const all = folder.start("tail", "--after", "0");
  await all.printed(/run completed {2}r-1/);
  await folder.pawl("run", "held.yaml", "--id", "r-2", ...INPUT);
  await all.printed(/run completed {2}r-2/);
  all.kill("SIGTERM");
  const { code, stdout, stderr } = await all.ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/run started {2}r-1\n.*first started {2}r-1\n[^]*run started {2}r-2\n/);
  const [, cursor] = /^next: pawl tail --after (\d+)\n$/.exec(stderr)!;
  await folder.pawl("run", "held.yaml", "--id", "r-3", ...INPUT);
  const rest = folder.start("tail", "--after", cursor!, "--types", "run.completed,node.failed", "--json");
  await rest.printed("run.completed");
  rest.kill("SIGINT");
  const [only, ...others] = jsonLines((await rest.ended).stdout);
  expect(only).toMatchObject({ type: "run.completed", runId: "r-3", id: expect.stringMatching(/^r-3:\d+$/), cursor: expect.stringMatching(/^\d+$/) });
  expect(others).toEqual([]);
});

test("tail refuses a type that nothing has, an empty one, and a cursor that is none", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  await folder.pawl("start", "held.yaml", "--id", "r-1", ...INPUT);
  for (const words of [
    ["--types", "run.exploded"],
    ["--types", "run.failed,"],
    ["--after", "soon"],
  ])
    expect(await folder.pawl("tail", ...words)).toMatchObject({ code: 2, stdout: "" });
});
