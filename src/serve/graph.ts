/**
 * `pawl graph`: a workflow, a run or a machine as a drawing. In a graph of nodes solid arrows carry a result, dotted ones only order.
 */
import { existsSync } from "node:fs";
import type { AnyStateMachine } from "xstate";
import { type DrawingFormat, type NodeStatus, PawlError, type Workflow, drawMachine } from "../index.ts";
import { isDefinitionFile, loadDefinition, machineOf } from "./definition-file.ts";
import { dependenciesOf } from "./dependencies.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { findRun, openToLook } from "./stored.ts";

export interface GraphOptions {
  readonly export?: string;
  readonly format: DrawingFormat;
  readonly store?: string;
  readonly json?: true;
}

interface Drawing {
  readonly workflow: string;
  readonly runId?: string;
  readonly nodes: readonly { readonly id: string; readonly agent: string; readonly status?: NodeStatus }[];
  readonly edges: readonly { readonly from: string; readonly to: string; readonly isOrderOnly: boolean }[];
}

/** Above these Mermaid refuses to draw, unless it is configured otherwise. */
const MERMAID_EDGES_MAX = 500;

/** Colours that can be told apart by people who see red and green alike, each with its word in the node. */
const CLASSES: Readonly<Record<NodeStatus, string>> = {
  waiting: "fill:#f3f4f6,stroke:#9ca3af,color:#111827",
  queued: "fill:#e0f2fe,stroke:#0284c7,color:#111827",
  running: "fill:#bae6fd,stroke:#0369a1,stroke-width:3px,color:#111827",
  backingOff: "fill:#fef3c7,stroke:#b45309,color:#111827",
  completed: "fill:#d1fae5,stroke:#047857,color:#111827",
  skipped: "fill:#fef9c3,stroke:#a16207,stroke-dasharray:4,color:#111827",
  failed: "fill:#fecaca,stroke:#b91c1c,stroke-width:3px,color:#111827",
  blocked: "fill:#f5d0fe,stroke:#a21caf,color:#111827",
  notTaken: "fill:#f9fafb,stroke:#9ca3af,stroke-dasharray:2,color:#6b7280",
  cancelled: "fill:#e5e7eb,stroke:#4b5563,stroke-dasharray:4,color:#111827",
};

export async function graph(subject: string, options: GraphOptions): Promise<number> {
  const isFile = isDefinitionFile(subject) && (existsSync(subject) || /[\\/]/.test(subject));
  const definition = isFile ? await loadDefinition(subject, options.export) : undefined;
  const machine = definition && machineOf(definition);
  if (machine !== undefined) return showMachine(machine, options);
  const drawing = definition === undefined ? await drawRun(subject, options.store) : drawWorkflow(definition as Workflow);
  const text = drawingText(drawing, options.format);
  process.stdout.write(options.json ? `${toJson({ ...drawing, ...(options.format !== "json" && { [options.format]: text }) })}\n` : text);
  if (options.format === "mermaid" && drawing.edges.length > MERMAID_EDGES_MAX)
    process.stderr.write(`warning: ${drawing.edges.length} edges; Mermaid draws ${MERMAID_EDGES_MAX} unless its maxEdges is raised\n`);
  return EXIT.completed;
}

function showMachine(machine: AnyStateMachine, { format, json }: GraphOptions): number {
  const text = drawMachine(machine, format);
  const isData = format === "json" || format === "stately";
  process.stdout.write(json ? `${toJson({ machine: machine.id, [format]: isData ? (JSON.parse(text) as object) : text })}\n` : text);
  return EXIT.completed;
}

function drawingText(drawing: Drawing, format: DrawingFormat): string {
  if (format === "json") return `${toJson(drawing, 2)}\n`;
  if (format === "mermaid") return mermaidText(drawing);
  if (format === "dot") return dotText(drawing);
  throw new PawlError("PAWL_USAGE", { message: "stately is a format for machines; this is a graph of nodes", next: "choose --format mermaid, dot or json" });
}

function drawWorkflow(workflow: Workflow): Drawing {
  const { nodes } = workflow.plan;
  return {
    workflow: workflow.name,
    nodes: nodes.map(({ id, agent }) => ({ id, agent: agent.name })),
    edges: nodes.flatMap(({ id, index }) =>
      dependenciesOf(workflow, index).map(({ node, from }) => ({ from: node, to: id, isOrderOnly: !from.includes("reference") })),
    ),
  };
}

async function drawRun(id: string, store: string | undefined): Promise<Drawing> {
  await using pawl = await openToLook(store);
  const run = await findRun(pawl, id);
  const { workflow, kind } = await run.status();
  if (kind === "machine")
    throw new PawlError("PAWL_NOT_A_WORKFLOW", {
      message: `run "${run.id}" is one of machine "${workflow}", which has no nodes`,
      next: `draw the machine: \`pawl graph FILE\`; see its states with \`pawl show ${run.id}\``,
    });
  const nodes = await run.nodes();
  return {
    workflow,
    runId: run.id,
    nodes: nodes.map(({ id, agent, status }) => ({ id, agent, status })),
    edges: nodes.flatMap(({ id, dependencies }) => dependencies.map((from) => ({ from, to: id, isOrderOnly: false }))),
  };
}

/** Names have no characters that mean something to Mermaid; its own ids are numbers, since `end` is a word of its. */
function mermaidText({ workflow, runId, nodes, edges }: Drawing): string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  const lines = ["---", `title: ${runId ?? workflow}`, "---", "flowchart TD"];
  for (const { id, agent, status } of nodes) lines.push(`  ${numbers.get(id)}["${id}<br/>${status ?? agent}"]${status === undefined ? "" : `:::${status}`}`);
  for (const { from, to, isOrderOnly } of edges) lines.push(`  ${numbers.get(from)} ${isOrderOnly ? "-.->" : "-->"} ${numbers.get(to)}`);
  for (const status of new Set(nodes.map((node) => node.status))) if (status !== undefined) lines.push(`  classDef ${status} ${CLASSES[status]}`);
  return `${lines.join("\n")}\n`;
}

/** Names have no characters that mean something inside quotes. */
function dotText({ workflow, runId, nodes, edges }: Drawing): string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  const lines = [`label="${runId ?? workflow}"`, "labelloc=t", "node [shape=box, style=rounded]"];
  for (const { id, agent, status } of nodes)
    lines.push(`${numbers.get(id)} [label="${id}\\n${status ?? agent}"${status === undefined ? "" : dotColours(status)}]`);
  for (const { from, to, isOrderOnly } of edges) lines.push(`${numbers.get(from)} -> ${numbers.get(to)}${isOrderOnly ? " [style=dotted]" : ""}`);
  return `digraph "${runId ?? workflow}" {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

function dotColours(status: NodeStatus): string {
  const [, fill, stroke] = /^fill:(#\w+),stroke:(#\w+)/.exec(CLASSES[status])!;
  return `, style="rounded,filled", fillcolor="${fill}", color="${stroke}"`;
}
