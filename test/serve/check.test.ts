/**
 * `pawl check` and `pawl graph`: what a definition says, and where it is wrong.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMachine } from "xstate";
import { documentSchema, open } from "../../src/index.ts";
import { AGENTS_OF_DOCUMENT, HELD, makeFolder } from "./command.ts";

const SKIPPING = `name: skipping
${AGENTS_OF_DOCUMENT}
nodes:
  plan: { agent: echo }
  docs: { agent: broken, onFail: skip, after: [plan] }
  write: { agent: echo, input: { text: "see \${docs.result.text}", all: ["\${docs.result}"] }, after: [plan] }
`;

test("check lists who waits for whom, by reference or by order", async () => {
  const folder = makeFolder();
  folder.write("skipping.yaml", SKIPPING);
  const { code, stdout } = await folder.pawl("check", "skipping.yaml");
  expect(code).toBe(0);
  expect(stdout).toContain("skipping.yaml: workflow skipping, 3 nodes, no errors");
  expect(stdout).toMatch(/write +echo +docs \(inferred from a reference\), plan \(after\)/);
  const { nodes } = JSON.parse((await folder.pawl("check", "skipping.yaml", "--json")).stdout) as { nodes: object[] };
  expect(nodes[2]).toEqual({
    id: "write",
    agent: "echo",
    dependencies: [
      { node: "docs", from: ["reference"] },
      { node: "plan", from: ["after"] },
    ],
  });
});

test("check lists who takes over, and who undoes", async () => {
  const folder = makeFolder();
  folder.write("saga.yaml", SKIPPING.replace("onFail: skip", "onFail: { use: gate, onFail: { use: echo } }, compensate: echo"));
  expect((await folder.pawl("check", "saga.yaml")).stdout).toContain("broken, else gate, else echo, undone by echo");
  const { nodes } = JSON.parse((await folder.pawl("check", "saga.yaml", "--json")).stdout) as { nodes: object[] };
  expect(nodes[1]).toMatchObject({ id: "docs", agent: "broken", alternatives: ["gate", "echo"], compensate: "echo" });
});

test("check lists who recovers, also for a stage, and says where an action is named that is not there", async () => {
  const folder = makeFolder();
  const stages = (onWarn: string): string => `stages: { s: { warnAfter: 1m, recovery: { save: broken }, onWarn: [${onWarn}] } }\n`;
  const text = SKIPPING.replace("onFail: skip", "stage: s, recovery: { redo: gate }");
  folder.write("good.yaml", text + stages("save"));
  expect((await folder.pawl("check", "good.yaml")).stdout).toContain("broken, recovered by broken, recovered by gate");
  const { nodes } = JSON.parse((await folder.pawl("check", "good.yaml", "--json")).stdout) as { nodes: object[] };
  expect(nodes[1]).toMatchObject({ id: "docs", recovery: { save: "broken", redo: "gate" } });
  folder.write("bad.yaml", text + stages("saev"));
  const { code, stderr } = await folder.pawl("check", "bad.yaml");
  expect([code, stderr]).toEqual([2, expect.stringContaining('no recovery action "saev"; did you mean "save"?')]);
  expect(stderr).toMatch(/bad\.yaml:12:68/);
});

test("check warns of references to nodes that may be skipped", async () => {
  const folder = makeFolder();
  folder.write("skipping.yaml", SKIPPING);
  const { stderr } = await folder.pawl("check", "skipping.yaml");
  expect(stderr).toContain('warning: ${docs.result.text} becomes \'\' when node "docs" is skipped\n  node "write" input.text\n');
  expect(stderr).toContain('warning: ${docs.result} is undefined when node "docs" is skipped\n  node "write" input.all[0]\n');
});

test.each([
  ["PAWL_UNKNOWN_REFERENCE", HELD.replace("first.result", "frist.result"), "wrong.yaml:10:39"],
  ["PAWL_UNKNOWN_AGENT", HELD.replace("agent: gate", "agent: gaet"), "wrong.yaml:10:18"],
  ["PAWL_MISSING_FIELD", HELD.replace("name: pipeline", ""), "wrong.yaml:3:1"],
  ["PAWL_DEFINITION_CYCLE", HELD.replace('"${input.text}"', '"${last.result}"'), "wrong.yaml:9:10"],
  ["PAWL_DOCUMENT_SYNTAX", HELD.replace("nodes:", "nodes: ["), "wrong.yaml:"],
])("check says %s with file, line and column, as text and as JSON", async (code, text, at) => {
  const folder = makeFolder();
  folder.write("wrong.yaml", text);
  const shown = await folder.pawl("check", "wrong.yaml");
  expect(shown.code).toBe(2);
  expect(shown.stdout).toBe("");
  const [first, place, ...rest] = shown.stderr.trim().split("\n");
  expect(first).toContain(code);
  expect(place).toContain(`  ${at}`);
  expect(rest.at(-1)).toMatch(/^next: /);
  const { stderr } = await folder.pawl("check", "wrong.yaml", "--json");
  expect(JSON.parse(stderr)).toMatchObject({
    code,
    at: expect.stringContaining(at) as string,
    message: expect.any(String) as string,
    next: expect.any(String) as string,
  });
});

test("an error in a document shows the line with a mark at the place", async () => {
  const folder = makeFolder();
  folder.write("wrong.yaml", HELD.replace("agent: gate", "agent: gaet"));
  const lines = (await folder.pawl("check", "wrong.yaml")).stderr.split("\n");
  expect(lines[2]!.slice(lines[3]!.indexOf("^"))).toMatch(/^gaet,/);
});

test("files that are not there, no definition, or fail to load are told apart", async () => {
  const folder = makeFolder();
  folder.write("notes.txt", "");
  folder.write("throws.mjs", "throw new Error('no key');");
  folder.write("empty.mjs", "export const other = 1;");
  const message = async (file: string): Promise<string> => {
    const { code, stderr } = await folder.pawl("check", file);
    expect(code).toBe(2);
    return stderr.split("\n")[0]!;
  };
  expect(await message("absent.yaml")).toBe("PAWL_FILE_UNREADABLE there is no such file");
  expect(await message("notes.txt")).toBe("PAWL_FILE_UNREADABLE this is no definition");
  expect(await message("throws.mjs")).toBe("PAWL_FILE_UNREADABLE the module cannot be loaded: no key");
  expect(await message("empty.mjs")).toBe("PAWL_FILE_UNREADABLE the module exports no workflow or machine");
});

test("a document runs others that lie beside it, also one that several of them run; a circle of documents is refused", async () => {
  const folder = makeFolder();
  const part = (name: string, nodes: string): string => `name: ${name}\n${AGENTS_OF_DOCUMENT.replaceAll("./", "../")}\nnodes:\n${nodes}`;
  folder.write(
    "flow.yaml",
    "name: flow\nnodes:\n  a: { workflow: ./parts/a.yaml }\n  b: { workflow: ./parts/b.yaml }\noutput: ['${a.result}', '${b.result}']\n",
  );
  folder.write("parts/a.yaml", part("a", "  run: { workflow: ./c.yaml, input: { n: 1 } }\noutput: '${run.result}'"));
  folder.write("parts/b.yaml", part("b", "  run: { workflow: ./c.yaml, input: { n: 2 } }\noutput: '${run.result}'"));
  folder.write("parts/c.yaml", part("c", "  echo: { agent: echo, input: '${input}' }\noutput: '${echo.result.n}'"));
  const { code, stdout, stderr } = await folder.pawl("run", "flow.yaml", "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain('"output":[1,2]');
  folder.write("parts/c.yaml", "name: c\nnodes: { back: { workflow: ../flow.yaml } }");
  const circle = await folder.pawl("check", "flow.yaml");
  expect(circle.code).toBe(2);
  expect(circle.stderr).toContain("PAWL_DEFINITION_CYCLE documents run each other in a circle: flow.yaml → a.yaml → c.yaml → flow.yaml");
  folder.write("parts/c.yaml", "name: c\nnodes: { x: { agent: nobody } }");
  expect((await folder.pawl("check", "flow.yaml")).stderr).toMatch(/PAWL_UNKNOWN_AGENT .*\n {2}parts\/c.yaml:2:22\n/);
});

test("schema prints what editors check documents by, and the document that names it is one", async () => {
  const folder = makeFolder();
  const { code, stdout } = await folder.pawl("schema");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(await documentSchema());
  expect((await folder.pawl("schema", "--json")).stdout).toBe(stdout);
  folder.write("pawl.schema.json", stdout);
  folder.write("flow.yaml", `# yaml-language-server: $schema=./pawl.schema.json\n${HELD}`);
  expect((await folder.pawl("check", "flow.yaml")).code).toBe(0);
});

test("graph draws a workflow: solid arrows for results, dotted ones for order", async () => {
  const folder = makeFolder();
  folder.write("skipping.yaml", SKIPPING);
  const { stdout } = await folder.pawl("graph", "skipping.yaml");
  expect(stdout).toBe(`---
title: skipping
---
flowchart TD
  n0["plan<br/>echo"]
  n1["docs<br/>broken"]
  n2["write<br/>echo"]
  n0 -.-> n1
  n1 --> n2
  n0 -.-> n2
`);
});

test("graph draws a run with the status of each node as its class", async () => {
  const folder = makeFolder();
  folder.write("skipping.yaml", SKIPPING);
  await folder.pawl("run", "skipping.yaml", "--id", "s-1");
  const { stdout } = await folder.pawl("graph", "s-1");
  expect(stdout).toContain('n1["docs<br/>skipped"]:::skipped');
  expect(stdout).toMatch(/classDef skipped fill:#\w+/);
  const drawing = JSON.parse((await folder.pawl("graph", "s-1", "--json")).stdout) as object;
  expect(drawing).toMatchObject({ runId: "s-1", workflow: "skipping", mermaid: stdout });
});

const MACHINE = (states: string): string => `import { createMachine } from "xstate";
export const review = createMachine({ id: "review", initial: "waiting", states: { waiting: {${states}}, done: { type: "final" } } });
`;
test("check says beforehand which unfinished runs of a store a changed machine would not find as they are", async () => {
  const folder = makeFolder();
  folder.write("review.mjs", MACHINE("on: { GO: 'done' }, after: { 1000000: 'done' }"));
  const states = { waiting: { on: { GO: "done" }, after: { 1_000_000: "done" } }, done: { type: "final" } } as const;
  const pawl = await open(join(folder.path, "pawl.db"));
  await pawl.start(createMachine({ id: "review", initial: "waiting", states }), { id: "r-1" });
  await pawl.close();
  expect(await folder.pawl("check", "review.mjs", "--store", "pawl.db")).toMatchObject({ code: 0, stdout: "review.mjs: machine review, no errors\n" });
  folder.write("more.mjs", MACHINE("on: { GO: 'done', STOP: 'done' }, after: { 1000000: 'done' }"));
  expect((await folder.pawl("check", "more.mjs", "--store", "pawl.db")).stdout).toContain("r-1: would find all that it has");
  folder.write("less.mjs", MACHINE("on: { GO: 'done' }"));
  const less = await folder.pawl("check", "less.mjs", "--store", "pawl.db");
  expect(less).toMatchObject({ code: 1, stdout: expect.stringContaining('r-1: timer "xstate.after.1000000.review.waiting" is gone') as string });
  const { runs } = JSON.parse((await folder.pawl("check", "less.mjs", "--store", "pawl.db", "--json")).stdout) as {
    runs: { runId: string; changes: string[] }[];
  };
  expect(runs).toMatchObject([{ runId: "r-1", changes: ['timer 1000000 of state "waiting" is gone'] }]);
  folder.write("wrong.mjs", MACHINE("entry: 'missing'"));
  expect(await folder.pawl("check", "wrong.mjs")).toMatchObject({ code: 2, stderr: expect.stringContaining("PAWL_UNKNOWN_IMPLEMENTATION") as string });
});
