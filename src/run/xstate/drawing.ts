/**
 * A machine as a drawing, in each of the notations that people and programs read.
 */
import type { AnyStateMachine } from "xstate";
import { oneOf } from "../../define/policy.ts";
import { dotText } from "./dot.ts";
import { mermaidText } from "./mermaid.ts";
import { pictureOf } from "./picture.ts";
import { statelyConfig } from "./stately-config.ts";
import { machineStructure } from "./structure.ts";

/** Mermaid and Graphviz; the structure as JSON; what Stately Studio imports. */
export type DrawingFormat = "mermaid" | "dot" | "json" | "stately";

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

const NOTATIONS: Readonly<Record<DrawingFormat, (machine: AnyStateMachine) => string>> = {
  mermaid: (machine) => mermaidText(pictureOf(machine)),
  dot: (machine) => dotText(pictureOf(machine)),
  json: (machine) => json(machineStructure(machine)),
  stately: (machine) => json(statelyConfig(machine)),
};

/**
 * The text of a drawing of a machine.
 *
 * @example
 * ```ts
 * await writeFile('order.mmd', drawMachine(orderMachine, 'mermaid'));
 * ```
 * @throws PAWL_INVALID_VALUE for another format
 */
export function drawMachine(machine: AnyStateMachine, format: DrawingFormat): string {
  return NOTATIONS[oneOf(format, Object.keys(NOTATIONS) as DrawingFormat[], "format", `machine "${machine.id}"`)](machine);
}
