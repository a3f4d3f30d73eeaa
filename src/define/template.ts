/**
 * Templates: the input of a node as data with references in it, `${plan.result.questions[0]}`.
 * A path grammar and nothing else: no expressions, no eval; own properties only; what a reference yields is data and
 * is never interpolated again. A literal `${` is written `$${`.
 */
import { PawlError } from "../errors.ts";
import { didYouMean } from "./name.ts";
import { Handle } from "./node-handle.ts";

/** What is known only where a node works for an item of a list, or in a round of a loop. */
export type Local = "item" | "index" | "last";

/** Where a reference points: the run's input, a local of the node that reads it, or the result of the node with this index. */
export interface Reference {
  readonly node: number | "input" | Local;
  readonly path: readonly (string | number)[];
  readonly text: string;
}

export type Template =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "reference"; readonly reference: Reference }
  | { readonly kind: "text"; readonly parts: readonly (string | Reference)[] }
  | { readonly kind: "list"; readonly items: readonly Template[] }
  | { readonly kind: "object"; readonly fields: readonly (readonly [string, Template])[] };

/** Finds the node with this id. */
export type FindNode = (id: string) => number | undefined;

const DEPTH_MAX = 64;
const PATH_MAX = 16;

/** Keys and indices that lead to a part of a definition. */
export type FieldPath = readonly (string | number)[];

/** Where parts of a definition are written, for errors. */
export type Place = (path: FieldPath) => string;

export interface Scope {
  readonly find: FindNode;
  readonly ids: Iterable<string>;
  readonly place: Place;
  readonly path: FieldPath;
  readonly locals?: readonly Local[];
}

/** Reads definition data, with references as text, into a template. Throws PAWL_UNKNOWN_REFERENCE. */
export function parseTemplate(data: unknown, scope: Scope): Template {
  if (scope.path.length > DEPTH_MAX)
    throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the input is nested deeper than ${DEPTH_MAX}`, at: scope.place(scope.path) });
  if (typeof data === "string") return parseText(data, scope);
  if (Array.isArray(data)) {
    const items = data.map((item, i) => parseTemplate(item, inside(scope, i)));
    return items.every((item) => item.kind === "value")
      ? { kind: "value", value: items.map((item) => (item as { value: unknown }).value) }
      : { kind: "list", items };
  }
  if (typeof data === "object" && data !== null && isPlain(data)) {
    const fields = Object.keys(data).map((key) => [key, parseTemplate((data as Record<string, unknown>)[key], inside(scope, key))] as const);
    return fields.every(([, field]) => field.kind === "value")
      ? { kind: "value", value: objectOf(fields.map(([key, field]) => [key, (field as { value: unknown }).value])) }
      : { kind: "object", fields };
  }
  if (data instanceof Handle)
    throw new PawlError("PAWL_REFERENCE_MISUSE", {
      message: `node "${data.id}" itself is used where a value is wanted`,
      next: "use its result: wf.node(…).result",
      at: scope.place(scope.path),
    });
  return { kind: "value", value: data };
}

function inside(scope: Scope, step: string | number): Scope {
  return { ...scope, path: [...scope.path, step] };
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `__proto__` as a key must become an own key, never the prototype. */
function objectOf(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries);
}

function parseText(text: string, scope: Scope): Template {
  if (!text.includes("${")) return { kind: "value", value: text };
  const parts: (string | Reference)[] = [];
  let literal = "";
  let i = 0;
  while (i < text.length) {
    const open = text.indexOf("${", i);
    if (open === -1) break;
    if (open > 0 && text[open - 1] === "$") {
      literal += `${text.slice(i, open - 1)}\${`;
      i = open + 2;
      continue;
    }
    const close = text.indexOf("}", open);
    if (close === -1) throw unknown(text.slice(open), "a reference is not closed by }", scope);
    literal += text.slice(i, open);
    if (literal !== "") parts.push(literal);
    literal = "";
    parts.push(parseReference(text.slice(open + 2, close), scope));
    i = close + 1;
  }
  literal += text.slice(i);
  if (literal !== "") parts.push(literal);
  const [only] = parts;
  if (parts.length === 1 && typeof only === "string") return { kind: "value", value: only };
  if (parts.length === 1) return { kind: "reference", reference: only as Reference };
  return { kind: "text", parts };
}

function parseReference(text: string, scope: Scope): Reference {
  if (text === "input" || text.startsWith("input.") || text.startsWith("input[")) {
    return { node: "input", path: parsePath(text.slice(5), text, scope), text };
  }
  const local = scope.locals?.find((name) => text === name || text.startsWith(`${name}.`) || text.startsWith(`${name}[`));
  if (local !== undefined) {
    if (scope.find(local) !== undefined) throw unknown(text, `\${${text}} can mean node "${local}", too`, scope, "give that node another id");
    return { node: local, path: parsePath(text.slice(local.length), text, scope), text };
  }
  const found: Reference[] = [];
  for (let end = text.indexOf(".result"); end !== -1; end = text.indexOf(".result", end + 1)) {
    const rest = text.slice(end + 7);
    if (rest !== "" && !rest.startsWith(".") && !rest.startsWith("[")) continue;
    const node = scope.find(text.slice(0, end));
    if (node !== undefined) found.push({ node, path: parsePath(rest, text, scope), text });
  }
  if (found.length === 1) return found[0]!;
  if (found.length > 1) throw unknown(text, `\${${text}} can mean more than one node`, scope);
  throw noSuchNode(text, scope);
}

/** Where each local is known. */
const HOMES: Readonly<Record<Local, string>> = {
  item: "what the items of a map are given",
  index: "what the items of a map are given",
  last: "what the rounds of a repeat are given after the first, and in its `until`",
};

function noSuchNode(text: string, scope: Scope): PawlError {
  const id = text.split(".result")[0]!.split(/[.[]/)[0]!;
  const named = text.includes(".result") ? text.slice(0, text.indexOf(".result")) : id;
  if (scope.find(named) !== undefined || scope.find(id) !== undefined) {
    return unknown(text, `\${${text}} lacks .result`, scope, `write \${${id}.result} for the result of node "${id}"`);
  }
  if (Object.hasOwn(HOMES, id)) {
    const home = HOMES[id as Local];
    throw unknown(text, `\${${text}} is known only in ${home}`, scope, `use it there; what others are to know is a part of the result`);
  }
  const ids = [...scope.ids];
  const listed = ids.slice(0, 8).join(", ") + (ids.length > 8 ? ", …" : "");
  return unknown(text, `no node "${named}" in \${${text}}${didYouMean(named, ids)}   nodes: ${listed || "none"}`, scope);
}

function unknown(reference: string, message: string, scope: Scope, next?: string): PawlError {
  return new PawlError("PAWL_UNKNOWN_REFERENCE", { message, at: scope.place(scope.path), data: { reference }, ...(next !== undefined && { next }) });
}

const STEP = /\.([A-Za-z0-9_$-]+)|\[(\d+)\]|\["([^"\]]+)"\]/y;

function parsePath(rest: string, text: string, scope: Scope): (string | number)[] {
  const path: (string | number)[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < rest.length) {
    const match = STEP.exec(rest);
    if (match === null) throw unknown(text, `\${${text}} is not a path`, scope, "use names and indices only: ${node.result.list[0].name}");
    path.push(match[2] === undefined ? (match[1] ?? match[3])! : Number(match[2]));
  }
  if (path.length > PATH_MAX) throw unknown(text, `\${${text}} is longer than ${PATH_MAX} steps`, scope);
  return path;
}

/** Calls back with each reference in the template. */
export function eachReference(template: Template, visit: (reference: Reference) => void): void {
  if (template.kind === "reference") visit(template.reference);
  else if (template.kind === "text") template.parts.forEach((part) => typeof part === "string" || visit(part));
  else if (template.kind === "list") for (const item of template.items) eachReference(item, visit);
  else if (template.kind === "object") for (const [, field] of template.fields) eachReference(field, visit);
}

/** The value that a reference stands for; a copy that its reader may change. */
export type ReadReference = (reference: Reference) => unknown;

/** Fills the template with data. */
export function resolveTemplate(template: Template, read: ReadReference): unknown {
  switch (template.kind) {
    case "value":
      return structuredCopy(template.value);
    case "reference":
      return read(template.reference);
    case "text":
      return template.parts.map((part) => (typeof part === "string" ? part : asText(read(part)))).join("");
    case "list":
      return template.items.map((item) => resolveTemplate(item, read));
    case "object": {
      const result: Record<string, unknown> = {};
      for (const [key, field] of template.fields) {
        const value = resolveTemplate(field, read);
        if (key === "__proto__") Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true });
        else result[key] = value;
      }
      return result;
    }
  }
}

/** Each attempt gets its own copy, so that one that changes its input changes no other's. */
function structuredCopy(value: unknown): unknown {
  return typeof value === "object" && value !== null ? structuredClone(value) : value;
}

/** What a path leads to; undefined when it leads nowhere. Own properties only. */
export function followPath(root: unknown, path: Reference["path"]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function asText(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  return typeof value === "bigint" ? value.toString() : (JSON.stringify(value) ?? "");
}
