/**
 * Errors as people read them: code and message, the place, what to do next. To standard error; as one JSON object with `--json`.
 */
import { readFile } from "node:fs/promises";
import { type ErrorCode, PawlError, isPawlError } from "../index.ts";
import { exitCodeOf } from "./exit-code.ts";
import { toJson } from "./json.ts";
import { manyLines, oneLine } from "./text.ts";

export interface ProblemOptions {
  readonly isJson: boolean;
  /** The names that stand for FILE and RUN in the advice. */
  readonly names?: { readonly FILE?: string; readonly RUN?: string };
}

export function problemOf(code: ErrorCode, message: string, next?: string): PawlError {
  return new PawlError(code, { message, ...(next !== undefined && { next }) });
}

/** Prints an error and answers its exit code. What is no error of pawl is shown with its stack: it is a bug. */
export async function showProblem(error: unknown, options: ProblemOptions): Promise<number> {
  if (!isPawlError(error)) {
    if (!options.isJson) process.stderr.write(`${manyLines((error as Error | null)?.stack ?? String(error))}\n`);
    return showProblem(new PawlError("PAWL_BUG", { cause: error, data: { stack: String((error as Error | null)?.stack ?? error) } }), options);
  }
  const next = adviceOf(error, options.names ?? {});
  if (options.isJson) process.stderr.write(`${toJson({ ...error.toJSON(), next })}\n`);
  else process.stderr.write(`${(await linesOf(error, next)).join("\n")}\n`);
  return exitCodeOf(error.code);
}

function adviceOf(error: PawlError, names: Readonly<Record<string, string>>): string {
  return error.next.replace(/\b(?:FILE|RUN)\b/g, (word) => names[word] ?? word);
}

async function linesOf(error: PawlError, next: string): Promise<string[]> {
  const lines = [`${error.code} ${oneLine(error.message, 2_000)}`];
  if (error.at !== undefined) lines.push(`  ${oneLine(error.at)}`, ...(await excerpt(error.at)));
  return [...lines, `next: ${oneLine(next)}`];
}

const PLACE = /^(.+):(\d+):(\d+)$/;
const EXCERPT_LENGTH_MAX = 120;

/** The line of the file that is meant, with a mark under the column. */
async function excerpt(at: string): Promise<string[]> {
  const [, file, line, column] = PLACE.exec(at) ?? [];
  if (file === undefined) return [];
  try {
    const text = (await readFile(file, "utf8")).split("\n")[Number(line) - 1];
    if (text === undefined || Number(column) > EXCERPT_LENGTH_MAX) return [];
    return [`    ${oneLine(text.trimEnd(), EXCERPT_LENGTH_MAX)}`, `    ${" ".repeat(Number(column) - 1)}^`];
  } catch {
    return [];
  }
}
