/**
 * The README and the guide are true: their programs run, their commands work, their tables and links name what there is.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { ERRORS, type ErrorCode, PawlError, documentSchema, open, parseWorkflow } from "../src/index.ts";
import { anyAgent, anyWorkflow } from "./sim/machine-room.ts";
import { Residents } from "./serve/resident.ts";
import { playedToTheEnd } from "./sim/played-to-the-end.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const GUIDE = "examples/guide";
const documents = [
  "README.md",
  ...readdirSync(join(root, GUIDE))
    .toSorted()
    .map((page) => `${GUIDE}/${page}`),
];
const texts = new Map(documents.map((document) => [document, readFileSync(join(root, document), "utf8")]));
const blocks = (document: string, language: string): string[] =>
  [...texts.get(document)!.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, code]) => code!);
const everywhere = (language: string): string[] => documents.flatMap((document) => blocks(document, language));
const nameOf = (document: string): string => document.replace(/.*\/|\.md$/g, "");
/** Inside the repository, so that "pawl" is found by name. */
const place = join(root, "test", "readme-programs");

beforeAll(() => documents.forEach((document) => mkdirSync(join(place, nameOf(document)), { recursive: true })));
/** Runs commands one after the other, without loading the modules for each. */
const residents = new Residents({ ...process.env, PAWL_STORE: ".pawl/pawl.db" });
afterAll(() => {
  rmSync(place, { recursive: true, force: true });
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(root, ".pawl", `readme.db${suffix}`), { force: true });
});

function node(...parameters: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, ["--conditions=pawl-source", ...parameters], { cwd: root, encoding: "utf8" });
}

/** What the programs of each document say, in their order; one that only defines says nothing. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  README: ["notes on", "approved by ana", "a card is charged once"],
  agents: ["read a.example\nread b.example\nTwo pages"],
  breakers: ["in short, in short, in short, rain\nprovider open 2 status 503"],
  failures: ['refunded: payment for o-7\nrun "shipping', "a patch for #7"],
  health: ["CRITICAL { error: 'no token' }\nnothing was started: github is CRITICAL (no token): set GITHUB_TOKEN"],
  "isolated-agents": ["", "the attempt took longer than its timeout"],
  limits: ["about ratchets 20000"],
  machines: ["published"],
  metrics: ["1 1 0 true"],
  notifications: ["answer of ask-1 failed\nask-1:2:run.failed: no model\nask-1 PAWL_AGENT_FAILED"],
  people: [""],
  schedules: ["news of 7 days"],
  testing: ["paths survive", "crashes charge nobody twice"],
  workers: ["d-1 is open, says one of 1 workers", "an answer to"],
};

test("each program's output is known", () => {
  for (const document of documents) expect(OUTPUTS[nameOf(document)]?.length ?? 0, document).toBe(blocks(document, "ts").length);
});

const programs = documents.flatMap((document) => blocks(document, "ts").map((code, i) => [nameOf(document), i + 1, code] as const));
test.each(programs)("%s: program %d runs", (document, i, code) => {
  const folder = join(place, document);
  const offline = code.replace('"@ai-sdk/openai"', JSON.stringify(join(root, "test/ai/openai.ts")));
  // a module is there under its name for those that come after it
  const [, name] = MODULE.exec(code) ?? [];
  if (name !== undefined) writeFileSync(join(folder, name), code);
  writeFileSync(join(folder, `${i}.ts`), offline.replaceAll('"pawl.db"', JSON.stringify(join(folder, `${i}.db`))));
  const { stdout, stderr, status } = node(join(folder, `${i}.ts`));
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  expect(stdout).toContain(OUTPUTS[document]![i - 1]!);
});

const MODULE = /^\/\/ ([\w-]+\.ts)\n/;

test("each command of the command line works", async () => {
  const commands = everywhere("sh")
    .flatMap((block) => block.trim().split("\n"))
    .filter((line) => line.startsWith("pawl "));
  expect(commands.length).toBeGreaterThan(5);
  for (const command of commands) {
    const { stdout, stderr, code } = await residents.start({ folder: root, words: command.split(" ").slice(1) }).ended;
    expect({ command, code, stderr: code === 0 ? "" : stderr }).toEqual({ command, code: 0, stderr: "" });
    expect(stdout.length, command).toBeGreaterThan(20);
  }
});

const typed = documents.filter((document) => blocks(document, "console").length > 0);
test.each(typed)("%s: what is typed in terminals is answered as it says", async (document) => {
  const terminals = makeTerminals(`terminals-${nameOf(document)}`);
  for (const code of blocks(document, "ts")) {
    const [, file] = MODULE.exec(code) ?? [];
    if (file !== undefined) writeFileSync(join(terminals.cwd, file), code);
  }
  const said = blocks(document, "console").flatMap((block) => block.split(/^\$ /m).slice(1));
  expect(said.length).toBeGreaterThan(3);
  const workers: ChildProcess[] = [];
  try {
    for (const text of said) {
      const [command = "", ...answer] = text.trimEnd().split("\n");
      const answered = command.endsWith(" &") ? await terminals.start(command.slice(0, -2), workers) : await terminals.run(command);
      expect(plain(answered), command).toMatch(pattern(answer.join("\n")));
      await terminals.atRest();
    }
  } finally {
    for (const worker of workers) worker.kill("SIGKILL");
    for (const worker of workers) if (worker.exitCode === null && worker.signalCode === null) await once(worker, "exit");
  }
});

test("what keeps house works", async () => {
  const terminals = makeTerminals("house");
  await terminals.run("pawl run examples/task-graph.yaml");
  const commands = [...texts.get(`${GUIDE}/housekeeping.md`)!.matchAll(/`(pawl [^`]+)`/g)].map(([, command]) => command!.replace(/[[\]]/g, ""));
  expect(commands.length).toBe(4);
  for (const command of commands) expect(await terminals.run(`${command} && echo "it ended well"`), command).toMatch(/\nit ended well\n$/);
});

test("the table of errors is that of the library", () => {
  const rows = [...texts.get(`${GUIDE}/errors.md`)!.matchAll(/^\| `(PAWL_\w+)` \| (\d+) \| (.*) \| (.*) \|$/gm)].map(([, ...row]) => row);
  expect(rows).toEqual(Object.entries(ERRORS).map(([code, { summary, next }]) => [code, String(new PawlError(code as ErrorCode).status), summary, next]));
});

/** Numbers and the width of columns may differ. */
function plain(text: string): string {
  return text.replace(/\d+/g, "0").replace(/\s+/g, " ").trim();
}

/** What stands for `…` may be anything. */
function pattern(answer: string): RegExp {
  const escaped = plain(answer).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("…", ".*")}$`);
}

/** What a shell makes of a command that is pawl's alone; undefined for any other. */
function wordsOf(command: string): string[] | undefined {
  const [pawl, ...words] = [...command.matchAll(/'([^']*)'|([^\s']+)/g)].map(([, quoted, plain_]) => quoted ?? plain_!);
  return pawl === "pawl" && !/[|&;<>$"]/.test(command.replaceAll(/'[^']*'/g, "")) ? words : undefined;
}

/** A shell in a folder in which `pawl` is a command and the examples are at hand. */
function makeTerminals(name: string) {
  const cwd = join(place, name);
  mkdirSync(join(cwd, "bin"), { recursive: true });
  symlinkSync(join(root, "examples"), join(cwd, "examples"));
  const pawl = `exec '${process.execPath}' --conditions=pawl-source '${join(root, "src/serve/bin.ts")}' "$@"`;
  writeFileSync(join(cwd, "bin/pawl"), `#!/bin/sh\n${pawl}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${join(cwd, "bin")}:${process.env["PATH"]}`, PAWL_STORE: join(cwd, ".pawl/pawl.db") };
  return {
    cwd,
    run: async (command: string): Promise<string> => {
      const words = wordsOf(command);
      if (words === undefined) return spawnSync("sh", ["-c", `{ ${command}; } 2>&1`], { cwd, env, encoding: "utf8" }).stdout;
      const { stdout, stderr } = await residents.start({ folder: cwd, words }).ended;
      return stdout + stderr;
    },
    /** Resolves with the first that it says. */
    start: async (command: string, processes: ChildProcess[]): Promise<string> => {
      const started = spawn("sh", ["-c", `exec ${command}`], { cwd, env: { ...env, PAWL_STORE: ".pawl/pawl.db" }, stdio: ["ignore", "pipe", "inherit"] });
      processes.push(started);
      const [said] = (await Promise.race([once(started.stdout.setEncoding("utf8"), "data"), once(started, "exit")])) as [unknown];
      return String(said);
    },
    /** People type slowly: until then each run has ended, is paused or waits. */
    atRest: async (): Promise<void> => {
      await using store = await open(env.PAWL_STORE, { execute: false });
      await vi.waitFor(
        async () => {
          for (const { id } of await store.list()) {
            const { status, waitingFor } = await (await store.run(id)).status();
            expect(waitingFor !== undefined || !["pending", "running"].includes(status), `${id} is ${status}`).toBe(true);
          }
        },
        { timeout: 30_000, interval: 20 },
      );
    },
  };
}

test("the other commands are scripts of the package", () => {
  const scripts = (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }).scripts;
  const named = [...[...texts.values()].join("\n").matchAll(/npm (?:run )?(start|test|[a-z:]+)/g)]
    .map(([, name]) => name!)
    .filter((name) => !["ci", "install", "run"].includes(name));
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
});

test("the document in YAML runs, and editors take it", async () => {
  const [yaml = ""] = everywhere("yaml");
  expect(z.fromJSONSchema((await documentSchema()) as never).safeParse(parse(yaml)).error).toBeUndefined();
  const agents = {
    planner: anyAgent("planner", ({ topic }) => ({ questions: [`What is a ${topic}?`, `Who has a ${topic}?`] })),
    editor: anyAgent("editor", ({ text }) => ({ text: `${text}.`, good: text.endsWith(".") })),
    searcher: anyAgent("searcher", ({ q }) => q.length),
  };
  const workflow = await parseWorkflow(yaml.replace(/http: .* timeout: 30s/, "module: ./agents.ts"), {
    importModule: async () => agents,
    importWorkflow: async () => anyWorkflow("post", (wf) => ({ posted: wf.input.text })),
  });
  const played = (approved: boolean) => playedToTheEnd(workflow, { topic: "ratchet" }, { events: [{ type: "approval", approved }] });
  expect((await played(true)).output).toEqual({ posted: "On ratchet: [18,18].." });
  expect((await played(false)).output).toBe("refused");
});

test("each promise names a test that exists", () => {
  const named = [...texts.get("README.md")!.matchAll(/`(test\/[^`]+\.ts)`/g)].map(([, file]) => file!);
  expect(named.length).toBeGreaterThan(10);
  for (const file of named) expect(existsSync(join(root, file)), file).toBe(true);
});

test("each row of the comparison with plain xstate, and each difference from a live actor, is the name of a test, and each test is told", () => {
  const machines = texts.get(`${GUIDE}/machines.md`)!;
  const section = (heading: string): string => machines.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const testsOf = (file: string): string[] => [...readFileSync(join(root, file), "utf8").matchAll(/^test\("(.*)", /gm)].map(([, name]) => name!);
  const rows = [...section("What plain xstate loses when it is restored").matchAll(/^\| ([^|]*\w[^|]*) \|/gm)].map(([, cell]) => cell!);
  expect(rows).toEqual(testsOf("test/run/plain-xstate.test.ts"));
  const lines = [...section("Where a machine differs from a live actor").matchAll(/^- (.*)$/gm)].map(([, line]) => line!);
  expect(lines).toEqual(testsOf("test/run/differences.test.ts"));
});

test("each link leads somewhere, the index names each page, and what is linked to is in the package", () => {
  const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: readonly string[] };
  const linked = new Set<string>();
  for (const document of [...documents, "examples/README.md", "machines/README.md"]) {
    const text = readFileSync(join(root, document), "utf8").replaceAll(/```[^]*?```/g, "");
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      const [file = "", anchor] = link!.split("#");
      const target = file === "" ? document : join(dirname(document), file);
      expect(existsSync(join(root, target)), `${document}: ${link}`).toBe(true);
      expect([...files, "README.md"], `${document}: ${link}`).toContain(target.split("/")[0]);
      if (anchor !== undefined) expect(anchorsOf(target), `${document}: ${link}`).toContain(anchor);
      if (document === "README.md") linked.add(target);
    }
  }
  expect(documents.filter((document) => document !== "README.md" && !linked.has(document))).toEqual([]);
});

/** Of its headings, as GitHub makes them. */
function anchorsOf(document: string): string[] {
  const headings = readFileSync(join(root, document), "utf8").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}
