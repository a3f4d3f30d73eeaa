/**
 * Is a part of a document what it should be? What is wrong with it is told with its place, and with the name that was
 * probably meant. Schemas that a document writes down, as JSON Schema, are such parts, too.
 */
import { z } from "zod";
import { PawlError } from "../errors.ts";
import { NODE_SHAPES } from "./document-shape.ts";
import { didYouMean } from "./name.ts";
import type { Schema } from "./schema.ts";
import { type FieldPath, type Place, followPath } from "./template.ts";

/**
 * The part at this path, checked. It is answered as it was written: zod would leave out what it cannot hold.
 *
 * @throws PAWL_MISSING_FIELD, PAWL_INVALID_VALUE
 */
export function checkPart<S extends z.ZodType>(shape: S, data: unknown, path: FieldPath, place: Place): z.infer<S> {
  const checked = shape.safeParse(data);
  if (checked.success) return data as z.infer<S>;
  const issue = nearest(checked.error.issues);
  const within = issue.path as FieldPath;
  const full = [...path, ...within];
  const what = full.join(".") || "the document";
  if (issue.code === "unrecognized_keys") throw unknownField(issue.keys[0]!, full, fieldsAt(shape, within), place);
  if (within.length > 0 && followPath(data, within) === undefined)
    throw new PawlError("PAWL_MISSING_FIELD", { message: `${what} is missing (${issue.message})`, at: place(full) });
  throw new PawlError("PAWL_INVALID_VALUE", { message: `${what}: ${issue.message}`, at: place(full) });
}

/** A field that nobody knows comes first: it may be one that is missing, misspelt. Of a union the only way that fits at all. */
function nearest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]!;
  if (issue.code !== "invalid_union") return issue;
  const [fitting, ...others] = issue.errors.filter(([first]) => first!.path.length > 0 || (first!.code !== "invalid_type" && first!.code !== "invalid_value"));
  if (fitting === undefined || others.length > 0) return issue;
  const inner = nearest(fitting);
  return { ...inner, path: [...issue.path, ...inner.path] };
}

/** The fields that may stand there. */
function fieldsAt(shape: z.core.$ZodType | undefined, path: FieldPath): string[] {
  const [step, ...rest] = path;
  if (shape instanceof z.ZodOptional) return fieldsAt(shape.unwrap(), path);
  if (shape instanceof z.ZodLazy) return fieldsAt(shape.unwrap(), path);
  if (shape instanceof z.ZodUnion) return shape.options.flatMap((option) => fieldsAt(option, path));
  if (shape instanceof z.ZodRecord) return fieldsAt(shape.valueType, rest);
  if (!(shape instanceof z.ZodObject)) return [];
  return step === undefined ? Object.keys(shape.shape) : fieldsAt(shape.shape[step], rest);
}

function unknownField(key: string, path: FieldPath, fields: readonly string[], place: Place): PawlError {
  const meant = didYouMean(key, fields);
  const owners = path.at(-2) === "nodes" ? Object.entries(NODE_SHAPES).flatMap(([kind, { shape }]) => (Object.hasOwn(shape, key) ? [`\`${kind}\``] : [])) : [];
  const hint = meant === "" && owners.length > 0 ? `; it is one of ${owners.join(", ")}` : meant;
  return new PawlError("PAWL_INVALID_VALUE", {
    message: `unknown field "${key}"${hint}`,
    next: `remove it; here may stand: ${fields.join(", ")}`,
    at: place([...path, key]),
  });
}

// ---- JSON Schema

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A zod schema from JSON Schema; anything goes where there is none. */
export function schemaOf(json: JsonSchema | undefined, path: FieldPath, place: Place): Schema {
  if (json === undefined) return z.unknown();
  try {
    return z.fromJSONSchema(json);
  } catch (error) {
    throw new PawlError("PAWL_INVALID_VALUE", {
      message: `${path.join(".")} is no JSON Schema: ${error instanceof Error ? error.message : ""}`,
      at: place(path),
      cause: error,
    });
  }
}

/** One that tells as its JSON Schema what was written, so that what is stored with runs does not depend on zod. */
export function writtenSchemaOf(json: JsonSchema, path: FieldPath, place: Place): Schema {
  const standard = schemaOf(json, path, place)["~standard"];
  const written = { $schema: "https://json-schema.org/draft/2020-12/schema", ...json };
  return { "~standard": { ...standard, jsonSchema: { input: () => written } } as Schema["~standard"] };
}
