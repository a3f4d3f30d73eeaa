/**
 * A graph of nodes as text of a drawing program. Solid arrows carry a result, dotted ones only order; from a choice an arrow goes
 * to what begins each branch, with the name of the branch. Stages are boxes. A map or loop is one node, however many items it has.
 */
import type { NodeStatus, NodeView } from "../index.ts";
import { branchText } from "./node-text.ts";

export interface DrawnNode {
  readonly id: string;
  readonly kind: NodeView["kind"];
  readonly agent: string;
  readonly stage?: string;
  /** The choice that it belongs to, and the branch. */
  readonly memberOf?: { readonly group: string; readonly branch: string };
  /** Of a loop as it is defined: at most so many rounds. */
  readonly max?: number;
  /** Of a run. */
  readonly status?: NodeStatus;
  /** Of a choice that was made: the branch that was taken. */
  readonly taken?: string;
  /** Of a group: how far it is. */
  readonly progress?: string;
}

export interface DrawnEdge {
  readonly from: string;
  readonly to: string;
  readonly isOrderOnly: boolean;
  /** From a choice to its member: the branch. */
  readonly branch?: string;
}

export interface Drawing {
  readonly workflow: string;
  readonly runId?: string;
  readonly nodes: readonly DrawnNode[];
  readonly edges: readonly DrawnEdge[];
}

/** `edges` are the dependencies; those of choices to their members are added. */
export function drawingOf(workflow: string, runId: string | undefined, nodes: readonly DrawnNode[], edges: readonly DrawnEdge[]): Drawing {
  const memberOf = new Map(nodes.map((node) => [node.id, node.memberOf]));
  // what waits for another member of its branch does not begin it
  const later = new Set(edges.flatMap(({ from, to }) => (isSame(memberOf.get(from), memberOf.get(to)) ? [to] : [])));
  const branches = nodes.flatMap(({ id, memberOf: of }) =>
    of === undefined || later.has(id) ? [] : [{ from: of.group, to: id, isOrderOnly: true, branch: of.branch }],
  );
  return { workflow, ...(runId !== undefined && { runId }), nodes, edges: [...edges, ...branches] };
}

function isSame(a: DrawnNode["memberOf"], b: DrawnNode["memberOf"]): boolean {
  return a !== undefined && a.group === b?.group && a.branch === b.branch;
}

/** Colours that can be told apart by people who see red and green alike, each with its word in the node. */
const CLASSES: Readonly<Record<NodeStatus, string>> = {
  waiting: "fill:#f3f4f6,stroke:#9ca3af,color:#111827",
  queued: "fill:#e0f2fe,stroke:#0284c7,color:#111827",
  running: "fill:#bae6fd,stroke:#0369a1,stroke-width:3px,color:#111827",
  backingOff: "fill:#fef3c7,stroke:#b45309,color:#111827",
  recovering: "fill:#fef3c7,stroke:#b45309,stroke-width:3px,color:#111827",
  completed: "fill:#d1fae5,stroke:#047857,color:#111827",
  skipped: "fill:#fef9c3,stroke:#a16207,stroke-dasharray:4,color:#111827",
  failed: "fill:#fecaca,stroke:#b91c1c,stroke-width:3px,color:#111827",
  blocked: "fill:#f5d0fe,stroke:#a21caf,color:#111827",
  notTaken: "fill:#f9fafb,stroke:#9ca3af,stroke-dasharray:2,color:#6b7280",
  compensating: "fill:#ffedd5,stroke:#c2410c,stroke-width:3px,color:#111827",
  compensated: "fill:#ffedd5,stroke:#c2410c,stroke-dasharray:4,color:#111827",
  compensationFailed: "fill:#fecaca,stroke:#c2410c,stroke-width:3px,color:#111827",
  cancelled: "fill:#e5e7eb,stroke:#4b5563,stroke-dasharray:4,color:#111827",
};

/** How Mermaid and Graphviz draw a kind of node. */
const SHAPES: Readonly<Record<DrawnNode["kind"], { readonly mermaid: readonly [open: string, close: string]; readonly dot: string }>> = {
  call: { mermaid: ["[", "]"], dot: "" },
  map: { mermaid: ["[[", "]]"], dot: ", peripheries=2" },
  repeat: { mermaid: ["[[", "]]"], dot: ", peripheries=2" },
  when: { mermaid: ["{", "}"], dot: ", shape=diamond" },
  route: { mermaid: ["{", "}"], dot: ", shape=diamond" },
  event: { mermaid: ["([", "])"], dot: ", shape=oval" },
};

/** What is written into a node beneath its id. */
function wordsOf({ kind, agent, max, status, progress }: DrawnNode): string {
  const shown = kind === "event" && status === "running" ? "awaited" : status;
  if (shown !== undefined) return progress === undefined ? shown : `${shown}: ${progress}`;
  if (kind === "map") return `${agent} for each item`;
  if (kind === "repeat") return `${agent}, again${max === undefined ? "" : ` up to ${max} times`}`;
  return agent;
}

/** Stages in the order in which they come first, each with its nodes; those of none are under undefined. */
function byStage(nodes: readonly DrawnNode[]): Map<string | undefined, DrawnNode[]> {
  return Map.groupBy(nodes, ({ stage }) => stage);
}

/** Was the branch to which this arrow leads taken? */
function takenBy(nodes: readonly DrawnNode[]): (edge: DrawnEdge) => boolean {
  const taken = new Map(nodes.map(({ id, taken }) => [id, taken]));
  return ({ from, branch }) => branch !== undefined && taken.get(from) === branch;
}

/** Its own ids are numbers: `end` is a word of Mermaid's. */
export function mermaidText({ workflow, runId, nodes, edges }: Drawing): string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  const isTaken = takenBy(nodes);
  const lines = ["---", `title: ${runId ?? workflow}`, "---", "flowchart TD"];
  const nodeLine = (node: DrawnNode): string => {
    const [open, close] = SHAPES[node.kind].mermaid;
    const { id, status } = node;
    return `  ${numbers.get(id)}${open}"${id}<br/>${mermaidEscaped(wordsOf(node))}"${close}${status === undefined ? "" : `:::${status}`}`;
  };
  for (const [stage, members] of byStage(nodes))
    if (stage === undefined) lines.push(...members.map(nodeLine));
    else lines.push(`  subgraph s${numbers.get(members[0]!.id)}["${stage}"]`, ...members.map((node) => `  ${nodeLine(node)}`), "  end");
  for (const edge of edges) {
    const arrow = isTaken(edge) ? "==>" : edge.isOrderOnly ? "-.->" : "-->";
    const label = edge.branch === undefined ? "" : `|"${mermaidEscaped(branchText(edge.branch))}"|`;
    lines.push(`  ${numbers.get(edge.from)} ${arrow}${label} ${numbers.get(edge.to)}`);
  }
  for (const status of new Set(nodes.map((node) => node.status))) if (status !== undefined) lines.push(`  classDef ${status} ${CLASSES[status]}`);
  return `${lines.join("\n")}\n`;
}

/** Names of branches are data: what may mean something to Mermaid is written as its number. */
function mermaidEscaped(text: string): string {
  return text.replace(/[^\p{L}\p{N} .,:/_-]/gu, (character) => `#${character.codePointAt(0)};`);
}

export function dotText({ workflow, runId, nodes, edges }: Drawing): string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  const isTaken = takenBy(nodes);
  const lines = [`label="${runId ?? workflow}"`, "labelloc=t", "node [shape=box, style=rounded]"];
  const nodeLine = (node: DrawnNode): string => {
    const { id, kind, status } = node;
    return `${numbers.get(id)} [label="${id}\\n${dotEscaped(wordsOf(node))}"${SHAPES[kind].dot}${status === undefined ? "" : dotColours(status)}]`;
  };
  for (const [stage, members] of byStage(nodes))
    if (stage === undefined) lines.push(...members.map(nodeLine));
    else lines.push(`subgraph "cluster_${numbers.get(members[0]!.id)}" {`, `  label="${stage}"`, ...members.map((node) => `  ${nodeLine(node)}`), "}");
  for (const edge of edges) {
    const style = isTaken(edge) ? ["style=bold"] : edge.isOrderOnly ? ["style=dotted"] : [];
    const options = [...(edge.branch === undefined ? [] : [`label="${dotEscaped(branchText(edge.branch))}"`]), ...style];
    lines.push(`${numbers.get(edge.from)} -> ${numbers.get(edge.to)}${options.length === 0 ? "" : ` [${options.join(", ")}]`}`);
  }
  return `digraph "${runId ?? workflow}" {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

function dotEscaped(text: string): string {
  return text.replace(/["\\]/g, String.raw`\$&`);
}

function dotColours(status: NodeStatus): string {
  const [, fill, stroke] = /^fill:(#\w+),stroke:(#\w+)/.exec(CLASSES[status])!;
  return `, style="rounded,filled", fillcolor="${fill}", color="${stroke}"`;
}
