/**
 * Values to text and back, exactly or not at all. Date, Map, Set, BigInt, undefined, NaN, -0 and Error survive;
 * functions, symbols, cycles and instances of other classes are refused with the path to them.
 * 1. decode(encode(v)) equals v, or encode throws. 2. A text without a tag is plain JSON.
 */
import { PawlError } from "../errors.ts";

/** The longest text of one value, in UTF-16 units; beyond it data belongs in a file or a bucket. */
export const VALUE_LENGTH_MAX = 1_048_576;
/** Nesting beyond this is a mistake or an attack. */
export const VALUE_DEPTH_MAX = 64;
/** Object keys in one value. */
export const VALUE_KEYS_MAX = 10_000;

/** Objects that are no data and yet have a text: what stands for them in it, and back. */
export interface Foreigners {
  /** A word that no tag of this file uses, and data; undefined for objects that are none. */
  tag(value: object): { readonly word: string; readonly data: unknown } | undefined;
  untag(word: string, data: unknown): unknown;
}

interface Walk {
  keys: number;
  readonly ancestors: unknown[];
  /** The way from the top to where the walk stands. */
  readonly steps: (string | number)[];
  readonly foreigners: Foreigners | undefined;
}

/** The text of a value. Throws PAWL_VALUE_NOT_STORABLE or PAWL_VALUE_TOO_LARGE with the path. */
export function encode(value: unknown, foreigners?: Foreigners): string {
  const text = JSON.stringify(tagged(value, { keys: 0, ancestors: [], steps: [], foreigners }));
  if (text.length > VALUE_LENGTH_MAX)
    throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the value takes ${text.length} characters; ${VALUE_LENGTH_MAX} are allowed` });
  return text;
}

/** The value of a text made by `encode`. Throws PAWL_ROW_CORRUPT for any other text. */
export function decode(text: string, foreigners?: Foreigners): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return text.includes('"$":') ? untagged(parsed, foreigners) : parsed;
  } catch (error) {
    throw new PawlError("PAWL_ROW_CORRUPT", { cause: error });
  }
}

function refuse(walk: Walk, what: string): never {
  const path = pathOf(walk);
  throw new PawlError("PAWL_VALUE_NOT_STORABLE", { message: `cannot store ${what} at ${path || "the top"}`, data: { path } });
}

/** Where the walk stands: `orders[3].paid`. */
function pathOf({ steps }: Walk): string {
  return steps.map((step, i) => (typeof step === "number" ? `[${step}]` : step.startsWith("<") || i === 0 ? step : `.${step}`)).join("");
}

/** A part of a value, at this step from where the walk stands. */
function taggedPart(part: unknown, step: string | number, walk: Walk): unknown {
  walk.steps.push(step);
  const result = tagged(part, walk);
  walk.steps.pop();
  return result;
}

/** The value with tags where JSON would lose something; the same object where it would not. */
function tagged(value: unknown, walk: Walk): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $: "number", v: Object.is(value, -0) ? "-0" : String(value) };
    case "undefined":
      return { $: "undefined" };
    case "bigint":
      return { $: "bigint", v: String(value) };
    case "object":
      return value === null ? null : taggedObject(value, walk);
    default:
      return refuse(walk, `a ${typeof value}`);
  }
}

function taggedObject(value: object, walk: Walk): unknown {
  if (walk.ancestors.includes(value)) refuse(walk, "a cycle");
  if (walk.ancestors.length >= VALUE_DEPTH_MAX)
    throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the value is nested deeper than ${VALUE_DEPTH_MAX} at ${pathOf(walk)}` });
  const foreign = walk.foreigners?.tag(value);
  walk.ancestors.push(value);
  const result = foreign === undefined ? taggedOwn(value, walk) : { $: foreign.word, v: tagged(foreign.data, walk) };
  walk.ancestors.pop();
  return result;
}

function taggedOwn(value: object, walk: Walk): unknown {
  return Array.isArray(value) ? taggedArray(value, walk) : taggedInstance(value, walk);
}

function taggedArray(list: readonly unknown[], walk: Walk): unknown {
  if (list.length > VALUE_LENGTH_MAX)
    throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the list at ${pathOf(walk) || "the top"} has ${list.length} items` });
  let copy: unknown[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = taggedPart(list[i], i, walk);
    if (item !== list[i]) (copy ??= list.slice())[i] = item;
  }
  return copy ?? list;
}

function taggedInstance(value: object, walk: Walk): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return taggedFields(value as Record<string, unknown>, walk);
  if (value instanceof Date) return { $: "date", v: Number.isNaN(value.getTime()) ? null : value.getTime() };
  if (value instanceof Map) return { $: "map", v: [...value].map(([key, item], i) => [taggedPart(key, `<key ${i}>`, walk), taggedPart(item, `<${i}>`, walk)]) };
  if (value instanceof Set) return { $: "set", v: [...value].map((item, i) => taggedPart(item, `<${i}>`, walk)) };
  if (value instanceof Error) return taggedError(value, walk);
  return refuse(walk, `an instance of ${(value as { constructor?: { name?: string } }).constructor?.name ?? "a class"}`);
}

function taggedError(error: Error, walk: Walk): unknown {
  const own = Object.fromEntries(Object.entries(error).filter(([key]) => key !== "cause"));
  return {
    $: "error",
    name: error.name,
    message: error.message,
    ...(error.cause !== undefined && { cause: taggedPart(error.cause, "cause", walk) }),
    own: tagged(own, walk),
  };
}

function taggedFields(fields: Record<string, unknown>, walk: Walk): unknown {
  const keys = Object.keys(fields);
  walk.keys += keys.length;
  if (walk.keys > VALUE_KEYS_MAX) throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the value has more than ${VALUE_KEYS_MAX} keys` });
  let copy: Record<string, unknown> | undefined;
  let hasDollar = false;
  for (const key of keys) {
    if (key === "__proto__") refuse(walk, "a key __proto__");
    if (key === "$") hasDollar = true;
    const before = fields[key];
    const after = taggedPart(before, key, walk);
    if (after !== before) (copy ??= { ...fields })[key] = after;
  }
  return hasDollar ? { $: "escaped", v: copy ?? fields } : (copy ?? fields);
}

interface Tagged {
  readonly $: unknown;
  readonly v: never;
  readonly name: string;
  readonly message: string;
  readonly cause?: unknown;
  readonly own: object;
}

function untagged(value: unknown, foreigners: Foreigners | undefined): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => untagged(item, foreigners));
  if (!Object.hasOwn(value, "$")) return untaggedFields(value as Record<string, unknown>, foreigners);
  const tag = value as Tagged;
  switch (tag.$) {
    case "undefined":
      return undefined;
    case "number":
      return Number(tag.v);
    case "bigint":
      return BigInt(tag.v);
    case "date":
      return new Date(tag.v ?? Number.NaN);
    case "map":
      return new Map((tag.v as [unknown, unknown][]).map(([key, item]) => [untagged(key, foreigners), untagged(item, foreigners)]));
    case "set":
      return new Set((tag.v as unknown[]).map((item) => untagged(item, foreigners)));
    case "error":
      return untaggedError(tag, foreigners);
    case "escaped":
      return untaggedFields(tag.v, foreigners);
    default:
      if (foreigners === undefined || typeof tag.$ !== "string") throw new TypeError("unknown tag");
      return foreigners.untag(tag.$, untagged(tag.v, foreigners));
  }
}

function untaggedFields(fields: Record<string, unknown>, foreigners: Foreigners | undefined): Record<string, unknown> {
  for (const key of Object.keys(fields)) fields[key] = untagged(fields[key], foreigners);
  return fields;
}

function untaggedError(tag: Tagged, foreigners: Foreigners | undefined): Error {
  const error = new Error(tag.message, "cause" in tag ? { cause: untagged(tag.cause, foreigners) } : undefined);
  Object.defineProperty(error, "name", { value: tag.name, enumerable: false, configurable: true, writable: true });
  return Object.assign(error, untagged(tag.own, foreigners));
}
