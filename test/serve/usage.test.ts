/**
 * The command line itself: help, mistakes, and the version of Node.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { showProblem } from "../../src/serve/problem.ts";
import { HELD, makeFolder } from "./command.ts";

const EXECUTE = ["run", "work", "start"];
const TIMES = ["schedules"];
const LOOK = ["ls", "show", "watch", "tail", "inspect", "why", "failures", "counts", "health", "timeouts"];
const ACT = ["send", "cancel", "pause", "resume", "retry", "override", "fork"];
const PROTECT = ["limits", "breaker"];
const DEFINE = ["check", "graph", "schema"];
const KEEP_HOUSE = ["prune", "backup", "restore", "doctor"];

test("--help lists every verb, in groups", async () => {
  const { stdout } = await makeFolder().pawl("--help");
  const groups = [...stdout.matchAll(/^([A-Z].*):\n((?: {2}.*\n)+)/gm)].map(([, group, lines]) => [
    group,
    [...lines!.matchAll(/^ {2}([a-z]+) /gm)].map(([, verb]) => verb),
  ]);
  expect(groups.slice(1, -1)).toEqual([
    ["Execute", EXECUTE],
    ["Schedules", TIMES],
    ["Look", LOOK],
    ["Control a run", ACT],
    ["Protection", PROTECT],
    ["Definitions", DEFINE],
    ["Keep house", KEEP_HOUSE],
  ]);
});

test.each(ACT)("pawl %s --help lists its exit codes", async (verb) => {
  expect((await makeFolder().pawl(verb, "--help")).stdout).toContain("5 no such run, 6 recorded, but not done yet");
});

const SCHEDULES = ["ls", "run"].map((verb) => `schedules ${verb}`);
const LIMIT_VERBS = ["ls", "set", "reset"].map((verb) => `limits ${verb}`);

const BREAKER = ["ls", "open", "close", "reset"].map((verb) => `breaker ${verb}`);

test.each([...EXECUTE, ...SCHEDULES, ...LIMIT_VERBS, ...BREAKER, ...LOOK, ...ACT, ...DEFINE])("pawl %s --help has two examples", async (verb) => {
  const { code, stdout } = await makeFolder().pawl(...verb.split(" "), "--help");
  expect(code).toBe(0);
  const [, examples] = stdout.split("\nExamples:\n");
  expect(examples!.match(new RegExp(`^ {2}\\$ pawl ${verb} `, "gm"))).toHaveLength(2);
  expect(stdout).toContain("--json");
});

test.each([
  [["rnu"], "unknown command 'rnu' — Did you mean run?", "see `pawl --help`"],
  [["run", "f.yaml", "--inptu", "1"], "unknown option '--inptu' — Did you mean --input?", "see `pawl run --help`"],
  [["show"], "missing required argument 'run'", "see `pawl show --help`"],
  [["ls", "--limit", "0"], "option '--limit <number>' argument '0' is invalid. It must be a whole number from 1 to 1000.", "see `pawl ls --help`"],
])("%j is a mistake in usage: 2, and the advice", async (words, message, next) => {
  const folder = makeFolder();
  expect(await folder.pawl(...words)).toEqual({ code: 2, stdout: "", stderr: `PAWL_USAGE ${message}\nnext: ${next}\n` });
  const { code, stderr } = await folder.pawl(...words, "--json");
  expect(code).toBe(2);
  expect(JSON.parse(stderr)).toMatchObject({ code: "PAWL_USAGE", next });
});

test("--version prints the version of the package", async () => {
  const { stdout } = await makeFolder().pawl("--version");
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("an older Node is told so before anything else is loaded", async () => {
  const pretend = "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'22.1.0'}})";
  const { code, stderr } = await makeFolder().pawlWith(["--import", pretend], "ls");
  expect(code).toBe(2);
  expect(stderr).toBe("PAWL_NODE_TOO_OLD this is Node.js 22.1.0; pawl needs 24 or newer\nnext: install it from https://nodejs.org\n");
});

test("what nobody expected is shown with its stack and asked to be reported", async () => {
  const written: string[] = [];
  const spy = vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
  try {
    expect(await showProblem(new TypeError("odd"), { isJson: false })).toBe(70);
    expect(await showProblem(new TypeError("odd"), { isJson: true })).toBe(70);
  } finally {
    spy.mockRestore();
  }
  expect(written[0]).toMatch(/^TypeError: odd\n +at /);
  expect(written[1]).toMatch(/^PAWL_BUG .*\nnext: report it/);
  expect(JSON.parse(written[2]!)).toMatchObject({ code: "PAWL_BUG", data: { stack: expect.stringContaining("TypeError: odd") as string } });
});

test("a verb that looks loads nothing that examines, copies or restores a store", async () => {
  const folder = makeFolder();
  folder.write(
    "hook.mjs",
    `import { appendFileSync } from "node:fs";
    import { registerHooks } from "node:module";
    registerHooks({ load: (url, context, next) => (appendFileSync("loaded.txt", url + "\\n"), next(url, context)) });`,
  );
  folder.write("hello.yaml", HELD);
  await folder.pawl("start", "hello.yaml", "--id", "r-1", "--input", '{"text": "x"}');
  expect(await folder.pawlWith(["--import", "./hook.mjs"], "ls")).toMatchObject({ code: 0, stdout: expect.stringContaining("r-1") as string });
  const loaded = readFileSync(join(folder.path, "loaded.txt"), "utf8");
  expect(loaded).toContain("/src/index.ts");
  expect(loaded.match(/[^/]*(backup|restore(?!-nodes)|examine|repair|copy|compress)[^/]*\.ts/g)).toEqual(["backups.ts"]);
});
