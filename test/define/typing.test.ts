/**
 * Types flow from schemas through results into dependents and out of the run, and from machines into their runs; misuse gets a message that helps.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Compiler } from "./compiler.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** The first line of a message, without the advice about compiler options: about three lines of a terminal. */
const MESSAGE_LENGTH_MAX = 330;
/** In types that xstate makes. */
const OF_XSTATE = "SingleOrArray<";

let compiler: Compiler;
beforeAll(() => void (compiler = new Compiler("typing")), 120_000);
afterAll(() => compiler.remove());

interface Report {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** What the compiler says of the files, by file and line. */
function reportsOf(stdout: string): Report[] {
  const reports: { file: string; line: number; text: string }[] = [];
  for (const text of stdout.split("\n")) {
    const match = /^(.+?)\((\d+),\d+\): (.*)$/.exec(text);
    if (match !== null) reports.push({ file: match[1]!, line: Number(match[2]), text: match[3]! });
    else if (text.startsWith(" ")) reports.at(-1)!.text += `\n${text}`;
  }
  return reports;
}

test("each misuse gets its message, on its line, and nothing else does; right uses need no cast, and give exactly the types that they should, also at the end of 1,000 nodes in a row", () => {
  const [file, right, long] = [join(root, "test/define/misuse/misuse.ts"), join(root, "test/define/misuse/right.ts"), longFile()];
  const expected = readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line, i) => (line.includes("// expect: ") ? [{ line: i + 2, text: line.split("// expect: ")[1]! }] : []));
  const all = reportsOf(compiler.compiled([file, right, long]));
  const reports = all.filter((report) => report.file.endsWith("misuse.ts"));
  for (const { line, text } of expected) {
    const got = reports.filter((report) => report.line === line).map((report) => report.text);
    expect(got.join("\n"), `line ${line}`).toContain(text);
  }
  const tooLong = reports.filter(({ text }) => text.split(/\n| with '/)[0]!.length > MESSAGE_LENGTH_MAX && !text.includes(OF_XSTATE));
  expect(tooLong, "messages that nobody reads").toEqual([]);
  const lines = new Set(expected.map(({ line }) => line));
  expect(all.filter(({ file: of, line }) => !of.endsWith("misuse.ts") || !lines.has(line))).toEqual([]);
}, 120_000);

function longFile(): string {
  const file = join(compiler.place, "long.ts");
  const nodes = Array.from({ length: 1_000 }, (_, i) => `  const n${i + 1} = wf.node("n${i + 1}", step, { n: n${i}.result.n, list: [n${i}.result.text] });`);
  writeFileSync(
    file,
    `import { agent, workflow } from "pawl";\nimport { z } from "zod";
const step = agent({ name: "step", input: z.object({ n: z.number(), list: z.array(z.string()) }), output: z.object({ n: z.number(), text: z.string() }), run: ({ n }) => ({ n, text: "" }) });
export const long = workflow({ name: "long", input: z.object({ n: z.number() }) }, (wf) => {
  const n0 = wf.node("n0", step, { n: wf.input.n, list: [] });\n${nodes.join("\n")}
  return { n: n1000.result.n };
});
export const check: number = (null as never as NonNullable<NonNullable<typeof long.types>["output"]>).n;\n`,
  );
  return file;
}

/** In each round one of every kind, each of which uses the one before it. */
const ROUND = `  const call# = wf.node("call#", step, { n: 1, list: [last.result.text] });
  const map# = wf.map("map#", call#.result.list, step, (item, n) => ({ n, list: [item] }), { onFail: "skip", concurrency: 2 });
  const loop# = wf.repeat("loop#", step, { n: call#.result.n, list: [] }, { max: 3, until: (l) => l.n, next: (l) => ({ n: l.n, list: l.list }) });
  const when# = wf.when("when#", loop#.result.n, () => wf.node("then#", step, { n: 2, list: loop#.result.list }).result, () => loop#.result);
  const kind# = wf.route("kind#", when#.result.kind, { a: () => wf.node("a#", step, { n: 3, list: [] }).result, b: () => when#.result });
  const event# = wf.event("event#", z.object({ text: z.string() }), { after: [map#, kind#] });
  const part# = wf.run("part#", part, { text: event#.result.text });
  const there# = wf.resultOf("there#", part, part#.result.text);
  last = there#;
`;
const NODES_A_ROUND = 10;

/** How many types the compiler makes for a workflow of so many rounds. */
function instantiations(rounds: number): number {
  const file = join(compiler.place, `mixed-${rounds}.ts`);
  const body = Array.from({ length: rounds }, (_, i) => ROUND.replaceAll("#", String(i))).join("");
  writeFileSync(
    file,
    `import { type NodeHandle, agent, workflow } from "pawl";\nimport { z } from "zod";
const Result = z.object({ n: z.number(), text: z.string(), list: z.array(z.string()), kind: z.enum(["a", "b"]) });
const step = agent({ name: "step", input: z.object({ n: z.number(), list: z.array(z.string()) }), output: Result, run: () => null as never });
const part = workflow({ name: "part", input: z.object({ text: z.string() }) }, (wf) => ({ text: wf.input.text }));
export const mixed = workflow({ name: "mixed", input: z.object({ text: z.string() }) }, (wf) => {
  let last: NodeHandle<{ text: string }> = wf.run("begin", part, { text: wf.input.text });\n${body}
  return { text: last.result.text };
});\n`,
  );
  const diagnostics = compiler.compiled([file], "--extendedDiagnostics");
  expect(diagnostics).not.toContain("error TS");
  return Number(/^Instantiations: +(\d+)/m.exec(diagnostics)![1]);
}

/** About three times what it is: more makes editors slow. */
const INSTANTIATIONS_A_NODE_MAX = 250;

test("a node of any kind costs the compiler little, in a workflow of 200, too", () => {
  const [few, many] = [1, 20];
  const each = (instantiations(many) - instantiations(few)) / ((many - few) * NODES_A_ROUND);
  console.log(`${Math.round(each)} instantiations a node`);
  expect(each).toBeLessThan(INSTANTIATIONS_A_NODE_MAX);
}, 240_000);
