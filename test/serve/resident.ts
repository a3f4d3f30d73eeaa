/**
 * Processes that stay and run one command line after the other, which saves each of them the half second in which modules are
 * loaded. A command prints, ends and fails there as the real program does (`resident.test.ts`), but for what concerns the process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { CommandLine } from "./resident-child.ts";
import { Command } from "./running.ts";

const CHILD = new URL("resident-child.ts", import.meta.url).pathname;

export class Residents {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #all = new Set<ChildProcess>();
  readonly #idle = new Set<ChildProcess>();

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
    process.once("exit", () => this.#all.forEach((child) => child.kill("SIGKILL")));
  }

  /** Begins the command, in one that is idle. */
  start(line: CommandLine): Command {
    const [child = this.#spawn()] = this.#idle;
    this.#idle.delete(child);
    const command = new Command(child, line);
    void command.ended.then(() => this.#all.has(child) && this.#idle.add(child));
    return command;
  }

  #spawn(): ChildProcess {
    const child = spawn(process.execPath, ["--conditions=pawl-source", CHILD], {
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#all.add(child);
    child.once("exit", () => [this.#all, this.#idle].forEach((set) => set.delete(child)));
    return child;
  }
}
