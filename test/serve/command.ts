/**
 * The command as a user has it: the real program, in a folder of its own, with agents that a test can hold and count.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, vi } from "vitest";
import { Residents } from "./resident.ts";
import { Command, type Ended } from "./running.ts";

export type { Ended };

const ROOT = new URL("../..", import.meta.url).pathname;
const BIN = join(ROOT, "src/serve/bin.ts");
const MODULE = /\.m?[jt]s$/;
const residents = new Residents(environment());
/** A worker that is asked to end has so long until it is killed. */
const CLOSE_MS = 3_000;

/**
 * `echo` gives its input back, `gate` waits until the test opens it or ends, `broken` throws, and `lacking` throws until the test
 * opens it. Each call is written down.
 */
const AGENTS = `
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { agent } from "pawl";
import { z } from "zod";

const spec = (name, run) => agent({ name, input: z.any(), output: z.any(), retry: { maxAttempts: 1 }, run: (input, context) => {
  appendFileSync(join(import.meta.dirname, "calls.log"), context.nodeId + "\\n");
  return run(input, context);
} });
export const echo = spec("echo", (input) => input);
export const gate = spec("gate", (input, { nodeId, signal }) => new Promise((resolve, reject) => {
  const timer = setInterval(() => ["over", nodeId + ".open"].some((file) => existsSync(join(import.meta.dirname, file))) && (clearInterval(timer), resolve(input)), 10);
  signal.addEventListener("abort", () => (clearInterval(timer), reject(signal.reason)));
}));
export const broken = spec("broken", () => { throw new Error("no such\\u001b[31m model"); });
export const lacking = spec("lacking", (input, { nodeId }) => {
  if (!existsSync(join(import.meta.dirname, nodeId + ".open"))) throw new Error("there is no " + nodeId + ".open");
  return input;
});
`;

export const AGENTS_OF_DOCUMENT = `
agents:
  echo: { module: ./agents.mjs }
  gate: { module: ./agents.mjs }
  broken: { module: ./agents.mjs }
`;

/** first → held → last; `held` waits for the test. */
export const HELD = `name: pipeline
${AGENTS_OF_DOCUMENT}
nodes:
  first: { agent: echo, input: { text: "\${input.text}" } }
  held: { agent: gate, input: { text: "\${first.result.text}" } }
  last: { agent: echo, input: { text: "\${held.result.text}!" } }
output: { text: "\${last.result.text}" }
`;

/** Waits for APPROVE, which leads to its end; takes NOTE as often as it comes; knows REOPEN, but not in this state. */
export const APPROVAL = `
import { setup } from "xstate";
export const approval = setup({}).createMachine({
  id: "approval",
  initial: "waiting",
  states: { waiting: { on: { APPROVE: "approved", NOTE: {} } }, approved: { type: "final" }, closed: { on: { REOPEN: "waiting" } } },
});
`;

export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "pawl-serve-"));
  readonly #commands = new Set<Command>();
  #hasRewrittenModule = false;

  constructor() {
    mkdirSync(join(this.path, "node_modules"));
    for (const name of ["zod", "xstate"]) symlinkSync(join(ROOT, "node_modules", name), join(this.path, "node_modules", name));
    symlinkSync(ROOT, join(this.path, "node_modules/pawl"));
    this.write("package.json", '{ "type": "module" }');
    this.write("agents.mjs", AGENTS);
  }

  write(file: string, text: string): void {
    this.#hasRewrittenModule ||= MODULE.test(file) && existsSync(join(this.path, file));
    mkdirSync(dirname(join(this.path, file)), { recursive: true });
    writeFileSync(join(this.path, file), text);
  }

  /** Lets the agent of this node end. */
  open(node: string): void {
    this.write(`${node}.open`, "");
  }

  /** The nodes whose agents were called, in order. */
  calls(): string[] {
    const file = join(this.path, "calls.log");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }

  /** Starts `pawl …` in a process of its own. */
  start(...words: string[]): Command {
    return this.#spawn(process.execPath, ["--conditions=pawl-source", BIN, ...words]);
  }

  /** Starts `pawl work …`, and waits until it stands by. */
  async work(...files: string[]): Promise<Command> {
    const command = this.#begin("work", ...files);
    await command.printed("is ready on");
    return command;
  }

  /** Waits until the agent of this node is called. */
  async called(node: string): Promise<void> {
    await vi.waitFor(() => expect(this.calls()).toContain(node), { timeout: 30_000, interval: 10 });
  }

  /** Waits until `pawl watch` says so of the run. */
  async seen(run: string, text: string | RegExp): Promise<void> {
    const command = this.start("watch", run);
    await command.printed(text);
    command.kill("SIGKILL");
    await command.ended;
  }

  /**
   * Runs `pawl …` to its end; in a process that stays, if none can have read another text of a module. What concerns the
   * process itself is for `start`.
   */
  pawl(...words: string[]): Promise<Ended> {
    return this.#begin(...words).ended;
  }

  #begin(...words: string[]): Command {
    if (this.#hasRewrittenModule) return this.start(...words);
    return this.#note(residents.start({ folder: this.path, words }));
  }

  /** Runs `pawl …` on a terminal of this size, by `script`. */
  startOnTerminal(rows: number, ...words: string[]): Command {
    const quoted = [process.execPath, "--conditions=pawl-source", BIN, ...words].map((word) => `'${word}'`).join(" ");
    return this.#spawn("script", ["-qefc", `stty rows ${rows} cols 100; exec ${quoted}`, "/dev/null"], "pipe");
  }

  /** Runs `pawl …` with flags for Node. */
  pawlWith(flags: readonly string[], ...words: string[]): Promise<Ended> {
    return this.#spawn(process.execPath, [...flags, "--conditions=pawl-source", BIN, ...words]).ended;
  }

  /** Ends what is under way; processes that stay are told to, and killed when they do not. */
  async remove(): Promise<void> {
    this.write("over", "");
    await Promise.all(
      [...this.#commands].map(async (command) => {
        command.kill(command.isResident ? "SIGTERM" : "SIGKILL");
        const hasEnded = await Promise.race([command.ended, sleep(CLOSE_MS, undefined, { ref: false })]);
        if (hasEnded === undefined) command.kill("SIGKILL");
        await command.ended;
      }),
    );
    rmSync(this.path, { recursive: true, force: true });
  }

  #spawn(program: string, words: readonly string[], stdin: "pipe" | "ignore" = "ignore"): Command {
    return this.#note(new Command(spawn(program, words, { cwd: this.path, env: environment(), stdio: [stdin, "pipe", "pipe"] })));
  }

  #note(command: Command): Command {
    this.#commands.add(command);
    void command.ended.then(() => this.#commands.delete(command));
    return command;
  }
}

/** A store that the developer works with is not the tests'. */
function environment(): NodeJS.ProcessEnv {
  const { PAWL_STORE: _, ...env } = process.env;
  return { ...env, TERM: "xterm" };
}

/** A folder that is removed when the test is over. */
export function makeFolder(): Folder {
  const folder = new Folder();
  onTestFinished(() => folder.remove());
  return folder;
}

/** The values of JSON lines. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
