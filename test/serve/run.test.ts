/**
 * `pawl run`: from a file to a result, and every way to end with its exit code.
 */
import { expect, test } from "vitest";
import { AGENTS_OF_DOCUMENT, HELD, jsonLines, makeFolder } from "./command.ts";

const HELLO = `name: hello
${AGENTS_OF_DOCUMENT}
nodes:
  greet: { agent: echo, input: "hello \${input.name}" }
output: { text: "\${greet.result}" }
`;
const BROKEN = `name: broken
${AGENTS_OF_DOCUMENT}
nodes:
  ask: { agent: broken }
  use: { agent: echo, input: "\${ask.result}" }
`;

const MODULE = `
import { workflow } from "pawl";
import { z } from "zod";
import { echo } from "./agents.mjs";
const greet = (name: string, word: string) => workflow({ name, input: z.object({ name: z.string() }) }, (wf) => {
  const said = wf.node("say", echo, { text: \`\${word} \${wf.input.name}\` });
  return said.result;
});
`;

test("a document runs to its output, which alone is on standard output", async () => {
  const folder = makeFolder();
  folder.write("hello.yaml", HELLO);
  const { code, stdout, stderr } = await folder.pawl("run", "hello.yaml", "--input", '{"name": "Ada"}');
  expect(JSON.parse(stdout)).toEqual({ text: "hello Ada" });
  expect(stderr).toMatch(/greet completed in \d/);
  expect(code).toBe(0);
});

test("a new run says its id and the command that goes on with it", async () => {
  const folder = makeFolder();
  folder.write("hello.yaml", HELLO);
  const { stderr } = await folder.pawl("run", "hello.yaml", "--store", "my store.db");
  const [, command] = /go on with\n {2}(pawl .+)/.exec(stderr)!;
  expect(command).toMatch(/^pawl run hello\.yaml --id hello-\d{8}-\d{6}-\w{6} --store 'my store\.db'$/);
});

test("input comes from a file with @file, and JSON documents run like YAML", async () => {
  const folder = makeFolder();
  folder.write("input.json", '{"name": "Bea"}');
  folder.write(
    "hello.json",
    JSON.stringify({
      name: "hello",
      agents: { echo: { module: "./agents.mjs" } },
      nodes: { greet: { agent: "echo", input: "hi ${input.name}" } },
      output: "${greet.result}",
    }),
  );
  const { stdout } = await folder.pawl("run", "hello.json", "--input", "@input.json");
  expect(JSON.parse(stdout)).toBe("hi Bea");
});

test("a module runs its default export, its only workflow, or the one that --export names", async () => {
  const folder = makeFolder();
  folder.write("only.ts", `${MODULE}\nexport const one = greet("one", "1");`);
  folder.write("many.ts", `${MODULE}\nexport const one = greet("one", "1");\nexport const two = greet("two", "2");`);
  folder.write("default.ts", `${MODULE}\nexport const one = greet("one", "1");\nexport default greet("two", "2");`);
  const input = ["--input", '{"name": "Ada"}'];
  expect(JSON.parse((await folder.pawl("run", "only.ts", ...input)).stdout)).toEqual({ text: "1 Ada" });
  expect(JSON.parse((await folder.pawl("run", "default.ts", ...input)).stdout)).toEqual({ text: "2 Ada" });
  expect(JSON.parse((await folder.pawl("run", "many.ts", "--export", "two", ...input)).stdout)).toEqual({ text: "2 Ada" });
  const undecided = await folder.pawl("run", "many.ts", ...input);
  expect(undecided.code).toBe(2);
  expect(undecided.stderr).toContain("PAWL_USAGE the module exports several workflows or machines: one, two");
});

test("with --json a run is JSON lines: the run, its events, its result", async () => {
  const folder = makeFolder();
  folder.write("hello.yaml", HELLO);
  const { stdout } = await folder.pawl("run", "hello.yaml", "--id", "h-1", "--input", '{"name": "Ada"}', "--json");
  const lines = jsonLines(stdout);
  expect(lines.map(({ type }) => type)).toEqual(["run", "run.started", "node.started", "node.completed", "run.completed", "result"]);
  expect(lines.every(({ runId }) => runId === "h-1")).toBe(true);
  expect(lines.at(-1)).toMatchObject({ status: "completed", degraded: false, output: { text: "hello Ada" } });
});

test("a run that failed ends with 1, its code, message and what to do next", async () => {
  const folder = makeFolder();
  folder.write("broken.yaml", BROKEN);
  const { code, stderr } = await folder.pawl("run", "broken.yaml", "--id", "b-1");
  expect(code).toBe(1);
  expect(stderr).toContain('PAWL_RUN_FAILED run "b-1" failed at node "ask": no such');
  expect(stderr).toContain("next: see `pawl show b-1`");
  expect(stderr).not.toContain("\u001B");
});

test("with --json a failure is a result line and an error object on standard error", async () => {
  const folder = makeFolder();
  folder.write("broken.yaml", BROKEN);
  const { code, stdout, stderr } = await folder.pawl("run", "broken.yaml", "--json");
  expect(code).toBe(1);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ type: "result", status: "failed", failure: { node: "ask" } });
  expect(JSON.parse(stderr)).toMatchObject({ code: "PAWL_RUN_FAILED", next: expect.stringContaining("pawl show") as string });
});

test("a run that reached its timeout ends with 4", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", `${HELD}timeout: 50ms\n`);
  expect(await folder.pawl("run", "held.yaml")).toMatchObject({ code: 4, stderr: expect.stringContaining("PAWL_RUN_TIMED_OUT") as string });
});

test("two of them run on one store at once, each tells of its own run", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const commands = ["a-1", "b-1"].map((id) => folder.start("run", "held.yaml", "--id", id, "--input", `{"text": "${id}"}`));
  for (const command of commands) await command.printed("held started");
  folder.open("held");
  const ended = await Promise.all(commands.map((command) => command.ended));
  expect(ended.map(({ code, stdout }) => [code, (JSON.parse(stdout) as { text: string }).text])).toEqual([
    [0, "a-1!"],
    [0, "b-1!"],
  ]);
  for (const { stderr } of ended) expect(stderr.match(/run completed/g)).toHaveLength(1);
  expect(folder.calls().toSorted()).toEqual(["first", "first", "held", "held", "last", "last"]);
});

test("it follows a run that another process executes, to the same result", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const first = folder.start("run", "held.yaml", "--id", "r-1", "--input", '{"text": "a"}');
  await first.printed("held started");
  const second = folder.start("run", "held.yaml", "--id", "r-1");
  await second.printed("1 of 3 nodes were done before");
  folder.open("held");
  const [{ stdout }, other] = await Promise.all([first.ended, second.ended]);
  expect(other).toMatchObject({ code: 0, stdout });
  expect(other.stderr).toMatch(/held completed in .*\n.*last started\n.*last completed in .*\n.*run completed\n/);
  expect(folder.calls()).toEqual(["first", "held", "last"]);
});

test("a signal leaves the run to another process that executes, and says which", async () => {
  const folder = makeFolder();
  folder.write("held.yaml", HELD);
  const command = folder.start("run", "held.yaml", "--id", "r-1", "--input", '{"text": "a"}');
  await command.printed("held started");
  const worker = await folder.work("held.yaml");
  command.kill("SIGTERM");
  await command.printed("closing");
  folder.open("held");
  const { code, stderr } = await command.ended;
  expect(code).toBe(143);
  expect(stderr).toContain(`closed; worker ${worker.process.pid} goes on with it\n  pawl watch r-1\n`);
  expect(await folder.pawl("watch", "r-1")).toMatchObject({ code: 0, stdout: '{\n  "text": "a!"\n}\n' });
});

test("the same id with another input, or of another workflow, is refused", async () => {
  const folder = makeFolder();
  folder.write("hello.yaml", HELLO);
  folder.write("broken.yaml", BROKEN);
  await folder.pawl("run", "hello.yaml", "--id", "h-1", "--input", '{"name": "Ada"}');
  const other = await folder.pawl("run", "hello.yaml", "--id", "h-1", "--input", '{"name": "Bea"}');
  expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_RUN_CONFLICT") as string });
  expect((await folder.pawl("run", "broken.yaml", "--id", "h-1")).stderr).toMatch(
    /belongs to workflow "hello", not to workflow "\w+"\nnext: choose another id for the new run; see that one with `pawl show h-1`/,
  );
});

test("an input that is not JSON, or does not fit, is refused before anything runs", async () => {
  const folder = makeFolder();
  folder.write("only.ts", `${MODULE}\nexport const one = greet("one", "1");`);
  expect(await folder.pawl("run", "only.ts", "--input", "{name: Ada}")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("PAWL_USAGE the input is not JSON") as string,
  });
  expect(await folder.pawl("run", "only.ts", "--input", "{}")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_INPUT_INVALID") as string });
  expect(folder.calls()).toEqual([]);
});

test("agents' log lines come at the level that is asked for", async () => {
  const folder = makeFolder();
  folder.write(
    "talk.ts",
    `${MODULE}
import { agent } from "pawl";
const talker = agent({ name: "talker", input: z.any(), output: z.any(), run: (input, { log }) => (log.info({ shade: "blue" }, "I speak"), input) });
export default workflow({ name: "talk", input: z.any() }, (wf) => wf.node("say", talker, {}).result);`,
  );
  expect((await folder.pawl("run", "talk.ts")).stderr).not.toContain("I speak");
  const { stderr } = await folder.pawl("run", "talk.ts", "--log-level", "info");
  const line = stderr.split("\n").find((text) => text.includes("I speak"))!;
  expect(JSON.parse(line)).toMatchObject({ msg: "I speak", shade: "blue", nodeId: "say" });
});

test("what an agent left open does not keep the process of a command that is done", async () => {
  const folder = makeFolder();
  folder.write(
    "leaky.ts",
    `
import { agent, workflow } from "pawl";
import { z } from "zod";
const leaky = agent({ name: "leaky", input: z.any(), output: z.any(), run: () => (setInterval(() => {}, 1_000), "done") });
export default workflow({ name: "leaky", input: z.object({}) }, (wf) => wf.node("leak", leaky, {}).result);
`,
  );
  expect(await folder.start("run", "leaky.ts").ended).toMatchObject({ code: 0, stdout: '"done"\n' });
});
