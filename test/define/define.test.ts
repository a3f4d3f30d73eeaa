/**
 * Definitions: what is accepted, what is refused, and what the refusal says.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent } from "../../src/define/agent.ts";
import { canonicalJson } from "../../src/define/canonical.ts";
import { durationMs } from "../../src/define/duration.ts";
import { parseWorkflow } from "../../src/define/parse.ts";
import { planChanges } from "../../src/define/plan-structure.ts";
import { planOfStructure } from "../../src/define/stored-plan.ts";
import { followPath, resolveTemplate } from "../../src/define/template.ts";
import { type Workflow, workflow } from "../../src/define/workflow.ts";
import { cases } from "../sim/cases.ts";
import { anyAgent, anyWorkflow } from "../sim/machine-room.ts";

const echo = anyAgent("echo", (input) => input);
const codeOf = (code: string, message = ""): unknown => expect.objectContaining({ code, message: expect.stringContaining(message) });

describe("a definition in TypeScript", () => {
  test("nodes that are tried alike share one policy, so that a turn of their charts is computed once", () => {
    const { plan } = anyWorkflow("flow", (wf) => {
      const own = (timeout: string, use = echo): object => ({ timeout, retry: { maxAttempts: 4 }, onFail: { use, onFail: "skip" } });
      for (const id of ["a", "b"]) wf.node(id, echo, {}, own("30s"));
      wf.node("c", echo, {}, own("31s"));
      wf.node(
        "d",
        echo,
        {},
        own(
          "30s",
          anyAgent("other", () => 1, { timeout: "7s" }),
        ),
      );
      for (const id of ["e", "f"]) wf.node(id, echo, {});
    });
    const [a, b, c, d, e, f] = plan.nodes.map(({ policy }) => policy);
    expect(b).toBe(a);
    expect([c!.timeoutMs, d!.timeoutMs, d!.alternative!.timeoutMs]).toEqual([31_000, 30_000, 7_000]);
    expect(new Set([a, c, d, e]).size).toBe(4);
    expect([e, f]).toEqual([echo.policy, echo.policy]);
    expect(f).toBe(e);
  });

  test("using a result is the dependency; `after` is one without", () => {
    const { plan } = anyWorkflow("flow", (wf) => {
      const a = wf.node("a", echo, {});
      const b = wf.node("b", echo, { deep: [{ text: `x ${a.result.y}` }] });
      wf.node("c", echo, wf.input, { after: [a, b] });
      return b.result;
    });
    expect(plan.nodes.map(({ dependencies, reads }) => ({ dependencies, reads }))).toEqual([
      { dependencies: [], reads: [] },
      { dependencies: [0], reads: [0] },
      { dependencies: [0, 1], reads: [] },
    ]);
    expect(plan.dependents).toEqual([[1, 2], [2], []]);
    expect(plan.outputReads).toEqual([1]);
  });

  test.each([
    ["compared", (ref: any) => ref.n > 3],
    ["added", (ref: any) => ref.n + 1],
    ["spread as a list", (ref: any) => [...ref.list]],
    ["spread as an object", (ref: any) => ({ ...ref })],
    ["searched", (ref: any) => "x" in ref],
    ["assigned to", (ref: any) => Object.assign(ref, { x: 1 })],
  ])("a reference that is %s says what to do instead", (_, use) => {
    expect(() => anyWorkflow("flow", (wf) => use(wf.node("a", echo, {}).result))).toThrow(
      expect.objectContaining({ code: "PAWL_REFERENCE_MISUSE", message: expect.stringContaining("${a.result"), next: expect.stringContaining("run()") }),
    );
  });

  test.each([
    ["two nodes of one name", (wf: any) => (wf.node("a", echo, {}), wf.node("a", echo, {})), "PAWL_DUPLICATE_ID", '"a"'],
    ["a name with a space", (wf: any) => wf.node("a b", echo, {}), "PAWL_INVALID_ID", '"a b"'],
    ["a reserved name", (wf: any) => wf.node("__proto__", echo, {}), "PAWL_INVALID_ID", "reserved"],
    ["an empty name", (wf: any) => wf.node("", echo, {}), "PAWL_INVALID_ID", '""'],
    ["too long a name", (wf: any) => wf.node("x".repeat(129), echo, {}), "PAWL_INVALID_ID", "not allowed"],
    ["a reference in text to no node", (wf: any) => wf.node("a", echo, { q: "${docs.result.x}" }), "PAWL_UNKNOWN_REFERENCE", 'no node "docs"'],
    [
      "a reference that is near to a node",
      (wf: any) => (wf.node("docs", echo, {}), wf.node("a", echo, { q: "${doc.result}" })),
      "PAWL_UNKNOWN_REFERENCE",
      'did you mean "docs"?',
    ],
    [
      "a reference without .result",
      (wf: any) => (wf.node("docs", echo, {}), wf.node("a", echo, { q: "${docs.notes}" })),
      "PAWL_UNKNOWN_REFERENCE",
      "lacks .result",
    ],
    ["an expression", (wf: any) => (wf.node("docs", echo, {}), wf.node("a", echo, { q: "${docs.result.n + 1}" })), "PAWL_UNKNOWN_REFERENCE", "not a path"],
    ["an open reference", (wf: any) => wf.node("a", echo, { q: "${docs.result" }), "PAWL_UNKNOWN_REFERENCE", "not closed"],
    ["a node that waits for itself", (wf: any) => wf.node("a", echo, { q: "${a.result}" }), "PAWL_DEFINITION_CYCLE", "a → a"],
    ["a timeout that is none", (wf: any) => wf.node("a", echo, {}, { timeout: -1 }), "PAWL_INVALID_VALUE", "timeout"],
    ["a retry of nothing", (wf: any) => wf.node("a", echo, {}, { retry: { maxAttempts: 0 } }), "PAWL_INVALID_VALUE", "maxAttempts"],
    ["an unknown strategy", (wf: any) => wf.node("a", echo, {}, { onFail: "explode" }), "PAWL_INVALID_VALUE", "'block', 'skip'"],
  ])("%s is refused with its place", (_, define, code, message) => {
    expect(() => anyWorkflow("flow", define)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message), at: expect.stringContaining('workflow "flow"') }),
    );
  });

  test("an agent without a schema or without work is refused", () => {
    expect(() => agent({ name: "x", input: z.any(), run: () => 1 } as never)).toThrow(codeOf("PAWL_MISSING_FIELD", "output"));
    expect(() => agent({ name: "x", input: z.any(), output: z.any() } as never)).toThrow(
      codeOf("PAWL_MISSING_FIELD", "none of run, isolate, http and machine"),
    );
    expect(() => agent({ name: "no good", input: z.any(), output: z.any(), run: () => 1 })).toThrow(codeOf("PAWL_INVALID_ID"));
  });
});

describe("references", () => {
  const planOf = (input: unknown, ids = ["a", "a.b", "NF.X_1-2"]): Workflow["plan"] =>
    anyWorkflow("flow", (wf) => {
      for (const id of ids) wf.node(id, echo, {});
      wf.node("reader", echo, input);
    }).plan;
  const fill = (input: unknown, results: Record<string, unknown> = {}, runInput: unknown = {}): unknown => {
    const plan = planOf(input);
    return resolveTemplate(plan.nodes.at(-1)!.input, ({ node, path }) => followPath(typeof node === "string" ? runInput : results[plan.nodes[node]!.id], path));
  };

  test("a whole value keeps its type; within text it becomes text; nothing is interpolated twice", () => {
    expect(fill("${a.result.n}", { a: { n: 5 } })).toBe(5);
    expect(fill("n=${a.result.n}; ${a.result.list}; ${a.result.none}", { a: { n: 5, list: [1, "x"] } })).toBe('n=5; [1,"x"]; ');
    expect(fill("${a.result}", { a: "${input.secret}" }, { secret: 1 })).toBe("${input.secret}");
    expect(fill("cost: $${price} and ${input.n}", {}, { n: 2 })).toBe("cost: ${price} and 2");
  });

  test("ids may hold dots and dashes; paths reach own properties only", () => {
    expect(fill("${NF.X_1-2.result.list[1].name}", { "NF.X_1-2": { list: [{}, { name: "found" }] } })).toBe("found");
    expect(fill("${a.b.result}", { a: "wrong", "a.b": "right" })).toBe("right");
    expect(fill('${a.result["odd key"]}', { a: { "odd key": 1 } })).toBe(1);
    for (const path of ["constructor", "__proto__", "toString", "length.x", "hasOwnProperty.call"])
      expect(fill(`\${a.result.${path}}`, { a: {} })).toBeUndefined();
  });

  test("a reference that can mean two nodes is refused", () => {
    expect(() => planOf("${a.result.result}", ["a", "a.result"])).toThrow(codeOf("PAWL_UNKNOWN_REFERENCE", "more than one"));
  });

  test("each reader gets a copy of literal data", () => {
    const plan = planOf({ list: [1] });
    const read = (): { list: number[] } => resolveTemplate(plan.nodes.at(-1)!.input, () => undefined) as { list: number[] };
    read().list.push(2);
    expect(read()).toEqual({ list: [1] });
  });

  test("text with references that were escaped comes out as it was written", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(fill(text.replaceAll("${", () => "$${"))).toBe(text);
      }),
      cases({ short: 500, long: 20_000 }),
    );
  });
});

describe("the structure of a plan", () => {
  test("has the same hash whatever the order of keys, retries and timeouts; another one for anything else", () => {
    const hashOf = (input: object, options: object = {}): string => anyWorkflow("flow", (wf) => wf.node("a", echo, input, options).result).plan.hash;
    expect(hashOf({ x: 1, y: 2 })).toBe(hashOf({ y: 2, x: 1 }, { timeout: "3s", retry: { maxAttempts: 9 } }));
    expect(hashOf({ x: 1 })).not.toBe(hashOf({ x: 2 }));
    expect(hashOf({ x: 1 })).not.toBe(hashOf({ x: 1 }, { onFail: "skip" }));
  });

  test("is enough to draw the graph again, and to say what changed", () => {
    const { plan } = anyWorkflow("flow", (wf) => wf.node("b", echo, { q: wf.node("a", echo, {}).result }, { onFail: "skip" }).result);
    const again = planOfStructure(plan.structureText);
    expect(again.hash).toBe(plan.hash);
    expect(again.nodes.map(({ id, dependencies }) => ({ id, dependencies }))).toEqual(plan.nodes.map(({ id, dependencies }) => ({ id, dependencies })));
    expect(planChanges(plan.structureText, again.structureText)).toEqual([]);
  });

  test("canonical text tells values apart and forgets the order of keys", () => {
    expect(canonicalJson({ b: [1, { d: 1, c: undefined }], a: null })).toBe('{"a":null,"b":[1,{"d":1}]}');
  });

  test.each([
    ["500ms", 500],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    [7, 7],
  ] as const)("the length %s is %d ms", (text, ms) => {
    expect(durationMs(text, "timeout")).toBe(ms);
  });

  test.each(["5", "5 s", "-5s", "1w", "", "s", 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e20, "9999999d"])("%j is no length of time", (text) => {
    expect(() => durationMs(text as never, "timeout")).toThrow(codeOf("PAWL_INVALID_VALUE", "timeout"));
  });
});

describe("a document", () => {
  const read = (text: string, agents = [echo]): Promise<Workflow> => parseWorkflow(text, { file: "flow.yaml", agents });

  test("gives the same plan as TypeScript, in YAML and in JSON", async () => {
    const ts = workflow({ name: "flow", input: z.any() }, (wf) => {
      const plan = wf.node("plan", echo, { topic: wf.input.topic });
      const web = wf.node("web", echo, { q: `about ${plan.result.q[0]}` }, { onFail: "skip", after: [plan] });
      return { notes: web.result.notes };
    });
    const yaml = await read(`
name: flow
nodes:
  plan: { agent: echo, input: { topic: "\${input.topic}" } }
  web:
    agent: echo
    input: { q: "about \${plan.result.q[0]}" }
    onFail: skip
    after: [plan]
output: { notes: "\${web.result.notes}" }
`);
    const json = await read(
      JSON.stringify({
        name: "flow",
        nodes: {
          plan: { agent: "echo", input: { topic: "${input.topic}" } },
          web: { agent: "echo", input: { q: "about ${plan.result.q[0]}" }, onFail: "skip", after: ["plan"] },
        },
        output: { notes: "${web.result.notes}" },
      }),
    );
    expect(yaml.plan.hash).toBe(ts.plan.hash);
    expect(json.plan.hash).toBe(ts.plan.hash);
  });

  test.each([
    [
      "an unknown reference",
      'name: f\nnodes:\n  plan: { agent: echo }\n  docs:\n    agent: echo\n    input:\n      q: "${doc.result.n}"',
      "PAWL_UNKNOWN_REFERENCE",
      "flow.yaml:7:10",
      'did you mean "docs"?',
    ],
    ["a reference in the output", 'name: f\nnodes: {}\noutput:\n  x: "${a.result}"', "PAWL_UNKNOWN_REFERENCE", "flow.yaml:4:6", 'no node "a"'],
    ["an unknown name in after", "name: f\nnodes:\n  a: { agent: echo, after: [b] }", "PAWL_UNKNOWN_REFERENCE", "flow.yaml:3:29", 'no node "b"'],
    ["an unknown agent", "name: f\nnodes:\n  a: { agent: ecko }", "PAWL_UNKNOWN_AGENT", "flow.yaml:3:15", 'did you mean "echo"?'],
    [
      "a cycle",
      'name: f\nnodes:\n  a: { agent: echo, after: [c] }\n  b: { agent: echo, input: "${a.result}" }\n  c: { agent: echo, input: "${b.result}" }',
      "PAWL_DEFINITION_CYCLE",
      "flow.yaml:3:6",
      "a → c → b → a",
    ],
    ["a node twice", "name: f\nnodes:\n  a: { agent: echo }\n  a: { agent: echo }", "PAWL_DUPLICATE_ID", "flow.yaml:4:3", ""],
    ["a missing name", "nodes: {}", "PAWL_MISSING_FIELD", "flow.yaml:1:1", "name"],
    ["a missing agent", "name: f\nnodes:\n  a: {}", "PAWL_MISSING_FIELD", "flow.yaml:3:6", "agent"],
    ["an unknown field", "name: f\nnodes:\n  a: { agent: echo, onfail: skip }", "PAWL_INVALID_VALUE", "flow.yaml:3:29", 'did you mean "onFail"?'],
    ["a wrong value", "name: f\nnodes:\n  a: { agent: echo, onFail: explode }", "PAWL_INVALID_VALUE", "flow.yaml:3:29", "onFail"],
    ["a reserved node", "name: f\nnodes:\n  constructor: { agent: echo }", "PAWL_INVALID_ID", "flow.yaml:3:16", "reserved"],
    ["a timeout that is none", "name: f\ntimeout: 5 apples\nnodes: {}", "PAWL_INVALID_VALUE", "flow.yaml:2:10", "5 apples"],
    ["broken syntax", "name: [", "PAWL_DOCUMENT_SYNTAX", "flow.yaml:1:8", ""],
    ["broken JSON", '{"name": "f", "nodes": {', "PAWL_DOCUMENT_SYNTAX", "flow.yaml:1:", ""],
    ["aliases", "name: f\na: &x 1\nnodes: *x", "PAWL_DOCUMENT_SYNTAX", "flow.yaml:1:1", "aliases"],
    ["a module without a loader", "name: f\nagents:\n  a: { module: ./x.ts }\nnodes: {}", "PAWL_UNKNOWN_AGENT", "flow.yaml:3:6", "modules are not loaded"],
    ["a schema that is none", "name: f\ninput: { type: nonsense }\nnodes: {}", "PAWL_INVALID_VALUE", "flow.yaml:2:8", "JSON Schema"],
  ])("%s is refused with line and column", async (_, text, code, at, message) => {
    await expect(read(text)).rejects.toMatchObject({ code, at: expect.stringContaining(at), message: expect.stringContaining(message) });
  });

  test("takes agents from modules and services, checks them, and its input, by JSON Schema", async () => {
    const text = `
name: f
input: { type: object, properties: { n: { type: number } }, required: [n] }
agents:
  local: { module: ./agents.ts, export: mine }
  remote: { http: { url: { env: REMOTE_URL, default: "http://127.0.0.1:1" } }, timeout: 5s, retry: { maxAttempts: 2 }, output: { type: string } }
nodes:
  a: { agent: local, input: "\${input.n}" }
  b: { agent: remote, input: "\${a.result}" }
`;
    const asked: string[] = [];
    const { plan } = await parseWorkflow(text, { importModule: async (specifier) => (asked.push(specifier), { mine: echo, other: 1 }) });
    expect(asked).toEqual(["./agents.ts"]);
    expect(plan.nodes.map(({ agent: used, policy }) => [used.name, used.work.kind, policy.timeoutMs, policy.maxAttempts])).toEqual([
      ["echo", "function", 300_000, 3],
      ["remote", "http", 5_000, 2],
    ]);
    expect(await plan.inputSchema!["~standard"].validate({ n: "x" })).toHaveProperty("issues");
    await expect(parseWorkflow(text, { importModule: async () => ({ mein: echo }) })).rejects.toMatchObject({
      code: "PAWL_UNKNOWN_AGENT",
      message: expect.stringContaining('did you mean "mein"?'),
    });
    await expect(parseWorkflow(text, { importModule: async () => Promise.reject(new Error("not found")) })).rejects.toMatchObject({
      code: "PAWL_FILE_UNREADABLE",
    });
  });
});
