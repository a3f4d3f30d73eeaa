/**
 * A picture of a machine as a Mermaid state diagram. Mermaid has no history states; they are drawn as states called `H` and `H*`.
 */
import type { Picture, PictureState } from "./picture.ts";

export function mermaidText({ title, root, arrows, isRootDrawn }: Picture): string {
  const body = isRootDrawn ? stateLines(root) : insideLines(root);
  const lines = ["stateDiagram-v2", ...indented([...body, ...arrows.map(({ from, to, label }) => arrowText(from, to, label))])];
  return `---\ntitle: ${JSON.stringify(title)}\n---\n${lines.join("\n")}\n`;
}

function stateLines(state: PictureState): string[] {
  const opening = `state "${escaped(state.title)}" as ${state.name}`;
  if (state.children.length === 0) return [opening, ...state.lines.map((line) => `${state.name} : ${escaped(line)}`)];
  const note = state.lines.length === 0 ? [] : [`note right of ${state.name} : ${state.lines.map(escaped).join("<br/>")}`];
  return [`${opening} {`, ...indented(insideLines(state)), "}", ...note];
}

function insideLines({ type, initial, children }: PictureState): string[] {
  if (type === "parallel") return children.flatMap((child, i) => [...(i === 0 ? [] : ["--"]), ...stateLines(child)]);
  const begin = initial === undefined ? [] : [arrowText("[*]", initial.to, initial.label)];
  const ends = children.filter((child) => child.type === "final").map(({ name }) => `${name} --> [*]`);
  return [...begin, ...children.flatMap(stateLines), ...ends];
}

const arrowText = (from: string, to: string, label: string): string => `${from} --> ${to}${label === "" ? "" : ` : ${escaped(label)}`}`;
const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** All but letters, digits and harmless signs as Mermaid's entity codes, by number. */
const escaped = (text: string): string => text.replace(/[^\p{L}\p{N} _.,()[\]/+-]/gu, (character) => `#${character.codePointAt(0)};`);
