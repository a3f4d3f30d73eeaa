/**
 * Runs command lines in a process that stays, which saves each of them the quarter of a second in which modules are
 * loaded. It prints, ends and fails as the real program does (`resident.test.ts`), but for what concerns the process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Ended } from "./command.ts";
import type { CommandLine } from "./resident-child.ts";

const CHILD = new URL("resident-child.ts", import.meta.url).pathname;

export class Resident {
  readonly #environment: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;
  #isBusy = false;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** It runs one command at a time. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  async run(command: CommandLine): Promise<Ended> {
    this.#isBusy = true;
    this.#process ??= this.#spawn();
    try {
      return await ended(this.#process, command);
    } finally {
      this.#isBusy = false;
    }
  }

  stop(): void {
    this.#process?.kill("SIGKILL");
  }

  #spawn(): ChildProcess {
    const child = spawn(process.execPath, ["--conditions=pawl-source", CHILD], {
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding("utf8");
    child.once("exit", () => (this.#process = undefined));
    return child;
  }
}

/** Resolves when both streams have ended for this command, or when it took the process with it. */
async function ended(child: ChildProcess, command: CommandLine): Promise<Ended> {
  const gone = Promise.withResolvers<number | null>();
  const answered = Promise.withResolvers<number>();
  child.once("close", gone.resolve).once("message", answered.resolve);
  child.send(command);
  const printed = [child.stdout!, child.stderr!].map((stream) => upToNul(stream, gone.promise));
  const [code, stdout, stderr] = await Promise.all([Promise.race([answered.promise, gone.promise]), ...printed]);
  child.off("close", gone.resolve).off("message", answered.resolve);
  return { code: code!, stdout: stdout!, stderr: stderr! };
}

async function upToNul(stream: NodeJS.ReadableStream, gone: Promise<unknown>): Promise<string> {
  let text = "";
  const complete = Promise.withResolvers<void>();
  const listen = (chunk: string): void => {
    text += chunk;
    if (text.includes("\0")) complete.resolve();
  };
  stream.on("data", listen);
  await Promise.race([complete.promise, gone]);
  stream.off("data", listen);
  return text.split("\0")[0]!;
}
