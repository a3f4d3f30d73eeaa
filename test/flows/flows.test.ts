/**
 * Real flows of agents can be said as workflows, have the nodes and edges of the templates that they are made from, and come
 * to the same end whatever dies on the way.
 */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { documentSchema } from "../../src/index.ts";
import { playedToTheEnd } from "../sim/played-to-the-end.ts";
import { type Flow, documents, flows } from "./flows.ts";
import { FlowGraph } from "./flow-graph.ts";

test.each(flows)("$template comes to its end, also when a process dies at any of its commits", async ({ workflow, input, output }) => {
  const calm = await playedToTheEnd(workflow, input);
  expect(calm.output).toEqual(output);
  let crashes = 0;
  for (const group of Array.from({ length: calm.groups }, (_, i) => i + 1).filter((group) => group % everyOf(calm.groups) === 0))
    for (const fault of ["crashBefore", "crashAfter"] as const) {
      const crashed = await playedToTheEnd(workflow, input, { fault: (now) => (now === group ? fault : undefined) });
      expect(crashed.output, `${fault} ${group}`).toEqual(output);
      crashes += crashed.processes - 1;
    }
  expect(crashes).toBeGreaterThan(1);
});

/** At each commit of a short run; at about twenty of a long one. */
const everyOf = (groups: number): number => Math.ceil(groups / 20);

test("a good share of them are documents, and editors take each", async () => {
  expect(flows.length).toBe(17);
  const editor = z.fromJSONSchema((await documentSchema()) as never);
  for (const file of documents) expect(editor.safeParse(parse(readFileSync(file, "utf8"))).success, file).toBe(true);
  expect(documents.length).toBe(10);
});

// ---- the templates

interface Template {
  readonly name: string;
  readonly nodes: readonly {
    readonly id: string;
    readonly type: string;
    readonly category: string;
    readonly parent?: string;
    readonly deps: readonly string[];
  }[];
  readonly loops: readonly { readonly id: string; readonly max?: string | number }[];
}

/** They are not part of the repository. */
const DATA = new URL("../../../shared/data/agent-flows/flowise.json", import.meta.url).pathname;
const templates = existsSync(DATA) ? (JSON.parse(readFileSync(DATA, "utf8")) as Template[]) : [];
/** What an agent has, and what is not done by anybody: models, memories, tools; where a flow begins and ends. */
const NO_NODES = new Set(["Chat Models", "Embeddings", "Memory", "Tools", "Utilities", "Vector Stores"]);
const ENDS = /^(seqStart|seqState|seqEnd|startAgentflow)$/;
const isNode = ({ type, category }: Template["nodes"][number]): boolean => !NO_NODES.has(category) && !ENDS.test(type);

test.runIf(templates.length > 0)("no template is left out", () => {
  expect(flows.map(({ template }) => template).toSorted()).toEqual(templates.map(({ name }) => name).toSorted());
});

test.runIf(templates.length > 0).each(flows)("$template has the nodes and edges of its template", (flow: Flow) => {
  const { nodes, loops } = templates.find(({ name }) => name === flow.template)!;
  const graph = new FlowGraph(flow.workflow);
  expect(Object.keys(flow.nodes).toSorted()).toEqual(
    nodes
      .filter(isNode)
      .map(({ id }) => id)
      .toSorted(),
  );
  expect(graph.ids.toSorted()).toEqual([...new Set([...Object.values(flow.nodes), ...(flow.own ?? [])])].toSorted());

  const known = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes.filter(isNode))
    for (const dependency of node.deps.map((id) => known.get(id)!).filter(isNode))
      expect(graph.comesAfter(flow.nodes[node.id]!, flow.nodes[dependency.id]!), `${dependency.id} → ${node.id}`).toBe(true);
  for (const { id, max } of loops) expect(graph.node(flow.nodes[id]!), id).toMatchObject({ kind: "repeat", ...(max !== undefined && { max: Number(max) }) });
  for (const { id, parent } of nodes.filter((node) => node.parent !== undefined)) {
    expect(graph.node(flow.nodes[parent!]!).kind, id).toBe("map");
    expect(`${flow.nodes[id]}/`.startsWith(`${flow.nodes[parent!]}/`), id).toBe(true);
  }
});
