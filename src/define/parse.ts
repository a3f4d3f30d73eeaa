/**
 * The door to YAML and JSON: loads their readers only when a document is read, since they cost a program's start.
 */
import type { DocumentOptions } from "./document.ts";
import type { Workflow } from "./workflow.ts";

/**
 * A workflow from YAML or JSON text. References are written `${node.result.path}`.
 *
 * @example
 * ```ts
 * const workflow = await parseWorkflow(text, { file: 'research.yaml', agents: [planner, writer] });
 * ```
 * @throws PAWL_DOCUMENT_SYNTAX, PAWL_UNKNOWN_REFERENCE, PAWL_UNKNOWN_AGENT, PAWL_DEFINITION_CYCLE, PAWL_DUPLICATE_ID,
 * PAWL_MISSING_FIELD, PAWL_INVALID_VALUE, each with file, line and column
 */
export async function parseWorkflow(text: string, options: DocumentOptions = {}): Promise<Workflow> {
  const { readDocument } = await import("./document.ts");
  return readDocument(text, options);
}

/**
 * The JSON Schema of such documents, for editors: save it beside them, and begin them with
 * `# yaml-language-server: $schema=./pawl.schema.json`.
 *
 * @example
 * ```ts
 * await writeFile('pawl.schema.json', JSON.stringify(await documentSchema()));
 * ```
 */
export async function documentSchema(): Promise<object> {
  const { documentJsonSchema } = await import("./document-shape.ts");
  return documentJsonSchema();
}
