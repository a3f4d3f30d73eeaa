/**
 * The same command goes on: after a signal, after kill -9, and not when the definition became another.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { open } from "../../src/index.ts";
import { AGENTS_OF_DOCUMENT, HELD, jsonLines, makeFolder } from "./command.ts";

const RUN = ["run", "held.yaml", "--id", "r-1", "--input", '{"text": "done"}'];

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s closes gracefully with %i, and the same command goes on", async (signal, exitCode) => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const command = folder.start(...RUN);
  await command.printed("held started");
  command.kill(signal);
  await command.printed("closing: running attempts get 10 s");
  folder.open("held");
  const { code, stderr } = await command.ended;
  expect(code).toBe(exitCode);
  expect(stderr).toMatch(/closed; the same command goes on with it\n  pawl run held.yaml --id r-1\n/);
  expect(await folder.pawl(...RUN)).toMatchObject({ code: 0, stdout: '{\n  "text": "done!"\n}\n' });
  expect(folder.calls()).toEqual(["first", "held", "last"]);
});

test("a second signal ends at once", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const command = folder.start(...RUN);
  await command.printed("held started");
  command.kill("SIGINT");
  await command.printed("closing");
  command.kill("SIGINT");
  const { code, stderr } = await command.ended;
  expect(code).toBe(130);
  expect(stderr).not.toContain("goes on with it");
});

test("after kill -9 the same command goes on, and no completed node runs again", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const killed = folder.start(...RUN);
  await killed.printed("held started");
  killed.kill("SIGKILL");
  await killed.ended;
  folder.open("held");
  const { code, stderr } = await folder.pawl(...RUN);
  expect(code).toBe(0);
  expect(stderr).toContain("run r-1 of pipeline: 1 of 3 nodes were done before");
  expect(stderr).not.toContain("first started");
  expect(folder.calls()).toEqual(["first", "held", "held", "last"]);
});

/** Everything that a document can say, around a node that waits for the test. */
const SHAPES = `name: shapes
${AGENTS_OF_DOCUMENT}
workflows:
  part: { nodes: { inner: { agent: echo, input: "\${input}" } }, output: "\${inner.result.n}" }
nodes:
  each: { map: "\${input.list}", agent: echo, input: { n: "\${item}" }, concurrency: 2 }
  loop: { repeat: { max: 3 }, workflow: part, input: { n: "\${each.result[1].n}" } }
  pick:
    when: "\${loop.result}"
    then: { nodes: { held: { agent: gate, input: { text: "held" } } }, result: "\${held.result.text}" }
    else: { nodes: { other: { agent: echo } } }
  go: { event: { type: object, properties: { by: { type: string } }, required: [by] }, after: [pick] }
output: ["\${each.result}", "\${loop.result}", "\${pick.result}", "\${go.result.by}"]
`;

test("a document with a map, a loop, a choice and an event goes on after kill -9, twice", async () => {
  const folder = makeFolder();
  folder.write("shapes.yaml", SHAPES);
  const command = ["run", "shapes.yaml", "--id", "s-1", "--input", '{"list": [1, 2, 3]}', "--json"];
  const killed = folder.start(...command);
  await folder.called("held");
  killed.kill("SIGKILL");
  await killed.ended;
  folder.open("held");
  const waiting = folder.start(...command);
  await waiting.printed('"events":["go"]');
  waiting.kill("SIGKILL");
  await waiting.ended;
  const last = folder.start(...command);
  await last.printed('"events":["go"]');
  await using pawl = await open(join(folder.path, ".pawl/pawl.db"), { execute: false });
  await pawl.send("s-1", { type: "go", by: "ada" });
  const { code, stdout } = await last.ended;
  expect(code).toBe(0);
  expect(stdout).toContain('"output":[[{"n":1},{"n":2},{"n":3}],2,"held","ada"]');
  expect(folder.calls().toSorted()).toEqual(["each[0]", "each[1]", "each[2]", "held", "held", "inner", "inner", "inner"]);
});

test("the printed command goes on without the input: the run has it", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const killed = folder.start("run", "held.yaml", "--input", '{"text": "done"}', "--json");
  await killed.printed("node.completed");
  killed.kill("SIGKILL");
  await killed.ended;
  folder.open("held");
  const [, ...words] = (jsonLines(killed.stdout)[0]!["command"] as string).split(" ");
  expect(JSON.parse((await folder.pawl(...words)).stdout)).toEqual({ text: "done!" });
});

test("a run that has ended is not run again: the same command prints its result", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  folder.open("held");
  const first = await folder.pawl(...RUN);
  expect(await folder.pawl(...RUN)).toMatchObject({ code: 0, stdout: first.stdout });
  expect(folder.calls()).toEqual(["first", "held", "last"]);
});

test.each([
  ["with its input", RUN],
  ["without", RUN.slice(0, 4)],
])("an unfinished run whose definition changed is refused and told what changed, %s", async (_, words) => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const killed = folder.start(...RUN);
  await killed.printed("held started");
  killed.kill("SIGKILL");
  await killed.ended;
  folder.write("held.yaml", HELD.replaceAll("last", "final"));
  const { code, stderr } = await folder.pawl(...words);
  expect(code).toBe(2);
  expect(stderr).toContain('PAWL_DEFINITION_CHANGED "pipeline" changed under the unfinished run "r-1": node "last" is gone; node "final" is new');
  expect(folder.calls()).toEqual(["first", "held"]);
});
