/**
 * A workflow from a file: a document in YAML or JSON, or a module that exports it. A module may export a machine of xstate, too.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname, isAbsolute, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyStateMachine } from "xstate";
import { type DurableMachine, PawlError, type Schedule, type Workflow, isPawlError, parseWorkflow } from "../index.ts";

type Exports = Readonly<Record<string, unknown>>;
/** What a file may define: a workflow, a machine, or a machine with its options. */
export type Definition = Workflow | AnyStateMachine | DurableMachine;

const DOCUMENTS = new Set([".yaml", ".yml", ".json"]);
const MODULES = new Set([".ts", ".mts", ".js", ".mjs"]);

/** Could this be the name of a definition? */
export function isDefinitionFile(file: string): boolean {
  return DOCUMENTS.has(extname(file)) || MODULES.has(extname(file));
}

/**
 * Reads the workflow of a file.
 *
 * @throws PAWL_FILE_UNREADABLE, PAWL_USAGE (none or several to choose from), and all that a definition can be refused for
 */
export async function loadWorkflow(file: string, exportName?: string): Promise<Workflow> {
  if (DOCUMENTS.has(extname(file))) return loadDocument(file);
  return choose(await loadModule(file), file, exportName, { is: isWorkflow, one: "workflow", many: "workflows" });
}

/** Reads the workflow or the machine of a file, with its options if it has some. Throws as `loadWorkflow`. */
export async function loadDefinition(file: string, exportName?: string): Promise<Definition> {
  if (DOCUMENTS.has(extname(file))) return loadDocument(file);
  return choose(await loadModule(file), file, exportName, { is: isDefinition, one: "workflow or machine", many: "workflows or machines" });
}

/** Reads every workflow and machine of a file, or the one that is named. A machine that is there with its options, too, is taken once. */
export async function loadDefinitions(file: string, exportName?: string): Promise<Definition[]> {
  if (exportName !== undefined || DOCUMENTS.has(extname(file))) return [await loadDefinition(file, exportName)];
  const exports = Object.values(await loadModule(file));
  const found = [...new Set(exports.filter(isDefinition))];
  const wrapped = new Set(found.map((definition) => (isDurable(definition) ? definition.machine : undefined)));
  if (found.length === 0 && !exports.some(isSchedule)) throw nothingExported(file, "workflow or machine");
  return found.filter((definition) => !isMachine(definition) || !wrapped.has(definition));
}

/** Reads every schedule of a file. Throws as `loadWorkflow`. */
export async function loadSchedules(file: string): Promise<Schedule[]> {
  if (DOCUMENTS.has(extname(file))) return [];
  return [...new Set(Object.values(await loadModule(file)).filter(isSchedule))];
}

/** The machine of a definition; undefined when it is one of a workflow. */
export function machineOf(definition: Definition): AnyStateMachine | undefined {
  return isMachine(definition) ? definition : "machine" in definition ? definition.machine : undefined;
}

async function loadDocument(file: string): Promise<Workflow> {
  const text = await readText(file);
  return parseWorkflow(text, { file, importModule: (specifier) => importFrom(file, specifier) });
}

async function loadModule(file: string): Promise<Exports> {
  if (!MODULES.has(extname(file)))
    throw new PawlError("PAWL_FILE_UNREADABLE", { message: "this is no definition", at: file, next: "give a .yaml, .yml, .json, .ts, .mts, .js or .mjs file" });
  await readText(file);
  return importModule(file);
}

/** Text of a file that the user named. @throws PAWL_FILE_UNREADABLE */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new PawlError("PAWL_FILE_UNREADABLE", { message: isMissing ? "there is no such file" : "the file cannot be read", at: file, cause: error });
  }
}

async function importModule(file: string): Promise<Exports> {
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as Exports;
  } catch (error) {
    if (isPawlError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new PawlError("PAWL_FILE_UNREADABLE", { message: `the module cannot be loaded: ${reason}`, at: file, cause: error });
  }
}

/** Paths are relative to the document; anything else is a package that it could import. */
async function importFrom(file: string, specifier: string): Promise<Exports> {
  const base = pathToFileURL(resolve(file));
  if (specifier.startsWith("./") || specifier.startsWith("../")) return (await import(new URL(specifier, base).href)) as Exports;
  const found = isAbsolute(specifier) ? specifier : createRequire(base).resolve(specifier);
  return (await import(pathToFileURL(found).href)) as Exports;
}

/** What is looked for among a module's exports. */
interface Wanted<T> {
  readonly is: (value: unknown) => value is T;
  readonly one: string;
  readonly many: string;
}

function choose<T>(exports: Exports, file: string, exportName: string | undefined, { is, one, many }: Wanted<T>): T {
  const found = Object.entries(exports).filter((entry): entry is [string, T] => is(entry[1]));
  const names = found.map(([name]) => name).join(", ") || "none";
  if (exportName !== undefined) {
    const named = found.find(([name]) => name === exportName);
    if (named !== undefined) return named[1];
    throw new PawlError("PAWL_USAGE", {
      message: `the module exports no ${one} "${exportName}"; ${many}: ${names}`,
      at: file,
      next: "choose one with --export",
    });
  }
  const chosen = found.find(([name]) => name === "default") ?? (new Set(found.map(([, definition]) => definition)).size === 1 ? found[0] : undefined);
  if (chosen !== undefined) return chosen[1];
  if (found.length === 0) throw nothingExported(file, one);
  throw new PawlError("PAWL_USAGE", { message: `the module exports several ${many}: ${names}`, at: file, next: "choose one with --export NAME" });
}

function nothingExported(file: string, one: string): PawlError {
  return new PawlError("PAWL_FILE_UNREADABLE", { message: `the module exports no ${one}`, at: file, next: "export what workflow() returns" });
}

function isDefinition(value: unknown): value is Definition {
  return isWorkflow(value) || isMachine(value) || isDurable(value);
}

/** By its shape, since the module may have its own copy of pawl. */
function isWorkflow(value: unknown): value is Workflow {
  if (typeof value !== "object" || value === null || !("name" in value) || !("plan" in value)) return false;
  const { plan } = value;
  return typeof plan === "object" && plan !== null && "nodes" in plan && Array.isArray(plan.nodes);
}

/** By its shape, since the module may have its own copy of xstate. */
function isMachine(value: unknown): value is AnyStateMachine {
  return typeof value === "object" && value !== null && "__xstatenode" in value && "implementations" in value && "root" in value;
}

/** By its shape, since the module may have its own copy of pawl. */
function isSchedule(value: unknown): value is Schedule {
  return typeof value === "object" && value !== null && "cron" in value && "timeZone" in value && "workflow" in value && isDefinition(value.workflow);
}

function isDurable(value: unknown): value is DurableMachine {
  return typeof value === "object" && value !== null && "options" in value && "machine" in value && isMachine(value.machine);
}
