/**
 * `pawl schema`: the JSON Schema of workflows in YAML and JSON, by which editors complete and check them.
 */
import { documentSchema } from "../index.ts";
import { EXIT } from "./exit-code.ts";

const INDENT = 2;

export async function schema(): Promise<number> {
  process.stdout.write(`${JSON.stringify(await documentSchema(), null, INDENT)}\n`);
  return EXIT.completed;
}
