/**
 * The agents: scripted answers in place of a model, but real git and real tests. What they push is known by their
 * `idempotencyKey`: a call that is made again after a kill finds what the first one did.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { type AgentContext, agent } from "pawl";
import { z } from "zod";
import { commitOnce, execute, git, inClone } from "./repository.ts";

const THINKING_MS = 150;
const TESTS = `import assert from "node:assert";
import { test } from "node:test";
import { slugify } from "./slugify.js";

test("joins words", () => assert.equal(slugify("Hello World"), "hello-world"));
test("leaves signs out", () => assert.equal(slugify("Rock & Roll!"), "rock-roll"));
test("takes accents off", () => assert.equal(slugify("Café Olé"), "cafe-ole"));
`;
const DRAFT = `export function slugify(title) {
  return title
    .toLowerCase()
    .replaceAll(/ +/g, "-");
}
`;
const FIXES = {
  "leaves signs out": '.replaceAll(/[^\\p{L} ]/gu, "")',
  "takes accents off": '.normalize("NFD").replaceAll(/\\p{M}/gu, "")',
};

const branch = z.object({ origin: z.string(), branch: z.string() });
const failing = z.array(z.string());

/** Writes the tests, on a new branch. */
export const planner = agent({
  name: "planner",
  input: branch.extend({ prompt: z.string() }),
  output: z.object({ failing }),
  run: async ({ origin, branch, prompt }, context) => {
    await think(context);
    // a step that is stored is not done again: by then the branch has moved on
    await context.step("branch", () => git(origin, "push", "-q", ".", `main:refs/heads/${branch}`));
    const commit = await commitOnce(origin, branch, context.idempotencyKey, (folder) => {
      writeFileSync(join(folder, "slugify.test.js"), TESTS);
      return `Say what is wanted: ${prompt}`;
    });
    tell(context, `${commit} on ${branch}`);
    return { failing: Object.keys(FIXES) };
  },
});

/** Writes the code, or mends the first thing that fails. */
export const coder = agent({
  name: "coder",
  input: branch.extend({ failing }),
  output: z.object({ commit: z.string() }),
  run: async ({ origin, branch, failing }, context) => {
    await think(context);
    const commit = await commitOnce(origin, branch, context.idempotencyKey, (folder) => {
      const file = join(folder, "slugify.js");
      const [name, fix] = Object.entries(FIXES).find(([name]) => existsSync(file) && failing.includes(name)) ?? ["joins words"];
      writeFileSync(file, fix === undefined ? DRAFT : readFileSync(file, "utf8").replace("return title", () => `return title\n    ${fix}`));
      return `slugify() ${name}`;
    });
    tell(context, commit);
    return { commit };
  },
});

/** Runs the tests. */
export const checker = agent({
  name: "checker",
  input: z.object({ origin: z.string(), commit: z.string() }),
  output: z.object({ passed: z.boolean(), failing, commit: z.string() }),
  run: ({ origin, commit }, context) =>
    inClone(origin, commit, async (cwd) => {
      const { code, output } = await execute(process.execPath, ["--test", "--test-isolation=none", "--test-reporter=tap"], { cwd, signal: context.signal });
      const failing = [...output.matchAll(/^not ok \d+ - (.*)$/gm)].map(([, name = ""]) => name);
      tell(context, code === 0 ? "all tests pass" : `these tests fail: ${failing.join(", ")}`);
      return { passed: code === 0, failing, commit };
    }),
});

/** Opens a pull request: a file that is named after the run, so that written again it is the same. */
export const publisher = agent({
  name: "publisher",
  input: branch.extend({ commit: z.string(), prompt: z.string(), by: z.string() }),
  output: z.object({ file: z.string() }),
  run: async ({ origin, branch, commit, prompt, by }, context) => {
    const commits = await git(origin, "log", "--reverse", "--format=- %h %s", `main..${commit}`);
    const file = join(dirname(origin), "pull-requests", `${context.runId}.md`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `# ${prompt}\n\n${branch} into main, approved by ${by}\n\n${commits}\n`);
    tell(context, file);
    return { file };
  },
});

async function think({ signal }: AgentContext): Promise<void> {
  await passes(THINKING_MS, undefined, { signal });
}

function tell({ runId, nodeId, log }: AgentContext, text: string): void {
  log.info({}, `${runId} ${nodeId}: ${text}`);
}
