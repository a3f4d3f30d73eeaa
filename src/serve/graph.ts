/**
 * `pawl graph`: a workflow or a run as a Mermaid flowchart. Solid arrows carry a result, dotted ones only order.
 */
import { existsSync } from "node:fs";
import type { NodeStatus, Workflow } from "../index.ts";
import { dependenciesOf } from "./dependencies.ts";
import { isDefinitionFile, loadWorkflow } from "./definition-file.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { findRun, openToLook } from "./stored.ts";

export interface GraphOptions {
  readonly export?: string;
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
  cancelled: "fill:#e5e7eb,stroke:#4b5563,stroke-dasharray:4,color:#111827",
};

export async function graph(subject: string, options: GraphOptions): Promise<number> {
  const isFile = isDefinitionFile(subject) && (existsSync(subject) || /[\\/]/.test(subject));
  const drawing = isFile ? drawWorkflow(await loadWorkflow(subject, options.export)) : await drawRun(subject, options.store);
  const mermaid = mermaidText(drawing);
  process.stdout.write(options.json ? `${toJson({ ...drawing, mermaid })}\n` : mermaid);
  if (drawing.edges.length > MERMAID_EDGES_MAX)
    process.stderr.write(`warning: ${drawing.edges.length} edges; Mermaid draws ${MERMAID_EDGES_MAX} unless its maxEdges is raised\n`);
  return EXIT.completed;
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
  const { workflow } = await run.status();
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
