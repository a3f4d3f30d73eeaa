/**
 * Schemas that a document writes down, as JSON Schema.
 */
import { z } from "zod";
import { PawlError } from "../errors.ts";
import type { Schema } from "./schema.ts";
import type { FieldPath, Place } from "./template.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

/** A zod schema from JSON Schema; anything goes where there is none. */
export function schemaOf(json: JsonSchema | undefined, place: Place, path: FieldPath): Schema {
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
export function writtenSchemaOf(json: JsonSchema, place: Place, path: FieldPath): Schema {
  const standard = schemaOf(json, place, path)["~standard"];
  const written = { $schema: "https://json-schema.org/draft/2020-12/schema", ...json };
  return { "~standard": { ...standard, jsonSchema: { input: () => written } } as Schema["~standard"] };
}
