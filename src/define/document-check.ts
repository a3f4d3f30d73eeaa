/**
 * Is a part of a document what it should be? What is wrong with it is told with its place, and with the name that was
 * probably meant.
 */
import { z } from "zod";
import { PawlError } from "../errors.ts";
import { NODE_SHAPES, httpAgent, moduleAgent } from "./document-shape.ts";
import { didYouMean } from "./name.ts";
import type { FieldPath, Place } from "./template.ts";

/**
 * The part at this path, checked. It is answered as it was written: zod would leave out what it cannot hold.
 *
 * @throws PAWL_MISSING_FIELD, PAWL_INVALID_VALUE
 */
export function checkPart<S extends z.ZodType>(shape: S, data: unknown, path: FieldPath, place: Place): z.infer<S> {
  const checked = shape.safeParse(data);
  if (checked.success) return data as z.infer<S>;
  const issue = deepest(checked.error.issues[0]!);
  const within = issue.path as FieldPath;
  const full = [...path, ...within];
  const what = full.join(".") || "the document";
  if (issue.code === "unrecognized_keys") throw unknownField(issue.keys[0]!, full, fieldsOf(shape, within), place);
  if (issue.code === "invalid_type" && valueAt(data, within) === undefined)
    throw new PawlError("PAWL_MISSING_FIELD", { message: `${what} is missing (${issue.message})`, at: place(full) });
  throw new PawlError("PAWL_INVALID_VALUE", { message: `${what}: ${issue.message}`, at: place(full) });
}

/** Of the alternatives of a union, what is wrong with the one that came nearest. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const nearest = issue.errors.flat().toSorted((a, b) => b.path.length - a.path.length)[0];
  return nearest === undefined ? issue : deepest({ ...nearest, path: [...issue.path, ...nearest.path] });
}

function valueAt(data: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[step] : undefined),
    data,
  );
}

const NESTED = [httpAgent, httpAgent.shape.http, moduleAgent, httpAgent.shape.retry.unwrap(), NODE_SHAPES.repeat.shape.repeat, NODE_SHAPES.when.shape.then];

/** What could have been meant: the fields of the part itself, or of those that are within others. */
function fieldsOf(shape: z.ZodType, within: FieldPath): string[] {
  if (within.length === 0 && shape instanceof z.ZodObject) return Object.keys(shape.shape);
  return NESTED.flatMap((nested) => Object.keys(nested.shape));
}

function unknownField(key: string, path: FieldPath, fields: readonly string[], place: Place): PawlError {
  const at = place([...path, key]);
  const meant = didYouMean(key, fields);
  const owners = Object.entries(NODE_SHAPES).filter(([, { shape }]) => Object.hasOwn(shape, key));
  const isOthers = meant === "" && path.includes("nodes") && owners.length > 0 && !fields.includes(key);
  const hint = isOthers ? ` it is one of ${owners.map(([kind]) => `\`${kind}\``).join(", ")}` : meant;
  return new PawlError("PAWL_INVALID_VALUE", { message: `unknown field "${key}";${hint}`, next: `remove it; here may stand: ${fields.join(", ")}`, at });
}
