/**
 * Data as it is given on the command line: JSON, a file of it, or standard input.
 */
import { PawlError } from "../index.ts";
import { readText } from "./definition-file.ts";
import { oneLine } from "./text.ts";

/** The value of an option. @throws PAWL_USAGE, PAWL_FILE_UNREADABLE */
export async function readInput(text: string, option = "--input"): Promise<unknown> {
  if (!text.startsWith("@")) return parseJson(text, option);
  if (text === "@-") return parseJson(await readStandardInput(), "standard input");
  return parseJson(await readText(text.slice(1)), text.slice(1));
}

/** The values of an option that is given several times, as `name=JSON`; undefined when it is not given. @throws PAWL_USAGE */
export async function readValues(options: readonly string[] | undefined, option: string, example: string): Promise<Record<string, unknown> | undefined> {
  if (options === undefined) return undefined;
  const values: [string, unknown][] = [];
  for (const text of options) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined) throw new PawlError("PAWL_USAGE", { message: `${option} "${oneLine(text)}" has no value`, next: example });
    values.push([name, await readInput(value!, `${option} ${name}`)]);
  }
  return Object.fromEntries(values);
}

function parseJson(text: string, at: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    throw new PawlError("PAWL_USAGE", { message: `the input is not JSON: ${reason}`, at, next: "give JSON in single quotes, or @file", cause: error });
  }
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
