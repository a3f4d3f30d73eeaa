/**
 * Style as a test: limits of files and functions, header sentences, errors documented and thrown, dependencies exact.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../src/errors.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const sources = tracked.filter((file) => /^(src|machines|test|examples)\/.*\.ts$/.test(file));
const read = (file: string): string => readFileSync(join(root, file), "utf8");

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

describe("every source file", () => {
  test("opens with a sentence that says what it is", () => {
    const without = sources.filter((file) => !/^(#!.*\n)?\/\*\*\n \* \S/.test(read(file)));
    expect(without.filter((file) => file !== "test/vitest.config.ts")).toEqual([]);
  });

  test(`has at most ${FILE_LINES_MAX} lines`, () => {
    const long = sources.filter((file) => !file.endsWith(".test.ts") && read(file).split("\n").length > FILE_LINES_MAX + 1);
    expect(long).toEqual([]);
  });

  test("is named in whole words, after one concept", () => {
    const vague = /(^|[-/])(utils?|common|helpers?|types|manager|enhanced|misc)([-.]|$)/;
    expect(sources.filter((file) => vague.test(file) || /[A-Z_]/.test(file.split("/").at(-1)!))).toEqual([]);
  });

  test("leaves no work for later in a comment, and names no path of a machine", () => {
    const later = /\b(TODO|FIXME|XXX|HACK)\b|\/(home|root|work)\/[a-z]/;
    expect(sources.filter((file) => file !== "test/tidy.test.ts" && later.test(read(file)))).toEqual([]);
  });
});

test(`functions of the library have at most ${FUNCTION_LINES_MAX} lines`, () => {
  const long = sources.filter((file) => /^(src|examples)\//.test(file)).flatMap((file) => longFunctions(file, read(file)));
  expect(long).toEqual([]);
});

/** Functions and methods by their indentation: from the line that opens them to the line that closes them. */
function longFunctions(file: string, text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    const opening = /^( *)(?:export )?(?:async )?(?:static )?(?:function\b|(?:#?[a-zA-Z]\w*)\().*\{$/.exec(line);
    if (opening === null || /^ *(if|for|while|switch|return|await|test|describe)\b/.test(line)) return [];
    const length = lines.slice(start).findIndex((closing) => closing === `${opening[1]}}` || closing.startsWith(`${opening[1]}})`));
    return length > FUNCTION_LINES_MAX ? [`${file}:${start + 1} has ${length} lines`] : [];
  });
}

test("every error code is thrown in some test, says what to do next, and is thrown by the library", () => {
  const tests = sources
    .filter((file) => file.startsWith("test/") && file !== "test/tidy.test.ts")
    .map(read)
    .join("\n");
  const library = sources
    .filter((file) => file.startsWith("src/") && file !== "src/errors.ts")
    .map(read)
    .join("\n");
  for (const [code, { summary, next }] of Object.entries(ERRORS)) {
    expect(summary.length > 10 && next.length > 5, code).toBe(true);
    expect(tests.includes(code), `${code} is in no test`).toBe(true);
    expect(library.includes(`"${code}"`), `${code} is never thrown`).toBe(true);
  }
  const named = new Set([...library.matchAll(/"(PAWL_[A-Z_]+)"/g)].map(([, code]) => code!));
  const known = new Set([...Object.keys(ERRORS), "PAWL_STORE", "PAWL_LIMITS", "PAWL_NOTIFY_SECRET", "PAWL_NODE_TOO_OLD"]);
  expect([...named].filter((code) => !known.has(code))).toEqual([]);
});

test("dependencies are exact, few, and none that users install has an install script", () => {
  const manifest = JSON.parse(read("package.json")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
    scripts: Record<string, string>;
  };
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
  expect(Object.keys(manifest.scripts).length).toBeLessThanOrEqual(10);
  const lock = JSON.parse(read("package-lock.json")) as { packages: Record<string, { dev?: boolean; devOptional?: boolean; hasInstallScript?: boolean }> };
  const installed = Object.entries(lock.packages).filter(([path, entry]) => path !== "" && entry.dev !== true && entry.devOptional !== true);
  expect(installed.length).toBeLessThanOrEqual(25);
  expect(installed.filter(([, entry]) => entry.hasInstallScript).map(([path]) => path)).toEqual([]);
});

test("the lockfile names no address of a registry", () => {
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

test("the top level holds what it should and nothing else", () => {
  const top = new Set(tracked.map((file) => file.split("/")[0]!).filter((name) => !name.startsWith(".")));
  expect([...top].sort()).toEqual(["LICENSE", "README.md", "examples", "machines", "package-lock.json", "package.json", "src", "test", "tsconfig.json"]);
});

test("every machine has a drawing and a path test", () => {
  const machines = sources.filter((file) => /^machines\/[a-z-]+\.ts$/.test(file)).map((file) => file.slice("machines/".length, -".ts".length));
  const drawings = read("machines/README.md");
  const paths = sources
    .filter((file) => file.startsWith("test/machines/"))
    .map(read)
    .join("\n");
  for (const machine of machines) {
    expect(drawings).toContain(`## ${machine}`);
    expect(paths).toContain(`${machine}Machine`);
  }
});
