/**
 * A workflow from a file: a document in YAML or JSON, or a module that exports it. A module may export a machine of xstate, too,
 * and a rollout, which is offered in place of its two versions.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyStateMachine } from "xstate";
import { type DurableMachine, PawlError, type Rollout, type RunView, type Schedule, type Workflow, isPawlError, parseWorkflow } from "../index.ts";

type Exports = Readonly<Record<string, unknown>>;
/** What a file may define: a workflow, a machine, or a machine with its options. */
export type Definition = Workflow | AnyStateMachine | DurableMachine;
/** What can be executed and started: a definition, or two versions of one. */
export type Offered = Definition | Rollout<Definition>;

const DOCUMENTS = new Set([".yaml", ".yml", ".json"]);
const MODULES = new Set([".ts", ".mts", ".js", ".mjs"]);

/** Could this be the name of a definition? */
export function isDefinitionFile(file: string): boolean {
  return DOCUMENTS.has(extname(file)) || MODULES.has(extname(file));
}

/**
 * Reads the workflow or the machine of a file, with its options if it has some; of a rollout one version.
 *
 * @throws PAWL_FILE_UNREADABLE, PAWL_USAGE (none or several to choose from), and all that a definition can be refused for
 */
export async function loadDefinition(file: string, exportName?: string): Promise<Definition> {
  if (DOCUMENTS.has(extname(file))) return loadDocument(file);
  const exports = await loadModule(file);
  const versions = Object.entries(exports).flatMap(([name, value]) =>
    isRollout(value) ? Object.entries({ [`${name}.stable`]: value.stable, [`${name}.candidate`]: value.candidate }) : [],
  );
  return choose({ ...exports, ...Object.fromEntries(versions) }, file, exportName, isDefinition);
}

/** Reads what a run can be started of. Throws as `loadDefinition`. */
export async function loadOffered(file: string, exportName?: string): Promise<Offered> {
  if (DOCUMENTS.has(extname(file))) return loadDocument(file);
  return choose(await loadModule(file), file, exportName, isOffered);
}

/** Reads all that a file offers, or what is named. What is there as a part of another is not offered alone. */
export async function loadAllOffered(file: string, exportName?: string): Promise<Offered[]> {
  if (exportName !== undefined || DOCUMENTS.has(extname(file))) return [await loadOffered(file, exportName)];
  const exports = Object.values(await loadModule(file));
  if (!exports.some((value) => isOffered(value) || isSchedule(value))) throw nothingExported(file);
  return wholes(exports.filter(isOffered));
}

/** The definitions of what is offered. */
export function versionsOf(offered: Offered): [Definition, ...Definition[]] {
  return isRollout(offered) ? [offered.stable, offered.candidate] : [offered];
}

/** Reads every schedule of a file. Throws as `loadDefinition`. */
export async function loadSchedules(file: string): Promise<Schedule[]> {
  if (DOCUMENTS.has(extname(file))) return [];
  return [...new Set(Object.values(await loadModule(file)).filter(isSchedule))];
}

/** The machine of a definition; undefined when it is one of a workflow. */
export function machineOf(definition: Definition): AnyStateMachine | undefined {
  return isMachine(definition) ? definition : "machine" in definition ? definition.machine : undefined;
}

/** What a run of it is. */
export function kindOf(offered: Offered): RunView["kind"] {
  return machineOf(versionsOf(offered)[0]) === undefined ? "workflow" : "machine";
}

/** `trail` are the documents that this one is a part of. */
async function loadDocument(file: string, trail: readonly string[] = []): Promise<Workflow> {
  const path = resolve(file);
  if (trail.includes(path))
    throw new PawlError("PAWL_DEFINITION_CYCLE", {
      message: `documents run each other in a circle: ${[...trail.slice(trail.indexOf(path)), path].map((one) => basename(one)).join(" → ")}`,
      next: "let one of them repeat an agent or another workflow instead: repeat: { max, until, next }",
      at: file,
    });
  const text = await readText(file);
  return parseWorkflow(text, {
    file,
    importModule: (specifier) => importFrom(file, specifier),
    importWorkflow: (specifier) => loadDocument(join(dirname(file), specifier), [...trail, path]),
  });
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

function choose<T extends Offered>(exports: Exports, file: string, exportName: string | undefined, is: (value: unknown) => value is T): T {
  const found = new Map(Object.entries(exports).filter((entry): entry is [string, T] => is(entry[1])));
  const whole = wholes([...found.values()]);
  const names = [...found.keys()].filter((name) => whole.includes(found.get(name)!)).join(", ") || "none";
  const chosen = found.get(exportName ?? "default") ?? (exportName === undefined && whole.length === 1 ? whole[0] : undefined);
  if (chosen !== undefined) return chosen;
  if (exportName === undefined && found.size === 0) throw nothingExported(file);
  const message =
    exportName === undefined
      ? "the module exports several workflows or machines"
      : `the module exports no workflow or machine "${exportName}"; workflows or machines`;
  throw new PawlError("PAWL_USAGE", { message: `${message}: ${names}`, at: file, next: "choose one with --export NAME" });
}

/** Each once, and none that is only a part of another. */
function wholes<T extends Offered>(found: readonly T[]): T[] {
  const parts = new Set<Offered>(found.flatMap(partsOf));
  return [...new Set(found)].filter((one) => !parts.has(one));
}

/** The versions of a rollout, and machines that are there with their options. */
function partsOf(offered: Offered): Definition[] {
  if (isRollout(offered)) return versionsOf(offered).flatMap((version) => [version, ...partsOf(version)]);
  return isDurable(offered) ? [offered.machine] : [];
}

function nothingExported(file: string): PawlError {
  return new PawlError("PAWL_FILE_UNREADABLE", { message: "the module exports no workflow or machine", at: file, next: "export what workflow() returns" });
}

function isOffered(value: unknown): value is Offered {
  return isDefinition(value) || isRollout(value);
}

function isRollout(value: unknown): value is Rollout<Definition> {
  return (
    typeof value === "object" && value !== null && "stable" in value && isDefinition(value.stable) && "candidate" in value && isDefinition(value.candidate)
  );
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
