/**
 * A picture of a machine for Graphviz. States with states in them are clusters, which cannot have arrows themselves: an
 * invisible point in each stands for it.
 */
import type { Arrow, Picture, PictureState } from "./picture.ts";

export function dotText({ title, root, arrows, isRootDrawn }: Picture): string {
  const ancestors = ancestorsOf(root);
  const body = isRootDrawn ? stateLines(root, false) : insideLines(root);
  const lines = [
    ...(isRootDrawn ? [] : [`label=${quoted(title)}`, "labelloc=t"]),
    "compound=true",
    "node [shape=box, style=rounded]",
    ...body,
    ...arrows.map((arrow) => arrowText(arrow, ancestors)),
  ];
  return `digraph ${quoted(title)} {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

function stateLines(state: PictureState, isRegion: boolean): string[] {
  const label = `label=${quoted([state.title, ...state.lines].join("\n"))}`;
  if (state.children.length > 0) {
    const inside = [label, `style=${quoted(isRegion ? "rounded,dashed" : "rounded")}`, `${state.name} [shape=point, style=invis]`, ...insideLines(state)];
    return [`subgraph cluster_${state.name} {`, ...inside.map((line) => `  ${line}`), "}"];
  }
  const shape = { final: ", peripheries=2", history: ", shape=circle", atomic: "", compound: "", parallel: "" }[state.type];
  return [`${state.name} [${label}${shape}${isRegion ? ', style="rounded,dashed"' : ""}]`];
}

function insideLines({ name, type, initial, children }: PictureState): string[] {
  const states = children.flatMap((child) => stateLines(child, type === "parallel"));
  if (initial === undefined) return states;
  const into = children.find((child) => child.name === initial.to)!;
  const fields = [...labelField(initial.label), ...(into.children.length > 0 ? [`lhead=cluster_${into.name}`] : [])];
  return [`${name}_initial [shape=point]`, ...states, `${name}_initial -> ${initial.to}${fieldsText(fields)}`];
}

/** By the name of each state that has states in it: the names of all states below it, and its own. */
type Below = ReadonlyMap<string, ReadonlySet<string>>;

function ancestorsOf(root: PictureState): Below {
  const found = new Map<string, Set<string>>();
  const visit = (state: PictureState): string[] => {
    const below = [state.name, ...state.children.flatMap(visit)];
    if (state.children.length > 0) found.set(state.name, new Set(below));
    return below;
  };
  visit(root);
  return found;
}

/** An arrow is cut at the border of a cluster, unless it stays inside of it. */
function arrowText({ from, to, label }: Arrow, below: Below): string {
  const tail = below.has(from) && !below.get(from)!.has(to) ? [`ltail=cluster_${from}`] : [];
  const head = below.has(to) && !below.get(to)!.has(from) ? [`lhead=cluster_${to}`] : [];
  return `${from} -> ${to}${fieldsText([...labelField(label), ...tail, ...head])}`;
}

const labelField = (label: string): string[] => (label === "" ? [] : [`label=${quoted(label)}`]);
const fieldsText = (fields: readonly string[]): string => (fields.length === 0 ? "" : ` [${fields.join(", ")}]`);
const quoted = (text: string): string => `"${text.replace(/["\\]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}"`;
