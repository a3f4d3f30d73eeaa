/**
 * Types flow from schemas through results into dependents and out of the run, and from machines into their runs; misuse gets a message that helps.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const generated = join(root, "test/define/misuse/generated");

/** The first line of a message: about three lines of a terminal. */
const MESSAGE_LENGTH_MAX = 330;
/** In types that xstate makes. */
const OF_XSTATE = "SingleOrArray<";

afterAll(() => rmSync(generated, { recursive: true, force: true }));

/** What the compiler says of the files, by file and line. */
function compile(...files: string[]): { file: string; line: number; text: string }[] {
  mkdirSync(generated, { recursive: true });
  const config = join(generated, "tsconfig.json");
  writeFileSync(config, JSON.stringify({ extends: join(root, "tsconfig.json"), include: [], files }));
  const { stdout } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", config, "--pretty", "false"], {
    encoding: "utf8",
    cwd: root,
  });
  const reports: { file: string; line: number; text: string }[] = [];
  for (const text of stdout.split("\n")) {
    const match = /^(.+?)\((\d+),\d+\): (.*)$/.exec(text);
    if (match !== null) reports.push({ file: match[1]!, line: Number(match[2]), text: match[3]! });
    else if (text.startsWith(" ")) reports.at(-1)!.text += `\n${text}`;
  }
  return reports;
}

test("each misuse gets its message, on its line, and nothing else does", () => {
  const file = join(root, "test/define/misuse/misuse.ts");
  const expected = readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line, i) => (line.includes("// expect: ") ? [{ line: i + 2, text: line.split("// expect: ")[1]! }] : []));
  const reports = compile(file);
  for (const { line, text } of expected) {
    const got = reports.filter((report) => report.line === line).map((report) => report.text);
    expect(got.join("\n"), `line ${line}`).toContain(text);
  }
  const long = reports.filter(({ text }) => text.split("\n")[0]!.length > MESSAGE_LENGTH_MAX && !text.includes(OF_XSTATE));
  expect(long, "messages that nobody reads").toEqual([]);
  const lines = new Set(expected.map(({ line }) => line));
  expect(reports.filter(({ line }) => !lines.has(line))).toEqual([]);
});

test("right uses need no cast, and give exactly the types that they should", () => {
  expect(compile(join(root, "test/define/misuse/right.ts"))).toEqual([]);
});

test("a workflow of 1,000 nodes in a row type-checks", () => {
  mkdirSync(generated, { recursive: true });
  const file = join(generated, "long.ts");
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
  expect(compile(file)).toEqual([]);
}, 120_000);
