/**
 * Values that a fork sets: `{ 'input.topic': 'x', 'plan.result.questions[0]': 'y' }`. The path grammar is that of
 * references. A path leads through own properties of plain objects and lists, and nowhere else.
 */
import type { Plan } from "../define/plan.ts";
import { type FieldPath, parseTemplate } from "../define/template.ts";
import { PawlError, isPawlError } from "../errors.ts";

/** One value to set: in the run's input, or in the result of the node with this index. */
export interface SetValue {
  readonly text: string;
  readonly target: number | "input";
  readonly path: FieldPath;
  readonly value: unknown;
}

/** Values by their paths. */
export type SetValues = Readonly<Record<string, unknown>>;

/** What is different in a fork from the run that it came from. */
export interface SetChange {
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

const NEXT = "write input.topic for the run's input, or plan.result.questions[0] for the result of a node";

/** Reads the paths. Throws PAWL_INVALID_VALUE for one that leads nowhere in this plan. */
export function readSetValues(set: SetValues, plan: Plan): SetValue[] {
  return Object.entries(set).map(([text, value]) => ({ text, value, ...readPath(text, plan) }));
}

function readPath(text: string, plan: Plan): { target: number | "input"; path: FieldPath } {
  const template = parsed(text, plan);
  if (template?.kind !== "reference") throw invalid(`cannot set "${text}": it is not a path`, NEXT);
  const { node } = template.reference;
  const kind = typeof node === "number" ? plan.nodes[node]!.kind : undefined;
  if (kind === "map" || kind === "repeat")
    throw invalid(`cannot set "${text}": ${kind === "map" ? "a map's result is that of its items" : "a loop's result is that of its last round"}`);
  return { target: node as number | "input", path: checkedSteps(text, template.reference.path) };
}

function parsed(text: string, plan: Plan): ReturnType<typeof parseTemplate> | undefined {
  try {
    const find = (id: string): number | undefined => plan.indexOf.get(id);
    return parseTemplate(`\${${text}}`, { find, ids: plan.indexOf.keys(), place: () => "set", path: [] });
  } catch (error) {
    if (!isPawlError(error, "PAWL_UNKNOWN_REFERENCE")) throw error;
    throw invalid(`cannot set "${text}": ${error.message}`, NEXT);
  }
}

/** The path of a text like `context.orders[0].paid`, whose first word is this one. */
export function readPathBeneath(word: string, text: string, next: string): FieldPath {
  const rest = text.startsWith(word) ? text.slice(word.length) : undefined;
  if (rest !== undefined && (rest === "" || rest.startsWith(".") || rest.startsWith("["))) {
    try {
      const template = parseTemplate(`\${input${rest}}`, { find: () => undefined, ids: [], place: () => "set", path: [] });
      if (template.kind === "reference") return checkedSteps(text, template.reference.path);
    } catch (error) {
      if (!isPawlError(error, "PAWL_UNKNOWN_REFERENCE")) throw error;
    }
  }
  throw invalid(`cannot set "${text}"`, next);
}

function checkedSteps(text: string, path: FieldPath): FieldPath {
  if (path.includes("__proto__")) throw invalid(`cannot set "${text}": __proto__ is no field of data`);
  return path;
}

/** The value with another at this path, changed in place where there is a path. Throws PAWL_INVALID_VALUE. */
export function withValue(root: unknown, { text, path, value }: Omit<SetValue, "target">): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  let holder = root;
  for (const [i, step] of path.slice(0, -1).entries()) {
    const fields = fieldsOf(holder, step, text, path.slice(0, i));
    if (!Object.hasOwn(fields, step)) throw invalid(`cannot set "${text}": ${nameOf(path.slice(0, i))} has no ${nameOf([step])}; ${listed(fields)}`);
    holder = fields[step];
  }
  const fields = fieldsOf(holder, last, text, path.slice(0, -1));
  if (Array.isArray(fields) && (last as number) > fields.length)
    throw invalid(`cannot set "${text}": ${nameOf(path.slice(0, -1))} has ${fields.length} items, and no gaps are made`);
  fields[last] = value;
  return root;
}

/** What a path can lead through: a plain object by a name, a list by a number. */
function fieldsOf(holder: unknown, step: string | number, text: string, path: FieldPath): Record<string | number, unknown> {
  const isList = Array.isArray(holder);
  if (isList ? typeof step === "number" : isPlain(holder)) return holder as Record<string | number, unknown>;
  throw invalid(
    `cannot set "${text}": ${nameOf(path)} is ${isList ? "a list, whose items have numbers" : `${kindOf(holder)}, which has no ${nameOf([step])}`}`,
  );
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? "no plain object" : `a ${typeof value}`;
}

function nameOf(path: FieldPath): string {
  return path.length === 0 ? "the value" : `"${path.join(".")}"`;
}

function listed(fields: object): string {
  const keys = Object.keys(fields);
  return keys.length === 0 ? "it is empty" : `it has ${keys.slice(0, 8).join(", ")}${keys.length > 8 ? ", …" : ""}`;
}

/** Does one of these paths lead into what the other leads to? */
export function pathsMeet(one: FieldPath, other: FieldPath): boolean {
  const length = Math.min(one.length, other.length);
  return one.slice(0, length).every((step, i) => step === other[i]);
}

function invalid(message: string, next?: string): PawlError {
  return new PawlError("PAWL_INVALID_VALUE", { message, ...(next !== undefined && { next }) });
}
