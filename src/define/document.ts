/**
 * Workflows from YAML or JSON: the same plan as from TypeScript, with line and column in every error.
 * JSON is read by the YAML reader, of which it is a part. No aliases, no custom tags, a bound on the size.
 */
import { LineCounter, type Document, type Node as YamlNode, isNode, parseDocument } from "yaml";
import { z } from "zod";
import { PawlError } from "../errors.ts";
import { type Agent, type HttpService, agent } from "./agent.ts";
import { type Duration, durationMs } from "./duration.ts";
import { didYouMean } from "./name.ts";
import type { NodeDefinition } from "./node-definition.ts";
import { makePlan } from "./plan.ts";
import type { Schema } from "./schema.ts";
import type { FieldPath, Place } from "./template.ts";
import { RUN_TIMEOUT_DEFAULT, type Workflow } from "./workflow.ts";

/** What a document needs from outside. */
export interface DocumentOptions {
  /** The file's name, for errors. */
  readonly file?: string;
  /** Agents that nodes may name, beside those that the document defines. */
  readonly agents?: readonly Agent[];
  /** Loads a module that the document names, relative to it. */
  readonly importModule?: (specifier: string) => Promise<Readonly<Record<string, unknown>>>;
}

/** A larger document is data, not a definition. */
const DOCUMENT_LENGTH_MAX = 16_777_216;

const duration = z.union([z.number(), z.string()]) as z.ZodType<Duration>;
const retry = z.strictObject({
  maxAttempts: z.number().optional(),
  initialInterval: duration.optional(),
  backoffCoefficient: z.number().optional(),
  maxInterval: duration.optional(),
  jitter: z.enum(["full", "none"]).optional(),
  nonRetryable: z.array(z.string()).optional(),
});
const jsonSchema = z.record(z.string(), z.unknown());
const httpAgent = z.strictObject({
  http: z.strictObject({
    url: z.union([z.string(), z.strictObject({ env: z.string(), default: z.string().optional() })]),
    headers: z.record(z.string(), z.string()).optional(),
  }),
  input: jsonSchema.optional(),
  output: jsonSchema.optional(),
  timeout: duration.optional(),
  retry: retry.optional(),
});
const moduleAgent = z.strictObject({ module: z.string(), export: z.string().optional() });
const documentShape = z.strictObject({
  name: z.string(),
  description: z.string().optional(),
  input: jsonSchema.optional(),
  timeout: duration.optional(),
  onTimeout: z.enum(["partial", "abort"]).optional(),
  agents: z.record(z.string(), z.union([moduleAgent, httpAgent])).optional(),
  nodes: z.record(
    z.string(),
    z.strictObject({
      agent: z.string(),
      input: z.unknown().optional(),
      after: z.array(z.string()).optional(),
      onFail: z.enum(["block", "skip"]).optional(),
      timeout: duration.optional(),
      retry: retry.optional(),
    }),
  ),
  output: z.unknown().optional(),
});
type Shape = z.infer<typeof documentShape>;

/** Reads a document. Throws a PawlError with its place for anything that is wrong with it. */
export async function readDocument(text: string, options: DocumentOptions): Promise<Workflow> {
  if (text.length > DOCUMENT_LENGTH_MAX)
    throw new PawlError("PAWL_VALUE_TOO_LARGE", { message: `the document has ${text.length} characters; ${DOCUMENT_LENGTH_MAX} are allowed` });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, maxAliasCount: 0, strict: true, uniqueKeys: true } as never) as Document;
  const place = placeIn(document, lines, options.file ?? "document");
  const [syntax] = document.errors;
  if (syntax !== undefined) throw syntaxError(syntax, options.file ?? "document");
  const shape = checkShape(toData(document, place), place);
  const agents = await readAgents(shape, options, place);
  const nodes = Object.entries(shape.nodes).map(([id, node]): NodeDefinition => {
    const at: Place = (path) => place(["nodes", id, ...path]);
    return { ...defined(node), id, agent: findAgent(node.agent, agents, at), input: node.input ?? {}, place: at };
  });
  const plan = makePlan({
    name: shape.name,
    ...(shape.input !== undefined && { input: schemaOf(shape.input, place, ["input"]) }),
    nodes,
    output: shape.output ?? {},
    timeoutMs: durationMs(shape.timeout ?? RUN_TIMEOUT_DEFAULT, "timeout", place(["timeout"])),
    onTimeout: shape.onTimeout ?? "partial",
    place,
  });
  return Object.freeze({ name: plan.name, plan });
}

/** Optional fields that are absent rather than undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never;
}

/** `file:line:column` of the nearest part that is written there. */
function placeIn(document: Document, lines: LineCounter, file: string): Place {
  return (path) => {
    for (let length = path.length; length >= 0; length--) {
      const found: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      const offset = isNode(found) ? (found as YamlNode).range?.[0] : undefined;
      if (offset === undefined) continue;
      const { line, col } = lines.linePos(offset);
      return `${file}:${line}:${col}`;
    }
    return file;
  };
}

function syntaxError(error: { code: string; message: string; linePos?: [{ line: number; col: number }, ...unknown[]] | undefined }, file: string): PawlError {
  const at = error.linePos === undefined ? file : `${file}:${error.linePos[0].line}:${error.linePos[0].col}`;
  const [message] = error.message.split(" at line ");
  return new PawlError(error.code === "DUPLICATE_KEY" ? "PAWL_DUPLICATE_ID" : "PAWL_DOCUMENT_SYNTAX", { message: message!, at });
}

function toData(document: Document, place: Place): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw new PawlError("PAWL_DOCUMENT_SYNTAX", { message: "aliases are not allowed", at: place([]), cause: error });
  }
}

function checkShape(data: unknown, place: Place): Shape {
  const checked = documentShape.safeParse(data);
  if (checked.success) return checked.data;
  const issue = deepest(checked.error.issues[0]!);
  const path = issue.path as FieldPath;
  const at = place(path);
  if (issue.code === "invalid_type" && valueAt(data, path) === undefined) {
    throw new PawlError("PAWL_MISSING_FIELD", { message: `${path.join(".") || "the document"} is missing (${issue.message})`, at });
  }
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    const place_ = place([...path, key!]);
    throw new PawlError("PAWL_INVALID_VALUE", { message: `unknown field "${key}";${didYouMean(key!, KNOWN_FIELDS)}`, at: place_ });
  }
  throw new PawlError("PAWL_INVALID_VALUE", { message: `${path.join(".") || "the document"}: ${issue.message}`, at });
}

const KNOWN_FIELDS = [
  "name",
  "description",
  "input",
  "timeout",
  "onTimeout",
  "agents",
  "nodes",
  "output",
  "agent",
  "after",
  "onFail",
  "retry",
  "http",
  "module",
  "export",
  "url",
  "headers",
  "maxAttempts",
  "initialInterval",
  "backoffCoefficient",
  "maxInterval",
  "jitter",
  "nonRetryable",
];

/** Of the alternatives of a union, what is wrong with the one that came nearest. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const nearest = issue.errors.flat().toSorted((a, b) => b.path.length - a.path.length)[0];
  return nearest === undefined ? issue : deepest({ ...nearest, path: [...issue.path, ...nearest.path] });
}

function valueAt(data: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[step] : undefined),
    data,
  );
}

async function readAgents(shape: Shape, options: DocumentOptions, place: Place): Promise<Map<string, Agent>> {
  const agents = new Map((options.agents ?? []).map((given) => [given.name, given]));
  for (const [name, spec] of Object.entries(shape.agents ?? {})) {
    const at: Place = (path) => place(["agents", name, ...path]);
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

async function loadAgent(name: string, spec: z.infer<typeof moduleAgent>, options: DocumentOptions, at: Place): Promise<Agent> {
  const wanted = spec.export ?? name;
  if (options.importModule === undefined)
    throw new PawlError("PAWL_UNKNOWN_AGENT", { message: `agent "${name}" is in a module, and modules are not loaded here`, at: at([]) });
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = await options.importModule(spec.module);
  } catch (error) {
    throw new PawlError("PAWL_FILE_UNREADABLE", {
      message: `the module "${spec.module}" cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      at: at(["module"]),
      cause: error,
    });
  }
  const found = exports[wanted];
  if (isAgent(found)) return found;
  throw new PawlError("PAWL_UNKNOWN_AGENT", {
    message: `the module "${spec.module}" exports no agent "${wanted}";${didYouMean(wanted, Object.keys(exports))}`,
    at: at([]),
  });
}

function isAgent(value: unknown): value is Agent {
  return typeof value === "object" && value !== null && "work" in value && "policy" in value && "name" in value;
}

function findAgent(name: string, agents: ReadonlyMap<string, Agent>, at: Place): Agent {
  const found = agents.get(name);
  if (found !== undefined) return found;
  throw new PawlError("PAWL_UNKNOWN_AGENT", {
    message: `no agent "${name}";${didYouMean(name, agents.keys())}   agents: ${[...agents.keys()].join(", ") || "none"}`,
    at: at(["agent"]),
  });
}

/** A zod schema from JSON Schema; anything goes where there is none. */
function schemaOf(json: Readonly<Record<string, unknown>> | undefined, place: Place, path: FieldPath): Schema {
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
