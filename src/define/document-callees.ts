/**
 * What the nodes of a document call: agents and workflows, from the program, from modules, from services, from other
 * documents, or written in the document itself.
 */
import type { z } from "zod";
import { PawlError } from "../errors.ts";
import { type Agent, type HttpService, agent } from "./agent.ts";
import { breakerOf } from "./breaker.ts";
import { checkPart, schemaOf } from "./document-check.ts";
import { type DocumentShape, type InnerShape, httpAgent, innerShape, isDocumentFile, moduleAgent, moduleWorkflow } from "./document-shape.ts";
import { checkName, didYouMean } from "./name.ts";
import type { FieldPath, Place } from "./template.ts";
import type { Workflow } from "./workflow.ts";

/** What a document needs from outside. */
export interface DocumentOptions {
  /** The file's name, for errors. */
  readonly file?: string;
  /** Agents that nodes may name, beside those that the document defines. */
  readonly agents?: readonly Agent[];
  /** Workflows that nodes may run, beside those that the document defines. */
  readonly workflows?: readonly Workflow[];
  /** Loads a module that the document names, relative to it. */
  readonly importModule?: (specifier: string) => Promise<Readonly<Record<string, unknown>>>;
  /** Reads another document that a node runs, relative to this one. */
  readonly importWorkflow?: (specifier: string) => Promise<Workflow>;
}

// ---- agents

/** Those that nodes may call, by the names that they have here. */
export async function readAgents(shape: DocumentShape, options: DocumentOptions, place: Place): Promise<Map<string, Agent>> {
  const agents = new Map((options.agents ?? []).map((given) => [given.name, given]));
  for (const [name, written] of Object.entries(shape.agents ?? {})) {
    const path = ["agents", name];
    checkName(name, "agent name", place(path));
    if (isFromModule(written)) {
      const spec = checkPart(moduleAgent, written, path, place);
      agents.set(name, await exported({ what: "agent", code: "PAWL_UNKNOWN_AGENT", is: isAgent }, name, spec, options, (part) => place([...path, ...part])));
    } else agents.set(name, serviceAgent(name, checkPart(httpAgent, written, path, place), path, place));
  }
  return agents;
}

function serviceAgent(name: string, { http, input, output, breaker, ...options }: z.infer<typeof httpAgent>, path: FieldPath, place: Place): Agent {
  // checked here first, for the place of what is wrong
  if (breaker !== undefined) breakerOf(breaker, place([...path, "breaker"]));
  return agent({
    ...options,
    ...(breaker !== undefined && { breaker }),
    name,
    input: schemaOf(input, [...path, "input"], place),
    output: schemaOf(output, [...path, "output"], place),
    http: http as HttpService,
  });
}

function isAgent(value: unknown): value is Agent {
  return typeof value === "object" && value !== null && "work" in value && "policy" in value && "name" in value;
}

// ---- what modules export

interface Wanted<T> {
  readonly what: "agent" | "workflow";
  readonly code: "PAWL_UNKNOWN_AGENT" | "PAWL_DEFINITION_MISSING";
  readonly is: (value: unknown) => value is T;
}

function isFromModule(written: unknown): boolean {
  return typeof written === "object" && written !== null && "module" in written;
}

/** What a module exports under the name that it has in the document, or another. */
async function exported<T>(wanted: Wanted<T>, name: string, spec: z.infer<typeof moduleAgent>, { importModule }: DocumentOptions, place: Place): Promise<T> {
  const { what, code, is } = wanted;
  if (importModule === undefined) throw notLoaded(code, `${what} "${name}" is in a module, and modules`, "importModule", place([]));
  const exports = await importModule(spec.module).catch((error: unknown) => {
    throw new PawlError("PAWL_FILE_UNREADABLE", {
      message: `the module "${spec.module}" cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      at: place(["module"]),
      cause: error,
    });
  });
  const key = spec.export ?? name;
  const found = exports[key];
  if (is(found)) return found;
  throw new PawlError(code, {
    message: `the module "${spec.module}" exports no ${what} "${key}"${didYouMean(key, Object.keys(exports))}`,
    next: `export what ${what}() returns${what === "workflow" ? "; a machine is run by an agent: agent({ name, input, output, machine })" : ""}`,
    at: place([]),
  });
}

function notLoaded(code: Wanted<never>["code"], what: string, option: string, at: string): PawlError {
  return new PawlError(code, { message: `${what} are not loaded here`, next: `give it to parseWorkflow, or a function \`${option}\` that loads it`, at });
}

// ---- workflows

/** Reads a workflow that is written in the document; `trail` are those that it is a part of. */
type ReadInner = (name: string, shape: InnerShape, path: FieldPath, trail: readonly string[]) => Promise<Workflow>;

/** The workflows that nodes of a document may run; each is read when it is first asked for. */
export class KnownWorkflows {
  readonly #written: Readonly<Record<string, unknown>>;
  readonly #options: DocumentOptions;
  readonly #place: Place;
  readonly #readInner: ReadInner;
  readonly #found: Map<string, Workflow>;

  constructor(shape: DocumentShape, options: DocumentOptions, place: Place, readInner: ReadInner) {
    this.#written = shape.workflows ?? {};
    this.#options = options;
    this.#place = place;
    this.#readInner = readInner;
    const given = (options.workflows ?? []).filter(({ name }) => !Object.hasOwn(this.#written, name));
    this.#found = new Map(given.map((workflow) => [workflow.name, workflow]));
  }

  /** Those that are written here and that nobody has asked for are read, too: they may be wrong. */
  async readAll(): Promise<void> {
    for (const name of Object.keys(this.#written)) await this.get(name, this.#place(["workflows", name]), []);
  }

  /** `at` is where it is asked for, within the workflows of `trail`. */
  async get(name: string, at: string, trail: readonly string[]): Promise<Workflow> {
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const read = await this.#read(name, at, trail);
    this.#found.set(name, read);
    return read;
  }

  async #read(name: string, at: string, trail: readonly string[]): Promise<Workflow> {
    if (trail.includes(name))
      throw new PawlError("PAWL_DEFINITION_CYCLE", {
        message: `workflows run each other in a circle: ${[...trail.slice(trail.indexOf(name)), name].join(" → ")}`,
        next: "let one of them repeat an agent or another workflow instead: repeat: { max, until, next }",
        at,
      });
    if (Object.hasOwn(this.#written, name)) return this.#readWritten(name, this.#written[name], [...trail, name]);
    const { importWorkflow } = this.#options;
    if (isDocumentFile(name)) {
      if (importWorkflow === undefined) throw notLoaded("PAWL_DEFINITION_MISSING", `workflow "${name}" is in a file, and files`, "importWorkflow", at);
      return importWorkflow(name);
    }
    const names = [...new Set([...Object.keys(this.#written), ...this.#found.keys()])];
    throw new PawlError("PAWL_DEFINITION_MISSING", {
      message: `no workflow "${name}"${didYouMean(name, names)}   workflows: ${names.join(", ") || "none"}`,
      next: "write it under `workflows`, name the file of a document such as ./other.yaml, or give it to parseWorkflow",
      at,
    });
  }

  async #readWritten(name: string, written: unknown, trail: readonly string[]): Promise<Workflow> {
    const path = ["workflows", name];
    const place: Place = (part) => this.#place([...path, ...part]);
    checkName(name, "workflow name", place([]));
    if (!isFromModule(written)) return this.#readInner(name, checkPart(innerShape, written, path, this.#place), path, trail);
    const spec = checkPart(moduleWorkflow, written, path, this.#place);
    return exported({ what: "workflow", code: "PAWL_DEFINITION_MISSING", is: isWorkflow }, name, spec, this.#options, place);
  }
}

function isWorkflow(value: unknown): value is Workflow {
  return typeof value === "object" && value !== null && "plan" in value && "name" in value;
}
