/**
 * The README is true: its programs run, its commands work, its table names tests that exist.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseWorkflow } from "../src/index.ts";
import { anyAgent } from "./sim/machine-room.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = (language: string): string[] => [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, code]) => code!);
/** Inside the repository, so that "pawl" is found by name. */
const place = join(root, "test", "readme-programs");

beforeAll(() => void mkdirSync(place, { recursive: true }));
afterAll(() => {
  rmSync(place, { recursive: true, force: true });
  for (const suffix of ["", "-wal", "-shm", "-lock"]) rmSync(join(root, ".pawl", `readme.db${suffix}`), { force: true });
});

function node(...parameters: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, ["--conditions=pawl-source", ...parameters], { cwd: root, encoding: "utf8" });
}

test.each(blocks("ts").map((code, i) => [i + 1, code] as const))("program %d runs", (i, code) => {
  writeFileSync(join(place, `${i}.ts`), code.replace('"pawl.db"', JSON.stringify(join(place, `${i}.db`))));
  const { stdout, stderr, status } = node(join(place, `${i}.ts`));
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  expect(stdout).toContain(["notes on", "approved by ana", "paths survive", "the key was revoked → see"][i - 1]!);
});

test("each command of the command line works", () => {
  const commands = blocks("sh")
    .flatMap((block) => block.trim().split("\n"))
    .filter((line) => line.startsWith("pawl "));
  expect(commands.length).toBeGreaterThan(5);
  for (const command of commands) {
    const { stdout, stderr, status } = node("src/serve/bin.ts", ...command.split(" ").slice(1));
    expect({ command, status, stderr: status === 0 ? "" : stderr }).toEqual({ command, status: 0, stderr: "" });
    expect(stdout.length, command).toBeGreaterThan(20);
  }
});

test("the other commands are scripts of the package", () => {
  const scripts = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }).scripts;
  const named = [...readme.matchAll(/npm (?:run )?(start|test|[a-z:]+)/g)].map(([, name]) => name!).filter((name) => name !== "ci" && name !== "run");
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
});

test("the document in YAML is one", async () => {
  const [yaml] = blocks("yaml");
  const workflow = await parseWorkflow(yaml!, { importModule: async () => ({ planner: anyAgent("planner", () => 1) }) });
  expect(workflow.plan.nodes.map(({ id }) => id)).toEqual(["plan", "web"]);
});

test("each promise names a test that exists", () => {
  const named = [...readme.matchAll(/`(test\/[^`]+\.ts)`/g)].map(([, file]) => file!);
  expect(named.length).toBeGreaterThan(10);
  for (const file of named) expect(existsSync(join(root, file)), file).toBe(true);
});

test("each row of the comparison with plain xstate, and each difference from a live actor, is the name of a test, and each test is told", () => {
  const section = (heading: string): string => readme.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const testsOf = (file: string): string[] => [...readFileSync(join(root, file), "utf8").matchAll(/^test\("(.*)", /gm)].map(([, name]) => name!);
  const rows = [...section("What plain xstate loses when it is restored").matchAll(/^\| ([^|]*\w[^|]*) \|/gm)].map(([, cell]) => cell!);
  expect(rows).toEqual(testsOf("test/run/plain-xstate.test.ts"));
  const lines = [...section("Where a machine differs from a live actor").matchAll(/^- (.*)$/gm)].map(([, line]) => line!);
  expect(lines).toEqual(testsOf("test/run/differences.test.ts"));
});
