/**
 * What the nodes of a document name: agents and workflows, from the program, from modules, from services, from other
 * documents, or written in the document itself.
 */
import type { z } from "zod";
import { PawlError } from "../errors.ts";
import { type Agent, type HttpService, agent } from "./agent.ts";
import { checkPart } from "./document-check.ts";
import { schemaOf } from "./document-schema.ts";
import { type DocumentShape, type InnerShape, type httpAgent, innerShape, isDocumentFile, moduleWorkflow } from "./document-shape.ts";
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

type Exports = Readonly<Record<string, unknown>>;

/** Optional fields that are absent rather than undefined. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never;
}

// ---- agents

/** Those that nodes may call, by the names that they have here. */
export async function readAgents(shape: DocumentShape, options: DocumentOptions, place: Place): Promise<Map<string, Agent>> {
  const agents = new Map((options.agents ?? []).map((given) => [given.name, given]));
  for (const [name, spec] of Object.entries(shape.agents ?? {})) {
    const at: Place = (path) => place(["agents", name, ...path]);
    checkName(name, "agent name", at([]));
    agents.set(name, "module" in spec ? await loadAgent(name, spec, options, at) : serviceAgent(name, spec, at));
  }
  return agents;
}

function serviceAgent(name: string, spec: z.infer<typeof httpAgent>, at: Place): Agent {
  return agent({
    ...defined({ timeout: spec.timeout, retry: spec.retry && defined(spec.retry) }),
    name,
    input: schemaOf(spec.input, at, ["input"]),
    output: schemaOf(spec.output, at, ["output"]),
    http: defined(spec.http) as HttpService,
  });
}

async function loadAgent(name: string, spec: { module: string; export?: string | undefined }, options: DocumentOptions, at: Place): Promise<Agent> {
  const wanted = spec.export ?? name;
  const exports = await load(spec.module, options.importModule, () => missing("PAWL_UNKNOWN_AGENT", `agent "${name}"`, "modules", "importModule", at([])), at);
  const found = exports[wanted];
  if (isAgent(found)) return found;
  throw new PawlError("PAWL_UNKNOWN_AGENT", {
    message: `the module "${spec.module}" exports no agent "${wanted}";${didYouMean(wanted, Object.keys(exports))}`,
    at: at([]),
  });
}

async function load(specifier: string, importModule: DocumentOptions["importModule"], refusal: () => PawlError, at: Place): Promise<Exports> {
  if (importModule === undefined) throw refusal();
  try {
    return await importModule(specifier);
  } catch (error) {
    throw new PawlError("PAWL_FILE_UNREADABLE", {
      message: `the module "${specifier}" cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      at: at(["module"]),
      cause: error,
    });
  }
}

function missing(code: "PAWL_UNKNOWN_AGENT" | "PAWL_DEFINITION_MISSING", what: string, where: string, option: string, at: string): PawlError {
  const next = `give it to parseWorkflow, or a function \`${option}\` that loads it`;
  return new PawlError(code, { message: `${what} is in ${where === "modules" ? "a module" : "a file"}, and ${where} are not loaded here`, next, at });
}

function isAgent(value: unknown): value is Agent {
  return typeof value === "object" && value !== null && "work" in value && "policy" in value && "name" in value;
}

export function findAgent(name: string, agents: ReadonlyMap<string, Agent>, at: Place): Agent {
  const found = agents.get(name);
  if (found !== undefined) return found;
  throw new PawlError("PAWL_UNKNOWN_AGENT", {
    message: `no agent "${name}";${didYouMean(name, agents.keys())}   agents: ${[...agents.keys()].join(", ") || "none"}`,
    at: at(["agent"]),
  });
}

// ---- workflows

/** Reads a workflow that is written in the document; `trail` are those that it is a part of. */
type ReadInner = (name: string, shape: InnerShape, path: FieldPath, trail: readonly string[]) => Promise<Workflow>;

/** The workflows that nodes of a document may run; each is read when it is first asked for. */
export class KnownWorkflows {
  readonly #shape: DocumentShape;
  readonly #options: DocumentOptions;
  readonly #place: Place;
  readonly #readInner: ReadInner;
  readonly #found = new Map<string, Workflow>();

  constructor(shape: DocumentShape, options: DocumentOptions, place: Place, readInner: ReadInner) {
    this.#shape = shape;
    this.#options = options;
    this.#place = place;
    this.#readInner = readInner;
    for (const workflow of options.workflows ?? []) this.#found.set(workflow.name, workflow);
    for (const name of this.#written) this.#found.delete(name);
  }

  get #written(): string[] {
    return Object.keys(this.#shape.workflows ?? {});
  }

  /** Those that are written here and that nobody has asked for are read, too: they may be wrong. */
  async readAll(): Promise<void> {
    for (const name of this.#written) await this.get(name, this.#place(["workflows", name]), []);
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
    const written = Object.hasOwn(this.#shape.workflows ?? {}, name) ? this.#shape.workflows![name] : undefined;
    if (written !== undefined) return this.#readWritten(name, written, trail);
    if (isDocumentFile(name)) return this.#readFile(name, at);
    const names = [...new Set([...this.#written, ...this.#found.keys()])];
    throw new PawlError("PAWL_DEFINITION_MISSING", {
      message: `no workflow "${name}";${didYouMean(name, names)}   workflows: ${names.join(", ") || "none"}`,
      next: "write it under `workflows`, name the file of a document such as ./other.yaml, or give it to parseWorkflow",
      at,
    });
  }

  async #readWritten(name: string, written: unknown, trail: readonly string[]): Promise<Workflow> {
    const path = ["workflows", name];
    const at: Place = (rest) => this.#place([...path, ...rest]);
    checkName(name, "workflow name", at([]));
    if (typeof written !== "object" || written === null || !("module" in written))
      return this.#readInner(name, checkPart(innerShape, written, path, this.#place), path, [...trail, name]);
    const spec = checkPart(moduleWorkflow, written, path, this.#place);
    const refusal = (): PawlError => missing("PAWL_DEFINITION_MISSING", `workflow "${name}"`, "modules", "importModule", at([]));
    const exports = await load(spec.module, this.#options.importModule, refusal, at);
    const wanted = spec.export ?? name;
    const found = exports[wanted];
    if (isWorkflow(found)) return found;
    throw new PawlError("PAWL_DEFINITION_MISSING", {
      message: `the module "${spec.module}" exports no workflow "${wanted}";${didYouMean(wanted, Object.keys(exports))}`,
      next: "export what workflow() returns; a machine is run by an agent: agent({ name, input, output, machine })",
      at: at([]),
    });
  }

  async #readFile(file: string, at: string): Promise<Workflow> {
    const { importWorkflow } = this.#options;
    if (importWorkflow === undefined) throw missing("PAWL_DEFINITION_MISSING", `workflow "${file}"`, "files", "importWorkflow", at);
    return importWorkflow(file);
  }
}

function isWorkflow(value: unknown): value is Workflow {
  return typeof value === "object" && value !== null && "plan" in value && "name" in value;
}
