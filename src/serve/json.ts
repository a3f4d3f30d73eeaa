/**
 * Values as JSON, whatever the store can hold: what JSON has no word for becomes the nearest that it has.
 */

/** JSON text; `indent` spaces per level, none when left out. */
export function toJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, plain, indent) ?? "null";
}

/** Dates come here as text already: JSON asks their toJSON first. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Map) return [...value.entries()];
  if (value instanceof Set) return [...value.values()];
  if (value instanceof Error && !("toJSON" in value)) return { name: value.name, message: value.message };
  return value;
}
