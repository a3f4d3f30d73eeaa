/**
 * The examples in the comments of `src/define` compile, and do what they say: each in the surroundings that it takes for
 * granted, such as the agents that it names.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Compiler } from "./compiler.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let compiler: Compiler;
beforeAll(() => void (compiler = new Compiler("docstrings")), 120_000);
afterAll(() => compiler.remove());

/** What examples take for granted. */
const GRANTED = `import { type AgentContext, agent, documentSchema, parseWorkflow, workflow } from "pawl";
import { z } from "zod";
const any = <Given extends z.ZodType, Gives extends z.ZodType>(name: string, input: Given, output: Gives) => agent({ name, input, output, run: () => null as never });
export const planner = any("planner", z.object({ topic: z.string() }), z.object({ questions: z.array(z.string()) }));
export const searcher = any("searcher", z.object({ q: z.string() }), z.object({ notes: z.string() }));
export const reader = any("reader", z.object({ question: z.string() }), z.object({ notes: z.string() }));
export const editor = any("editor", z.object({ text: z.string() }), z.object({ text: z.string(), good: z.boolean() }));
export const sorter = any("sorter", z.object({}), z.object({ approved: z.boolean(), kind: z.enum(["bug", "question", "praise"]) }));
export const [merger, fixer, writer] = [any("merger", z.object({}), z.string()), any("fixer", z.object({}), z.string()), any("writer", z.object({}), z.string())];
export const pay = any("pay", z.object({ order: z.string() }), z.object({ id: z.string() }));
export const ship = any("ship", z.object({ payment: z.string() }), z.object({}));
export const refund = any("refund", z.object({ result: z.object({ id: z.string() }).optional() }), z.void());
export const text = "name: given\\nnodes: {}";
export const urls = ["a", "b"];
export const i = 1;
export const download = async (url: string | undefined) => \`page \${url}\`;
export const kept: string[] = [];
export const ctx = { step: async (key: string, perform: () => unknown) => (kept.push(key), perform()) } as unknown as AgentContext;
export const written: string[] = [];
export const writeFile = async (name: string, data: string) => void written.push(name, data);
`;

/** The example in its surroundings; its own names may be those that others take for granted. */
function program(code: string): string {
  if (!code.includes("wf.") || code.includes("workflow(")) return `export async function example() {\n${code}\n}\n`;
  const nodes = `const plan = wf.node("plan", planner, { topic: wf.input.topic });
const draft = wf.node("draft", editor, { text: "" });
const review = wf.node("review", sorter, {});
const triage = review;`;
  return `export async function example() {
  return workflow({ name: "example", input: z.object({ topic: z.string(), order: z.string() }) }, (wf) => {
${nodes}
${code}
  void [plan, draft, review, triage];
  return null;
  });
}\n`;
}

const examples = globSync("src/define/*.ts", { cwd: root })
  .sort()
  .flatMap((file) => {
    const comments = [...readFileSync(join(root, file), "utf8").matchAll(/@example\n +\* ```ts\n([\s\S]*?) +\* ```/g)];
    return comments.map(([, block], i) => ({ name: `${file.slice("src/define/".length)} ${i + 1}`, code: block!.replace(/^ +\* ?/gm, "").trimEnd() }));
  });

test("each compiles", () => {
  expect(examples.length).toBeGreaterThanOrEqual(9);
  writeFileSync(join(compiler.place, "granted.ts"), GRANTED);
  const names = [...GRANTED.matchAll(/^export const (?:\[(.*?)\]|(\w+))/gm)].flatMap(([, list, name]) => name ?? list!.split(", "));
  const head = `import { agent, documentSchema, parseWorkflow, workflow } from "pawl";\nimport { z } from "zod";\nimport { ${names.join(", ")} } from "./granted.ts";\n`;
  const files = examples.map(({ name, code }, i) => {
    const file = join(compiler.place, `${i}.ts`);
    writeFileSync(file, `// ${name}\n${head}${program(code)}`);
    return file;
  });
  expect(compiler.compiled(files)).toBe("");
});

test.each(examples.map(({ name, code }, i) => ({ name, code, i })))("$name runs", async ({ code, i }) => {
  const file = join(compiler.place, `${i}.ts`);
  const { example } = (await import(/* @vite-ignore */ file)) as { example: () => Promise<unknown> };
  const granted = (await import(/* @vite-ignore */ join(compiler.place, "granted.ts"))) as { kept: string[]; written: string[] };
  const made = (await example()) as { plan: { nodes: { id: string }[] } } | undefined;
  const [, id] = /wf\.\w+\('([^']+)'/.exec(code) ?? [];
  if (id !== undefined && made !== undefined) expect(made.plan.nodes.map((node) => node.id)).toContain(id);
  if (code.includes("ctx.step")) expect(granted.kept).toEqual(["page-1"]);
  if (code.includes("documentSchema")) expect(JSON.parse(granted.written[1]!)).toMatchObject({ title: "pawl workflow" });
});
