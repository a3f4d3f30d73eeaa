/**
 * The JSON Schema of documents and what reads them say the same: documents made from every key of the one are read by the
 * other; a key too many is refused by both, and one too few by both or none. So the one never promises what the other does not take.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import type { Agent } from "../../src/define/agent.ts";
import { NODE_SHAPES, documentShape, httpAgent, innerShape, moduleAgent, moduleWorkflow } from "../../src/define/document-shape.ts";
import { documentSchema, parseWorkflow } from "../../src/define/parse.ts";
import type { Workflow } from "../../src/define/workflow.ts";
import { isPawlError } from "../../src/errors.ts";
import { cases } from "../sim/cases.ts";
import { anyAgent, anyWorkflow } from "../sim/machine-room.ts";

/** As much of JSON Schema as is used. */
interface Part {
  readonly $ref?: string;
  readonly anyOf?: readonly Part[];
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Part;
  readonly properties?: Readonly<Record<string, Part>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Part | false;
}

type Json = Record<string, unknown>;
type Schema = Part & { readonly $defs: Readonly<Record<string, Part>> };

const schema = (await documentSchema()) as Schema;
const editor = z.fromJSONSchema(schema as never);
const echo: Agent = { ...anyAgent("echo", (input) => input), healthCheck: () => ({ status: "HEALTHY" }) };
const other = anyWorkflow("other", (wf) => wf.input);

async function read(text: string): Promise<Workflow> {
  const either = { ...echo, ...other } as Agent & Workflow;
  return parseWorkflow(text, {
    file: "flow.json",
    agents: [echo],
    workflows: [other],
    importModule: async () => new Proxy({}, { get: (_, name) => (name === "then" ? undefined : either) }),
  });
}

test("every document that the schema's keys give is read, and only those", async () => {
  const used = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (draw) => {
      const made = new Documents(draw, used);
      const document = made.document();
      // a JSON Schema cannot say briefly that there must be something to wait for
      for (const { data } of made.records) {
        if ("queueTimeout" in data) data["concurrency"] = 1;
        // nor that a run of another workflow has no check of its own
        if (data["healthCheck"] === true && ("workflow" in data || "resultOf" in data)) data["healthCheck"] = "link";
      }
      const text = JSON.stringify(document, null, 1);
      await read(text).catch((error: unknown) => expect.unreachable(`${String(error)}\n${text}`));
      expect(editor.safeParse(document).success, text).toBe(true);
      await refusedByBoth(
        document,
        draw(() => fc.constantFrom(...made.records)),
      );
    }),
    { ...cases({ short: 150, long: 5_000 }), endOnFailure: true },
  );
  const keys = allRecords().flatMap(({ properties = {} }) => Object.keys(properties));
  expect(keys.filter((key) => !used.has(key))).toEqual([]);
}, 600_000);

/** With a key that nobody knows; without one that it must have they agree, since a map without its list is a call. */
async function refusedByBoth(document: Json, { data, part }: Written): Promise<void> {
  data["unheard-of"] = 1;
  const text = JSON.stringify(document, null, 1);
  const line = text.split("\n").findIndex((written) => written.includes('"unheard-of"')) + 1;
  expect(editor.safeParse(document).success, text).toBe(false);
  const refused = await read(text).catch((error: unknown) => error);
  expect(isPawlError(refused, "PAWL_INVALID_VALUE") && { message: refused.message, line: refused.at?.split(":")[1] }, text).toMatchObject({
    message: expect.stringContaining('unknown field "unheard-of"') as string,
    line: String(line),
  });
  delete data["unheard-of"];
  const [needed] = part.required ?? [];
  if (needed === undefined) return;
  delete data[needed];
  const isRead = await read(JSON.stringify(document)).then(
    () => true,
    () => false,
  );
  expect(isRead, JSON.stringify(document)).toBe(editor.safeParse(document).success);
}

test("every key that is read is in the schema", () => {
  const known = (...parts: readonly Part[]): string[] => [...new Set(parts.flatMap(({ properties = {} }) => Object.keys(properties)))].sort();
  const keys = (shape: z.ZodObject): string[] => Object.keys(shape.shape).sort();
  for (const [kind, shape] of Object.entries(NODE_SHAPES)) {
    const parts = [kind, `agent-${kind}`, `workflow-${kind}`].flatMap((id) => schema.$defs[id] ?? []);
    expect(known(...parts), kind).toEqual(keys(shape));
  }
  expect(known(schema)).toEqual(keys(documentShape));
  expect(known(schema.$defs["workflow"]!)).toEqual(keys(innerShape));
  const having = (key: string, description: string): string[] =>
    known(...allRecords().filter((part) => part.properties?.[key] !== undefined && JSON.stringify(part).includes(description)));
  expect(having("module", "An agent that")).toEqual(keys(moduleAgent));
  expect(having("module", "A workflow that")).toEqual(keys(moduleWorkflow));
  expect(having("http", "A service")).toEqual(keys(httpAgent));
  expect(having("maxAttempts", "When and how often")).toEqual(keys(httpAgent.shape.retry.unwrap()));
});

/** All parts of the schema that are records of named fields. */
function allRecords(): Part[] {
  const found: Part[] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return;
    if ("properties" in part && "additionalProperties" in part) found.push(part as Part);
    for (const inner of Object.values(part)) visit(inner);
  };
  visit(schema);
  return found;
}

// ---- documents at random

interface Written {
  readonly data: Json;
  readonly part: Part;
}

/** A document does not grow for ever. */
const NAMES_MAX = 25;
const DATA = [null, 5, "plain", "about ${input.topic}", { list: ["${input.list[0]}", { deep: true }] }, "$${escaped}"];
const JSON_SCHEMAS = [{}, { type: "string" }, { type: "object", properties: { n: { type: "number" } }, required: ["n"] }];

/** What names other parts of its record comes after them. */
const NAMING: ReadonlySet<string> = new Set(["onWarn", "stages"]);

class Documents {
  /** Where there are named fields and no others. */
  readonly records: Written[] = [];
  readonly #draw: fc.GeneratorValue;
  readonly #used: Set<string>;
  #names = 0;

  /** Keys that it uses are added to `used`. */
  constructor(draw: fc.GeneratorValue, used: Set<string>) {
    this.#draw = draw;
    this.#used = used;
  }

  document(): Json {
    return this.#value(schema, "") as Json;
  }

  #value(part: Part, key: string): unknown {
    if (part.$ref !== undefined) return this.#value(schema.$defs[part.$ref.split("/").at(-1)!]!, key);
    if (part.anyOf !== undefined) return this.#value(this.#pick(part.anyOf), key);
    if (part.enum !== undefined) return this.#pick(part.enum);
    if (part.const !== undefined) return part.const;
    if (part.properties !== undefined) return this.#record(part, part.properties);
    if (part.additionalProperties !== undefined) return this.#named(part, key);
    if (part.items !== undefined) return key === "after" ? [] : [this.#value(part.items, "")];
    // less than every timeout
    if (key === "warnAfter") return 0.5;
    if (part.type === "number" || part.type === "integer") return Math.min((part.minimum ?? 1) + this.#number(3), part.maximum ?? Infinity);
    return part.type === "string" ? this.#text(part, key) : this.#pick(DATA);
  }

  #record(part: Part, properties: Readonly<Record<string, Part>>): Json {
    const isWanted = (key: string): boolean => part.required?.includes(key) === true || (this.#names < NAMES_MAX && this.#number(2) > 0);
    // agents that take over do not follow each other for ever
    const isChain = properties["use"] !== undefined && this.#number(9) > 2;
    const wanted = Object.keys(properties).filter((key) => isWanted(key) && !(key === "onFail" && isChain));
    const data: Json = {};
    for (const key of wanted.toSorted((a, b) => Number(NAMING.has(a)) - Number(NAMING.has(b)))) {
      this.#used.add(key);
      if (key === "onWarn") data[key] = this.#warnings(data);
      else data[key] = key === "stages" ? this.#stages(properties[key]!, data) : this.#value(properties[key]!, key);
    }
    this.records.push({ data, part });
    return data;
  }

  /** Names of actions that are there, of what has a warning. */
  #warnings({ warnAfter, recovery = {} }: Json): string[] {
    return warnAfter === undefined ? [] : Object.keys(recovery as Json);
  }

  /** Limits of stages that nodes are of. */
  #stages({ additionalProperties: inner }: Part, { nodes = {} }: Json): Json {
    const names = Object.values(nodes as Record<string, Json>).flatMap(({ stage }) => (typeof stage === "string" ? [stage] : []));
    return Object.fromEntries(names.map((name) => [name, this.#value(inner as Part, "")]));
  }

  /** Parts by names of their own; a JSON Schema when anything may stand there. */
  #named({ additionalProperties: inner }: Part, key: string): unknown {
    if (typeof inner === "object" && Object.keys(inner).length === 0) return this.#pick(JSON_SCHEMAS);
    const count = this.#names < NAMES_MAX ? this.#number(2) : 0;
    return Object.fromEntries(Array.from({ length: count }, () => [`n${this.#names++}`, this.#value(inner as Part, key)]));
  }

  #text({ pattern = "" }: Part, key: string): string {
    if (key === "agent" || key === "use" || key === "compensate" || key === "recovery") return "echo";
    if (key === "workflow") return "other";
    if (pattern.includes("ms|s|m")) return this.#pick(["500ms", "1.5s", "2d"]);
    return pattern.includes("\\$") ? this.#pick(["${input}", "${input.list[0].text}"]) : `text-${this.#names++}`;
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#number(values.length - 1)]!;
  }

  #number(max: number): number {
    return this.#draw(fc.nat, { max });
  }
}
