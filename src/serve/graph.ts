/**
 * `pawl graph`: a workflow, a run or a machine as a drawing. In a graph of nodes solid arrows carry a result, dotted ones only order.
 */
import { existsSync } from "node:fs";
import type { AnyStateMachine } from "xstate";
import { type DrawingFormat, PawlError, type Workflow, drawMachine } from "../index.ts";
import { isDefinitionFile, loadDefinition, machineOf } from "./definition-file.ts";
import { dependenciesOf } from "./dependencies.ts";
import { type Drawing, type DrawnNode, dotText, drawingOf, mermaidText } from "./drawing.ts";
import { EXIT } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { isPart, talliesOf } from "./node-table.ts";
import { groupText } from "./node-text.ts";
import { findRun, openToLook } from "./stored.ts";

export interface GraphOptions {
  readonly export?: string;
  readonly format: DrawingFormat;
  readonly store?: string;
  readonly json?: true;
}

/** Above these Mermaid refuses to draw, unless it is configured otherwise. */
const MERMAID_EDGES_MAX = 500;

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
  const drawn = nodes.map(({ id, agent, kind, stage, within, max }): DrawnNode => {
    const choice = within && nodes[within.choice]!;
    return {
      id,
      kind,
      agent: agent.name,
      ...(stage !== undefined && { stage }),
      ...(choice !== undefined && { memberOf: { group: choice.id, branch: choice.branches![within!.branch]!.name } }),
      ...(max !== undefined && { max }),
    };
  });
  const edges = nodes.flatMap(({ id, index }) =>
    dependenciesOf(workflow, index).map(({ node, from }) => ({ from: node, to: id, isOrderOnly: !from.includes("reference") })),
  );
  return drawingOf(workflow.name, undefined, drawn, edges);
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
  const views = await run.nodes();
  const tallies = talliesOf(views);
  // items and rounds are no nodes of the drawing: it does not grow with a list
  const nodes = views.filter((view) => !isPart(view));
  const drawn = nodes.map((view): DrawnNode => {
    const { id, kind, agent, status, stage, memberOf, branch } = view;
    const progress = groupText(view, tallies.get(id));
    return {
      id,
      kind,
      agent,
      status,
      ...(stage !== undefined && { stage }),
      ...(memberOf !== undefined && "branch" in memberOf && { memberOf }),
      ...(branch !== undefined && { taken: branch }),
      ...(progress !== "" && { progress }),
    };
  });
  const edges = nodes.flatMap(({ id, dependencies }) => dependencies.map((from) => ({ from, to: id, isOrderOnly: false })));
  return drawingOf(workflow, run.id, drawn, edges);
}
