/**
 * `pawl graph` of machines, and its formats: what is drawn of which export, and what is refused.
 */
import { expect, test } from "vitest";
import { AGENTS_OF_DOCUMENT, makeFolder } from "./command.ts";

const MACHINES = `
import { setup } from "xstate";
export const door = setup({ guards: { isFree: () => true } }).createMachine({
  id: "door",
  initial: "closed",
  states: { closed: { on: { OPEN: { guard: "isFree", target: "open" } } }, open: { after: { 5000: "closed" } } },
});
export const light = setup({}).createMachine({ id: "light", initial: "off", states: { off: {} } });
`;

const PIPELINE = `name: pipeline
${AGENTS_OF_DOCUMENT}
nodes:
  plan: { agent: echo }
  write: { agent: echo, input: "\${plan.result}" }
  print: { agent: echo, after: [write] }
`;

const DOOR_MERMAID = `---
title: "door"
---
stateDiagram-v2
  [*] --> s1
  state "closed" as s1
  state "open" as s2
  s1 --> s2 : OPEN [isFree]
  s2 --> s1 : after 5s
`;

test("a machine of a module is drawn as Mermaid, chosen by --export when there are several", async () => {
  const folder = makeFolder();
  folder.write("machines.ts", MACHINES);
  expect(await folder.pawl("graph", "machines.ts", "--export", "door")).toEqual({ code: 0, stdout: DOOR_MERMAID, stderr: "" });
  const several = await folder.pawl("graph", "machines.ts");
  expect(several.code).toBe(2);
  expect(several.stderr).toContain("PAWL_USAGE the module exports several workflows or machines: door, light");
  const other = await folder.pawl("graph", "machines.ts", "--export", "dor");
  expect(other.stderr).toContain('PAWL_USAGE the module exports no workflow or machine "dor"; workflows or machines: door, light');
});

test("a machine is drawn in every format, and as JSON with its name", async () => {
  const folder = makeFolder();
  folder.write("door.ts", MACHINES.replace("export const light", "const light"));
  const draw = async (...words: string[]): Promise<string> => (await folder.pawl("graph", "door.ts", ...words)).stdout;
  expect(await draw("--format", "dot")).toMatch(/^digraph "door" \{\n.* {2}s1 -> s2 \[label="OPEN \[isFree\]"\]\n/s);
  expect(JSON.parse(await draw("--format", "json"))).toMatchObject({
    machines: [{ id: "door", states: [{ id: "door" }, { id: "door.closed" }, { id: "door.open" }] }],
  });
  const config = { id: "door", states: { closed: { on: { OPEN: { guard: "isFree", target: "open" } } }, open: { after: { 5000: "closed" } } } };
  expect(JSON.parse(await draw("--format", "stately"))).toMatchObject(config);
  expect(JSON.parse(await draw("--json"))).toEqual({ machine: "door", mermaid: DOOR_MERMAID });
  expect(JSON.parse(await draw("--json", "--format", "stately"))).toMatchObject({ machine: "door", stately: config });
});

test("a machine with options is drawn as the machine that it is", async () => {
  const folder = makeFolder();
  folder.write("door.ts", MACHINES.replaceAll("export const", "const").concat("export default { machine: door, options: {} };"));
  expect((await folder.pawl("graph", "door.ts")).stdout).toBe(DOOR_MERMAID);
});

test("check takes a machine as it takes a workflow", async () => {
  const folder = makeFolder();
  folder.write("machines.ts", MACHINES);
  expect((await folder.pawl("check", "machines.ts", "--export", "door")).stdout).toBe("machines.ts: machine door, no errors\n");
});

test("a workflow is drawn for Graphviz and as JSON, but not for Stately Studio", async () => {
  const folder = makeFolder();
  folder.write("pipeline.yaml", PIPELINE);
  expect((await folder.pawl("graph", "pipeline.yaml", "--format", "dot")).stdout).toBe(String.raw`digraph "pipeline" {
  label="pipeline"
  labelloc=t
  node [shape=box, style=rounded]
  n0 [label="plan\necho"]
  n1 [label="write\necho"]
  n2 [label="print\necho"]
  n0 -> n1
  n1 -> n2 [style=dotted]
}
`);
  const nodes = ["plan", "write", "print"].map((id) => ({ id, kind: "call", agent: "echo" }));
  const edges = [
    { from: "plan", to: "write", isOrderOnly: false },
    { from: "write", to: "print", isOrderOnly: true },
  ];
  expect(JSON.parse((await folder.pawl("graph", "pipeline.yaml", "--format", "json")).stdout)).toEqual({ workflow: "pipeline", nodes, edges });
  const { code, stdout, stderr } = await folder.pawl("graph", "pipeline.yaml", "--format", "stately");
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toBe("PAWL_USAGE stately is a format for machines; this is a graph of nodes\nnext: choose --format mermaid, dot or json\n");
});

test("a run is drawn for Graphviz with the colours of its nodes", async () => {
  const folder = makeFolder();
  folder.write("pipeline.yaml", PIPELINE.replace("plan: { agent: echo }", "plan: { agent: broken }"));
  await folder.pawl("run", "pipeline.yaml", "--id", "p-1");
  const { stdout } = await folder.pawl("graph", "p-1", "--format", "dot");
  expect(stdout).toContain(String.raw`n0 [label="plan\nfailed", style="rounded,filled", fillcolor="#fecaca", color="#b91c1c"]`);
  expect(stdout).toContain(String.raw`n1 [label="write\nblocked", `);
});

test("another format is a mistake in usage", async () => {
  const { code, stderr } = await makeFolder().pawl("graph", "x.yaml", "--format", "svg");
  expect(code).toBe(2);
  expect(stderr).toContain("Allowed choices are mermaid, dot, json, stately.");
});
